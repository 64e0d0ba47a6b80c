//! Searching a tree of files through directory handles.
//!
//! Nothing is reached by a path: each directory is opened in the handle of the one above, each file in the handle of
//! its directory, and never through a link ([`crate::sys::linux::child`]). So a command that swaps directories and
//! links while a search runs can make it miss something, never lead it out. Several threads share the work; open
//! handles, stack and what waits are bounded whatever the tree is like. What cannot be opened is passed over, as by
//! ripgrep.

mod frontier;
mod handles;
mod listing;
mod visit;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::Scope;

use frontier::{Frontier, Task};
use handles::{Directory, Handles};
use visit::Visitor;

use super::collect::{Collector, Found};
use super::plan::Plan;
use super::stop::Stop;
use crate::backend::FileKind;
use crate::backend::search::{Query, SearchOutcome, SearchRequest};
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::sys::linux::child;

/// Which entries do not exist for callers, such as temporaries of a write in progress.
pub trait Hidden: Sync {
    /// Whether a name is worth a closer look. Asked for every entry, so it must be cheap.
    fn may_hide(&self, name: &[u8]) -> bool;

    /// For each of these names, all of which `may_hide`, whether to hide it. Asked after the directory was read.
    fn hides(&self, directory: BorrowedFd<'_>, names: &[&[u8]]) -> Vec<bool>;

    /// [`Hidden::hides`] for whom it matters what the entries are, as far as the file system told it.
    fn hides_entries(
        &self,
        directory: BorrowedFd<'_>,
        entries: &[(&[u8], Option<FileKind>)],
    ) -> Vec<bool> {
        let names: Vec<&[u8]> = entries.iter().map(|(name, _)| *name).collect();
        self.hides(directory, &names)
    }
}

/// Nothing is hidden.
impl Hidden for () {
    fn may_hide(&self, _: &[u8]) -> bool {
        false
    }

    fn hides(&self, _: BorrowedFd<'_>, names: &[&[u8]]) -> Vec<bool> {
        vec![false; names.len()]
    }
}

/// Searches below a directory, or a content search a file. Blocks: callers run it on the pool; further threads join
/// in where there is work for them.
///
/// `base` is an open handle that can be read (not `O_PATH` where it is a file), `prefix` its path relative to the
/// backend's root, which results begin with. `above` are the directories from the root down to the one that holds
/// the base, with their handles; their ignore files count where the request respects those (else it may be empty).
///
/// # Errors
/// `INVALID_CONFIGURATION` (a pattern), `NOT_A_DIRECTORY` (the base is a file, and the query is not a content
/// search), `INVALID_PATH` (it is neither), `ABORTED`, and what the operating system says of the base.
pub fn search_directory(
    base: OwnedFd,
    prefix: &RelPath,
    above: &[(RelPath, OwnedFd)],
    request: &SearchRequest,
    hidden: &dyn Hidden,
) -> Result<SearchOutcome> {
    let plan = Plan::new(request)?;
    let stop = Stop::new(request.cancel.clone(), &request.limits);
    let (kind, size) = child::kind_and_size(base.as_fd())?;
    match kind {
        FileKind::Directory => {}
        FileKind::File => return search_file(File::from(base), size, prefix, &plan, stop, request),
        FileKind::Symlink | FileKind::Other => {
            return Err(Error::new(
                ErrorCode::InvalidPath,
                "it is neither a directory nor a regular file",
            ));
        }
    }
    if !plan.enters(b"", 1) {
        return Ok(SearchOutcome::default());
    }
    let ignores = visit::rules_above(above, &plan);
    let base = Directory::base(base, prefix.clone(), ignores);
    let search = Search {
        frontier: Frontier::new(
            Collector::new(request.limits),
            Task::List(base),
            prefix.clone(),
        ),
        handles: Handles::default(),
        plan,
        stop,
        prefix,
        hidden,
        max_file_bytes: request.limits.max_file_bytes,
    };
    std::thread::scope(|scope| search.work(scope));
    search.frontier.into_collector().finish(&search.stop)
}

/// What the threads of a search share.
struct Search<'a> {
    frontier: Frontier,
    handles: Handles,
    plan: Plan,
    stop: Stop,
    prefix: &'a RelPath,
    hidden: &'a dyn Hidden,
    max_file_bytes: u64,
}

impl Search<'_> {
    /// What each thread does until nothing is left.
    fn work<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>) {
        let mut visitor = Visitor::new(self);
        while let Some(mut running) = self.frontier.next() {
            if self.stop.is_over() {
                self.frontier.abandon();
                continue;
            }
            match running.take() {
                Some(Task::List(directory)) => visitor.list(&directory),
                Some(Task::Search(directory, names)) => visitor.search(&directory, names),
                None => {}
            }
            self.frontier.maybe_help(scope, || self.work(scope));
        }
    }
}

/// The base is a file: a content search reads it, whatever its name.
fn search_file(
    file: File,
    size: u64,
    path: &RelPath,
    plan: &Plan,
    stop: Stop,
    request: &SearchRequest,
) -> Result<SearchOutcome> {
    let (Some(mut grep), Query::Grep(_)) = (plan.grep(), &request.query) else {
        return Err(Error::new(
            ErrorCode::NotADirectory,
            "the search must start from a directory",
        ));
    };
    let mut collector = Collector::new(request.limits);
    if size > request.limits.max_file_bytes {
        stop.leave_out();
    } else {
        let found = grep.search_reader(path, &file, &|| stop.is_over());
        if found.cut_short {
            stop.leave_out();
        }
        if !found.lines.is_empty() {
            collector.add([Found::Lines(path.clone(), found)]);
        }
    }
    collector.finish(&stop)
}
