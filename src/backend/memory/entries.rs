//! Directories and names: listing, creating, removing, renaming. As on a disk, a directory that a caller emptied by
//! these stays; one that only an expired or deleted key had brought about goes with it (see `keys`).

use super::store::{Place, State, already_exists, is_a_directory, not_a_directory, not_found};
use super::tree::{Body, Location, NodeId};
use crate::backend::{DirEntry, FileKind, ListOptions, Removable, RemoveOptions, RenameOptions};
use crate::error::{Error, ErrorCode, Result};

impl State {
    /// The entries of a directory, in byte order.
    pub(super) fn list(&self, place: Place<'_>, options: ListOptions) -> Result<Vec<DirEntry>> {
        let id = self.find(place)?;
        let children = self.tree.children(id).ok_or_else(not_a_directory)?;
        Ok(children
            .iter()
            .map(|(name, &child)| DirEntry {
                name: name.to_vec(),
                kind: match self.tree.node(child).body {
                    Body::File { .. } => FileKind::File,
                    _ => FileKind::Directory,
                },
                stat: options.with_stat.then(|| self.stat(child)),
            })
            .collect())
    }

    /// Creates a directory. A scope's own directory, and what leads to it, is created on the way.
    pub(super) fn create_dir(&mut self, place: Place<'_>, recursive: bool) -> Result<()> {
        let (parent, depth) = match self.tree.locate(place.names()) {
            Location::Blocked => return Err(not_a_directory()),
            Location::Found(id) => return self.keep_existing(id, recursive),
            Location::Missing { parent, depth } => (parent, depth),
        };
        let scope_depth = place.scope.components().count();
        let full_depth = scope_depth + place.path.components().count();
        if !recursive && depth.max(scope_depth) + 1 < full_depth {
            return Err(not_found());
        }
        let now = self.tick();
        let mut at = parent;
        for name in place.names().skip(depth) {
            at = self.tree.add(at, name, Body::directory(true), now);
        }
        Ok(())
    }

    fn keep_existing(&mut self, id: NodeId, recursive: bool) -> Result<()> {
        if !recursive || self.tree.children(id).is_none() {
            return Err(already_exists());
        }
        self.keep(id);
        Ok(())
    }

    /// Removes a file or directory; the root of the scope stays.
    pub(super) fn remove_entry(&mut self, place: Place<'_>, options: RemoveOptions) -> Result<()> {
        if place.path.is_root() {
            return Err(Error::new(
                ErrorCode::InvalidPath,
                "the workspace's root cannot be removed",
            ));
        }
        let id = match self.find(place) {
            Ok(id) => id,
            Err(error) if options.force && error.code() == ErrorCode::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        match (options.only, self.tree.children(id).is_some()) {
            (Removable::File, true) => return Err(is_a_directory()),
            (Removable::Directory, false) => return Err(not_a_directory()),
            _ => {}
        }
        if !options.recursive
            && self
                .tree
                .children(id)
                .is_some_and(|below| !below.is_empty())
        {
            return Err(not_empty("pass `recursive` to remove what is in it"));
        }
        self.keep(self.tree.node(id).parent);
        let now = self.tick();
        self.remove(id, now);
        Ok(())
    }

    /// Renames a file or directory, with all below it at once.
    pub(super) fn rename(
        &mut self,
        from: Place<'_>,
        to: Place<'_>,
        options: RenameOptions,
    ) -> Result<()> {
        if from.path.is_root() || to.path.is_root() {
            return Err(Error::new(
                ErrorCode::InvalidPath,
                "the workspace's root cannot be renamed",
            ));
        }
        let id = self.find(from)?;
        if from.path == to.path && !options.keep_existing {
            return Ok(());
        }
        if from.path != to.path && to.path.starts_with(from.path) {
            return Err(match self.tree.children(id) {
                Some(_) => Error::new(
                    ErrorCode::InvalidPath,
                    "a directory cannot be moved into itself",
                ),
                None => not_a_directory(),
            });
        }
        let Some((parent_path, name)) = to.path.split_last() else {
            return Err(not_found());
        };
        let replaced = match self.tree.locate(to.names()) {
            Location::Blocked => return Err(not_a_directory()),
            Location::Missing { depth, .. }
                if options.existing_parent && depth + 1 < to.names().count() =>
            {
                return Err(not_found().at(to.path.to_string_lossy()));
            }
            Location::Missing { .. } => None,
            Location::Found(_) if options.keep_existing => {
                return Err(already_exists().at(to.path.to_string_lossy()));
            }
            Location::Found(target) => Some(self.check_replaceable(id, target, from, to)?),
        };
        let now = self.tick();
        if let Some(target) = replaced {
            self.remove(target, now);
        }
        self.keep(self.tree.node(id).parent);
        let parent_place = Place {
            scope: to.scope,
            path: &parent_path,
        };
        let parent = self.ensure_directories(parent_place.names(), false, now)?;
        self.tree.relink(id, parent, name, now);
        Ok(())
    }

    /// The target, where the source may take its place.
    fn check_replaceable(
        &self,
        source: NodeId,
        target: NodeId,
        from: Place<'_>,
        to: Place<'_>,
    ) -> Result<NodeId> {
        // As the kernel has it, whatever the source is: its own ancestor is not empty.
        if from.path.starts_with(to.path) {
            return Err(not_empty("what is in it cannot take its place"));
        }
        match (
            self.tree.children(source).is_some(),
            self.tree.children(target).is_some(),
        ) {
            (false, false) => Ok(target),
            (false, true) => Err(is_a_directory()),
            (true, false) => Err(Error::new(
                ErrorCode::NotADirectory,
                "the target is a file, and a directory cannot replace it",
            )),
            (true, true) if self.tree.is_empty_directory(target) => Ok(target),
            (true, true) => Err(not_empty("a directory replaces only an empty one")),
        }
    }

    /// From now on this directory stays when it is empty.
    fn keep(&mut self, id: NodeId) {
        if let Body::Directory { explicit, .. } = &mut self.tree.node_mut(id).body {
            *explicit = true;
        }
    }
}

fn not_empty(advice: &str) -> Error {
    Error::new(
        ErrorCode::NotEmpty,
        format!("the directory is not empty; {advice}"),
    )
}
