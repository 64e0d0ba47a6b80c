//! Files without a name: what they hold goes with the last descriptor, also when the process is killed.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::{Errno, Result};

use super::random::random;

/// Ours alone.
const PRIVATE: Mode = Mode::from_raw_mode(0o600);

/// Makes one in a directory, to be read and written. It can never be given a name.
///
/// Where the file system knows no such files it has a name for a moment, if the directory is ours alone
/// (`may_name`).
///
/// # Errors
/// `EOPNOTSUPP` where neither is possible; else what creating a file answers.
pub fn file(directory: impl AsFd, may_name: bool) -> Result<OwnedFd> {
    let access = OFlags::RDWR | OFlags::EXCL | OFlags::CLOEXEC;
    match openat(&directory, ".", access | OFlags::TMPFILE, PRIVATE) {
        Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::NOENT | Errno::INVAL) if may_name => {
            named_for_a_moment(directory)
        }
        Err(Errno::ISDIR | Errno::INVAL) => Err(Errno::OPNOTSUPP),
        other => other,
    }
}

fn named_for_a_moment(directory: impl AsFd) -> Result<OwnedFd> {
    let name = format!("staged-{:032x}", u128::from_ne_bytes(random()?));
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(&directory, &*name, flags, PRIVATE)?;
    unlinkat(directory, &*name, AtFlags::empty())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::linux::metadata;

    #[test]
    fn it_has_no_name_either_way() {
        let directory = tempfile::tempdir().unwrap();
        let handle = std::fs::File::open(directory.path()).unwrap();
        for file in [file(&handle, true), named_for_a_moment(&handle)] {
            let stat = metadata::of_handle(file.unwrap()).unwrap();
            assert_eq!((stat.nlink, stat.mode & 0o7777), (0, 0o600));
        }
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }
}
