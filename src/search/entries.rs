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
    let is_rule_above = |entry: &SearchEntry| {
        entry.path.split_last().is_some_and(|(directory, name)| {
            IGNORE_FILE_NAMES.contains(&name) && request.base.starts_with(&directory)
        })
    };
    let (mut entries, mut rules): (Vec<SearchEntry>, Vec<SearchEntry>) = entries
        .into_iter()
        .filter(|entry| entry.path.starts_with(&request.base) || is_rule_above(entry))
        .partition(|entry| entry.path.starts_with(&request.base));
    let by_path =
        |a: &SearchEntry, b: &SearchEntry| path_order(a.path.as_bytes(), b.path.as_bytes());
    entries.sort_by(by_path);
    rules.sort_by(by_path);
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
        _ if search.plan.enters(b"", 1) => search.tree(&entries, &rules),
        _ => {}
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
    fn tree(&mut self, entries: &[SearchEntry], rules_above: &[SearchEntry]) {
        let above = self.rules_above(rules_above);
        let mut open = vec![Open {
            path: b"",
            depth: 1,
            ignores: self.rules_of(&above, &self.request.base, entries),
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
            let slash = below.iter().rposition(|&b| b == b'/').unwrap_or(0);
            let parent = &below[..slash];
            // Back up to the directory that holds this entry.
            while open.len() > 1 && open.last().is_some_and(|open| !holds(open.path, parent)) {
                open.pop();
            }
            let Some(holder) = open.last() else { return };
            let (depth, ignores) = (holder.depth, holder.ignores.clone());
            if !self.plan.admits(below, &entry.path, entry.kind, &ignores) {
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
                    ignores: self.rules_of(&ignores, &entry.path, &entries[at..]),
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

    /// The ignore files of the directories above the base.
    fn rules_above(&self, rules: &[SearchEntry]) -> IgnoreChain {
        let mut chain = IgnoreChain::default();
        let mut directory = RelPath::root();
        for name in self.request.base.components() {
            chain = self.rules_of(&chain, &directory, rules);
            directory = directory.child(name);
        }
        chain
    }

    /// The ignore files of a directory, found by name among its entries.
    fn rules_of(
        &self,
        above: &IgnoreChain,
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
        above.below(directory.as_bytes(), git, plain)
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
