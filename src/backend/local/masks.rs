//! What of a scope its commands must not see or change, found when a command starts, by handle from the scope's own.
//!
//! A mask is a mount, and mounts move with the directories that hold them: a command that renames the parent of a hidden
//! file would leave it, for the next one, under a name that no rule covers. So what leads to a mask is mounted onto
//! itself, since the kernel refuses to rename a mount point.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use crate::access::{Guard, View};
use crate::backend::FileKind;
use crate::backend::process::{MAX_MASKS, Mask};
use crate::error::{Error, ErrorCode};
use crate::path::RelPath;
use crate::sys::linux::beneath::Boundary;
use crate::sys::linux::directory;
use crate::sys::linux::halt::Halt;

/// Directories held open at once; in a deeper tree nobody can tell what there is.
const MAX_DEPTH: usize = 256;
/// Entries looked at.
const MAX_ENTRIES: usize = 5_000_000;
/// Masks that need a handle on what they show: each is a descriptor of this process.
const MAX_HANDLES: usize = 512;

/// Whether the rules give anything in a scope less than all, so that its commands need masks.
pub(super) fn are_needed(guard: &dyn Guard, scope: &RelPath) -> bool {
    guard.view(scope) != View::Writable || guard.may_differ_below(scope)
}

/// The masks of a scope, those that hold others first.
///
/// # Errors
/// `POLICY_DENIED` where there would be too many, or where a directory cannot be looked through.
pub(super) fn find(boundary: &Boundary<'_>, scope: &OwnedFd) -> Result<Vec<Mask>, Halt> {
    let (Some(watch), Some(path)) = (boundary.watch, boundary.judged_path(scope)?) else {
        return Ok(Vec::new());
    };
    let guard = watch.guard();
    if !are_needed(guard, &path) {
        return Ok(Vec::new());
    }
    let view = guard.view(&path);
    let mut finder = Finder {
        guard,
        masks: Vec::new(),
        handles: 0,
        seen: 0,
    };
    if view != View::Writable {
        let mask = finder.masked(RelPath::root(), view, true, None);
        finder.masks.push(mask);
    }
    if guard.may_differ_below(&path) {
        let top = Level {
            handle: reopen(scope)?,
            path,
            below: RelPath::root(),
            view,
            mask: (view != View::Writable).then_some(0),
            // The scope itself is a mount already.
            is_mount: true,
            entries: Vec::new(),
        };
        finder.walk(top)?;
    }
    Ok(finder.masks)
}

struct Finder<'a> {
    guard: &'a dyn Guard,
    masks: Vec<Mask>,
    handles: usize,
    seen: usize,
}

/// A directory on the way down.
struct Level {
    handle: OwnedFd,
    /// Below the root.
    path: RelPath,
    /// Below the scope.
    below: RelPath,
    /// What commands see of it.
    view: View,
    /// The mask that makes it so, where one does.
    mask: Option<usize>,
    /// Whether it is a mount point, or nothing that could be renamed.
    is_mount: bool,
    /// Still to be looked at, the last first.
    entries: Vec<(Vec<u8>, FileKind)>,
}

