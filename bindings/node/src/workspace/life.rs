//! Making, describing and ending workspaces.

use std::path::PathBuf;
use std::sync::Arc;

use agent_backend::backend::Content;
use agent_backend::backend::local::command::{
    CommandOptions, DEFAULT_TMP_BYTES, Isolation, Network, Shell,
};
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::backend::memory::{MemoryBackend, MemoryOptions};
use agent_backend::egress::Allowlist;
use agent_backend::error::{Error, ErrorCode, Result};
use agent_backend::workspace::{Observer, ScopeOptions, Workspace, WorkspaceOptions};
use napi::bindgen_prelude::{Either, Uint8Array};
use napi::sys;
use napi_derive::napi;

use super::access::{NativeAccessRule, policy};
use super::files::done;
use super::limits::NativeLimits;
use super::{Made, Native, instance};
use crate::arguments::{Arguments, TextRoom};
use crate::delivery::JsObserver;
use crate::error::wrong_type;

/// Options of `NativeWorkspace.local`.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct NativeLocalOptions {
    /// Root directory; created if missing.
    pub root_dir: String,
    /// `auto`, `bwrap`, `landlock`, `software` or `none`.
    pub isolation: Option<String>,
    /// `auto`, `bash` or `sh`.
    pub shell: Option<String>,
    /// Judge commands before they start. Default: true.
    pub prevent_dangerous: Option<bool>,
    /// Bytes kept of each output stream of a command.
    pub max_output_bytes: Option<f64>,
    /// Time limit of commands that name none, in milliseconds.
    pub command_timeout_ms: Option<f64>,
    /// Names and values of variables for all commands, in turn.
    pub env: Option<Vec<String>>,
    /// Give commands all variables of this process.
    pub inherit_env: Option<bool>,
    /// Where private directories and leftovers are kept.
    pub state_dir: Option<String>,
    /// As root: owner of the directories that are created for scopes.
    pub scope_uid: Option<u32>,
    /// Mount the host's tools. Default: true.
    pub host_tools: Option<bool>,
    /// `host` or `none`. Default: `host`.
    pub network: Option<String>,
    /// The hosts that commands reach, and no others.
    pub allow_hosts: Option<Vec<String>>,
    /// More of the host that commands see, and may only read.
    pub read_only_paths: Option<Vec<String>>,
    /// More of the host that commands may write.
    pub read_write_paths: Option<Vec<String>>,
    /// What is hidden from commands.
    pub hidden_paths: Option<Vec<String>>,
    /// What each command may use.
    pub limits: Option<NativeLimits>,
    /// What all commands of a scope may use together.
    pub scope_limits: Option<NativeLimits>,
    /// Bytes that everything below the root may take.
    pub max_bytes: Option<f64>,
    /// Bytes that `/tmp` and the caches of a scope may take. Default: 4 GiB.
    pub tmp_bytes: Option<f64>,
    /// Ordered rules of access.
    pub access_rules: Option<Vec<NativeAccessRule>>,
    /// How long an answer to a question of access may take, in milliseconds. Default: 60,000.
    pub access_timeout_ms: Option<f64>,
}

/// `local(options, onOperation?, modifyingOnly?, onDangerous?, onAccess?): NativeWorkspace`
pub fn local(arguments: &Arguments<'_>) -> Result<Made> {
    let mut options: NativeLocalOptions = arguments.options(0)?;
    let rules = options.access_rules.take();
    let access = policy(arguments, rules, options.access_timeout_ms, 4)?;
    let defaults = WorkspaceOptions::default();
    let workspace = WorkspaceOptions {
        prevent_dangerous: options.prevent_dangerous.unwrap_or(true),
        max_output_bytes: options
            .max_output_bytes
            .map_or(defaults.max_output_bytes, |bytes| {
                usize::try_from(whole(bytes)).unwrap_or(usize::MAX)
            }),
        command_timeout_ms: options.command_timeout_ms.map(whole),
        access,
        ..defaults
    };
    let scope = ScopeOptions {
        env: pairs(options.env.clone().unwrap_or_default()),
        observer: observer(arguments, 1),
        ..ScopeOptions::default()
    };
    let backend = LocalBackend::open(local_options(options)?)?;
    Ok(Made {
        workspace: Workspace::new(backend.clone(), workspace, scope),
        local: Some(backend),
        remote: None,
    })
}

fn local_options(options: NativeLocalOptions) -> Result<LocalOptions> {
    let isolation = options.isolation.as_deref().unwrap_or("auto");
    let shell = options.shell.as_deref().unwrap_or("auto");
    let one_of = |name: &str| wrong_type(name, "one of the names in the documentation");
    Ok(LocalOptions {
        root_dir: options.root_dir.into(),
        state_dir: options.state_dir.map(Into::into),
        scope_uid: options.scope_uid,
        max_bytes: options.max_bytes.map(whole),
        command: CommandOptions {
            isolation: Isolation::from_name(isolation).ok_or_else(|| one_of("`isolation`"))?,
            shell: Shell::from_name(shell).ok_or_else(|| one_of("`shell`"))?,
            inherit_env: options.inherit_env.unwrap_or(false),
            host_tools: options.host_tools.unwrap_or(true),
            network: network(options.network.as_deref(), options.allow_hosts)?,
            read_only_paths: paths(options.read_only_paths),
            read_write_paths: paths(options.read_write_paths),
            hidden_paths: paths(options.hidden_paths),
            tmp_bytes: Some(options.tmp_bytes.map_or(DEFAULT_TMP_BYTES, whole)),
            limits: options.limits.unwrap_or_default().of_command(),
            scope_limits: options.scope_limits.unwrap_or_default().of_scope(),
            ..CommandOptions::default()
        },
        ..LocalOptions::default()
    })
}

