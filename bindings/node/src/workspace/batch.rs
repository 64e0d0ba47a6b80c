//! Several operations in one call.

use agent_backend::backend::{
    BatchOperation, BatchOutcome, Content, Durability, ListOptions, ReadOptions, RemoveOptions,
    RenameOptions, WriteOptions,
};
use agent_backend::call::Call;
use agent_backend::error::Result;
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

/// What an operation gave, ready for JavaScript.
enum Value {
    Text(Text),
    Other(BatchOutcome),
}

/// `batch(operations): [isDone, value or error][]`
pub fn batch(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let given: Vec<NativeBatchOperation> = arguments.options(0)?;
    let as_text: Vec<bool> = given
        .iter()
        .map(|one| one.as_text.unwrap_or(true))
        .collect();
    let operations: Vec<_> = given.into_iter().map(operation).collect::<Result<_>>()?;
    let call = native.workspace.batch(operations).and_then(|outcomes| {
        let bytes: usize = outcomes.iter().map(size_of_content).sum();
        if bytes < DECODE_ELSEWHERE {
            Call::ok(decoded(outcomes, &as_text, Text::Utf8))
        } else {
            Call::blocking(move || Ok(decoded(outcomes, &as_text, Text::decode)))
        }
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

fn operation(given: NativeBatchOperation) -> Result<BatchOperation> {
    let flags = given.flags.unwrap_or(0);
    let path = given.path.clone().into_bytes();
    Ok(match given.op.as_str() {
        "read" => BatchOperation::Read {
            path,
            options: read_options(&given),
        },
        "write" => {
            let options = write_options(&given, flags)?;
            let content = match given.content {
                Some(Either::A(text)) => Content::owned(text),
                Some(Either::B(bytes)) => Content::owned(Bytes::copy_from_slice(&bytes)),
                None => Content::owned(Bytes::new()),
            };
            BatchOperation::Write {
                path,
                content,
                options,
            }
        }
        "stat" | "lstat" => BatchOperation::Stat {
            path,
            follow: given.op == "stat",
        },
        "exists" => BatchOperation::Exists { path },
        "readdir" | "readdirWithStats" => BatchOperation::List {
            path,
            options: ListOptions {
                with_stat: given.op == "readdirWithStats",
            },
        },
        "mkdir" => BatchOperation::CreateDir {
            path,
            recursive: flags & RECURSIVE != 0,
        },
        "rm" => BatchOperation::Remove {
            path,
            options: RemoveOptions {
                recursive: flags & RECURSIVE != 0,
                force: flags & FORCE != 0,
                ..RemoveOptions::default()
            },
        },
        "rename" => BatchOperation::Rename {
            from: path,
            to: given.to.unwrap_or_default().into_bytes(),
            options: RenameOptions::default(),
        },
        "touch" => BatchOperation::Touch { path },
        _ => return Err(error::wrong_type("`op`", "the name of an operation")),
    })
}

fn read_options(given: &NativeBatchOperation) -> ReadOptions {
    let range = match (given.offset.map(whole), given.length.map(whole)) {
        (None, None) => None,
        (offset, length) => {
            let from = offset.unwrap_or(0);
            Some(from..length.map_or(u64::MAX, |length| from.saturating_add(length)))
        }
    };
    ReadOptions {
        range,
        max_bytes: Some(match given.as_text {
            Some(false) => MAX_BUFFER_BYTES,
            _ => MAX_TEXT_BYTES,
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

fn size_of_content(outcome: &Result<BatchOutcome>) -> usize {
    match outcome {
        Ok(BatchOutcome::Read(read)) => read.bytes.len(),
        _ => 0,
    }
}

/// The outcomes, with text made of what was to be read as such.
fn decoded(
    outcomes: Vec<Result<BatchOutcome>>,
    as_text: &[bool],
    text: fn(Bytes) -> Text,
) -> Vec<Result<Value>> {
    let one = |(outcome, &as_text): (Result<BatchOutcome>, &bool)| {
        outcome.map(|outcome| match outcome {
            BatchOutcome::Read(read) if as_text => Value::Text(text(read.bytes)),
            other => Value::Other(other),
        })
    };
    outcomes.into_iter().zip(as_text).map(one).collect()
}

/// `[true, value]` or `[false, error]`.
fn row(environment: &Environment, outcome: Result<Value>) -> sys::napi_value {
    let js = environment.js;
    let is_done = js.boolean(outcome.is_ok());
    let value = match outcome {
        Ok(Value::Text(text)) => text.into_js(js),
        Ok(Value::Other(outcome)) => outcome_to_js(environment, outcome),
        Err(failure) => error::to_js(js, &failure),
    };
    js.array([is_done, value].into_iter())
}

fn outcome_to_js(environment: &Environment, outcome: BatchOutcome) -> sys::napi_value {
    let js = environment.js;
    match outcome {
        BatchOutcome::Read(read) => js.buffer(read.bytes),
        BatchOutcome::Stat(stat) => files::stat_to_js(environment, &stat),
        BatchOutcome::Exists(there) => js.boolean(there),
        BatchOutcome::List(entries) => files::entries_to_js(environment, entries),
        BatchOutcome::Written(_) | BatchOutcome::Done => js.undefined(),
    }
}
