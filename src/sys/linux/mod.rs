//! Linux: `openat2`, `renameat2`, `posix_spawn` and their kin.

pub mod append;
mod attributes;
pub mod beneath;
pub mod child;
pub mod directory;
mod exchange;
pub mod filesystem;
pub mod halt;
pub mod journal;
mod locks;
pub mod metadata;
pub mod protected;
pub mod random;
pub mod read;
pub mod remove;
pub mod rename;
pub mod replace;
pub mod replace_process;
pub mod spawn;
pub mod spawn_identity;
pub mod spawn_seccomp;
pub mod spawn_staging;
pub mod spawn_tree;
pub mod target;
mod temporary;
mod walker;
pub mod watch;
