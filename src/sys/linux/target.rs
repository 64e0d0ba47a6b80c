//! Where a change goes: the directory as a handle and one name in it, so that what is created, replaced or removed
//! is decided by one system call that follows no link.

use std::cell::OnceCell;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid, chownat, mkdirat, openat};
use rustix::io::Errno;

use super::beneath::{self, Boundary, How};
use super::halt::Halt;
use super::locks;
use super::metadata;
use super::walker::{self, Finish, Walked};
use crate::access::Access;
use crate::backend::{FileKind, FileStat};
use crate::path::RelPath;

type Result<T, E = Errno> = std::result::Result<T, E>;

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A name in a directory.
#[derive(Debug)]
pub struct Target {
    /// `O_PATH` handle of the directory.
    pub directory: OwnedFd,
    /// One component.
    pub name: Vec<u8>,
    /// Whether a final link led here, so that the caller's path does not name the directory.
    pub through_link: bool,
    /// What the directory is, asked for once.
    directory_stat: OnceCell<FileStat>,
}

/// Whom new files and directories belong to when we run as root.
#[derive(Clone, Copy, Debug, Default)]
pub struct Owners {
    /// Whether we may give files away at all: only root may.
    pub enabled: bool,
    /// For a scope's own directory whose parent belongs to root; `None` leaves it to root.
    pub scope_uid: Option<u32>,
}

impl Owners {
    /// Whom what is new in `directory` should belong to; `None`: to us.
    #[must_use]
    pub fn below(&self, directory: &FileStat) -> Option<(u32, u32)> {
        (self.enabled && directory.uid != 0).then_some((directory.uid, directory.gid))
    }
}

/// The name itself, never what a link under it points to: for removing, renaming, and creating what must be new.
///
/// # Errors
/// `EXDEV` (escape), `ENOENT`, `ENOTDIR`, `EBUSY` for the boundary itself.
pub fn named(boundary: &Boundary<'_>, path: &RelPath, how: How) -> Result<Target> {
    let (parent, name) = path.split_last().ok_or(Errno::BUSY)?;
    Ok(Target::new(
        beneath::open(boundary, &parent, DIRECTORY, Mode::empty(), how)?,
        name.to_vec(),
    ))
}

/// Like [`named`], creating the directories on the way that are missing.
pub fn named_creating(
    boundary: &Boundary<'_>,
    path: &RelPath,
    owners: Owners,
    how: How,
) -> Result<Target> {
    match named(boundary, path, how) {
        Err(Errno::NOENT) => {
            let (parent, name) = path.split_last().ok_or(Errno::BUSY)?;
            Ok(Target::new(
                create_directories(boundary, &parent, owners, how)?,
                name.to_vec(),
            ))
        }
        other => other,
    }
}

/// Like [`named`]; a scope that does not exist yet is brought into being, as by a write below it, and nothing else.
pub fn named_in_scope(
    boundary: &Boundary<'_>,
    path: &RelPath,
    owners: Owners,
    how: How,
) -> Result<Target> {
    match named(boundary, path, how) {
        Err(Errno::NOENT) if beneath::open_scope(boundary, how).err() == Some(Errno::NOENT) => {
            create_scope(boundary, owners, how)?;
            named(boundary, path, how)
        }
        other => other,
    }
}

/// What a final link points to, as long as it stays inside; it need not exist.
///
/// # Errors
/// As [`named`]; `EAGAIN` where `how` does not allow the walk that a link needs.
pub fn followed(boundary: &Boundary<'_>, path: &RelPath, how: How) -> Result<Target> {
    if matches!(how, How::Cached | How::SameFilesystem) {
        return Err(Errno::AGAIN);
    }
    match walker::walk(boundary, path, &Finish::Parent, true)? {
        Walked::Parent { directory, name } => Ok(Target {
            through_link: true,
            ..Target::new(directory, name)
        }),
        Walked::Opened(_) => Err(Errno::INVAL),
    }
}

impl Target {
    /// A name in a directory.
    #[must_use]
    pub fn new(directory: OwnedFd, name: Vec<u8>) -> Self {
        Self {
            directory,
            name,
            through_link: false,
            directory_stat: OnceCell::new(),
        }
    }

    /// What the directory was when it was first asked for.
    pub fn directory_stat(&self) -> Result<&FileStat> {
        if let Some(known) = self.directory_stat.get() {
            return Ok(known);
        }
        let found = metadata::of_handle(&self.directory)?;
        Ok(self.directory_stat.get_or_init(|| found))
    }

    /// What is there now; `None` where nothing is.
    pub fn existing(&self) -> Result<Option<FileStat>> {
        match metadata::of_entry(&self.directory, &self.name) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno),
        }
    }
}

