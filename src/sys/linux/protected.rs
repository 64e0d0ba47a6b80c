//! Looks through a directory that is about to be moved or removed, for what the access policy protects in it. The rules
//! are about names: under another name of its directory a file would not be protected any more.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, Result};

use super::beneath::Boundary;
use super::directory;
use crate::access::{Access, Guard};
use crate::backend::FileKind;
use crate::error::{Error, ErrorCode};
use crate::path::RelPath;

/// Directories held open at once; in a deeper tree nobody can tell what there is.
const MAX_DEPTH: usize = 256;
/// Entries looked at.
const MAX_ENTRIES: usize = 5_000_000;

/// A directory on the way down.
struct Level {
    handle: OwnedFd,
    /// The directory under each of its names: as it is, and as it will be.
    names: Vec<RelPath>,
    below: Vec<Vec<u8>>,
}

/// Whether looking through a directory takes a while, under any of these names.
#[must_use]
pub fn may_hold(boundary: &Boundary<'_>, names: &[RelPath]) -> bool {
    boundary.watch.is_some_and(|watch| {
        let guard = watch.guard();
        names.iter().any(|name| guard.may_protect_below(name))
    })
}

/// Refuses where something below the directory `name` in `parent` may not be written, under any of its names, which are
/// relative to the root.
///
/// # Errors
/// `EACCES` for what is protected, and for a tree that cannot be looked through.
pub fn check_below(
    boundary: &Boundary<'_>,
    parent: &OwnedFd,
    name: &[u8],
    names: Vec<RelPath>,
) -> Result<()> {
    let Some(guard) = boundary.watch.map(|watch| watch.guard()) else {
        return Ok(());
    };
    let mut seen = 0usize;
    let first = match read(parent, name, names) {
        // It is no directory (any more): there is nothing below it.
        Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let mut levels = vec![look(boundary, guard, first, &mut seen)?];
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.below.pop() else {
            levels.pop();
            continue;
        };
        let names = below(&level.names, &name);
        if !names.iter().any(|name| guard.may_protect_below(name)) {
            continue;
        }
        let entered = match read(&level.handle, &name, names) {
            Err(Errno::NOTDIR | Errno::LOOP | Errno::NOENT) => continue,
            other => other?,
        };
        if levels.len() >= MAX_DEPTH {
            return Err(boundary.refuse(untold("is too deep")));
        }
        levels.push(look(boundary, guard, entered, &mut seen)?);
    }
    Ok(())
}

fn read(parent: &OwnedFd, name: &[u8], names: Vec<RelPath>) -> Result<Level> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(Level {
        handle: openat(parent, name, flags, Mode::empty())?,
        names,
        below: Vec::new(),
    })
}

/// Judges the entries of a directory, and notes the directories among them.
fn look(
    boundary: &Boundary<'_>,
    guard: &dyn Guard,
    mut level: Level,
    seen: &mut usize,
) -> Result<Level> {
    let mut refusal = None;
    let (names, directories) = (&level.names, &mut level.below);
    directory::read(&level.handle, |name, kind| {
        *seen += 1;
        if *seen > MAX_ENTRIES {
            refusal = Some(untold("holds too much"));
            return false;
        }
        let judged = below(names, name);
        refusal = judged
            .iter()
            .find_map(|path| guard.check(path, Access::WriteBelow).err());
        if kind == FileKind::Directory {
            directories.push(name.to_vec());
        }
        refusal.is_none()
    })?;
    match refusal {
        Some(error) => Err(boundary.refuse(error)),
        None => Ok(level),
    }
}

fn below(names: &[RelPath], name: &[u8]) -> Vec<RelPath> {
    names.iter().map(|above| above.child(name)).collect()
}

fn untold(why: &str) -> Error {
    Error::new(
        ErrorCode::PolicyDenied,
        format!(
            "the directory {why}: whether the access policy protects something in it cannot be told; move or remove what is in it by parts"
        ),
    )
}
