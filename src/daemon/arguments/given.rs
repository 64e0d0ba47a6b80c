//! The flags that were given, one field or line each.

mod network;

use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::Parser;

use super::options::{
    CommandFlags, DaemonOptions, ListenOptions, LogFormat, LogOptions, NetworkFlag, Secret,
    ServedBackend, SshOptions,
};
use super::values::{
    below_root, bytes, choice, duration, limits, once, scope_limits, text, value, wrong,
};
use crate::backend::limits::{Limits, ScopeLimits};
use crate::backend::local::command::{Isolation, Shell};
use crate::error::Result;

/// How each flag is written, for suggestions.
pub(super) const FLAGS: &[&str] = &[
    "rootDir",
    "local-only",
    "scopePath",
    "isolation",
    "policy-file",
    "shell",
    "backend",
    "state-dir",
    "host",
    "port",
    "auth-token",
    "auth-token-file",
    "tokens-file",
    "allow-query-token",
    "allowed-host",
    "allowed-origin",
    "tls-cert",
    "tls-key",
    "disable-ssh-ws",
    "conventional-ssh",
    "ssh-port",
    "ssh-host-key",
    "ssh-users",
    "ssh-users-file",
    "ssh-public-key",
    "ssh-authorized-keys",
    "network",
    "limit",
    "scope-limit",
    "max-bytes",
    "tmp-bytes",
    "command-timeout",
    "max-commands",
    "host-tools",
    "allow-weak-isolation",
    "scope-uid",
    "max-connections",
    "idle-timeout",
    "grace",
    "log-format",
    "log-level",
    "help",
];

/// The flags so far.
#[derive(Debug, Default)]
pub(super) struct Given {
    root_dir: Option<PathBuf>,
    scope_path: Option<Vec<u8>>,
    policy_file: Option<PathBuf>,
    isolation: Option<Isolation>,
    shell: Option<Shell>,
    backend_kind: Option<ServedBackend>,
    state_dir: Option<PathBuf>,
    local_only: Option<()>,
    network: Option<NetworkFlag>,
    limits: Limits,
    no_default_limits: Option<()>,
    scope_limits: ScopeLimits,
    max_bytes: Option<u64>,
    tmp_bytes: Option<u64>,
    timeout: Option<Duration>,
    max_commands: Option<usize>,
    host_tools: Option<()>,
    allow_weak_isolation: Option<()>,
    scope_uid: Option<u32>,
    host: Option<String>,
    port: Option<u16>,
    auth_token: Option<Secret>,
    auth_token_file: Option<PathBuf>,
    tokens_file: Option<PathBuf>,
    allow_query_token: Option<()>,
    allowed_hosts: Vec<String>,
    allowed_origins: Vec<String>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    disable_ssh_ws: Option<()>,
    max_connections: Option<usize>,
    idle_timeout: Option<Duration>,
    grace: Option<Duration>,
    conventional: Option<()>,
    ssh_port: Option<u16>,
    host_key: Option<PathBuf>,
    users: Option<Secret>,
    users_file: Option<PathBuf>,
    public_key: Option<String>,
    authorized_keys: Option<PathBuf>,
    log_format: Option<LogFormat>,
    log_level: Option<tracing::Level>,
}

impl Given {
    pub(super) fn take(&mut self, name: &str, parser: &mut Parser) -> Result<()> {
        match name {
            "rootDir" | "root-dir" => {
                let directory = value(parser, name, "a directory")?;
                once(&mut self.root_dir, directory.into(), name)
            }
            "scopePath" | "scope-path" => {
                let path = value(parser, name, "a directory below --rootDir")?.into_vec();
                once(&mut self.scope_path, below_root(path, name)?, name)
            }
            "policy-file" | "policyFile" => {
                let file = value(parser, name, "a file of rules")?;
                once(&mut self.policy_file, file.into(), name)
            }
            "backend" => {
                let kind = choice(parser, name, ServedBackend::from_name, "local or memory")?;
                once(&mut self.backend_kind, kind, name)
            }
            "state-dir" => {
                let directory = value(parser, name, "a directory")?;
                once(&mut self.state_dir, directory.into(), name)
            }
            "local-only" => once(&mut self.local_only, (), name),
            "log-format" => {
                let read = |text: &str| match text {
                    "text" => Some(LogFormat::Text),
                    "json" => Some(LogFormat::Json),
                    _ => None,
                };
                let format = choice(parser, name, read, "text or json")?;
                once(&mut self.log_format, format, name)
            }
            "log-level" => {
                let level = choice(
                    parser,
                    name,
                    |text| text.parse().ok(),
                    "error, warn, info, debug or trace",
                )?;
                once(&mut self.log_level, level, name)
            }
            _ if name.starts_with("ssh-") => self.take_ssh(name, parser),
            _ => self.take_of_commands(name, parser),
        }
    }

