//! A limit of time that says "nothing moves any more", and not "this is large": content in pieces tells of each of them,
//! and the time of its call begins anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::call::BoxFuture;
use crate::error::{Error, ErrorCode, Result};
use crate::pool;
use crate::wire::operations::{INLINE_BYTES, Operation};
use crate::wire::sftp::MAX_DATA;

/// Bytes that the slowest line we know of carries in a millisecond.
const SLOWEST_LINE: u64 = 64;

/// What a call whose content travels in pieces says of them. All clones are of one call.
#[derive(Clone, Debug)]
pub struct Progress {
    begun: Instant,
    /// Milliseconds from the begin to the last piece.
    moved: Arc<AtomicU64>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            moved: Arc::default(),
        }
    }
}

impl Progress {
    /// A piece has arrived, here or there.
    pub fn moved(&self) {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(elapsed, Ordering::Relaxed);
    }

    /// How much of a limit is left; `None` where it has passed.
    fn left(&self, limit: Duration) -> Option<Duration> {
        let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        let silent = self.begun.elapsed().saturating_sub(moved);
        limit.checked_sub(silent).filter(|left| !left.is_zero())
    }
}

/// Gives up when nothing has moved for so long.
pub(super) fn in_time<T: Send + 'static>(
    limit: Option<Duration>,
    progress: Progress,
    work: BoxFuture<Result<T>>,
) -> BoxFuture<Result<T>> {
    let Some(limit) = limit else {
        return work;
    };
    // Whoever polls may be outside of a runtime; the timer is of ours.
    let _in_runtime = pool::runtime().enter();
    let mut passed = Box::pin(tokio::time::sleep(limit));
    Box::pin(async move {
        let mut work = work;
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = &mut passed => {}
            }
            let Some(left) = progress.left(limit) else {
                return Err(Error::new(
                    ErrorCode::Timeout,
                    format!(
                        "no answer within {} ms; whether it was done is unknown",
                        limit.as_millis()
                    ),
                ));
            };
            passed.as_mut().reset(tokio::time::Instant::now() + left);
        }
    })
}

/// What content may take beside the limit before anything is heard of it: as long as a slow line needs for a message.
/// Of longer content that goes in pieces the first is heard of.
pub(super) fn time_to_send(operation: &Operation) -> Duration {
    let content = |operation: &Operation| match operation {
        Operation::Write { content, .. } => match content.len() {
            inline @ 0..=INLINE_BYTES => inline as u64,
            _ => MAX_DATA as u64,
        },
        _ => 0,
    };
    let bytes = match operation {
        Operation::Batch(operations) => operations.iter().map(content).sum(),
        one => content(one),
    };
    Duration::from_millis(bytes / SLOWEST_LINE)
}
