//! The ways to open a file, attributes to set, and a write in pieces, for suites that try every operation.

use std::sync::Arc;

use agent_backend::backend::{Attributes, OpenOptions, StagedWrite, WriteOutcome};
use agent_backend::call::Call;
use bytes::Bytes;

pub const READ: OpenOptions = OpenOptions {
    read: true,
    write: false,
    append: false,
    create: false,
    create_new: false,
    truncate: false,
    permissions: None,
};
pub const WRITE: OpenOptions = OpenOptions {
    read: false,
    write: true,
    ..READ
};
/// As SFTP clients open what they upload.
pub const UPLOAD: OpenOptions = OpenOptions {
    create: true,
    truncate: true,
    ..WRITE
};

const NOTHING: Attributes = Attributes {
    size: None,
    permissions: None,
    atime_ns: None,
    mtime_ns: None,
};
pub const SIZE: Attributes = Attributes {
    size: Some(1),
    ..NOTHING
};
pub const MODE: Attributes = Attributes {
    permissions: Some(0o700),
    ..NOTHING
};
pub const TIME: Attributes = Attributes {
    mtime_ns: Some(1_000_000_000),
    ..NOTHING
};

pub fn bytes() -> Bytes {
    Bytes::from_static(b"overwritten")
}

/// Ends a staged write with one piece.
pub fn staged(staged: Call<Arc<dyn StagedWrite>>) -> Call<WriteOutcome> {
    staged.and_then(|staged| {
        let appended = staged.append(bytes());
        appended.and_then(move |()| staged.commit())
    })
}
