//! Commands: the handles that they run on, and their end when their scope goes.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::command;
use super::masks;
use super::place::{Effect, Place};
use crate::access::Access;
use crate::backend::process::{CommandSpec, Mask, Process};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::sys::linux::beneath::{self, Boundary, How};
use crate::sys::linux::halt::Halt;
use crate::sys::linux::target;

/// Starts a command in the scope, which is created if missing. Scope and working directory are opened beneath the
/// root and passed on as handles, so that no name is looked up again later.
pub(super) fn spawn(place: &Arc<Place>, spec: CommandSpec) -> Call<Process> {
    let owners = place.owners();
    let cwd = spec.cwd.clone();
    let launcher = Arc::clone(place.launcher());
    let handles = place.call(Effect::Creates, None, move |boundary, how| {
        boundary.is_there()?;
        target::create_directories(boundary, &RelPath::root(), owners, how)?;
        let (scope, cwd) = open_pair(boundary, &cwd, how)?;
        let masks = judge(boundary, &launcher, &scope, &cwd)?;
        Ok((scope, cwd, masks))
    });
    let place = Arc::clone(place);
    handles.map_blocking(move |(root, cwd, masks)| {
        let spec = CommandSpec { masks, ..spec };
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
            Arc::clone(place.lineage()),
        )
    })
}

/// Whether a command may begin here, and what must be hidden from it. Blocks.
fn judge(
    boundary: &Boundary<'_>,
    launcher: &command::Launcher,
    scope: &OwnedFd,
    cwd: &OwnedFd,
) -> Result<Vec<Mask>, Halt> {
    let (Some(watch), Some(path)) = (boundary.watch, boundary.judged_path(scope)?) else {
        return Ok(Vec::new());
    };
    boundary.check(scope, Access::Exec)?;
    boundary.check(cwd, Access::Exec)?;
    if !masks::are_needed(watch.guard(), &path) {
        return Ok(Vec::new());
    }
    match launcher.isolation()? {
        command::Isolation::Bwrap => masks::find(boundary, scope),
        level => Err(Error::new(
            ErrorCode::PolicyDenied,
            format!(
                "a command could read or change what rules of the access policy protect in this scope, because isolation '{}' hides nothing from it; use isolation 'bwrap', or a scope that no rule with 'none' or 'read' reaches",
                level.as_str()
            ),
        )
        .into()),
    }
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
