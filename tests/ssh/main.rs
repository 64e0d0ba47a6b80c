//! The SSH server in process, before real peers: OpenSSH's `ssh`, `sftp` and `scp`, and a client of our own making for
//! what those would never do.
#![allow(clippy::unwrap_used)]

#[path = "../support/alone.rs"]
mod alone;
mod authenticated_garbage;
mod authentication;
mod bounds;
mod commands;
mod flow;
mod garbage;
mod garbled;
mod links;
mod peer;
mod raw;
mod server;
mod shells;
#[path = "../support/skip.rs"]
mod skip;
mod sshfs;
mod transfers;
