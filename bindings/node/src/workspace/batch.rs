//! Several operations in one call.

use agent_backend::backend::{
    Content, DirEntry, Durability, FileStat, ListOptions, ReadOptions, RemoveOptions,
    RenameOptions, WriteOptions,
};
use agent_backend::call::Call;
use agent_backend::error::Result;
use agent_backend::pool;
use agent_backend::workspace::Workspace;
use bytes::Bytes;
use napi::bindgen_prelude::{Either, Uint8Array};
use napi::sys;
use napi_derive::napi;

use super::Native;
use super::files::{self, DISK, FORCE, RECURSIVE};
use super::life::whole;
use crate::arguments::Arguments;
use crate::environment::Environment;
use crate::error;
use crate::executor::start;
use crate::text::{MAX_BUFFER_BYTES, MAX_TEXT_BYTES, Text};

/// From this size on text is decoded on the pool.
const DECODE_ELSEWHERE: usize = 64 << 10;

/// One operation of a batch: its name, and the arguments of the method of the same name.
#[napi(object, object_to_js = false)]
pub struct NativeBatchOperation {
    /// Which.
    pub op: String,
    /// Of what.
    pub path: String,
    /// `rename`: the new name.
    pub to: Option<String>,
    /// `write`: the content.
    pub content: Option<Either<String, Uint8Array>>,
    /// Those of `write`, `rm` and `mkdir` (1 recursive).
    pub flags: Option<u32>,
    /// `write`: the etag that must be there.
    pub if_match: Option<String>,
    /// `write`: permissions.
    pub mode: Option<u32>,
    /// `write`: life in milliseconds.
    pub ttl_ms: Option<f64>,
    /// `read`: where it begins.
    pub offset: Option<f64>,
    /// `read`: how many bytes.
    pub length: Option<f64>,
    /// `read`: as text.
    pub as_text: Option<bool>,
}

/// An operation whose values belong to us.
enum Operation {
    Read(String, ReadOptions, bool),
    Write(String, Content, WriteOptions),
    Stat(String),
    Lstat(String),
    Exists(String),
    List(String, bool),
    CreateDir(String, bool),
    Remove(String, RemoveOptions),
    Rename(String, String),
    Touch(String),
}

/// What an operation gave.
enum Value {
    Text(Text),
    Bytes(Bytes),
    Stat(Box<FileStat>),
    Exists(bool),
    Names(Vec<DirEntry>),
    Entries(Vec<DirEntry>),
    Nothing,
}

/// `batch(operations): [isDone, value or error][]`
pub fn batch(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let given: Vec<NativeBatchOperation> = arguments.options(0)?;
    let operations: Vec<Operation> = given.into_iter().map(operation).collect::<Result<_>>()?;
    let workspace = native.workspace.clone();
    let call = Call::pending(async move {
        let mut outcomes = Vec::with_capacity(operations.len());
        for operation in operations {
            outcomes.push(perform(&workspace, operation).await);
        }
        Ok(outcomes)
    });
    Ok(start(
        arguments.environment,
        call,
        |environment, outcomes| {
            let rows: Vec<_> = (outcomes.into_iter())
                .map(|outcome| row(environment, outcome))
                .collect();
            environment.js.array(rows.into_iter())
        },
    ))
}

fn operation(given: NativeBatchOperation) -> Result<Operation> {
    let flags = given.flags.unwrap_or(0);
    let path = given.path.clone();
    Ok(match given.op.as_str() {
        "read" => {
            let as_text = given.as_text.unwrap_or(true);
            Operation::Read(path, read_options(&given, as_text), as_text)
        }
        "write" => {
            let options = write_options(&given, flags)?;
            let content = match given.content {
                Some(Either::A(text)) => Content::owned(text),
                Some(Either::B(bytes)) => Content::owned(Bytes::copy_from_slice(&bytes)),
                None => Content::owned(Bytes::new()),
            };
            Operation::Write(path, content, options)
        }
        "stat" => Operation::Stat(path),
        "lstat" => Operation::Lstat(path),
        "exists" => Operation::Exists(path),
        "readdir" => Operation::List(path, false),
        "readdirWithStats" => Operation::List(path, true),
        "mkdir" => Operation::CreateDir(path, flags & RECURSIVE != 0),
        "rm" => Operation::Remove(
            path,
            RemoveOptions {
                recursive: flags & RECURSIVE != 0,
                force: flags & FORCE != 0,
            },
        ),
        "rename" => Operation::Rename(path, given.to.unwrap_or_default()),
        "touch" => Operation::Touch(path),
        _ => return Err(error::wrong_type("`op`", "the name of an operation")),
    })
}

