//! SFTP version 3 (draft-ietf-secsh-filexfer-02) and the extensions of OpenSSH, for both sides.
//!
//! The codec is our own because the crates for it answer one request after another, and copy what they carry. Here a
//! packet is cut out of what was received ([`Splitter`]) and its payloads stay slices of that; what is sent is written
//! as a head, with the payload beside it ([`Request::encode_head`]). What is decoded came from a stranger: nothing
//! panics, and nothing is allocated that was not received.

mod attributes;
mod extensions;
mod fields;
mod request;
mod response;
mod splitter;
mod status;
#[cfg(test)]
mod tests;

pub use attributes::FileAttributes;
pub use extensions::{Extended, ServerLimits, VfsStatistics, name};
pub use fields::Malformed;
pub use request::{FromClient, OpenFlags, Request, encode_extended_head};
pub use response::{
    Entry, Extension, FromServer, Response, encode_reply_head, encode_version, version_extension,
};
pub use splitter::{Splitter, TooLong};
pub use status::{StatusCode, status_message};

/// The version that we speak.
pub const PROTOCOL: u32 = 3;

/// The most content that one `READ` gives or one `WRITE` takes, in bytes.
pub const MAX_DATA: usize = 256 << 10;

/// The longest packet, without its length, of those that every SFTP program knows: [`MAX_DATA`] and what stands
/// around it.
pub const MAX_PACKET: usize = MAX_DATA + (4 << 10);

/// The longest packet of an extended request and of its reply, in which whole files of our own operations travel.
pub const MAX_EXTENDED_PACKET: usize = (4 << 20) + (64 << 10);

/// The longest handle that the protocol allows, in bytes.
pub const MAX_HANDLE: usize = 256;

/// The numbers of the packets.
pub(crate) mod kind {
    pub const INIT: u8 = 1;
    pub const VERSION: u8 = 2;
    pub const OPEN: u8 = 3;
    pub const CLOSE: u8 = 4;
    pub const READ: u8 = 5;
    pub const WRITE: u8 = 6;
    pub const LSTAT: u8 = 7;
    pub const FSTAT: u8 = 8;
    pub const SETSTAT: u8 = 9;
    pub const FSETSTAT: u8 = 10;
    pub const OPENDIR: u8 = 11;
    pub const READDIR: u8 = 12;
    pub const REMOVE: u8 = 13;
    pub const MKDIR: u8 = 14;
    pub const RMDIR: u8 = 15;
    pub const REALPATH: u8 = 16;
    pub const STAT: u8 = 17;
    pub const RENAME: u8 = 18;
    pub const READLINK: u8 = 19;
    pub const SYMLINK: u8 = 20;
    pub const STATUS: u8 = 101;
    pub const HANDLE: u8 = 102;
    pub const DATA: u8 = 103;
    pub const NAME: u8 = 104;
    pub const ATTRS: u8 = 105;
    pub const EXTENDED: u8 = 200;
    pub const EXTENDED_REPLY: u8 = 201;
}
