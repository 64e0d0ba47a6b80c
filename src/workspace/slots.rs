//! How many commands run, how many files are open and how many bytes wait for their reader at a time: in a root
//! altogether, and of one principal. Whoever is beyond the bound is told so at once; a queue would only hide that somebody
//! holds all of it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::held::Owner;
use crate::error::{Error, ErrorCode, Result};

/// What is held of one kind in a root workspace and all its scopes: commands that are being started or run, files that are
/// open, or bytes. Whoever holds none has no entry.
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

/// What somebody holds, until it is dropped.
#[derive(Debug)]
#[must_use = "it counts as ended when this is dropped"]
pub(super) struct Slot {
    slots: Arc<Slots>,
    tenant: Arc<Owner>,
    bounds: Bounds,
    count: usize,
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

    /// Those of bytes in memory.
    pub(super) fn of_bytes() -> Self {
        Self::new(
            "bytes of this principal wait for their reader",
            "bytes wait for their reader in this backend",
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
        self.take_many(tenant, bounds, 1)
    }

    /// Takes so many, or is refused.
    pub(super) fn take_many(
        self: &Arc<Self>,
        tenant: &Arc<Owner>,
        bounds: Bounds,
        count: usize,
    ) -> Result<Slot> {
        let mut slot = Slot {
            slots: Arc::clone(self),
            tenant: Arc::clone(tenant),
            bounds,
            count: 0,
        };
        slot.grow(count)?;
        Ok(slot)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Takes more, or is refused.
    pub(super) fn grow(&mut self, more: usize) -> Result<()> {
        let mut taken = self.slots.lock();
        let own = taken.by_tenant.get(&self.tenant).copied();
        let own = own.unwrap_or_default().saturating_add(more);
        if let Some(most) = self.bounds.per_tenant.filter(|most| own > *most) {
            return Err(full(most, self.slots.own));
        }
        let total = taken.total.saturating_add(more);
        if let Some(most) = self.bounds.total.filter(|most| total > *most) {
            return Err(full(most, self.slots.all));
        }
        taken.total = total;
        taken.by_tenant.insert(Arc::clone(&self.tenant), own);
        drop(taken);
        self.count += more;
        Ok(())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.total -= self.count;
        if let Some(own) = taken.by_tenant.get_mut(&self.tenant) {
            *own -= self.count;
            if *own == 0 {
                taken.by_tenant.remove(&self.tenant);
            }
        }
    }
}

fn full(most: usize, what: &str) -> Error {
    Error::new(
        ErrorCode::LimitExceeded,
        format!(
            "{most} {what} already, or would; that is the most at a time: wait for some of it to end"
        ),
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
    fn what_grows_is_counted_and_what_is_refused_is_not() {
        let slots = Arc::new(Slots::of_bytes());
        let bounds = Bounds {
            total: Some(100),
            per_tenant: Some(60),
        };
        let (one, two) = (tenant("one"), tenant("two"));
        let mut first = slots.take_many(&one, bounds, 10).unwrap();
        first.grow(50).unwrap();
        assert!(first.grow(1).is_err() && first.grow(usize::MAX).is_err());
        assert!(slots.take_many(&two, bounds, 41).is_err());
        let second = slots.take_many(&two, bounds, 40).unwrap();
        assert!(slots.take(&two, bounds).is_err());
        drop(first);
        assert_eq!(slots.lock().total, 40);
        drop(second);
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
