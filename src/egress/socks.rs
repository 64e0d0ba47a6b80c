//! SOCKS 5 (RFC 1928): no authentication, `CONNECT` only. UDP and inbound connections have no door.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::{Instant, timeout_at};

use super::decision::{Failure, Protocol, Reason};
use super::gate::{Gate, Refusal, Wish};
use super::host::Host;
use super::incoming::{Incoming, ReadError};
use super::tunnel;

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NO_METHOD: u8 = 0xff;

/// The reply codes of RFC 1928.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    Succeeded = 0,
    GeneralFailure = 1,
    NotAllowed = 2,
    NetworkUnreachable = 3,
    HostUnreachable = 4,
    ConnectionRefused = 5,
    Expired = 6,
    CommandNotSupported = 7,
    AddressTypeNotSupported = 8,
}

/// Why a greeting or request is not served, and what the client is told.
#[derive(Debug)]
struct Refused {
    asked: Vec<u8>,
    reason: Reason,
    reply: Vec<u8>,
}

/// Serves one connection; everything before the tunnel must be there by the deadline.
pub(super) async fn serve(
    gate: &Gate,
    client: &mut Incoming<ReadHalf<'_>>,
    client_out: &mut WriteHalf<'_>,
    deadline: Instant,
) {
    let handshake = async {
        if let Err(refused) = greeting(client).await? {
            return Ok::<_, ReadError>(Err(refused));
        }
        client_out.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
        request(client).await
    };
    let wish = match timeout_at(deadline, handshake).await {
        Ok(Ok(Ok(wish))) => wish,
        Ok(Ok(Err(refused))) => {
            gate.report_malformed(Protocol::Socks5, &refused.asked, refused.reason);
            return send_last(client_out, &refused.reply).await;
        }
        Ok(Err(_)) => return,
        Err(_) => return gate.report_malformed(Protocol::Socks5, b"", Reason::HeaderTooSlow),
    };
    match gate.open(&wish).await {
        Ok(opened) => {
            let reply = reply(Reply::Succeeded);
            if client_out.write_all(&reply).await.is_ok() {
                tunnel::run(gate, &wish, opened, client, client_out).await;
            }
        }
        Err(refusal) => send_last(client_out, &reply(code(refusal))).await,
    }
}

/// Refuses the version before, which has no names and no reply that says more than "rejected".
pub(super) async fn refuse_version_4(gate: &Gate, client_out: &mut WriteHalf<'_>) {
    gate.report_malformed(Protocol::Unknown, b"", Reason::Unsupported("SOCKS 4"));
    send_last(client_out, &[0, 0x5b, 0, 0, 0, 0, 0, 0]).await;
}

async fn send_last(client_out: &mut WriteHalf<'_>, reply: &[u8]) {
    if client_out.write_all(reply).await.is_ok() {
        let _ = client_out.shutdown().await;
    }
}

/// An answer names no address: where we connect from is not the client's business.
fn reply(code: Reply) -> Vec<u8> {
    vec![VERSION, code as u8, 0, 1, 0, 0, 0, 0, 0, 0]
}

fn code(refusal: Refusal) -> Reply {
    match refusal {
        Refusal::Denied(_) => Reply::NotAllowed,
        Refusal::Failed(Failure::ResolveTimeout | Failure::ConnectTimeout) => Reply::Expired,
        Refusal::Failed(Failure::ConnectionRefused) => Reply::ConnectionRefused,
        Refusal::Failed(Failure::NameNotFound) => Reply::HostUnreachable,
        Refusal::Failed(Failure::Unreachable) => Reply::NetworkUnreachable,
        Refusal::Failed(_) => Reply::GeneralFailure,
    }
}

async fn greeting(client: &mut Incoming<ReadHalf<'_>>) -> Result<Result<(), Refused>, ReadError> {
    let head = client.exactly(2).await?;
    let methods = client.exactly(head[1].into()).await?;
    if head[0] == VERSION && methods.contains(&NO_AUTHENTICATION) {
        return Ok(Ok(()));
    }
    Ok(Err(Refused {
        asked: Vec::new(),
        reason: Reason::Unsupported("SOCKS with a password"),
        reply: vec![VERSION, NO_METHOD],
    }))
}

async fn request(client: &mut Incoming<ReadHalf<'_>>) -> Result<Result<Wish, Refused>, ReadError> {
    let head = client.exactly(4).await?;
    let refuse = |asked: &[u8], reason, code| {
        Ok(Err(Refused {
            asked: asked.to_vec(),
            reason,
            reply: reply(code),
        }))
    };
    let (command, kind) = (head[1], head[3]);
    if head[0] != VERSION || head[2] != 0 {
        let reason = Reason::InvalidRequest("it is no request of SOCKS 5");
        return refuse(b"", reason, Reply::GeneralFailure);
    }
    if command != 1 {
        let reason = match command {
            2 => Reason::Unsupported("SOCKS BIND"),
            3 => Reason::Unsupported("SOCKS UDP ASSOCIATE"),
            _ => Reason::Unsupported("this SOCKS command"),
        };
        return refuse(b"", reason, Reply::CommandNotSupported);
    }
    let (host, asked) = match kind {
        1 => {
            let bytes = client.exactly(4).await?;
            let bytes = <[u8; 4]>::try_from(bytes.as_ref()).unwrap_or_default();
            (Ok(address(Ipv4Addr::from(bytes).into())), Vec::new())
        }
        4 => {
            let bytes = client.exactly(16).await?;
            let bytes = <[u8; 16]>::try_from(bytes.as_ref()).unwrap_or_default();
            (Ok(address(Ipv6Addr::from(bytes).into())), Vec::new())
        }
        3 => {
            let length = client.exactly(1).await?[0];
            let name = client.exactly(length.into()).await?;
            (Host::parse(&name), name.to_vec())
        }
        _ => {
            let reason = Reason::InvalidRequest("it has an unknown kind of address");
            return refuse(b"", reason, Reply::AddressTypeNotSupported);
        }
    };
    let port = client.exactly(2).await?;
    let port = u16::from_be_bytes([port[0], port[1]]);
    match host {
        Err(reason) => refuse(&asked, reason, Reply::NotAllowed),
        Ok(_) if port == 0 => {
            let reason = Reason::InvalidHost("the port is no port");
            refuse(&asked, reason, Reply::NotAllowed)
        }
        Ok(host) => Ok(Ok(Wish {
            protocol: Protocol::Socks5,
            host,
            port,
        })),
    }
}

fn address(address: IpAddr) -> Host {
    Host::Address(address)
}