/// Opens a directory, creating what is missing of it: the scope's own path without links, the rest through links
/// that stay inside.
///
/// # Errors
/// `EXDEV`, `ENOTDIR` (a file is in the way), `EACCES`, `ENOSPC`.
pub fn create_directories(
    boundary: &Boundary<'_>,
    path: &RelPath,
    owners: Owners,
    how: How,
) -> Result<OwnedFd> {
    match beneath::open(boundary, path, DIRECTORY, Mode::empty(), how) {
        Err(Errno::NOENT) => {}
        other => return other,
    }
    let scope = match beneath::open_scope(boundary, how) {
        Err(Errno::NOENT) => create_scope(boundary, owners, how)?,
        other => other?,
    };
    drop(scope);
    // From the deepest directory that exists downwards.
    let mut existing = path.clone();
    let mut missing: Vec<Vec<u8>> = Vec::new();
    let mut here = loop {
        match beneath::open(boundary, &existing, DIRECTORY, Mode::empty(), how) {
            Ok(directory) => break directory,
            Err(Errno::NOENT) => {
                let (parent, name) = existing.split_last().ok_or(Errno::NOENT)?;
                missing.push(name.to_vec());
                existing = parent;
            }
            Err(errno) => return Err(errno),
        }
    };
    while let Some(name) = missing.pop() {
        existing = existing.child(&name);
        boundary.check_entry(&here, &name, Access::Pass)?;
        create_one(&here, &name, owners, None)?;
        here = match enter(&here, &name) {
            // Somebody put a link in its place: it may stay inside.
            Err(Errno::LOOP | Errno::NOTDIR) => {
                beneath::open(boundary, &existing, DIRECTORY, Mode::empty(), how)?
            }
            other => other?,
        };
    }
    Ok(here)
}

fn create_scope(boundary: &Boundary<'_>, owners: Owners, how: How) -> Result<OwnedFd> {
    let top = Boundary {
        scope: &RelPath::root(),
        ..*boundary
    };
    let mut here = beneath::open_scope(&top, how)?;
    let mut components = boundary.scope.components().peekable();
    while let Some(name) = components.next() {
        let uid = components.peek().is_none().then_some(owners.scope_uid);
        if boundary.watch.is_some() && metadata::of_entry(&here, name).err() == Some(Errno::NOENT) {
            boundary.check_entry(&here, name, Access::Pass)?;
        }
        create_one(&here, name, owners, uid.flatten())?;
        here = enter(&here, name).map_err(|errno| match walker::read_link(&here, name) {
            Ok(Some(_)) => Errno::XDEV,
            _ => errno,
        })?;
    }
    Ok(here)
}

/// Creates a directory unless something is there already.
fn create_one(here: &OwnedFd, name: &[u8], owners: Owners, uid: Option<u32>) -> Result<()> {
    match mkdirat(here, name, Mode::from_raw_mode(0o777)) {
        Ok(()) => give_away(here, name, owners, uid),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Gives a new entry to whom it should belong; never follows a link that took its place.
pub(super) fn give_away(
    here: impl AsFd,
    name: &[u8],
    owners: Owners,
    uid: Option<u32>,
) -> Result<()> {
    if !owners.enabled {
        return Ok(());
    }
    let owner = owners
        .below(&metadata::of_handle(&here)?)
        .or(uid.map(|uid| (uid, uid)));
    let Some((uid, gid)) = owner else {
        return Ok(());
    };
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    chownat(here, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

fn enter(here: &OwnedFd, name: &[u8]) -> Result<OwnedFd> {
    openat(here, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
}

/// Creates one directory whose parent exists.
///
/// # Errors
/// `EEXIST`, `ENOENT`, `EXDEV`.
pub fn create_directory(
    boundary: &Boundary<'_>,
    path: &RelPath,
    owners: Owners,
    how: How,
) -> Result<()> {
    let target = match named_in_scope(boundary, path, owners, how) {
        Err(Errno::BUSY) => return Err(Errno::EXIST),
        other => other?,
    };
    boundary.check_entry(&target.directory, &target.name, Access::Write)?;
    mkdirat(&target.directory, &target.name, Mode::from_raw_mode(0o777))?;
    give_away(&target.directory, &target.name, owners, None)
}

/// Whether an entry is a link, of what is known about it.
#[must_use]
pub fn is_link(existing: Option<&FileStat>) -> bool {
    existing.is_some_and(|stat| stat.kind == FileKind::Symlink)
}

/// Holds both names of a rename against writers of this process.
///
/// # Errors
/// [`Halt::Wait`] where one is held and `how` does not allow waiting.
pub fn lock_both(a: &Target, b: &Target, how: How) -> Result<impl Sized + use<>, Halt> {
    let wait = !matches!(how, How::Cached | How::SameFilesystem);
    let first = a.directory_stat()?;
    let second = b.directory_stat()?;
    locks::two(
        (first.dev, first.ino, &a.name),
        (second.dev, second.ino, &b.name),
        wait,
    )
}

/// What to set the times of; `None` where an empty file was created instead.
///
/// # Errors
/// `EXDEV`, `ENOTDIR`, `EACCES`.
pub fn for_touch(
    boundary: &Boundary<'_>,
    path: &RelPath,
    owners: Owners,
    how: How,
) -> Result<Option<Target>, Halt> {
    let mut target = match named_creating(boundary, path, owners, how) {
        // The scope's own directory: by its own name, as seen from itself.
        Err(Errno::BUSY) => {
            let scope = create_directories(boundary, path, owners, how)?;
            boundary.check(&scope, Access::Write)?;
            return Ok(Some(Target::new(scope, b".".to_vec())));
        }
        other => other?,
    };
    if is_link(target.existing()?.as_ref()) {
        target = followed(boundary, path, how)?;
    }
    boundary.check_entry(&target.directory, &target.name, Access::Write)?;
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::EXCL
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    if target.existing()?.is_some() {
        return Ok(Some(target));
    }
    match openat(
        &target.directory,
        &*target.name,
        flags,
        Mode::from_raw_mode(0o644),
    ) {
        Ok(_) => {
            give_away(&target.directory, &target.name, owners, None)?;
            Ok(None)
        }
        Err(Errno::EXIST) => Ok(Some(target)),
        Err(errno) => Err(errno.into()),
    }
}
