//! Through which backend a command was started. Two backends may have the same directory, as two clients of a daemon have
//! that share a scope: the end of one must not end what was started through the other.

use std::sync::Arc;

/// A backend, as far as its commands are concerned, and the one that it was re-rooted from.
#[derive(Debug, Default)]
pub(in crate::backend::local) struct Lineage {
    parent: Option<Arc<Lineage>>,
}

impl Lineage {
    /// That of a backend which is re-rooted from one.
    pub(in crate::backend::local) fn below(parent: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self {
            parent: Some(Arc::clone(parent)),
        })
    }

    /// Whether it is this one, or re-rooted from it, however far.
    pub(super) fn is_of(self: &Arc<Self>, ancestor: &Arc<Self>) -> bool {
        let mut at = Some(self);
        while let Some(lineage) = at {
            if Arc::ptr_eq(lineage, ancestor) {
                return true;
            }
            at = lineage.parent.as_ref();
        }
        false
    }
}
