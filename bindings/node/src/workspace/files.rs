//! The file operations.

use agent_backend::backend::{
    DirEntry, Durability, Etag, FileKind, FileStat, ListOptions, ReadOptions, ReadOutcome,
    RemoveOptions, RenameOptions, WriteMode, WriteOptions,
};
use agent_backend::call::Call;
use agent_backend::error::{Error, ErrorCode, Result};
use napi::sys;

use super::Native;
use crate::arguments::{Arguments, TextRoom};
use crate::content::content;
use crate::environment::Environment;
use crate::executor::start;
use crate::stat;
use crate::text::{self, MAX_BUFFER_BYTES, MAX_TEXT_BYTES, Text};

/// Bits of the third argument of `write`.
pub const CREATE_NEW: u32 = 1;
pub const APPEND: u32 = 2;
pub const DISK: u32 = 4;
/// Bits of the second argument of `rm`.
pub const RECURSIVE: u32 = 1;
pub const FORCE: u32 = 2;

/// `readText(path, offset?, length?): string`
pub fn read_text(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let call = read(native, arguments, 1, MAX_TEXT_BYTES)?;
    let call = text::decoded(call, |outcome| &outcome.bytes, |_, text| text);
    Ok(start(arguments.environment, call, |environment, text| {
        text.into_js(environment.js)
    }))
}

/// `readBuffer(path, offset?, length?): Buffer`
pub fn read_buffer(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let call = private(read(native, arguments, 1, MAX_BUFFER_BYTES)?);
    Ok(start(
        arguments.environment,
        call,
        |environment, outcome| environment.js.buffer(outcome.bytes),
    ))
}

/// `readWithStat(path, asText, offset?, length?): [string | Buffer, etag, Float64Array]`
pub fn read_with_stat(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    if !arguments.boolean(1) {
        let call = private(read(native, arguments, 2, MAX_BUFFER_BYTES)?);
        return Ok(start(
            arguments.environment,
            call,
            |environment, outcome| {
                let content = environment.js.buffer(outcome.bytes);
                with_stat(environment, content, &outcome.stat)
            },
        ));
    }
    let call = read(native, arguments, 2, MAX_TEXT_BYTES)?;
    let call = text::decoded(
        call,
        |outcome| &outcome.bytes,
        |outcome, text| (text, outcome.stat),
    );
    let convert = |environment: &Environment, (text, stat): (Text, FileStat)| {
        with_stat(environment, text.into_js(environment.js), &stat)
    };
    Ok(start(arguments.environment, call, convert))
}

fn with_stat(
    environment: &Environment,
    content: sys::napi_value,
    stat: &FileStat,
) -> sys::napi_value {
    let js = environment.js;
    let etag = js.latin1(stat.etag().0.as_bytes());
    let row = js.float64_array(&stat::pack(stat));
    js.array([content, etag, row].into_iter())
}

fn read(
    native: &Native,
    arguments: &Arguments<'_>,
    range_at: usize,
    max_bytes: u64,
) -> Result<Call<ReadOutcome>> {
    let mut room = TextRoom::new();
    let path = arguments.path(0, &mut room)?;
    let offset = arguments.count(range_at, "offset")?;
    let length = arguments.count(range_at + 1, "length")?;
    let range = match (offset, length) {
        (None, None) => None,
        (offset, length) => {
            let from = offset.unwrap_or(0);
            Some(from..length.map_or(u64::MAX, |length| from.saturating_add(length)))
        }
    };
    let options = ReadOptions {
        range,
        max_bytes: Some(max_bytes),
    };
    Ok(native.workspace.read(path, options))
}

