//! Linux: `openat2`, `renameat2`, `posix_spawn` and their kin.

pub mod spawn;
pub mod spawn_seccomp;
pub mod spawn_staging;
pub mod spawn_tree;
