//! One step down from a directory handle, for walks over whole trees. A name is opened where the handle is, never
//! through a link, so that whatever is swapped meanwhile, a walk cannot be led out of the directory it began in.

use std::ffi::CStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;

use crate::backend::FileKind;

/// What a search reports of an entry.
#[derive(Clone, Copy, Debug)]
pub struct ChildStat {
    /// What it is; a link is a link.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970 UTC.
    pub mtime_ns: i128,
}

/// How long a file that somebody holds a lease on is waited for.
const LEASE_WAIT: Duration = Duration::from_millis(10);

/// Opens a directory in a directory, for listing.
///
/// # Errors
/// Those of `openat`; `ENOTDIR` or `ELOOP` where it is a link.
pub fn open_directory(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY
        | OFlags::DIRECTORY
        | OFlags::NOFOLLOW
        | OFlags::CLOEXEC
        | OFlags::NONBLOCK
        | OFlags::NOCTTY;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Opens a regular file in a directory, and says how large it is. Never blocks for long, whatever the name has
/// become.
///
/// # Errors
/// Those of `openat`; `EINVAL` where it is no regular file; `EAGAIN` where somebody holds a lease on it.
pub fn open_file(parent: BorrowedFd<'_>, name: &CStr) -> Result<(File, u64), Errno> {
    let flags =
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let open = || rustix::fs::openat(parent, name, flags, Mode::empty());
    let handle = match open() {
        Err(Errno::AGAIN) => {
            std::thread::sleep(LEASE_WAIT);
            open()?
        }
        other => other?,
    };
    let (kind, size) = kind_and_size(handle.as_fd())?;
    if kind != FileKind::File {
        return Err(Errno::INVAL);
    }
    Ok((File::from(handle), size))
}

/// What an open handle is, and how large.
///
/// # Errors
/// Those of `fstat`.
pub fn kind_and_size(handle: BorrowedFd<'_>) -> Result<(FileKind, u64), Errno> {
    let stat = rustix::fs::fstat(handle)?;
    let kind = FileType::from_raw_mode(stat.st_mode);
    Ok((
        kind_of(kind).unwrap_or(FileKind::Other),
        u64::try_from(stat.st_size).unwrap_or(0),
    ))
}

/// The kind as a directory listing gives it; `None` where the file system does not say.
#[must_use]
pub fn kind_of(kind: FileType) -> Option<FileKind> {
    match kind {
        FileType::RegularFile => Some(FileKind::File),
        FileType::Directory => Some(FileKind::Directory),
        FileType::Symlink => Some(FileKind::Symlink),
        FileType::Unknown => None,
        _ => Some(FileKind::Other),
    }
}

/// What an entry is, by `lstat`, with no more asked of the file system than is reported.
///
/// # Errors
/// Those of `statx`.
pub fn stat(parent: BorrowedFd<'_>, name: &CStr) -> Result<ChildStat, Errno> {
    // Seccomp profiles of old container runtimes refuse statx with EPERM.
    static REFUSED: AtomicBool = AtomicBool::new(false);
    if !REFUSED.load(Ordering::Relaxed) {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
        let mask = StatxFlags::TYPE | StatxFlags::SIZE | StatxFlags::MTIME;
        match rustix::fs::statx(parent, name, flags, mask) {
            Ok(stat) => {
                let kind = FileType::from_raw_mode(u32::from(stat.stx_mode));
                return Ok(ChildStat {
                    kind: kind_of(kind).unwrap_or(FileKind::Other),
                    size: stat.stx_size,
                    mtime_ns: nanoseconds(stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec.into()),
                });
            }
            Err(Errno::NOSYS | Errno::PERM) => {}
            Err(error) => return Err(error),
        }
    }
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    let stat = rustix::fs::statat(parent, name, flags)?;
    REFUSED.store(true, Ordering::Relaxed);
    Ok(ChildStat {
        kind: kind_of(FileType::from_raw_mode(stat.st_mode)).unwrap_or(FileKind::Other),
        size: u64::try_from(stat.st_size).unwrap_or(0),
        mtime_ns: nanoseconds(stat.st_mtime, i128::from(stat.st_mtime_nsec)),
    })
}

fn nanoseconds(seconds: i64, fraction: i128) -> i128 {
    i128::from(seconds) * 1_000_000_000 + fraction
}
