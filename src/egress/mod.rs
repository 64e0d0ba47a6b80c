//! The filtering proxy of a sandbox's own: the one way out of a network namespace that has nothing but its loopback.
//!
//! A command that may reach some hosts and no others cannot be trusted to say where it connects, so it does not connect
//! at all: it asks this proxy, in HTTP or SOCKS 5, and the proxy decides by name, resolves, judges the addresses and
//! connects from the host's network. The listening socket was made inside the namespace and handed over, one for each
//! command, so nobody else can speak through it. What is decided, and why, is in `docs/network.md`.
//!
//! An allowed host is a way out for data. What this module stops is reaching hosts that are not on the list, and addresses
//! that belong to this host, its network or a cloud's own services.

mod address;
mod allowlist;
mod connection;
mod decision;
mod environment;
mod gate;
mod host;
mod http;
mod incoming;
mod proxy;
mod reach;
mod socks;
mod tls;
mod tunnel;

#[cfg(test)]
mod garbled_tests;

pub use address::special_kind;
pub use allowlist::Allowlist;
pub use decision::{Decision, EgressLog, Failure, Protocol, Reason, Verdict};
pub use environment::environment;
pub use proxy::{Limits, Proxy, ProxyOptions};
pub use reach::{DialError, Dialer, Resolver, SystemDialer, SystemResolver};
