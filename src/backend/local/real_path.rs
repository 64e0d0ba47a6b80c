//! Where a path leads once its links are followed: for those who tell a path, never for those who open one.

use std::sync::Arc;

use rustix::fs::OFlags;

use super::guarding;
use super::place::{Effect, Place};
use crate::call::Call;
use crate::error::ErrorCode;
use crate::path::RelPath;
use crate::sys::linux::beneath::{Boundary, How};
use crate::sys::linux::halt::Halt;

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
    let handle = boundary.open_judged(path, OFlags::PATH, how, guarding::looking)?;
    Ok(boundary
        .name_in_scope(&handle)
        .unwrap_or_else(|| path.clone()))
}
