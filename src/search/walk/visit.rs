//! What one thread does with one directory, and with the files in it.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::io::Errno;

use super::super::collect::Found;
use super::super::grep::Grep;
use super::super::ignore_files::{
    IGNORE_FILE_NAMES, IgnoreChain, IgnoreRules, MAX_IGNORE_FILE_BYTES,
};
use super::super::plan::Plan;
use super::Search;
use super::frontier::Task;
use super::handles::Directory;
use super::listing::{BUFFER_BYTES, Entry, Listing};
use crate::backend::FileKind;
use crate::backend::search::FoundEntry;
use crate::path::RelPath;
use crate::sys::linux::child;

/// A path as long as the operating system's longest cannot be named by any call.
const MAX_PATH_BYTES: usize = 4095;
/// Files of one directory that one thread takes at once.
const FILES_PER_TASK: usize = 32;

/// One thread's tools.
pub(super) struct Visitor<'a> {
    search: &'a Search<'a>,
    grep: Option<Grep>,
    listing: Listing,
    buffer: Vec<MaybeUninit<u8>>,
}

impl<'a> Visitor<'a> {
    pub(super) fn new(search: &'a Search<'a>) -> Self {
        Self {
            search,
            grep: search.plan.grep(),
            listing: Listing::default(),
            buffer: vec![MaybeUninit::uninit(); BUFFER_BYTES],
        }
    }

    /// Reads a directory: results for what is in it, and tasks for what is to be searched further.
    pub(super) fn list(&mut self, directory: &Arc<Directory>) {
        let search = self.search;
        let handle = match search.handles.open(directory) {
            Ok(handle) => handle,
            Err(error) => return self.unreadable(error),
        };
        if let Err(error) = self.read(directory, handle.as_fd()) {
            return self.unreadable(error);
        }
        self.listing.hide(handle.as_fd(), search.hidden);
        let ignores = if search.plan.respect_gitignore {
            let has = |name: &[u8]| self.listing.has(name);
            rules_in(handle.as_fd(), &directory.path, &directory.ignores, has)
        } else {
            IgnoreChain::default()
        };
        let mut visit = Visit {
            directory,
            ignores,
            handle: handle.as_fd(),
            found: Vec::new(),
            tasks: Vec::new(),
            files: Vec::new(),
        };
        for entry in self.listing.entries() {
            self.entry(entry, &mut visit);
        }
        let Visit {
            found,
            mut tasks,
            files,
            ..
        } = visit;
        for names in files.chunks(FILES_PER_TASK) {
            if let Some(first) = names.first() {
                let at = directory.path.child(first.to_bytes());
                tasks.push((at, Task::Search(Arc::clone(directory), names.to_vec())));
            }
        }
        if !tasks.is_empty() {
            search.handles.keep(directory, &handle);
        }
        search.frontier.add(found, tasks);
    }

    /// Fills the listing with what can matter.
    fn read(&mut self, directory: &Directory, handle: BorrowedFd<'_>) -> Result<(), Errno> {
        let search = self.search;
        let mut path = self.below(&directory.path).to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        let start = path.len();
        let mut seen = 0usize;
        self.listing.read(handle, &mut self.buffer, |name, kind| {
            seen += 1;
            if !search.stop.count_entry() || (seen.is_multiple_of(1024) && search.stop.is_over()) {
                return None;
            }
            path.truncate(start);
            path.extend_from_slice(name);
            Some(search.plan.may_matter(&path, name, kind))
        })
    }

    fn entry(&self, entry: &Entry, visit: &mut Visit<'_>) {
        let search = self.search;
        let name = self.listing.name(entry);
        let path = visit.directory.path.child(name);
        if path.as_bytes().len() > MAX_PATH_BYTES {
            search.stop.leave_out();
            return;
        }
        let c_name = self.listing.c_name(entry);
        let mut stat = None;
        let kind = match entry.kind {
            Some(kind) => kind,
            None => match child::stat(visit.handle, c_name) {
                Ok(known) => stat.insert(known).kind,
                Err(_) => return,
            },
        };
        let below = self.below(&path);
        if !search.plan.admits(below, &path, kind, &visit.ignores) {
            return;
        }
        if search.plan.reports(below, kind) {
            let (kind, size, mtime_ns) = if search.plan.names_only {
                (kind, 0, 0)
            } else {
                // What is gone by now is not reported.
                let Some(stat) = stat.or_else(|| child::stat(visit.handle, c_name).ok()) else {
                    return;
                };
                (stat.kind, stat.size, stat.mtime_ns)
            };
            visit.found.push(Found::Entry(FoundEntry {
                path: path.clone(),
                kind,
                size,
                mtime_ns,
            }));
        }
        if kind == FileKind::Directory {
            if search.plan.enters(below, visit.directory.depth + 1) {
                visit.enter(c_name, path);
            }
        } else if search.plan.reads(below, kind) {
            visit.files.push(c_name.to_owned());
        }
    }

