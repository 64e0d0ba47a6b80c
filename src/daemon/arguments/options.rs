//! What the flags of a daemon mean, once they are read.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::backend::limits::{Limits, ScopeLimits};
use crate::backend::local::command::{Isolation, Shell};

/// Where the files of the workspace are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServedBackend {
    /// In a directory of this machine.
    #[default]
    Local,
    /// In the memory of the daemon.
    Memory,
}

impl ServedBackend {
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name {
            "local" => Some(Self::Local),
            "memory" => Some(Self::Memory),
            _ => None,
        }
    }
}

/// What to serve and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DaemonOptions {
    /// The root of the workspace; of a memory backend its name.
    pub root_dir: PathBuf,
    /// A directory below the root that everything is confined to: relative, without `..`.
    pub scope_path: Option<Vec<u8>>,
    /// A file with rules of access.
    pub policy_file: Option<PathBuf>,
    /// Where the files are.
    pub backend_kind: ServedBackend,
    /// Where what must outlive a call is kept. `None`: see [`crate::backend::local::command::default_state_dir`].
    pub state_dir: Option<PathBuf>,
    /// Whether to serve standard input and output instead of the network.
    pub local_only: bool,
    /// How commands are run.
    pub commands: CommandFlags,
    /// How the network is served.
    pub listen: ListenOptions,
    /// The SSH server on TCP, and the key of both SSH doors.
    pub ssh: SshOptions,
    /// What is logged and how.
    pub log: LogOptions,
}

/// How commands are run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CommandFlags {
    /// The wall.
    pub isolation: Isolation,
    /// Who reads the text.
    pub shell: Shell,
    /// `None`: none where tokens are bound to scopes, else the host's.
    pub network: Option<NetworkFlag>,
    /// Of each command; what is not named here has its default.
    pub limits: Limits,
    /// Whether limits that were not named have no default.
    pub no_default_limits: bool,
    /// Of all commands of a scope.
    pub scope_limits: ScopeLimits,
    /// Bytes of the whole workspace.
    pub max_bytes: Option<u64>,
    /// Bytes of the private `/tmp` of a scope; 0 is no bound. `None`: the default.
    pub tmp_bytes: Option<u64>,
    /// Of a command that names none. `None`: no limit.
    pub timeout: Option<Duration>,
    /// At a time, over all scopes.
    pub max_commands: Option<usize>,
    /// Whether programs outside the system directories run.
    pub host_tools: bool,
    /// Whether several tenants may share a level that is less than a namespace each.
    pub allow_weak_isolation: bool,
    /// Owner of the directories made for scopes, as root.
    pub scope_uid: Option<u32>,
}

/// What commands reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkFlag {
    /// All that the host reaches.
    Host,
    /// Nothing.
    None,
    /// These hosts.
    Allow(Vec<String>),
}

/// How the network is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListenOptions {
    /// An address or a name. `None`: every address with a token, `127.0.0.1` without.
    pub host: Option<String>,
    /// 0 lets the system choose.
    pub port: u16,
    /// The one token, from a flag or the environment.
    pub auth_token: Option<Secret>,
    /// A file with the one token.
    pub auth_token_file: Option<PathBuf>,
    /// A file with several.
    pub tokens_file: Option<PathBuf>,
    /// Whether `?token=` is taken as well.
    pub allow_query_token: bool,
    /// More names for `Host`; `*` is any.
    pub allowed_hosts: Vec<String>,
    /// What `Origin` may be where there is one.
    pub allowed_origins: Vec<String>,
    /// Certificate chain, PEM.
    pub tls_cert: Option<PathBuf>,
    /// Its key, PEM.
    pub tls_key: Option<PathBuf>,
    /// No `WS /ssh`.
    pub disable_ssh_ws: bool,
    /// At a time.
    pub max_connections: usize,
    /// How long a connection may wait for a request, a request for its end, and an answer for its reader.
    pub idle_timeout: Duration,
    /// How long running calls get when the daemon is told to stop.
    pub grace: Duration,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            host: None,
            port: 3001,
            auth_token: None,
            auth_token_file: None,
            tokens_file: None,
            allow_query_token: false,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            tls_cert: None,
            tls_key: None,
            disable_ssh_ws: false,
            max_connections: 1_024,
            idle_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(10),
        }
    }
}

/// The SSH server on TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshOptions {
    /// Whether there is one.
    pub conventional: bool,
    /// Where it listens; 0 lets the system choose.
    pub port: u16,
    /// A private key, in the format of OpenSSH. `None`: one of our own in the state directory.
    pub host_key: Option<PathBuf>,
    /// `name:password`, separated by commas.
    pub users: Option<Secret>,
    /// A file of users.
    pub users_file: Option<PathBuf>,
    /// A line of authorized keys.
    pub public_key: Option<String>,
    /// A file of them.
    pub authorized_keys: Option<PathBuf>,
}

impl Default for SshOptions {
    fn default() -> Self {
        Self {
            conventional: false,
            port: 22,
            host_key: None,
            users: None,
            users_file: None,
            public_key: None,
            authorized_keys: None,
        }
    }
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// The log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// How lines look.
    pub format: LogFormat,
    /// What is left out.
    pub level: tracing::Level,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: tracing::Level::INFO,
        }
    }
}

/// What is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a text from being printed.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
