//! The Node.js door of agent-backend: converts values, starts the core's calls on the event loop, and holds nothing
//! that the core could hold. Every check is behind [`agent_backend::workspace::Workspace`].
//!
//! `workspace` is the class that JavaScript sees; `arguments`, `js`, `text`, `content`, `stat` and `error` convert;
//! `environment`, `queue`, `executor` and `delivery` run what does not end at once.

mod arguments;
mod content;
mod delivery;
mod environment;
mod error;
mod executor;
mod js;
mod queue;
mod stat;
mod text;
mod workspace;

use napi::bindgen_prelude::{Env, JsValue, Object, Result};
use napi_derive::napi;

/// Called once for each environment that loads the library.
#[napi(module_exports)]
pub fn initialise(exports: Object, env: Env) -> Result<()> {
    let environment = environment::Environment::install(env.raw());
    workspace::define(&environment, exports.raw());
    Ok(())
}
