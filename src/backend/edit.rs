//! The vocabulary of edits, so that a remote backend can ship one whole and have it done where the file is.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::file::{Etag, FileStat};

/// One replacement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// What to replace, byte for byte; it must occur exactly once, unless `replace_all`.
    pub old_text: Bytes,
    /// What to put in its place.
    pub new_text: Bytes,
    /// Replace every occurrence. Default: false.
    pub replace_all: bool,
}

/// How to change a file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EditOptions {
    /// Only say what would change. Default: false.
    pub dry_run: bool,
    /// Change only the state that has this etag, else `CONFLICT`. Default: whatever is there.
    pub if_match: Option<Etag>,
}

/// What an edit did, or would do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EditOutcome {
    /// Unified, with three lines of context; empty where the edits undo each other. U+FFFD for what is not UTF-8; cut
    /// at 1 MiB, with a note.
    pub diff: String,
    /// How many occurrences were replaced, over all edits.
    pub replacements: usize,
    /// The file after the edit; with `dry_run`, as it is.
    pub stat: FileStat,
}
