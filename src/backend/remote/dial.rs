//! From a host and a port to a stream of bytes that SSH can be spoken on.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::options::{RemoteOptions, Transport};
use super::tls::Tls;
use super::upgrade;
use crate::error::{Error, ErrorCode, Result};
use crate::websocket::ByteStream;

/// How long one address has before the next is tried beside it (RFC 8305).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// A way to the other side. Object-safe, since it is TCP, or a WebSocket over TCP, or over TLS.
pub(super) trait Stream:
    tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin
{
}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Stream for T {}

/// Opens the way that the options name.
///
/// # Errors
/// `CONNECTION_FAILED`, `UNAUTHORIZED`.
pub(super) async fn dial(options: &RemoteOptions, tls: Option<&Tls>) -> Result<Box<dyn Stream>> {
    let tcp = tcp(options.effective_host(), options.effective_port()).await?;
    match (options.transport, tls) {
        (Transport::Ssh, _) => Ok(Box::new(tcp)),
        (Transport::SshWs, None) => {
            let socket = upgrade::upgrade(options, tcp).await?;
            Ok(Box::new(ByteStream::new(socket)))
        }
        (Transport::SshWs, Some(tls)) => {
            let stream = tls.connect(tcp).await?;
            let socket = upgrade::upgrade(options, stream).await?;
            Ok(Box::new(ByteStream::new(socket)))
        }
    }
}

/// The first address of a name that answers. They are tried in turn, the two families alternating, each a moment after
/// the one before or at once when that one failed.
async fn tcp(host: &str, port: u16) -> Result<TcpStream> {
    let mut waiting = VecDeque::from(addresses(host, port).await?);
    let mut running = FuturesUnordered::new();
    let mut first_failure = None;
    loop {
        if let Some(address) = waiting.pop_front() {
            running.push(connect(address));
        }
        let next = async {
            if waiting.is_empty() {
                std::future::pending::<()>().await;
            }
            sleep(NEXT_ADDRESS_AFTER).await;
        };
        tokio::select! {
            connected = running.next() => match connected {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => {
                    first_failure.get_or_insert(error);
                }
                None => {}
            },
            () = next => {}
        }
        if running.is_empty() && waiting.is_empty() {
            let failure = first_failure.unwrap_or_else(|| {
                Error::new(ErrorCode::ConnectionFailed, "the host has no address")
            });
            return Err(failure);
        }
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await.map_err(|error| {
        let what = match error.kind() {
            std::io::ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
            _ => error.to_string(),
        };
        Error::new(
            ErrorCode::ConnectionFailed,
            format!("cannot connect to {address}: {what}"),
        )
        .with_source(error)
    })?;
    // Else each small request waits for the acknowledgement of the one before.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    let found = tokio::net::lookup_host((host, port)).await;
    let found: Vec<SocketAddr> = found
        .map_err(|error| {
            Error::new(
                ErrorCode::ConnectionFailed,
                format!("the host '{host}' cannot be found: {error}"),
            )
            .with_source(error)
        })?
        .collect();
    Ok(alternate(found))
}

/// The first one first, then the families in turn.
fn alternate(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = found.first() else {
        return found;
    };
    let first_is_v6 = first.is_ipv6();
    let (mut same, mut other): (VecDeque<SocketAddr>, VecDeque<SocketAddr>) = found
        .iter()
        .copied()
        .partition(|address| address.is_ipv6() == first_is_v6);
    let mut out = Vec::with_capacity(found.len());
    while !(same.is_empty() && other.is_empty()) {
        out.extend(same.pop_front());
        out.extend(other.pop_front());
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::pool;

    #[test]
    fn the_families_of_addresses_alternate() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let found = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"].map(address);
        let expected = ["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"].map(address);
        assert_eq!(alternate(found.to_vec()), expected);
        assert!(alternate(Vec::new()).is_empty());
    }

    #[test]
    fn a_port_that_nothing_listens_on_is_named() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = pool::runtime()
            .block_on(tcp("127.0.0.1", port))
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConnectionFailed);
        assert!(
            error.message().contains(&format!("127.0.0.1:{port}")),
            "{error}"
        );
        assert!(error.message().contains("nothing listens"), "{error}");
    }
}
