//! What a server sends.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::attributes::FileAttributes;
use super::fields::{Fields, Malformed, put_length, put_packet, put_string};
use super::kind;
use super::status::StatusCode;

/// A pair of `INIT` and `VERSION`: an extension's name and what it says of it, often its version as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// Such as `posix-rename@openssh.com`.
    pub name: Bytes,
    /// Such as `1`.
    pub data: Bytes,
}

impl Extension {
    pub(super) fn decode_all(fields: &mut Fields) -> Result<Vec<Self>, Malformed> {
        let mut extensions = Vec::new();
        while !fields.is_empty() {
            extensions.push(Self {
                name: fields.string()?,
                data: fields.string()?,
            });
        }
        Ok(extensions)
    }
}

/// What a server said of an extension, if it has it.
#[must_use]
pub fn version_extension<'a>(extensions: &'a [Extension], name: &[u8]) -> Option<&'a Bytes> {
    (extensions.iter())
        .find(|extension| extension.name == name)
        .map(|extension| &extension.data)
}

/// An entry of a directory, or the one name that `REALPATH` and `READLINK` give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name of the entry in its directory.
    pub name: Bytes,
    /// What `ls -l` shows of it, which clients print as it is.
    pub long_name: Bytes,
    /// What it is, a link itself.
    pub attributes: FileAttributes,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Done, or why not.
    Status { code: StatusCode, message: Bytes },
    /// What was opened.
    Handle(Bytes),
    /// What was read.
    Data(Bytes),
    /// Names.
    Names(Vec<Entry>),
    /// What is there.
    Attributes(FileAttributes),
    /// The answer to an extended request, see [`super::Extended`].
    ExtendedReply(Bytes),
}

/// A packet of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromServer {
    /// The first.
    Version {
        version: u32,
        extensions: Vec<Extension>,
    },
    /// Any other.
    Response { id: u32, response: Response },
}

impl FromServer {
    /// Reads a packet, without its length.
    ///
    /// # Errors
    /// [`Malformed`]; with the request's number where that could be read.
    pub fn decode(packet: Bytes) -> Result<Self, Malformed> {
        let mut fields = Fields::new(packet);
        let kind = fields.u8()?;
        if kind == kind::VERSION {
            let version = fields.u32()?;
            let extensions = Extension::decode_all(&mut fields)?;
            return Ok(Self::Version {
                version,
                extensions,
            });
        }
        let id = fields.u32()?;
        Response::decode(kind, &mut fields)
            .map(|response| Self::Response { id, response })
            .map_err(|malformed| malformed.of(id))
    }
}

/// Adds the packet that answers `INIT`, with its length.
pub fn encode_version<'a>(
    extensions: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    out: &mut BytesMut,
) {
    put_packet(out, kind::VERSION, 0, |out| {
        out.put_u32(super::PROTOCOL);
        for (name, data) in extensions {
            put_string(out, name);
            put_string(out, data);
        }
    });
}

/// Adds the head of an `EXTENDED_REPLY`, with its length; so many bytes of content are to follow.
pub fn encode_reply_head(id: u32, content: usize, out: &mut BytesMut) {
    put_packet(out, kind::EXTENDED_REPLY, content, |out| out.put_u32(id));
}

impl Response {
    /// That it is done.
    #[must_use]
    pub fn ok() -> Self {
        Self::status(StatusCode::Ok, "")
    }

    /// A status with a message.
    pub fn status(code: StatusCode, message: impl Into<Bytes>) -> Self {
        Self::Status {
            code,
            message: message.into(),
        }
    }

    fn decode(kind: u8, fields: &mut Fields) -> Result<Self, Malformed> {
        Ok(match kind {
            kind::STATUS => Self::Status {
                code: StatusCode::from_number(fields.u32()?),
                // Servers of early versions sent neither message nor language.
                message: if fields.is_empty() {
                    Bytes::new()
                } else {
                    fields.string()?
                },
            },
            kind::HANDLE => Self::Handle(fields.string()?),
            kind::DATA => Self::Data(fields.string()?),
            kind::NAME => Self::Names(Self::decode_names(fields)?),
            kind::ATTRS => Self::Attributes(FileAttributes::decode(fields)?),
            kind::EXTENDED_REPLY => Self::ExtendedReply(fields.rest()),
            _ => return Err(Malformed::new("an answer of an unknown kind")),
        })
    }

    fn decode_names(fields: &mut Fields) -> Result<Vec<Entry>, Malformed> {
        // Two lengths and the flags of attributes: what an entry takes at least.
        const LEAST: usize = 12;
        let count = usize::try_from(fields.u32()?).unwrap_or(usize::MAX);
        if count > fields.left() / LEAST {
            return Err(Malformed::new("it has fewer names than it says"));
        }
        let mut entries = Vec::with_capacity(count);
        for _ in 0..count {
            entries.push(Entry {
                name: fields.string()?,
                long_name: fields.string()?,
                attributes: FileAttributes::decode(fields)?,
            });
        }
        Ok(entries)
    }

    /// Adds the whole packet, with its length.
    pub fn encode(&self, id: u32, out: &mut BytesMut) {
        let payload = self.encode_head(id, out);
        out.extend_from_slice(&payload);
    }

    /// Adds the packet, with its length, up to the payload of `DATA` or `EXTENDED_REPLY`, which is given back and to be
    /// sent right behind; empty for others.
    #[must_use = "the payload belongs to the packet"]
    pub fn encode_head(&self, id: u32, out: &mut BytesMut) -> Bytes {
        let payload = match self {
            Self::Data(data) | Self::ExtendedReply(data) => data.clone(),
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
            Self::Status { code, message } => {
                out.put_u32(code.number());
                put_string(out, message);
                put_string(out, b"en");
            }
            Self::Handle(handle) => put_string(out, handle),
            Self::Data(data) => put_length(out, data.len()),
            Self::Names(entries) => {
                put_length(out, entries.len());
                for entry in entries {
                    put_string(out, &entry.name);
                    put_string(out, &entry.long_name);
                    entry.attributes.encode(out);
                }
            }
            Self::Attributes(attributes) => attributes.encode(out),
            Self::ExtendedReply(_) => {}
        }
    }

    fn kind(&self) -> u8 {
        match self {
            Self::Status { .. } => kind::STATUS,
            Self::Handle(_) => kind::HANDLE,
            Self::Data(_) => kind::DATA,
            Self::Names(_) => kind::NAME,
            Self::Attributes(_) => kind::ATTRS,
            Self::ExtendedReply(_) => kind::EXTENDED_REPLY,
        }
    }
}
