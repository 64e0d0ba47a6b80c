//! What the daemon and a remote backend say to each other, and what both say in plain SFTP: the texts of the protocols
//! without anything that moves them.

pub mod commands;
pub mod operations;
pub mod sftp;
pub mod websocket;
