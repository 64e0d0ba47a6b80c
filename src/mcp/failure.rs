//! The one place where an error becomes what a model reads.
//!
//! What the operating system refused is told in the words of Node's `fs`, which the reference server passes on and
//! models know; everything else with our own code and message, which say what to do about it.

use super::context::Attempt;
use super::result::ToolResult;
use crate::error::{Error, ErrorCode, Printable};

/// The failure of an attempt.
pub(super) fn of(attempt: &Attempt, error: &Error) -> ToolResult {
    ToolResult::error(text(attempt, error))
}

/// The text of [`of`].
pub(super) fn text(attempt: &Attempt, error: &Error) -> String {
    let known = match error.code() {
        ErrorCode::NotFound => "ENOENT: no such file or directory",
        ErrorCode::AlreadyExists => "EEXIST: file already exists",
        ErrorCode::NotADirectory => "ENOTDIR: not a directory",
        ErrorCode::NotEmpty => "ENOTEMPTY: directory not empty",
        ErrorCode::PermissionDenied => "EACCES: permission denied",
        ErrorCode::NoSpace => "ENOSPC: no space left on device",
        // A file is opened before it turns out to be none: then there is no path to name.
        ErrorCode::IsADirectory if matches!(attempt.verb, "open" | "stat") => {
            return "EISDIR: illegal operation on a directory, read".to_owned();
        }
        ErrorCode::IsADirectory => "EISDIR: illegal operation on a directory",
        _ => return own_words(error),
    };
    let verb = attempt.verb;
    let path = attempt.absolute();
    match attempt.absolute_to() {
        Some(to) => format!("{known}, {verb} '{path}' -> '{to}'"),
        None => format!("{known}, {verb} '{path}'"),
    }
}

/// The failure of what has no path.
pub(super) fn plain(error: &Error) -> ToolResult {
    ToolResult::error(own_words(error))
}

/// Code, message, and the path where the error names one.
pub(super) fn own_words(error: &Error) -> String {
    let (code, message) = (error.code(), error.message());
    match error.path() {
        Some(path) => format!("{code}: {message}: '{}'", Printable(path)),
        None => format!("{code}: {message}"),
    }
}

/// A tool that is not there, or not for this kind of backend.
pub(super) fn unknown_tool(name: &str) -> ToolResult {
    invalid_params(&format!("Tool {} not found", Printable(name)))
}

/// Arguments that do not fit the schema; each problem names its argument.
pub(super) fn wrong_arguments(tool: &str, problems: &[String]) -> ToolResult {
    invalid_params(&format!(
        "Input validation error: Invalid arguments for tool {tool}: {}",
        problems.join("\n")
    ))
}

/// As the reference's SDK words a call that cannot be carried out.
fn invalid_params(what: &str) -> ToolResult {
    ToolResult::error(format!("MCP error -32602: {what}"))
}
