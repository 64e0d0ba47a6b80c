//! Where the access policy is asked: there are no links here, so that a path is its own name. Asked under the lock, so
//! that nothing changes between the answer and the use.

use super::store::{Place, State};
use super::tree::{Location, NodeId};
use super::{MemoryBackend, Store};
use crate::access::{Access, Guard};
use crate::backend::{DirEntry, FileKind, Keys};
use crate::error::Result;
use crate::path::RelPath;
use crate::search::SearchEntry;

/// A backend's guard, with where the backend is.
#[derive(Clone, Copy)]
pub(super) struct Judge<'a> {
    guard: &'a dyn Guard,
    scope: &'a RelPath,
}

impl MemoryBackend {
    fn judge(&self) -> Option<Judge<'_>> {
        Some(Judge {
            guard: &**self.guard.as_ref()?,
            scope: &self.scope,
        })
    }

    /// One operation on a path, if it may be done.
    pub(super) fn with<T>(
        &self,
        path: &RelPath,
        access: Access,
        operation: impl FnOnce(&mut State) -> Result<T>,
    ) -> Result<T> {
        self.with_judge(|judge, state| {
            if let Some(judge) = judge {
                judge.check(state, path, access)?;
            }
            operation(state)
        })
    }

    /// One operation that asks for itself.
    pub(super) fn with_judge<T>(
        &self,
        operation: impl FnOnce(Option<Judge<'_>>, &mut State) -> Result<T>,
    ) -> Result<T> {
        let store: &Store = &self.store;
        store.with(|state| operation(self.judge(), state))
    }
}

impl Judge<'_> {
    /// Whether something may be done with a path, and the directories made that this takes.
    pub(super) fn check(self, state: &State, path: &RelPath, access: Access) -> Result<()> {
        let here = self.scope.join(path);
        if matches!(access, Access::Write | Access::Pass) {
            self.check_missing(state, path)?;
        }
        self.guard.check(&here, access)
    }

    /// Metadata: what it is matters.
    pub(super) fn check_stat(self, state: &State, path: &RelPath) -> Result<()> {
        let directory = state
            .find(self.place(path))
            .is_ok_and(|id| state.tree.children(id).is_some());
        let here = self.scope.join(path);
        self.guard.check(&here, Access::Stat { directory })
    }

    /// Where a search begins: a directory, or a file whose content is wanted.
    pub(super) fn check_base(self, state: &State, path: &RelPath) -> Result<()> {
        let directory = state
            .find(self.place(path))
            .is_ok_and(|id| state.tree.children(id).is_some());
        let access = if directory {
            Access::List
        } else {
            Access::Read
        };
        self.guard.check(&self.scope.join(path), access)
    }

    /// Directories on the way that are not there yet.
    fn check_missing(self, state: &State, path: &RelPath) -> Result<()> {
        let Location::Missing { depth, .. } = state.tree.locate(self.place(path).names()) else {
            return Ok(());
        };
        let whole = self.scope.join(path);
        let mut at = RelPath::root();
        let last = whole.components().count().saturating_sub(1);
        for (index, name) in whole.components().take(last).enumerate() {
            at = at.child(name);
            if index >= depth {
                self.guard.check(&at, Access::Pass)?;
            }
        }
        Ok(())
    }

    /// Whether what is below a path may be taken away, and come below another.
    pub(super) fn check_below(
        self,
        state: &State,
        path: &RelPath,
        new_path: Option<&RelPath>,
    ) -> Result<()> {
        let Ok(top) = state.find(self.place(path)) else {
            return Ok(());
        };
        let mut names = vec![self.scope.join(path)];
        names.extend(new_path.map(|new_path| self.scope.join(new_path)));
        let mut open: Vec<(NodeId, Vec<RelPath>)> = vec![(top, names)];
        while let Some((id, names)) = open.pop() {
            let Some(children) = state.tree.children(id) else {
                continue;
            };
            if !names.iter().any(|name| self.guard.may_protect_below(name)) {
                continue;
            }
            for (name, &child) in children {
                let below: Vec<RelPath> = names.iter().map(|above| above.child(name)).collect();
                for path in &below {
                    self.guard.check(path, Access::WriteBelow)?;
                }
                open.push((child, below));
            }
        }
        Ok(())
    }

    /// Whether a name may be taken away, with what is below it.
    pub(super) fn check_removal(
        self,
        state: &State,
        path: &RelPath,
        recursive: bool,
    ) -> Result<()> {
        self.guard.check(&self.scope.join(path), Access::Write)?;
        if recursive {
            self.check_below(state, path, None)?;
        }
        Ok(())
    }

    /// Whether something may be taken from one name to another, with what is below it.
    pub(super) fn check_rename(self, state: &State, from: &RelPath, to: &RelPath) -> Result<()> {
        self.guard.check(&self.scope.join(from), Access::Write)?;
        if state.find(self.place(from)).is_ok() {
            self.check(state, to, Access::Write)?;
        }
        self.check_below(state, from, Some(to))
    }

    /// Whether all that is below the scope may go.
    pub(super) fn check_clear(self, state: &State) -> Result<()> {
        self.guard.check(self.scope, Access::Write)?;
        self.check_below(state, &RelPath::root(), None)
    }

    /// Takes out of a listing what does not exist for callers.
    pub(super) fn leave_out_hidden(self, directory: &RelPath, entries: &mut Vec<DirEntry>) {
        let here = self.scope.join(directory);
        entries.retain(|entry| {
            let is_directory = entry.kind == FileKind::Directory;
            !self.guard.hides(&here.child(&entry.name), is_directory)
        });
    }

    /// The same of what a search looks through; all that is below something left out is covered too, or shown for
    /// itself.
    pub(super) fn leave_out_entries(self, entries: &mut Vec<SearchEntry>) {
        entries.retain(|entry| {
            let is_directory = entry.kind == FileKind::Directory;
            !(self.guard).hides(&self.scope.join(&entry.path), is_directory)
        });
    }

    /// The same of keys.
    pub(super) fn visible(self, keys: &Keys) -> Keys {
        let mut visible = Keys::default();
        for key in keys.iter() {
            let path = RelPath::parse(key, b"/").map(|key| self.scope.join(&key));
            if path.is_ok_and(|path| !self.guard.hides(&path, false)) {
                visible.push(key);
            }
        }
        visible
    }

    fn place<'p>(&'p self, path: &'p RelPath) -> Place<'p> {
        Place {
            scope: self.scope,
            path,
        }
    }
}
