//! What SFTP says of a file. Version 3 counts times in whole seconds, in 32 bits without a sign.

use bytes::{BufMut as _, BytesMut};

use super::fields::{Fields, Malformed};
use crate::backend::{Attributes, FileKind, FileStat};

const SIZE: u32 = 1;
const OWNER: u32 = 2;
const PERMISSIONS: u32 = 4;
const TIMES: u32 = 8;
const EXTENDED: u32 = 0x8000_0000;

const NANOSECONDS: i128 = 1_000_000_000;
const KIND_BITS: u32 = 0o170_000;

/// Attributes of a file; `None` where they are not told or not to be changed. Extended ones are skipped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileAttributes {
    /// Bytes.
    pub size: Option<u64>,
    /// User and group, as numbers.
    pub owner: Option<(u32, u32)>,
    /// Kind and permission bits as in `st_mode`; some clients send the permission bits alone.
    pub permissions: Option<u32>,
    /// Last access and last change of content, in seconds since 1970 UTC.
    pub times: Option<(u32, u32)>,
}

impl FileAttributes {
    pub(super) fn decode(fields: &mut Fields) -> Result<Self, Malformed> {
        let flags = fields.u32()?;
        let has = |flag| flags & flag != 0;
        let mut attributes = Self::default();
        if has(SIZE) {
            attributes.size = Some(fields.u64()?);
        }
        if has(OWNER) {
            attributes.owner = Some((fields.u32()?, fields.u32()?));
        }
        if has(PERMISSIONS) {
            attributes.permissions = Some(fields.u32()?);
        }
        if has(TIMES) {
            attributes.times = Some((fields.u32()?, fields.u32()?));
        }
        if has(EXTENDED) {
            // Each takes at least eight bytes of the packet, which bounds the loop whatever the count says.
            for _ in 0..fields.u32()? {
                fields.string()?;
                fields.string()?;
            }
        }
        Ok(attributes)
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        let flag = |is_there: bool, flag| if is_there { flag } else { 0 };
        out.put_u32(
            flag(self.size.is_some(), SIZE)
                | flag(self.owner.is_some(), OWNER)
                | flag(self.permissions.is_some(), PERMISSIONS)
                | flag(self.times.is_some(), TIMES),
        );
        if let Some(size) = self.size {
            out.put_u64(size);
        }
        if let Some((user, group)) = self.owner {
            out.put_u32(user);
            out.put_u32(group);
        }
        if let Some(permissions) = self.permissions {
            out.put_u32(permissions);
        }
        if let Some((accessed, modified)) = self.times {
            out.put_u32(accessed);
            out.put_u32(modified);
        }
    }

    /// What kind of thing it is, where the permissions tell.
    #[must_use]
    pub fn kind(&self) -> Option<FileKind> {
        match self.permissions? & KIND_BITS {
            0 => None,
            0o100_000 => Some(FileKind::File),
            0o040_000 => Some(FileKind::Directory),
            0o120_000 => Some(FileKind::Symlink),
            _ => Some(FileKind::Other),
        }
    }

    /// What a change of attributes asks for. The owner is left out: who it is decides the workspace.
    #[must_use]
    pub fn changes(&self) -> Attributes {
        let nanoseconds = |seconds| i128::from(seconds) * NANOSECONDS;
        Attributes {
            size: self.size,
            permissions: self.permissions.map(|bits| bits & 0o7777),
            atime_ns: self.times.map(|(accessed, _)| nanoseconds(accessed)),
            mtime_ns: self.times.map(|(_, modified)| nanoseconds(modified)),
        }
    }
}

impl From<&FileStat> for FileAttributes {
    fn from(stat: &FileStat) -> Self {
        Self {
            size: Some(stat.size),
            owner: Some((stat.uid, stat.gid)),
            permissions: Some(stat.mode),
            times: Some((seconds(stat.atime_ns), seconds(stat.mtime_ns))),
        }
    }
}

/// A time as version 3 can tell it: of what it cannot, the nearest.
fn seconds(nanoseconds: i128) -> u32 {
    let whole = nanoseconds.div_euclid(NANOSECONDS).max(0);
    u32::try_from(whole).unwrap_or(u32::MAX)
}
