//! Extended requests: OpenSSH's that we know, and our own.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::attributes::FileAttributes;
use super::fields::{Fields, Malformed, put_string};
use super::request::Request;
use crate::backend::Space;

/// The names of extended requests.
pub mod name {
    /// Renames, replacing a file: version `1`.
    pub const POSIX_RENAME: &[u8] = b"posix-rename@openssh.com";
    /// How full the file system is: version `2`.
    pub const STATVFS: &[u8] = b"statvfs@openssh.com";
    /// The same of what is open: version `2`.
    pub const FSTATVFS: &[u8] = b"fstatvfs@openssh.com";
    /// Makes a hard link: version `1`. Our server refuses it and does not announce it.
    pub const HARDLINK: &[u8] = b"hardlink@openssh.com";
    /// Flushes a file to the disk: version `1`.
    pub const FSYNC: &[u8] = b"fsync@openssh.com";
    /// Changes attributes of a link itself: version `1`.
    pub const LSETSTAT: &[u8] = b"lsetstat@openssh.com";
    /// The bounds of the server: version `1`.
    pub const LIMITS: &[u8] = b"limits@openssh.com";
    /// The absolute path, with `~`: version `1`.
    pub const EXPAND_PATH: &[u8] = b"expand-path@openssh.com";
    /// Where a user is at home: version `1`.
    pub const HOME_DIRECTORY: &[u8] = b"home-directory";
    /// One operation of ours, see [`crate::wire::operations`].
    pub const OPERATION: &[u8] = crate::wire::operations::NAME.as_bytes();
    /// Ends an operation of ours that is still pending.
    pub const CANCEL: &[u8] = b"cancel@agent-backend";
}

/// An extended request, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extended {
    /// [`name::POSIX_RENAME`]: `STATUS`.
    PosixRename { from: Bytes, to: Bytes },
    /// [`name::STATVFS`]: [`VfsStatistics`].
    StatVfs { path: Bytes },
    /// [`name::FSTATVFS`]: [`VfsStatistics`].
    FstatVfs { handle: Bytes },
    /// [`name::HARDLINK`]: `STATUS`.
    HardLink { from: Bytes, to: Bytes },
    /// [`name::FSYNC`]: `STATUS`.
    Fsync { handle: Bytes },
    /// [`name::LSETSTAT`]: `STATUS`.
    LsetStat {
        path: Bytes,
        attributes: FileAttributes,
    },
    /// [`name::LIMITS`]: [`ServerLimits`].
    Limits,
    /// [`name::EXPAND_PATH`]: `NAME` with one entry.
    ExpandPath { path: Bytes },
    /// [`name::HOME_DIRECTORY`]: `NAME` with one entry.
    HomeDirectory { user: Bytes },
    /// [`name::OPERATION`]: an encoded answer.
    Operation(Bytes),
    /// [`name::CANCEL`], of the request with this number: `STATUS`, whether or not there was one. The request itself is
    /// answered too.
    Cancel { id: u32 },
    /// Another.
    Unknown,
}

impl Extended {
    /// Reads the name and data of [`Request::Extended`].
    ///
    /// # Errors
    /// [`Malformed`] where the data are not those of the name.
    pub fn decode(extension: &[u8], data: Bytes) -> Result<Self, Malformed> {
        let mut fields = Fields::new(data);
        Ok(match extension {
            name::OPERATION => Self::Operation(fields.rest()),
            name::CANCEL => Self::Cancel { id: fields.u32()? },
            name::POSIX_RENAME => Self::PosixRename {
                from: fields.string()?,
                to: fields.string()?,
            },
            name::STATVFS => Self::StatVfs {
                path: fields.string()?,
            },
            name::FSTATVFS => Self::FstatVfs {
                handle: fields.string()?,
            },
            name::HARDLINK => Self::HardLink {
                from: fields.string()?,
                to: fields.string()?,
            },
            name::FSYNC => Self::Fsync {
                handle: fields.string()?,
            },
            name::LSETSTAT => Self::LsetStat {
                path: fields.string()?,
                attributes: FileAttributes::decode(&mut fields)?,
            },
            name::LIMITS => Self::Limits,
            name::EXPAND_PATH => Self::ExpandPath {
                path: fields.string()?,
            },
            name::HOME_DIRECTORY => Self::HomeDirectory {
                user: fields.string()?,
            },
            _ => Self::Unknown,
        })
    }

