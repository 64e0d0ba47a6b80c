//! What most of these tests need: options for a daemon, a workspace over a connection, and waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_backend::backend::remote::connection::Connection;
use agent_backend::backend::remote::options::{Reconnection, RemoteOptions, Secret};
use agent_backend::backend::remote::{Connector, RemoteBackend};
use agent_backend::backend::{Content, ReadOptions, WriteOptions};
use agent_backend::call::{BoxFuture, Call};
use agent_backend::error::{ErrorCode, Result};
use agent_backend::pool;
use agent_backend::status::Status;
use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};

use crate::served::{Daemon, TOKEN};

/// How long anything may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A backend, with a hand on its connection.
pub struct Client {
    pub connection: Arc<Connection>,
    pub workspace: Workspace,
}

/// For the daemon, or a proxy before it: quick to notice and to come back.
pub fn options(daemon: &Daemon, port: u16) -> RemoteOptions {
    let root = daemon.base.path().join("root").canonicalize().unwrap();
    let mut options = RemoteOptions::new(root.into_os_string().into_encoded_bytes(), "127.0.0.1");
    options.port = Some(port);
    options.auth_token = Some(Secret::new(TOKEN));
    options.state_dir = Some(daemon.base.path().join("client"));
    options.reconnection = Reconnection {
        initial_delay_ms: 10,
        max_delay_ms: 50,
        max_retries: 0,
        ..Reconnection::default()
    };
    options
}

pub fn client(options: RemoteOptions) -> Client {
    let connection = Arc::new(Connection::new(options).unwrap());
    let backend = RemoteBackend::over(&connection).unwrap();
    let workspace = Workspace::new(
        backend,
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    );
    Client {
        connection,
        workspace,
    }
}

impl Client {
    pub fn put(&self, path: &str, content: &str) -> Result<()> {
        let content = Content::owned(content.as_bytes().to_vec());
        wait(self.workspace.write(path, content, WriteOptions::default())).map(|_| ())
    }

    pub fn get(&self, path: &str) -> Result<String> {
        let outcome = wait(self.workspace.read(path, ReadOptions::default()))?;
        Ok(String::from_utf8_lossy(&outcome.bytes).into_owned())
    }

    pub fn connect(&self) -> Result<()> {
        wait_for(self.connection.connect())
    }

    pub fn destroy(&self) {
        wait_for(async { self.connection.close().await });
    }

    #[track_caller]
    pub fn reaches(&self, status: Status) {
        eventually(&format!("{status:?}"), || {
            self.connection.status() == status
        });
    }
}

pub fn wait<T: 'static>(call: Call<T>) -> Result<T> {
    pool::runtime().block_on(call)
}

pub fn wait_for<T>(future: impl Future<Output = T>) -> T {
    pool::runtime().block_on(future)
}

pub fn spawn<T: Send + 'static>(future: BoxFuture<T>) -> tokio::task::JoinHandle<T> {
    pool::runtime().spawn(future)
}

#[track_caller]
pub fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The codes with which a call ends whose connection does.
pub fn is_loss(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::ConnectionClosed | ErrorCode::ConnectionFailed
    )
}
