//! Searches on the disk: opens where they start, beneath the scope, and hides what is not there for callers.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::place::{Effect, Place};
use crate::backend::search::{SearchOutcome, SearchRequest};
use crate::call::Call;
use crate::path::RelPath;
use crate::search::{Hidden, search_directory};
use crate::sys::linux::beneath::{self, Boundary, How};
use crate::sys::linux::directory::{could_be_temporary, hidden_temporaries};
use crate::sys::linux::halt::Halt;

pub(super) fn search(place: &Arc<Place>, request: SearchRequest) -> Call<SearchOutcome> {
    let hidden = Temporaries {
        state_dir: place.state_dir(),
    };
    place.call(Effect::Reads, None, move |boundary, how| {
        boundary.is_there()?;
        let base = open(boundary, &request.base, how)?;
        let above = if request.respect_gitignore {
            directories_above(boundary, &request.base, how)?
        } else {
            Vec::new()
        };
        let outcome = search_directory(base, &request.base, &above, &request, &hidden)?;
        Ok(outcome)
    })
}

/// A directory or a file; links that stay inside are followed, as for every path that a caller names.
fn open(boundary: &Boundary<'_>, path: &RelPath, how: How) -> Result<OwnedFd, Halt> {
    let opened = beneath::open(boundary, path, OFlags::RDONLY, Mode::empty(), how)?;
    Ok(opened)
}

/// From the root down to the directory that holds `path`.
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
            Ok(directory) => above.push((at.clone(), directory)),
            // One that may be passed through but not read has no rules for us.
            Err(Errno::ACCESS) => {}
            Err(errno) => return Err(errno.into()),
        }
        at = at.child(name);
    }
    Ok(above)
}

/// Hides the temporaries of writes in progress.
struct Temporaries {
    state_dir: Option<Arc<Path>>,
}

impl Hidden for Temporaries {
    fn may_hide(&self, name: &[u8]) -> bool {
        self.state_dir.is_some() && could_be_temporary(name)
    }

    fn hides(&self, directory: BorrowedFd<'_>, names: &[&[u8]]) -> Vec<bool> {
        match &self.state_dir {
            Some(state_dir) => hidden_temporaries(directory, names, state_dir),
            None => vec![false; names.len()],
        }
    }
}
