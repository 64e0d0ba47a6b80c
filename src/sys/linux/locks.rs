//! One writer at a time per name, among the calls of this process: what makes `ifMatch` exact between them.

use std::hash::BuildHasher;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError, TryLockError};

use super::halt::Halt;

const SHARDS: usize = 256;

static LOCKS: LazyLock<Vec<Mutex<()>>> =
    LazyLock::new(|| (0..SHARDS).map(|_| Mutex::new(())).collect());
static HASHER: LazyLock<std::hash::RandomState> = LazyLock::new(std::hash::RandomState::new);

/// Holds one name in one directory.
#[derive(Debug)]
pub(super) struct NameLock {
    _guards: (MutexGuard<'static, ()>, Option<MutexGuard<'static, ()>>),
}

/// A directory by device and inode, and a name in it.
pub(super) type Key<'a> = (u64, u64, &'a [u8]);

fn shard(key: Key<'_>) -> usize {
    #[allow(
        clippy::cast_possible_truncation,
        reason = "any bits of a hash are as good as any other"
    )]
    let hash = HASHER.hash_one(key) as usize;
    hash % SHARDS
}

fn take(shard: usize, wait: bool) -> Result<MutexGuard<'static, ()>, Halt> {
    let lock = &LOCKS[shard];
    if wait {
        return Ok(lock.lock().unwrap_or_else(PoisonError::into_inner));
    }
    match lock.try_lock() {
        Ok(guard) => Ok(guard),
        Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => Err(Halt::Wait),
    }
}

/// Takes the lock of a name; [`Halt::Wait`] where it is held and `wait` is not set.
pub(super) fn one(key: Key<'_>, wait: bool) -> Result<NameLock, Halt> {
    Ok(NameLock {
        _guards: (take(shard(key), wait)?, None),
    })
}

/// Takes the locks of two names, always in the same order, so that two calls never wait for each other.
pub(super) fn two(a: Key<'_>, b: Key<'_>, wait: bool) -> Result<NameLock, Halt> {
    let (first, second) = {
        let (a, b) = (shard(a), shard(b));
        (a.min(b), a.max(b))
    };
    let guard = take(first, wait)?;
    let other = if first == second {
        None
    } else {
        Some(take(second, wait)?)
    };
    Ok(NameLock {
        _guards: (guard, other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_name_makes_an_inline_caller_wait() {
        let held = one((1, 2, b"a"), true).unwrap();
        assert!(matches!(one((1, 2, b"a"), false), Err(Halt::Wait)));
        drop(held);
        assert!(one((1, 2, b"a"), false).is_ok());
    }

    #[test]
    fn the_same_name_twice_is_one_lock() {
        assert!(two((1, 2, b"a"), (1, 2, b"a"), true).is_ok());
    }
}
