//! Linux: `openat2`, `renameat2`, `posix_spawn` and their kin.

pub mod child;
