//! The entries of one directory, read at once and sorted, in as few allocations as their number allows.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;

use rustix::fs::RawDir;
use rustix::io::Errno;

use super::Hidden;
use crate::backend::FileKind;
use crate::sys::linux::child;

/// What the kernel is asked for at a time.
pub(super) const BUFFER_BYTES: usize = 32 << 10;

/// Entries of a directory. Kept by a worker and filled again for each directory.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// All names, each with its NUL.
    names: Vec<u8>,
    entries: Vec<Entry>,
}

/// One entry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    start: usize,
    length: usize,
    /// `None` where the file system does not say.
    pub(super) kind: Option<FileKind>,
}

impl Listing {
    /// Reads a directory, keeping the entries that `keep` wants: it is given name and kind, and `None` ends
    /// the reading.
    pub(super) fn read(
        &mut self,
        directory: BorrowedFd<'_>,
        buffer: &mut [MaybeUninit<u8>],
        mut keep: impl FnMut(&[u8], Option<FileKind>) -> Option<bool>,
    ) -> Result<(), Errno> {
        self.names.clear();
        self.entries.clear();
        let mut raw = RawDir::new(directory, buffer);
        while let Some(entry) = raw.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes_with_nul();
            let bare = &name[..name.len() - 1];
            if bare == b"." || bare == b".." {
                continue;
            }
            let kind = child::kind_of(entry.file_type());
            match keep(bare, kind) {
                None => break,
                Some(false) => {}
                Some(true) => {
                    self.entries.push(Entry {
                        start: self.names.len(),
                        length: name.len(),
                        kind,
                    });
                    self.names.extend_from_slice(name);
                }
            }
        }
        let Self { names, entries } = self;
        entries.sort_unstable_by(|a, b| bare(names, a).cmp(bare(names, b)));
        // A directory that changes while it is read can give a name twice.
        entries.dedup_by(|a, b| bare(names, a) == bare(names, b));
        Ok(())
    }

    /// Takes out what does not exist for callers.
    pub(super) fn hide(&mut self, directory: BorrowedFd<'_>, hidden: &dyn Hidden) {
        let Self { names, entries } = self;
        let candidates: Vec<(&[u8], Option<FileKind>)> = (entries.iter())
            .map(|entry| (bare(names, entry), entry.kind))
            .filter(|(name, _)| hidden.may_hide(name))
            .collect();
        if candidates.is_empty() {
            return;
        }
        let hides = hidden.hides_entries(directory, &candidates);
        let mut gone = candidates
            .into_iter()
            .zip(hides)
            .filter(|&(_, hides)| hides);
        // Both are sorted, so one pass is enough.
        let mut next = gone.next();
        entries.retain(|entry| {
            let is_gone = next.is_some_and(|((name, _), _)| name == bare(names, entry));
            if is_gone {
                next = gone.next();
            }
            !is_gone
        });
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The name without its NUL.
    pub(super) fn name(&self, entry: &Entry) -> &[u8] {
        bare(&self.names, entry)
    }

    pub(super) fn c_name(&self, entry: &Entry) -> &CStr {
        let bytes = &self.names[entry.start..entry.start + entry.length];
        CStr::from_bytes_with_nul(bytes).unwrap_or_default()
    }

    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.entries
            .binary_search_by(|entry| self.name(entry).cmp(name))
            .is_ok()
    }
}

fn bare<'a>(names: &'a [u8], entry: &Entry) -> &'a [u8] {
    &names[entry.start..entry.start + entry.length - 1]
}
