//! Removing, by handle and without recursion: a tree of any depth takes a bounded stack and a bounded number of
//! descriptors, and a directory that is swapped for a link meanwhile is removed as a link.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::{Errno, Result};

use super::directory;
use crate::backend::{FileKind, Removable};

/// Directories held open at once. A deeper one is first moved up to the top of the tree that is being removed.
const MAX_DEPTH: usize = 48;
/// Entries read before they are removed; a directory of millions costs no more memory than this.
const BATCH: usize = 1024;
/// How often a directory is emptied again that somebody fills at the same time.
const MAX_ROUNDS: u32 = 64;

struct Level {
    directory: OwnedFd,
    name: Vec<u8>,
    entries: Vec<(Vec<u8>, FileKind)>,
    /// Times that it turned out not to be empty at the end.
    rounds: u32,
}

/// Removes one name: a file, a link, or an empty directory; of these only what is meant, by the one system call that
/// removes nothing else.
///
/// # Errors
/// `ENOTEMPTY`, `ENOENT`, `EISDIR`, `ENOTDIR`.
pub fn one_of(parent: impl AsFd, name: &[u8], only: Removable) -> Result<()> {
    match only {
        Removable::Anything => one(parent, name),
        Removable::File => unlinkat(parent, name, AtFlags::empty()),
        Removable::Directory => unlinkat(parent, name, AtFlags::REMOVEDIR),
    }
}

fn one(parent: impl AsFd, name: &[u8]) -> Result<()> {
    match unlinkat(&parent, name, AtFlags::empty()) {
        // Linux answers EISDIR for a directory, others EPERM, which a file may also give.
        Err(errno @ (Errno::ISDIR | Errno::PERM)) => {
            match unlinkat(&parent, name, AtFlags::REMOVEDIR) {
                Err(Errno::NOTDIR) => Err(errno),
                other => other,
            }
        }
        other => other,
    }
}

/// Removes one name with all that is below it.
///
/// # Errors
/// `ENOENT`, `EACCES`, `EISDIR`, `ENOTDIR`; what was removed before stays removed.
pub fn tree(parent: impl AsFd, name: &[u8], only: Removable) -> Result<()> {
    match one_of(&parent, name, only) {
        Err(Errno::NOTEMPTY | Errno::EXIST) => {}
        other => return other,
    }
    let mut levels = vec![match enter(&parent, name) {
        Ok(level) => level,
        // It became something else meanwhile.
        Err(Errno::NOTDIR | Errno::LOOP) => return one_of(&parent, name, only),
        Err(errno) => return Err(errno),
    }];
    let mut moved_up = 0u64;
    while let Some(level) = levels.last_mut() {
        if let Some((name, kind)) = level.entries.pop() {
            if kind != FileKind::Directory || !remove_or_enter_is_needed(level, &name)? {
                remove_entry(level, &name)?;
            } else if levels.len() < MAX_DEPTH {
                descend(&mut levels, name)?;
            } else {
                move_up(&mut levels, &name, &mut moved_up)?;
            }
        } else if !refill(level)? {
            finish(&mut levels, parent.as_fd())?;
        }
    }
    Ok(())
}

/// Tries the cheap way first: most directories at the leaves are empty or not even directories any more.
fn remove_or_enter_is_needed(level: &Level, name: &[u8]) -> Result<bool> {
    match unlinkat(&level.directory, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(true),
        Err(errno) => Err(errno),
    }
}

fn remove_entry(level: &mut Level, name: &[u8]) -> Result<()> {
    match one(&level.directory, name) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) => {
            level.entries.push((name.to_vec(), FileKind::Directory));
            Ok(())
        }
        Err(errno) => Err(errno),
    }
}

fn descend(levels: &mut Vec<Level>, name: Vec<u8>) -> Result<()> {
    let Some(level) = levels.last_mut() else {
        return Ok(());
    };
    match enter(&level.directory, &name) {
        Ok(below) => levels.push(below),
        Err(Errno::NOENT) => {}
        Err(Errno::NOTDIR | Errno::LOOP) => remove_entry(level, &name)?,
        Err(errno) => return Err(errno),
    }
    Ok(())
}

