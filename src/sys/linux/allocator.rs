//! The C library's allocator, for processes that live long.

/// Lets all threads share two arenas. Each arena keeps what a peak needed, and by default there are eight for each
/// processor, so that a server would seem to grow with every peak that meets other threads.
pub fn share_arenas() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it sets a number of the allocator's, which is read under the allocator's own lock.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
    }
}

/// Gives what is free back to the system, holes in the middle included, which the allocator by itself keeps for ever.
/// Takes milliseconds after a peak, in which other threads may wait for memory.
pub fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: it takes nothing but a number, and works under the allocator's own locks.
    unsafe {
        libc::malloc_trim(0);
    }
}
