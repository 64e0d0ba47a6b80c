//! Whether a connection is in use.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The channels of a connection, and when it had one last.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    state: Arc<Mutex<(usize, Instant)>>,
}

impl Default for Activity {
    fn default() -> Self {
        Self {
            state: Arc::new(Mutex::new((0, Instant::now()))),
        }
    }
}

/// Counts a channel while it lives.
#[derive(Debug)]
pub(super) struct Active(Activity);

impl Activity {
    pub(super) fn begin(&self) -> Active {
        self.state().0 += 1;
        Active(self.clone())
    }

    /// Since when there was no channel.
    pub(super) fn idle_for(&self) -> Option<Duration> {
        let (open, since) = *self.state();
        (open == 0).then(|| since.elapsed())
    }

    /// How many channels there are.
    pub(super) fn open(&self) -> usize {
        self.state().0
    }

    fn state(&self) -> MutexGuard<'_, (usize, Instant)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        let mut state = self.0.state();
        *state = (state.0 - 1, Instant::now());
    }
}
