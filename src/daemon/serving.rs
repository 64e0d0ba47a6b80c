//! A daemon on the network, from its start to its end.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, lookup_host};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::arguments::{DaemonOptions, NetworkFlag};
use super::authority::{Authority, Credentials, Names};
use super::http::{Door, Open};
use super::metrics::Metrics;
use super::notices::{self, Warnings};
use super::opening::{self, Opened};
use super::session::Session;
use super::slowing::Slowing;
use super::ssh_door::SshDoor;
use super::tenants::Tenants;
use super::tls::Tls;
use super::{log, watching};
use crate::backend::local::LocalBackend;
use crate::backend::local::command::{Isolation, Network};
use crate::error::{Error, ErrorCode, Result};
use crate::pool;
use crate::sys::linux::{allocator, code_pages, descriptors, own_arguments};
use crate::workspace::{Observer, Workspace};

/// How long connections that are cut off may take.
const FAREWELL: Duration = Duration::from_secs(3);

/// Serves until `SIGTERM` or `SIGINT`, then for the grace period what is being answered. A second signal ends at once.
///
/// # Errors
/// What kept it from beginning.
pub(super) fn serve(options: DaemonOptions) -> Result<()> {
    allocator::share_arenas();
    descriptors::raise_limit();
    hide_secrets(&options);
    let started = Instant::now();
    let credentials = Credentials::read(&options)?;
    let host = host(&options, &credentials);
    let network = network(&options, &credentials)?;
    let tls = match (&options.listen.tls_cert, &options.listen.tls_key) {
        (Some(certificate), Some(key)) => Some(Tls::read(certificate, key)?),
        _ => None,
    };
    let runtime = pool::runtime();
    let http = Bind {
        port: options.listen.port,
        flag: "--port",
        is_open: credentials.is_open(),
    };
    let listener = runtime.block_on(http.on(&host))?;
    let ssh_listener = if options.ssh.conventional {
        let ssh = Bind {
            port: options.ssh.port,
            flag: "--ssh-port",
            is_open: false,
        };
        Some(runtime.block_on(ssh.on(&host))?)
    } else {
        None
    };
    log::start(options.log);
    let start = Start {
        started,
        host,
        network,
        tls,
    };
    let listeners = Listeners {
        http: listener,
        ssh: ssh_listener,
    };
    runtime.block_on(run(options, credentials, start, listeners))
}

/// What is there before anything is served.
struct Start {
    started: Instant,
    host: String,
    network: Network,
    tls: Option<Tls>,
}

/// Ports that are ours.
struct Listeners {
    http: TcpListener,
    ssh: Option<TcpListener>,
}

async fn run(
    options: DaemonOptions,
    credentials: Credentials,
    start: Start,
    listeners: Listeners,
) -> Result<()> {
    let mut signals = Signals::new()?;
    let grace = options.listen.grace;
    let warnings = Warnings {
        is_open: credentials.is_open(),
        has_tls: start.tls.is_some(),
        is_host_network: start.network.is_host(),
        short: credentials.short().map(str::to_owned).collect(),
    };
    let scheme = if start.tls.is_some() { "https" } else { "http" };
    let address = listeners.http.local_addr().map_err(Error::from)?;
    let Listeners { http, ssh: tcp } = listeners;
    let Ready {
        open,
        ssh,
        served,
        local,
    } = prepare(options, credentials, start).await?;
    let door = open.door();
    let accepting = tokio::spawn(Arc::clone(&open).accepting(http));
    let conventional = match (&ssh, tcp) {
        (Some(ssh), Some(listener)) => ssh.listen(listener, door.draining.clone()),
        _ => None,
    };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        address = %format_args!("{scheme}://{address}"),
        ssh = conventional.as_ref().map(|listening| listening.address.to_string()),
        host_key = ssh.as_ref().map(SshDoor::fingerprint),
        "listening"
    );
    warnings.say(address.ip());
    let scope = served.clone();
    tokio::spawn(pool::run(move || {
        if let Some(local) = local {
            notices::isolation(&local, &scope);
        }
        // The last of the start: most of what it took is not used again.
        code_pages::let_go();
        Ok(())
    }));
    wait_for_the_end(&open, &mut signals).await;
    let drained = async {
        open.ended().await;
        if let Some(listening) = conventional {
            listening.ended().await;
        }
    };
    tokio::select! {
        _ = timeout(grace, drained) => {}
        () = signals.stop() => {}
    }
    open.stop();
    accepting.abort();
    let ended = served_root(&served).destroy().await;
    // What was cut off says goodbye.
    let _ = timeout(FAREWELL, open.ended()).await;
    tracing::info!("ended");
    ended
}

/// What is served, and by whom.
struct Ready {
    open: Arc<Open>,
    ssh: Option<SshDoor>,
    served: Workspace,
    local: Option<Arc<LocalBackend>>,
}

