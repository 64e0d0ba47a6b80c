//! What the daemon hands to its SSH server, in a WebSocket and on TCP.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::arguments::{ListenOptions, SshOptions};
use super::session::Session;
use crate::error::{Error, ErrorCode, Result};
use crate::workspace::Workspace;

/// The SSH doors of a daemon.
#[derive(Debug)]
pub(super) struct SshDoors {
    websocket: bool,
}

/// The SSH server behind `WS /ssh`.
#[derive(Clone, Debug)]
pub(super) struct SshDoor;

/// An SSH server on TCP.
#[derive(Debug)]
pub(super) struct Listening {
    /// Where.
    pub(super) address: SocketAddr,
}

impl Listening {
    /// Resolves when no connection is left.
    pub(super) async fn ended(self) {}
}

impl SshDoor {
    /// Opens what the options ask for.
    ///
    /// # Errors
    /// Those of the host key and of the users.
    pub(super) fn open(
        ssh: &SshOptions,
        listen: &ListenOptions,
        _state_dir: Option<&Path>,
        _root_dir: &Path,
        _served: &Workspace,
        _stopped: &CancellationToken,
    ) -> Result<SshDoors> {
        if ssh.conventional {
            return Err(Error::new(
                ErrorCode::NotImplemented,
                "--conventional-ssh is not there yet",
            ));
        }
        Ok(SshDoors {
            websocket: !listen.disable_ssh_ws,
        })
    }

    /// Serves an SSH connection of a client that is authenticated already.
    pub(super) async fn serve(
        &self,
        session: Session,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> io::Result<()> {
        drop((session, stream));
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl SshDoors {
    pub(super) fn in_websocket(&self) -> Option<SshDoor> {
        self.websocket.then_some(SshDoor)
    }

    /// The fingerprint of the host key.
    pub(super) fn fingerprint(&self) -> Option<&str> {
        None
    }

    /// Listens on TCP, where that was asked for.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` for a port that cannot be had.
    pub(super) async fn listen(
        &self,
        _draining: &CancellationToken,
        _stopped: &CancellationToken,
    ) -> Result<Option<Listening>> {
        Ok(None)
    }
}
