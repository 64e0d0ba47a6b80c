//! Commands: run to their end, or left running.

use std::sync::Arc;

use agent_backend::call::Call;
use agent_backend::error::{Error, ErrorCode, Result};
use agent_backend::pool;
use agent_backend::workspace::{
    BackgroundCommand, CommandOutput, CommandStatus, OutputListener, OutputStream, RunOptions,
};
use bytes::Bytes;
use napi::bindgen_prelude::{Either, Env, FromNapiValue, ToNapiValue, Uint8Array, Unknown};
use napi::sys;
use napi_derive::napi;

use super::Native;
use super::life::{pairs, whole};
use crate::arguments::Arguments;
use crate::cancel;
use crate::delivery::Payload;
use crate::environment::Environment;
use crate::error;
use crate::executor::start;
use crate::js::Js;
use crate::text::Text;

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
}

/// `run(command, mustSucceed, asText, options?, cancel?, onStdout?, onStderr?): Promise<NativeCommandResult>`
pub fn run(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let command = arguments.string(0, "the command")?;
    let options = run_options(arguments, 3)?;
    let call = if arguments.boolean(1) {
        native.workspace.exec(&command, options)
    } else {
        native.workspace.run(&command, options)
    };
    Ok(if arguments.boolean(2) {
        start_result(arguments.environment, call)
    } else {
        start(arguments.environment, call, |environment, output| {
            let js = environment.js;
            let stdout = js.buffer(Bytes::from(output.stdout));
            let stderr = js.buffer(Bytes::from(output.stderr));
            result(js, stdout, stderr, &Ended::of(output.exit_code, output.signal, output.truncated, output.duration))
        })
    })
}
