//! The one place where an error becomes what a model reads.
//!
//! What the operating system refused is told in the words of Node's `fs`, which the reference server passes on and
//! models know; everything else with our own code and message, which say what to do about it.

use super::context::{Attempt, absolute};
use super::result::ToolResult;
use crate::call::Call;
use crate::error::{Error, ErrorCode, Printable};

/// The failure of an attempt, with the real paths of what was attempted.
pub(super) fn of(attempt: &Attempt, error: Error) -> Call<ToolResult> {
    text(attempt, error).map(ToolResult::error)
}

/// The text of [`of`].
pub(super) fn text(attempt: &Attempt, error: Error) -> Call<String> {
    let known = match error.code() {
        ErrorCode::NotADirectory => return not_a_directory(attempt),
        ErrorCode::NotFound => "ENOENT: no such file or directory",
        ErrorCode::AlreadyExists => "EEXIST: file already exists",
        ErrorCode::NotEmpty => "ENOTEMPTY: directory not empty",
        ErrorCode::PermissionDenied => "EACCES: permission denied",
        ErrorCode::NoSpace => "ENOSPC: no space left on device",
        // A file is opened before it turns out to be none: then there is no path to name.
        ErrorCode::IsADirectory if matches!(attempt.verb, "open" | "stat") => {
            return Call::ok("EISDIR: illegal operation on a directory, read".to_owned());
        }
        ErrorCode::IsADirectory => "EISDIR: illegal operation on a directory",
        _ => return Call::ok(own_words(&error)),
    };
    let verb = attempt.verb;
    let paths = attempt.real_paths();
    paths.map(move |(path, to)| match to {
        Some(to) => format!("{known}, {verb} '{path}' -> '{to}'"),
        None => format!("{known}, {verb} '{path}'"),
    })
}

/// A file stands where a directory was needed: on the way to a path, which shows as soon as the path is resolved, or
/// under the path itself.
fn not_a_directory(attempt: &Attempt) -> Call<String> {
    let attempt = attempt.clone();
    Call::pending(async move {
        for path in attempt.paths() {
            if let Err(error) = attempt.workspace.real_path(path).await
                && error.code() == ErrorCode::NotADirectory
            {
                let path = absolute(&attempt.workspace, path);
                return Ok(format!("ENOTDIR: not a directory, realpath '{path}'"));
            }
        }
        let (path, _) = attempt.real_paths().await?;
        Ok(format!(
            "ENOTDIR: not a directory, {} '{path}'",
            attempt.verb
        ))
    })
}

/// The failure of what has no path.
pub(super) fn plain(error: &Error) -> ToolResult {
    ToolResult::error(own_words(error))
}

/// Code, message, and the limit and the path where the error names one.
pub(super) fn own_words(error: &Error) -> String {
    let message = error.message();
    let code = match error.limit() {
        Some(limit) => format!("{} ({})", error.code(), limit.as_str()),
        None => error.code().to_string(),
    };
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
