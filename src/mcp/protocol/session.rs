//! One conversation with one client.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rmcp::service::{ServerInitializeError, serve_server_with_ct};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::ToolServer;
use super::handler::{Front, Handler};
use super::outstanding::Outstanding;
use super::wire::Wire;
use crate::call::BoxFuture;
use crate::error::{Error, ErrorCode, Result};
use crate::pool;
use crate::workspace::unguessable;

/// Messages that have come in and that nobody has looked at.
const MAX_UNREAD: usize = 1_024;

/// Where a session's messages go.
pub trait Outbox: Send + Sync + 'static {
    /// Sends a message, JSON text without a line end; resolves when there is room for the next.
    fn send(&self, json: Vec<u8>) -> BoxFuture<io::Result<()>>;

    /// The session has ended; called once, after the last message.
    fn ended(&self) {}
}

/// A session that runs until it is closed, its input ends, or its workspace is destroyed. Dropping it closes it.
pub struct Session {
    /// `None` when the input has ended.
    inbox: Mutex<Option<mpsc::Sender<Vec<u8>>>>,
    outstanding: Arc<Outstanding>,
    /// Ends the session.
    close: CancellationToken,
    /// Set when it has ended.
    ended: CancellationToken,
}

impl Session {
    /// Begins a session that serves these tools.
    ///
    /// # Errors
    /// `IO_ERROR` where the system has no randomness.
    pub fn start(server: ToolServer, outbox: Arc<dyn Outbox>) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(MAX_UNREAD);
        let close = server.workspace().ended().child_token();
        let ended = CancellationToken::new();
        let wire = Wire {
            inbox: Arc::new(tokio::sync::Mutex::new(receiver)),
            outbox: Arc::clone(&outbox),
            outstanding: Arc::default(),
        };
        let session = Self {
            inbox: Mutex::new(Some(sender)),
            outstanding: Arc::clone(&wire.outstanding),
            close: close.clone(),
            ended: ended.clone(),
        };
        let session_id = unguessable()?;
        pool::runtime().spawn(async move {
            converse(&server, &session_id, wire, close).await;
            outbox.ended();
            ended.cancel();
        });
        Ok(session)
    }

    /// Takes a message from the client, from a thread that must not wait. What is malformed is answered.
    ///
    /// # Errors
    /// `CONNECTION_CLOSED`; `LIMIT_EXCEEDED` where so many messages are unread that this one cannot be kept.
    pub fn receive(&self, json: Vec<u8>) -> Result<()> {
        let inbox = self.inbox().ok_or_else(closed)?;
        self.outstanding.arrived();
        inbox.try_send(json).map_err(|refused| {
            self.outstanding.read();
            match refused {
                mpsc::error::TrySendError::Closed(_) => closed(),
                mpsc::error::TrySendError::Full(_) => Error::new(
                    ErrorCode::LimitExceeded,
                    format!(
                        "{MAX_UNREAD} messages are waiting already; wait for some answers first"
                    ),
                ),
            }
        })
    }

    /// [`Session::receive`] from a thread of its own, which waits until there is room.
    ///
    /// # Errors
    /// `CONNECTION_CLOSED`.
    pub fn receive_blocking(&self, json: Vec<u8>) -> Result<()> {
        let inbox = self.inbox().ok_or_else(closed)?;
        self.outstanding.arrived();
        inbox.blocking_send(json).map_err(|_| {
            self.outstanding.read();
            closed()
        })
    }

    fn inbox(&self) -> Option<mpsc::Sender<Vec<u8>>> {
        let inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        inbox.clone().filter(|_| !self.close.is_cancelled())
    }

    /// Nothing more will come in: the session ends when every request is answered, or some seconds after none was for
    /// `patience`. Resolves when it begins to end.
    pub async fn end_of_input(&self, patience: Duration) {
        tokio::select! {
            () = self.ended.cancelled() => {}
            () = self.outstanding.idle_or_still(patience) => {}
        }
        self.inbox
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }

    /// Ends the session, and the calls in it. Idempotent.
    pub fn close(&self) {
        self.close.cancel();
    }

    /// Resolves when the session has ended.
    pub fn ended(&self) -> impl Future<Output = ()> + Send + 'static {
        self.ended.clone().cancelled_owned()
    }

    /// Resolves when every request that has come in is answered, or the session has ended.
    pub fn idle(&self) -> impl Future<Output = ()> + Send + 'static {
        let (outstanding, ended) = (Arc::clone(&self.outstanding), self.ended.clone());
        async move {
            tokio::select! {
                () = ended.cancelled() => {}
                () = outstanding.idle() => {}
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("outstanding", &self.outstanding)
            .finish_non_exhaustive()
    }
}

fn closed() -> Error {
    Error::new(ErrorCode::ConnectionClosed, "the MCP session is closed")
}

async fn converse(server: &ToolServer, session_id: &str, wire: Wire, close: CancellationToken) {
    loop {
        let front = Front(Handler {
            server: server.clone(),
            session_id: session_id.to_owned(),
        });
        match serve_server_with_ct(front, wire.clone(), close.clone()).await {
            Ok(running) => {
                let _ = running.waiting().await;
                return;
            }
            // A client that begins with something else, or asks for what no version has, may try again.
            Err(
                ServerInitializeError::ExpectedInitializeRequest(_)
                | ServerInitializeError::InitializeFailed(_),
            ) => {}
            Err(_) => return,
        }
    }
}