/// Opens the workspace and the doors to it.
async fn prepare(options: DaemonOptions, credentials: Credentials, start: Start) -> Result<Ready> {
    let metrics = Arc::new(Metrics::default());
    let (draining, stopped) = (CancellationToken::new(), CancellationToken::new());
    let observer: Arc<dyn Observer> = Arc::clone(&metrics) as _;
    let Opened {
        workspace: served,
        local,
    } = opening::open(options.clone(), start.network, Some(observer))?;
    let ssh_closed = stopped.child_token();
    let session = Session {
        workspace: served.clone(),
        served_root: served_root(&served).root_dir().to_vec(),
        closed: ssh_closed.clone(),
    };
    let slowing = Arc::<Slowing>::default();
    let ssh = SshDoor::open(&options, session, Arc::clone(&slowing))?;
    let needs_token = !credentials.is_open();
    let host_network_by_default =
        options.commands.network.is_none() && has_wall(&options) && !credentials.are_scoped();
    let tenants = Tenants {
        served: served.clone(),
        local: local.clone(),
        ssh_scopes: ssh.as_ref().map(SshDoor::scopes).unwrap_or_default(),
        allow_weak: options.commands.allow_weak_isolation,
        host_network_by_default,
    };
    let listen = options.listen;
    let (allow_query_token, ends) = (listen.allow_query_token, stopped.clone());
    let authority =
        pool::run(move || Authority::new(credentials, tenants, allow_query_token, slowing, ends))
            .await?;
    let open = Door {
        authority,
        names: Names::new(
            &start.host,
            &listen.allowed_hosts,
            &listen.allowed_origins,
            needs_token,
        ),
        metrics,
        tls: start.tls,
        ssh: ssh.clone().filter(|_| !listen.disable_ssh_ws),
        launcher: local.as_ref().map(|local| Arc::clone(local.launcher())),
        max_connections: listen.max_connections,
        idle_timeout: listen.idle_timeout,
        started: start.started,
        draining,
        stopped,
    }
    .open();
    let drained = Arc::clone(&open);
    tokio::spawn(async move {
        drained.drained().await;
        ssh_closed.cancel();
    });
    Ok(Ready {
        open,
        ssh,
        served,
        local,
    })
}

/// Goes on until a signal says to stop; meanwhile tokens are kept up to date.
async fn wait_for_the_end(open: &Arc<Open>, signals: &mut Signals) {
    let watching = [
        tokio::spawn(watching::tokens(Arc::clone(open))),
        tokio::spawn(watching::memory()),
    ];
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hangup.recv() => watching::reload(open).await,
        }
    }
    watching.iter().for_each(JoinHandle::abort);
    tracing::info!("stopping: no more connections; what is being answered comes to its end");
    open.door().draining.cancel();
}

/// The signals that a daemon listens to, from the moment it can be found.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(Error::from);
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn served_root(workspace: &Workspace) -> &Workspace {
    let mut root = workspace;
    while let Some(parent) = root.parent() {
        root = parent;
    }
    root
}

/// Nobody else on the machine may read a token from this process.
fn hide_secrets(options: &DaemonOptions) {
    let secrets = [&options.listen.auth_token, &options.ssh.users];
    let secrets: Vec<&str> = secrets
        .into_iter()
        .flatten()
        .map(super::arguments::Secret::expose)
        .collect();
    let erased = if secrets.is_empty() {
        Ok(())
    } else {
        own_arguments::erase(&secrets)
    };
    if let Err(error) = erased.and_then(|()| own_arguments::hide_memory()) {
        eprintln!("agent-backend: the secrets of the command line stay readable: {error}");
    }
}

/// Where to listen, as it was named.
fn host(options: &DaemonOptions, credentials: &Credentials) -> String {
    let default = if credentials.is_open() {
        "127.0.0.1"
    } else {
        "0.0.0.0"
    };
    let host = options.listen.host.as_deref().unwrap_or(default);
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .to_owned()
}

/// A port to listen on.
struct Bind {
    port: u16,
    /// What names it.
    flag: &'static str,
    /// Whether whoever reaches it is let in.
    is_open: bool,
}

impl Bind {
    async fn on(&self, host: &str) -> Result<TcpListener> {
        let Self {
            port,
            flag,
            is_open,
        } = *self;
        let cannot = |why: String| {
            let host = crate::error::Printable(host).to_string();
            Error::new(
                ErrorCode::InvalidConfiguration,
                format!("cannot listen on {host} port {port}: {why}"),
            )
        };
        let found = lookup_host((host, port)).await;
        let addresses: Vec<_> = found.map_err(|error| cannot(error.to_string()))?.collect();
        if is_open
            && let Some(reachable) = addresses
                .iter()
                .find(|address| !address.ip().to_canonical().is_loopback())
        {
            return Err(Error::new(
                ErrorCode::InvalidConfiguration,
                format!(
                    "without a token a daemon listens on loopback only, not on {}; set AGENT_BACKEND_AUTH_TOKEN, or give --auth-token-file or --tokens-file",
                    reachable.ip()
                ),
            ));
        }
        let bound = TcpListener::bind(addresses.as_slice()).await;
        bound.map_err(|error| match error.kind() {
            ErrorKind::AddrInUse => {
                cannot(format!("the port is in use; choose another with {flag}"))
            }
            ErrorKind::PermissionDenied => cannot(format!(
                "only root may listen on that port; choose one from 1024 on with {flag}"
            )),
            _ => cannot(error.to_string()),
        })
    }
}

/// Whether a network can be kept from commands.
fn has_wall(options: &DaemonOptions) -> bool {
    !matches!(
        options.commands.isolation,
        Isolation::Software | Isolation::None
    )
}

/// What commands reach: what was said, else nothing where tokens are bound to scopes and a wall can keep to it.
fn network(options: &DaemonOptions, credentials: &Credentials) -> Result<Network> {
    let default = if credentials.are_scoped() && has_wall(options) {
        NetworkFlag::None
    } else {
        NetworkFlag::Host
    };
    let flag = options.commands.network.as_ref().unwrap_or(&default);
    opening::network(flag).map_err(|error| error.during("--network"))
}
