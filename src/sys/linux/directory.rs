//! Reading directories by handle.

use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{FileType, RawDir};
use rustix::io::{Errno, Result};

use super::journal::Journal;
use super::metadata;
use super::temporary;
use crate::backend::{DirEntry, FileKind};

/// As much as one system call gives: a few hundred entries.
const BUFFER_BYTES: usize = 32 << 10;

/// All entries of a directory but `.` and `..`, sorted by name in byte order, without their metadata.
/// The handle must have been opened for reading (not `O_PATH`).
pub fn entries(directory: impl AsFd) -> Result<Vec<DirEntry>> {
    // Entries with room for their metadata are large: what is moved about while sorting is not them.
    let mut found = Vec::new();
    read(directory, |name, kind| {
        found.push((name.to_vec(), kind));
        true
    })?;
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    let entry = |(name, kind)| DirEntry {
        name,
        kind,
        stat: None,
    };
    Ok(found.into_iter().map(entry).collect())
}

/// Adds what `lstat` says to each entry; those that vanished meanwhile are left out.
pub fn add_stats(directory: impl AsFd, entries: &mut Vec<DirEntry>) -> Result<()> {
    let directory = directory.as_fd();
    let mut failure = None;
    entries.retain_mut(|entry| match metadata::of_entry(directory, &entry.name) {
        Ok(stat) => {
            entry.kind = stat.kind;
            entry.stat = Some(stat);
            true
        }
        Err(Errno::NOENT) => false,
        Err(errno) => {
            failure.get_or_insert(errno);
            true
        }
    });
    failure.map_or(Ok(()), Err)
}

/// Leaves out the temporaries of unfinished writes, of this process and others, that are recorded in `state_dir`.
/// A file that merely has such a name stays. `EAGAIN` where the records would have to be read and `wait` is not set.
pub fn hide_temporaries(
    directory: impl AsFd,
    entries: &mut Vec<DirEntry>,
    state_dir: &Path,
    wait: bool,
) -> Result<()> {
    if !entries.iter().any(|entry| could_be_temporary(&entry.name)) {
        return Ok(());
    }
    if !wait {
        return Err(Errno::AGAIN);
    }
    let records = Journal::records(state_dir);
    let directory = directory.as_fd();
    entries.retain(|entry| {
        !could_be_temporary(&entry.name)
            || match metadata::of_entry(directory, &entry.name) {
                Ok(stat) => !records.iter().any(|record| record.is(&entry.name, &stat)),
                Err(errno) => errno != Errno::NOENT,
            }
    });
    Ok(())
}

/// [`hide_temporaries`] for names alone, all of which could be one: which of them are. May wait for the disk.
#[must_use]
pub fn hidden_temporaries(directory: impl AsFd, names: &[&[u8]], state_dir: &Path) -> Vec<bool> {
    let records = Journal::records(state_dir);
    let directory = directory.as_fd();
    let is_recorded = |name: &&[u8]| match metadata::of_entry(directory, name) {
        Ok(stat) => records.iter().any(|record| record.is(name, &stat)),
        Err(errno) => errno == Errno::NOENT,
    };
    names.iter().map(is_recorded).collect()
}

/// Whether an entry has to be looked up in the records before it is shown.
#[must_use]
pub fn could_be_temporary(name: &[u8]) -> bool {
    name.starts_with(temporary::PREFIX) && name.ends_with(temporary::SUFFIX)
}

/// Gives each entry but `.` and `..` to `take`, in the file system's order, until it answers false.
pub fn read(directory: impl AsFd, mut take: impl FnMut(&[u8], FileKind) -> bool) -> Result<()> {
    let directory = directory.as_fd();
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER_BYTES];
    let mut entries = RawDir::new(directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => match metadata::of_entry(directory, name) {
                Ok(stat) => stat.kind,
                Err(Errno::NOENT) => continue,
                Err(_) => FileKind::Other,
            },
            known => metadata::kind(known),
        };
        if !take(name, kind) {
            break;
        }
    }
    Ok(())
}
