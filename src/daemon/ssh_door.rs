//! What the daemon hands to its SSH server, in a WebSocket and on TCP.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::arguments::{DaemonOptions, Secret, ServedBackend};
use super::session::Session;
use super::slowing::Slowing;
use super::ssh::{self, Entry, HostKey, Server, ServerOptions, UserOptions, UserTable, Users};
use crate::backend::local::command::default_state_dir;
use crate::error::Result;

/// The SSH server behind both doors.
#[derive(Clone, Debug)]
pub(super) struct SshDoor {
    server: Server,
    users: Option<Arc<dyn Users>>,
}

/// An SSH server on TCP.
#[derive(Debug)]
pub(super) struct Listening {
    /// Where.
    pub(super) address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Listening {
    /// Resolves when no connection is left.
    pub(super) async fn ended(self) {
        let _ = self.serving.await;
    }
}

impl SshDoor {
    /// Opens what the options ask for; `None` where there is no SSH at all. `served` is what users of the server on TCP
    /// share.
    ///
    /// # Errors
    /// Those of the host key and of the users.
    pub(super) fn open(
        options: &DaemonOptions,
        served: Session,
        slowing: Arc<Slowing>,
    ) -> Result<Option<Self>> {
        let ssh = &options.ssh;
        if !ssh.conventional && options.listen.disable_ssh_ws {
            return Ok(None);
        }
        let host_key = match &ssh.host_key {
            Some(file) => HostKey::read(file).map_err(|error| error.during("--ssh-host-key"))?,
            None => HostKey::of_state_dir(&state_dir(options.state_dir.as_deref())?)?,
        };
        let users: Option<Arc<dyn Users>> = if ssh.conventional {
            let named = UserOptions {
                users: ssh
                    .users
                    .as_ref()
                    .map(|users| Secret::expose(users).to_owned()),
                users_file: ssh.users_file.clone(),
                public_key: ssh.public_key.clone(),
                authorized_keys: ssh.authorized_keys.clone(),
            };
            let on_disk = options.backend_kind == ServedBackend::Local;
            let outside = on_disk.then_some(options.root_dir.as_path());
            Some(Arc::new(UserTable::open(&named, served, outside)?))
        } else {
            None
        };
        let bounds = ServerOptions {
            max_connections: options.listen.max_connections,
            slowing,
            ..ServerOptions::default()
        };
        Ok(Some(Self {
            server: Server::new(host_key, bounds),
            users,
        }))
    }

    /// Serves an SSH connection of a client that is authenticated already.
    ///
    /// # Errors
    /// Those of [`Server::serve`].
    pub(super) async fn serve(
        &self,
        session: Session,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        peer: SocketAddr,
    ) -> Result<()> {
        let entry = Entry::Authenticated(session);
        self.server.serve(stream, entry, Some(peer)).await
    }

    /// What the users on TCP are bound to.
    pub(super) fn scopes(&self) -> Vec<Vec<u8>> {
        self.users
            .as_ref()
            .map(|users| users.scopes())
            .unwrap_or_default()
    }

    /// The fingerprint of the host key.
    pub(super) fn fingerprint(&self) -> &str {
        self.server.fingerprint()
    }

    /// Serves what comes in on TCP, where there are users, until `shutdown` is cancelled.
    pub(super) fn listen(
        &self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Option<Listening> {
        let users = Arc::clone(self.users.as_ref()?);
        let address = listener.local_addr().ok()?;
        let serving = ssh::listen(self.server.clone(), listener, users, shutdown);
        Some(Listening {
            address,
            serving: tokio::spawn(serving),
        })
    }
}

fn state_dir(chosen: Option<&Path>) -> Result<std::path::PathBuf> {
    match chosen {
        Some(directory) => Ok(directory.to_owned()),
        None => default_state_dir(),
    }
}