impl Finder<'_> {
    fn walk(&mut self, top: Level) -> Result<(), Halt> {
        let mut levels = vec![self.read(top)?];
        while let Some(level) = levels.last_mut() {
            let Some((name, kind)) = level.entries.pop() else {
                levels.pop();
                continue;
            };
            if let Some(next) = self.entry(&mut levels, &name, kind)? {
                if levels.len() >= MAX_DEPTH {
                    return Err(
                        refused("a directory in it is too deep to be looked through").into(),
                    );
                }
                levels.push(self.read(next)?);
            }
        }
        Ok(())
    }

    /// Masks an entry of the last directory where it differs; gives it where it has to be looked through.
    fn entry(
        &mut self,
        levels: &mut [Level],
        name: &[u8],
        kind: FileKind,
    ) -> Result<Option<Level>, Halt> {
        let Some(level) = levels.last() else {
            return Ok(None);
        };
        // A mount on a link would be one on what it leads to, which is judged by its own name.
        if kind == FileKind::Symlink {
            return Ok(None);
        }
        let path = level.path.child(name);
        let below = level.below.child(name);
        let view = self.guard.view(&path);
        let is_directory = kind == FileKind::Directory;
        let enters = is_directory && self.guard.may_differ_below(&path);
        let differs = view != level.view;
        if !differs && !enters {
            return Ok(None);
        }
        let shown = differs && view != View::Hidden;
        let handle = match open(level, name, is_directory, enters) {
            // It is gone, or something else by now, which is looked at next time.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            Err(Errno::ACCESS) => {
                return Err(refused("a directory in it cannot be looked through").into());
            }
            other => other?,
        };
        let mut mask = level.mask;
        if differs {
            self.pin(levels)?;
            if view != View::Hidden
                && let Some(above) = levels.last().and_then(|level| level.mask)
                && let Some(above) = self.masks.get_mut(above)
            {
                above.holds_shown = true;
            }
            mask = Some(self.masks.len());
            let handle = if shown {
                Some(duplicate(&handle)?)
            } else {
                None
            };
            self.add(below.clone(), view, is_directory, handle)?;
        }
        Ok(enters.then_some(Level {
            handle,
            path,
            below,
            view,
            mask,
            is_mount: differs,
            entries: Vec::new(),
        }))
    }

    /// Makes mount points of the directories that lead to a mask and could be renamed.
    fn pin(&mut self, levels: &mut [Level]) -> Result<(), Halt> {
        for level in levels {
            if level.is_mount || level.view != View::Writable {
                continue;
            }
            level.is_mount = true;
            let handle = duplicate(&level.handle)?;
            self.add(level.below.clone(), View::Writable, true, Some(handle))?;
        }
        Ok(())
    }

    fn add(
        &mut self,
        path: RelPath,
        view: View,
        directory: bool,
        handle: Option<OwnedFd>,
    ) -> Result<(), Halt> {
        self.handles += usize::from(handle.is_some());
        if self.masks.len() >= MAX_MASKS || self.handles > MAX_HANDLES {
            return Err(too_many().into());
        }
        let mask = self.masked(path, view, directory, handle);
        self.masks.push(mask);
        Ok(())
    }

    fn masked(&self, path: RelPath, view: View, directory: bool, handle: Option<OwnedFd>) -> Mask {
        Mask {
            path,
            view,
            directory,
            holds_shown: false,
            handle: handle.map(Arc::new),
        }
    }

    fn read(&mut self, mut level: Level) -> Result<Level, Halt> {
        let (seen, entries) = (&mut self.seen, &mut level.entries);
        directory::read(&level.handle, |name, kind| {
            *seen += 1;
            entries.push((name.to_vec(), kind));
            *seen <= MAX_ENTRIES
        })?;
        if self.seen > MAX_ENTRIES {
            return Err(refused("it holds too much to be looked through").into());
        }
        // So that the masks of a tree are the same each time, whatever the file system's order.
        entries.sort_unstable_by(|a, b| b.0.cmp(&a.0));
        Ok(level)
    }
}

fn open(level: &Level, name: &[u8], is_directory: bool, enters: bool) -> Result<OwnedFd, Errno> {
    let mut flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    flags |= if enters { OFlags::RDONLY } else { OFlags::PATH };
    if is_directory {
        flags |= OFlags::DIRECTORY;
    }
    openat(&level.handle, name, flags, Mode::empty())
}

fn reopen(directory: impl AsFd) -> Result<OwnedFd, Halt> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match openat(directory, ".", flags, Mode::empty()) {
        Err(Errno::ACCESS) => Err(refused("its directory cannot be looked through").into()),
        other => Ok(other?),
    }
}

fn duplicate(handle: &OwnedFd) -> Result<OwnedFd, Halt> {
    handle
        .try_clone()
        .map_err(|error| Halt::Failed(error.into()))
}

fn refused(why: &str) -> Error {
    Error::new(
        ErrorCode::PolicyDenied,
        format!(
            "what commands must not see of this scope cannot be hidden from them: {why}; run the command in a scope that no rule with 'none' or 'read' reaches"
        ),
    )
}

/// More masks than a sandbox takes.
pub(super) fn too_many() -> Error {
    Error::new(
        ErrorCode::PolicyDenied,
        format!(
            "the rules of the access policy protect more in this scope than a sandbox can hide one by one (at most {MAX_MASKS}, of which {MAX_HANDLES} stay readable); name directories instead of the files in them, or run the command in a scope below"
        ),
    )
}
