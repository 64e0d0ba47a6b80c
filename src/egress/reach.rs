//! How the proxy finds addresses and connects: behind two traits, so that a test can stand in for the Internet while the
//! judgement in between stays the true one.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::address::special_kind;
use super::decision::Reason;
use crate::call::BoxFuture;

/// Finds the addresses of a name. Asked once for each request, and only for names that the list has.
pub trait Resolver: fmt::Debug + Send + Sync {
    /// All addresses of a name, best first. The proxy bounds the time and judges each address.
    fn resolve(&self, name: &str) -> BoxFuture<io::Result<Vec<IpAddr>>>;
}

/// Connects to an address that was judged.
pub trait Dialer: fmt::Debug + Send + Sync {
    /// A connection to this very address. The proxy bounds the time.
    fn dial(&self, address: SocketAddr) -> BoxFuture<Result<TcpStream, DialError>>;
}

/// Why no connection stands.
#[derive(Debug)]
pub enum DialError {
    /// The address must not be connected to.
    Refused(Reason),
    /// The attempt failed.
    Failed(io::Error),
}

/// Look-ups at once in this process. The system's resolver blocks a thread, and cannot be called off.
static LOOKUPS: Semaphore = Semaphore::const_new(32);
/// Look-ups at once for one proxy, so that a command that asks for slow names delays itself first.
const LOOKUPS_OF_ONE: usize = 4;

/// Resolves as the host does (`/etc/hosts`, the DNS, its search domains).
#[derive(Debug)]
pub struct SystemResolver {
    own: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self {
            own: Arc::new(Semaphore::new(LOOKUPS_OF_ONE)),
        }
    }
}

impl Resolver for SystemResolver {
    fn resolve(&self, name: &str) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        let own = Arc::clone(&self.own);
        let name = name.to_owned();
        Box::pin(async move {
            let own = own.acquire_owned().await.map_err(io::Error::other)?;
            let shared = LOOKUPS.acquire().await.map_err(io::Error::other)?;
            tokio::task::spawn_blocking(move || {
                // Held until the thread is free again, not only until the caller has lost patience.
                let _held = (own, shared);
                Ok((name.as_str(), 0)
                    .to_socket_addrs()?
                    .map(|address| address.ip())
                    .collect())
            })
            .await
            .map_err(io::Error::other)?
        })
    }
}

/// Connects from the host's network. Refuses special addresses once more by itself, and those of this very machine: its
/// public address leads past the firewall that is in front of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDialer;

impl Dialer for SystemDialer {
    fn dial(&self, address: SocketAddr) -> BoxFuture<Result<TcpStream, DialError>> {
        Box::pin(async move {
            if let Some(kind) = special_kind(address.ip()) {
                return Err(DialError::Refused(Reason::SpecialAddress(kind)));
            }
            if is_own(address).map_err(DialError::Failed)? {
                return Err(DialError::Refused(Reason::OwnAddress));
            }
            TcpStream::connect(address).await.map_err(DialError::Failed)
        })
    }
}

/// Whether the address is one of this machine's: the kernel would reach it from that same address, or lets us bind to it.
/// Neither sends anything.
fn is_own(address: SocketAddr) -> io::Result<bool> {
    let (anywhere, nobodys): (IpAddr, IpAddr) = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED.into(), NOBODYS_V4.into()),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED.into(), NOBODYS_V6.into()),
    };
    let socket = UdpSocket::bind((anywhere, 0))?;
    socket.connect(address)?;
    if socket.local_addr()?.ip() == address.ip() {
        return Ok(true);
    }
    // A second address of an interface is reached from its first one. A kernel told to let anybody bind to anything
    // (`ip_nonlocal_bind`) says nothing by it.
    let can_bind = |address: IpAddr| UdpSocket::bind((address, 0)).is_ok();
    Ok(can_bind(address.ip()) && !can_bind(nobodys))
}

/// Addresses for documentation, which no machine has.
const NOBODYS_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const NOBODYS_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::runtime;

    #[test]
    fn the_real_dialer_refuses_special_addresses_even_if_nobody_judged_them() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        // The canary: this address does answer.
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        listener.accept().unwrap();
        for address in [
            "127.0.0.1",
            "0.0.0.0",
            "::1",
            "::ffff:127.0.0.1",
            "::",
            "::127.0.0.1",
        ] {
            let address = SocketAddr::new(address.parse().unwrap(), port);
            let outcome = runtime().block_on(SystemDialer.dial(address));
            assert!(
                matches!(outcome, Err(DialError::Refused(Reason::SpecialAddress(_)))),
                "{address}: {outcome:?}"
            );
        }
        assert_eq!(
            listener.accept().unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
    }

    #[test]
    fn an_address_of_this_machine_is_known_as_its_own() {
        assert!(is_own("127.0.0.1:80".parse().unwrap()).unwrap());
        assert!(is_own("127.9.9.9:80".parse().unwrap()).unwrap());
        // Where there is no way to it, that is an error and no "no, it is not".
        if let Ok(is_own) = is_own("93.184.215.14:80".parse().unwrap()) {
            assert!(!is_own);
        }
    }

    #[test]
    fn the_system_resolver_finds_the_loopback_for_the_guard_to_refuse() {
        let found = runtime()
            .block_on(SystemResolver::default().resolve("localhost"))
            .unwrap();
        assert!(!found.is_empty());
        assert!(found.iter().all(|address| special_kind(*address).is_some()));
    }
}
