//! Reading files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::context::Context;
use super::super::definition::{Definition, Effect, output, text_output};
use super::super::failure;
use super::super::result::{ContentBlock, MediaKind, ToolResult};
use super::super::text_lines;
use super::{MAX_TEXT_BYTES, Tool, with};
use crate::backend::{ReadOptions, ReadOutcome};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};

/// A larger file is not given as base64, which is a third longer.
const MAX_MEDIA_BYTES: u64 = 128 << 20;
/// More files in one call are refused.
const MAX_FILES: usize = 10_000;
/// Files that are read at the same time.
const FILES_AT_ONCE: usize = 32;
/// From this size on base64 is made on another thread.
const ENCODE_ELSEWHERE: usize = 32 << 10;

pub(super) const READ_FILE: Tool = Tool {
    name: "read_file",
    runs_commands: false,
    define: |name| {
        text_reader(
            name,
            "Read File (Deprecated)",
            "Read the complete contents of a file as text. DEPRECATED: Use read_text_file instead.",
        )
    },
    call: |context, arguments| with(context, arguments, read_text),
};

pub(super) const READ_TEXT_FILE: Tool = Tool {
    name: "read_text_file",
    runs_commands: false,
    define: |name| {
        text_reader(
            name,
            "Read Text File",
            "Read the complete contents of a file from the file system as text. Handles various text encodings and \
             provides detailed error messages if the file cannot be read. Use this tool when you need to examine the \
             contents of a single file. Use the 'head' parameter to read only the first N lines of a file, or the \
             'tail' parameter to read only the last N lines of a file. Operates on the file as text regardless of \
             extension. Only works within allowed directories.",
        )
    },
    call: |context, arguments| with(context, arguments, read_text),
};

fn text_reader(name: &str, title: &'static str, description: &'static str) -> Value {
    Definition {
        title,
        description,
        properties: json!({
            "path": { "type": "string" },
            "tail": {
                "description": "If provided, returns only the last N lines of the file",
                "type": "number"
            },
            "head": {
                "description": "If provided, returns only the first N lines of the file",
                "type": "number"
            }
        }),
        required: &["path"],
        effect: Effect::Reads,
        output: text_output(),
    }
    .named(name)
}

#[derive(Deserialize)]
struct ReadText {
    path: String,
    tail: Option<f64>,
    head: Option<f64>,
}

fn read_text(context: &Context, arguments: ReadText) -> Call<ToolResult> {
    let ReadText { path, tail, head } = arguments;
    let given = |count: Option<f64>| count.filter(|count| *count != 0.0);
    let workspace = context.workspace.clone();
    match (given(head), given(tail)) {
        (Some(_), Some(_)) => Call::ok(ToolResult::error(
            "Cannot specify both head and tail parameters simultaneously",
        )),
        (Some(count), None) => context.attempt("open", &path).finish(
            Call::spawned(text_lines::head(workspace, path, count)),
            ToolResult::text,
        ),
        // The end of a file is looked for before it is opened.
        (None, Some(count)) => context.attempt("stat", &path).finish(
            Call::spawned(text_lines::tail(workspace, path, count)),
            ToolResult::text,
        ),
        (None, None) => context
            .attempt("open", &path)
            .finish(whole(context, &path, MAX_TEXT_BYTES), |outcome| {
                ToolResult::text(outcome.bytes)
            }),
    }
}

fn whole(context: &Context, path: &str, max_bytes: u64) -> Call<ReadOutcome> {
    let options = ReadOptions {
        max_bytes: Some(max_bytes),
        ..ReadOptions::default()
    };
    context.workspace.read(path, options)
}

pub(super) const READ_MEDIA_FILE: Tool = Tool {
    name: "read_media_file",
    runs_commands: false,
    define: |name| {
        Definition {
            title: "Read Media File",
            description: "Read a file and return it as a base64-encoded content block with its MIME type. Image and \
                          audio files are returned as image/audio content; any other file type is returned as an \
                          embedded resource. Only works within allowed directories.",
            properties: json!({ "path": { "type": "string" } }),
            required: &["path"],
            effect: Effect::Reads,
            output: media_output(),
        }
        .named(name)
    },
    call: |context, arguments| with(context, arguments, read_media),
};

fn media_output() -> Value {
    let text = json!({ "type": "string" });
    let media = json!({
        "type": "object",
        "properties": {
            "type": { "type": "string", "enum": ["image", "audio"] },
            "data": text,
            "mimeType": text
        },
        "required": ["type", "data", "mimeType"],
        "additionalProperties": false
    });
    let resource = json!({
        "type": "object",
        "properties": {
            "type": { "type": "string", "const": "resource" },
            "resource": {
                "type": "object",
                "properties": { "uri": text, "mimeType": text, "blob": text },
                "required": ["uri", "blob"],
                "additionalProperties": false
            }
        },
        "required": ["type", "resource"],
        "additionalProperties": false
    });
    let blocks = json!({ "type": "array", "items": { "anyOf": [media, resource] } });
    output(json!({ "content": blocks }), &["content"])
}

#[derive(Deserialize)]
struct ReadMedia {
    path: String,
}

fn read_media(context: &Context, arguments: ReadMedia) -> Call<ToolResult> {
    let ReadMedia { path } = arguments;
    let attempt = context.attempt("open", &path);
    let reading = whole(context, &path, MAX_MEDIA_BYTES);
    let named = context
        .real(&path)
        .and_then(|real| reading.map(|outcome| (real, outcome.bytes)));
    let encoded = named.and_then(|(path, bytes)| {
        let is_small = bytes.len() < ENCODE_ELSEWHERE;
        let encode = move || Ok(ToolResult::block(media_block(&path, &bytes)));
        if is_small {
            Call::from(encode())
        } else {
            Call::blocking(encode)
        }
    });
    attempt.finish(encoded, |result| result)
}

