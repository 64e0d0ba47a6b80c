//! Large blocks of memory, kept for a moment after their use. Fresh memory costs a fault and the clearing of each page,
//! which is half of what reading a large file costs; whoever reads one often reads the next soon.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::pool;

/// Smaller blocks the allocator itself keeps.
pub const LARGE: usize = 256 << 10;
/// Bytes that are kept at most.
const KEPT_BYTES: usize = 64 << 20;
/// How long.
const KEPT_FOR: Duration = Duration::from_secs(2);

struct Kept {
    block: Vec<u8>,
    since: Instant,
}

#[derive(Default)]
struct Shelf {
    kept: Vec<Kept>,
    /// Whether somebody will look after what gets old.
    watched: bool,
}

static SHELF: Mutex<Shelf> = Mutex::new(Shelf {
    kept: Vec::new(),
    watched: false,
});

fn shelf() -> MutexGuard<'static, Shelf> {
    SHELF.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An empty block with room for at least `length` bytes, and not for more than twice as many; `None` where none is
/// kept. What it held before is past its length, where nobody reads.
#[must_use]
pub fn take(length: usize) -> Option<Vec<u8>> {
    if length < LARGE {
        return None;
    }
    let mut shelf = shelf();
    let fits = |kept: &Kept| (length..=length.saturating_mul(2)).contains(&kept.block.capacity());
    let at = shelf.kept.iter().rposition(fits)?;
    Some(shelf.kept.remove(at).block)
}

/// Gives up a block, on any thread but an event loop's: what is not kept is freed.
pub fn give_back(mut block: Vec<u8>) {
    let room = block.capacity();
    if !(LARGE..=KEPT_BYTES).contains(&room) {
        return;
    }
    block.clear();
    let mut shelf = shelf();
    let since = Instant::now();
    shelf.kept.push(Kept { block, since });
    let mut excess = shelf.bytes().saturating_sub(KEPT_BYTES);
    let mut count = 0;
    while excess > 0 {
        excess = excess.saturating_sub(shelf.kept[count].block.capacity());
        count += 1;
    }
    let oldest: Vec<Kept> = shelf.kept.drain(..count).collect();
    let watch = !std::mem::replace(&mut shelf.watched, true);
    drop(shelf);
    drop(oldest);
    if watch {
        pool::runtime().spawn(free_what_gets_old());
    }
}

async fn free_what_gets_old() {
    loop {
        tokio::time::sleep(KEPT_FOR / 2).await;
        let mut shelf = shelf();
        let old = |kept: &mut Kept| kept.since.elapsed() >= KEPT_FOR;
        let freed: Vec<Kept> = shelf.kept.extract_if(.., old).collect();
        shelf.watched = !shelf.kept.is_empty();
        let done = !shelf.watched;
        drop(shelf);
        drop(freed);
        if done {
            return;
        }
    }
}

impl Shelf {
    fn bytes(&self) -> usize {
        self.kept.iter().map(|kept| kept.block.capacity()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // One test, since the shelf is one for the whole process; sizes that no other test uses.
    #[test]
    fn a_block_is_kept_for_its_size_and_for_a_moment() {
        const SIZE: usize = (37 << 20) + 11;
        give_back(Vec::with_capacity(SIZE));
        assert!(take(SIZE / 2 - 1).is_none());
        assert!(take(SIZE + 1).is_none());
        let mut block = take(SIZE - 5).unwrap();
        assert!(block.is_empty() && block.capacity() == SIZE);
        assert!(take(SIZE).is_none());

        block.push(1);
        give_back(block);
        give_back(Vec::with_capacity(SIZE));
        assert!(shelf().bytes() <= KEPT_BYTES);
        assert!(take(SIZE).unwrap().is_empty());

        give_back(Vec::with_capacity(SIZE));
        std::thread::sleep(KEPT_FOR * 2);
        assert!(take(SIZE).is_none());
    }
}
