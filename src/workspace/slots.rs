//! How many commands run, and how many files are open, at a time: in a root altogether, and of one principal. Whoever is
//! beyond the bound is told so at once; a queue would only hide that somebody holds all of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::held::Owner;
use crate::error::{Error, ErrorCode, Result};

/// What is held of one kind in a root workspace and all its scopes: commands that are being started or run, or files that
/// are open. Whoever holds none has no entry.
#[derive(Debug)]
pub(super) struct Slots {
    /// What is told of a bound that is reached: by one principal, and by all.
    own: &'static str,
    all: &'static str,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    by_tenant: HashMap<Arc<Owner>, usize>,
}

/// The place of one, until it is dropped.
#[derive(Debug)]
#[must_use = "it counts as ended when this is dropped"]
pub(super) struct Slot {
    slots: Arc<Slots>,
    tenant: Arc<Owner>,
}

/// The bounds; `None` is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) total: Option<usize>,
    pub(super) per_tenant: Option<usize>,
}

impl Slots {
    /// Those of commands.
    pub(super) fn of_commands() -> Self {
        Self::new(
            "commands of this principal run",
            "commands run in this backend",
        )
    }

    /// Those of open files.
    pub(super) fn of_files() -> Self {
        Self::new(
            "files of this principal are open",
            "files are open in this backend",
        )
    }

    fn new(own: &'static str, all: &'static str) -> Self {
        Self {
            own,
            all,
            taken: Mutex::default(),
        }
    }

    /// Takes a place, or is refused.
    pub(super) fn take(self: &Arc<Self>, tenant: &Arc<Owner>, bounds: Bounds) -> Result<Slot> {
        let mut taken = self.lock();
        let own = taken.by_tenant.get(tenant).copied().unwrap_or_default();
        if let Some(most) = bounds.per_tenant.filter(|most| own >= *most) {
            return Err(full(most, self.own));
        }
        if let Some(most) = bounds.total.filter(|most| taken.total >= *most) {
            return Err(full(most, self.all));
        }
        taken.total += 1;
        *taken.by_tenant.entry(Arc::clone(tenant)).or_default() += 1;
        Ok(Slot {
            slots: Arc::clone(self),
            tenant: Arc::clone(tenant),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.total -= 1;
        if let Some(own) = taken.by_tenant.get_mut(&self.tenant) {
            *own -= 1;
            if *own == 0 {
                taken.by_tenant.remove(&self.tenant);
            }
        }
    }
}

fn full(most: usize, what: &str) -> Error {
    Error::new(
        ErrorCode::LimitExceeded,
        format!("{most} {what} already, which is the most at a time; wait for one of them to end"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::RelPath;

    fn tenant(principal: &str) -> Arc<Owner> {
        Arc::new(Owner {
            principal: principal.into(),
            scope: RelPath::root(),
        })
    }

    #[test]
    fn a_place_is_free_again_when_its_command_has_ended() {
        let slots = Arc::new(Slots::of_commands());
        let bounds = Bounds {
            total: Some(3),
            per_tenant: Some(2),
        };
        let (one, two) = (tenant("one"), tenant("two"));
        let first = slots.take(&one, bounds).unwrap();
        let second = slots.take(&one, bounds).unwrap();
        let refused = slots.take(&one, bounds).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::LimitExceeded);
        let third = slots.take(&two, bounds).unwrap();
        assert!(slots.take(&two, bounds).is_err());
        drop(first);
        let fourth = slots.take(&two, bounds).unwrap();
        drop((second, third, fourth));
        let taken = slots.lock();
        assert_eq!((taken.total, taken.by_tenant.len()), (0, 0));
    }

    #[test]
    fn without_bounds_nobody_is_refused() {
        let slots = Arc::new(Slots::of_commands());
        let bounds = Bounds {
            total: None,
            per_tenant: None,
        };
        let taken: Vec<_> = (0..1_000)
            .map(|_| slots.take(&tenant("one"), bounds).unwrap())
            .collect();
        drop(taken);
        assert_eq!(slots.lock().total, 0);
    }
}
