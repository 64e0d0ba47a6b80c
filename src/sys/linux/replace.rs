//! Whole-file writes that are atomic for readers: the new content is complete before it takes the file's name, and
//! the old one leaves only after that.
//!
//! `RENAME_EXCHANGE` rather than `rename`: it shows what was displaced, so that a directory or link that came into
//! the file's place is put back and not lost, and on ext4 it costs a fiftieth (`rename` over a file flushes).

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, accessat, fsync};
use rustix::io::Errno;

use super::attributes::{self, TakesOver};
use super::beneath::{Boundary, How};
use super::halt::Halt;
use super::journal::Journal;
use super::locks::{self, NameLock};
use super::read;
use super::source::Source;
use super::target::{self, Owners, Target};
use super::temporary::{Recording, Temporary};
use crate::access::Access;
use crate::backend::{Durability, FileStat, WriteMode, WriteOptions};
use crate::error::{Error, ErrorCode};
use crate::path::RelPath;

/// How often a write starts again because somebody changed what is under the name.
const MAX_ATTEMPTS: usize = 64;
/// More content than this is not written on the caller's thread, nor is a larger file freed there.
pub const INLINE_BYTES: u64 = 256 << 10;

/// A write to carry out.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// What it cannot leave.
    pub boundary: &'a Boundary<'a>,
    /// Which file.
    pub path: &'a RelPath,
    /// Its new content, or with `Append` what to add.
    pub content: Source<'a>,
    /// How.
    pub options: &'a WriteOptions,
    /// Whom new files belong to.
    pub owners: Owners,
    /// Where the temporary is recorded; `None` where there is no state directory to write.
    pub journal: Option<&'a Journal>,
    /// `Links`, or `SameFilesystem` on the caller's thread.
    pub how: How,
}

/// Writes the whole file.
///
/// # Errors
/// See [`crate::backend::Backend::write`].
pub fn replace(write: &Write<'_>) -> Result<FileStat, Halt> {
    for _ in 0..MAX_ATTEMPTS {
        let held = write.hold()?;
        if let Some(stat) = write.attempt(&held.target, held.existing.as_ref())? {
            return Ok(stat);
        }
    }
    Err(conflict("others keep changing the file; try again").into())
}

impl Write<'_> {
    pub(super) fn waits(&self) -> bool {
        !matches!(self.how, How::Cached | How::SameFilesystem)
    }

    /// Where the file is, or will be: no link any more, and no other write of this process comes between.
    pub(super) fn hold(&self) -> Result<Held, Halt> {
        let mut target = self.named()?;
        for _ in 0..MAX_ATTEMPTS {
            let lock = self.lock(&target)?;
            let existing = target.existing()?;
            let final_link = target::is_link(existing.as_ref());
            if !final_link || self.options.mode == WriteMode::CreateNew {
                self.boundary
                    .check_entry(&target.directory, &target.name, Access::Write)?;
                return Ok(Held {
                    target,
                    existing,
                    _lock: lock,
                });
            }
            drop(lock);
            target = target::followed(self.boundary, self.path, self.how)?;
        }
        Err(conflict("others keep changing the file; try again").into())
    }

    fn named(&self) -> Result<Target, Halt> {
        let found = match self.options.mode {
            // What was seen before has its parents; where they are gone, none are made for a write that is refused.
            WriteMode::IfMatch(_) => match target::named(self.boundary, self.path, self.how) {
                Err(Errno::NOENT) => return Err(conflict("the file is gone").into()),
                found => found,
            },
            _ => target::named_creating(self.boundary, self.path, self.owners, self.how),
        };
        Ok(found.map_err(|errno| match errno {
            Errno::BUSY => Errno::ISDIR,
            other => other,
        })?)
    }

    fn lock(&self, target: &Target) -> Result<NameLock, Halt> {
        let directory = target.directory_stat()?;
        locks::one((directory.dev, directory.ino, &target.name), self.waits())
    }

    /// One try, with the name's lock held; `None` where it has to start again.
    pub(super) fn attempt(
        &self,
        target: &Target,
        existing: Option<&FileStat>,
    ) -> Result<Option<FileStat>, Halt> {
        self.check(target, existing)?;
        let temporary = self.prepare(target, existing, &[self.content])?;
        match existing {
            Some(old) => self.exchange(target, temporary, old),
            None => self.take_name(target, temporary),
        }
    }

    /// Whether what is there may be replaced.
    pub(super) fn check(&self, target: &Target, existing: Option<&FileStat>) -> Result<(), Halt> {
        if let Some(old) = existing {
            if self.options.mode == WriteMode::CreateNew {
                return Err(Errno::EXIST.into());
            }
            read::regular(old.kind)?;
            if !self.waits() && old.size.max(self.content.length()) > INLINE_BYTES {
                return Err(Halt::Wait);
            }
            if !self.owners.enabled {
                // Replacing needs rights on the directory only; a file that is read-only must stay as it is.
                let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
                let access = rustix::fs::Access::WRITE_OK;
                let allowed = accessat(&target.directory, &*target.name, access, flags);
                // Other failures are those of a host that refuses the question.
                if let Err(errno @ (Errno::ACCESS | Errno::ROFS)) = allowed {
                    return Err(errno.into());
                }
            }
        }
        if let WriteMode::IfMatch(expected) = &self.options.mode
            && existing.map(FileStat::etag).as_ref() != Some(expected)
        {
            return Err(conflict("the file changed since it was read; read it again").into());
        }
        Ok(())
    }

    /// Writes the content, which is these parts one after another, and all attributes under a temporary name.
    pub(super) fn prepare<'t>(
        &'t self,
        target: &'t Target,
        existing: Option<&FileStat>,
        content: &[Source<'_>],
    ) -> Result<Temporary<'t>, Halt> {
        let permissions = self.options.permissions;
        let takes_over = match existing {
            Some(old) => Some(TakesOver::find(target, old, permissions)?),
            None => None,
        };
        let mode = match (&takes_over, permissions) {
            (Some(attributes), _) => attributes.creation_mode(),
            (None, None) => 0o644,
            (None, Some(_)) => 0o600,
        };
        let recording = self.recording(target, existing);
        let temporary = Temporary::create(target.directory.as_fd(), mode, recording.as_ref())?;
        for part in content {
            temporary.write_all(*part)?;
        }
        let file = temporary.file();
        if let Some(attributes) = takes_over {
            attributes.apply(file, temporary.stat())?;
        } else {
            if let Some((uid, gid)) = self.owners.below(target.directory_stat()?) {
                attributes::own(file, uid, gid)?;
            }
            if let Some(mode) = permissions {
                attributes::set_mode(file, mode)?;
            }
        }
        if self.options.durability == Durability::Disk {
            fsync(file)?;
        }
        Ok(temporary)
    }

    fn recording(&self, target: &Target, existing: Option<&FileStat>) -> Option<Recording<'_>> {
        Some(Recording {
            journal: self.journal?,
            root: self.boundary.root_paths.first()?,
            parent: if target.through_link {
                self.boundary.name_of(&target.directory)?
            } else {
                let parent = self.path.split_last()?.0;
                self.boundary.scope.join(&parent).as_bytes().to_vec()
            },
            displaced: existing.map(|old| (old.dev, old.ino)),
        })
    }
}

/// A name that is held for one write.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) target: Target,
    pub(super) existing: Option<FileStat>,
    _lock: NameLock,
}

pub(super) fn conflict(message: &str) -> Error {
    Error::new(ErrorCode::Conflict, message)
}
