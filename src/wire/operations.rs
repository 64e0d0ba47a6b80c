//! One operation on a workspace in one round trip: an SFTP extended request named [`NAME`], which a daemon of ours
//! announces in its `SSH_FXP_VERSION` with a [`Hello`] as the data.

mod encoding;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use encoding::{
    Reply, decode_hello, decode_reply, decode_request, encode_hello, encode_reply, encode_request,
    encode_spilled,
};

pub use crate::backend::MAX_BATCH;
use crate::backend::search::{SearchOutcome, SearchRequest};
use crate::backend::{
    Attributes, Capabilities, DirEntry, Edit, EditOptions, EditOutcome, FileStat, ListOptions,
    OpenOptions, ReadOptions, ReadOutcome, RemoveOptions, RenameOptions, Space, WriteOptions,
    WriteOutcome,
};
use crate::error::Result;
use crate::path::RelPath;

/// The name of the extended request.
pub const NAME: &str = "operation@agent-backend";
/// The version that this code speaks; another is not used, and plain SFTP is spoken instead.
pub const VERSION: u32 = 1;
/// More content than this does not travel in one request or answer, but in pieces.
pub const INLINE_BYTES: usize = 1 << 20;

/// What the daemon says of itself when a session begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`] of the daemon.
    pub version: u32,
    /// Absolute path of what the daemon serves at all.
    #[serde(with = "serde_bytes")]
    pub served_root: Vec<u8>,
    /// Absolute path of what this session is confined to: that, or a directory below it.
    #[serde(with = "serde_bytes")]
    pub session_root: Vec<u8>,
    /// What can be done there.
    pub capabilities: Capabilities,
}

/// A request: where, below the session's root, and what.
#[derive(Clone, Debug)]
pub struct Request {
    /// The scope that confines it; [`Operation`]s have their paths below it.
    pub scope: RelPath,
    /// What to do.
    pub operation: Operation,
}

/// The calls of [`crate::backend::Backend`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Operation {
    /// A file; of one larger than [`INLINE_BYTES`] the daemon sends that much and keeps the rest open, see
    /// [`Answer::Read`].
    Read {
        path: RelPath,
        options: ReadOptions,
    },
    /// A whole file of at most [`INLINE_BYTES`].
    Write {
        path: RelPath,
        #[serde(skip)]
        content: Bytes,
        options: WriteOptions,
    },
    /// Begins a write in pieces, which are `SSH_FXP_WRITE`s at consecutive offsets on the handle that comes back.
    Stage {
        path: RelPath,
        options: WriteOptions,
    },
    /// Ends it.
    Commit {
        #[serde(with = "super::blob")]
        handle: Bytes,
    },
    Stat {
        path: RelPath,
        follow: bool,
    },
    RealPath {
        path: RelPath,
    },
    List {
        path: RelPath,
        options: ListOptions,
    },
    CreateDir {
        path: RelPath,
        recursive: bool,
    },
    Remove {
        path: RelPath,
        options: RemoveOptions,
    },
    Rename {
        from: RelPath,
        to: RelPath,
        options: RenameOptions,
    },
    Touch {
        path: RelPath,
    },
    /// The replacements of an edit; texts of at most [`INLINE_BYTES`] together.
    Edit {
        path: RelPath,
        edits: Vec<Edit>,
        options: EditOptions,
    },
    /// The request's token is not sent: `SSH_FXP_EXTENDED` `cancel@agent-backend` with the request's number is.
    Search(Box<SearchRequest>),
    SetAttributes {
        path: RelPath,
        follow: bool,
        attributes: Attributes,
    },
    ReadLink {
        path: RelPath,
    },
    Symlink {
        path: RelPath,
        #[serde(with = "serde_bytes")]
        target: Vec<u8>,
    },
    Space,
    /// Opens a file for `SSH_FXP_READ`, `SSH_FXP_WRITE` and `SSH_FXP_CLOSE`.
    Open {
        path: RelPath,
        options: OpenOptions,
    },
    /// Something about a file that [`Operation::Open`] opened.
    OfFile {
        #[serde(with = "super::blob")]
        handle: Bytes,
        what: OfFile,
    },
    /// Several, one after another; each has its own answer, whatever became of those before it.
    #[serde(skip)]
    Batch(Vec<Operation>),
}

/// What came of an operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The content, or its beginning and a handle for `SSH_FXP_READ`s of the rest: the same file, whatever is put in
    /// its place meanwhile.
    Read {
        outcome: ReadOutcome,
        rest: Option<Handle>,
    },
    Written(WriteOutcome),
    Staged {
        #[serde(with = "super::blob")]
        handle: Bytes,
    },
    Stat(FileStat),
    RealPath(RelPath),
    List(Vec<DirEntry>),
    Done,
    Search(Box<SearchOutcome>),
    Edited(Box<EditOutcome>),
    Link(#[serde(with = "serde_bytes")] Vec<u8>),
    Space(Space),
    Opened {
        #[serde(with = "super::blob")]
        handle: Bytes,
    },
    #[serde(skip)]
    Batch(Vec<Result<Answer>>),
}

/// What `SSH_FXP_READ`, `SSH_FXP_WRITE` and `SSH_FXP_CLOSE` call an open file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle(#[serde(with = "super::blob")] pub Bytes);

/// What is asked of an open file.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum OfFile {
    Stat,
    SetAttributes(Attributes),
    Sync,
}

/// A message: its head, and content behind it that is not copied together.
#[derive(Clone, Debug, Default)]
pub struct Encoded {
    /// All but the content.
    pub head: Vec<u8>,
    /// The content, in order.
    pub tail: Vec<Bytes>,
}

impl Encoded {
    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() + self.tail.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
