//! What the proxy decided about one request, as an event that can be printed anywhere.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::error::Printable;

/// Told of every decision, when it is made and before a byte of the request travels on. Must not block: it is called
/// on the threads that serve all proxies. A client decides how often, so what is kept needs a bound.
pub trait EgressLog: fmt::Debug + Send + Sync {
    /// A request was judged.
    fn decision(&self, decision: &Decision);
}

/// One judgement. A tunnel that is allowed and then begins TLS for another host has two: allowed, then denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What was decided.
    pub verdict: Verdict,
    /// How the client asked.
    pub protocol: Protocol,
    /// The host asked for: in canonical form, or where it is no host its printable characters, cut at 100; empty where
    /// the request names none.
    pub host: String,
    /// The port asked for; 0 where the request names none.
    pub port: u16,
    /// The address that was connected to, or the one that was refused.
    pub address: Option<IpAddr>,
    /// What the caller gave to tell its proxies apart, such as a scope and a command.
    pub tag: Arc<str>,
}

impl fmt::Display for Decision {
    /// One line without control characters: `allowed connect registry.example.com:443 at 192.0.2.1 for scope-1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.verdict {
            Verdict::Allowed => "allowed",
            Verdict::Denied(_) => "denied",
            Verdict::Failed(_) => "failed",
        };
        write!(f, "{verb} {}", self.protocol)?;
        if !self.host.is_empty() {
            write!(f, " {}", self.host)?;
        }
        if self.port != 0 {
            write!(f, ":{}", self.port)?;
        }
        if let Some(address) = self.address {
            write!(f, " at {address}")?;
        }
        if !self.tag.is_empty() {
            let one_line = self.tag.replace('\n', "\\u{a}");
            write!(f, " for {}", Printable(&one_line))?;
        }
        match self.verdict {
            Verdict::Allowed => Ok(()),
            Verdict::Denied(reason) => write!(f, ": {reason}"),
            Verdict::Failed(failure) => write!(f, ": {failure}"),
        }
    }
}

/// How a client spoke to the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP `CONNECT`.
    Connect,
    /// A plain HTTP request with an absolute target.
    Http,
    /// SOCKS 5.
    Socks5,
    /// Anything else.
    Unknown,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Connect => "connect",
            Protocol::Http => "http",
            Protocol::Socks5 => "socks5",
            Protocol::Unknown => "unknown",
        })
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The list has it, its addresses are public, and the connection stands.
    Allowed,
    /// It is refused.
    Denied(Reason),
    /// It is not refused, but the other side could not be reached or does not speak HTTP.
    Failed(Failure),
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The list does not have the host.
    NotListed,
    /// The list has the host, with other ports.
    PortNotListed,
    /// It is no host name or address; the text says why.
    InvalidHost(&'static str),
    /// An address in another than its canonical form.
    NumericSpelling,
    /// The host is, or resolves to, an address of this kind; see [`special_kind`](super::special_kind).
    SpecialAddress(&'static str),
    /// The host is, or resolves to, an address of this very machine.
    OwnAddress,
    /// TLS for another host than the tunnel was asked for.
    ServerNameDiffers,
    /// TLS that does not say for which host.
    ServerNameMissing,
    /// TLS that hides for which host (ECH).
    EncryptedHello,
    /// A tunnel that begins as TLS but with no valid `ClientHello`; the text says why.
    InvalidHello(&'static str),
    /// The request is malformed; the text says how.
    InvalidRequest(&'static str),
    /// The request is one that this proxy does not serve; the text says which.
    Unsupported(&'static str),
    /// The head of the request is longer than allowed.
    HeaderTooLarge,
    /// The head of the request did not come in time.
    HeaderTooSlow,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NotListed => f.write_str("the host is not on the list"),
            Reason::PortNotListed => f.write_str("the host is on the list, but not with this port"),
            Reason::InvalidHost(why) => write!(f, "it is no valid host: {why}"),
            Reason::NumericSpelling => f.write_str("an address must be in its canonical form"),
            Reason::SpecialAddress(kind) => write!(f, "the address is special ({kind})"),
            Reason::OwnAddress => f.write_str("the address is this machine's own"),
            Reason::ServerNameDiffers => {
                f.write_str("the TLS server name is not the host of the tunnel")
            }
            Reason::ServerNameMissing => f.write_str("the TLS handshake has no server name (SNI)"),
            Reason::EncryptedHello => f.write_str("the TLS handshake hides its server name (ECH)"),
            Reason::InvalidHello(why) => write!(f, "the TLS handshake is malformed: {why}"),
            Reason::InvalidRequest(why) => write!(f, "the request is malformed: {why}"),
            Reason::Unsupported(what) => write!(f, "not supported: {what}"),
            Reason::HeaderTooLarge => f.write_str("the head of the request is too long"),
            Reason::HeaderTooSlow => f.write_str("the head of the request did not come in time"),
        }
    }
}

/// Why an allowed request came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The name has no address.
    NameNotFound,
    /// The name was not resolved in time.
    ResolveTimeout,
    /// The server refuses the connection.
    ConnectionRefused,
    /// There is no way to the server, or the connection failed otherwise.
    Unreachable,
    /// The connection did not stand in time.
    ConnectTimeout,
    /// The server answers with something that is not HTTP; the text says what.
    InvalidResponse(&'static str),
    /// The server did not answer in time.
    ResponseTimeout,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NameNotFound => f.write_str("the name does not resolve"),
            Failure::ResolveTimeout => f.write_str("the name did not resolve in time"),
            Failure::ConnectionRefused => f.write_str("the server refuses the connection"),
            Failure::Unreachable => f.write_str("the server cannot be reached"),
            Failure::ConnectTimeout => f.write_str("the server did not accept in time"),
            Failure::InvalidResponse(why) => write!(f, "the server's answer is malformed: {why}"),
            Failure::ResponseTimeout => f.write_str("the server did not answer in time"),
        }
    }
}

/// The printable ASCII of what was asked for, cut at 100 characters: for what is no host.
pub(super) fn shown(text: &[u8]) -> String {
    const SHOWN: usize = 100;
    text.iter()
        .take(SHOWN)
        .map(|byte| match byte {
            0x21..=0x7e => char::from(*byte),
            _ => '?',
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_one_line_whatever_was_asked_for() {
        let decision = Decision {
            verdict: Verdict::Denied(Reason::NotListed),
            protocol: Protocol::Connect,
            host: shown(b"evil\r\nallowed connect x\x1b[31m\xff"),
            port: 443,
            address: Some(IpAddr::from([192, 0, 2, 1])),
            tag: "scope\n1\u{1b}\u{202e}".into(),
        };
        assert_eq!(
            decision.to_string(),
            "denied connect evil??allowed?connect?x?[31m?:443 at 192.0.2.1 for scope\\u{a}1\\u{1b}\\u{202e}: the host is \
             not on the list"
        );
        assert_eq!(shown(&[b'a'; 5000]).len(), 100);
    }
}
