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
