//! One proxy for one command: its listener, its bounds, and its end.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::allowlist::Allowlist;
use super::connection;
use super::decision::EgressLog;
use super::gate::Gate;
use super::reach::{Dialer, Resolver, SystemDialer, SystemResolver};
use crate::error::Result;
use crate::pool;

/// Connections at once of all proxies of the process: each costs two descriptors of the host.
static CONNECTIONS: Semaphore = Semaphore::const_new(1024);
/// How long accepting rests when the host has no descriptor left.
const PAUSE_WITHOUT_DESCRIPTORS: Duration = Duration::from_millis(100);

/// What a proxy is bounded by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait in the listener's backlog. Default 128.
    pub connections: usize,
    /// Bytes of the head of a request or answer. Default 32 KiB.
    pub header_bytes: usize,
    /// Time for the head of a request, counted from the connection or, on a kept one, from its first byte; also for the
    /// first message of TLS. Default 10 s.
    pub header_time: Duration,
    /// Time to resolve a name. Default 10 s.
    pub resolve_time: Duration,
    /// Time to connect, all addresses of a name together. Default 10 s.
    pub connect_time: Duration,
    /// A connection on which nothing moves in either direction ends after this time. Default 5 min.
    pub idle_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 128,
            header_bytes: 32 * 1024,
            header_time: Duration::from_secs(10),
            resolve_time: Duration::from_secs(10),
            connect_time: Duration::from_secs(10),
            idle_time: Duration::from_secs(300),
        }
    }
}

/// How a proxy is set up. The default is the right one but for `tag`.
#[derive(Clone, Debug)]
pub struct ProxyOptions {
    /// Given back in each [`Decision`](super::Decision): which scope and command this proxy is for.
    pub tag: Arc<str>,
    /// What it is bounded by.
    pub limits: Limits,
    /// Who finds addresses. Default: the host's resolver.
    pub resolver: Arc<dyn Resolver>,
    /// Who connects. Default: the host's network, special addresses refused.
    pub dialer: Arc<dyn Dialer>,
}

impl Default for ProxyOptions {
    fn default() -> Self {
        Self {
            tag: Arc::from(""),
            limits: Limits::default(),
            resolver: Arc::new(SystemResolver::default()),
            dialer: Arc::new(SystemDialer),
        }
    }
}

/// A proxy that runs. Dropping it closes its listener and all its connections.
#[derive(Debug)]
pub struct Proxy {
    task: JoinHandle<()>,
}

impl Proxy {
    /// Serves a listening socket, which may belong to another network namespace, on the runtime of the process.
    ///
    /// Whoever else holds a descriptor of the same socket keeps it open past the end of the proxy.
    ///
    /// # Errors
    /// `IO_ERROR` where the socket cannot be made non-blocking or watched.
    pub fn serve(
        listener: TcpListener,
        allow: Arc<Allowlist>,
        log: Arc<dyn EgressLog>,
        options: ProxyOptions,
    ) -> Result<Self> {
        listener.set_nonblocking(true)?;
        let runtime = pool::runtime();
        let _entered = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let gate = Arc::new(Gate {
            allow,
            log,
            options,
        });
        Ok(Self {
            task: runtime.spawn(accept(listener, gate)),
        })
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Ends the task where it waits; what it owns, its connections among it, goes with it.
        self.task.abort();
    }
}

async fn accept(listener: tokio::net::TcpListener, gate: Arc<Gate>) {
    let slots = Arc::new(Semaphore::new(gate.options.limits.connections));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(own) = Arc::clone(&slots).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((client, _)) => {
                // Only now: a proxy that nobody speaks to must not hold what another one needs.
                let Ok(shared) = CONNECTIONS.acquire().await else {
                    return;
                };
                let gate = Arc::clone(&gate);
                connections.spawn(async move {
                    let _held = (own, shared);
                    connection::serve(&gate, client).await;
                });
            }
            Err(_) => tokio::time::sleep(PAUSE_WITHOUT_DESCRIPTORS).await,
        }
    }
}
