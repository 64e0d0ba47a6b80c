//! A directory of another machine: its options, its connection, and whoever wants to know of it.

use agent_backend::error::{Error, ErrorCode, Result};
use napi::sys;
use napi_derive::napi;

use super::access::NativeAccessRule;
use super::{Made, Native};
use crate::arguments::Arguments;

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
    let _options: NativeRemoteOptions = arguments.options(0)?;
    Err(Error::new(
        ErrorCode::NotImplemented,
        "the remote backend is not there yet",
    ))
}

/// `watchStatus(listener?)`
pub fn watch_status(_native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    Ok(arguments.js.undefined())
}

/// `connect(): undefined`
pub fn connect(_native: &Native, arguments: &Arguments<'_>) -> Result<sys::napi_value> {
    Ok(arguments.js.undefined())
}
