//! Connections that have not said who they are. There is room for so many; where it is full the oldest makes way, so
//! that clients which connect and stay silent keep nobody out for longer than a moment.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The room.
#[derive(Clone, Debug)]
pub(super) struct Newcomers {
    waiting: Arc<Mutex<VecDeque<(u64, CancellationToken)>>>,
    room: usize,
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
        if waiting.len() >= self.room
            && let Some((_, oldest)) = waiting.pop_front()
        {
            tracing::warn!(
                most = self.room,
                "too many SSH clients have not authenticated; the oldest is cut off"
            );
            oldest.cancel();
        }
        let number = waiting.back().map_or(0, |(last, _)| last + 1);
        waiting.push_back((number, cut));
        Newcomer {
            newcomers: self.clone(),
            number,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<(u64, CancellationToken)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        let mut waiting = self.newcomers.waiting();
        waiting.retain(|(number, _)| *number != self.number);
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
        drop((third, fourth));
        assert!(newcomers.waiting().is_empty());
    }
}
