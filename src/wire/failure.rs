//! An [`Error`] as data: codes, limits and signals by the texts that are part of the public API, so that two versions
//! understand each other.

use serde::{Deserialize, Serialize};

use crate::error::{CommandFailure, Error, ErrorCode, Limit};
use crate::workspace::signal_name;

/// What travels of an [`Error`]: all but the lower error that caused it, whose text is in the message.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    code: String,
    message: String,
    operation: Option<String>,
    path: Option<String>,
    limit: Option<String>,
    command: Option<Command>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Command {
    exit_code: Option<i32>,
    signal: Option<String>,
    #[serde(with = "serde_bytes")]
    stdout: Vec<u8>,
    #[serde(with = "serde_bytes")]
    stderr: Vec<u8>,
}

/// The verbs of [`crate::workspace::Workspace`], but for that of the daemon's own way to run a command: whoever asked for
/// it said `exec`, `run` or `spawn`.
const OPERATIONS: &[&str] = &[
    "read", "write", "stat", "lstat", "exists", "readdir", "mkdir", "rm", "rename", "touch",
    "open", "statvfs", "setstat", "fsync", "readlink", "symlink", "edit", "glob", "grep", "tree",
    "scope", "run", "exec", "spawn", "shell", "batch",
];

const LIMITS: &[Limit] = &[
    Limit::Memory,
    Limit::Processes,
    Limit::Cpu,
    Limit::Files,
    Limit::FileSize,
    Limit::Output,
];

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code().as_str().to_owned(),
            message: error.message().to_owned(),
            operation: error.operation().map(str::to_owned),
            path: error.path().map(str::to_owned),
            limit: error.limit().map(|limit| limit.as_str().to_owned()),
            command: error.failure().map(|failure| Command {
                exit_code: failure.exit_code,
                signal: failure.signal.map(str::to_owned),
                stdout: failure.stdout.clone(),
                stderr: failure.stderr.clone(),
            }),
        }
    }
}

impl From<Failure> for Error {
    /// A code that this version does not know is `IO_ERROR`, with its text in the message.
    fn from(failure: Failure) -> Self {
        let known = ErrorCode::ALL
            .iter()
            .find(|code| code.as_str() == failure.code);
        let mut error = match known {
            Some(code) => Error::new(*code, failure.message),
            None => Error::new(
                ErrorCode::IoError,
                format!("{}: {}", failure.code, failure.message),
            ),
        };
        if let Some(path) = failure.path {
            error = error.at(path);
        }
        let operation = failure.operation.as_deref();
        if let Some(name) = OPERATIONS.iter().find(|name| Some(**name) == operation) {
            error = error.during(name);
        }
        let limit = failure.limit.as_deref();
        if let Some(limit) = LIMITS.iter().find(|known| Some(known.as_str()) == limit) {
            error = error.with_limit(*limit);
        }
        match failure.command {
            Some(command) => error.with_failure(CommandFailure {
                exit_code: command.exit_code,
                signal: command.signal.as_deref().map(signal),
                stdout: command.stdout,
                stderr: command.stderr,
            }),
            None => error,
        }
    }
}

/// The signal of this name.
fn signal(name: &str) -> &'static str {
    let known = (1..=31).map(signal_name).find(|known| *known == name);
    known.unwrap_or_else(|| signal_name(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verb_of_the_caller_is_not_replaced_by_that_of_the_daemon() {
        for (theirs, kept) in [
            ("start", None),
            ("exec", Some("exec")),
            ("read", Some("read")),
        ] {
            let error = Error::new(ErrorCode::LimitExceeded, "too much memory")
                .with_limit(Limit::Memory)
                .during(theirs);
            let told = Error::from(Failure::from(&error));
            assert_eq!(told.operation(), kept);
            assert_eq!(told.limit(), Some(Limit::Memory));
        }
    }
}
