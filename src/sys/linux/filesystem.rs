//! What a file system can do without making the caller wait.

use std::os::fd::AsFd;

use rustix::fs::fstatfs;

const TMPFS: u64 = 0x0102_1994;
const RAMFS: u64 = 0x8584_58f6;
const EXT: u64 = 0xef53;
const XFS: u64 = 0x5846_5342;
const BTRFS: u64 = 0x9123_683e;
const F2FS: u64 = 0xf2f5_2010;
const OVERLAY: u64 = 0x794c_7630;

/// How calls on a file system are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// It lives in memory: everything small is done at once.
    Memory,
    /// What is cached is answered at once (`RESOLVE_CACHED`, `RWF_NOWAIT`), the rest on the pool.
    Cached,
    /// Cached metadata at once; it knows no `RWF_NOWAIT`.
    Overlay,
    /// A network or user-space file system may always wait: all on the pool.
    Pool,
}

impl Strategy {
    /// Chooses by the type of the file system that a handle is on.
    #[must_use]
    pub fn of(handle: impl AsFd) -> Self {
        let Ok(found) = fstatfs(handle) else {
            return Strategy::Pool;
        };
        #[allow(
            clippy::cast_sign_loss,
            clippy::unnecessary_cast,
            clippy::cast_possible_truncation,
            reason = "a magic number of 32 bits in a field whose type differs between architectures"
        )]
        match u64::from(found.f_type as u32) {
            TMPFS | RAMFS => Strategy::Memory,
            EXT | XFS | BTRFS | F2FS => Strategy::Cached,
            OVERLAY => Strategy::Overlay,
            _ => Strategy::Pool,
        }
    }
}
