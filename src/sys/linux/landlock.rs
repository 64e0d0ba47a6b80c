//! What of Landlock this kernel has, and what of it the isolation level `landlock` needs.

use landlock::ABI;

/// The oldest that will do: before it, a file outside could be truncated.
pub(crate) const LEAST: ABI = ABI::V3;

/// The newest whose rights are known here.
pub(crate) const NEWEST: ABI = ABI::V7;

/// The version where signals to, and abstract sockets of, processes outside are refused.
const SCOPES: i32 = 6;

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const ASK_VERSION: u32 = 1;

/// The version of the kernel's Landlock; 0 where there is none, or it is switched off.
#[must_use]
pub fn version() -> i32 {
    // SAFETY: with this flag the call takes no attributes and returns a number.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0usize,
            ASK_VERSION,
        )
    };
    i32::try_from(version).map_or(0, |version| version.max(0))
}

/// Whether the level can be had at a version.
#[must_use]
pub fn is_enough(version: i32) -> bool {
    version >= LEAST as i32
}

/// Whether signals to processes outside are refused at a version.
#[must_use]
pub fn refuses_signals(version: i32) -> bool {
    version >= SCOPES
}
