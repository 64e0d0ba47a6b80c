//! How full it is: what the file system says, and no more than the bounds of the place leave.

use std::sync::Arc;

use rustix::fs::fstatvfs;

use super::place::{Effect, Place};
use crate::backend::Space;
use crate::call::Call;
use crate::error::{Error, Result};
use crate::sys::linux::beneath::{self, How};
use crate::sys::linux::halt::Halt;
use crate::sys::linux::usage::Bounds;

pub(super) fn space(place: &Arc<Place>) -> Call<Space> {
    let here = Arc::clone(place);
    place.blocking(move || {
        let space = here.now(Effect::Reads, |boundary| {
            // A scope that is not there yet will be on the root's file system.
            let found = match beneath::open_scope(boundary, How::Links) {
                Ok(scope) => fstatvfs(scope),
                Err(rustix::io::Errno::NOENT) => fstatvfs(boundary.root),
                Err(errno) => Err(errno),
            }?;
            Ok(Space {
                block_size: found.f_frsize,
                blocks: found.f_blocks,
                blocks_free: found.f_bfree,
                blocks_available: found.f_bavail,
                files: found.f_files,
                files_free: found.f_ffree,
                name_max: found.f_namemax,
            })
        });
        let space = space.map_err(|halt| match halt {
            Halt::Failed(error) => error,
            Halt::Wait => Error::from(rustix::io::Errno::AGAIN),
        })?;
        within_bounds(&here, space)
    })
}

fn within_bounds(place: &Place, mut space: Space) -> Result<Space> {
    for quota in place.quotas() {
        let used = match quota.known() {
            Some(used) => used,
            None => quota.measure(&Bounds::default())?.unwrap_or_default(),
        };
        let blocks_of = |bytes: u64| bytes / space.block_size.max(1);
        let bound = blocks_of(quota.max_bytes());
        let left = blocks_of(quota.max_bytes().saturating_sub(used));
        space.blocks = space.blocks.min(bound);
        space.blocks_free = space.blocks_free.min(left);
        space.blocks_available = space.blocks_available.min(left);
    }
    Ok(space)
}
