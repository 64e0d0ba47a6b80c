//! Reading directories by handle.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FileType, RawDir};
use rustix::io::{Errno, Result};

use super::filesystem::Strategy;
use super::journal::Journal;
use super::metadata;
use super::temporary;
use crate::backend::{DirEntry, FileKind};
use crate::pool::by_parts;

/// As much as one system call gives: a few hundred entries.
const BUFFER_BYTES: usize = 64 << 10;
/// What each entry adds to the size of a directory in memory.
const TMPFS_BYTES_PER_ENTRY: u64 = 20;
/// So many entries are worth another thread's while.
const ENTRIES_PER_PART: usize = 128;

/// The name of an entry, and what it is.
pub type Name = (Vec<u8>, FileKind);

/// The names in a directory but `.` and `..`, sorted in byte order.
/// The handle must have been opened for reading (not `O_PATH`).
pub fn names(directory: impl AsFd) -> Result<Vec<Name>> {
    Ok(names_of_few(directory, usize::MAX)?.unwrap_or_default())
}

/// [`names`], or `None` as soon as there turn out to be more than `limit`.
pub fn names_of_few(directory: impl AsFd, limit: usize) -> Result<Option<Vec<Name>>> {
    let directory = directory.as_fd();
    // A hint that spares reading what is too much anyway; other file systems count otherwise.
    if limit < usize::MAX
        && metadata::of_handle(directory)?.size / TMPFS_BYTES_PER_ENTRY > limit as u64 + 2
        && Strategy::of(directory) == Strategy::Memory
    {
        return Ok(None);
    }
    let mut found = Vec::new();
    read(directory, |name, kind| {
        found.push((name.to_vec(), kind));
        found.len() <= limit
    })?;
    if found.len() > limit {
        return Ok(None);
    }
    found.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(Some(found))
}

/// Entries without their metadata.
#[must_use]
pub fn without_stats(names: Vec<Name>) -> Vec<DirEntry> {
    let entry = |(name, kind)| DirEntry {
        name,
        kind,
        stat: None,
    };
    names.into_iter().map(entry).collect()
}

/// Entries with what `lstat` says of each; those that vanished meanwhile are left out. Many are examined on several
/// threads.
pub fn with_stats(directory: OwnedFd, mut names: Vec<Name>) -> crate::error::Result<Vec<DirEntry>> {
    if names.len() <= ENTRIES_PER_PART {
        return Ok(examine(&directory, names)?);
    }
    let mut parts = Vec::with_capacity(names.len() / ENTRIES_PER_PART + 1);
    while !names.is_empty() {
        let rest = names.split_off(names.len().min(ENTRIES_PER_PART));
        parts.push(Mutex::new(std::mem::replace(&mut names, rest)));
    }
    let examined = by_parts(parts.len(), move |part| {
        let mut names = parts[part].lock().unwrap_or_else(PoisonError::into_inner);
        examine(&directory, std::mem::take(&mut *names))
    })?;
    let mut entries = Vec::with_capacity(examined.len() * ENTRIES_PER_PART);
    for part in examined {
        entries.append(&mut part?);
    }
    Ok(entries)
}

fn examine(directory: &OwnedFd, names: Vec<Name>) -> Result<Vec<DirEntry>> {
    let mut entries = Vec::with_capacity(names.len());
    for (name, _) in names {
        match metadata::of_entry(directory, &name) {
            Ok(stat) => entries.push(DirEntry {
                name,
                kind: stat.kind,
                stat: Some(stat),
            }),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(entries)
}

/// Leaves out the temporaries of unfinished writes, of this process and others, that are recorded in `state_dir`.
/// A file that merely has such a name stays. `EAGAIN` where the records would have to be read and `wait` is not set.
pub fn hide_temporaries(
    directory: impl AsFd,
    names: &mut Vec<Name>,
    state_dir: &Path,
    wait: bool,
) -> Result<()> {
    if !names.iter().any(|(name, _)| could_be_temporary(name)) {
        return Ok(());
    }
    if !wait {
        return Err(Errno::AGAIN);
    }
    let records = Journal::records(state_dir);
    let directory = directory.as_fd();
    names.retain(|(name, _)| {
        !could_be_temporary(name)
            || match metadata::of_entry(directory, name) {
                Ok(stat) => !records.iter().any(|record| record.hides(name, &stat)),
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
        Ok(stat) => records.iter().any(|record| record.hides(name, &stat)),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn with_files(parent: &str, count: usize) -> (tempfile::TempDir, OwnedFd) {
        let directory = tempfile::tempdir_in(parent).unwrap();
        for number in 0..count {
            std::fs::write(directory.path().join(format!("{number:04}")), "x").unwrap();
        }
        let handle = std::fs::File::open(directory.path()).unwrap().into();
        (directory, handle)
    }

    #[test]
    fn a_directory_with_more_names_than_the_limit_is_given_up() {
        for parent in ["/dev/shm", "/tmp"] {
            let (_directory, handle) = with_files(parent, 40);
            for (limit, expected) in [(39, None), (40, Some(40)), (usize::MAX, Some(40))] {
                // Each time from the beginning.
                let handle = rustix::fs::openat(
                    &handle,
                    ".",
                    rustix::fs::OFlags::RDONLY,
                    rustix::fs::Mode::empty(),
                );
                let found = names_of_few(handle.unwrap(), limit).unwrap();
                assert_eq!(found.map(|names| names.len()), expected, "{parent} {limit}");
            }
        }
    }

    #[test]
    fn entries_examined_by_parts_come_in_order_and_without_those_that_vanished() {
        let (directory, handle) = with_files("/tmp", 1000);
        let found = names(&handle).unwrap();
        std::fs::remove_file(directory.path().join("0500")).unwrap();
        let entries = with_stats(handle, found).unwrap();
        assert_eq!(entries.len(), 999);
        assert!(entries.is_sorted_by(|a, b| a.name < b.name));
        assert!(
            entries
                .iter()
                .all(|entry| entry.stat.is_some_and(|stat| stat.size == 1))
        );
    }
}
