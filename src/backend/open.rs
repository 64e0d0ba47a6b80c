//! Files that stay open between calls, and whole files that arrive in pieces: what SFTP and large transfers need.

use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::file::{FileStat, WriteOutcome};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};

/// How to open a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenOptions {
    /// It will be read.
    pub read: bool,
    /// It will be written, in place: a reader can see a mix of old and new.
    pub write: bool,
    /// Every write goes to the end.
    pub append: bool,
    /// Create it where it is missing; its parents must be there.
    pub create: bool,
    /// Fail with `ALREADY_EXISTS` where something, a link too, is there.
    pub create_new: bool,
    /// Empty it.
    pub truncate: bool,
    /// Permission bits of a file that is created; `None` gives `0o644` less the umask.
    pub permissions: Option<u32>,
}

impl OpenOptions {
    /// Whether bytes will be written through it.
    #[must_use]
    pub const fn writes(&self) -> bool {
        self.write || self.append
    }

    /// Whether opening it, or what is done with it, changes anything.
    #[must_use]
    pub const fn changes(&self) -> bool {
        self.writes() || self.create || self.create_new || self.truncate
    }

    /// Fails unless it is opened for something.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION`.
    pub fn check(&self) -> Result<()> {
        if self.read || self.writes() {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::InvalidConfiguration,
            "a file is opened for reading, for writing or for both",
        ))
    }

    /// Fails unless it may be read.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`.
    pub fn check_read(&self) -> Result<()> {
        match self.read {
            true => Ok(()),
            false => Err(not_opened_for("reading")),
        }
    }

    /// Fails unless it may be written.
    ///
    /// # Errors
    /// `PERMISSION_DENIED`.
    pub fn check_write(&self) -> Result<()> {
        match self.writes() {
            true => Ok(()),
            false => Err(not_opened_for("writing")),
        }
    }
}

fn not_opened_for(what: &str) -> Error {
    Error::new(
        ErrorCode::PermissionDenied,
        format!("the file was not opened for {what}"),
    )
}

/// An open file. What it names may be renamed or removed meanwhile; what is open stays. Dropping it closes it.
pub trait OpenFile: fmt::Debug + Send + Sync {
    /// What it is now.
    fn stat(&self) -> Call<FileStat>;

    /// Up to `length` bytes from an offset; fewer only at the end of the file, none beyond it.
    fn read_at(&self, offset: u64, length: usize) -> Call<Bytes>;

    /// Writes all of the bytes at an offset, or with [`OpenOptions::append`] at the end.
    ///
    /// Errors: `NO_SPACE`, `QUOTA_EXCEEDED`, `TOO_LARGE`, `PERMISSION_DENIED` where it was opened for reading.
    fn write_at(&self, offset: u64, bytes: Bytes) -> Call<()>;

    /// Changes attributes.
    ///
    /// Errors: `PERMISSION_DENIED` where it was opened for reading.
    fn set_attributes(&self, attributes: Attributes) -> Call<()>;

    /// Flushes it to the disk.
    fn sync(&self) -> Call<()>;
}

/// A write of a whole file that arrives in pieces. Nobody sees any of it before the commit; dropping it discards it.
pub trait StagedWrite: fmt::Debug + Send + Sync {
    /// Adds bytes at the end. Calls must follow one another.
    fn append(&self, bytes: Bytes) -> Call<()>;

    /// Puts the file in its place, as [`super::Backend::write`] of all the pieces would have. At most once.
    fn commit(&self) -> Call<WriteOutcome>;
}

/// Attributes to change; `None` leaves one as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Cuts or extends a file to this many bytes.
    pub size: Option<u64>,
    /// Permission bits; set-user-ID and set-group-ID are dropped.
    pub permissions: Option<u32>,
    /// Last access, in nanoseconds since 1970 UTC.
    pub atime_ns: Option<i128>,
    /// Last change of content.
    pub mtime_ns: Option<i128>,
}

/// How full the file system is; the terms are those of `statvfs(3)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Bytes of a block.
    pub block_size: u64,
    /// Blocks in all.
    pub blocks: u64,
    /// Free blocks.
    pub blocks_free: u64,
    /// Free blocks that an ordinary user may take, and that a bound on bytes leaves.
    pub blocks_available: u64,
    /// Inodes in all.
    pub files: u64,
    /// Free inodes.
    pub files_free: u64,
    /// Longest name of a component, in bytes.
    pub name_max: u64,
}
