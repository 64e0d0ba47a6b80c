//! A search over values in memory: the same rules, order and bounds as over files on a disk.

use bytes::Bytes;

use super::collect::{Collector, Found};
use super::grep::Grep;
use super::ignore_files::{IGNORE_FILE_NAMES, IgnoreChain, IgnoreRules};
use super::order::path_order;
use super::plan::Plan;
use super::stop::Stop;
use crate::backend::FileKind;
use crate::backend::search::{FoundEntry, Query, SearchOutcome, SearchRequest};
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

/// One file or directory of a tree in memory.
#[derive(Clone, Debug)]
pub struct SearchEntry {
    /// Relative to the backend's root.
    pub path: RelPath,
    /// What it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970 UTC.
    pub mtime_ns: i128,
    /// The content of a file; empty for anything else.
    pub bytes: Bytes,
}

/// Searches a tree given as its entries, in any order: all files and directories below `request.base` (implicit
/// directories too), and `request.base` itself where it is a file. Entries elsewhere are passed over; that the base
/// exists is the caller's to check. Computes and allocates, so large trees belong on the pool.
///
/// # Errors
/// `INVALID_CONFIGURATION` (a pattern), `NOT_A_DIRECTORY` (the base is a file, and the query is not a content
/// search), `ABORTED`.
pub fn search_entries(
    entries: impl IntoIterator<Item = SearchEntry>,
    request: &SearchRequest,
) -> Result<SearchOutcome> {
    let mut entries: Vec<SearchEntry> = entries
        .into_iter()
        .filter(|entry| entry.path.starts_with(&request.base))
        .collect();
    entries.sort_by(|a, b| path_order(a.path.as_bytes(), b.path.as_bytes()));
    let plan = Plan::new(request)?;
    let mut search = EntrySearch {
        grep: plan.grep(),
        plan,
        stop: Stop::new(request.cancel.clone(), &request.limits),
        collector: Collector::new(request.limits),
        request,
    };
    match entries.first() {
        Some(first) if first.path == request.base && first.kind != FileKind::Directory => {
            search.file(first)?;
        }
        _ => search.tree(&entries),
    }
    search.collector.finish(&search.stop)
}

struct EntrySearch<'a> {
    plan: Plan,
    grep: Option<Grep>,
    stop: Stop,
    collector: Collector,
    request: &'a SearchRequest,
}

/// A directory on the way to the entry at hand.
struct Open<'a> {
    /// Below the base.
    path: &'a [u8],
    /// That of what is in it.
    depth: usize,
    ignores: IgnoreChain,
}

impl EntrySearch<'_> {
    /// The base is a file: a content search reads it whatever its name.
    fn file(&mut self, entry: &SearchEntry) -> Result<()> {
        if !matches!(self.request.query, Query::Grep(_)) {
            return Err(Error::new(
                ErrorCode::NotADirectory,
                "the search must start from a directory",
            ));
        }
        self.read(entry);
        Ok(())
    }

    /// Walks sorted entries as a tree. `open` is the way down to the entry at hand, `closed` the last directory that
    /// was not entered.
    fn tree(&mut self, entries: &[SearchEntry]) {
        let mut open = vec![Open {
            path: b"",
            depth: 1,
            ignores: self.rules_of(&IgnoreChain::default(), b"", &self.request.base, entries),
        }];
        let mut closed: Option<&RelPath> = None;
        for (at, entry) in entries.iter().enumerate() {
            let below = below(&self.request.base, &entry.path);
            if below.is_empty() || closed.is_some_and(|closed| entry.path.starts_with(closed)) {
                continue;
            }
            if self.stop.is_over() || !self.stop.count_entry() {
                return;
            }
            if self.collector.is_past_end(&entry.path) {
                return;
            }
            let (parent, name) = match below.iter().rposition(|&b| b == b'/') {
                Some(slash) => (&below[..slash], &below[slash + 1..]),
                None => (&b""[..], below),
            };
            // Back up to the directory that holds this entry.
            while open.len() > 1 && open.last().is_some_and(|open| !holds(open.path, parent)) {
                open.pop();
            }
            let Some(holder) = open.last() else { return };
            let (depth, ignores) = (holder.depth, holder.ignores.clone());
            if !self.plan.admits(below, name, entry.kind, &ignores) {
                closed = Some(&entry.path);
                continue;
            }
            self.take(entry, below);
            if entry.kind != FileKind::Directory {
                continue;
            }
            if self.plan.enters(below, depth + 1) {
                open.push(Open {
                    path: below,
                    depth: depth + 1,
                    ignores: self.rules_of(&ignores, below, &entry.path, &entries[at..]),
                });
            } else {
                closed = Some(&entry.path);
            }
        }
    }

    fn take(&mut self, entry: &SearchEntry, below: &[u8]) {
        if self.plan.reports(below, entry.kind) {
            self.collector.add([Found::Entry(FoundEntry {
                path: entry.path.clone(),
                kind: entry.kind,
                size: entry.size,
                mtime_ns: entry.mtime_ns,
            })]);
        }
        if self.plan.reads(below, entry.kind) {
            self.read(entry);
        }
    }

    fn read(&mut self, entry: &SearchEntry) {
        if entry.bytes.len() as u64 > self.request.limits.max_file_bytes {
            self.stop.leave_out();
            return;
        }
        let stop = &self.stop;
        let Some(grep) = &mut self.grep else { return };
        let found = grep.search_bytes(&entry.path, &entry.bytes, &|| stop.is_over());
        if found.lines.is_empty() {
            if found.cut_short {
                self.stop.leave_out();
            }
            return;
        }
        self.collector
            .add([Found::Lines(entry.path.clone(), found)]);
    }

    /// The ignore files of a directory, found by name among its entries.
    fn rules_of(
        &self,
        above: &IgnoreChain,
        below: &[u8],
        directory: &RelPath,
        sorted: &[SearchEntry],
    ) -> IgnoreChain {
        if !self.plan.respect_gitignore {
            return above.clone();
        }
        let [git, plain] = IGNORE_FILE_NAMES.map(|name| {
            let path = directory.child(name);
            let found = sorted
                .binary_search_by(|entry| path_order(entry.path.as_bytes(), path.as_bytes()))
                .ok()?;
            let entry = &sorted[found];
            (entry.kind == FileKind::File).then(|| IgnoreRules::parse(&entry.bytes))
        });
        above.below(below, git, plain)
    }
}

/// Whether a directory is `path` or above it.
fn holds(directory: &[u8], path: &[u8]) -> bool {
    directory.is_empty()
        || (path.starts_with(directory) && matches!(path.get(directory.len()), None | Some(b'/')))
}

/// What of a path lies below the base.
fn below<'a>(base: &RelPath, path: &'a RelPath) -> &'a [u8] {
    let rest = path
        .as_bytes()
        .get(base.as_bytes().len()..)
        .unwrap_or_default();
    rest.strip_prefix(b"/").unwrap_or(rest)
}

#[cfg(test)]
#[path = "entries_tests.rs"]
mod tests;
