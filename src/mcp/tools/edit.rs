//! Editing a file by its lines: tolerant of white space, told as a diff.

mod lines;
mod matching;
mod numbers;
mod patch;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::super::context::Context;
use super::super::definition::{Definition, Effect, text_output};
use super::super::result::ToolResult;
use super::{Tool, with};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::workspace::{Change, Changed, EditOptions};
use matching::{EditError, TextEdit};

/// A larger file is edited on another thread. To look through this much takes some tens of microseconds.
const INLINE_BYTES: usize = 128 << 10;
/// Where a text is not there as it was given, each of the file's lines is looked at.
const INLINE_FILE_LINES: usize = 4_000;
/// The time for the diff grows with the square of the lines that change, which are at most these.
const INLINE_LINES: usize = 200;
/// Edits of more text, or more of them, go there too.
const INLINE_TEXT_BYTES: usize = 8 << 10;
const INLINE_EDITS: usize = 8;

pub(super) const EDIT_FILE: Tool = Tool {
    name: "edit_file",
    runs_commands: false,
    define: |name| {
        Definition {
            title: "Edit File",
            description: "Make line-based edits to a text file. Each edit replaces exact line sequences with new \
                          content. Returns a git-style diff showing the changes made. Only works within allowed \
                          directories.",
            properties: json!({
                "path": { "type": "string" },
                "edits": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "oldText": {
                                "type": "string",
                                "description": "Text to search for - must match exactly"
                            },
                            "newText": { "type": "string", "description": "Text to replace with" }
                        },
                        "required": ["oldText", "newText"]
                    }
                },
                "dryRun": {
                    "default": false,
                    "description": "Preview changes using git-style diff format",
                    "type": "boolean"
                }
            }),
            required: &["path", "edits"],
            effect: Effect::Writes {
                idempotent: false,
                destructive: true,
            },
            output: text_output(),
        }
        .named(name)
    },
    call: |context, arguments| with(context, arguments, edit_file),
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EditFile {
    path: String,
    edits: Vec<Replacement>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Replacement {
    old_text: String,
    new_text: String,
}

fn edit_file(context: &Context, arguments: EditFile) -> Call<ToolResult> {
    let EditFile {
        path,
        edits,
        dry_run,
    } = arguments;
    let edits = edits.into_iter().map(|edit| TextEdit {
        old_text: edit.old_text,
        new_text: edit.new_text,
    });
    let edits: Vec<TextEdit> = edits.collect();
    let (workspace, cancel) = (context.workspace.clone(), context.cancel.clone());
    let attempt = context.attempt("open", &path);
    let editing = context.real(&path).and_then(move |shown_path| {
        let change = LineEdits {
            shown_path,
            edits,
            cancel,
        };
        let options = EditOptions {
            dry_run,
            ..EditOptions::default()
        };
        workspace.rewrite(&path, change, options)
    });
    let edited = editing.then(|outcome| match outcome {
        Err(error) if error.code() == ErrorCode::EditNotFound => {
            Ok(ToolResult::error(error.message().to_owned()))
        }
        outcome => outcome.map(|rewritten| ToolResult::text(rewritten.report)),
    });
    attempt.finish(edited, |result| result)
}

/// The edits of one call.
struct LineEdits {
    shown_path: String,
    edits: Vec<TextEdit>,
    cancel: CancellationToken,
}

impl Change for LineEdits {
    /// The diff.
    type Report = String;

    fn is_small(&self, before: &[u8]) -> bool {
        let lines = |text: &[u8]| memchr::memchr_iter(b'\n', text).count();
        let texts = || {
            let edits = self.edits.iter();
            edits.flat_map(|edit| [edit.old_text.as_bytes(), edit.new_text.as_bytes()])
        };
        before.len() <= INLINE_BYTES
            && self.edits.len() <= INLINE_EDITS
            && texts().map(<[u8]>::len).sum::<usize>() <= INLINE_TEXT_BYTES
            && texts().map(lines).sum::<usize>() <= INLINE_LINES
            && lines(before) <= INLINE_FILE_LINES
    }

    fn apply(
        &self,
        _: &RelPath,
        before: &[u8],
        ended: &CancellationToken,
    ) -> Result<Changed<String>> {
        let stop = || ended.is_cancelled() || self.cancel.is_cancelled();
        let applied = matching::apply(before, &self.edits, &stop).map_err(told)?;
        let report = patch::fenced_patch(&self.shown_path, &applied.normalised, &applied.modified);
        Ok(Changed {
            after: Bytes::from(applied.to_write),
            report,
        })
    }
}

fn told(error: EditError) -> Error {
    let code = match error {
        EditError::NotFound { .. } => ErrorCode::EditNotFound,
        EditError::TooLarge { .. } => ErrorCode::TooLarge,
        EditError::Stopped => ErrorCode::Aborted,
    };
    Error::new(code, error.to_string())
}
