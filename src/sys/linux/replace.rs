//! Whole-file writes that are atomic for readers: the new content is complete before it takes the file's name, and
//! the old one leaves only after that.
//!
//! `RENAME_EXCHANGE` rather than `rename`: it shows what was displaced, so that a directory or link that came into
//! the file's place is put back and not lost, and on ext4 it costs a fiftieth (`rename` over a file flushes).

use std::os::fd::AsFd;

use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, fsync, linkat, openat, renameat, renameat_with,
};
use rustix::io::Errno;

use super::attributes;
use super::beneath::{Boundary, How};
use super::halt::Halt;
use super::journal::Journal;
use super::locks::{self, NameLock};
use super::metadata;
use super::read;
use super::target::{self, Owners, Target};
use super::temporary::{Recording, Temporary};
use crate::backend::{Durability, FileKind, FileStat, WriteMode, WriteOptions};
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
    pub content: &'a [u8],
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
        let target = write.target()?;
        let _lock = write.lock(&target)?;
        let existing = target.existing()?;
        if target::is_link(existing.as_ref()) {
            // It became one after `target` had looked.
            continue;
        }
        if let Some(stat) = write.attempt(&target, existing.as_ref())? {
            return Ok(stat);
        }
    }
    Err(conflict("others keep changing the file; try again").into())
}

