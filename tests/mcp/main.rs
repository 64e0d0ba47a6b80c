//! The MCP tools and the protocol around them, from outside the crate. What the reference server answers to the same
//! calls is compared in `__test__/mcp`; here is what it has no answer to, and what a client may do wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests may say what they take for granted"
)]

mod background;
mod client;
mod commands;
mod finding;
mod protocol;
mod stateless;
mod tools;
