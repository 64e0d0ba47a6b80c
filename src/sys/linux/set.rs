//! Setting permissions and times: of a handle, or of what is under a path without opening it.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};

use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, chmodat, futimens, utimensat,
};
use rustix::io::Errno;

use super::attributes::{self, PERMISSIONS};
use super::beneath::{Boundary, How};
use super::halt::Halt;
use super::metadata;
use super::open::several_names;
use crate::access::Access;
use crate::backend::{Attributes, FileKind, FileStat};
use crate::error::{Error, ErrorCode};
use crate::path::RelPath;

/// Sets what is asked for, but not the size, of a file that was opened for writing.
///
/// # Errors
/// `PERMISSION_DENIED` (of another owner; a file with several names).
pub fn of_file(file: impl AsFd, attributes: Attributes) -> crate::error::Result<()> {
    may_set(&metadata::of_handle(&file)?, attributes)?;
    if let Some(mode) = attributes.permissions {
        attributes::set_mode(&file, mode)?;
    }
    if let Some(times) = times(attributes) {
        futimens(&file, &times)?;
    }
    Ok(())
}

/// Sets what is asked for, but not the size, of what is under a path, whatever it is.
///
/// # Errors
/// As [`of_file`]; `INVALID_PATH` (permissions of a link, or of the root).
pub fn by_path(
    boundary: &Boundary<'_>,
    path: &RelPath,
    follow: bool,
    attributes: Attributes,
    how: How,
) -> Result<(), Halt> {
    let flags = match follow {
        true => OFlags::PATH,
        false => OFlags::PATH | OFlags::NOFOLLOW,
    };
    let handle = boundary.open_judged(path, flags, how, |_| Ok(Access::Write))?;
    let stat = metadata::of_handle(&handle)?;
    may_set(&stat, attributes)?;
    if let Some(mode) = attributes.permissions {
        if path.is_root() {
            return Err(invalid("the workspace's root keeps its permissions").into());
        }
        let mode = Mode::from_raw_mode(mode & PERMISSIONS);
        chmodat(CWD, by_handle(handle.as_fd()), mode, AtFlags::empty())?;
    }
    if let Some(times) = times(attributes) {
        set_times(handle.as_fd(), &stat, &times)?;
    }
    Ok(())
}

fn may_set(stat: &FileStat, attributes: Attributes) -> crate::error::Result<()> {
    match stat.kind {
        FileKind::Symlink if attributes.permissions.is_some() => {
            Err(invalid("a link has no permissions of its own"))
        }
        FileKind::File if stat.nlink > 1 => Err(several_names()),
        _ => Ok(()),
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorCode::InvalidPath, message)
}

fn set_times(
    handle: BorrowedFd<'_>,
    stat: &FileStat,
    times: &Timestamps,
) -> rustix::io::Result<()> {
    match utimensat(handle, "", times, AtFlags::EMPTY_PATH) {
        // An older kernel; a link itself cannot be reached there.
        Err(Errno::INVAL) if stat.kind != FileKind::Symlink => {
            utimensat(CWD, by_handle(handle), times, AtFlags::empty())
        }
        other => other,
    }
}

/// The very thing that a handle is on, which may be open for nothing.
fn by_handle(handle: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

fn times(attributes: Attributes) -> Option<Timestamps> {
    let Attributes {
        atime_ns, mtime_ns, ..
    } = attributes;
    (atime_ns.is_some() || mtime_ns.is_some()).then(|| Timestamps {
        last_access: time(atime_ns),
        last_modification: time(mtime_ns),
    })
}

fn time(nanoseconds: Option<i128>) -> Timespec {
    const SECOND: i128 = 1_000_000_000;
    let Some(nanoseconds) = nanoseconds else {
        return Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        };
    };
    let seconds = nanoseconds.div_euclid(SECOND);
    Timespec {
        tv_sec: i64::try_from(seconds).unwrap_or(if seconds < 0 { i64::MIN } else { i64::MAX }),
        // Below a second by what it is the rest of.
        tv_nsec: nanoseconds.rem_euclid(SECOND) as _,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_before_1970_and_beyond_all_bounds_are_times() {
        let at = |nanoseconds| {
            let time = time(Some(nanoseconds));
            (time.tv_sec, time.tv_nsec)
        };
        assert_eq!(at(1_500_000_000), (1, 500_000_000));
        assert_eq!(at(-1), (-1, 999_999_999));
        assert_eq!(at(i128::MAX).0, i64::MAX);
        assert_eq!(at(i128::MIN).0, i64::MIN);
        assert_eq!(time(None).tv_nsec, UTIME_OMIT);
    }
}
