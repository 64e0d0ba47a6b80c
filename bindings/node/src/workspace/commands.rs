//! Commands: run to their end, or left running.

use std::sync::Arc;

use agent_backend::call::Call;
use agent_backend::error::Result;
use agent_backend::workspace::{
    CommandOutput, OutputListener, OutputStream, RunOptions, trim_trailing_newline,
};
use bytes::Bytes;
use napi::bindgen_prelude::{Either, Uint8Array};
use napi::sys;
use napi_derive::napi;

use super::life::{pairs, whole};
use super::limits::NativeLimits;
use super::{Native, background};
use crate::arguments::Arguments;
use crate::delivery::Payload;
use crate::environment::Environment;
use crate::executor::start;
use crate::js::Js;
use crate::text::Text;

/// From this size on output is decoded on the pool.
const DECODE_ELSEWHERE: usize = 64 << 10;

/// Options of `run` and `spawn`.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct NativeCommandOptions {
    /// Directory to run in. Default: the root.
    pub cwd: Option<String>,
    /// Names and values of variables in turn.
    pub env: Option<Vec<String>>,
    /// Names of variables to remove.
    pub unset: Option<Vec<String>>,
    /// What it reads. Default: nothing; for `spawn` a pipe.
    pub stdin: Option<Either<String, Uint8Array>>,
    /// Time limit in milliseconds.
    pub timeout_ms: Option<f64>,
    /// Bytes kept of each output stream.
    pub max_output_bytes: Option<f64>,
    /// What it may use.
    pub limits: Option<NativeLimits>,
}

/// `run(command, mustSucceed, asText, options?, cancel?, onStdout?, onStderr?): NativeCommandResult`
pub fn run(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let command = arguments.string(0, "the command")?;
    let options = run_options(arguments, 3)?;
    let call = if arguments.boolean(1) {
        native.workspace.exec(&command, options)
    } else {
        native.workspace.run(&command, options)
    };
    if arguments.boolean(2) {
        return Ok(start_text_result(arguments.environment, call));
    }
    Ok(start(
        arguments.environment,
        call,
        |environment, mut output| {
            let js = environment.js;
            let stdout = js.buffer(Bytes::from(std::mem::take(&mut output.stdout)));
            let stderr = js.buffer(Bytes::from(std::mem::take(&mut output.stderr)));
            to_js(js, stdout, stderr, &output)
        },
    ))
}

/// `spawn(command, options?, cancel?, onStdout?, onStderr?): NativeBackgroundCommand`
pub fn spawn(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let command = arguments.string(0, "the command")?;
    let call = native.workspace.spawn(&command, run_options(arguments, 1)?);
    Ok(start(arguments.environment, call, background::instance))
}

/// Starts a call whose output comes as text, each stream without its trailing newline.
pub fn start_text_result(environment: &Environment, call: Call<CommandOutput>) -> sys::napi_value {
    let call = call.and_then(|output| {
        if output.stdout.len() + output.stderr.len() < DECODE_ELSEWHERE {
            Call::Ready(decode(output))
        } else {
            Call::blocking(move || decode(output))
        }
    });
    start(
        environment,
        call,
        |environment, (stdout, stderr, output)| {
            let js = environment.js;
            to_js(js, stdout.into_js(js), stderr.into_js(js), &output)
        },
    )
}

fn decode(mut output: CommandOutput) -> Result<(Text, Text, CommandOutput)> {
    let stdout = decoded(std::mem::take(&mut output.stdout));
    let stderr = decoded(std::mem::take(&mut output.stderr));
    Ok((stdout, stderr, output))
}

fn decoded(mut printed: Vec<u8>) -> Text {
    printed.truncate(trim_trailing_newline(&printed).len());
    Text::decode(Bytes::from(printed))
}

/// The object `NativeCommandResult` of the declarations.
fn to_js(
    js: Js,
    stdout: sys::napi_value,
    stderr: sys::napi_value,
    output: &CommandOutput,
) -> sys::napi_value {
    let object = js.object();
    js.set(object, c"stdout", stdout);
    js.set(object, c"stderr", stderr);
    let code = output
        .exit_code
        .map_or(js.null(), |code| js.number(code.into()));
    js.set(object, c"exitCode", code);
    let signal = output
        .signal
        .map_or(js.null(), |name| js.latin1(name.as_bytes()));
    js.set(object, c"signal", signal);
    js.set(object, c"truncated", js.boolean(output.truncated));
    let milliseconds = output.duration.as_secs_f64() * 1000.0;
    js.set(object, c"durationMs", js.number(milliseconds));
    object
}

/// Reads `options?, cancel?, onStdout?, onStderr?` from an index on.
fn run_options(arguments: &Arguments<'_>, index: usize) -> Result<RunOptions> {
    let options: NativeCommandOptions = arguments.options(index)?;
    let set = pairs(options.env.unwrap_or_default());
    let unset = options.unset.unwrap_or_default().into_iter();
    Ok(RunOptions {
        cwd: options.cwd.map(String::into_bytes),
        env: set
            .into_iter()
            .map(|(name, value)| (name, Some(value)))
            .chain(unset.map(|name| (name.into_bytes(), None)))
            .collect(),
        stdin: options.stdin.map(|stdin| match stdin {
            Either::A(text) => Bytes::from(text),
            Either::B(bytes) => Bytes::copy_from_slice(&bytes),
        }),
        timeout_ms: options.timeout_ms.map(whole),
        cancel: arguments.cancellation(index + 1)?,
        max_output_bytes: options
            .max_output_bytes
            .map(|bytes| usize::try_from(whole(bytes)).unwrap_or(usize::MAX)),
        limits: options.limits.unwrap_or_default().of_command(),
        on_output: listener(arguments, index + 2),
    })
}

fn listener(arguments: &Arguments<'_>, index: usize) -> Option<OutputListener> {
    let (stdout, stderr) = (arguments.callback(index), arguments.callback(index + 1));
    if stdout.is_none() && stderr.is_none() {
        return None;
    }
    Some(Arc::new(move |stream, bytes| {
        let callback = match stream {
            OutputStream::Stdout => &stdout,
            OutputStream::Stderr => &stderr,
        };
        if let Some(callback) = callback {
            callback.send(Payload::Output(bytes));
        }
    }))
}
