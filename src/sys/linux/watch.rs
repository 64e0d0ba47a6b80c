//! Asks whoever judges paths about what was opened, by the name that it really has: between the opening and the use
//! there is nothing left to swap.
//!
//! A refusal travels as `EACCES` through code that knows numbers alone, and is kept here meanwhile: whatever an operation
//! makes of the number, its outcome is the refusal.

use std::cell::OnceCell;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags, readlink};
use rustix::io::{Errno, Result};

use super::beneath::{self, Boundary, How};
use crate::access::{Access, Guard};
use crate::error::{Error, ErrorCode};
use crate::path::{RelPath, strip_root};

/// What the kernel adds to the name of something that has lost it. A file may also be called so.
const DELETED: &[u8] = b" (deleted)";

/// Watches one attempt of one operation.
#[derive(Debug)]
pub struct Watch<'a> {
    guard: &'a dyn Guard,
    denied: OnceCell<Error>,
}

impl<'a> Watch<'a> {
    /// For one attempt.
    #[must_use]
    pub fn new(guard: &'a dyn Guard) -> Self {
        Self {
            guard,
            denied: OnceCell::new(),
        }
    }

    /// What was refused.
    #[must_use]
    pub fn into_denied(self) -> Option<Error> {
        self.denied.into_inner()
    }

    /// Who judges.
    #[must_use]
    pub fn guard(&self) -> &'a dyn Guard {
        self.guard
    }

    fn judge(&self, path: &RelPath, access: Access) -> Result<()> {
        self.guard
            .check(path, access)
            .map_err(|error| self.keep(error))
    }

    fn keep(&self, error: Error) -> Errno {
        let _ = self.denied.set(error);
        Errno::ACCESS
    }
}

impl Boundary<'_> {
    /// Opens a path, then asks about what was opened: `access` is told of the handle what it needs. Where the kernel met
    /// no link on the way, that is called as it was asked for, and its name need not be looked up.
    ///
    /// # Errors
    /// Those of [`beneath::open`], and `EACCES` where it is refused.
    pub fn open_judged(
        &self,
        path: &RelPath,
        flags: OFlags,
        how: How,
        access: impl FnOnce(&OwnedFd) -> Result<Access>,
    ) -> Result<OwnedFd> {
        let (opened, is_plain) = beneath::open_telling(self, path, flags, Mode::empty(), how)?;
        let Some(watch) = self.watch else {
            return Ok(opened);
        };
        let access = access(&opened)?;
        // What waits for the disk may be on a file system that has its own ideas of names, such as their case.
        if is_plain && how != How::Links {
            watch.judge(&self.scope.join(path), access)?;
        } else {
            self.check(&opened, access)?;
        }
        Ok(opened)
    }

    /// Asks about what a handle is on. Where nobody judges, costs nothing.
    ///
    /// # Errors
    /// `EACCES` where it is refused, or where its name cannot be told.
    pub fn check(&self, handle: impl AsFd, access: Access) -> Result<()> {
        let Some(watch) = self.watch else {
            return Ok(());
        };
        let name = self.name_or_refuse(watch, handle)?;
        watch.judge(&parse(watch, &name)?, access)?;
        match name.strip_suffix(DELETED) {
            Some(former) => watch.judge(&parse(watch, former)?, access),
            None => Ok(()),
        }
    }

    /// Asks about a name in an open directory, whether something is under it or not.
    ///
    /// # Errors
    /// As [`Boundary::check`].
    pub fn check_entry(&self, directory: impl AsFd, name: &[u8], access: Access) -> Result<()> {
        let Some(watch) = self.watch else {
            return Ok(());
        };
        let directory = self.name_or_refuse(watch, directory)?;
        watch.judge(&parse(watch, &directory)?.child(name), access)
    }

    /// The path below the root of what a handle is on, for asking about what is in it; `None` where nobody judges.
    ///
    /// # Errors
    /// `EACCES` where it cannot be told.
    pub fn judged_path(&self, handle: impl AsFd) -> Result<Option<RelPath>> {
        let Some(watch) = self.watch else {
            return Ok(None);
        };
        let name = self.name_or_refuse(watch, handle)?;
        parse(watch, &name).map(Some)
    }

    /// Refuses with the error of whoever judges.
    pub fn refuse(&self, error: Error) -> Errno {
        match self.watch {
            Some(watch) => watch.keep(error),
            None => Errno::ACCESS,
        }
    }

    fn name_or_refuse(&self, watch: &Watch<'_>, handle: impl AsFd) -> Result<Vec<u8>> {
        name_below(self.root, self.root_paths, handle).ok_or_else(|| watch.keep(untold()))
    }
}

/// The path below a root of what a handle is on, by the root's own present name where that is none of those it is known
/// under; `None` where it cannot be told.
#[must_use]
pub fn name_below(root: impl AsFd, root_paths: &[Vec<u8>], handle: impl AsFd) -> Option<Vec<u8>> {
    let path = name(handle)?;
    let known = root_paths.iter().find_map(|root| strip_root(&path, root));
    let below = match known {
        Some(below) => below,
        None => strip_root(&path, &name(root)?)?,
    };
    Some(below.strip_prefix(b"/").unwrap_or(below).to_vec())
}

fn name(handle: impl AsFd) -> Option<Vec<u8>> {
    let link = format!("/proc/self/fd/{}", handle.as_fd().as_raw_fd());
    Some(readlink(link, Vec::new()).ok()?.into_bytes())
}

fn parse(watch: &Watch<'_>, name: &[u8]) -> Result<RelPath> {
    RelPath::parse(name, b"/").map_err(|_| watch.keep(untold()))
}

fn untold() -> Error {
    Error::new(
        ErrorCode::PolicyDenied,
        "where the path leads cannot be told, so that the access policy refuses it (is /proc mounted?)",
    )
}
