//! Writing, creating and moving.

use serde::Deserialize;
use serde_json::json;

use super::super::context::Context;
use super::super::definition::{Definition, Effect, text_output};
use super::super::result::ToolResult;
use super::{Tool, with};
use crate::backend::{Content, RenameOptions, WriteOptions};
use crate::call::Call;
use crate::error::ErrorCode;

pub(super) const WRITE_FILE: Tool = Tool {
    name: "write_file",
    runs_commands: false,
    define: |name| {
        Definition {
            title: "Write File",
            description: "Create a new file or completely overwrite an existing file with new content. Use with \
                          caution as it will overwrite existing files without warning. Handles text content with \
                          proper encoding. Only works within allowed directories.",
            properties: json!({ "path": { "type": "string" }, "content": { "type": "string" } }),
            required: &["path", "content"],
            effect: Effect::Writes {
                idempotent: true,
                destructive: true,
            },
            output: text_output(),
        }
        .named(name)
    },
    call: |context, arguments| with(context, arguments, write_file),
};

#[derive(Deserialize)]
struct WriteFile {
    path: String,
    content: String,
}

fn write_file(context: &Context, arguments: WriteFile) -> Call<ToolResult> {
    let WriteFile { path, content } = arguments;
    let writing = context
        .workspace
        .write(&path, Content::owned(content), WriteOptions::default());
    let attempt = context.attempt("write", &path);
    attempt.finish(writing, move |_| {
        ToolResult::text(format!("Successfully wrote to {path}"))
    })
}

pub(super) const CREATE_DIRECTORY: Tool = Tool {
    name: "create_directory",
    runs_commands: false,
    define: |name| {
        Definition {
            title: "Create Directory",
            description: "Create a new directory or ensure a directory exists. Can create multiple nested directories \
                          in one operation. If the directory already exists, this operation will succeed silently. \
                          Perfect for setting up directory structures for projects or ensuring required paths exist. \
                          Only works within allowed directories.",
            properties: json!({ "path": { "type": "string" } }),
            required: &["path"],
            effect: Effect::Writes {
                idempotent: true,
                destructive: false,
            },
            output: text_output(),
        }
        .named(name)
    },
    call: |context, arguments| with(context, arguments, create_directory),
};

#[derive(Deserialize)]
struct CreateDirectory {
    path: String,
}

fn create_directory(context: &Context, arguments: CreateDirectory) -> Call<ToolResult> {
    let CreateDirectory { path } = arguments;
    let creating = context.workspace.create_dir(&path, true);
    let attempt = context.attempt("mkdir", &path);
    attempt.finish(creating, move |()| {
        ToolResult::text(format!("Successfully created directory {path}"))
    })
}

pub(super) const MOVE_FILE: Tool = Tool {
    name: "move_file",
    runs_commands: false,
    define: |name| {
        Definition {
            title: "Move File",
            description: "Move or rename files and directories. Can move files between directories and rename them in \
                          a single operation. If the destination exists, the operation will fail. Works across \
                          different directories and can be used for simple renaming within the same directory. Both \
                          source and destination must be within allowed directories.",
            properties: json!({ "source": { "type": "string" }, "destination": { "type": "string" } }),
            required: &["source", "destination"],
            effect: Effect::Writes {
                idempotent: false,
                destructive: true,
            },
            output: text_output(),
        }
        .named(name)
    },
    call: |context, arguments| with(context, arguments, move_file),
};

#[derive(Deserialize)]
struct MoveFile {
    source: String,
    destination: String,
}

fn move_file(context: &Context, arguments: MoveFile) -> Call<ToolResult> {
    let MoveFile {
        source,
        destination,
    } = arguments;
    let options = RenameOptions {
        keep_existing: true,
        ..RenameOptions::default()
    };
    let moving = context.workspace.rename(&source, &destination, options);
    let attempt = context.attempt_to("rename", &source, &destination);
    let there = context.clone();
    let moved = Call::pending(async move {
        match moving.await {
            Err(error) if error.code() == ErrorCode::AlreadyExists => {
                let path = there.real(&destination).await?;
                Ok(ToolResult::error(format!(
                    "Destination already exists: {path}"
                )))
            }
            outcome => outcome.map(|()| {
                ToolResult::text(format!("Successfully moved {source} to {destination}"))
            }),
        }
    });
    attempt.finish(moved, |result| result)
}
