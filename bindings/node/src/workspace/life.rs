//! Making, describing and ending workspaces.

use std::sync::Arc;

use agent_backend::backend::Content;
use agent_backend::backend::memory::{MemoryBackend, MemoryOptions};
use agent_backend::error::Result;
use agent_backend::workspace::{Observer, ScopeOptions, Workspace, WorkspaceOptions};
use napi::bindgen_prelude::{Either, Uint8Array};
use napi::sys;
use napi_derive::napi;

use super::files::done;
use super::instance;
use crate::arguments::{Arguments, TextRoom};
use crate::delivery::JsObserver;

/// Options of `NativeWorkspace.memory`.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct NativeMemoryOptions {
    /// Root of the namespace, an absolute path. Default: `/`.
    pub root_dir: Option<String>,
    /// Keys of the initial data.
    pub initial_keys: Option<Vec<String>>,
    /// Their values, in the same order.
    pub initial_values: Option<Vec<Either<String, Uint8Array>>>,
    /// Life of a value whose write names none, in milliseconds.
    pub ttl_ms: Option<f64>,
    /// Most bytes of all values together.
    pub max_bytes: Option<f64>,
}

/// `memory(options?, onOperation?, modifyingOnly?): NativeWorkspace`
pub fn memory(arguments: &Arguments<'_>) -> Result<Workspace> {
    let options: NativeMemoryOptions = arguments.options(0)?;
    let values = options.initial_values.unwrap_or_default();
    let values = values.into_iter().map(|value| match value {
        Either::A(text) => Content::owned(text),
        Either::B(bytes) => Content::owned(bytes.to_vec()),
    });
    let keys = options.initial_keys.unwrap_or_default();
    let keys = keys.into_iter().map(String::into_bytes);
    let mut memory = MemoryOptions {
        initial_data: keys.zip(values).collect(),
        ttl_ms: options.ttl_ms.map(whole),
        max_bytes: options.max_bytes.map(whole),
        ..MemoryOptions::default()
    };
    if let Some(root_dir) = options.root_dir {
        memory.root_dir = root_dir.into_bytes();
    }
    let backend = MemoryBackend::new(memory)?;
    let scope = ScopeOptions {
        env: Vec::new(),
        observer: observer(arguments, 1),
    };
    Ok(Workspace::new(backend, WorkspaceOptions::default(), scope))
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked by ts/config.ts; a cast saturates"
)]
fn whole(number: f64) -> u64 {
    number as u64
}

/// Reads `onOperation?, modifyingOnly?, onDangerous?` from an index on.
fn observer(arguments: &Arguments<'_>, index: usize) -> Option<Arc<dyn Observer>> {
    let observer = JsObserver {
        on_operation: arguments.callback(index),
        modifying_only: arguments.boolean(index + 1),
        on_dangerous: arguments.callback(index + 2),
    };
    (observer.on_operation.is_some() || observer.on_dangerous.is_some())
        .then(|| Arc::new(observer) as Arc<dyn Observer>)
}

/// `scope(path, env?, onOperation?, modifyingOnly?, onDangerous?): NativeWorkspace`; `env` alternates names and
/// values.
pub fn scope(workspace: &Workspace, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let path = arguments.path(0, &mut room)?;
    let env: Vec<String> = arguments.options(1)?;
    let options = ScopeOptions {
        env: pairs(env),
        observer: observer(arguments, 2),
    };
    let scope = workspace.scope(path, options)?;
    Ok(instance(arguments.environment, scope))
}

fn pairs(flat: Vec<String>) -> Vec<(String, String)> {
    let mut flat = flat.into_iter();
    std::iter::from_fn(|| flat.next().zip(flat.next())).collect()
}

/// `describe(): [rootDir, scopePath]`
pub fn describe(workspace: &Workspace, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let js = arguments.js;
    let root_dir = js.utf8(workspace.root_dir());
    let scope_path = js.utf8(workspace.scope_path().as_bytes());
    Ok(js.array([root_dir, scope_path].into_iter()))
}

/// `activeScopes(): string[]`
pub fn active_scopes(workspace: &Workspace, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let scopes: Vec<String> = workspace
        .active_scopes()
        .iter()
        .map(|path| path.to_string())
        .collect();
    Ok(arguments.js.strings(&scopes))
}

/// `status(): string`
pub fn status(workspace: &Workspace, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    Ok(arguments.js.latin1(workspace.status().as_str().as_bytes()))
}

/// `destroy(): undefined`
pub fn destroy(workspace: &Workspace, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    Ok(done(arguments, workspace.destroy()))
}
