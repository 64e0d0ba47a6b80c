//! Searches on the disk: opens where they start, beneath the scope, and hides what is not there for callers.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::place::{Effect, Place};
use crate::access::{Access, Guard};
use crate::backend::FileKind;
use crate::backend::search::{SearchOutcome, SearchRequest};
use crate::call::Call;
use crate::path::RelPath;
use crate::pool::Work;
use crate::search::{Hidden, IGNORE_FILE_NAMES, search_directory};
use crate::sys::linux::beneath::{self, Boundary, How};
use crate::sys::linux::child;
use crate::sys::linux::directory::{could_be_temporary, hidden_temporaries};
use crate::sys::linux::halt::Halt;
use crate::sys::linux::metadata;
use crate::sys::linux::watch;

pub(super) fn search(place: &Arc<Place>, request: SearchRequest) -> Call<SearchOutcome> {
    let state_dir = place.state_dir();
    place.wait(Work::Search, Effect::Reads, move |boundary, how| {
        boundary.is_there()?;
        let base = open(boundary, &request.base, how)?;
        let above = if request.respect_gitignore {
            directories_above(boundary, &request.base, how)?
        } else {
            Vec::new()
        };
        let hidden = NotThere {
            state_dir: state_dir.as_deref(),
            guard: boundary.watch.map(|watch| watch.guard()),
            root: boundary.root,
            root_paths: boundary.root_paths,
        };
        let outcome = search_directory(base, &request.base, &above, &request, &hidden)?;
        Ok(outcome)
    })
}

/// A directory or a file; links that stay inside are followed, as for every path that a caller names.
fn open(boundary: &Boundary<'_>, path: &RelPath, how: How) -> Result<OwnedFd, Halt> {
    let opened = beneath::open(boundary, path, OFlags::RDONLY, Mode::empty(), how)?;
    if boundary.watch.is_some() {
        let (kind, _) = child::kind_and_size(opened.as_fd())?;
        boundary.check(
            &opened,
            match kind {
                FileKind::Directory => Access::List,
                _ => Access::Read,
            },
        )?;
    }
    Ok(opened)
}

/// From the root down to the directory that holds `path`, as far as their ignore files may be read.
fn directories_above(
    boundary: &Boundary<'_>,
    path: &RelPath,
    how: How,
) -> Result<Vec<(RelPath, OwnedFd)>, Halt> {
    let mut above = Vec::new();
    let mut at = RelPath::root();
    for name in path.components() {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        match beneath::open(boundary, &at, flags, Mode::empty(), how) {
            Ok(directory) if !hides_rules(boundary, &directory)? => {
                above.push((at.clone(), directory));
            }
            // One that may be passed through but not read has no rules for us.
            Ok(_) | Err(Errno::ACCESS) => {}
            Err(errno) => return Err(errno.into()),
        }
        at = at.child(name);
    }
    Ok(above)
}

/// Whether one of the ignore files of a directory is nothing that the caller may know.
fn hides_rules(boundary: &Boundary<'_>, directory: &OwnedFd) -> Result<bool, Halt> {
    let (Some(watch), Some(path)) = (boundary.watch, boundary.judged_path(directory)?) else {
        return Ok(false);
    };
    let hides = |name: &&[u8]| watch.guard().hides(&path.child(name), false);
    Ok(IGNORE_FILE_NAMES.iter().any(hides))
}

/// What does not exist for callers: the temporaries of writes in progress, and what the access policy hides.
struct NotThere<'a> {
    state_dir: Option<&'a Path>,
    guard: Option<&'a dyn Guard>,
    root: BorrowedFd<'a>,
    root_paths: &'a [Vec<u8>],
}

impl NotThere<'_> {
    fn is_temporary(&self, directory: BorrowedFd<'_>, names: &[&[u8]]) -> Vec<bool> {
        match self.state_dir {
            Some(state_dir) => hidden_temporaries(directory, names, state_dir),
            None => vec![false; names.len()],
        }
    }

    fn could_be_temporary(&self, name: &[u8]) -> bool {
        self.state_dir.is_some() && could_be_temporary(name)
    }
}

impl Hidden for NotThere<'_> {
    fn may_hide(&self, name: &[u8]) -> bool {
        self.guard.is_some() || self.could_be_temporary(name)
    }

    fn hides(&self, directory: BorrowedFd<'_>, names: &[&[u8]]) -> Vec<bool> {
        let unknown: Vec<_> = names.iter().map(|name| (*name, None)).collect();
        self.hides_entries(directory, &unknown)
    }

    fn hides_entries(
        &self,
        directory: BorrowedFd<'_>,
        entries: &[(&[u8], Option<FileKind>)],
    ) -> Vec<bool> {
        let Some(guard) = self.guard else {
            let names: Vec<&[u8]> = entries.iter().map(|(name, _)| *name).collect();
            return self.is_temporary(directory, &names);
        };
        // By the name that the directory has now, whatever it was called when the search came to it.
        let path = watch::name_below(self.root, self.root_paths, directory)
            .and_then(|name| RelPath::parse(&name, b"/").ok());
        let Some(path) = path else {
            return vec![true; entries.len()];
        };
        let hides = |(name, kind): &(&[u8], Option<FileKind>)| {
            let kind = kind.or_else(|| Some(metadata::of_entry(directory, name).ok()?.kind));
            guard.hides(&path.child(name), kind == Some(FileKind::Directory))
                || (self.could_be_temporary(name) && self.is_temporary(directory, &[name])[0])
        };
        entries.iter().map(hides).collect()
    }
}
