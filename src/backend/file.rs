//! The vocabulary of file operations: options, and what comes back.

use std::ops::Range;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What kind of thing a path names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO, socket or device: listed, never opened.
    Other,
}

/// What `stat` says of a path. Times are nanoseconds since 1970 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStat {
    /// What it is.
    pub kind: FileKind,
    /// Kind and permission bits as in `st_mode`; synthesised where the backend has none (`0o100644`, `0o40755`).
    pub mode: u32,
    /// Bytes.
    pub size: u64,
    /// Device number.
    pub dev: u64,
    /// Inode number, unique within the device.
    pub ino: u64,
    /// Number of names (hard links).
    pub nlink: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Device number of a device file.
    pub rdev: u64,
    /// Preferred block size for I/O.
    pub blksize: u32,
    /// Allocated blocks of 512 bytes.
    pub blocks: u64,
    /// Last access.
    pub atime_ns: i128,
    /// Last change of content.
    pub mtime_ns: i128,
    /// Last change of metadata.
    pub ctime_ns: i128,
    /// Creation, or `ctime_ns` where the file system does not know.
    pub birthtime_ns: i128,
}

impl FileStat {
    /// Identifies this state of this file, see [`Etag`].
    #[must_use]
    pub fn etag(&self) -> Etag {
        Etag(format!(
            "{:x}-{:x}-{:x}-{:x}-{:x}",
            self.dev, self.ino, self.size, self.mtime_ns, self.ctime_ns
        ))
    }
}

/// Identifies one state of one file: device, inode, size, mtime and ctime in nanoseconds.
///
/// Between calls of one process a comparison is exact; against commands and other processes it is best effort,
/// since a store through `mmap` can change content and leave the times as they were.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Etag(pub String);

/// How to read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReadOptions {
    /// Byte range; the end may lie beyond the end of the file. `None` reads all.
    pub range: Option<Range<u64>>,
    /// Refuse with `TOO_LARGE` what would give more bytes than this. `None`: no bound.
    pub max_bytes: Option<u64>,
}

/// What was read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReadOutcome {
    /// The content, or the range of it.
    #[serde(skip)]
    pub bytes: Bytes,
    /// The file as it was when it was read.
    pub stat: FileStat,
}

/// What to do with what is already there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteMode {
    /// Create the file, or replace its content as a whole.
    #[default]
    Replace,
    /// Fail with `ALREADY_EXISTS` where something is there.
    CreateNew,
    /// Add to the end; create the file if missing. Not atomic for readers.
    Append,
    /// Replace only the state that has this etag, else `CONFLICT`.
    IfMatch(Etag),
}

/// What must survive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Durability {
    /// A killed process loses nothing. A power cut within the next seconds may leave the old content, or (on some
    /// file systems) an empty file.
    #[default]
    Process,
    /// Flushed to the disk before the call ends: a power cut loses nothing.
    Disk,
}

/// How to write.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct WriteOptions {
    /// What to do with what is there.
    pub mode: WriteMode,
    /// Permission bits to set; `None` keeps those of a replaced file and gives `0o644` less the umask to a new one.
    /// Set-user-ID and set-group-ID are always dropped.
    pub permissions: Option<u32>,
    /// What must survive.
    pub durability: Durability,
    /// Memory backend: drop the value after this many milliseconds. Others ignore it.
    pub ttl_ms: Option<u64>,
}

/// What a write left behind.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WriteOutcome {
    /// The file after the write.
    pub stat: FileStat,
}

/// How to list.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ListOptions {
    /// Also `lstat` each entry. Without it, [`DirEntry::stat`] is `None`.
    pub with_stat: bool,
}

/// One entry of a directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DirEntry {
    /// The name, one component, as bytes.
    #[serde(with = "crate::wire::name")]
    pub name: Vec<u8>,
    /// What it is; a link is a link.
    pub kind: FileKind,
    /// By `lstat`, where asked for.
    pub stat: Option<FileStat>,
}

/// How to rename.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct RenameOptions {
    /// Fail with `ALREADY_EXISTS` where anything, a link too, is at the target. Default: false.
    pub keep_existing: bool,
    /// Fail with `NOT_FOUND` where the directory of the target is missing, instead of creating it. Default: false.
    pub existing_parent: bool,
}

/// What a removal is meant for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Removable {
    /// Whatever is there.
    #[default]
    Anything,
    /// Anything but a directory: that is `IS_A_DIRECTORY`.
    File,
    /// A directory; anything else, a link to one too, is `NOT_A_DIRECTORY`.
    Directory,
}

/// How to remove.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct RemoveOptions {
    /// A directory with all that is in it.
    pub recursive: bool,
    /// A missing path is fine.
    pub force: bool,
    /// What it must be, judged by the removal itself and not before it. Default: anything.
    pub only: Removable,
}
