//! When a search must end before it is done.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::backend::search::SearchLimits;
use crate::error::{Error, ErrorCode, Result};

/// Watches the caller's token, the clock and the count of entries. Shared by the threads of one search.
#[derive(Debug)]
pub(super) struct Stop {
    cancel: CancellationToken,
    deadline: Option<Instant>,
    entries_left: AtomicUsize,
    /// Something was left out for want of time, entries, memory or descriptors.
    cut_short: AtomicBool,
    over: AtomicBool,
}

impl Stop {
    pub(super) fn new(cancel: CancellationToken, limits: &SearchLimits) -> Self {
        Self {
            cancel,
            deadline: Instant::now().checked_add(Duration::from_millis(limits.timeout_ms)),
            entries_left: AtomicUsize::new(limits.max_entries),
            cut_short: AtomicBool::new(false),
            over: AtomicBool::new(false),
        }
    }

    /// Whether to end now. Costs a lock and a look at the clock: ask per directory or per buffer, not per entry.
    pub(super) fn is_over(&self) -> bool {
        if self.over.load(Ordering::Relaxed) {
            return true;
        }
        if self.cancel.is_cancelled() {
            self.over.store(true, Ordering::Relaxed);
            return true;
        }
        if self.deadline.is_some_and(|end| Instant::now() >= end) {
            self.leave_out();
            self.over.store(true, Ordering::Relaxed);
            return true;
        }
        false
    }

    /// Counts one entry looked at; `false` when there were enough.
    pub(super) fn count_entry(&self) -> bool {
        let counted = self
            .entries_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok();
        if !counted {
            self.leave_out();
            self.over.store(true, Ordering::Relaxed);
        }
        counted
    }

    /// Notes that the result is not complete.
    pub(super) fn leave_out(&self) {
        self.cut_short.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_cut_short(&self) -> bool {
        self.cut_short.load(Ordering::Relaxed)
    }

    /// A cancelled search has no result.
    pub(super) fn check_cancelled(&self) -> Result<()> {
        if self.cancel.is_cancelled() {
            return Err(Error::new(ErrorCode::Aborted, "the search was cancelled"));
        }
        Ok(())
    }
}
