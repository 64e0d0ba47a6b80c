//! The way to a node by its parent and name in one step.
//!
//! Each directory's ordered map has every entry; in a large one a search through it touches many cache lines. This
//! index touches one. It holds indices under keyed 64-bit hashes, not names, so it stays small, renaming a directory
//! moves nothing in it, and whoever chooses the names cannot make them meet. Should two meet all the same, the maps
//! are right: what is found here is always checked against the node.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use super::tree::NodeId;

#[derive(Debug, Default)]
pub(super) struct Index {
    keys: RandomState,
    nodes: HashMap<u64, NodeId, BuildHasherDefault<AlreadyHashed>>,
    /// Two names have met once: that a name is not here no longer means that it does not exist.
    met: bool,
}

/// What the index knows of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// This node, if its parent and name are those asked for; else unknown.
    Perhaps(NodeId),
    Absent,
    Unknown,
}

impl Index {
    pub(super) fn get(&self, parent: NodeId, name: &[u8]) -> Hint {
        match self.nodes.get(&self.hash(parent, name)) {
            Some(&id) => Hint::Perhaps(id),
            None if self.met => Hint::Unknown,
            None => Hint::Absent,
        }
    }

    pub(super) fn insert(&mut self, parent: NodeId, name: &[u8], id: NodeId) {
        let hash = self.hash(parent, name);
        self.met |= self.nodes.insert(hash, id).is_some();
    }

    pub(super) fn remove(&mut self, parent: NodeId, name: &[u8], id: NodeId) {
        let hash = self.hash(parent, name);
        if self.nodes.get(&hash) == Some(&id) {
            self.nodes.remove(&hash);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    fn hash(&self, parent: NodeId, name: &[u8]) -> u64 {
        let mut hasher = self.keys.build_hasher();
        hasher.write_u32(parent);
        hasher.write(name);
        hasher.finish()
    }
}

/// Takes a hash for what it is.
#[derive(Debug, Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn write(&mut self, bytes: &[u8]) {
        // Only `write_u64` is called; anything else would still be a hash, if a bad one.
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_met_another_is_unknown_and_never_absent() {
        let mut index = Index::default();
        assert_eq!(index.get(0, b"a"), Hint::Absent);
        index.insert(0, b"a", 1);
        // The same name again stands for another name with the same hash.
        index.insert(0, b"a", 2);
        assert_eq!(index.get(0, b"a"), Hint::Perhaps(2));
        index.remove(0, b"a", 1);
        assert_eq!(index.get(0, b"a"), Hint::Perhaps(2));
        index.remove(0, b"a", 2);
        assert_eq!(index.get(0, b"a"), Hint::Unknown);
    }
}
