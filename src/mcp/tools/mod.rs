//! The table of tools, and what families of them share.

mod background;
mod directories;
mod edit;
mod exec;
mod find;
mod info;
mod kept_output;
mod read;
mod tree;
mod write;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::context::Context;
use super::result::ToolResult;
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};

/// A result has no more text than this; twice as much would not fit into a JavaScript string.
pub(super) const MAX_TEXT_BYTES: u64 = 256 << 20;

/// A tool.
#[derive(Debug)]
pub(super) struct Tool {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether it is there only where commands can be run.
    pub(super) runs_commands: bool,
    /// Its entry in `tools/list`, given the name.
    pub(super) define: fn(&str) -> Value,
    /// What it does; the arguments fit the schema.
    pub(super) call: fn(&Context, Value) -> Call<ToolResult>,
}

/// Every tool, in the order in which they are listed: those of the reference in its order, then our own.
pub(super) static TOOLS: &[Tool] = &[
    read::READ_FILE,
    read::READ_TEXT_FILE,
    read::READ_MEDIA_FILE,
    read::READ_MULTIPLE_FILES,
    write::WRITE_FILE,
    edit::EDIT_FILE,
    write::CREATE_DIRECTORY,
    directories::LIST_DIRECTORY,
    directories::LIST_DIRECTORY_WITH_SIZES,
    tree::DIRECTORY_TREE,
    write::MOVE_FILE,
    tree::SEARCH_FILES,
    info::GET_FILE_INFO,
    info::LIST_ALLOWED_DIRECTORIES,
    exec::EXEC,
    background::EXEC_START,
    background::EXEC_OUTPUT,
    background::EXEC_STOP,
    find::GREP,
    find::GLOB,
];

/// Runs a tool on its arguments as a struct.
fn with<T: DeserializeOwned>(
    context: &Context,
    arguments: Value,
    run: fn(&Context, T) -> Call<ToolResult>,
) -> Call<ToolResult> {
    match parsed(arguments) {
        Ok(arguments) => run(context, arguments),
        Err(error) => Call::err(error),
    }
}

/// What fits the schema fits the struct, but for numbers beyond what a field holds.
fn parsed<T: DeserializeOwned>(arguments: Value) -> Result<T> {
    serde_json::from_value(arguments).map_err(|error| {
        Error::new(
            ErrorCode::InvalidConfiguration,
            format!("wrong arguments: {error}"),
        )
    })
}
