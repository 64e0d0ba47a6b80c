//! A daemon's doors and our own client in one process, with pipes in memory between them.

use std::sync::{Arc, Mutex};

use agent_backend::backend::remote::link::Link;
use agent_backend::backend::remote::{Connector, Ours, RemoteBackend, RootOptions};
use agent_backend::call::BoxFuture;
use agent_backend::daemon::command_channel;
use agent_backend::daemon::session::Session;
use agent_backend::daemon::sftp::{self, SymlinkOrder};
use agent_backend::error::{Error, ErrorCode, Result};
use agent_backend::pool;
use agent_backend::status::Status;
use agent_backend::workspace::Workspace;
use tokio_util::sync::CancellationToken;

/// Bytes that are on their way at most, in each direction.
const PIPE: usize = 256 << 10;

/// Connects to a session whenever it is asked to.
#[derive(Debug)]
pub struct InProcess {
    session: Session,
    state: Arc<Mutex<State>>,
    /// One attempt at a time.
    turn: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct State {
    link: Option<Arc<dyn Link>>,
    connections: usize,
    destroyed: bool,
}

impl State {
    fn live(&self) -> Option<Arc<dyn Link>> {
        let link = self.link.clone()?;
        (!link.closed().is_cancelled()).then_some(link)
    }
}

impl InProcess {
    pub fn new(served: &Workspace) -> Arc<Self> {
        Arc::new(Self {
            session: Session {
                workspace: served.clone(),
                served_root: served.root_dir().to_vec(),
                closed: CancellationToken::new(),
            },
            state: Arc::default(),
            turn: Arc::default(),
        })
    }

    /// A backend whose root is that of the workspace that is served.
    pub fn backend(self: &Arc<Self>) -> Arc<RemoteBackend> {
        let options = RootOptions {
            root_dir: self.session.served_root.clone(),
            operation_timeout: None,
        };
        RemoteBackend::new(Arc::clone(self) as _, options).unwrap()
    }

    /// How often a connection was made.
    #[allow(dead_code, reason = "not every test asks")]
    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }

    /// Cuts the connection that there is.
    #[allow(dead_code, reason = "not every test does")]
    pub fn cut(&self) {
        if let Some(link) = self.live() {
            link.closed().cancel();
        }
    }
}

impl Connector for InProcess {
    fn live(&self) -> Option<Arc<dyn Link>> {
        self.state.lock().unwrap().live()
    }

    fn link(&self) -> BoxFuture<Result<Arc<dyn Link>>> {
        let (state, turn) = (Arc::clone(&self.state), Arc::clone(&self.turn));
        let session = self.session.clone();
        Box::pin(async move {
            let _turn = turn.lock().await;
            if let Some(link) = state.lock().unwrap().live() {
                return Ok(link);
            }
            if state.lock().unwrap().destroyed {
                return Err(Error::new(
                    ErrorCode::Destroyed,
                    "the backend was destroyed",
                ));
            }
            let link = pool::runtime().spawn(connect(session)).await.unwrap()?;
            let mut state = state.lock().unwrap();
            state.connections += 1;
            state.link = Some(Arc::clone(&link));
            Ok(link)
        })
    }

    fn status(&self) -> Status {
        match self.state.lock().unwrap().destroyed {
            true => Status::Destroyed,
            false => Status::Connected,
        }
    }

    fn close(&self) -> BoxFuture<()> {
        let mut state = self.state.lock().unwrap();
        state.destroyed = true;
        if let Some(link) = state.link.take() {
            link.closed().cancel();
        }
        Box::pin(std::future::ready(()))
    }
}

async fn connect(session: Session) -> Result<Arc<dyn Link>> {
    let (near, far) = tokio::io::duplex(PIPE);
    let (near_commands, far_commands) = tokio::io::duplex(PIPE);
    tokio::spawn(sftp::serve(session.clone(), SymlinkOrder::default(), far));
    tokio::spawn(command_channel::serve(session, far_commands));
    Ours::open(near, near_commands, CancellationToken::new()).await
}
