//! Where the access policy is asked about more than the one thing that was opened: what a directory lists, and what is
//! moved or removed with it.

use std::os::fd::OwnedFd;

use crate::access::Access;
use crate::backend::{FileKind, RemoveOptions};
use crate::path::RelPath;
use crate::sys::linux::beneath::{Boundary, How};
use crate::sys::linux::directory::Name;
use crate::sys::linux::halt::Halt;
use crate::sys::linux::metadata;
use crate::sys::linux::protected::{check_below, may_hold};
use crate::sys::linux::target::{self, Target};

/// What telling of a handle takes.
pub(super) fn looking(handle: &OwnedFd) -> rustix::io::Result<Access> {
    let directory = metadata::of_handle(handle)?.kind == FileKind::Directory;
    Ok(Access::Stat { directory })
}

/// Takes out of a listing what does not exist for callers.
pub(super) fn leave_out_hidden(
    boundary: &Boundary<'_>,
    directory: &OwnedFd,
    names: &mut Vec<Name>,
) -> Result<(), Halt> {
    let (Some(watch), Some(path)) = (boundary.watch, boundary.judged_path(directory)?) else {
        return Ok(());
    };
    let guard = watch.guard();
    names.retain(|(name, kind)| !guard.hides(&path.child(name), *kind == FileKind::Directory));
    Ok(())
}

/// Whether a name may be taken away, with all that is below it.
pub(super) fn check_removal(
    boundary: &Boundary<'_>,
    target: &Target,
    options: RemoveOptions,
    how: How,
) -> Result<(), Halt> {
    check_source(boundary, target)?;
    if options.recursive && is_directory(boundary, target)? {
        check_tree(boundary, target, None, how)?;
    }
    Ok(())
}

/// Whether a name may be taken away, whatever is below it.
pub(super) fn check_source(boundary: &Boundary<'_>, source: &Target) -> Result<(), Halt> {
    Ok(boundary.check_entry(&source.directory, &source.name, Access::Write)?)
}

/// What can be said of a rename before the parents of its target are made for it, if they are missing.
pub(super) fn before_parents(
    boundary: &Boundary<'_>,
    source: &Target,
    kind: FileKind,
    to: &RelPath,
    how: How,
) -> Result<(), Halt> {
    let judged = boundary.watch.is_some() && kind == FileKind::Directory;
    if judged && target::named(boundary, to, how).is_err() {
        check_tree(boundary, source, None, how)?;
    }
    Ok(())
}

/// Whether something may be taken from one name to another, with all that is below it.
pub(super) fn check_rename(
    boundary: &Boundary<'_>,
    source: &Target,
    target: &Target,
    kind: FileKind,
    how: How,
) -> Result<(), Halt> {
    boundary.check_entry(&target.directory, &target.name, Access::Write)?;
    if kind == FileKind::Directory {
        check_tree(boundary, source, Some(target), how)?;
    }
    Ok(())
}

/// [`check_removal`] of a path, before anything is ended for it.
pub(super) fn may_remove(
    boundary: &Boundary<'_>,
    path: &RelPath,
    options: RemoveOptions,
    how: How,
) -> Result<(), Halt> {
    match target::named(boundary, path, how) {
        Ok(target) => check_removal(boundary, &target, options, how),
        // What is wrong with it is said by the call itself.
        Err(_) => Ok(()),
    }
}

/// [`check_rename`] of two paths, likewise. A target whose parents are missing is judged when they are made.
pub(super) fn may_rename(
    boundary: &Boundary<'_>,
    from: &RelPath,
    to: &RelPath,
    how: How,
) -> Result<(), Halt> {
    let Ok(source) = target::named(boundary, from, how) else {
        return Ok(());
    };
    check_source(boundary, &source)?;
    let Some(found) = source.existing()? else {
        return Ok(());
    };
    match target::named(boundary, to, how) {
        Ok(target) => check_rename(boundary, &source, &target, found.kind, how),
        Err(_) => before_parents(boundary, &source, found.kind, to, how),
    }
}

fn is_directory(boundary: &Boundary<'_>, target: &Target) -> Result<bool, Halt> {
    let found = match boundary.watch {
        Some(_) => target.existing()?,
        None => None,
    };
    Ok(found.is_some_and(|stat| stat.kind == FileKind::Directory))
}

fn check_tree(
    boundary: &Boundary<'_>,
    source: &Target,
    target: Option<&Target>,
    how: How,
) -> Result<(), Halt> {
    let mut names = Vec::new();
    for name in [Some(source), target].into_iter().flatten() {
        let Some(directory) = boundary.judged_path(&name.directory)? else {
            return Ok(());
        };
        names.push(directory.child(&name.name));
    }
    if !may_hold(boundary, &names) {
        return Ok(());
    }
    if how != How::Links {
        // It may be a large tree.
        return Err(Halt::Wait);
    }
    Ok(check_below(
        boundary,
        &source.directory,
        &source.name,
        names,
    )?)
}
