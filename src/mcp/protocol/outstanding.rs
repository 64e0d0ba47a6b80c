//! The requests of a session that have no answer yet.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rmcp::model::RequestId;
use tokio::sync::Notify;
use tokio::time::timeout;

#[derive(Debug, Default)]
pub(super) struct Outstanding {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Messages that nobody has looked at.
    unread: usize,
    requests: HashSet<RequestId>,
    /// Answers that are on their way out.
    unsent: usize,
}

impl Outstanding {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A message came in.
    pub(super) fn arrived(&self) {
        self.lock().unread += 1;
    }

    /// A message was looked at.
    pub(super) fn read(&self) {
        self.lock().unread -= 1;
        self.changed.notify_waiters();
    }

    /// A message was a request; whether its id is new.
    pub(super) fn begin(&self, id: &RequestId) -> bool {
        self.lock().requests.insert(id.clone())
    }

    /// A request will not be answered, because it was cancelled.
    pub(super) fn cancel(&self, id: &RequestId) {
        self.lock().requests.remove(id);
        self.changed.notify_waiters();
    }

    /// An answer is about to be sent. Its id is free before the client can see the answer, since the client may use it
    /// again at once.
    pub(super) fn answering(&self, id: &RequestId) {
        let mut state = self.lock();
        state.requests.remove(id);
        state.unsent += 1;
    }

    /// That answer was sent, or could not be.
    pub(super) fn answered(&self) {
        self.lock().unsent -= 1;
        self.changed.notify_waiters();
    }

    /// Resolves when nothing that came in until then waits for an answer.
    pub(super) async fn idle(&self) {
        self.idle_or_still(Duration::MAX).await;
    }

    /// [`Outstanding::idle`], or nothing has moved for so long.
    pub(super) async fn idle_or_still(&self, patience: Duration) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Enabled before the look, so that no change between the two is missed.
            changed.as_mut().enable();
            let is_idle = {
                let state = self.lock();
                state.unread == 0 && state.unsent == 0 && state.requests.is_empty()
            };
            if is_idle || timeout(patience, changed).await.is_err() {
                return;
            }
        }
    }
}
