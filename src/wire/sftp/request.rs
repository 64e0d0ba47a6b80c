//! What a client sends.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::attributes::FileAttributes;
use super::fields::{Fields, Malformed, put_length, put_packet, put_string};
use super::kind;
use super::response::Extension;

/// How a client wants a file opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags {
    /// It will be read.
    pub read: bool,
    /// It will be written.
    pub write: bool,
    /// Every write goes to the end.
    pub append: bool,
    /// Create it where it is missing.
    pub create: bool,
    /// Empty it.
    pub truncate: bool,
    /// With `create`: fail where it is there.
    pub exclusive: bool,
}

impl OpenFlags {
    const BITS: [u32; 6] = [1, 2, 4, 8, 16, 32];

    fn from_bits(bits: u32) -> Self {
        let [read, write, append, create, truncate, exclusive] =
            Self::BITS.map(|bit| bits & bit != 0);
        Self {
            read,
            write,
            append,
            create,
            truncate,
            exclusive,
        }
    }

    fn bits(self) -> u32 {
        let flags = [
            self.read,
            self.write,
            self.append,
            self.create,
            self.truncate,
            self.exclusive,
        ];
        (Self::BITS.iter().zip(flags))
            .map(|(bit, is_set)| if is_set { *bit } else { 0 })
            .sum()
    }
}

/// A request. Paths and handles are bytes, as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Opens a file: `HANDLE`.
    Open {
        path: Bytes,
        flags: OpenFlags,
        attributes: FileAttributes,
    },
    /// Closes a file or directory: `STATUS`.
    Close { handle: Bytes },
    /// Up to `length` bytes: `DATA`.
    Read {
        handle: Bytes,
        offset: u64,
        length: u32,
    },
    /// Writes all of the data: `STATUS`.
    Write {
        handle: Bytes,
        offset: u64,
        data: Bytes,
    },
    /// What is under a path, a link itself: `ATTRS`.
    Lstat { path: Bytes },
    /// What is open: `ATTRS`.
    Fstat { handle: Bytes },
    /// Changes attributes: `STATUS`.
    SetStat {
        path: Bytes,
        attributes: FileAttributes,
    },
    /// Changes attributes of what is open: `STATUS`.
    FsetStat {
        handle: Bytes,
        attributes: FileAttributes,
    },
    /// Opens a directory: `HANDLE`.
    OpenDir { path: Bytes },
    /// The next entries: `NAME`, at the end `STATUS` with `EOF`.
    ReadDir { handle: Bytes },
    /// Removes a file or link: `STATUS`.
    Remove { path: Bytes },
    /// Creates a directory: `STATUS`.
    MakeDir {
        path: Bytes,
        attributes: FileAttributes,
    },
    /// Removes an empty directory: `STATUS`.
    RemoveDir { path: Bytes },
    /// The absolute path: `NAME` with one entry.
    RealPath { path: Bytes },
    /// What is under a path, through links: `ATTRS`.
    Stat { path: Bytes },
    /// Renames, never replacing: `STATUS`.
    Rename { from: Bytes, to: Bytes },
    /// The text of a link: `NAME` with one entry.
    ReadLink { path: Bytes },
    /// Makes a link: `STATUS`. On the wire the text comes first, as OpenSSH has it; the draft, and a client that follows it,
    /// has them the other way.
    Symlink { target: Bytes, link: Bytes },
    /// Something that the protocol does not have; see [`super::Extended`].
    Extended { name: Bytes, data: Bytes },
}

/// A packet of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromClient {
    /// The first.
    Init {
        version: u32,
        extensions: Vec<Extension>,
    },
    /// Any other.
    Request { id: u32, request: Request },
    /// A request of a number that version 3 does not have: it is answered, with `OP_UNSUPPORTED`.
    Unknown { id: u32, kind: u8 },
}

impl FromClient {
    /// Reads a packet, without its length.
    ///
    /// # Errors
    /// [`Malformed`]; with the request's number where that could be read.
    pub fn decode(packet: Bytes) -> Result<Self, Malformed> {
        let mut fields = Fields::new(packet);
        let kind = fields.u8()?;
        if kind == kind::INIT {
            let version = fields.u32()?;
            let extensions = Extension::decode_all(&mut fields)?;
            return Ok(Self::Init {
                version,
                extensions,
            });
        }
        let id = fields.u32()?;
        match Request::decode(kind, &mut fields) {
            Ok(Some(request)) => Ok(Self::Request { id, request }),
            Ok(None) => Ok(Self::Unknown { id, kind }),
            Err(malformed) => Err(malformed.of(id)),
        }
    }

    /// Adds the packet that begins a session, with its length.
    pub fn encode_init(out: &mut BytesMut) {
        put_packet(out, kind::INIT, 0, |out| out.put_u32(super::PROTOCOL));
    }
}

/// Adds the head of an `EXTENDED`, with its length; so many bytes of content are to follow.
pub fn encode_extended_head(id: u32, name: &[u8], content: usize, out: &mut BytesMut) {
    put_packet(out, kind::EXTENDED, content, |out| {
        out.put_u32(id);
        put_string(out, name);
    });
}

