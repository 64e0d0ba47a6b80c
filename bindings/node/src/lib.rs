//! The Node.js door of agent-backend: converts values, starts the core's calls on the event loop, and holds nothing
//! that the core could hold. Every check is behind [`agent_backend::workspace::Workspace`].
//!
//! `workspace` is the class that JavaScript sees; `arguments`, `js`, `text` (with `external` and `utf16`), `content`, `stat` and
//! `error` convert;
//! `environment`, `queue`, `executor` and `delivery` run what does not end at once; `process` serves the npm command.

mod arguments;
mod content;
mod delivery;
mod environment;
mod error;
mod executor;
mod external;
mod js;
pub mod process;
mod queue;
mod stat;
mod text;
mod utf16;
mod workspace;

use napi::bindgen_prelude::{Env, FromNapiValue, Object, Result, Unknown};
use napi_derive::napi;

use crate::environment::Environment;

/// Called once for each environment that loads the library.
#[napi(module_exports)]
pub fn initialise(_exports: Object, env: Env) -> Result<()> {
    let environment = Environment::install(env.raw());
    workspace::define(&environment);
    Ok(())
}

/// What the library offers to the environment that calls.
#[napi(ts_return_type = "NativeAddon")]
pub fn native_addon(env: Env) -> Result<Unknown<'static>> {
    let js = js::Js(env.raw());
    let offer = Environment::of(js).map_or_else(|| js.object(), |state| workspace::offer(&state));
    // SAFETY: the object was just made in this environment, and goes back to it at once.
    unsafe { Unknown::from_napi_value(env.raw(), offer) }
}
