//! The access policy: every operation of a workspace over every backend, in scopes as in the root; links, moves and
//! races; the question to the application; and what commands see. Each attack first shows that its canary falls
//! without the policy.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests may say what they take for granted"
)]

mod asking;
mod commands;
mod hook;
mod links;
mod measure;
mod moves;
#[path = "../support/opening.rs"]
mod opening;
mod operations;
mod races;
mod rights;
mod told;
mod world;

#[path = "../support/skip.rs"]
mod skip;
