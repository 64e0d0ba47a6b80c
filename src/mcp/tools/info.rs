//! What is known of a path, and where the tools work.

use chrono::DateTime;
use serde::Deserialize;
use serde_json::json;

use super::super::context::Context;
use super::super::definition::{Definition, Effect, text_output};
use super::super::result::ToolResult;
use super::{Tool, with};
use crate::backend::{FileKind, FileStat};
use crate::call::Call;

pub(super) const GET_FILE_INFO: Tool = Tool {
    name: "get_file_info",
    runs_commands: false,
    define: |name| {
        Definition {
            title: "Get File Info",
            description: "Retrieve detailed metadata about a file or directory. Returns comprehensive information \
                          including size, creation time, last modified time, permissions, and type. This tool is \
                          perfect for understanding file characteristics without reading the actual content. Only \
                          works within allowed directories.",
            properties: json!({ "path": { "type": "string" } }),
            required: &["path"],
            effect: Effect::Reads,
            output: text_output(),
        }
        .named(name)
    },
    call: |context, arguments| with(context, arguments, get_file_info),
};

#[derive(Deserialize)]
struct GetFileInfo {
    path: String,
}

fn get_file_info(context: &Context, arguments: GetFileInfo) -> Call<ToolResult> {
    let GetFileInfo { path } = arguments;
    let attempt = context.attempt("stat", &path);
    attempt.finish(context.workspace.stat(&path), |stat| {
        ToolResult::text(told(&stat))
    })
}

fn told(stat: &FileStat) -> String {
    format!(
        "size: {}\ncreated: {}\nmodified: {}\naccessed: {}\nisDirectory: {}\nisFile: {}\npermissions: {:03o}",
        stat.size,
        date(stat.birthtime_ns),
        date(stat.mtime_ns),
        date(stat.atime_ns),
        stat.kind == FileKind::Directory,
        stat.kind == FileKind::File,
        stat.mode & 0o777,
    )
}

/// As JavaScript's `Date` writes itself, always in UTC: who asks need not be where the files are.
fn date(nanoseconds: i128) -> String {
    // A `Date` counts whole milliseconds, to which Node rounds.
    let milliseconds = (nanoseconds + 500_000).div_euclid(1_000_000);
    let time = i64::try_from(milliseconds).ok();
    time.and_then(DateTime::from_timestamp_millis).map_or_else(
        || "Invalid Date".to_owned(),
        |time| {
            time.format("%a %b %d %Y %H:%M:%S GMT+0000 (Coordinated Universal Time)")
                .to_string()
        },
    )
}

pub(super) const LIST_ALLOWED_DIRECTORIES: Tool = Tool {
    name: "list_allowed_directories",
    runs_commands: false,
    define: |name| {
        Definition {
            title: "List Allowed Directories",
            description: "Returns the list of directories that this server is allowed to access. Subdirectories \
                          within these allowed directories are also accessible. Use this to understand which \
                          directories and their nested paths are available before trying to access files.",
            properties: json!({}),
            required: &[],
            effect: Effect::Reads,
            output: text_output(),
        }
        .named(name)
    },
    call: |context, _| {
        let root = String::from_utf8_lossy(context.workspace.root_dir());
        Call::ok(ToolResult::text(format!("Allowed directories:\n{root}")))
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_as_javascript_does() {
        for (nanoseconds, expected) in [
            (
                0,
                "Thu Jan 01 1970 00:00:00 GMT+0000 (Coordinated Universal Time)",
            ),
            (
                1_780_000_000_999_600_000,
                "Thu May 28 2026 20:26:41 GMT+0000 (Coordinated Universal Time)",
            ),
            (
                -1_000_000,
                "Wed Dec 31 1969 23:59:59 GMT+0000 (Coordinated Universal Time)",
            ),
            (i128::MAX / 2, "Invalid Date"),
        ] {
            assert_eq!(date(nanoseconds), expected);
        }
    }
}
