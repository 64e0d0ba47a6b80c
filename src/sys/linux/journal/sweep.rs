//! Removing what killed processes left.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::Path;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, flock, unlinkat};
use rustix::io::Errno;

use super::{DIRECTORY, Record, record};
use crate::path::RelPath;
use crate::sys::linux::beneath::{self, Boundary, How, Resolver};
use crate::sys::linux::metadata;
use crate::sys::linux::temporary;

/// Removes the temporaries that dead processes recorded in a state directory, then their journals. Those of living
/// processes, whose journal is locked, are left alone. Never follows a link out of the recorded root, never recurses,
/// and removes nothing but a regular file whose name and inode were recorded. Gives the number of files removed.
pub fn sweep(state_dir: &Path) -> usize {
    let Ok(files) = std::fs::read_dir(state_dir.join(DIRECTORY)) else {
        return 0;
    };
    let mut removed = 0;
    for path in files.filter_map(Result::ok).map(|file| file.path()) {
        let Ok(file) = File::open(&path) else {
            continue;
        };
        let uid = rustix::process::geteuid().as_raw();
        if !metadata::of_handle(&file).is_ok_and(|found| found.uid == uid) {
            continue;
        }
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            continue;
        }
        let records = std::fs::read(&path).map(|bytes| record::parse(&bytes));
        let mut all_done = true;
        for record in records.iter().flatten() {
            match remove(record) {
                Ok(true) => removed += 1,
                // Nothing of ours is there (any more).
                Ok(false) | Err(Errno::NOENT | Errno::NOTDIR | Errno::XDEV | Errno::LOOP) => {}
                // A root that cannot be reached today may be tomorrow.
                Err(_) => all_done = false,
            }
        }
        if all_done {
            let _ = std::fs::remove_file(&path);
        }
    }
    removed
}

fn remove(record: &Record) -> rustix::io::Result<bool> {
    let looks_ours = record.name.starts_with(temporary::PREFIX)
        && record.name.ends_with(temporary::SUFFIX)
        && !record.name.contains(&b'/');
    let (true, Ok(parent)) = (looks_ours, RelPath::parse(&record.parent, b"/")) else {
        return Ok(false);
    };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(&*record.root, flags, Mode::empty())?;
    let root_paths = [record.root.clone()];
    let boundary = Boundary {
        root: root.as_fd(),
        root_paths: &root_paths,
        scope: &RelPath::root(),
        resolver: Resolver::Kernel,
        watch: None,
    };
    let directory = beneath::open(&boundary, &parent, flags, Mode::empty(), How::Links)?;
    let found = metadata::of_entry(&directory, &record.name)?;
    if !record.is(&record.name, &found) {
        return Ok(false);
    }
    unlinkat(&directory, &*record.name, AtFlags::empty())?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    const NAME: &str = ".agent-backend-0123456789abcdef.tmp";

    /// A journal as a killed process leaves it: the file without its lock.
    fn left_behind(state: &Path, root: &Path, ours: Option<(u64, u64)>) {
        let journal = super::super::Journal::of(state).unwrap();
        let root = root.as_os_str().as_encoded_bytes();
        let entry = journal.record(root, b"d", NAME.as_bytes(), None).unwrap();
        if let Some(ours) = ours {
            entry.created(ours);
        }
        let copy = std::fs::read(&journal.path).unwrap();
        let name = state.join(DIRECTORY).join("1-dead");
        drop(entry);
        drop(journal);
        std::fs::write(name, copy).unwrap();
    }

    fn prepared(content: &str) -> (tempfile::TempDir, tempfile::TempDir) {
        let (state, root) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::create_dir(root.path().join("d")).unwrap();
        std::fs::write(root.path().join("d").join(NAME), content).unwrap();
        (state, root)
    }

    fn identity(path: &Path) -> (u64, u64) {
        let found = std::fs::symlink_metadata(path).unwrap();
        (found.dev(), found.ino())
    }

    #[test]
    fn a_recorded_leftover_is_removed_with_its_journal() {
        let (state, root) = prepared("half");
        let leftover = root.path().join("d").join(NAME);
        left_behind(state.path(), root.path(), Some(identity(&leftover)));
        assert_eq!(sweep(state.path()), 1);
        assert!(!leftover.exists());
        assert_eq!(state.path().join(DIRECTORY).read_dir().unwrap().count(), 0);
    }

    #[test]
    fn a_file_of_that_name_with_another_inode_stays() {
        let (state, root) = prepared("somebody else's");
        left_behind(state.path(), root.path(), Some((1, 2)));
        assert_eq!(sweep(state.path()), 0);
        assert!(root.path().join("d").join(NAME).exists());
    }

    #[test]
    fn only_an_empty_file_goes_where_the_inode_was_not_known_yet() {
        for (content, removed) in [("", 1), ("content", 0)] {
            let (state, root) = prepared(content);
            left_behind(state.path(), root.path(), None);
            assert_eq!(sweep(state.path()), removed, "{content:?}");
        }
    }

    #[test]
    fn a_directory_that_became_a_link_out_of_the_root_is_not_followed() {
        let (state, root) = prepared("half");
        let outside = tempfile::tempdir().unwrap();
        let canary = outside.path().join(NAME);
        std::fs::hard_link(root.path().join("d").join(NAME), &canary).unwrap();
        left_behind(state.path(), root.path(), Some(identity(&canary)));
        std::fs::remove_dir_all(root.path().join("d")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("d")).unwrap();
        // The wall is what saves it: by path the canary is reached.
        assert!(root.path().join("d").join(NAME).exists());
        assert_eq!(sweep(state.path()), 0);
        assert!(canary.exists());
    }

    #[test]
    fn the_journal_of_a_living_process_is_left_alone() {
        let (state, root) = prepared("being written");
        let leftover = root.path().join("d").join(NAME);
        let journal = super::super::Journal::of(state.path()).unwrap();
        let path = root.path().as_os_str().as_encoded_bytes();
        let entry = journal.record(path, b"d", NAME.as_bytes(), None).unwrap();
        entry.created(identity(&leftover));
        assert_eq!(sweep(state.path()), 0);
        assert!(leftover.exists());
    }
}