    /// Searches files of a directory; a thread without work is given those that are left.
    pub(super) fn search(&mut self, directory: &Arc<Directory>, mut names: Vec<CString>) {
        let search = self.search;
        let handle = match search.handles.open(directory) {
            Ok(handle) => handle,
            Err(error) => return self.unreadable(error),
        };
        let mut found = Vec::new();
        names.reverse();
        while let Some(name) = names.pop() {
            if search.stop.is_over() {
                break;
            }
            found.extend(self.search_file(handle.as_fd(), directory, &name));
            if names.len() > 1 && search.frontier.has_idle() {
                let given = names.split_off(0).into_iter().rev().collect::<Vec<_>>();
                let at = directory.path.child(given[0].to_bytes());
                search.handles.keep(directory, &handle);
                let task = Task::Search(Arc::clone(directory), given);
                search.frontier.add(Vec::new(), vec![(at, task)]);
            }
        }
        search.frontier.add(found, Vec::new());
    }

    fn search_file(
        &mut self,
        handle: BorrowedFd<'_>,
        directory: &Directory,
        name: &CStr,
    ) -> Option<Found> {
        let search = self.search;
        let (file, size) = match child::open_file(handle, name) {
            Ok(opened) => opened,
            Err(error) => {
                self.unreadable(error);
                return None;
            }
        };
        if size > search.max_file_bytes {
            search.stop.leave_out();
            return None;
        }
        let path = directory.path.child(name.to_bytes());
        let stop = &search.stop;
        let found = self
            .grep
            .as_mut()?
            .search_reader(&path, ToItsEnd::new(file, size), &|| stop.is_over());
        if found.lines.is_empty() {
            if found.cut_short {
                stop.leave_out();
            }
            return None;
        }
        Some(Found::Lines(path, found))
    }

    /// What is gone, forbidden or something else by now is passed over; what only this moment kept from us is said.
    fn unreadable(&self, error: Errno) {
        if matches!(
            error,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN | Errno::IO
        ) {
            self.search.stop.leave_out();
        }
    }

    fn below<'p>(&self, path: &'p RelPath) -> &'p [u8] {
        below(self.search.prefix, path)
    }
}

/// A file that is not asked for more than it has: each needless answer costs half as much as opening it.
struct ToItsEnd {
    file: File,
    /// Bytes that it had when it was opened, and that have not been read yet.
    expected: u64,
    has_ended: bool,
}

impl ToItsEnd {
    fn new(file: File, size: u64) -> Self {
        Self {
            file,
            expected: size,
            has_ended: false,
        }
    }
}

impl Read for ToItsEnd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.has_ended {
            return Ok(0);
        }
        let read = self.file.read(buffer)?;
        self.expected = self.expected.saturating_sub(read as u64);
        // Less than was asked for, at the size that it had: this is the end. One alone would not say so, since some file
        // systems give less in the middle, and files grow.
        self.has_ended = self.expected == 0 && read < buffer.len();
        Ok(read)
    }
}

/// One directory at hand.
struct Visit<'v> {
    directory: &'v Arc<Directory>,
    ignores: IgnoreChain,
    handle: BorrowedFd<'v>,
    found: Vec<Found>,
    tasks: Vec<(RelPath, Task)>,
    files: Vec<CString>,
}

impl Visit<'_> {
    fn enter(&mut self, name: &CStr, path: RelPath) {
        let child = self
            .directory
            .child(name.to_owned(), path.clone(), self.ignores.clone());
        self.tasks.push((path, Task::List(child)));
    }
}

/// What of a path lies below the base.
fn below<'p>(base: &RelPath, path: &'p RelPath) -> &'p [u8] {
    let rest = path
        .as_bytes()
        .get(base.as_bytes().len()..)
        .unwrap_or_default();
    rest.strip_prefix(b"/").unwrap_or(rest)
}

/// The rules of a directory on top of those above it.
fn rules_in(
    handle: BorrowedFd<'_>,
    path: &RelPath,
    above: &IgnoreChain,
    has: impl Fn(&[u8]) -> bool,
) -> IgnoreChain {
    let [git, plain] = IGNORE_FILE_NAMES.map(|name| {
        if !has(name) {
            return None;
        }
        let name = CString::new(name).ok()?;
        let (file, _) = child::open_file(handle, &name).ok()?;
        let mut content = Vec::new();
        file.take(MAX_IGNORE_FILE_BYTES as u64)
            .read_to_end(&mut content)
            .ok()?;
        Some(IgnoreRules::parse(&content))
    });
    above.below(path.as_bytes(), git, plain)
}

/// The rules of the directories above the base, given from the root down.
pub(super) fn rules_above(above: &[(RelPath, OwnedFd)], plan: &Plan) -> IgnoreChain {
    let mut chain = IgnoreChain::default();
    if plan.respect_gitignore {
        for (path, handle) in above {
            chain = rules_in(handle.as_fd(), path, &chain, |_| true);
        }
    }
    chain
}
