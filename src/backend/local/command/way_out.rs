//! The one way out of a command whose network is a list of hosts: a proxy of its own, behind a socket that was made inside
//! its network namespace and handed to us.

use std::fmt;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

use crate::egress::{Allowlist, Decision, EgressLog, Proxy, ProxyOptions};
use crate::error::Result;
use crate::pool;

/// Where the proxy listens on the loopback of the command: the port that proxies usually have.
pub(super) const PORT: u16 = 3128;

/// Serves until it is dropped.
pub(super) struct WayOut(JoinHandle<()>);

impl WayOut {
    /// Waits for the socket, in the background, and serves it. What comes back beside it is for the command's side.
    pub(super) fn open(
        allow: Arc<Allowlist>,
        log: Option<Arc<dyn EgressLog>>,
        tag: Arc<str>,
    ) -> Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (ours, theirs) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        // The flag belongs to each end alone: that of the command waits.
        rustix::fs::fcntl_setfl(&theirs, rustix::fs::OFlags::empty())?;
        let log = log.unwrap_or_else(|| Arc::new(Silent));
        let task = pool::runtime().spawn(async move {
            let options = ProxyOptions {
                tag,
                ..ProxyOptions::default()
            };
            if let Some(listener) = receive(ours).await
                && let Ok(_serving) = Proxy::serve(listener, allow, log, options)
            {
                std::future::pending::<()>().await;
            }
        });
        Ok((Self(task), theirs))
    }
}

impl Drop for WayOut {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for WayOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WayOut")
    }
}

/// The listening socket; `None` where the command ended before it had one.
async fn receive(socket: OwnedFd) -> Option<TcpListener> {
    // SAFETY: an `OwnedFd` gives the same open descriptor for as long as it lives.
    let socket = unsafe { AsyncFd::register_with_interest(socket, Interest::READABLE) }.ok()?;
    loop {
        let mut ready = socket.readable().await.ok()?;
        match take(socket.get_ref()) {
            Err(rustix::io::Errno::AGAIN) => ready.clear_ready(),
            Err(_) => return None,
            Ok(received) => return received.map(TcpListener::from),
        }
    }
}

fn take(socket: &OwnedFd) -> rustix::io::Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    let mut pieces = [IoSliceMut::new(&mut byte)];
    rustix::net::recvmsg(socket, &mut pieces, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut rights = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(rights) => Some(rights),
        _ => None,
    });
    Ok(rights.next().and_then(|mut rights| rights.next()))
}

#[derive(Debug)]
struct Silent;

impl EgressLog for Silent {
    fn decision(&self, _: &Decision) {}
}
