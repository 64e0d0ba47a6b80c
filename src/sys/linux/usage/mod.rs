//! What a directory tree takes of its file system: the blocks that are allocated and the number of inodes, since a tree
//! of empty files fills a disk too; and what processes hold open there that has no name any more, which no walk sees.

mod unlinked;

use std::collections::HashSet;
use std::ffi::{CStr, CString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, fstat, openat, statat};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

pub use unlinked::unlinked;

use super::child;

/// Handles kept on the way down; above that a directory is reached again from the one below it.
const MAX_OPEN: usize = 64;

/// What the kernel is asked for of a directory at a time.
const BUFFER_BYTES: usize = 32 << 10;

/// Bytes of a block as `stat` counts them, whatever the file system's own are.
const BLOCK: u64 = 512;

/// How far a measurement may go.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Ends it early.
    pub cancel: CancellationToken,
    /// When it ends at the latest.
    pub deadline: Option<Instant>,
    /// Entries that it looks at.
    pub max_entries: u64,
}

impl Default for Bounds {
    /// As far as it takes, up to ten million entries.
    fn default() -> Self {
        Self {
            cancel: CancellationToken::new(),
            deadline: None,
            max_entries: 10_000_000,
        }
    }
}

/// What was measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Allocated bytes; holes of sparse files count nothing, a file with several names counts once.
    pub bytes: u64,
    /// Files, directories and everything else that has an inode; the top directory included.
    pub inodes: u64,
    /// Something was left out: a bound was reached, or a directory could not be read. It is at least so much.
    pub cut_short: bool,
}

/// Measures what is below a directory and on the same file system, never through a link. Blocks, for about 1 µs an
/// entry.
///
/// # Errors
/// Those of reading the top directory.
pub fn tree(top: impl AsFd, bounds: &Bounds) -> Result<Usage, Errno> {
    // A handle that was opened for nothing but a path cannot be listed.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let top = openat(top, ".", flags, Mode::empty())?;
    let stat = fstat(&top)?;
    let mut walk = Walk {
        device: stat.st_dev,
        bounds,
        usage: Usage::default(),
        seen: HashSet::new(),
        buffer: vec![MaybeUninit::uninit(); BUFFER_BYTES],
    };
    walk.usage.bytes = allocated(&stat);
    walk.usage.inodes = 1;
    let mut frames = vec![Frame::new(top, stat.st_ino)];
    loop {
        let is_top = frames.len() == 1;
        let Some(frame) = frames.last_mut() else {
            break;
        };
        if walk.is_over() {
            walk.usage.cut_short = true;
            break;
        }
        if let Some(listed) = frame.unlisted.take() {
            frame.pending = walk.list(listed.as_fd(), is_top)?;
            frame.handle = Some(listed);
            close_far_above(&mut frames);
            continue;
        }
        match frame.pending.pop() {
            Some((name, inode)) => match walk.enter(frame, &name, inode) {
                Some(below) => frames.push(below),
                None => walk.usage.cut_short = true,
            },
            None => walk.leave(&mut frames),
        }
    }
    Ok(walk.usage)
}

/// A directory on the way.
struct Frame {
    /// Its handle, until its entries were read.
    unlisted: Option<OwnedFd>,
    /// Its handle afterwards; `None` where too many are open.
    handle: Option<OwnedFd>,
    inode: u64,
    /// Directories in it that are still to be measured.
    pending: Vec<(CString, u64)>,
}

impl Frame {
    fn new(handle: OwnedFd, inode: u64) -> Self {
        Self {
            unlisted: Some(handle),
            handle: None,
            inode,
            pending: Vec::new(),
        }
    }
}

fn close_far_above(frames: &mut [Frame]) {
    // The top stays, so that there is always something to begin from.
    if let Some(far) = frames.len().checked_sub(MAX_OPEN)
        && far > 0
    {
        frames[far].handle = None;
    }
}

struct Walk<'a> {
    device: u64,
    bounds: &'a Bounds,
    usage: Usage,
    /// Files with several names that were counted.
    seen: HashSet<u64>,
    buffer: Vec<MaybeUninit<u8>>,
}

impl Walk<'_> {
    fn is_over(&self) -> bool {
        self.usage.inodes >= self.bounds.max_entries
            || self.bounds.cancel.is_cancelled()
            || (self.bounds.deadline).is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Counts the entries of a directory; gives the directories among them.
    fn list(
        &mut self,
        directory: BorrowedFd<'_>,
        is_top: bool,
    ) -> Result<Vec<(CString, u64)>, Errno> {
        let mut below = Vec::new();
        let mut buffer = std::mem::take(&mut self.buffer);
        let mut entries = RawDir::new(directory, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if is_top => return Err(error),
                Err(_) => {
                    self.usage.cut_short = true;
                    break;
                }
            };
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            if self.usage.inodes >= self.bounds.max_entries {
                break;
            }
            if let Some(inode) = self.count(directory, name) {
                below.push((name.to_owned(), inode));
            }
        }
        self.buffer = buffer;
        Ok(below)
    }

    /// Counts one entry; gives its inode where it is a directory to go into.
    fn count(&mut self, directory: BorrowedFd<'_>, name: &CStr) -> Option<u64> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        // What is gone by now takes nothing.
        let stat = statat(directory, name, flags).ok()?;
        if stat.st_dev != self.device {
            return None;
        }
        let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if stat.st_nlink > 1 && !is_directory && !self.seen.insert(stat.st_ino) {
            return None;
        }
        self.usage.inodes += 1;
        self.usage.bytes = self.usage.bytes.saturating_add(allocated(&stat));
        is_directory.then_some(stat.st_ino)
    }

    /// Goes into a directory, unless something else is there by now.
    fn enter(&self, frame: &Frame, name: &CStr, inode: u64) -> Option<Frame> {
        let parent = frame.handle.as_ref()?;
        let handle = child::open_directory(parent.as_fd(), name).ok()?;
        let stat = fstat(&handle).ok()?;
        // Something may have been mounted there, or another directory put in its place: that was not counted here.
        (stat.st_dev == self.device && stat.st_ino == inode).then(|| Frame::new(handle, inode))
    }

    /// Goes back to the directory above.
    fn leave(&mut self, frames: &mut Vec<Frame>) {
        let left = frames.pop();
        let Some(above) = frames.last_mut() else {
            return;
        };
        if above.handle.is_some() || above.pending.is_empty() {
            return;
        }
        // Whoever moved the directory meanwhile leads `..` elsewhere: then the rest of the one above is left out.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let handle = left
            .and_then(|left| left.handle)
            .and_then(|handle| openat(handle, "..", flags, Mode::empty()).ok())
            .filter(|handle| {
                fstat(handle)
                    .is_ok_and(|stat| stat.st_dev == self.device && stat.st_ino == above.inode)
            });
        if handle.is_none() {
            above.pending.clear();
            self.usage.cut_short = true;
        }
        above.handle = handle;
    }
}

fn allocated(stat: &rustix::fs::Stat) -> u64 {
    u64::try_from(stat.st_blocks)
        .unwrap_or(0)
        .saturating_mul(BLOCK)
}

#[cfg(test)]
mod tests;
