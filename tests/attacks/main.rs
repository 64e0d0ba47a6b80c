//! What an attacker tries from inside a command, at every level and as whoever this machine can be: root and an
//! ordinary user. Each attack is shown to succeed where the wall is down, and what was seen becomes the table of
//! `docs/security.md`.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests may say what they take for granted"
)]

mod attack;
mod doors;
mod elsewhere;
mod groups;
mod observe;
mod probe;
#[path = "../support/skip.rs"]
mod skip;
mod table;
mod victim;
mod world;
