//! Many commands over one long-lived channel, the subsystem [`SUBSYSTEM`], with flow control for each.
//!
//! A frame is its length (of what follows, four bytes, most significant first), one byte of kind, four of the command's
//! number, and what the kind says. The client counts the commands. Bytes of a stream cost credit, [`cost`] for each
//! frame; both sides begin with [`WINDOW`] for each direction of each command and get more as the other has made use of
//! them. So a command whose output nobody reads holds itself and nothing else.

mod frames;
mod messages;
#[cfg(test)]
mod tests;

pub use frames::{Frame, Frames};
pub use messages::{FromClient, FromServer, Start, StdinKind};

/// The name of the subsystem.
pub const SUBSYSTEM: &str = "commands@agent-backend";
/// Credit that each stream of a command begins with.
pub const WINDOW: u32 = 256 << 10;
/// Bytes of a stream in one frame, at most.
pub const PIECE: usize = 32 << 10;
/// Bytes of a frame, without its length, at most.
pub const MAX_FRAME: usize = 1 << 20;
/// Bytes of [`StdinKind::Bytes`], at most.
pub const MAX_STDIN: usize = 64 << 20;

/// What a frame with so many bytes costs: those, and what the frame itself takes to hold, so that a flood of small ones
/// is bounded too.
#[must_use]
pub const fn cost(length: usize) -> u32 {
    const FRAME: u32 = 64;
    // A frame is far shorter than that.
    FRAME.saturating_add(if length > MAX_FRAME {
        MAX_FRAME as u32
    } else {
        length as u32
    })
}