/// Makes large content this caller's own before it comes to the JavaScript thread, where a copy would stall it.
fn private(call: Call<ReadOutcome>) -> Call<ReadOutcome> {
    const LARGE: usize = 1 << 20;
    fn copied(mut outcome: ReadOutcome) -> Result<ReadOutcome> {
        outcome.bytes = bytes::Bytes::from(outcome.bytes.to_vec());
        Ok(outcome)
    }
    match call {
        Call::Ready(Ok(outcome)) if outcome.bytes.len() >= LARGE && !outcome.bytes.is_unique() => {
            Call::blocking(move || copied(outcome))
        }
        Call::Ready(result) => Call::Ready(result),
        Call::Pending(future) => Call::pending(async move {
            let outcome = future.await?;
            if outcome.bytes.len() < LARGE || outcome.bytes.is_unique() {
                return Ok(outcome);
            }
            agent_backend::pool::run(move || copied(outcome)).await
        }),
    }
}

/// `write(path, content, flags?, ifMatch?, mode?, ttlMs?): undefined`
pub fn write(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let path = arguments.path(0, &mut room)?;
    let content = content(arguments, 1)?;
    let call = native
        .workspace
        .write(path, content, write_options(arguments)?);
    Ok(start(arguments.environment, call, |environment, _| {
        environment.js.undefined()
    }))
}

fn write_options(arguments: &Arguments<'_>) -> Result<WriteOptions> {
    let mut options = WriteOptions::default();
    if arguments.is_missing(2) {
        return Ok(options);
    }
    let flags = arguments.flags(2);
    options.mode = write_mode(flags, arguments.optional_string(3, "ifMatch")?)?;
    if flags & DISK != 0 {
        options.durability = Durability::Disk;
    }
    if let Some(mode) = arguments.count(4, "mode")? {
        options.permissions = u32::try_from(mode).ok();
    }
    options.ttl_ms = arguments.count(5, "ttlMs")?;
    Ok(options)
}

/// How a write treats what is there.
pub fn write_mode(flags: u32, if_match: Option<String>) -> Result<WriteMode> {
    match (flags & CREATE_NEW != 0, flags & APPEND != 0, if_match) {
        (false, false, None) => Ok(WriteMode::Replace),
        (true, false, None) => Ok(WriteMode::CreateNew),
        (false, true, None) => Ok(WriteMode::Append),
        (false, false, Some(etag)) => Ok(WriteMode::IfMatch(Etag(etag))),
        _ => Err(Error::new(
            ErrorCode::InvalidConfiguration,
            "`append`, `createOnly` and `ifMatch` exclude each other; pass one of them",
        )),
    }
}

/// `stat(path): string | undefined`, the numbers in the module's `statArray`, the etag where the numbers are not
/// exact enough to tell it; as a promise, `[Float64Array, etag]`.
pub fn stat(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let call = native.workspace.stat(arguments.path(0, &mut room)?);
    Ok(start_stat(arguments, call))
}

/// `lstat(path)`, as `stat`.
pub fn lstat(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let call = native.workspace.lstat(arguments.path(0, &mut room)?);
    Ok(start_stat(arguments, call))
}

fn start_stat(arguments: &Arguments<'_>, call: Call<FileStat>) -> sys::napi_value {
    if let Call::Ready(Ok(stat)) = call {
        arguments.environment.deliver();
        // After the callbacks, which may call `stat` themselves.
        arguments.environment.put_stat(&stat);
        return inexact_etag(arguments.environment, &stat);
    }
    start(arguments.environment, call, |environment, stat| {
        stat_to_js(environment, &stat)
    })
}

/// `[Float64Array, etag]`, the etag where the numbers do not tell it.
pub fn stat_to_js(environment: &Environment, stat: &FileStat) -> sys::napi_value {
    let row = environment.js.float64_array(&stat::pack(stat));
    let etag = inexact_etag(environment, stat);
    environment.js.array([row, etag].into_iter())
}

fn inexact_etag(environment: &Environment, stat: &FileStat) -> sys::napi_value {
    if stat::is_exact(stat) {
        environment.js.undefined()
    } else {
        environment.js.latin1(stat.etag().0.as_bytes())
    }
}

/// `exists(path): boolean`
pub fn exists(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let call = native.workspace.exists(arguments.path(0, &mut room)?);
    Ok(start(arguments.environment, call, |environment, there| {
        environment.js.boolean(there)
    }))
}

