//! Files without a name that processes still hold: their blocks are free only when the last descriptor or mapping goes.

use std::collections::HashSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, statat};

use super::{Usage, allocated};

/// What of the file system that `device` is on has no name and is held by these processes, each file once. What of a
/// process may not be seen is left out, and the result says so: mappings are shown to root only.
///
/// The file system may hold more workspaces than one: whose file it was cannot be told any more. Ask about the
/// processes of one.
#[must_use]
pub fn unlinked(device: impl AsFd, pids: &[i32]) -> Usage {
    let mut usage = Usage::default();
    let Ok(device) = fstat(device).map(|stat| stat.st_dev) else {
        usage.cut_short = true;
        return usage;
    };
    let mut seen = HashSet::new();
    for pid in pids {
        for list in ["fd", "map_files"] {
            let Some(directory) = open(&format!("/proc/{pid}/{list}")) else {
                // Also of a process that has ended meanwhile, which holds nothing.
                usage.cut_short |= list == "fd" && open(&format!("/proc/{pid}")).is_some();
                continue;
            };
            let Ok(entries) = Dir::read_from(&directory) else {
                continue;
            };
            for entry in entries.flatten() {
                count(
                    directory.as_fd(),
                    entry.file_name(),
                    device,
                    &mut seen,
                    &mut usage,
                );
            }
        }
    }
    usage
}

fn open(path: &str) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).ok()
}

/// Adds what one descriptor or mapping holds. The link of `/proc` is followed by the kernel to the open file itself.
fn count(
    directory: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    device: u64,
    seen: &mut HashSet<u64>,
    usage: &mut Usage,
) {
    let Ok(stat) = statat(directory, name, AtFlags::empty()) else {
        return;
    };
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if is_file && stat.st_dev == device && stat.st_nlink == 0 && seen.insert(stat.st_ino) {
        usage.inodes += 1;
        usage.bytes = usage.bytes.saturating_add(allocated(&stat));
    }
}
