//! Commands that go on in the background, and what ends calls early.

use agent_backend::error::Result;
use agent_backend::workspace::{BackgroundCommand, CommandStatus};
use bytes::Bytes;
use napi::bindgen_prelude::{Either, Env, FromNapiValue, ToNapiValue, Uint8Array, Unknown};
use napi::sys;
use napi_derive::napi;
use tokio_util::sync::CancellationToken;

use super::commands::start_text_result;
use crate::environment::Environment;
use crate::error;
use crate::executor::start;
use crate::js::Js;

/// Ends the calls that it was given to.
#[napi]
#[derive(Debug)]
pub struct CancelToken(CancellationToken);

#[napi]
impl CancelToken {
    /// A token that has not been used.
    #[napi(constructor)]
    #[allow(clippy::new_without_default, reason = "JavaScript has no defaults")]
    pub fn new() -> Self {
        Self(CancellationToken::new())
    }

    /// Ends them with `ABORTED`.
    #[napi]
    pub fn cancel(&self) {
        self.0.cancel();
    }

    /// The core's side of it.
    pub(crate) fn token(&self) -> CancellationToken {
        self.0.clone()
    }
}

/// A command in the background.
#[napi]
#[derive(Debug)]
pub struct NativeBackgroundCommand(BackgroundCommand);

#[napi]
impl NativeBackgroundCommand {
    /// Names it; cannot be guessed.
    #[napi(getter)]
    pub fn id(&self) -> String {
        self.0.id().to_owned()
    }

    /// Process id of the outermost process.
    #[napi(getter)]
    pub fn pid(&self) -> u32 {
        self.0.pid()
    }

    /// Whether it still runs.
    #[napi(getter)]
    pub fn running(&self) -> bool {
        matches!(self.0.status(), CommandStatus::Running)
    }

    /// Sends a signal.
    #[napi]
    pub fn kill(&self, signal: i32) {
        self.0.kill(signal);
    }

    /// Ends its standard input.
    #[napi]
    pub fn close_stdin(&self) {
        self.0.close_stdin();
    }

    /// Feeds its standard input; resolves when the bytes are in the pipe.
    #[napi(ts_return_type = "Later<undefined>")]
    pub fn write(
        &self,
        env: Env,
        data: Either<String, Uint8Array>,
    ) -> napi::Result<Unknown<'static>> {
        let bytes = match data {
            Either::A(text) => Bytes::from(text),
            Either::B(bytes) => Bytes::copy_from_slice(&bytes),
        };
        later(env, |environment| {
            start(environment, self.0.write_stdin(bytes), |environment, ()| {
                environment.js.undefined()
            })
        })
    }

    /// How it ended.
    #[napi(ts_return_type = "Later<NativeCommandResult>")]
    pub fn wait(&self, env: Env) -> napi::Result<Unknown<'static>> {
        later(env, |environment| {
            start_text_result(environment, self.0.wait())
        })
    }
}

/// What a method of a derived class returns for a call of the core.
fn later(
    env: Env,
    begin: impl FnOnce(&Environment) -> sys::napi_value,
) -> napi::Result<Unknown<'static>> {
    let js = Js(env.raw());
    let value = Environment::of(js).map_or(std::ptr::null_mut(), |state| begin(&state));
    let value = if value.is_null() {
        js.undefined()
    } else {
        value
    };
    // SAFETY: the value belongs to this environment and goes back to it at once.
    unsafe { Unknown::from_napi_value(env.raw(), value) }
}

/// The JavaScript object of a background command.
pub fn instance(environment: &Environment, command: BackgroundCommand) -> sys::napi_value {
    // SAFETY: we are on the thread of the environment.
    unsafe { ToNapiValue::to_napi_value(environment.js.0, NativeBackgroundCommand(command)) }
        .unwrap_or(std::ptr::null_mut())
}

/// The token behind a JavaScript value.
pub fn token_of(js: Js, value: sys::napi_value) -> Result<CancellationToken> {
    use napi::bindgen_prelude::ClassInstance;
    // SAFETY: the value belongs to this environment; its class is checked.
    let instance = unsafe { ClassInstance::<CancelToken>::from_napi_value(js.0, value) };
    instance
        .map(|token| token.token())
        .map_err(|_| error::wrong_type("the cancel token", "a CancelToken"))
}
