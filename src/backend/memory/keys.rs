//! The store by its keys: what begins with a text, deleting, clearing.

use std::ops::Bound;

use super::store::{Place, State};
use super::tree::{Body, Location, NodeId};
use crate::backend::Keys;
use crate::error::Result;
use crate::path::{RelPath, strip_root};

/// A textual prefix, split where directories end: below `directory`, names that begin with `name`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    directory: RelPath,
    name: Vec<u8>,
}

impl Prefix {
    /// Reads a prefix by the rules of paths, except that what follows the last slash may be a part of a name.
    pub(super) fn parse(text: &[u8], root: &[u8]) -> Result<Self> {
        let below = if text.first() == Some(&b'/') {
            strip_root(text, root).unwrap_or(text)
        } else {
            text
        };
        let below = &below[below.iter().take_while(|&&b| b == b'/').count()..];
        let split = below
            .iter()
            .rposition(|&b| b == b'/')
            .map_or(0, |at| at + 1);
        let (directory, name) = below.split_at(split);
        // `a/..` names a directory; any other end is the beginning of a name, and so can begin with dots.
        let (directory, name) = if name == b".." {
            (below, &below[below.len()..])
        } else {
            (directory, name)
        };
        if name.contains(&0) {
            // The one place that knows the rules says what is wrong.
            RelPath::parse(name, root)?;
        }
        Ok(Self {
            directory: RelPath::parse(directory, b"/")?,
            name: name.to_vec(),
        })
    }
}

/// Keys as the tree gives them, directory by directory.
#[derive(Default)]
struct Collected {
    keys: Keys,
    last: Vec<u8>,
    out_of_order: bool,
}

impl Collected {
    fn push(&mut self, key: &[u8]) {
        self.out_of_order |= *key < *self.last;
        self.last.clear();
        self.last.extend_from_slice(key);
        self.keys.push(key);
    }

    /// The tree's order differs from that of the bytes only where a name holds a byte below `/`, as in `a.b` beside
    /// `a/b`.
    fn in_order(self) -> Keys {
        if !self.out_of_order {
            return self.keys;
        }
        let mut sorted: Vec<&[u8]> = self.keys.iter().collect();
        sorted.sort();
        let mut keys = Keys::default();
        for key in sorted {
            keys.push(key);
        }
        keys
    }
}

impl State {
    /// The keys with a prefix, relative to the scope, in byte order.
    pub(super) fn list_keys(&self, scope: &RelPath, prefix: &Prefix) -> Keys {
        let place = Place {
            scope,
            path: &prefix.directory,
        };
        let Location::Found(top) = self.tree.locate(place.names()) else {
            return Keys::default();
        };
        let Some(children) = self.tree.children(top) else {
            return Keys::default();
        };
        let mut base = prefix.directory.as_bytes().to_vec();
        if !base.is_empty() {
            base.push(b'/');
        }
        let base_length = base.len();
        let mut keys = Collected::default();
        let from = (Bound::Included(prefix.name.as_slice()), Bound::Unbounded);
        for (name, &id) in children
            .range::<[u8], _>(from)
            .take_while(|(name, _)| name.starts_with(&prefix.name))
        {
            base.truncate(base_length);
            base.extend_from_slice(name);
            self.collect_keys(id, &mut base, &mut keys);
        }
        keys.in_order()
    }

    /// The keys at and below a node whose own path is `path`. Does not recurse: depth is the caller's to choose.
    fn collect_keys(&self, id: NodeId, path: &mut Vec<u8>, keys: &mut Collected) {
        let Some(children) = self.tree.children(id) else {
            keys.push(path);
            return;
        };
        let mut open = vec![(path.len(), children.iter())];
        while let Some((length, rest)) = open.last_mut() {
            path.truncate(*length);
            let Some((name, &child)) = rest.next() else {
                open.pop();
                continue;
            };
            path.push(b'/');
            path.extend_from_slice(name);
            match self.tree.children(child) {
                Some(children) => open.push((path.len(), children.iter())),
                None => keys.push(path),
            }
        }
    }

    /// Deletes a file, and the directories that only it had brought about.
    pub(super) fn delete_key(&mut self, place: Place<'_>) -> bool {
        let Location::Found(id) = self.tree.locate(place.names()) else {
            return false;
        };
        let node = self.tree.node(id);
        if !matches!(node.body, Body::File { .. }) {
            return false;
        }
        let parent = node.parent;
        let now = self.tick();
        self.remove(id, now);
        self.prune(parent, now);
        true
    }

    /// Deletes all that is below a scope's root.
    pub(super) fn clear(&mut self, scope: &RelPath) {
        let Location::Found(top) = self.tree.locate(scope.components()) else {
            return;
        };
        let Some(children) = self.tree.children(top) else {
            return;
        };
        let below: Vec<NodeId> = children.values().copied().collect();
        let now = self.tick();
        for id in below {
            self.remove(id, now);
        }
        self.prune(top, now);
    }
}
