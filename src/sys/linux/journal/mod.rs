//! Which temporaries of unfinished writes are ours, so that a later process can remove what a killed one left, and
//! listings can leave them out. A name alone proves nothing; a record of its inode, in a directory that only we can
//! write, does.
//!
//! One file per process, locked (`flock`) as long as the process lives, and mapped into memory: recording a write
//! costs a few stores and survives `kill -9`. A record exists before the temporary does, and goes after it.

mod record;
mod sweep;

use std::fs::File;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use memmap2::MmapRaw;
use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};

use record::{BYTES_AT, FREE, HEADER_BYTES, Layout, MAGIC, RECORDED, SLOT_BYTES, SLOTS};
pub use record::{Identity, Record};
pub use sweep::sweep;

const FILLING: u64 = 1;
/// The directory of journals below the state directory.
const DIRECTORY: &str = "journal";
/// How often a new journal file is tried; each failure means that a sweep took it between creation and lock.
const MAX_ATTEMPTS: usize = 16;

/// The records of this process in one state directory.
#[derive(Debug)]
pub struct Journal {
    map: MmapRaw,
    /// Holds the lock that says that we live.
    _file: File,
    path: PathBuf,
    next: AtomicUsize,
}

/// A record that stands until it is dropped.
#[derive(Debug)]
pub struct Entry<'j> {
    journal: &'j Journal,
    slot: usize,
}

static OPEN: Mutex<Vec<(PathBuf, Weak<Journal>)>> = Mutex::new(Vec::new());

