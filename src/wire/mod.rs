//! What the daemon and a remote backend say to each other, and what both say in plain SFTP: the texts of the protocols
//! without anything that moves them.
//!
//! What comes in is whatever somebody sent. Decoding never panics, never recurses by what it reads, and takes no more
//! memory than a small multiple of what came in.

mod blob;
pub mod commands;
mod failure;
pub(crate) mod name;
pub mod operations;
pub mod sftp;

pub(crate) use failure::Failure;

use crate::error::{Error, ErrorCode};

/// A longer message is refused by both sides.
pub const MAX_MESSAGE: usize = 4 << 20;

/// The refusal of what is no message of the protocol.
pub(crate) fn malformed(what: &str) -> Error {
    Error::new(
        ErrorCode::IoError,
        format!("the other side sent {what}; it may be of another version, or no agent-backend"),
    )
}
