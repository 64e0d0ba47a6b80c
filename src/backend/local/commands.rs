//! Commands: the handles that they run on, and their end when their scope goes.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::command;
use super::place::{Effect, Place};
use crate::backend::process::{CommandSpec, Process};
use crate::call::Call;
use crate::error::Result;
use crate::path::RelPath;
use crate::sys::linux::beneath::{self, Boundary, How};
use crate::sys::linux::halt::Halt;
use crate::sys::linux::target;

/// Starts a command in the scope, which is created if missing. Scope and working directory are opened beneath the
/// root and passed on as handles, so that no name is looked up again later.
pub(super) fn spawn(place: &Arc<Place>, spec: CommandSpec) -> Call<Process> {
    let owners = place.owners();
    let cwd = spec.cwd.clone();
    let handles = place.call(Effect::Creates, None, move |boundary, how| {
        boundary.is_there()?;
        target::create_directories(boundary, &RelPath::root(), owners, how)?;
        open_pair(boundary, &cwd, how)
    });
    let place = Arc::clone(place);
    handles.map_blocking(move |(root, cwd)| {
        let quotas = place.quotas().to_vec();
        place.launcher().start_within(
            command::Place {
                root,
                cwd,
                root_path: place.path().to_vec(),
                cwd_path: spec.cwd.beneath(place.path()),
            },
            spec,
            &quotas,
        )
    })
}

fn open_pair(boundary: &Boundary<'_>, cwd: &RelPath, how: How) -> Result<(OwnedFd, OwnedFd), Halt> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    Ok((
        beneath::open_scope(boundary, how)?,
        beneath::open(boundary, cwd, flags, Mode::empty(), how)?,
    ))
}

/// Does something to a path after the commands of the scopes at or below it have ended: what becomes of their
/// directory must not be theirs any more.
pub(super) fn after_ending<T: Send + 'static>(
    place: &Arc<Place>,
    path: &RelPath,
    act: impl FnOnce() -> Call<T> + Send + 'static,
) -> Call<T> {
    if place.launcher().running_count() == 0 {
        return act();
    }
    place
        .launcher()
        .end_all(&path.beneath(place.path()))
        .and_then(|()| act())
}