/// Moves a directory to the top level, where it is found again when its turn comes.
fn move_up(levels: &mut [Level], name: &[u8], moved_up: &mut u64) -> Result<()> {
    let [top, .., level] = levels else {
        return Err(Errno::INVAL);
    };
    loop {
        *moved_up += 1;
        let new_name = format!(".{moved_up}.removing").into_bytes();
        match renameat(&level.directory, name, &top.directory, &*new_name) {
            Ok(()) => {
                top.entries.push((new_name, FileKind::Directory));
                return Ok(());
            }
            Err(Errno::NOENT) => return Ok(()),
            // The name is taken, by a file or by a directory that is not empty.
            Err(Errno::NOTDIR | Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Reads the next entries of a level; false where there are none left.
fn refill(level: &mut Level) -> Result<bool> {
    // A fresh handle reads from the beginning: what was removed before is not seen again.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fresh = match openat(&level.directory, ".", flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(false),
        other => other?,
    };
    let entries = &mut level.entries;
    directory::read(&fresh, |name, kind| {
        entries.push((name.to_vec(), kind));
        entries.len() < BATCH
    })?;
    Ok(!level.entries.is_empty())
}

/// Removes the directory of the last level, now empty.
fn finish(levels: &mut Vec<Level>, parent: impl AsFd) -> Result<()> {
    let Some(done) = levels.pop() else {
        return Ok(());
    };
    let above = levels
        .last()
        .map_or(parent.as_fd(), |level| level.directory.as_fd());
    match unlinkat(above, &*done.name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::NOTEMPTY | Errno::EXIST) if done.rounds < MAX_ROUNDS => {
            levels.push(Level {
                rounds: done.rounds + 1,
                ..done
            });
            Ok(())
        }
        // Swapped for a file or a link: what is there now is removed as such.
        Err(Errno::NOTDIR) => match unlinkat(above, &*done.name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => other,
        },
        Err(errno) => Err(errno),
    }
}

fn enter(parent: impl AsFd, name: &[u8]) -> Result<Level> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(Level {
        directory: openat(parent, name, flags, Mode::empty())?,
        name: name.to_vec(),
        entries: Vec::new(),
        rounds: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::mkdirat;

    #[test]
    fn a_tree_deeper_than_the_stack_and_the_path_limit_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let top: OwnedFd = std::fs::File::open(directory.path()).unwrap().into();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut here = top.try_clone().unwrap();
        for depth in 0..2500 {
            mkdirat(&here, "deep", Mode::from_raw_mode(0o755)).unwrap();
            let next = openat(&here, "deep", flags, Mode::empty()).unwrap();
            if depth % 100 == 0 {
                mkdirat(&here, "beside", Mode::from_raw_mode(0o755)).unwrap();
                openat(
                    &here,
                    "beside/file",
                    OFlags::CREATE | OFlags::WRONLY,
                    Mode::from_raw_mode(0o644),
                )
                .unwrap();
            }
            here = next;
        }
        tree(&top, b"deep", Removable::Directory).unwrap();
        assert_eq!(one(&top, b"deep"), Err(Errno::NOENT));
    }

    #[test]
    fn links_are_removed_and_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let outside = directory.path().join("outside");
        let inside = directory.path().join("inside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("canary"), "alive").unwrap();
        std::fs::create_dir(&inside).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("link")).unwrap();
        let top = std::fs::File::open(directory.path()).unwrap();
        tree(&top, b"inside", Removable::Anything).unwrap();
        assert!(!inside.exists());
        assert_eq!(std::fs::read(outside.join("canary")).unwrap(), b"alive");
    }

    #[test]
    fn a_directory_that_is_not_empty_needs_the_tree() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("a/b")).unwrap();
        let top = std::fs::File::open(directory.path()).unwrap();
        assert_eq!(one(&top, b"a"), Err(Errno::NOTEMPTY));
        tree(&top, b"a", Removable::Anything).unwrap();
        assert!(!directory.path().join("a").exists());
    }
}
