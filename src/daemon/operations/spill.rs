//! Answers that are longer than a message: they wait behind a handle for whoever asked to read them, in pieces.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Handles;
use crate::backend::search::{FoundEntry, FoundLine};
use crate::backend::{Attributes, DirEntry, FileKind, FileStat, OpenFile};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Limit, Result};
use crate::wire::MAX_MESSAGE;
use crate::wire::operations::{Answer, Encoded, Handle, Operation, encode_spilled};
use crate::workspace::{Reserved, Workspace};

/// Answers of a connection that wait at a time.
const MAX_WAITING: usize = 2;
/// A longer answer is refused. Above what a search may find.
const MAX_SPILLED: usize = 128 << 20;
/// What the operations of one batch may tell together.
const MAX_TOLD: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct Spills {
    places: Arc<Semaphore>,
}

impl Default for Spills {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_WAITING)),
        }
    }
}

impl Spills {
    /// The answer itself, or where to read it.
    pub(super) fn fit(
        &self,
        encoded: Encoded,
        workspace: &Workspace,
        handles: &dyn Handles,
    ) -> Result<Encoded> {
        let length = encoded.len();
        if length <= MAX_MESSAGE {
            return Ok(encoded);
        }
        if length > MAX_SPILLED {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!("the answer has {length} bytes, {MAX_SPILLED} are possible; ask for less"),
            ));
        }
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            Error::new(
                ErrorCode::LimitExceeded,
                format!("{MAX_WAITING} large answers of this connection are being read; ask again"),
            )
            .with_limit(Limit::Memory)
        })?;
        let reserved = workspace.reserve(length)?;
        let mut bytes = encoded.head;
        bytes.reserve_exact(length - bytes.len());
        for piece in encoded.tail {
            bytes.extend_from_slice(&piece);
        }
        let spilled = Arc::new(Spilled {
            bytes: bytes.into(),
            _place: place,
            _reserved: reserved,
        });
        encode_spilled(handles.keep_file(spilled)?, length as u64)
    }
}

/// What the operations of a batch have told so far.
#[derive(Debug, Default)]
pub(super) struct Told(usize);

impl Told {
    /// Refuses an operation whose answer may be long, before it is done, where enough has been told.
    pub(super) fn check(&self, operation: &Operation) -> Result<()> {
        let may_be_long = matches!(
            operation,
            Operation::Read { .. }
                | Operation::List { .. }
                | Operation::Search(_)
                | Operation::Edit { .. }
        );
        match may_be_long && self.0 > MAX_TOLD {
            true => Err(too_much_told()),
            false => Ok(()),
        }
    }

    /// Counts an answer, and refuses one that is more than all of the batch may tell; what it opened is closed. What has
    /// changed something is told in any case.
    pub(super) fn count(
        &mut self,
        answer: Result<Answer>,
        handles: &dyn Handles,
    ) -> Result<Answer> {
        let Ok(told) = &answer else { return answer };
        self.0 += weight(told);
        let changes_nothing = matches!(
            told,
            Answer::Read { .. } | Answer::List(_) | Answer::Search(_)
        );
        if changes_nothing && self.0 > MAX_TOLD {
            close(told, handles);
            return Err(too_much_told());
        }
        answer
    }
}

/// Closes what answers opened that nobody will be told.
pub(super) fn close(answer: &Answer, handles: &dyn Handles) {
    match answer {
        Answer::Read {
            rest: Some(Handle(handle)),
            ..
        }
        | Answer::Staged { handle }
        | Answer::Opened { handle } => handles.close(handle),
        Answer::Batch(answers) => answers
            .iter()
            .flatten()
            .for_each(|answer| close(answer, handles)),
        _ => {}
    }
}

/// Bytes that an answer takes in memory, about.
fn weight(answer: &Answer) -> usize {
    match answer {
        Answer::Read { outcome, .. } => outcome.bytes.len(),
        Answer::List(entries) => (entries.iter())
            .map(|entry| size_of::<DirEntry>() + entry.name.len())
            .sum(),
        Answer::Search(found) => {
            let entries = (found.entries.iter())
                .map(|entry| size_of::<FoundEntry>() + entry.path.as_bytes().len());
            let lines = (found.lines.iter())
                .map(|line| size_of::<FoundLine>() + line.path.as_bytes().len() + line.text.len());
            entries.chain(lines).sum()
        }
        Answer::Edited(outcome) => outcome.diff.len(),
        Answer::Link(text) => text.len(),
        _ => 0,
    }
}

fn too_much_told() -> Error {
    Error::new(
        ErrorCode::TooLarge,
        format!("a batch tells at most {MAX_TOLD} bytes"),
    )
}

/// An answer, as a file.
#[derive(Debug)]
struct Spilled {
    bytes: Bytes,
    _place: OwnedSemaphorePermit,
    _reserved: Reserved,
}

impl OpenFile for Spilled {
    fn stat(&self) -> Call<FileStat> {
        Call::ok(FileStat {
            kind: FileKind::File,
            mode: 0o100_400,
            size: self.bytes.len() as u64,
            dev: 0,
            ino: 0,
            nlink: 0,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            blocks: 0,
            atime_ns: 0,
            mtime_ns: 0,
            ctime_ns: 0,
            birthtime_ns: 0,
        })
    }

    fn read_at(&self, offset: u64, length: usize) -> Call<Bytes> {
        let size = self.bytes.len();
        let start = usize::try_from(offset).map_or(size, |offset| offset.min(size));
        let end = start.saturating_add(length).min(size);
        Call::ok(self.bytes.slice(start..end))
    }

    fn write_at(&self, _offset: u64, _bytes: Bytes) -> Call<()> {
        Call::err(read_only())
    }

    fn set_attributes(&self, _attributes: Attributes) -> Call<()> {
        Call::err(read_only())
    }

    fn sync(&self) -> Call<()> {
        Call::ok(())
    }
}

fn read_only() -> Error {
    Error::new(ErrorCode::PermissionDenied, "it was opened for reading")
}