    /// As a request; [`Extended::Unknown`] has an empty name.
    #[must_use]
    pub fn into_request(self) -> Request {
        let mut data = BytesMut::new();
        let name: &'static [u8] = match self {
            Self::Operation(operation) => {
                return Request::Extended {
                    name: Bytes::from_static(name::OPERATION),
                    data: operation,
                };
            }
            Self::PosixRename { from, to } => {
                put_string(&mut data, &from);
                put_string(&mut data, &to);
                name::POSIX_RENAME
            }
            Self::HardLink { from, to } => {
                put_string(&mut data, &from);
                put_string(&mut data, &to);
                name::HARDLINK
            }
            Self::LsetStat { path, attributes } => {
                put_string(&mut data, &path);
                attributes.encode(&mut data);
                name::LSETSTAT
            }
            Self::Cancel { id } => {
                data.put_u32(id);
                name::CANCEL
            }
            Self::StatVfs { path } => one(&mut data, &path, name::STATVFS),
            Self::FstatVfs { handle } => one(&mut data, &handle, name::FSTATVFS),
            Self::Fsync { handle } => one(&mut data, &handle, name::FSYNC),
            Self::ExpandPath { path } => one(&mut data, &path, name::EXPAND_PATH),
            Self::HomeDirectory { user } => one(&mut data, &user, name::HOME_DIRECTORY),
            Self::Limits => name::LIMITS,
            Self::Unknown => b"",
        };
        Request::Extended {
            name: Bytes::from_static(name),
            data: data.freeze(),
        }
    }
}

fn one(data: &mut BytesMut, field: &[u8], name: &'static [u8]) -> &'static [u8] {
    put_string(data, field);
    name
}

/// Reads as many numbers as there are.
fn numbers<const N: usize>(data: Bytes) -> Result<[u64; N], Malformed> {
    let mut fields = Fields::new(data);
    let mut numbers = [0; N];
    for number in &mut numbers {
        *number = fields.u64()?;
    }
    Ok(numbers)
}

fn put_numbers(numbers: &[u64]) -> Bytes {
    let mut data = BytesMut::with_capacity(numbers.len() * 8);
    numbers.iter().for_each(|number| data.put_u64(*number));
    data.freeze()
}

/// The bounds of a server; 0 where it names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerLimits {
    /// Bytes of a packet.
    pub max_packet: u64,
    /// Bytes of a `READ`.
    pub max_read: u64,
    /// Bytes of a `WRITE`.
    pub max_write: u64,
    /// Handles open at once.
    pub max_handles: u64,
}

impl ServerLimits {
    /// Reads the reply's data.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(data: Bytes) -> Result<Self, Malformed> {
        let [max_packet, max_read, max_write, max_handles] = numbers(data)?;
        Ok(Self {
            max_packet,
            max_read,
            max_write,
            max_handles,
        })
    }

    /// The reply's data.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        put_numbers(&[
            self.max_packet,
            self.max_read,
            self.max_write,
            self.max_handles,
        ])
    }
}

/// How full a file system is; the terms are those of `statvfs(3)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VfsStatistics(pub Space);

impl VfsStatistics {
    /// `ST_NOSUID`: set-user-ID bits mean nothing in a workspace.
    const NO_SETUID: u64 = 2;

    /// Reads the reply's data.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(data: Bytes) -> Result<Self, Malformed> {
        let [
            _,
            block_size,
            blocks,
            free,
            available,
            files,
            files_free,
            _,
            _,
            _,
            name_max,
        ] = numbers(data)?;
        Ok(Self(Space {
            block_size,
            blocks,
            blocks_free: free,
            blocks_available: available,
            files,
            files_free,
            name_max,
        }))
    }

    /// The reply's data. The file system's number is not told.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let space = &self.0;
        put_numbers(&[
            space.block_size,
            space.block_size,
            space.blocks,
            space.blocks_free,
            space.blocks_available,
            space.files,
            space.files_free,
            space.files_free,
            0,
            Self::NO_SETUID,
            space.name_max,
        ])
    }
}
