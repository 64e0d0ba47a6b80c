//! A directory of another machine: its options, its connection, and whoever wants to know of it.

use std::sync::Arc;

use agent_backend::backend::remote::connection::Connection;
use agent_backend::backend::remote::options::{
    HostKeyPolicy, OnWarning, RemoteOptions, Secret, SshAuth, Transport, Warning,
};
use agent_backend::backend::remote::{Connector, RemoteBackend, RootOptions};
use agent_backend::call::Call;
use agent_backend::error::Result;
use agent_backend::pool;
use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};
use bytes::Bytes;
use napi::sys;
use napi_derive::napi;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::access::{NativeAccessRule, policy};
use super::files::done;
use super::life::{observer, pairs, whole};
use super::{Made, Native};
use crate::arguments::Arguments;
use crate::delivery::{Callback, Payload};
use crate::text::Text;

/// Options of `NativeWorkspace.remote`.
#[napi(object, object_to_js = false)]
#[derive(Default)]
pub struct NativeRemoteOptions {
    /// Root directory on the other machine.
    pub root_dir: String,
    /// Where SSH is, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// SSH on TCP, and not in a WebSocket.
    pub is_ssh: bool,
    /// TLS below the WebSocket.
    pub secure: bool,
    /// Names and values of headers for the WebSocket, in turn.
    pub headers: Option<Vec<String>>,
    /// The daemon's token.
    pub auth_token: Option<String>,
    /// SSH on TCP: who logs in.
    pub user: Option<String>,
    /// SSH on TCP: the password.
    pub password: Option<String>,
    /// SSH on TCP: the text of the private key.
    pub private_key: Option<String>,
    /// What the private key is encrypted with.
    pub passphrase: Option<String>,
    /// PEM of authorities that are trusted besides those of the system.
    pub ca: Option<String>,
    /// The host keys that are accepted, as fingerprints or public keys.
    pub host_keys: Option<Vec<String>>,
    /// A file of the form of `known_hosts`, which must have the host.
    pub known_hosts: Option<String>,
    /// Likewise, to which an unknown host is added.
    pub trust_on_first_use: Option<String>,
    /// Where `known_hosts` is kept, where no file is named.
    pub state_dir: Option<String>,
    /// Time to connect, in milliseconds.
    pub connect_timeout_ms: Option<f64>,
    /// Time for an operation that is no command, in milliseconds.
    pub operation_timeout_ms: Option<f64>,
    /// Silence after which the other side is asked, in milliseconds.
    pub keepalive_interval_ms: Option<f64>,
    /// Questions without an answer until the connection is lost.
    pub keepalive_count_max: Option<u32>,
    /// Connect again by itself. Default: true.
    pub reconnect: Option<bool>,
    /// Attempts; 0 for no bound.
    pub max_retries: Option<u32>,
    /// Wait before the first attempt, in milliseconds.
    pub initial_delay_ms: Option<f64>,
    /// The longest wait, in milliseconds.
    pub max_delay_ms: Option<f64>,
    /// How much longer each wait is than the one before.
    pub backoff_multiplier: Option<f64>,
    /// Judge commands before they are sent. Default: true.
    pub prevent_dangerous: Option<bool>,
    /// Bytes kept of each output stream of a command.
    pub max_output_bytes: Option<f64>,
    /// Time limit of commands that name none, in milliseconds.
    pub command_timeout_ms: Option<f64>,
    /// Names and values of variables for all commands, in turn.
    pub env: Option<Vec<String>>,
    /// Ordered rules of access.
    pub access_rules: Option<Vec<NativeAccessRule>>,
    /// How long an answer to a question of access may take, in milliseconds. Default: 60,000.
    pub access_timeout_ms: Option<f64>,
}

/// `remote(options, onOperation?, modifyingOnly?, onDangerous?, onAccess?, onWarning?): NativeWorkspace`
pub fn remote(arguments: &Arguments<'_>) -> Result<Made> {
    let mut options: NativeRemoteOptions = arguments.options(0)?;
    let rules = options.access_rules.take();
    let access = policy(arguments, rules, options.access_timeout_ms, 4)?;
    let defaults = WorkspaceOptions::default();
    let workspace = WorkspaceOptions {
        prevent_dangerous: options.prevent_dangerous.unwrap_or(true),
        max_output_bytes: (options.max_output_bytes).map_or(defaults.max_output_bytes, |bytes| {
            usize::try_from(whole(bytes)).unwrap_or(usize::MAX)
        }),
        command_timeout_ms: options.command_timeout_ms.map(whole),
        access,
        ..defaults
    };
    let scope = ScopeOptions {
        env: pairs(options.env.take().unwrap_or_default()),
        observer: observer(arguments, 1),
        ..ScopeOptions::default()
    };
    let mut remote = remote_options(options);
    remote.on_warning = arguments.callback(5).map(on_warning);
    let root = RootOptions {
        root_dir: remote.root_dir.clone(),
        operation_timeout: Some(remote.operation_timeout()),
    };
    let connection = Arc::new(Connection::new(remote)?);
    let backend = RemoteBackend::new(Arc::clone(&connection) as Arc<dyn Connector>, root)?;
    Ok(Made {
        workspace: Workspace::new(backend, workspace, scope),
        local: None,
        remote: Some(connection),
    })
}

