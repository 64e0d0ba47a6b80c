//! The filtering proxy over real sockets: what it decides, what it carries, and what it does with hostile clients.
//!
//! The Internet of these tests is the loopback of this machine: a resolver and a dialer of their own stand in for it, and
//! everything in between is the real thing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may say what it takes for granted"
)]

mod clients;
mod flow;
mod garbled;
mod http;
mod judging;
mod limits;
mod namespace;
mod reaching;
#[path = "../support/skip.rs"]
mod skip;
mod socks;
mod support;
mod tls;