/// `list(path): string`, names joined
pub fn list(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let call = list_call(native, arguments, false)?;
    let call = call.map(|entries| {
        let names: Vec<_> = entries.into_iter().map(|entry| entry.name).collect();
        names
    });
    Ok(start(arguments.environment, call, |environment, names| {
        environment.js.joined(&names)
    }))
}

/// `listWithStats(path): [string, Float64Array, (string | undefined)[]]`: names joined, rows, and the etags that the
/// rows do not tell.
pub fn list_with_stats(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let call = list_call(native, arguments, true)?;
    Ok(start(arguments.environment, call, entries_to_js))
}

/// The value of [`list_with_stats`].
pub fn entries_to_js(environment: &Environment, entries: Vec<DirEntry>) -> sys::napi_value {
    let js = environment.js;
    let (mut names, mut rows) = (
        Vec::with_capacity(entries.len()),
        Vec::with_capacity(entries.len() * stat::LENGTH),
    );
    let mut etags = Vec::new();
    for DirEntry { name, kind, stat } in entries {
        names.push(name);
        rows.extend_from_slice(&row(kind, stat.as_ref()));
        if stat.as_ref().is_some_and(|stat| !stat::is_exact(stat)) {
            etags.resize(names.len() - 1, js.undefined());
            etags.push(stat.map_or(js.undefined(), |s| js.latin1(s.etag().0.as_bytes())));
        }
    }
    let names = js.joined(&names);
    let rows = js.float64_array(&rows);
    let etags = js.array(etags.into_iter());
    js.array([names, rows, etags].into_iter())
}

fn row(kind: FileKind, stat: Option<&FileStat>) -> [f64; stat::LENGTH] {
    stat.map_or_else(|| stat::unknown(kind), stat::pack)
}

fn list_call(
    native: &Native,
    arguments: &Arguments<'_>,
    with_stat: bool,
) -> Result<Call<Vec<DirEntry>>> {
    let mut room = TextRoom::new();
    let path = arguments.path(0, &mut room)?;
    Ok(native.workspace.list(path, ListOptions { with_stat }))
}

/// `mkdir(path, recursive): undefined`
pub fn mkdir(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let path = arguments.path(0, &mut room)?;
    Ok(done(
        arguments,
        native.workspace.create_dir(path, arguments.boolean(1)),
    ))
}

/// `rm(path, flags?): undefined`
pub fn rm(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let path = arguments.path(0, &mut room)?;
    let flags = arguments.flags(1);
    let options = RemoveOptions {
        recursive: flags & RECURSIVE != 0,
        force: flags & FORCE != 0,
        ..RemoveOptions::default()
    };
    Ok(done(arguments, native.workspace.remove(path, options)))
}

/// `rename(from, to): undefined`
pub fn rename(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let (mut room, mut other_room) = (TextRoom::new(), TextRoom::new());
    let from = arguments.path(0, &mut room)?;
    let to = arguments.path(1, &mut other_room)?;
    Ok(done(
        arguments,
        native.workspace.rename(from, to, RenameOptions::default()),
    ))
}

/// `touch(path): undefined`
pub fn touch(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let path = arguments.path(0, &mut room)?;
    Ok(done(arguments, native.workspace.touch(path)))
}

/// `keys(prefix): string`, keys joined
pub fn keys(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let call = native
        .workspace
        .list_keys(arguments.text(0, "the prefix", &mut room)?);
    Ok(start(arguments.environment, call, |environment, keys| {
        environment.js.utf8(keys.joined())
    }))
}

/// `deleteKey(key): boolean`
pub fn delete_key(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let call = native
        .workspace
        .delete_key(arguments.text(0, "the key", &mut room)?);
    Ok(start(arguments.environment, call, |environment, there| {
        environment.js.boolean(there)
    }))
}

/// `clear(): undefined`
pub fn clear(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    Ok(done(arguments, native.workspace.clear_keys()))
}

/// Starts a call that has nothing to say but that it is over.
pub fn done(arguments: &Arguments<'_>, call: Call<()>) -> sys::napi_value {
    start(arguments.environment, call, |environment, ()| {
        environment.js.undefined()
    })
}
