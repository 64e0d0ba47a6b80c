//! Commands with real processes: what they get, what they print, and that all of it ends when it should.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may say what it takes for granted"
)]

mod background;
mod landlocked;
mod levels;
mod limited;
mod limits;
mod measure;
mod network;
mod open;
mod ordinary;
mod quota;
#[path = "../support/skip.rs"]
mod skip;
mod start;
mod support;
mod syscalls;
mod tenants;
mod terminal;
mod walled;
mod workspace;