    fn take_of_commands(&mut self, name: &str, parser: &mut Parser) -> Result<()> {
        const SIZE: &str = "a size such as 512M or 2G";
        match name {
            "isolation" => {
                let allowed = "auto, bwrap, landlock, software or none";
                let level = choice(parser, name, Isolation::from_name, allowed)?;
                once(&mut self.isolation, level, name)
            }
            "shell" => {
                let shell = choice(parser, name, Shell::from_name, "auto, bash or sh")?;
                once(&mut self.shell, shell, name)
            }
            "network" => {
                let list = text(parser, name, "host, none, or hosts separated by commas")?;
                once(&mut self.network, network(&list), name)
            }
            "limit" | "limits" => {
                let list = text(parser, name, "such as memory=512M")?;
                if list == "none" {
                    return once(&mut self.no_default_limits, (), name);
                }
                limits(&list, name, &mut self.limits)
            }
            "scope-limit" | "scope-limits" => {
                let list = text(parser, name, "such as memory=2G")?;
                scope_limits(&list, name, &mut self.scope_limits)
            }
            "max-bytes" => {
                let size = choice(parser, name, bytes, SIZE)?;
                once(&mut self.max_bytes, size, name)
            }
            "tmp-bytes" => {
                let size = choice(parser, name, bytes, SIZE)?;
                once(&mut self.tmp_bytes, size, name)
            }
            "command-timeout" => {
                let time = choice(parser, name, duration, TIME)?;
                once(&mut self.timeout, time, name)
            }
            "max-commands" => {
                let count = choice(parser, name, count, "a number above 0")?;
                once(&mut self.max_commands, count, name)
            }
            "host-tools" => once(&mut self.host_tools, (), name),
            "allow-weak-isolation" => once(&mut self.allow_weak_isolation, (), name),
            "scope-uid" => {
                let uid = choice(parser, name, |text| text.parse().ok(), "a user's number")?;
                once(&mut self.scope_uid, uid, name)
            }
            _ => self.take_of_network(name, parser),
        }
    }

    pub(super) fn options(
        mut self,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<DaemonOptions> {
        let root_dir = self.root_dir.take().ok_or_else(|| {
            wrong("--rootDir is missing; it names the directory to serve, as in --rootDir ./workspace")
        })?;
        self.take_secrets(variable);
        self.check()?;
        let (listen, ssh) = (ListenOptions::default(), SshOptions::default());
        let log = LogOptions::default();
        Ok(DaemonOptions {
            root_dir,
            scope_path: self.scope_path,
            policy_file: self.policy_file,
            backend_kind: self.backend_kind.unwrap_or_default(),
            state_dir: self.state_dir,
            local_only: self.local_only.is_some(),
            commands: CommandFlags {
                isolation: self.isolation.unwrap_or_default(),
                shell: self.shell.unwrap_or_default(),
                network: self.network,
                limits: self.limits,
                no_default_limits: self.no_default_limits.is_some(),
                scope_limits: self.scope_limits,
                max_bytes: self.max_bytes,
                tmp_bytes: self.tmp_bytes,
                timeout: self.timeout,
                max_commands: self.max_commands,
                host_tools: self.host_tools.is_some(),
                allow_weak_isolation: self.allow_weak_isolation.is_some(),
                scope_uid: self.scope_uid,
            },
            listen: ListenOptions {
                host: self.host,
                port: self.port.unwrap_or(listen.port),
                auth_token: self.auth_token,
                auth_token_file: self.auth_token_file,
                tokens_file: self.tokens_file,
                allow_query_token: self.allow_query_token.is_some(),
                allowed_hosts: self.allowed_hosts,
                allowed_origins: self.allowed_origins,
                tls_cert: self.tls_cert,
                tls_key: self.tls_key,
                disable_ssh_ws: self.disable_ssh_ws.is_some(),
                max_connections: self.max_connections.unwrap_or(listen.max_connections),
                idle_timeout: self.idle_timeout.unwrap_or(listen.idle_timeout),
                grace: self.grace.unwrap_or(listen.grace),
            },
            ssh: SshOptions {
                conventional: self.conventional.is_some(),
                port: self.ssh_port.unwrap_or(ssh.port),
                host_key: self.host_key,
                users: self.users,
                users_file: self.users_file,
                public_key: self.public_key,
                authorized_keys: self.authorized_keys,
            },
            log: LogOptions {
                format: self.log_format.unwrap_or(log.format),
                level: self.log_level.unwrap_or(log.level),
            },
        })
    }

    /// What no flag said; a file of tokens makes the variable mean nothing.
    fn take_secrets(&mut self, variable: &dyn Fn(&str) -> Option<String>) {
        let named = |names: &[&str]| {
            let found = names.iter().find_map(|name| variable(name));
            found.filter(|text| !text.is_empty()).map(Secret::new)
        };
        if self.auth_token.is_none()
            && self.auth_token_file.is_none()
            && self.tokens_file.is_none()
            && self.local_only.is_none()
        {
            self.auth_token = named(&["AGENT_BACKEND_AUTH_TOKEN", "AUTH_TOKEN"]);
        }
        if self.users.is_none() && self.conventional.is_some() {
            self.users = named(&["AGENT_BACKEND_SSH_USERS", "SSH_USERS"]);
        }
    }

    fn check(&self) -> Result<()> {
        let tokens = [
            self.auth_token.is_some(),
            self.auth_token_file.is_some(),
            self.tokens_file.is_some(),
        ];
        if tokens.into_iter().filter(|given| *given).count() > 1 {
            return Err(wrong(
                "give one of --auth-token, --auth-token-file and --tokens-file",
            ));
        }
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            return Err(wrong("--tls-cert and --tls-key belong together; give both"));
        }
        let ssh = self.users.is_some()
            || self.users_file.is_some()
            || self.public_key.is_some()
            || self.authorized_keys.is_some()
            || self.ssh_port.is_some();
        if ssh && self.conventional.is_none() {
            return Err(wrong(
                "--ssh-port, --ssh-users, --ssh-users-file, --ssh-public-key and --ssh-authorized-keys need --conventional-ssh",
            ));
        }
        Ok(())
    }
}

const TIME: &str = "a time such as 30s or 5m";
const PORT: &str = "a port, 0 to 65535";

fn count(text: &str) -> Option<usize> {
    text.parse().ok().filter(|count| *count > 0)
}

fn network(list: &str) -> NetworkFlag {
    match list {
        "host" => NetworkFlag::Host,
        "none" => NetworkFlag::None,
        hosts => NetworkFlag::Allow(hosts.split(',').map(str::to_owned).collect()),
    }
}