fn media_block(path: &str, bytes: &[u8]) -> ContentBlock {
    let data = Bytes::from(STANDARD.encode(bytes));
    let mime_type = mime_type_of(path);
    let kind = match mime_type.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        _ => {
            return ContentBlock::Resource {
                uri: file_address(path),
                mime_type,
                blob: data,
            };
        }
    };
    ContentBlock::Media {
        kind,
        data,
        mime_type,
    }
}

/// By the extension, in lower case; what begins with its only dot has none.
fn mime_type_of(path: &str) -> &'static str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = match name.rfind('.') {
        Some(at) if at > 0 => name[at + 1..].to_lowercase(),
        _ => String::new(),
    };
    match extension.as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "bmp" => "image/bmp",
        "svg" => "image/svg+xml",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "ogg" => "audio/ogg",
        "flac" => "audio/flac",
        _ => "application/octet-stream",
    }
}

/// The `file:` address of an absolute path, escaped as by Node's `pathToFileURL`.
fn file_address(path: &str) -> String {
    let mut address = "file://".to_owned();
    for byte in path.bytes() {
        let plain = match byte {
            b'"' | b'#' | b'%' | b'<' | b'>' | b'?' | b'[' | b'\\' | b']' | b'^' | b'`' => false,
            byte => (b'!'..=b'z').contains(&byte),
        };
        if plain {
            address.push(char::from(byte));
        } else {
            address.push_str(&format!("%{byte:02X}"));
        }
    }
    address
}

pub(super) const READ_MULTIPLE_FILES: Tool = Tool {
    name: "read_multiple_files",
    runs_commands: false,
    define: |name| {
        Definition {
            title: "Read Multiple Files",
            description: "Read the contents of multiple files simultaneously. This is more efficient than reading \
                          files one by one when you need to analyze or compare multiple files. Each file's content is \
                          returned with its path as a reference. Failed reads for individual files won't stop the \
                          entire operation. Only works within allowed directories.",
            properties: json!({
                "paths": {
                    "minItems": 1,
                    "type": "array",
                    "items": { "type": "string" },
                    "description": "Array of file paths to read. Each path must be a string pointing to a valid file \
                                    within allowed directories."
                }
            }),
            required: &["paths"],
            effect: Effect::Reads,
            output: text_output(),
        }
        .named(name)
    },
    call: |context, arguments| with(context, arguments, read_multiple),
};

#[derive(Deserialize)]
struct ReadMultiple {
    paths: Vec<String>,
}

fn read_multiple(context: &Context, arguments: ReadMultiple) -> Call<ToolResult> {
    if arguments.paths.len() > MAX_FILES {
        return Call::err(Error::new(
            ErrorCode::TooLarge,
            format!("at most {MAX_FILES} files are read in one call"),
        ));
    }
    Call::spawned(join_files(context.clone(), arguments.paths))
}

async fn join_files(context: Context, paths: Vec<String>) -> Result<ToolResult> {
    let mut text: Vec<u8> = Vec::new();
    let mut first = true;
    for some in paths.chunks(FILES_AT_ONCE) {
        if context.cancel.is_cancelled() {
            return Err(Error::new(
                ErrorCode::Aborted,
                "the caller cancelled the call",
            ));
        }
        let room = MAX_TEXT_BYTES.saturating_sub(text.len() as u64);
        let reading: Vec<_> = (some.iter())
            .map(|path| (path, whole(&context, path, room)))
            .collect();
        for (path, call) in reading {
            if !std::mem::take(&mut first) {
                text.extend_from_slice(b"\n---\n");
            }
            text.extend_from_slice(path.as_bytes());
            match call.await.and_then(|outcome| fits(outcome, text.len())) {
                Ok(bytes) => {
                    text.extend_from_slice(b":\n");
                    text.extend_from_slice(&bytes);
                    text.push(b'\n');
                }
                Err(error) => {
                    let why = failure::text(&context.attempt("open", path), error).await?;
                    text.extend_from_slice(format!(": Error - {why}").as_bytes());
                }
            }
        }
    }
    Ok(ToolResult::text(text))
}

/// Files that are read at the same time each fit; together they need not.
fn fits(outcome: ReadOutcome, used: usize) -> Result<Bytes> {
    if (used + outcome.bytes.len()) as u64 <= MAX_TEXT_BYTES {
        return Ok(outcome.bytes);
    }
    Err(Error::new(
        ErrorCode::TooLarge,
        format!(
            "the files together have more than {MAX_TEXT_BYTES} bytes; read this one by itself"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_media_type_is_that_of_the_extension() {
        for (path, expected) in [
            ("/w/a.PNG", "image/png"),
            ("/w/a.b.jpeg", "image/jpeg"),
            ("/w/.png", "application/octet-stream"),
            ("/w.png/a", "application/octet-stream"),
            ("/w/a.", "application/octet-stream"),
            ("/w/song.flac", "audio/flac"),
        ] {
            assert_eq!(mime_type_of(path), expected, "{path}");
        }
    }

    #[test]
    fn a_file_address_escapes_what_an_address_cannot_hold() {
        assert_eq!(
            file_address("/w/a b#c?d%e/ä\n[1]~'(2)"),
            "file:///w/a%20b%23c%3Fd%25e/%C3%A4%0A%5B1%5D%7E'(2)"
        );
    }
}
