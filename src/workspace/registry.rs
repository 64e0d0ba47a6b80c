//! The living scopes of a workspace. A scope that its owner forgets leaves by itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::Inner;

#[derive(Debug, Default)]
pub(super) struct Registry {
    scopes: Mutex<Scopes>,
}

#[derive(Debug, Default)]
struct Scopes {
    next: u64,
    by_age: BTreeMap<u64, Weak<Inner>>,
    sweep_at: usize,
}

impl Registry {
    pub(super) fn add(&self, scope: &Arc<Inner>) {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        // Amortised: dead entries never outnumber the living ones by much.
        if scopes.by_age.len() >= scopes.sweep_at.max(64) {
            scopes.by_age.retain(|_, scope| is_alive(scope));
            scopes.sweep_at = scopes.by_age.len() * 2;
        }
        let age = scopes.next;
        scopes.next += 1;
        scopes.by_age.insert(age, Arc::downgrade(scope));
    }

    pub(super) fn alive(&self) -> Vec<Arc<Inner>> {
        let mut scopes = self.scopes.lock().unwrap_or_else(PoisonError::into_inner);
        scopes.by_age.retain(|_, scope| is_alive(scope));
        scopes.by_age.values().filter_map(Weak::upgrade).collect()
    }
}

fn is_alive(scope: &Weak<Inner>) -> bool {
    scope
        .upgrade()
        .is_some_and(|scope| !scope.destroyed.load(std::sync::atomic::Ordering::Acquire))
}
