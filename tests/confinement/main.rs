//! Nothing leaves the root: every way out that we know, through every operation, at every depth of scope, with both
//! resolvers. Each attack first shows that its canary falls where the wall is down.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests may say what they take for granted"
)]

mod bad_input;
mod corpus;
mod escapes;
mod held;
mod interrupted;
mod leases;
#[path = "../support/opening.rs"]
mod opening;
mod operations;
mod races;
#[path = "../support/skip.rs"]
mod skip;
mod special_files;
mod tools;
mod world;
