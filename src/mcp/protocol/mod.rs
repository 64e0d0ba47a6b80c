//! The tools behind MCP sessions: JSON-RPC messages in, JSON-RPC messages out, whatever carries them.
//!
//! rmcp speaks the protocol (its versions, their handshakes, cancellation); this module gives it our tools
//! ([`handler`]), a transport that keeps going whatever it is sent ([`wire`]), and one type for all doors, [`Session`].
//! Nothing else names rmcp.

mod handler;
mod http;
mod outstanding;
mod session;
mod wire;

pub use http::{HttpAnswer, HttpService, Kept};
pub use session::{Outbox, Session};
pub use wire::MAX_MESSAGE_BYTES;
