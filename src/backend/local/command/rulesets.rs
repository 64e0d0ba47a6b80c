//! The rules of Landlock for a scope are kept for a few seconds: there are some sixty, most of them for what every scope
//! gets, and an agent runs one command after another in the same place.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::staged::{Identity, identity};
use crate::error::{Error, ErrorCode, Result};
use crate::pool;
use crate::sys::linux::landlock::{self, Access, Grant};

/// How long, from the moment when they were made: as long, what replaces a file of the system is not granted.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// Scopes whose rules are kept at once.
const MAX_KEPT: usize = 16;

/// Rules by the directories that a command may write.
type Kept = HashMap<Vec<Identity>, Arc<OwnedFd>>;

/// The rules that are kept.
#[derive(Debug, Default)]
pub(super) struct Rulesets(Arc<Mutex<Kept>>);

impl Rulesets {
    /// Rules that let a command write these directories, and use what `others` names.
    pub(super) fn get(
        &self,
        writable: &[OwnedFd],
        others: impl FnOnce() -> Vec<Grant<'static>>,
    ) -> Result<Arc<OwnedFd>> {
        let key = writable.iter().map(identity).collect::<Result<Vec<_>>>()?;
        if let Some(rules) = lock(&self.0).get(&key) {
            return Ok(Arc::clone(rules));
        }
        let mut grants: Vec<Grant<'_>> = others();
        grants.extend(
            writable
                .iter()
                .map(|handle| Grant::Handle(handle, Access::Write)),
        );
        let rules = landlock::ruleset(&grants)
            .map_err(|problem| Error::new(ErrorCode::MissingUtilities, problem))?;
        let rules = Arc::new(rules);
        let mut kept = lock(&self.0);
        if kept.len() < MAX_KEPT {
            kept.insert(key.clone(), Arc::clone(&rules));
            let all = Arc::downgrade(&self.0);
            pool::runtime().spawn(async move {
                tokio::time::sleep(KEPT_FOR).await;
                if let Some(all) = all.upgrade() {
                    lock(&all).remove(&key);
                }
            });
        }
        Ok(rules)
    }
}

fn lock(kept: &Mutex<Kept>) -> std::sync::MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
