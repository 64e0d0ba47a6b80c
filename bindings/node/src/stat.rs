//! Metadata as a row of numbers: one typed array instead of an object of eighteen properties for each entry.
//! `ts/stats.ts` makes the objects that behave as `fs.Stats` of it.

use agent_backend::backend::{FileKind, FileStat};

/// Numbers in one row.
pub const LENGTH: usize = 18;

/// The row: dev, mode, nlink, uid, gid, rdev, blksize, ino, size, blocks, then seconds and nanoseconds of the last
/// access, modification, change and of the creation. The order is that of `fs.Stats`.
#[allow(
    clippy::cast_precision_loss,
    reason = "`fs.Stats` has numbers too; the etag is exact"
)]
pub fn pack(stat: &FileStat) -> [f64; LENGTH] {
    let [atime, mtime, ctime, birthtime] = [
        stat.atime_ns,
        stat.mtime_ns,
        stat.ctime_ns,
        stat.birthtime_ns,
    ]
    .map(split);
    [
        stat.dev as f64,
        f64::from(mode(stat)),
        stat.nlink as f64,
        f64::from(stat.uid),
        f64::from(stat.gid),
        stat.rdev as f64,
        f64::from(stat.blksize),
        stat.ino as f64,
        stat.size as f64,
        stat.blocks as f64,
        atime.0,
        atime.1,
        mtime.0,
        mtime.1,
        ctime.0,
        ctime.1,
        birthtime.0,
        birthtime.1,
    ]
}

/// Whether the etag can be computed from the row: a double holds 53 bits of a device, inode or size.
pub fn is_exact(stat: &FileStat) -> bool {
    (stat.dev | stat.ino | stat.size) >> 53 == 0
}

/// A row for an entry whose metadata could not be read: only its kind is known.
pub fn unknown(kind: FileKind) -> [f64; LENGTH] {
    let mut row = [0.0; LENGTH];
    row[1] = f64::from(kind_bits(kind));
    row
}

fn mode(stat: &FileStat) -> u32 {
    if stat.mode & 0o170_000 == 0 {
        stat.mode | kind_bits(stat.kind)
    } else {
        stat.mode
    }
}

/// The `S_IF…` bits of a kind.
pub fn kind_bits(kind: FileKind) -> u32 {
    match kind {
        FileKind::File => 0o100_000,
        FileKind::Directory => 0o040_000,
        FileKind::Symlink => 0o120_000,
        FileKind::Other => 0o010_000,
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "seconds and nanoseconds apart are exact"
)]
fn split(nanoseconds: i128) -> (f64, f64) {
    const SECOND: i64 = 1_000_000_000;
    // 128 bits take ten times as long to divide, and a listing does so for each of its entries.
    match i64::try_from(nanoseconds) {
        Ok(near) => (
            near.div_euclid(SECOND) as f64,
            near.rem_euclid(SECOND) as f64,
        ),
        Err(_) => (
            nanoseconds.div_euclid(SECOND.into()) as f64,
            nanoseconds.rem_euclid(SECOND.into()) as f64,
        ),
    }
}
