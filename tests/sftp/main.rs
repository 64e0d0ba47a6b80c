//! The SFTP door, spoken to by a small client over a pipe in memory: what every request does, what it refuses, what many
//! at once cost, and what it makes of bytes that are no SFTP.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "tests may say what they take for granted"
)]

mod batches;
mod bounds;
mod client;
mod confinement;
mod directories;
mod files;
mod garbage;
mod openssh;
mod operations;
mod order;
mod paths;
mod rights;
#[path = "../support/skip.rs"]
mod skip;
mod streaming;
mod world;
