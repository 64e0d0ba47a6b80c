//! What a caller says of the other machine: where it is, who asks, whom to trust, and how long to wait.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::checks;
use crate::error::Result;

/// The port of a daemon, where none is named.
pub const DAEMON_PORT: u16 = 3001;
/// The port of an SSH server, where none is named.
pub const SSH_PORT: u16 = 22;
/// The port on which TLS is spoken unless `secure` says otherwise.
const HTTPS_PORT: u16 = 443;

/// A text that is never shown: `Debug` and errors leave it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, to send it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// How SSH reaches the other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Inside a WebSocket of a daemon's HTTP port; the token says who asks.
    #[default]
    SshWs,
    /// On a TCP port of an SSH server, ours or any other.
    Ssh,
}

/// Who asks, for [`Transport::Ssh`].
#[derive(Clone, Debug)]
pub enum SshAuth {
    /// A password.
    Password {
        /// The user of the server.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A private key.
    Key {
        /// The user of the server.
        user: String,
        /// In OpenSSH's or PEM's form.
        private_key: Secret,
        /// What it is encrypted with.
        passphrase: Option<Secret>,
    },
}

/// Whom to take for a server that speaks TLS. Certificates are always verified.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// Certificates of authorities (PEM) that are trusted besides those of the system.
    pub ca: Option<Vec<u8>>,
    /// The name that the certificate must have. Default: the host.
    pub server_name: Option<String>,
}

/// Which host key to accept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKeyPolicy {
    /// One of these and no other: each a fingerprint (`SHA256:…`) or a public key as OpenSSH writes it.
    Pin(Vec<String>),
    /// One that this file in OpenSSH's `known_hosts` format has for the host and port. The file is not changed.
    KnownHosts(PathBuf),
    /// As [`HostKeyPolicy::KnownHosts`], but of a host and port that the file does not have, the key is taken and added
    /// to it.
    TrustOnFirstUse(PathBuf),
    /// Any, since a verified certificate has already said who is there. A key that is another than last time is
    /// told as the warning `host-key-changed` and takes the place of the old one in the file.
    Certificate(PathBuf),
}

/// What to do after a connection is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reconnection {
    /// Make it again by itself. Default: true. Otherwise the next call makes it.
    pub enabled: bool,
    /// So many attempts; 0 for no end. Default: 5.
    pub max_retries: u32,
    /// Milliseconds before the first. Default: 1,000.
    pub initial_delay_ms: u64,
    /// Milliseconds at most between two. Default: 30,000.
    pub max_delay_ms: u64,
    /// How much longer each wait is than the one before. Default: 2.
    pub backoff_multiplier: f64,
}

impl Default for Reconnection {
    fn default() -> Self {
        Self {
            enabled: true,
            max_retries: 5,
            initial_delay_ms: 1_000,
            max_delay_ms: 30_000,
            backoff_multiplier: 2.0,
        }
    }
}

/// Something that a caller should know and that stops nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// What it is, the same each time: `token-without-tls`, `header-ignored`, `host-key-changed`.
    pub name: &'static str,
    /// A sentence about it, without secrets.
    pub message: String,
}

/// Who is told of a [`Warning`]; must not block.
pub type OnWarning = Arc<dyn Fn(Warning) + Send + Sync>;

