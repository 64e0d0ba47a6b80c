//! The new content of a file before it has its name: written under an unpredictable name in the same directory.

use std::cell::RefCell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::{Errno, Result};

use super::journal::{Entry, Identity, Journal};
use super::metadata;
use super::random::random;
use super::source::Source;
use crate::backend::FileStat;

/// How the names of temporaries begin and end. A name alone proves nothing: anybody can make one.
pub(super) const PREFIX: &[u8] = b".agent-backend-";
pub(super) const SUFFIX: &[u8] = b".tmp";

/// How a temporary is recorded before it exists.
#[derive(Clone, Debug)]
pub(super) struct Recording<'j> {
    pub(super) journal: &'j Journal,
    /// Absolute path of the root.
    pub(super) root: &'j [u8],
    /// The directory, below the root.
    pub(super) parent: Vec<u8>,
    /// The file that it will change places with.
    pub(super) displaced: Option<Identity>,
}

/// A file that is removed when dropped, unless it got its name.
#[derive(Debug)]
pub(super) struct Temporary<'d> {
    directory: BorrowedFd<'d>,
    /// The record of it, which goes after it.
    _record: Option<Entry<'d>>,
    name: Vec<u8>,
    file: OwnedFd,
    stat: FileStat,
    /// Whether the temporary name still has to be freed.
    pending: bool,
}

impl<'d> Temporary<'d> {
    /// Creates it exclusively, for us alone to write; nobody else may read it unless `mode` says so.
    pub(super) fn create(
        directory: BorrowedFd<'d>,
        mode: u32,
        recording: Option<&Recording<'d>>,
    ) -> Result<Self> {
        let flags = OFlags::WRONLY
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::NOCTTY
            | OFlags::CLOEXEC;
        loop {
            let name = unpredictable_name()?;
            let record =
                recording.and_then(|r| r.journal.record(r.root, &r.parent, &name, r.displaced));
            match openat(directory, &*name, flags, Mode::from_raw_mode(mode)) {
                Ok(file) => {
                    let stat = metadata::of_handle(&file)?;
                    if let Some(record) = &record {
                        record.created((stat.dev, stat.ino));
                    }
                    return Ok(Self {
                        directory,
                        _record: record,
                        name,
                        file,
                        stat,
                        pending: true,
                    });
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
        }
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    pub(super) fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    /// As it was when it was created.
    pub(super) fn stat(&self) -> &FileStat {
        &self.stat
    }

    /// Whether this is the file.
    pub(super) fn is(&self, other: &FileStat) -> bool {
        (self.stat.dev, self.stat.ino) == (other.dev, other.ino)
    }

    pub(super) fn write_all(&self, content: Source<'_>) -> Result<()> {
        content.write_to(self.file.as_fd())
    }

    /// Frees the temporary name of a file that has another name already.
    pub(super) fn unlink_name(&self) -> Result<()> {
        unlinkat(self.directory, &*self.name, AtFlags::empty())
    }

    /// The temporary name is free: it became the file's name.
    pub(super) fn renamed(mut self) {
        self.pending = false;
    }

    /// What is under the temporary name now is what was displaced: it goes.
    pub(super) fn discard_displaced(mut self) -> Result<()> {
        self.pending = false;
        // The record goes with `self`, after the name.
        match unlinkat(self.directory, &*self.name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        }
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        // Only what we created: under its name there may be something else by now.
        if self.pending
            && metadata::of_entry(self.directory, &self.name).is_ok_and(|found| self.is(&found))
        {
            let _ = unlinkat(self.directory, &*self.name, AtFlags::empty());
        }
    }
}

const RANDOM_BYTES: usize = 8;

thread_local! {
    /// Randomness for the next names: one system call gives enough for 32 of them. What was used is cut off.
    static UNUSED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn unpredictable_name() -> Result<Vec<u8>> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut name = Vec::with_capacity(PREFIX.len() + 2 * RANDOM_BYTES + SUFFIX.len());
    name.extend_from_slice(PREFIX);
    UNUSED.with_borrow_mut(|unused| {
        if unused.len() < RANDOM_BYTES {
            *unused = random::<256>()?.to_vec();
        }
        let rest = unused.len() - RANDOM_BYTES;
        for byte in unused.drain(rest..) {
            name.push(DIGITS[usize::from(byte >> 4)]);
            name.push(DIGITS[usize::from(byte & 15)]);
        }
        Ok::<(), Errno>(())
    })?;
    name.extend_from_slice(SUFFIX);
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_within_and_between_the_portions_of_randomness() {
        let names: std::collections::HashSet<_> =
            (0..100).map(|_| unpredictable_name().unwrap()).collect();
        assert_eq!(names.len(), 100);
        let expected = PREFIX.len() + 2 * RANDOM_BYTES + SUFFIX.len();
        assert!(names.iter().all(|name| name.len() == expected));
    }
}