impl Request {
    fn decode(kind: u8, fields: &mut Fields) -> Result<Option<Self>, Malformed> {
        let request = match kind {
            kind::OPEN => Self::Open {
                path: fields.string()?,
                flags: OpenFlags::from_bits(fields.u32()?),
                attributes: FileAttributes::decode(fields)?,
            },
            kind::CLOSE => Self::Close {
                handle: fields.string()?,
            },
            kind::READ => Self::Read {
                handle: fields.string()?,
                offset: fields.u64()?,
                length: fields.u32()?,
            },
            kind::WRITE => Self::Write {
                handle: fields.string()?,
                offset: fields.u64()?,
                data: fields.string()?,
            },
            kind::FSTAT => Self::Fstat {
                handle: fields.string()?,
            },
            kind::FSETSTAT => Self::FsetStat {
                handle: fields.string()?,
                attributes: FileAttributes::decode(fields)?,
            },
            kind::READDIR => Self::ReadDir {
                handle: fields.string()?,
            },
            kind::EXTENDED => Self::Extended {
                name: fields.string()?,
                data: fields.rest(),
            },
            _ => return Self::decode_on_path(kind, fields),
        };
        Ok(Some(request))
    }

    fn decode_on_path(kind: u8, fields: &mut Fields) -> Result<Option<Self>, Malformed> {
        let is_known = matches!(kind, kind::LSTAT | kind::SETSTAT | kind::OPENDIR)
            || (kind::REMOVE..=kind::SYMLINK).contains(&kind);
        if !is_known {
            return Ok(None);
        }
        let path = fields.string()?;
        Ok(Some(match kind {
            kind::LSTAT => Self::Lstat { path },
            kind::SETSTAT => Self::SetStat {
                path,
                attributes: FileAttributes::decode(fields)?,
            },
            kind::OPENDIR => Self::OpenDir { path },
            kind::REMOVE => Self::Remove { path },
            kind::MKDIR => Self::MakeDir {
                path,
                // Some clients leave them out.
                attributes: if fields.is_empty() {
                    FileAttributes::default()
                } else {
                    FileAttributes::decode(fields)?
                },
            },
            kind::RMDIR => Self::RemoveDir { path },
            kind::REALPATH => Self::RealPath { path },
            kind::STAT => Self::Stat { path },
            kind::RENAME => Self::Rename {
                from: path,
                to: fields.string()?,
            },
            kind::READLINK => Self::ReadLink { path },
            kind::SYMLINK => Self::Symlink {
                target: path,
                link: fields.string()?,
            },
            _ => return Ok(None),
        }))
    }

    /// Adds the whole packet, with its length.
    pub fn encode(&self, id: u32, out: &mut BytesMut) {
        let payload = self.encode_head(id, out);
        out.extend_from_slice(&payload);
    }

    /// Adds the packet, with its length, up to the payload of a `WRITE` or `EXTENDED`, which is given back and to be
    /// sent right behind; empty for others.
    #[must_use = "the payload belongs to the packet"]
    pub fn encode_head(&self, id: u32, out: &mut BytesMut) -> Bytes {
        let payload = match self {
            Self::Write { data, .. } | Self::Extended { data, .. } => data.clone(),
            _ => Bytes::new(),
        };
        put_packet(out, self.kind(), payload.len(), |out| {
            out.put_u32(id);
            self.encode_fields(out);
        });
        payload
    }

    fn encode_fields(&self, out: &mut BytesMut) {
        match self {
            Self::Open {
                path,
                flags,
                attributes,
            } => {
                put_string(out, path);
                out.put_u32(flags.bits());
                attributes.encode(out);
            }
            Self::Read {
                handle,
                offset,
                length,
            } => {
                put_string(out, handle);
                out.put_u64(*offset);
                out.put_u32(*length);
            }
            Self::Write {
                handle,
                offset,
                data,
            } => {
                put_string(out, handle);
                out.put_u64(*offset);
                put_length(out, data.len());
            }
            Self::SetStat { path, attributes } | Self::MakeDir { path, attributes } => {
                put_string(out, path);
                attributes.encode(out);
            }
            Self::FsetStat { handle, attributes } => {
                put_string(out, handle);
                attributes.encode(out);
            }
            Self::Rename { from, to } => {
                put_string(out, from);
                put_string(out, to);
            }
            Self::Symlink { target, link } => {
                put_string(out, target);
                put_string(out, link);
            }
            Self::Close { handle: name }
            | Self::Fstat { handle: name }
            | Self::ReadDir { handle: name }
            | Self::Lstat { path: name }
            | Self::OpenDir { path: name }
            | Self::Remove { path: name }
            | Self::RemoveDir { path: name }
            | Self::RealPath { path: name }
            | Self::Stat { path: name }
            | Self::ReadLink { path: name }
            | Self::Extended { name, .. } => put_string(out, name),
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Open { .. } => kind::OPEN,
            Self::Close { .. } => kind::CLOSE,
            Self::Read { .. } => kind::READ,
            Self::Write { .. } => kind::WRITE,
            Self::Lstat { .. } => kind::LSTAT,
            Self::Fstat { .. } => kind::FSTAT,
            Self::SetStat { .. } => kind::SETSTAT,
            Self::FsetStat { .. } => kind::FSETSTAT,
            Self::OpenDir { .. } => kind::OPENDIR,
            Self::ReadDir { .. } => kind::READDIR,
            Self::Remove { .. } => kind::REMOVE,
            Self::MakeDir { .. } => kind::MKDIR,
            Self::RemoveDir { .. } => kind::RMDIR,
            Self::RealPath { .. } => kind::REALPATH,
            Self::Stat { .. } => kind::STAT,
            Self::Rename { .. } => kind::RENAME,
            Self::ReadLink { .. } => kind::READLINK,
            Self::Symlink { .. } => kind::SYMLINK,
            Self::Extended { .. } => kind::EXTENDED,
        }
    }
}
