//! The SSH door: a server of our own, with users of our own, on TCP or inside a WebSocket. It authenticates, bounds what
//! an unknown client may take, and hands channels to what serves them; every check of what may be done is behind
//! [`crate::workspace::Workspace`]. Everything that would make it a way to other machines or sockets is refused.

mod activity;
mod channel;
mod command;
mod connection;
mod host_key;
mod inbox;
mod listen;
mod login;
mod options;
mod transport;
mod users;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout, timeout_at};

pub use host_key::HostKey;
pub use listen::listen;
pub use options::ServerOptions;
pub use users::{DEFAULT_USER, MAX_PASSWORD_BYTES, UserOptions, UserTable, Users};

use crate::daemon::newcomers::Newcomers;
use crate::daemon::session::Session;
use crate::error::{Error, ErrorCode, Result};
use activity::Activity;
use connection::{Connection, Setup};
use transport::{Grip, Transport};

/// How long a client may take to hang up after it was told to.
const HANG_UP_WITHIN: Duration = Duration::from_secs(2);

/// How often it is looked whether a connection is idle.
const IDLE_CHECKS: u32 = 8;

/// How a client gets its session.
#[derive(Clone, Debug)]
pub enum Entry {
    /// It is known already, as inside a WebSocket whose token was checked: whatever it authenticates with is accepted,
    /// under any name of a user.
    Authenticated(Session),
    /// It must say who it is.
    Users(Arc<dyn Users>),
}

/// What all connections share: the host key, the algorithms and the bounds. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    shared: Arc<Shared>,
}

struct Shared {
    config: Arc<russh::server::Config>,
    options: ServerOptions,
    fingerprint: String,
    places: Arc<Semaphore>,
    newcomers: Newcomers,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("fingerprint", &self.shared.fingerprint)
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server that is known by this key.
    #[must_use]
    pub fn new(host_key: HostKey, options: ServerOptions) -> Self {
        Self {
            shared: Arc::new(Shared {
                fingerprint: host_key.fingerprint(),
                config: Arc::new(options.config(host_key)),
                places: Arc::new(Semaphore::new(options.max_connections)),
                newcomers: Newcomers::new(options.max_unauthenticated),
                options,
            }),
        }
    }

    /// The fingerprint of the host key, `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.shared.fingerprint
    }

    /// Serves one client until it leaves, its session is closed, or it is cut off; dropping the future cuts it off at
    /// once. What it started ends with it.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` where all places are taken, `TIMEOUT` for a client that does not authenticate in time,
    /// `CONNECTION_CLOSED` for one that breaks off or breaks the protocol.
    pub fn serve<S>(
        &self,
        stream: S,
        entry: Entry,
        peer: Option<SocketAddr>,
    ) -> impl Future<Output = Result<()>> + Send + 'static + use<S>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let shared = Arc::clone(&self.shared);
        async move { shared.serve(stream, entry, peer).await }
    }
}

impl Shared {
    async fn serve<S>(&self, stream: S, entry: Entry, peer: Option<SocketAddr>) -> Result<()>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let Ok(_place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(Error::new(
                ErrorCode::LimitExceeded,
                format!(
                    "{} SSH connections are open, which is the most that are served",
                    self.options.max_connections
                ),
            ));
        };
        let grip = Grip::default();
        // Whatever ends this future ends the connection, also where nobody polls it any more.
        let _cut = grip.cut.clone().drop_guard();
        let newcomer = match &entry {
            Entry::Authenticated(_) => None,
            Entry::Users(_) => Some(self.newcomers.arrive(grip.cut.clone())),
        };
        let (authenticated, session) = oneshot::channel();
        let activity = Activity::default();
        let connection = Connection::new(Setup {
            entry,
            peer,
            authenticated,
            newcomer,
            grip: grip.clone(),
            activity: activity.clone(),
            options: self.options.clone(),
        });
        let deadline = Instant::now() + self.options.authenticate_within;
        let opening = russh::server::run_stream(
            Arc::clone(&self.config),
            Transport::new(stream, grip),
            connection,
        );
        let mut running = timeout_at(deadline, opening)
            .await
            .map_err(|_| too_slow())?
            .map_err(broken)?;
        let session = tokio::select! {
            ended = &mut running => return ended.map_err(broken),
            session = timeout_at(deadline, session) => match session {
                Ok(Ok(session)) => session,
                // The handler is gone, so the connection is about to be.
                Ok(Err(_)) => return running.await.map_err(broken),
                Err(_) => return Err(too_slow()),
            },
        };
        let reason = tokio::select! {
            ended = &mut running => return ended.map_err(broken),
            () = session.closed.cancelled() => "the session was closed",
            () = self.idle(&activity) => "nothing happened for too long",
        };
        let handle = running.handle();
        let hang_up = async {
            let _ = handle
                .disconnect(
                    russh::Disconnect::ByApplication,
                    reason.to_owned(),
                    String::new(),
                )
                .await;
            running.await
        };
        match timeout(HANG_UP_WITHIN, hang_up).await {
            Ok(ended) => ended.map_err(broken),
            Err(_) => Ok(()),
        }
    }

    /// Resolves when there was no channel for as long as is allowed.
    async fn idle(&self, activity: &Activity) {
        let allowed = self.options.idle_timeout;
        loop {
            tokio::time::sleep(allowed / IDLE_CHECKS).await;
            if activity.idle_for().is_some_and(|idle| idle >= allowed) {
                return;
            }
        }
    }
}

fn too_slow() -> Error {
    Error::new(
        ErrorCode::Timeout,
        "the SSH client did not authenticate in time",
    )
}

fn broken(error: russh::Error) -> Error {
    Error::new(
        ErrorCode::ConnectionClosed,
        format!("the SSH connection ended: {error}"),
    )
    .with_source(error)
}