fn read_options(given: &NativeBatchOperation, as_text: bool) -> ReadOptions {
    let range = match (given.offset.map(whole), given.length.map(whole)) {
        (None, None) => None,
        (offset, length) => {
            let from = offset.unwrap_or(0);
            Some(from..length.map_or(u64::MAX, |length| from.saturating_add(length)))
        }
    };
    ReadOptions {
        range,
        max_bytes: Some(if as_text {
            MAX_TEXT_BYTES
        } else {
            MAX_BUFFER_BYTES
        }),
    }
}

fn write_options(given: &NativeBatchOperation, flags: u32) -> Result<WriteOptions> {
    Ok(WriteOptions {
        mode: files::write_mode(flags, given.if_match.clone())?,
        durability: if flags & DISK != 0 {
            Durability::Disk
        } else {
            Durability::default()
        },
        permissions: given.mode,
        ttl_ms: given.ttl_ms.map(whole),
    })
}

async fn perform(workspace: &Workspace, operation: Operation) -> Result<Value> {
    Ok(match operation {
        Operation::Read(path, options, as_text) => {
            let bytes = workspace.read(path, options).await?.bytes;
            match as_text {
                false => Value::Bytes(bytes),
                true if bytes.len() < DECODE_ELSEWHERE => Value::Text(Text::Utf8(bytes)),
                true => Value::Text(pool::run(move || Ok(Text::decode(bytes))).await?),
            }
        }
        Operation::Write(path, content, options) => {
            workspace.write(path, content, options).await?;
            Value::Nothing
        }
        Operation::Stat(path) => Value::Stat(Box::new(workspace.stat(path).await?)),
        Operation::Lstat(path) => Value::Stat(Box::new(workspace.lstat(path).await?)),
        Operation::Exists(path) => Value::Exists(workspace.exists(path).await?),
        Operation::List(path, with_stat) => {
            let entries = workspace.list(path, ListOptions { with_stat }).await?;
            match with_stat {
                true => Value::Entries(entries),
                false => Value::Names(entries),
            }
        }
        Operation::CreateDir(path, recursive) => {
            workspace.create_dir(path, recursive).await?;
            Value::Nothing
        }
        Operation::Remove(path, options) => {
            workspace.remove(path, options).await?;
            Value::Nothing
        }
        Operation::Rename(from, to) => {
            workspace.rename(from, to, RenameOptions::default()).await?;
            Value::Nothing
        }
        Operation::Touch(path) => {
            workspace.touch(path).await?;
            Value::Nothing
        }
    })
}

/// `[true, value]` or `[false, error]`.
fn row(environment: &Environment, outcome: Result<Value>) -> sys::napi_value {
    let js = environment.js;
    let is_done = js.boolean(outcome.is_ok());
    let value = match outcome {
        Ok(value) => value_to_js(environment, value),
        Err(failure) => error::to_js(js, &failure),
    };
    js.array([is_done, value].into_iter())
}

fn value_to_js(environment: &Environment, value: Value) -> sys::napi_value {
    let js = environment.js;
    match value {
        Value::Text(text) => text.into_js(js),
        Value::Bytes(bytes) => js.buffer(bytes),
        Value::Stat(stat) => files::stat_to_js(environment, &stat),
        Value::Exists(there) => js.boolean(there),
        Value::Names(entries) => {
            let names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
            js.joined(&names)
        }
        Value::Entries(entries) => files::entries_to_js(environment, entries),
        Value::Nothing => js.undefined(),
    }
}
