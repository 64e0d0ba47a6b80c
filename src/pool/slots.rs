//! Shares of the pool, so that no scope takes all of it.
//!
//! What waits for a slot waits as a future, without a thread. One scope holds three quarters of the threads at most;
//! searches, which take longest, hold a quarter of them for one scope and half of them for all scopes together. So
//! whatever one tenant does, a read of another finds a thread.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{internal_error, max_threads, run};
use crate::error::Result;

/// What a slot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// One operation on files.
    Files,
    /// A search, which may go through a whole tree.
    Search,
}

/// What one scope may hold of the pool.
#[derive(Debug)]
pub struct ScopeSlots {
    all: Arc<Semaphore>,
    searches: Arc<Semaphore>,
}

static ALL_SEARCHES: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(max_threads() / 2)));

impl ScopeSlots {
    fn new() -> Self {
        let threads = max_threads();
        Self {
            all: Arc::new(Semaphore::new((threads * 3 / 4).max(1))),
            searches: Arc::new(Semaphore::new((threads / 4).max(1))),
        }
    }

    /// Runs work that may block on the pool, once there is a slot for it. The slot is held until the work has ended,
    /// even if the future is dropped before.
    ///
    /// # Errors
    /// As the work itself; `IO_ERROR` where it panicked.
    pub async fn run<T: Send + 'static>(
        self: Arc<Self>,
        kind: Work,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        // Always in this order, so that two never wait for each other.
        let search = match kind {
            Work::Files => None,
            Work::Search => Some((take(&self.searches).await?, take(&ALL_SEARCHES).await?)),
        };
        let held = (search, take(&self.all).await?);
        run(move || {
            let _held = held;
            work()
        })
        .await
    }
}

async fn take(slots: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit> {
    // It is never closed.
    let taken = Arc::clone(slots).acquire_owned().await;
    taken.map_err(|_| internal_error())
}

/// The slots of all scopes of one root. Those of a scope go with its last user, and are the same ones for all who
/// opened it, however often.
#[derive(Debug, Default)]
pub struct Slots {
    scopes: Mutex<Scopes>,
}

#[derive(Debug, Default)]
struct Scopes {
    by_path: HashMap<Vec<u8>, Weak<ScopeSlots>>,
    /// With so many the dead ones are cleared away.
    clear_at: usize,
}

impl Slots {
    /// The slots of the scope with this path below the root.
    #[must_use]
    pub fn of(&self, scope: &[u8]) -> Arc<ScopeSlots> {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = scopes.by_path.get(scope).and_then(Weak::upgrade) {
            return known;
        }
        if scopes.by_path.len() >= scopes.clear_at {
            scopes.by_path.retain(|_, slots| slots.strong_count() > 0);
            scopes.clear_at = (scopes.by_path.len() * 2).max(64);
        }
        let slots = Arc::new(ScopeSlots::new());
        scopes
            .by_path
            .insert(scope.to_vec(), Arc::downgrade(&slots));
        slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::runtime;
    use std::sync::mpsc;
    use std::time::Duration;

    #[test]
    fn slow_searches_of_one_scope_leave_threads_to_its_files_and_to_other_scopes() {
        let slots = Slots::default();
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let slow: Vec<_> = (0..4 * max_threads())
            .map(|_| {
                let held = Arc::clone(&held);
                let work = move || {
                    let _ = held.lock().map(|held| held.recv());
                    Ok(())
                };
                runtime().spawn(slots.of(b"greedy").run(Work::Search, work))
            })
            .collect();
        let quick = async {
            for (scope, kind) in [
                (&b"greedy"[..], Work::Files),
                (b"other", Work::Files),
                (b"other", Work::Search),
            ] {
                let done = slots.of(scope).run(kind, || Ok(7));
                let done = tokio::time::timeout(Duration::from_secs(10), done).await;
                assert_eq!(done.unwrap().unwrap(), 7, "{kind:?}");
            }
        };
        runtime().block_on(quick);
        assert!(slow.iter().all(|search| !search.is_finished()));
        drop(release);
        for search in slow {
            runtime().block_on(search).unwrap().unwrap();
        }
    }

    #[test]
    fn a_scope_has_the_same_slots_for_all_its_users_and_none_without_one() {
        let slots = Slots::default();
        let first = slots.of(b"a");
        assert!(Arc::ptr_eq(&first, &slots.of(b"a")));
        assert!(!Arc::ptr_eq(&first, &slots.of(b"b")));
        for number in 0..1000u32 {
            drop(slots.of(&number.to_le_bytes()));
        }
        let scopes = slots.scopes.lock().unwrap();
        assert!(scopes.by_path.len() < 200, "{}", scopes.by_path.len());
    }
}