fn network(name: Option<&str>, allow: Option<Vec<String>>) -> Result<Network> {
    Ok(match (name, allow) {
        (_, Some(hosts)) => Network::Allow(Arc::new(Allowlist::parse(hosts)?)),
        (Some("none"), None) => Network::None,
        (Some("host") | None, None) => Network::Host,
        _ => {
            return Err(wrong_type(
                "`network`",
                "one of the names in the documentation",
            ));
        }
    })
}

fn paths(given: Option<Vec<String>>) -> Vec<PathBuf> {
    given
        .unwrap_or_default()
        .into_iter()
        .map(PathBuf::from)
        .collect()
}

/// `isolation(): string`, the level that commands run at. The first call tries, which takes some tens of
/// milliseconds.
pub fn isolation(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let level = match (&native.local, &native.remote) {
        (Some(local), _) => local.launcher().isolation()?.as_str(),
        (None, None) => "none",
        (None, Some(_)) => {
            return Err(Error::new(
                ErrorCode::NotImplemented,
                "isolation: how commands of a remote backend are isolated is for the daemon to say; see its log",
            ));
        }
    };
    Ok(arguments.js.latin1(level.as_bytes()))
}

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
    /// Ordered rules of access.
    pub access_rules: Option<Vec<NativeAccessRule>>,
    /// How long an answer to a question of access may take, in milliseconds. Default: 60,000.
    pub access_timeout_ms: Option<f64>,
}

/// `memory(options?, onOperation?, modifyingOnly?, onDangerous?, onAccess?): NativeWorkspace`
pub fn memory(arguments: &Arguments<'_>) -> Result<Made> {
    let options: NativeMemoryOptions = arguments.options(0)?;
    let (rules, limit) = (options.access_rules, options.access_timeout_ms);
    let access = policy(arguments, rules, limit, 4)?;
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
    let workspace = WorkspaceOptions {
        access,
        ..WorkspaceOptions::default()
    };
    let scope = ScopeOptions {
        env: Vec::new(),
        observer: observer(arguments, 1),
        ..ScopeOptions::default()
    };
    Ok(Made {
        workspace: Workspace::new(backend, workspace, scope),
        local: None,
        remote: None,
    })
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked by ts/config.ts; a cast saturates"
)]
pub fn whole(number: f64) -> u64 {
    number as u64
}

/// Reads `onOperation?, modifyingOnly?, onDangerous?` from an index on.
pub fn observer(arguments: &Arguments<'_>, index: usize) -> Option<Arc<dyn Observer>> {
    let observer = JsObserver {
        on_operation: arguments.callback(index),
        modifying_only: arguments.boolean(index + 1),
        on_dangerous: arguments.callback(index + 2),
    };
    (observer.on_operation.is_some() || observer.on_dangerous.is_some())
        .then(|| Arc::new(observer) as Arc<dyn Observer>)
}

/// `scope(path, env?, onOperation?, modifyingOnly?, onDangerous?, maxBytes?): NativeWorkspace`; `env` alternates names and
/// values.
pub fn scope(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let mut room = TextRoom::new();
    let path = arguments.path(0, &mut room)?;
    let env: Vec<String> = arguments.options(1)?;
    let options = ScopeOptions {
        env: pairs(env),
        observer: observer(arguments, 2),
        max_bytes: arguments.count(5, "maxBytes")?,
        ..ScopeOptions::default()
    };
    let scope = native.workspace.scope(path, options)?;
    let made = Made {
        workspace: scope,
        local: native.local.clone(),
        remote: native.remote.clone(),
    };
    Ok(instance(arguments.environment, made))
}

pub fn pairs<T: From<String>>(flat: Vec<String>) -> Vec<(T, T)> {
    let mut flat = flat.into_iter().map(T::from);
    std::iter::from_fn(|| flat.next().zip(flat.next())).collect()
}

/// `describe(): [rootDir, scopePath]`
pub fn describe(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let js = arguments.js;
    let root_dir = js.utf8(native.workspace.root_dir());
    let scope_path = js.utf8(native.workspace.scope_path().as_bytes());
    Ok(js.array([root_dir, scope_path].into_iter()))
}

/// `activeScopes(): string[]`
pub fn active_scopes(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let scopes: Vec<String> = native
        .workspace
        .active_scopes()
        .iter()
        .map(|path| path.to_string())
        .collect();
    Ok(arguments.js.strings(&scopes))
}

/// `status(): string`
pub fn status(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    Ok(arguments
        .js
        .latin1(native.workspace.status().as_str().as_bytes()))
}

/// `destroy(): undefined`
pub fn destroy(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    Ok(done(arguments, native.workspace.destroy()))
}
