//! The MCP tools, called without the protocol: arguments come as JSON text, results go as objects.

use agent_backend::call::Call;
use agent_backend::error::{Error, ErrorCode, Result};
use agent_backend::mcp::json_text;
use agent_backend::mcp::{
    Arguments as ToolArguments, ContentBlock, Structured, ToolResult, ToolServer,
};
use agent_backend::pool;
use agent_backend::status::Status;
use bytes::Bytes;
use napi::sys;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::Native;
use crate::arguments::{Arguments, TextRoom};
use crate::environment::Environment;
use crate::executor::start;
use crate::js::Js;
use crate::text::Text;

/// From this size on JSON is read, and text decoded, on the pool.
const ELSEWHERE: usize = 64 << 10;

/// `listTools(): string`
pub fn list_tools(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let server = server_of(native)?;
    Ok(arguments.js.utf8(server.list_json().as_bytes()))
}

/// `callTool(name, argumentsJson, cancel?): NativeToolResult`
pub fn call_tool(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let server = server_of(native)?;
    let name = arguments.string(0, "the tool's name")?;
    let mut room = TextRoom::new();
    let json = arguments.text(1, "the tool's arguments", &mut room)?;
    let cancel = arguments.cancellation(2)?;
    let call = if json.len() < ELSEWHERE {
        server.call(&name, parse(json)?, cancel.clone())
    } else {
        let json = json.to_vec();
        let cancel = cancel.clone();
        Call::pending(async move {
            let arguments = pool::run(move || parse(&json)).await?;
            server.call(&name, arguments, cancel).await
        })
    };
    let workspace = native.workspace.clone();
    let call = decoded(call).then(move |outcome| {
        let result = unless_cancelled(outcome, &cancel)?;
        // A model reads why its tool failed; that the backend is gone is for the program to know.
        match result.is_error && workspace.status() == Status::Destroyed {
            true => Err(destroyed()),
            false => Ok(result),
        }
    });
    Ok(start(arguments.environment, call, to_js))
}

fn server_of(native: &Native) -> Result<ToolServer> {
    if native.workspace.status() == Status::Destroyed {
        return Err(destroyed());
    }
    Ok(ToolServer::new(native.workspace.clone()))
}

fn destroyed() -> Error {
    Error::new(
        ErrorCode::Destroyed,
        "the backend was destroyed; create a new one",
    )
}

fn parse(json: &[u8]) -> Result<ToolArguments> {
    json_text::parse(json).map_err(|error| {
        Error::new(
            ErrorCode::InvalidConfiguration,
            format!("the tool's arguments must be a JSON object: {error}"),
        )
    })
}

/// A caller that gave up is told so, whatever the tool made of it.
fn unless_cancelled<T>(outcome: Result<T>, cancel: &CancellationToken) -> Result<T> {
    if cancel.is_cancelled() {
        return Err(Error::new(
            ErrorCode::Aborted,
            "the caller cancelled the call",
        ));
    }
    outcome
}

/// A result whose texts are ready for JavaScript.
struct Decoded {
    blocks: Vec<Block>,
    structured: Structured,
    is_error: bool,
}

enum Block {
    Text(Text),
    /// Base64 is ASCII.
    Media {
        kind: &'static str,
        data: Bytes,
        mime_type: &'static str,
    },
    Resource {
        uri: String,
        mime_type: &'static str,
        blob: Bytes,
    },
}

fn decoded(call: Call<ToolResult>) -> Call<Decoded> {
    call.and_then(|result| {
        if result.len() < ELSEWHERE {
            Call::ok(decode(result, Text::Utf8))
        } else {
            Call::blocking(move || Ok(decode(result, Text::decode)))
        }
    })
}

fn decode(result: ToolResult, text: fn(Bytes) -> Text) -> Decoded {
    let block = |block| match block {
        ContentBlock::Text(bytes) => Block::Text(text(bytes)),
        ContentBlock::Media {
            kind,
            data,
            mime_type,
        } => Block::Media {
            kind: kind.as_str(),
            data,
            mime_type,
        },
        ContentBlock::Resource {
            uri,
            mime_type,
            blob,
        } => Block::Resource {
            uri,
            mime_type,
            blob,
        },
    };
    Decoded {
        blocks: result.content.into_iter().map(block).collect(),
        structured: result.structured,
        is_error: result.is_error,
    }
}

/// The result of `tools/call`. A text that stands in both parts is one string.
fn to_js(environment: &Environment, result: Decoded) -> sys::napi_value {
    let js = environment.js;
    let mut first_text = js.undefined();
    let blocks: Vec<_> = (result.blocks.into_iter())
        .map(|block| block_to_js(js, block, &mut first_text))
        .collect();
    let object = js.object();
    js.set(object, c"content", js.array(blocks.iter().copied()));
    let structured = match &result.structured {
        Structured::None => None,
        Structured::Text => Some(content_object(js, first_text)),
        Structured::Content => Some(content_object(js, js.array(blocks.into_iter()))),
        Structured::Value(value) => Some(json_to_js(js, value)),
    };
    if let Some(structured) = structured {
        js.set(object, c"structuredContent", structured);
    }
    if result.is_error {
        js.set(object, c"isError", js.boolean(true));
    }
    object
}

fn content_object(js: Js, content: sys::napi_value) -> sys::napi_value {
    let object = js.object();
    js.set(object, c"content", content);
    object
}

fn block_to_js(js: Js, block: Block, first_text: &mut sys::napi_value) -> sys::napi_value {
    let object = js.object();
    let ascii = |bytes: Bytes| Text::Latin1(bytes).into_js(js);
    match block {
        Block::Text(text) => {
            *first_text = text.into_js(js);
            js.set(object, c"type", js.latin1(b"text"));
            js.set(object, c"text", *first_text);
        }
        Block::Media {
            kind,
            data,
            mime_type,
        } => {
            js.set(object, c"type", js.latin1(kind.as_bytes()));
            js.set(object, c"data", ascii(data));
            js.set(object, c"mimeType", js.latin1(mime_type.as_bytes()));
        }
        Block::Resource {
            uri,
            mime_type,
            blob,
        } => {
            let resource = js.object();
            js.set(resource, c"uri", js.utf8(uri.as_bytes()));
            js.set(resource, c"mimeType", js.latin1(mime_type.as_bytes()));
            js.set(resource, c"blob", ascii(blob));
            js.set(object, c"type", js.latin1(b"resource"));
            js.set(object, c"resource", resource);
        }
    }
    object
}

/// A value of the tools' own making, which is never deep.
fn json_to_js(js: Js, value: &Value) -> sys::napi_value {
    match value {
        Value::Null => js.null(),
        Value::Bool(boolean) => js.boolean(*boolean),
        Value::Number(number) => js.number(number.as_f64().unwrap_or_default()),
        Value::String(text) => js.utf8(text.as_bytes()),
        Value::Array(values) => js.array(values.iter().map(|value| json_to_js(js, value))),
        Value::Object(fields) => {
            let object = js.object();
            for (name, value) in fields {
                js.set_key(object, js.utf8(name.as_bytes()), json_to_js(js, value));
            }
            object
        }
    }
}
