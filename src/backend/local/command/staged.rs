//! What was staged for a scope is kept for a few seconds: an agent runs one command after another in the same place.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{AtFlags, StatxFlags};

use crate::error::Result;
use crate::pool;
use crate::sys::linux::spawn_staging::{Source, Staged, Staging};

/// How long, from the moment when it was staged. Until then it keeps its file system in use, and what is mounted inside
/// the directory meanwhile is not in it.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// Scopes that are kept at once: each sandbox begins with a copy of all mounts.
const MAX_KEPT: usize = 16;

/// A mount and an inode in it. While it is staged its number cannot pass to another one.
pub(super) type Identity = (u64, u32, u32, u64);

/// Directories that are reachable together, in the order of their handles.
pub(super) type Group = Arc<Vec<Staged>>;

/// The groups that are kept.
#[derive(Debug, Default)]
pub(super) struct StagedGroups(Arc<Mutex<HashMap<Vec<Identity>, Group>>>);

impl StagedGroups {
    /// Makes the directories reachable, or finds that they are.
    pub(super) fn stage(&self, staging: &Staging, handles: Vec<OwnedFd>) -> Result<Group> {
        let key = handles.iter().map(identity).collect::<Result<Vec<_>>>()?;
        if let Some(group) = lock(&self.0).get(&key) {
            return Ok(Arc::clone(group));
        }
        let sources = handles.into_iter().map(|handle| Source {
            handle,
            read_only: false,
        });
        let group = Arc::new(staging.stage(sources.collect())?);
        let mut kept = lock(&self.0);
        if kept.len() < MAX_KEPT && !kept.contains_key(&key) {
            kept.insert(key.clone(), Arc::clone(&group));
            let groups = Arc::downgrade(&self.0);
            pool::runtime().spawn(async move {
                tokio::time::sleep(KEPT_FOR).await;
                if let Some(groups) = groups.upgrade() {
                    lock(&groups).remove(&key);
                }
            });
        }
        Ok(group)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn identity(handle: &OwnedFd) -> Result<Identity> {
    let wanted = StatxFlags::INO | StatxFlags::MNT_ID;
    let stat = rustix::fs::statx(handle.as_fd(), c"", AtFlags::EMPTY_PATH, wanted)?;
    Ok((
        stat.stx_mnt_id,
        stat.stx_dev_major,
        stat.stx_dev_minor,
        stat.stx_ino,
    ))
}
