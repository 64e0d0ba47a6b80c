//! A server over a temporary directory, and the files that OpenSSH's programs need to reach it.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use agent_backend::backend::local::command::{CommandOptions, Isolation};
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::daemon::session::Session;
use agent_backend::daemon::ssh::{HostKey, Server, ServerOptions, UserOptions, UserTable, listen};
use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::skip::skip;

/// A server that listens; all of it goes when it is dropped.
pub struct Fixture {
    pub base: tempfile::TempDir,
    pub server: Server,
    pub session: Session,
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    runtime: Option<Runtime>,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.session.closed.cancel();
        self.shutdown.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Fixture {
    /// A user `agent` with the password `secret` and a key in `base/key`, one `bob` in a scope of his own who may only
    /// read and run commands, and one `reader` who may only read.
    pub fn new() -> Self {
        Self::with(ServerOptions::default(), Isolation::None)
    }

    pub fn with(options: ServerOptions, isolation: Isolation) -> Self {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let root = root.canonicalize().unwrap();
        let backend = LocalBackend::open(LocalOptions {
            root_dir: root.clone(),
            state_dir: Some(base.path().join("state")),
            command: CommandOptions {
                isolation,
                ..CommandOptions::default()
            },
            ..LocalOptions::default()
        });
        let workspace = Workspace::new(
            backend.unwrap(),
            WorkspaceOptions::default(),
            ScopeOptions::default(),
        );
        let session = Session {
            served_root: root.into_os_string().into_encoded_bytes(),
            workspace,
            closed: CancellationToken::new(),
        };
        let key = make_key(base.path());
        let users = UserTable::open(
            &UserOptions {
                users: Some(
                    "agent:secret,bob:word:scope=users/bob:rights=read+exec,reader:page:rights=read"
                        .into(),
                ),
                public_key: key,
                ..UserOptions::default()
            },
            session.clone(),
            None,
        );
        let host_key = HostKey::of_state_dir(&base.path().join("state")).unwrap();
        let host_line = host_key.public_line().unwrap();
        let server = Server::new(host_key, options);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let known = format!("[127.0.0.1]:{} {host_line}\n", address.port());
        std::fs::write(base.path().join("known_hosts"), known).unwrap();
        let shutdown = CancellationToken::new();
        let users = Arc::new(users.unwrap());
        runtime.spawn(listen(server.clone(), listener, users, shutdown.clone()));
        Self {
            base,
            server,
            session,
            address,
            shutdown,
            runtime: Some(runtime),
        }
    }

    pub fn root(&self) -> PathBuf {
        self.base.path().canonicalize().unwrap().join("root")
    }

    pub fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().unwrap()
    }

    /// Options that every program of OpenSSH gets: nothing of the machine's or the user's configuration.
    pub fn options(&self) -> Vec<String> {
        let file = |name: &str| self.base.path().join(name).display().to_string();
        let mut options = vec!["-F".to_owned(), "/dev/null".to_owned()];
        for option in [
            format!("UserKnownHostsFile={}", file("known_hosts")),
            "GlobalKnownHostsFile=/dev/null".to_owned(),
            "StrictHostKeyChecking=yes".to_owned(),
            format!("IdentityFile={}", file("key")),
            "IdentitiesOnly=yes".to_owned(),
            "BatchMode=yes".to_owned(),
            "ConnectTimeout=20".to_owned(),
        ] {
            options.extend(["-o".to_owned(), option]);
        }
        options
    }

    /// `ssh` for a user, with options of the test before the host and a command behind it.
    pub fn ssh(&self, user: &str, options: &[&str]) -> Command {
        let mut command = Command::new("ssh");
        command
            .args(self.options())
            .args(["-p", &self.address.port().to_string()])
            .args(options)
            .arg(format!("{user}@127.0.0.1"))
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null());
        command
    }

    /// A command of the user `agent`, to its end.
    pub fn run(&self, command: &str) -> Output {
        self.ssh("agent", &[]).arg(command).output().unwrap()
    }

    /// `ssh` by a password, which it asks a program for.
    pub fn by_password(&self, user: &str, password: &str) -> Command {
        let asked = self.base.path().join(format!("ask-{}", password.len()));
        std::fs::write(&asked, format!("#!/bin/sh\necho '{password}'\n")).unwrap();
        std::fs::set_permissions(&asked, std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut command = self.ssh(
            user,
            &[
                "-o",
                "BatchMode=no",
                "-o",
                "PubkeyAuthentication=no",
                "-o",
                "NumberOfPasswordPrompts=5",
            ],
        );
        // The first of an option holds, so those of the test come before.
        let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
        let at = arguments.iter().position(|a| a == "-p").unwrap();
        let (common, own) = arguments.split_at(at);
        let mut reordered = Command::new("ssh");
        reordered
            .args(&own[2..own.len() - 1])
            .args(common)
            .args(&own[..2])
            .arg(&own[own.len() - 1])
            .env_remove("SSH_AUTH_SOCK")
            .env("SSH_ASKPASS", &asked)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .stdin(Stdio::null());
        command = reordered;
        command
    }
}

/// A client key in `base/key`; gives its public line, where there is a program to make it.
fn make_key(base: &Path) -> Option<String> {
    let path = base.join("key");
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&path)
        .status();
    made.ok().filter(|status| status.success())?;
    std::fs::read_to_string(path.with_extension("pub")).ok()
}

/// Whether the programs of OpenSSH are here; says so where they are not.
pub fn has_openssh() -> bool {
    let found = Command::new("ssh")
        .arg("-V")
        .stderr(Stdio::null())
        .status()
        .is_ok();
    if !found {
        skip("ssh is missing (openssh-client)");
    }
    found
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
