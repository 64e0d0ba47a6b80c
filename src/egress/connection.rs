//! One connection of a client: its first byte tells which protocol it speaks.

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::decision::{Protocol, Reason};
use super::gate::Gate;
use super::incoming::Incoming;
use super::{http, socks};

/// Serves a client until it has gone or is refused.
pub(super) async fn serve(gate: &Gate, mut client: TcpStream) {
    let _ = client.set_nodelay(true);
    let deadline = Instant::now() + gate.options.limits.header_time;
    let (from, mut client_out) = client.split();
    let mut client = Incoming::new(from);
    match timeout_at(deadline, client.fill()).await {
        Ok(Ok(read)) if read > 0 => {}
        Ok(_) => return,
        Err(_) => return gate.report_malformed(Protocol::Unknown, b"", Reason::HeaderTooSlow),
    }
    match client.buffered().first() {
        Some(5) => socks::serve(gate, &mut client, &mut client_out, deadline).await,
        Some(4) => socks::refuse_version_4(gate, &mut client_out).await,
        Some(22) => {
            let reason = Reason::Unsupported("TLS to the proxy itself");
            gate.report_malformed(Protocol::Unknown, b"", reason);
        }
        Some(byte) if byte.is_ascii_alphabetic() => {
            http::serve(gate, &mut client, &mut client_out, deadline).await;
        }
        _ => {
            let reason = Reason::Unsupported("what is neither HTTP nor SOCKS 5");
            gate.report_malformed(Protocol::Unknown, b"", reason);
        }
    }
}