impl Journal {
    /// The journal of this process in a state directory; the same one for all its backends.
    ///
    /// # Errors
    /// Where the directory cannot be written or has no space.
    pub fn of(state_dir: &Path) -> std::io::Result<Arc<Self>> {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|(_, journal)| journal.strong_count() > 0);
        let known = open
            .iter()
            .find(|(path, _)| path == state_dir)
            .and_then(|(_, journal)| journal.upgrade());
        if let Some(journal) = known {
            return Ok(journal);
        }
        let journal = Arc::new(Self::create(&state_dir.join(DIRECTORY))?);
        open.push((state_dir.to_path_buf(), Arc::downgrade(&journal)));
        Ok(journal)
    }

    fn create(directory: &Path) -> std::io::Result<Self> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)?;
        for _ in 0..MAX_ATTEMPTS {
            let mut random = [0u8; 8];
            rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
            let name = format!("{}-{:016x}", std::process::id(), u64::from_ne_bytes(random));
            let path = directory.join(name);
            let file = File::options()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            // Until it is locked, a sweep of another process may take it for a dead one's.
            let locked = flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
            if !locked || std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) == 0 {
                continue;
            }
            // Space for all of it now: a page that cannot be written later would be a SIGBUS.
            let length = HEADER_BYTES + SLOTS * SLOT_BYTES;
            let allocated = fallocate(&file, FallocateFlags::empty(), 0, length as u64);
            let map = allocated
                .map_err(std::io::Error::from)
                .and_then(|()| MmapRaw::map_raw(&file));
            let map = match map {
                Ok(map) => map,
                Err(error) => {
                    let _ = std::fs::remove_file(&path);
                    return Err(error);
                }
            };
            let journal = Self {
                map,
                _file: file,
                path,
                next: AtomicUsize::new(0),
            };
            journal.word(0).store(MAGIC, Ordering::Release);
            return Ok(journal);
        }
        Err(std::io::Error::other("the journal could not be locked"))
    }

    /// Records a temporary before it exists: `name` in the directory `parent` below `root`. `None` where all slots
    /// are taken or the path is too long for one; the write goes on without.
    #[must_use]
    pub fn record(
        &self,
        root: &[u8],
        parent: &[u8],
        name: &[u8],
        displaced: Option<Identity>,
    ) -> Option<Entry<'_>> {
        let layout = Layout::of(root, parent, name)?;
        let slot = self.claim()?;
        self.field(slot, 1).store(0, Ordering::Relaxed);
        self.field(slot, 2).store(0, Ordering::Relaxed);
        let (dev, ino) = displaced.unwrap_or((0, 0));
        self.field(slot, 3).store(dev, Ordering::Relaxed);
        self.field(slot, 4).store(ino, Ordering::Relaxed);
        self.field(slot, 5)
            .store(layout.packed(), Ordering::Relaxed);
        let mut at = Self::offset(slot) + BYTES_AT;
        for part in [root, parent, name] {
            // SAFETY: the slot is claimed, so only we write it, and `layout` says that all three parts fit.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    part.as_ptr(),
                    self.map.as_mut_ptr().add(at),
                    part.len(),
                );
            }
            at += part.len();
        }
        fence(Ordering::Release);
        self.field(slot, 0).store(RECORDED, Ordering::Release);
        Some(Entry {
            journal: self,
            slot,
        })
    }

    fn claim(&self) -> Option<usize> {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        (0..SLOTS)
            .map(|n| start.wrapping_add(n) % SLOTS)
            .find(|&slot| {
                self.field(slot, 0)
                    .compare_exchange(FREE, FILLING, Ordering::Acquire, Ordering::Relaxed)
                    .is_ok()
            })
    }

    /// All records of living and dead processes in this state directory, this one's included.
    #[must_use]
    pub fn records(state_dir: &Path) -> Vec<Record> {
        let Ok(files) = std::fs::read_dir(state_dir.join(DIRECTORY)) else {
            return Vec::new();
        };
        files
            .filter_map(Result::ok)
            .filter_map(|file| std::fs::read(file.path()).ok())
            .flat_map(|bytes| record::parse(&bytes))
            .collect()
    }

    const fn offset(slot: usize) -> usize {
        HEADER_BYTES + slot * SLOT_BYTES
    }

    fn field(&self, slot: usize, field: usize) -> &AtomicU64 {
        self.word(Self::offset(slot) + field * 8)
    }

    fn word(&self, at: usize) -> &AtomicU64 {
        debug_assert!(at.is_multiple_of(8) && at + 8 <= self.map.len());
        // SAFETY: `at` is aligned and inside the map, which lives as long as `self`; all access to these words in
        // this process is atomic.
        unsafe { &*self.map.as_mut_ptr().add(at).cast::<AtomicU64>() }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        // Every entry borrows the journal, so none is left.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Entry<'_> {
    /// The temporary exists now, and this is its inode.
    pub fn created(&self, (dev, ino): Identity) {
        self.journal
            .field(self.slot, 1)
            .store(dev, Ordering::Relaxed);
        self.journal
            .field(self.slot, 2)
            .store(ino, Ordering::Release);
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.journal
            .field(self.slot, 0)
            .store(FREE, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_stands_from_before_the_temporary_until_it_is_dropped() {
        let state = tempfile::tempdir().unwrap();
        let journal = Journal::of(state.path()).unwrap();
        let entry = journal
            .record(b"/root", b"a/b", b"name", Some((7, 8)))
            .unwrap();
        let records = Journal::records(state.path());
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].ours, None);
        entry.created((7, 9));
        let expected = Record {
            root: b"/root".to_vec(),
            parent: b"a/b".to_vec(),
            name: b"name".to_vec(),
            ours: Some((7, 9)),
            displaced: Some((7, 8)),
        };
        assert_eq!(Journal::records(state.path()), [expected]);
        drop(entry);
        assert!(Journal::records(state.path()).is_empty());
    }

    #[test]
    fn a_full_journal_and_an_over_long_path_record_nothing() {
        let state = tempfile::tempdir().unwrap();
        let journal = Journal::of(state.path()).unwrap();
        assert!(journal.record(b"/", &[b'x'; 5000], b"name", None).is_none());
        let entries: Vec<_> =
            std::iter::from_fn(|| journal.record(b"/", b"", b"name", None)).collect();
        assert_eq!(entries.len(), SLOTS);
    }

    #[test]
    fn all_backends_of_a_process_share_a_journal_and_the_last_removes_it() {
        let state = tempfile::tempdir().unwrap();
        let first = Journal::of(state.path()).unwrap();
        assert!(Arc::ptr_eq(&first, &Journal::of(state.path()).unwrap()));
        let path = first.path.clone();
        assert!(path.exists());
        drop(first);
        assert!(!path.exists());
    }
}