/// Where the other side is, and how to reach it.
#[derive(Clone)]
pub struct RemoteOptions {
    /// Absolute path of the root on the other machine.
    pub root_dir: Vec<u8>,
    /// Name or address of the other machine.
    pub host: String,
    /// Name or address for SSH, where it is another than that of the daemon.
    pub ssh_host: Option<String>,
    /// Default: 3001 for [`Transport::SshWs`], 22 for [`Transport::Ssh`].
    pub port: Option<u16>,
    /// Default: [`Transport::SshWs`].
    pub transport: Transport,
    /// TLS beneath the WebSocket. Default: where the port is 443.
    pub secure: Option<bool>,
    /// Further headers of the WebSocket's request. They cannot take the place of those that we send.
    pub headers: Vec<(String, String)>,
    /// The daemon's token.
    pub auth_token: Option<Secret>,
    /// A scope that the daemon confines the session to (`X-Scope-Path`).
    pub scope: Option<String>,
    /// Needed for [`Transport::Ssh`].
    pub ssh_auth: Option<SshAuth>,
    /// TLS.
    pub tls: TlsOptions,
    /// Default: [`HostKeyPolicy::Certificate`] where TLS has verified who is there, else
    /// [`HostKeyPolicy::TrustOnFirstUse`]; with the file `known_hosts` of the state directory.
    pub host_key: Option<HostKeyPolicy>,
    /// Where `known_hosts` is kept. Default: `AGENT_BACKEND_STATE_DIR`, and without it as for a local backend.
    pub state_dir: Option<PathBuf>,
    /// Milliseconds for the whole way from the first packet to a usable connection. Default: 15,000.
    pub connect_timeout_ms: u64,
    /// Milliseconds for one operation that is not a command, waiting for a connection included. Default: 120,000.
    pub operation_timeout_ms: u64,
    /// Milliseconds without a byte from the other side after which it is asked whether it is there. Default: 30,000.
    pub keepalive_interval_ms: u64,
    /// So many unanswered questions, and the connection is taken for lost. Default: 3.
    pub keepalive_count_max: u32,
    /// What to do after a loss.
    pub reconnection: Reconnection,
    /// Who is told of warnings.
    pub on_warning: Option<OnWarning>,
}

impl RemoteOptions {
    /// The defaults, for a daemon on a host.
    #[must_use]
    pub fn new(root_dir: impl Into<Vec<u8>>, host: impl Into<String>) -> Self {
        Self {
            root_dir: root_dir.into(),
            host: host.into(),
            ssh_host: None,
            port: None,
            transport: Transport::default(),
            secure: None,
            headers: Vec::new(),
            auth_token: None,
            scope: None,
            ssh_auth: None,
            tls: TlsOptions::default(),
            host_key: None,
            state_dir: None,
            connect_timeout_ms: 15_000,
            operation_timeout_ms: 120_000,
            keepalive_interval_ms: 30_000,
            keepalive_count_max: 3,
            reconnection: Reconnection::default(),
            on_warning: None,
        }
    }

    /// Refuses what could not work, before anything is tried.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION`, naming the option as the public API does.
    pub fn check(&self) -> Result<()> {
        checks::check(self)
    }

    /// The port, or its default.
    #[must_use]
    pub fn effective_port(&self) -> u16 {
        self.port.unwrap_or(match self.transport {
            Transport::SshWs => DAEMON_PORT,
            Transport::Ssh => SSH_PORT,
        })
    }

    /// The host that SSH is reached at, without the brackets of an IPv6 address.
    #[must_use]
    pub fn effective_host(&self) -> &str {
        let host = self.ssh_host.as_deref().unwrap_or(&self.host);
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.transport == Transport::SshWs
            && self.secure.unwrap_or(self.effective_port() == HTTPS_PORT)
    }

    /// How long a connection may take.
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// How long an operation may take.
    #[must_use]
    pub fn operation_timeout(&self) -> Duration {
        Duration::from_millis(self.operation_timeout_ms)
    }

    /// Tells a warning.
    pub(super) fn warn(&self, name: &'static str, message: String) {
        if let Some(on_warning) = &self.on_warning {
            on_warning(Warning { name, message });
        }
    }
}

impl fmt::Debug for RemoteOptions {
    /// Header values may be secrets too: only names are shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("RemoteOptions")
            .field("root_dir", &String::from_utf8_lossy(&self.root_dir))
            .field("host", &self.effective_host())
            .field("port", &self.effective_port())
            .field("transport", &self.transport)
            .field("secure", &self.is_secure())
            .field("headers", &headers)
            .field("auth_token", &self.auth_token)
            .field("ssh_auth", &self.ssh_auth)
            .field("host_key", &self.host_key)
            .finish_non_exhaustive()
    }
}
