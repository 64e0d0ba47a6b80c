//! The one decision that every protocol asks for: may this host and port be reached, and at which address?
//!
//! In this order: the list, then one look-up, then a judgement of every address found, then a connection to one of
//! those very addresses. Nothing is looked up twice, so that a name cannot change its mind in between, and a name that the
//! list does not have is not looked up at all.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::address::special_kind;
use super::allowlist::Allowlist;
use super::decision::{Decision, EgressLog, Failure, Protocol, Reason, Verdict, shown};
use super::host::Host;
use super::proxy::ProxyOptions;
use super::reach::DialError;

/// Of many addresses, so many are tried.
const MAX_TRIES: usize = 4;

/// What one proxy judges by.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) allow: Arc<Allowlist>,
    pub(super) log: Arc<dyn EgressLog>,
    pub(super) options: ProxyOptions,
}

/// What a client asks for.
#[derive(Clone, Debug)]
pub(super) struct Wish {
    pub(super) protocol: Protocol,
    pub(super) host: Host,
    pub(super) port: u16,
}

/// An allowed connection.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) stream: TcpStream,
    pub(super) address: IpAddr,
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Denied(Reason),
    Failed(Failure),
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(reason) => Verdict::Denied(reason),
            Refusal::Failed(failure) => Verdict::Failed(failure),
        }
    }
}

impl Gate {
    /// Decides, logs the decision, and connects.
    pub(super) async fn open(&self, wish: &Wish) -> Result<Opened, Refusal> {
        let mut seen = None;
        let outcome = self.decide(wish, &mut seen).await;
        let verdict = match &outcome {
            Ok(_) => Verdict::Allowed,
            Err(refusal) => (*refusal).into(),
        };
        self.report(wish, verdict, seen);
        outcome
    }

    async fn decide(&self, wish: &Wish, seen: &mut Option<IpAddr>) -> Result<Opened, Refusal> {
        if let Host::Address(address) = wish.host
            && let Some(kind) = special_kind(address)
        {
            // No list can have it, so there is no use in saying that this one does not.
            return Err(Refusal::Denied(Reason::SpecialAddress(kind)));
        }
        self.allow
            .judge(&wish.host, wish.port)
            .map_err(Refusal::Denied)?;
        let addresses = self.addresses(&wish.host).await?;
        for address in &addresses {
            if let Some(kind) = special_kind(*address) {
                *seen = Some(*address);
                return Err(Refusal::Denied(Reason::SpecialAddress(kind)));
            }
        }
        let opened = self.connect(&addresses, wish.port, seen).await?;
        *seen = Some(opened.address);
        Ok(opened)
    }

    async fn addresses(&self, host: &Host) -> Result<Vec<IpAddr>, Refusal> {
        let name = match host {
            Host::Address(address) => return Ok(vec![*address]),
            Host::Name(name) => name,
        };
        let lookup = self.options.resolver.resolve(name);
        match timeout(self.options.limits.resolve_time, lookup).await {
            Err(_) => Err(Refusal::Failed(Failure::ResolveTimeout)),
            Ok(Err(_)) => Err(Refusal::Failed(Failure::NameNotFound)),
            Ok(Ok(addresses)) if addresses.is_empty() => {
                Err(Refusal::Failed(Failure::NameNotFound))
            }
            Ok(Ok(addresses)) => Ok(addresses),
        }
    }

    /// Tries the addresses in turn; one that does not answer leaves time for the next.
    async fn connect(
        &self,
        addresses: &[IpAddr],
        port: u16,
        seen: &mut Option<IpAddr>,
    ) -> Result<Opened, Refusal> {
        let limit = self.options.limits.connect_time;
        let deadline = Instant::now() + limit;
        let tries = addresses.len().min(MAX_TRIES);
        let mut failure = Failure::Unreachable;
        for (number, address) in addresses.iter().take(tries).enumerate() {
            let is_last = number + 1 == tries;
            let until = if is_last {
                deadline
            } else {
                deadline.min(Instant::now() + limit / 3)
            };
            *seen = Some(*address);
            let dial = self.options.dialer.dial(SocketAddr::new(*address, port));
            failure = match timeout_at(until, dial).await {
                Ok(Ok(stream)) => {
                    let _ = stream.set_nodelay(true);
                    return Ok(Opened {
                        stream,
                        address: *address,
                    });
                }
                Ok(Err(DialError::Refused(reason))) => return Err(Refusal::Denied(reason)),
                Ok(Err(DialError::Failed(error))) => classify(&error),
                Err(_) => Failure::ConnectTimeout,
            };
        }
        Err(Refusal::Failed(failure))
    }

    /// Logs what was decided about a wish.
    pub(super) fn report(&self, wish: &Wish, verdict: Verdict, address: Option<IpAddr>) {
        self.log.decision(&Decision {
            verdict,
            protocol: wish.protocol,
            host: wish.host.to_string(),
            port: wish.port,
            address,
            tag: Arc::clone(&self.options.tag),
        });
    }

    /// Logs that something was refused which is not even a wish.
    pub(super) fn report_malformed(&self, protocol: Protocol, asked: &[u8], reason: Reason) {
        self.log.decision(&Decision {
            verdict: Verdict::Denied(reason),
            protocol,
            host: shown(asked),
            port: 0,
            address: None,
            tag: Arc::clone(&self.options.tag),
        });
    }
}

fn classify(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::ConnectionRefused,
        io::ErrorKind::TimedOut => Failure::ConnectTimeout,
        _ => Failure::Unreachable,
    }
}
