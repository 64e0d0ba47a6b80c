//! A wall clock that jumps for one process: the library of the package `faketime`, loaded before all others. The clock of
//! the machine and the times of its files stay as they are.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Which clocks of the process jump.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Jumps {
    /// The wall clock alone, as when somebody sets it.
    Wall,
    /// The monotonic ones too, which no system does: what measures time by them must notice.
    All,
}

/// The library, or why there is none.
pub fn library() -> Result<PathBuf, String> {
    let missing = || "libfaketime is not installed (package faketime)".to_owned();
    let all = std::fs::read_dir("/usr/lib").map_err(|_| missing())?;
    all.filter_map(Result::ok)
        .map(|entry| entry.path().join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.exists())
        .ok_or_else(missing)
}

/// Lets the clocks of a process that is to be started follow what [`jump`] writes into a file.
pub fn follow(command: &mut Command, library: &Path, file: &Path, jumps: Jumps) {
    jump(file, "+0");
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME_TIMESTAMP_FILE", file)
        .env("FAKETIME_NO_CACHE", "1")
        .env("NO_FAKE_STAT", "1");
    if jumps == Jumps::Wall {
        command.env("DONT_FAKE_MONOTONIC", "1");
    }
}

/// From now on the clock is so far from that of the machine: `+5d`, `-9d`, `+0`.
pub fn jump(file: &Path, offset: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, format!("{offset}\n")).unwrap();
    std::fs::rename(&beside, file).unwrap();
}
