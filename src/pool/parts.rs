//! One piece of work on several threads: a thousand questions about files take half as long on two processors.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::{internal_error, pool};
use crate::error::Result;

/// Helpers at most: more would take threads from other calls for little.
const MAX_HELPERS: usize = 3;

/// Does one piece of work by parts, numbered from 0, of which other threads of the pool take some if any are free;
/// gives their results in order. Blocks as long as the work takes, so it belongs on the pool itself.
///
/// # Errors
/// `IO_ERROR` where a part panicked.
pub fn by_parts<T: Send + 'static>(
    parts: usize,
    work: impl Fn(usize) -> T + Send + Sync + 'static,
) -> Result<Vec<T>> {
    let shared = Arc::new(Parts {
        work,
        count: parts,
        next: AtomicUsize::new(0),
        results: Mutex::new((0..parts).map(|_| None).collect()),
        left: (Mutex::new(parts), Condvar::new()),
    });
    let helpers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(4)
        - 1;
    for _ in 0..helpers.min(MAX_HELPERS).min(parts.saturating_sub(1)) {
        let shared = Arc::clone(&shared);
        pool().submit(Box::new(move || shared.help()));
    }
    shared.help();
    // What others took is being worked on: nobody who could be waiting for us has it.
    let (left, changed) = &shared.left;
    let mut left = left.lock().unwrap_or_else(PoisonError::into_inner);
    while *left > 0 {
        left = changed.wait(left).unwrap_or_else(PoisonError::into_inner);
    }
    let mut results = shared
        .results
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let taken = std::mem::take(&mut *results);
    taken
        .into_iter()
        .map(|result| result.ok_or_else(internal_error))
        .collect()
}

struct Parts<T, F> {
    work: F,
    count: usize,
    next: AtomicUsize,
    results: Mutex<Vec<Option<T>>>,
    left: (Mutex<usize>, Condvar),
}

impl<T, F: Fn(usize) -> T> Parts<T, F> {
    /// Takes parts until none is left.
    fn help(&self) {
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= self.count {
                return;
            }
            if let Ok(result) = catch_unwind(AssertUnwindSafe(|| (self.work)(part))) {
                let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
                results[part] = Some(result);
            }
            *self.left.0.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
            self.left.1.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorCode;

    #[test]
    fn parts_come_back_in_order_and_a_panic_in_one_is_an_error() {
        assert_eq!(by_parts(5, |part| part * 2).unwrap(), [0, 2, 4, 6, 8]);
        assert!(by_parts(0, |part| part).unwrap().is_empty());
        let failed = by_parts(3, |part| assert_ne!(part, 1));
        assert_eq!(failed.unwrap_err().code(), ErrorCode::IoError);
    }
}
