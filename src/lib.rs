//! The workspace of AI agents: files, search and shell behind one API.
//!
//! `error`, `path`, `status`, `call`, `pool`, `memory`, `access` ← `egress`, `sys` ← `backend` ← `workspace` ← `mcp` ← `daemon`. The doors (the Node
//! addon, MCP, and later SSH and HTTP) reach everything through [`workspace::Workspace`]. See ARCHITECTURE.md.

pub mod access;
pub mod backend;
pub mod call;
pub mod daemon;
pub mod docker;
pub mod egress;
pub mod error;
mod glob_bounds;
pub mod health;
pub mod mcp;
pub mod memory;
mod outbox;
pub mod path;
pub mod policy;
pub mod pool;
pub mod search;
pub mod status;
pub mod sys;
pub mod websocket;
pub mod wire;
pub mod workspace;
