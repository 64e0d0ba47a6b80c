//! What the kernel says of a file, birth time included.

use std::os::fd::AsFd;

use rustix::fs::{
    AtFlags, FileType, Stat, Statx, StatxFlags, StatxTimestamp, fstat, statat, statx,
};
use rustix::io::{Errno, Result};

use crate::backend::{FileKind, FileStat};

/// What is behind a handle; one opened with `O_PATH` is fine.
pub fn of_handle(file: impl AsFd) -> Result<FileStat> {
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    match statx(&file, "", AtFlags::EMPTY_PATH, mask) {
        Ok(found) => Ok(from_statx(&found)),
        Err(Errno::NOSYS | Errno::PERM) => fstat(file).map(|found| from_stat(&found)),
        Err(errno) => Err(errno),
    }
}

/// What is under a name (one component) in a directory; a link is reported as a link.
pub fn of_entry(directory: impl AsFd, name: &[u8]) -> Result<FileStat> {
    let mask = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match statx(&directory, name, flags, mask) {
        Ok(found) => Ok(from_statx(&found)),
        Err(Errno::NOSYS | Errno::PERM) => {
            statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map(|found| from_stat(&found))
        }
        Err(errno) => Err(errno),
    }
}

/// The kind that a type stands for.
#[must_use]
pub fn kind(file_type: FileType) -> FileKind {
    match file_type {
        FileType::RegularFile => FileKind::File,
        FileType::Directory => FileKind::Directory,
        FileType::Symlink => FileKind::Symlink,
        _ => FileKind::Other,
    }
}

fn nanoseconds(time: &StatxTimestamp) -> i128 {
    i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec)
}

fn from_statx(found: &Statx) -> FileStat {
    let ctime_ns = nanoseconds(&found.stx_ctime);
    FileStat {
        kind: kind(FileType::from_raw_mode(found.stx_mode.into())),
        mode: found.stx_mode.into(),
        size: found.stx_size,
        dev: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
        ino: found.stx_ino,
        nlink: found.stx_nlink.into(),
        uid: found.stx_uid,
        gid: found.stx_gid,
        rdev: rustix::fs::makedev(found.stx_rdev_major, found.stx_rdev_minor),
        blksize: found.stx_blksize,
        blocks: found.stx_blocks,
        atime_ns: nanoseconds(&found.stx_atime),
        mtime_ns: nanoseconds(&found.stx_mtime),
        ctime_ns,
        birthtime_ns: if found.stx_mask & StatxFlags::BTIME.bits() == 0 {
            ctime_ns
        } else {
            nanoseconds(&found.stx_btime)
        },
    }
}

/// For filters that do not know `statx`. The casts are wider than or equal to the fields on every architecture.
#[allow(
    clippy::cast_sign_loss,
    clippy::cast_possible_truncation,
    clippy::cast_lossless,
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    reason = "the fields' types differ between architectures"
)]
fn from_stat(found: &Stat) -> FileStat {
    let time = |seconds: i64, nanos: u64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    let ctime_ns = time(found.st_ctime as i64, found.st_ctime_nsec as u64);
    FileStat {
        kind: kind(FileType::from_raw_mode(found.st_mode)),
        mode: found.st_mode as u32,
        size: found.st_size as u64,
        dev: found.st_dev as u64,
        ino: found.st_ino as u64,
        nlink: found.st_nlink as u64,
        uid: found.st_uid,
        gid: found.st_gid,
        rdev: found.st_rdev as u64,
        blksize: found.st_blksize as u32,
        blocks: found.st_blocks as u64,
        atime_ns: time(found.st_atime as i64, found.st_atime_nsec as u64),
        mtime_ns: time(found.st_mtime as i64, found.st_mtime_nsec as u64),
        ctime_ns,
        birthtime_ns: ctime_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statx_and_stat_agree() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a"), "hello").unwrap();
        let file = std::fs::File::open(directory.path().join("a")).unwrap();
        let mut by_statx = of_handle(&file).unwrap();
        let by_stat = from_stat(&fstat(&file).unwrap());
        assert_eq!(by_statx.size, 5);
        assert!(by_statx.birthtime_ns > 0);
        by_statx.birthtime_ns = by_statx.ctime_ns;
        assert_eq!(by_statx, by_stat);
    }
}
