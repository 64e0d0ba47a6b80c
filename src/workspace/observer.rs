//! Who is told of what happens in a workspace.

use std::fmt;
use std::time::{Duration, Instant};

use super::Workspace;
use crate::error::Error;
use crate::path::RelPath;

/// Told of every operation, whichever door it came through, after it ended. Must not block.
pub trait Observer: fmt::Debug + Send + Sync {
    /// An operation ended.
    fn operation(&self, record: &OperationRecord<'_>);

    /// The command policy refused a command; nothing was started.
    fn dangerous(&self, command: &str) {
        let _ = command;
    }
}

/// Every operation that a record can be of, and whether it may change the workspace or what is outside it. The type
/// `OperationType` of the JavaScript side has the same, which `tests/tidy.rs` checks.
///
/// An open file is one `open`, whatever is done with it; a file that arrives in pieces is one `write`, at its end. `start`
/// is a command of SSH or of a remote backend, `connect` what a command asked of the network.
pub const OPERATIONS: [(&str, bool); 27] = [
    ("read", false),
    ("write", true),
    ("stat", false),
    ("lstat", false),
    ("exists", false),
    ("readdir", false),
    ("mkdir", true),
    ("touch", true),
    ("rename", true),
    ("rm", true),
    ("edit", true),
    ("glob", false),
    ("grep", false),
    ("tree", false),
    ("list", false),
    ("delete", true),
    ("clear", true),
    ("open", true),
    ("setstat", true),
    ("readlink", false),
    ("symlink", true),
    ("statvfs", false),
    ("exec", true),
    ("run", true),
    ("spawn", true),
    ("start", true),
    ("connect", true),
];

/// Whether an operation may change the workspace, or what is outside it.
#[must_use]
pub fn may_change(operation: &str) -> bool {
    let known = OPERATIONS.iter().find(|(name, _)| *name == operation);
    known.is_none_or(|(_, changes)| *changes)
}

/// One operation.
#[derive(Debug)]
pub struct OperationRecord<'a> {
    /// The verb, one of [`OPERATIONS`].
    pub operation: &'static str,
    /// The path or the command, as the caller wrote it.
    pub target: &'a str,
    /// Who; empty for the owner of the process.
    pub principal: &'a str,
    /// Where, below the root workspace.
    pub scope: &'a RelPath,
    /// Where, on the host.
    pub root_dir: &'a [u8],
    /// `None`: it succeeded.
    pub error: Option<&'a Error>,
    /// For commands: what they printed and how they ended.
    pub output: Option<&'a CommandOutput>,
    /// How long it took.
    pub duration: Duration,
}

impl Workspace {
    /// Tells the observer, if there is one, of an operation that began at `started`.
    pub(super) fn record(
        &self,
        operation: &'static str,
        target: &str,
        started: Option<Instant>,
        error: Option<&Error>,
    ) {
        if let (Some(observer), Some(started)) = (&self.inner.observer, started) {
            observer.operation(&OperationRecord {
                operation,
                target,
                principal: self.principal(),
                scope: &self.inner.owner.scope,
                root_dir: self.root_dir(),
                error,
                output: None,
                duration: started.elapsed(),
            });
        }
    }
}

/// What a command printed, bounded, and how it ended.
#[derive(Clone, Debug, Default)]
pub struct CommandOutput {
    /// Standard output; of more than the bound, head and tail with a note between.
    pub stdout: Vec<u8>,
    /// Standard error, likewise.
    pub stderr: Vec<u8>,
    /// `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal's name, such as `SIGKILL`.
    pub signal: Option<&'static str>,
    /// Whether output was left out.
    pub truncated: bool,
    /// Wall-clock time from start to end.
    pub duration: Duration,
}