fn remote_options(given: NativeRemoteOptions) -> RemoteOptions {
    let mut options = RemoteOptions::new(given.root_dir.as_str(), given.host.as_str());
    options.port = Some(given.port);
    options.transport = if given.is_ssh {
        Transport::Ssh
    } else {
        Transport::SshWs
    };
    options.secure = Some(given.secure);
    options.headers = pairs(given.headers.unwrap_or_default());
    options.auth_token = given.auth_token.map(Secret::new);
    options.ssh_auth = ssh_auth(
        given.user,
        given.password,
        given.private_key,
        given.passphrase,
    );
    options.tls.ca = given.ca.map(String::into_bytes);
    options.host_key = given.host_keys.map(HostKeyPolicy::Pin).or_else(|| {
        let known = given
            .known_hosts
            .map(|file| HostKeyPolicy::KnownHosts(file.into()));
        let first = given.trust_on_first_use;
        known.or_else(|| first.map(|file| HostKeyPolicy::TrustOnFirstUse(file.into())))
    });
    options.state_dir = given.state_dir.map(Into::into);
    let set = |field: &mut u64, given: Option<f64>| {
        if let Some(number) = given {
            *field = whole(number);
        }
    };
    set(&mut options.connect_timeout_ms, given.connect_timeout_ms);
    set(
        &mut options.operation_timeout_ms,
        given.operation_timeout_ms,
    );
    set(
        &mut options.keepalive_interval_ms,
        given.keepalive_interval_ms,
    );
    set(
        &mut options.reconnection.initial_delay_ms,
        given.initial_delay_ms,
    );
    set(&mut options.reconnection.max_delay_ms, given.max_delay_ms);
    let reconnection = &mut options.reconnection;
    reconnection.enabled = given.reconnect.unwrap_or(reconnection.enabled);
    reconnection.max_retries = given.max_retries.unwrap_or(reconnection.max_retries);
    let multiplier = given.backoff_multiplier;
    reconnection.backoff_multiplier = multiplier.unwrap_or(reconnection.backoff_multiplier);
    let count = given.keepalive_count_max;
    options.keepalive_count_max = count.unwrap_or(options.keepalive_count_max);
    options
}

fn ssh_auth(
    user: Option<String>,
    password: Option<String>,
    private_key: Option<String>,
    passphrase: Option<String>,
) -> Option<SshAuth> {
    let user = user?;
    if let Some(key) = private_key {
        return Some(SshAuth::Key {
            user,
            private_key: Secret::new(key),
            passphrase: passphrase.map(Secret::new),
        });
    }
    password.map(|password| SshAuth::Password {
        user,
        password: Secret::new(password),
    })
}

/// Tells JavaScript the name of a warning, a line break, and a sentence.
fn on_warning(callback: Arc<Callback>) -> OnWarning {
    Arc::new(move |Warning { name, message }| {
        let text = format!("{name}\n{message}");
        callback.send(Payload::Text(Text::Utf8(Bytes::from(text))));
    })
}

/// `watchStatus(listener?)`: the listener, of which there is one, is told of each further change.
pub fn watch_status(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let watch = match (&native.remote, arguments.callback(0)) {
        (Some(connection), Some(listener)) => Some(watch(connection, listener)),
        _ => None,
    };
    drop(native.watch.replace(watch));
    Ok(arguments.js.undefined())
}

/// Tells the listener until the guard is dropped.
fn watch(connection: &Connection, listener: Arc<Callback>) -> DropGuard {
    let mut changes = connection.subscribe();
    let ended = CancellationToken::new();
    let guard = ended.clone().drop_guard();
    // What is told goes through the queue of the environment, which an idle watch does not keep alive.
    pool::runtime().spawn(ended.run_until_cancelled_owned(async move {
        while let Some(change) = changes.recv().await {
            listener.send(Payload::Status(Box::new(change)));
        }
    }));
    guard
}

/// `connect(): undefined`, once there is a connection.
pub fn connect(native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    let call = match &native.remote {
        Some(connection) => {
            let connected = connection.connect();
            Call::pending(async move { connected.await.map_err(|error| error.during("connect")) })
        }
        None => Call::ok(()),
    };
    Ok(done(arguments, call))
}
