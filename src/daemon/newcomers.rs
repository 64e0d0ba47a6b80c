//! Connections that have not said who they are. Where there is no room for another, the oldest of them makes way, so that
//! clients which connect and stay silent keep nobody out for longer than a moment.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The room.
#[derive(Clone, Debug)]
pub(super) struct Newcomers {
    waiting: Arc<Mutex<Waiting>>,
    room: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Never given twice: who makes way may take a while to leave.
    next: u64,
    by_age: VecDeque<(u64, CancellationToken)>,
}

/// A place in it, until dropped.
#[derive(Debug)]
pub(super) struct Newcomer {
    newcomers: Newcomers,
    number: u64,
}

impl Newcomers {
    pub(super) fn new(room: usize) -> Self {
        Self {
            waiting: Arc::default(),
            room: room.max(1),
        }
    }

    /// Takes a place; `cut` is cancelled when it must be left to another.
    pub(super) fn arrive(&self, cut: CancellationToken) -> Newcomer {
        let mut waiting = self.waiting();
        if waiting.by_age.len() >= self.room {
            waiting.cut_oldest();
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.by_age.push_back((number, cut));
        Newcomer {
            newcomers: self.clone(),
            number,
        }
    }

    /// Lets the oldest make way; whether there is one.
    pub(super) fn make_way(&self) -> bool {
        self.waiting().cut_oldest()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn cut_oldest(&mut self) -> bool {
        let Some((_, oldest)) = self.by_age.pop_front() else {
            return false;
        };
        tracing::warn!("too many connections have not said who they are; the oldest is cut off");
        oldest.cancel();
        true
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        let mut waiting = self.newcomers.waiting();
        waiting.by_age.retain(|(number, _)| *number != self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_makes_way_and_a_place_that_is_left_is_free() {
        let newcomers = Newcomers::new(2);
        let cuts: Vec<CancellationToken> = (0..4).map(|_| CancellationToken::new()).collect();
        let first = newcomers.arrive(cuts[0].clone());
        let second = newcomers.arrive(cuts[1].clone());
        let third = newcomers.arrive(cuts[2].clone());
        assert!(cuts[0].is_cancelled() && !cuts[1].is_cancelled());
        drop(first);
        drop(second);
        let fourth = newcomers.arrive(cuts[3].clone());
        assert!(!cuts[2].is_cancelled() && !cuts[3].is_cancelled());
        assert!(newcomers.make_way() && cuts[2].is_cancelled());
        drop((third, fourth));
        assert!(!newcomers.make_way());
        assert!(newcomers.waiting().by_age.is_empty());
    }

    #[test]
    fn who_leaves_late_takes_no_other_with_it() {
        let newcomers = Newcomers::new(1);
        let first = newcomers.arrive(CancellationToken::new());
        let second = newcomers.arrive(CancellationToken::new());
        drop(first);
        assert_eq!(newcomers.waiting().by_age.len(), 1);
        drop(second);
    }
}
