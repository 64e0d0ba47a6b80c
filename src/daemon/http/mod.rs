//! The HTTP door: connections within bounds, and each request to its endpoint once it is let in.

mod body;
mod connection;
mod endpoints;
mod upgrade;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::authority::{Authority, Names};
use super::metrics::Metrics;
use super::newcomers::{Newcomer, Newcomers};
use super::ssh_door::SshDoor;
use super::tls::Tls;
use crate::backend::local::command::Launcher;
use crate::mcp::protocol::HttpService;
use body::MAX_BODY_BYTES;
pub(in crate::daemon) use body::{MAX_HELD_BYTES_EACH, Room};
use connection::{Connection, Transport};

/// Bytes of the head of a request: its line and all its headers.
const MAX_HEAD_BYTES: usize = 32 << 10;
const MAX_HEADERS: usize = 64;
/// How long one that makes way for another may take to leave.
const MAKE_WAY_WITHIN: Duration = Duration::from_millis(500);
/// How long the answers to what is cut off may take.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// How long a handshake of TLS may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What every request needs to know.
pub(super) struct Door {
    pub(super) authority: Authority,
    pub(super) names: Names,
    pub(super) metrics: Arc<Metrics>,
    pub(super) tls: Option<Tls>,
    /// `None` where there is no `WS /ssh`.
    pub(super) ssh: Option<SshDoor>,
    pub(super) launcher: Option<Arc<Launcher>>,
    pub(super) max_connections: usize,
    pub(super) idle_timeout: Duration,
    pub(super) started: Instant,
    /// No more requests: those that are being answered come to their end.
    pub(super) draining: CancellationToken,
    /// Everything ends.
    pub(super) stopped: CancellationToken,
}

/// A door that is open.
pub(super) struct Open {
    door: Door,
    mcp: HttpService,
    /// Ends the streams of MCP. After `stopped`: a call that is cut off is told that the daemon has stopped, and not that
    /// its handler said nothing.
    streams_end: CancellationToken,
    room: Room,
    /// Connections that have sent no good token yet.
    newcomers: Newcomers,
    /// Connections, WebSockets included.
    tasks: TaskTracker,
}

impl Door {
    pub(super) fn open(self) -> Arc<Open> {
        let streams_end = CancellationToken::new();
        Arc::new(Open {
            mcp: HttpService::new(streams_end.clone(), MAX_BODY_BYTES),
            streams_end,
            room: Room::of_all(),
            newcomers: Newcomers::new(usize::MAX),
            tasks: TaskTracker::new(),
            door: self,
        })
    }
}

impl Open {
    pub(super) fn door(&self) -> &Door {
        &self.door
    }

    /// Accepts connections until the daemon drains.
    pub(super) async fn accepting(self: Arc<Self>, listener: TcpListener) {
        let connections = Arc::new(Semaphore::new(self.door.max_connections));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.door.draining.cancelled() => return,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of descriptors, most likely: those that end make room.
                    tracing::warn!(%error, "a connection could not be accepted");
                    sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let metrics = &self.door.metrics;
            let Some(permit) = self.place(&connections).await else {
                metrics.refused_connections.fetch_add(1, Ordering::Relaxed);
                continue;
            };
            metrics.connections.fetch_add(1, Ordering::Relaxed);
            // Here, and not in its task: the next one may come before that begins.
            let cut = CancellationToken::new();
            let newcomer = self.newcomers.arrive(cut.clone());
            let counted = Counted::new(Arc::clone(metrics), permit, newcomer);
            let serving = Arc::clone(&self).serve(stream, peer, counted, cut);
            self.tasks.spawn(serving);
        }
    }

    /// A place for a connection. Where all are taken, one that has not said who it is makes way.
    async fn place(&self, connections: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(connections).try_acquire_owned() {
            return Some(permit);
        }
        if !self.newcomers.make_way() {
            return None;
        }
        let left = timeout(MAKE_WAY_WITHIN, Arc::clone(connections).acquire_owned());
        left.await.ok()?.ok()
    }

    /// Ends all that is still answered.
    pub(super) fn stop(&self) {
        self.door.stopped.cancel();
        self.streams_end.cancel();
    }

    /// Resolves when no connection is left.
    pub(super) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        counted: Counted,
        cut: CancellationToken,
    ) {
        // Small answers must not wait for more.
        let _ = stream.set_nodelay(true);
        let secured = tokio::select! {
            secured = self.secured(stream) => secured,
            () = cut.cancelled() => return,
        };
        let transport = match secured {
            Ok(transport) => transport,
            Err(error) => {
                tracing::debug!(%peer, %error, "a connection was not secured");
                return;
            }
        };
        let patience = self.door.idle_timeout;
        let connection = Connection::new(transport, patience, Arc::clone(&self.door.metrics));
        let counted = Arc::new(counted);
        let open = Arc::clone(&self);
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let (open, counted) = (Arc::clone(&open), Arc::clone(&counted));
            // Boxed, so that a connection which only waits is small.
            let answer = Box::pin(open.answer(request, peer, counted));
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(patience)
            .max_buf_size(MAX_HEAD_BYTES)
            .max_headers(MAX_HEADERS)
            .serve_connection(TokioIo::new(connection), service)
            .with_upgrades();
        tokio::pin!(serving);
        let served = tokio::select! {
            served = serving.as_mut() => served,
            () = cut.cancelled() => return,
            () = self.door.draining.cancelled() => {
                serving.as_mut().graceful_shutdown();
                tokio::select! {
                    served = serving.as_mut() => served,
                    () = self.door.stopped.cancelled() => {
                        // What was cut off is told so, where that is read.
                        let _ = timeout(LAST_WORDS, serving).await;
                        return;
                    }
                }
            }
        };
        if let Err(error) = served {
            tracing::debug!(%peer, %error, "a connection ended badly");
        }
    }

    async fn secured(&self, stream: TcpStream) -> io::Result<Transport> {
        let Some(tls) = &self.door.tls else {
            return Ok(Transport::Plain(stream));
        };
        let handshake = TlsAcceptor::from(tls.current()).accept(stream);
        match timeout(HANDSHAKE, handshake).await {
            Ok(stream) => Ok(Transport::Tls(Box::new(stream?))),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// An open connection, until it is dropped: what is upgraded takes it along.
pub(super) struct Counted {
    metrics: Arc<Metrics>,
    /// Until it has said who it is.
    newcomer: Mutex<Option<Newcomer>>,
    _permit: OwnedSemaphorePermit,
}

impl Counted {
    fn new(metrics: Arc<Metrics>, permit: OwnedSemaphorePermit, newcomer: Newcomer) -> Self {
        metrics.open_connections.fetch_add(1, Ordering::Relaxed);
        Self {
            metrics,
            newcomer: Mutex::new(Some(newcomer)),
            _permit: permit,
        }
    }

    /// It has said who it is, and makes way for nobody.
    pub(super) fn is_known(&self) {
        drop(
            (self.newcomer.lock())
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.metrics
            .open_connections
            .fetch_sub(1, Ordering::Relaxed);
    }
}
