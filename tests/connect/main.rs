//! How a remote backend gets, keeps and loses its connection: to a daemon of ours as a process, and to OpenSSH's server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/alone.rs"]
mod alone;
mod clocks;
mod cuts;
#[path = "../support/faketime.rs"]
mod faketime;
mod foreign_commands;
mod foreign_files;
mod kills;
mod lifecycle;
mod load;
mod pace;
mod passwords;
mod pending;
mod proxy;
#[path = "../daemon/served.rs"]
#[allow(dead_code, reason = "made for the tests of the daemon")]
mod served;
#[path = "../support/skip.rs"]
mod skip;
#[path = "../support/sshd.rs"]
mod sshd;
mod tls;
mod trust;
mod variables;
mod world;
