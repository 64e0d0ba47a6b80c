//! Where a path leads once its links are followed: for those who tell a path, never for those who open one.

use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::place::{Effect, Place};
use crate::access::Access;
use crate::backend::FileKind;
use crate::call::Call;
use crate::error::ErrorCode;
use crate::path::RelPath;
use crate::sys::linux::beneath::{self, Boundary, How};
use crate::sys::linux::halt::Halt;
use crate::sys::linux::metadata;

/// What is there, by its real name, and below it what is not there as it was written.
pub(super) fn real_path(place: &Arc<Place>, path: &RelPath) -> Call<RelPath> {
    let path = path.clone();
    let work = move |boundary: &Boundary<'_>, how| {
        let mut there = path.clone();
        let mut missing: Vec<Vec<u8>> = Vec::new();
        loop {
            match resolve(boundary, &there, how) {
                Ok(real) => {
                    let names = missing.iter().rev();
                    return Ok(names.fold(real, |above, name| above.child(name)));
                }
                Err(Halt::Failed(error)) if error.code() == ErrorCode::NotFound => {
                    let Some((parent, name)) = there.split_last() else {
                        return Ok(path.clone());
                    };
                    missing.push(name.to_vec());
                    there = parent;
                }
                Err(halt) => return Err(halt),
            }
        }
    };
    place.call(Effect::Reads, place.inline_lookup(), work)
}

fn resolve(boundary: &Boundary<'_>, path: &RelPath, how: How) -> Result<RelPath, Halt> {
    let handle = beneath::open(boundary, path, OFlags::PATH, Mode::empty(), how)?;
    if boundary.watch.is_some() {
        let directory = metadata::of_handle(&handle)?.kind == FileKind::Directory;
        boundary.check(&handle, Access::Stat { directory })?;
    }
    Ok(boundary
        .name_in_scope(&handle)
        .unwrap_or_else(|| path.clone()))
}
