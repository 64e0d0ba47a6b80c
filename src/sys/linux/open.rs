//! Opening a file to keep it open: what may be done with it is settled on the handle, before anything is changed.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags, ftruncate, openat};
use rustix::io::Errno;

use super::attributes;
use super::beneath::{Boundary, How};
use super::halt::Halt;
use super::journal::Journal;
use super::metadata;
use super::read;
use super::replace::{self, Write, conflict};
use super::source::Source;
use super::target::{self, Owners, Target};
use crate::access::Access;
use crate::backend::{OpenOptions, WriteOptions};
use crate::error::{Error, ErrorCode};
use crate::path::RelPath;

/// How often it starts again because somebody changed what is under the name.
const MAX_ATTEMPTS: usize = 64;
/// Who may read what is new until its permissions are set.
const PRIVATE: u32 = 0o600;
/// What a new file gets, less the umask.
const USUAL: u32 = 0o644;
/// Set-user-ID and set-group-ID.
const AS_SOMEBODY_ELSE: u32 = 0o6000;

/// A file to open.
#[derive(Clone, Copy, Debug)]
pub struct Opening<'a> {
    /// What it cannot leave.
    pub boundary: &'a Boundary<'a>,
    /// Which file; a final link is followed, unless it must be new.
    pub path: &'a RelPath,
    /// For what.
    pub options: OpenOptions,
    /// Whom a new file belongs to.
    pub owners: Owners,
    /// Where the temporary is recorded where one is needed.
    pub journal: Option<&'a Journal>,
    /// How far this may go.
    pub how: How,
}

/// Opens it. A file with several names is opened for changes only where it is emptied first, and then it is replaced by
/// an empty one: its other names keep what they had.
///
/// # Errors
/// See [`crate::backend::Backend::open`].
pub fn open(opening: &Opening<'_>) -> Result<OwnedFd, Halt> {
    let Opening {
        boundary,
        path,
        how,
        ..
    } = *opening;
    if !opening.options.changes() {
        let file = boundary.open_judged(path, OFlags::RDONLY, how, |_| Ok(Access::Read))?;
        read::regular(metadata::of_handle(&file)?.kind)?;
        return Ok(file);
    }
    for _ in 0..MAX_ATTEMPTS {
        if let Some(file) = opening.attempt()? {
            return Ok(file);
        }
    }
    Err(conflict("others keep changing the file; try again").into())
}

/// The refusal to change a file that has several names.
#[must_use]
pub fn several_names() -> Error {
    Error::new(
        ErrorCode::PermissionDenied,
        "it has several names (hard links), and such a file is never changed in place; write it as a whole, or copy it first",
    )
}

/// Makes sure of a file that is about to be changed in place: it has one name at most, and is not run as somebody else.
///
/// # Errors
/// `PERMISSION_DENIED`.
pub fn before_change(file: &OwnedFd) -> crate::error::Result<()> {
    let stat = metadata::of_handle(file)?;
    if stat.nlink > 1 {
        return Err(several_names());
    }
    if stat.mode & AS_SOMEBODY_ELSE != 0 {
        attributes::set_mode(file, stat.mode)?;
    }
    Ok(())
}

impl Opening<'_> {
    /// One try; `None` where it has to start again.
    fn attempt(&self) -> Result<Option<OwnedFd>, Halt> {
        let OpenOptions {
            create, create_new, ..
        } = self.options;
        let (boundary, path, how) = (self.boundary, self.path, self.how);
        let target = match create || create_new {
            true => target::named_in_scope(boundary, path, self.owners, how),
            false => target::named(boundary, path, how),
        };
        let mut target = target.map_err(|errno| match errno {
            Errno::BUSY => Errno::ISDIR,
            other => other,
        })?;
        let mut existing = target.existing()?;
        if target::is_link(existing.as_ref()) && !create_new {
            target = target::followed(boundary, path, how)?;
            existing = target.existing()?;
        }
        boundary.check_entry(&target.directory, &target.name, Access::Write)?;
        match existing {
            Some(_) if create_new => Err(Errno::EXIST.into()),
            // Another link by now.
            Some(found) if target::is_link(Some(&found)) => Ok(None),
            Some(found) => {
                // Opening a device can do something to it.
                read::regular(found.kind)?;
                self.existing(&target)
            }
            None if create || create_new => self.create(&target),
            None => Err(Errno::NOENT.into()),
        }
    }

    fn create(&self, target: &Target) -> Result<Option<OwnedFd>, Halt> {
        let permissions = self.options.permissions;
        let mode = permissions.map_or(USUAL, |_| PRIVATE);
        let flags = self.flags() | OFlags::CREATE | OFlags::EXCL;
        let file = match openat(
            &target.directory,
            &*target.name,
            flags,
            Mode::from_raw_mode(mode),
        ) {
            Err(Errno::EXIST) if !self.options.create_new => return Ok(None),
            other => other?,
        };
        if let Some((uid, gid)) = self.owners.below(target.directory_stat()?) {
            attributes::own(&file, uid, gid)?;
        }
        if let Some(mode) = permissions {
            attributes::set_mode(&file, mode)?;
        }
        Ok(Some(file))
    }

    fn existing(&self, target: &Target) -> Result<Option<OwnedFd>, Halt> {
        let file = match openat(
            &target.directory,
            &*target.name,
            self.flags(),
            Mode::empty(),
        ) {
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            other => other?,
        };
        let stat = metadata::of_handle(&file)?;
        read::regular(stat.kind)?;
        if stat.nlink == 0 {
            // Removed or replaced in between.
            return Ok(None);
        }
        self.boundary.check(&file, Access::Write)?;
        if self.options.read {
            self.boundary.check(&file, Access::Read)?;
        }
        if !self.changes_content() {
            return Ok(Some(file));
        }
        if stat.nlink > 1 {
            if !self.options.truncate {
                return Err(several_names().into());
            }
            self.replace_by_empty()?;
            return Ok(None);
        }
        before_change(&file)?;
        if self.options.truncate && stat.size > 0 {
            ftruncate(&file, 0)?;
        }
        Ok(Some(file))
    }

    fn replace_by_empty(&self) -> Result<(), Halt> {
        replace::replace(&Write {
            boundary: self.boundary,
            path: self.path,
            content: Source::Bytes(b""),
            options: &WriteOptions::default(),
            owners: self.owners,
            journal: self.journal,
            how: self.how,
        })?;
        Ok(())
    }

    fn changes_content(&self) -> bool {
        self.options.writes() || self.options.truncate
    }

    fn flags(&self) -> OFlags {
        let mut flags = match (self.options.read, self.changes_content()) {
            (true, true) => OFlags::RDWR,
            (_, true) => OFlags::WRONLY,
            _ => OFlags::RDONLY,
        };
        if self.options.append {
            flags |= OFlags::APPEND;
        }
        flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC
    }
}

/// Cuts or extends a file that was opened for writing.
///
/// # Errors
/// As [`before_change`]; `TOO_LARGE`.
pub fn resize(file: &OwnedFd, size: u64) -> crate::error::Result<()> {
    before_change(file)?;
    Ok(ftruncate(file.as_fd(), size)?)
}