impl Write<'_> {
    pub(super) fn waits(&self) -> bool {
        !matches!(self.how, How::Cached | How::SameFilesystem)
    }

    /// Where the file is, or will be.
    pub(super) fn target(&self) -> Result<Target, Halt> {
        let found = match self.options.mode {
            // What was seen before has its parents; where they are gone, none are made for a write that is refused.
            WriteMode::IfMatch(_) => match target::named(self.boundary, self.path, self.how) {
                Err(Errno::NOENT) => return Err(conflict("the file is gone").into()),
                found => found,
            },
            _ => target::named_creating(self.boundary, self.path, self.owners, self.how),
        };
        let target = found.map_err(|errno| match errno {
            Errno::BUSY => Errno::ISDIR,
            other => other,
        })?;
        if self.options.mode != WriteMode::CreateNew && target::is_link(target.existing()?.as_ref())
        {
            return Ok(target::followed(self.boundary, self.path, self.how)?);
        }
        Ok(target)
    }

    pub(super) fn lock(&self, target: &Target) -> Result<NameLock, Halt> {
        let directory = metadata::of_handle(&target.directory)?;
        locks::one((directory.dev, directory.ino, &target.name), self.waits())
    }

    /// One try, with the name's lock held; `None` where it has to start again.
    pub(super) fn attempt(
        &self,
        target: &Target,
        existing: Option<&FileStat>,
    ) -> Result<Option<FileStat>, Halt> {
        self.check(target, existing)?;
        let temporary = self.prepare(target, existing, self.content)?;
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
            if !self.waits() && old.size.max(self.content.len() as u64) > INLINE_BYTES {
                return Err(Halt::Wait);
            }
            if !self.owners.enabled {
                // Replacing needs rights on the directory only; a file that is read-only must stay as it is.
                let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::accessat(
                    &target.directory,
                    &*target.name,
                    rustix::fs::Access::WRITE_OK,
                    flags,
                )?;
            }
        }
        if let WriteMode::IfMatch(expected) = &self.options.mode
            && existing.map(FileStat::etag).as_ref() != Some(expected)
        {
            return Err(conflict("the file changed since it was read; read it again").into());
        }
        Ok(())
    }

    /// Writes the content and all attributes under a temporary name.
    pub(super) fn prepare<'t>(
        &'t self,
        target: &'t Target,
        existing: Option<&FileStat>,
        content: &[u8],
    ) -> Result<Temporary<'t>, Halt> {
        let open_to_all = existing.is_none() && self.options.permissions.is_none();
        let mode = if open_to_all { 0o644 } else { 0o600 };
        let recording = self.recording(target, existing);
        let temporary = Temporary::create(target.directory.as_fd(), mode, recording.as_ref())?;
        temporary.write_all(content)?;
        let file = temporary.file();
        if let Some(old) = existing {
            let permissions = self.options.permissions;
            attributes::carry_over(file, temporary.stat(), target, old, permissions)?;
        } else {
            if self.owners.enabled {
                let directory = metadata::of_handle(&target.directory)?;
                if let Some((uid, gid)) = self.owners.below(&directory) {
                    attributes::own(file, uid, gid)?;
                }
            }
            if let Some(mode) = self.options.permissions {
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

    /// Puts the temporary in the place of an existing file.
    pub(super) fn exchange(
        &self,
        target: &Target,
        temporary: Temporary<'_>,
        old: &FileStat,
    ) -> Result<Option<FileStat>, Halt> {
        match swap(target, temporary.name()) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return self.rename_over(target, temporary).map(Some);
            }
            Err(errno) => return Err(errno.into()),
        }
        let now = target.existing()?;
        let displaced = metadata::of_entry(&target.directory, temporary.name());
        let verdict = self.judge(&temporary, old, now.as_ref(), displaced.as_ref().ok());
        if let Some(refusal) = verdict {
            // Back as it was; the temporary is ours again and is removed when dropped.
            swap(target, temporary.name())?;
            return match refusal {
                Refusal::Again => Ok(None),
                Refusal::Error(error) => Err(error.into()),
            };
        }
        let stat = match now {
            Some(now) if temporary.is(&now) => now,
            _ => metadata::of_handle(temporary.file())?,
        };
        temporary.discard_displaced()?;
        self.sync_directory(target)?;
        Ok(Some(stat))
    }

    /// Whether the exchange did what was meant.
    ///
    /// A regular file other than the expected one was written by somebody else just before us, and one other than
    /// ours under the name just after us: a plain write stands in both cases, as it would with `rename`. Taking it
    /// back then would lose what the other writer was told is written.
    fn judge(
        &self,
        ours: &Temporary<'_>,
        old: &FileStat,
        now: Option<&FileStat>,
        displaced: Option<&FileStat>,
    ) -> Option<Refusal> {
        let same_state = |found: &FileStat| {
            (found.dev, found.ino, found.size, found.mtime_ns)
                == (old.dev, old.ino, old.size, old.mtime_ns)
        };
        match displaced.map(|found| (found.kind, same_state(found))) {
            Some((FileKind::File, true)) => {}
            Some((FileKind::File, false)) => {
                if matches!(self.options.mode, WriteMode::IfMatch(_)) {
                    return Some(Refusal::Error(conflict(
                        "the file changed while it was written; read it again",
                    )));
                }
            }
            Some((FileKind::Directory, _)) => {
                return Some(Refusal::Error(Errno::ISDIR.into()));
            }
            // A link has to be followed first. Where nothing is, the swap has nothing to take back.
            Some(_) => return Some(Refusal::Again),
            None => {}
        }
        match now {
            Some(now) if !ours.is(now) && now.kind != FileKind::File => Some(Refusal::Error(
                conflict("something else was put in the place of the file while it was written"),
            )),
            _ => None,
        }
    }

    /// Gives the temporary a name under which nothing is.
    fn take_name(
        &self,
        target: &Target,
        temporary: Temporary<'_>,
    ) -> Result<Option<FileStat>, Halt> {
        let (from, to) = (temporary.name(), &*target.name);
        let here = &target.directory;
        match renameat_with(here, from, here, to, RenameFlags::NOREPLACE) {
            Ok(()) => {
                let stat = metadata::of_handle(temporary.file())?;
                temporary.renamed();
                self.sync_directory(target)?;
                Ok(Some(stat))
            }
            Err(Errno::EXIST) if self.options.mode == WriteMode::CreateNew => {
                Err(Errno::EXIST.into())
            }
            Err(Errno::EXIST) => Ok(None),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                self.link_name(target, temporary)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// For file systems without `RENAME_NOREPLACE`: a hard link fails likewise where something is.
    fn link_name(
        &self,
        target: &Target,
        temporary: Temporary<'_>,
    ) -> Result<Option<FileStat>, Halt> {
        let (from, to) = (temporary.name(), &*target.name);
        let here = &target.directory;
        match linkat(here, from, here, to, AtFlags::empty()) {
            Ok(()) => {
                temporary.unlink_name()?;
                let stat = metadata::of_handle(temporary.file())?;
                temporary.renamed();
                self.sync_directory(target)?;
                Ok(Some(stat))
            }
            Err(Errno::EXIST) if self.options.mode == WriteMode::CreateNew => {
                Err(Errno::EXIST.into())
            }
            Err(Errno::EXIST) => Ok(None),
            // No hard links either (FAT): reserve the name, then rename over the reservation.
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
                match reserve(target) {
                    Ok(()) => self.rename_over(target, temporary).map(Some),
                    Err(Errno::EXIST) if self.options.mode != WriteMode::CreateNew => Ok(None),
                    Err(errno) => Err(errno.into()),
                }
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// For file systems without `RENAME_EXCHANGE`: as atomic, but blind to what it displaces (never a directory).
    fn rename_over(&self, target: &Target, temporary: Temporary<'_>) -> Result<FileStat, Halt> {
        let here = &target.directory;
        renameat(here, temporary.name(), here, &*target.name)?;
        let stat = metadata::of_handle(temporary.file())?;
        temporary.renamed();
        self.sync_directory(target)?;
        Ok(stat)
    }

    pub(super) fn sync_directory(&self, target: &Target) -> Result<(), Halt> {
        if self.options.durability == Durability::Disk {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            fsync(openat(&target.directory, ".", flags, Mode::empty())?)?;
        }
        Ok(())
    }
}

enum Refusal {
    Again,
    Error(Error),
}

fn swap(target: &Target, temporary: &[u8]) -> rustix::io::Result<()> {
    let here = &target.directory;
    renameat_with(here, temporary, here, &*target.name, RenameFlags::EXCHANGE)
}

fn reserve(target: &Target) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(
        &target.directory,
        &*target.name,
        flags,
        Mode::from_raw_mode(0o600),
    )
    .map(drop)
}

fn conflict(message: &str) -> Error {
    Error::new(ErrorCode::Conflict, message)
}
