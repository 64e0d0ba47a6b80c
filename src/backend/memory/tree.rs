//! The tree of nodes: names, kinds and links between them, and nothing else.
//!
//! Nodes live in one arena and name each other by index. So a directory of any size is renamed by moving one entry,
//! a tree of any depth is removed and dropped without recursion, and each directory's ordered map makes a listing
//! or a prefix scan cost what it returns, not what the store holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::index::{Hint, Index};

/// In a directory with no more entries than this its own map is faster than the index.
const SMALL_DIRECTORY: usize = 16;

/// The index of a node in its tree. Reused after the node is gone, so it never outlives a lock.
pub(super) type NodeId = u32;

/// The root: always there, always a directory, its own parent.
pub(super) const ROOT: NodeId = 0;

/// A file or a directory.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) parent: NodeId,
    pub(super) name: Arc<[u8]>,
    /// Fresh for each new node, kept until it is removed.
    pub(super) ino: u64,
    /// Permission bits, without the kind.
    pub(super) permissions: u16,
    pub(super) times: Times,
    pub(super) body: Body,
}

/// Nanoseconds since 1970 UTC; 64 bits reach the year 2262.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) accessed: i64,
    pub(super) modified: i64,
    pub(super) changed: i64,
    pub(super) created: i64,
}

impl Times {
    pub(super) fn all(now: i64) -> Self {
        Self {
            accessed: now,
            modified: now,
            changed: now,
            created: now,
        }
    }
}

/// What a node holds.
#[derive(Debug)]
pub(super) enum Body {
    File {
        bytes: Bytes,
        /// When the value vanishes, on the store's own clock.
        expires: Option<u64>,
    },
    Directory {
        children: BTreeMap<Arc<[u8]>, NodeId>,
        /// Stays when it is empty. Otherwise it is there only because a key is below it.
        explicit: bool,
    },
    /// A slot that waits for its next node.
    Vacant,
}

impl Body {
    pub(super) fn directory(explicit: bool) -> Self {
        Body::Directory {
            children: BTreeMap::new(),
            explicit,
        }
    }
}

/// Where a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Location {
    Found(NodeId),
    /// The deepest directory that exists, and how many names lead to it.
    Missing {
        parent: NodeId,
        depth: usize,
    },
    /// A name on the way is a file.
    Blocked,
}

/// All nodes, the root included.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    vacant: Vec<NodeId>,
    by_name: Index,
    next_ino: u64,
}

impl Tree {
    pub(super) fn new(now: i64) -> Self {
        let mut tree = Self {
            nodes: Vec::new(),
            vacant: Vec::new(),
            by_name: Index::default(),
            next_ino: 1,
        };
        tree.allocate(ROOT, Arc::from([]), Body::directory(true), now);
        tree
    }

    /// How many nodes there are, the root included.
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - self.vacant.len()
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id as usize]
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    /// A node, if it still is the one with this number.
    pub(super) fn get_mut(&mut self, id: NodeId, ino: u64) -> Option<&mut Node> {
        let node = self.nodes.get_mut(id as usize)?;
        (node.ino == ino && !matches!(node.body, Body::Vacant)).then_some(node)
    }

    /// Gives a node another number: what is under its name is another file from now on.
    pub(super) fn renew(&mut self, id: NodeId) {
        self.node_mut(id).ino = self.next_ino;
        self.next_ino += 1;
    }

    /// The entries of a directory in byte order; `None` for a file.
    pub(super) fn children(&self, id: NodeId) -> Option<&BTreeMap<Arc<[u8]>, NodeId>> {
        match &self.node(id).body {
            Body::Directory { children, .. } => Some(children),
            _ => None,
        }
    }

    fn children_mut(&mut self, id: NodeId) -> Option<&mut BTreeMap<Arc<[u8]>, NodeId>> {
        match &mut self.node_mut(id).body {
            Body::Directory { children, .. } => Some(children),
            _ => None,
        }
    }

    pub(super) fn is_empty_directory(&self, id: NodeId) -> bool {
        self.children(id).is_some_and(BTreeMap::is_empty)
    }

    /// Follows names down from the root.
    pub(super) fn locate<'a>(&self, names: impl Iterator<Item = &'a [u8]>) -> Location {
        let mut at = ROOT;
        for (depth, name) in names.enumerate() {
            let Some(children) = self.children(at) else {
                return Location::Blocked;
            };
            match self.child(at, children, name) {
                Some(child) => at = child,
                None => return Location::Missing { parent: at, depth },
            }
        }
        Location::Found(at)
    }

    fn child(
        &self,
        parent: NodeId,
        children: &BTreeMap<Arc<[u8]>, NodeId>,
        name: &[u8],
    ) -> Option<NodeId> {
        if children.len() > SMALL_DIRECTORY {
            match self.by_name.get(parent, name) {
                Hint::Perhaps(id) => {
                    let node = self.node(id);
                    if node.parent == parent && *node.name == *name {
                        return Some(id);
                    }
                }
                Hint::Absent => return None,
                Hint::Unknown => {}
            }
        }
        children.get(name).copied()
    }

    /// A new node in a directory that has no such name.
    pub(super) fn add(&mut self, parent: NodeId, name: &[u8], body: Body, now: i64) -> NodeId {
        let name: Arc<[u8]> = Arc::from(name);
        let id = self.allocate(parent, Arc::clone(&name), body, now);
        self.link(parent, name, id, now);
        id
    }

    /// Moves a node to a name that is free. The caller has made sure that `parent` does not lie below it.
    pub(super) fn relink(&mut self, id: NodeId, parent: NodeId, name: &[u8], now: i64) {
        self.unlink(id, now);
        let name: Arc<[u8]> = Arc::from(name);
        let node = self.node_mut(id);
        node.parent = parent;
        node.name = Arc::clone(&name);
        node.times.changed = now;
        self.link(parent, name, id, now);
    }

    /// Removes a node and all below it; gives each removed file's value and expiry to `discard`.
    pub(super) fn remove(
        &mut self,
        id: NodeId,
        now: i64,
        mut discard: impl FnMut(NodeId, &Node, Bytes, Option<u64>),
    ) {
        self.unlink(id, now);
        let no_name: Arc<[u8]> = Arc::from([]);
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            match std::mem::replace(&mut self.node_mut(id).body, Body::Vacant) {
                Body::File { bytes, expires } => discard(id, self.node(id), bytes, expires),
                Body::Directory { children, .. } => open.extend(children.into_values()),
                Body::Vacant => {}
            }
            let node = &mut self.nodes[id as usize];
            let name = std::mem::replace(&mut node.name, Arc::clone(&no_name));
            self.by_name.remove(node.parent, &name, id);
            self.vacant.push(id);
        }
        // Nothing but the root is left: give back what a large tree had needed.
        if self.vacant.len() + 1 == self.nodes.len() {
            self.nodes.truncate(1);
            self.nodes.shrink_to(64);
            self.vacant = Vec::new();
            self.by_name = Index::default();
        }
    }

    fn allocate(&mut self, parent: NodeId, name: Arc<[u8]>, body: Body, now: i64) -> NodeId {
        let node = Node {
            parent,
            name,
            ino: self.next_ino,
            permissions: match body {
                Body::Directory { .. } => 0o755,
                _ => 0o644,
            },
            times: Times::all(now),
            body,
        };
        self.next_ino += 1;
        if let Some(id) = self.vacant.pop() {
            *self.node_mut(id) = node;
            return id;
        }
        // 2^32 nodes would take half a terabyte; memory ends long before.
        let id = self.nodes.len() as NodeId;
        self.nodes.push(node);
        id
    }

    fn link(&mut self, parent: NodeId, name: Arc<[u8]>, id: NodeId, now: i64) {
        self.by_name.insert(parent, &name, id);
        if let Some(children) = self.children_mut(parent) {
            children.insert(name, id);
        }
        let times = &mut self.node_mut(parent).times;
        times.modified = now;
        times.changed = now;
    }

    fn unlink(&mut self, id: NodeId, now: i64) {
        let parent = self.node(id).parent;
        let name = Arc::clone(&self.node(id).name);
        self.by_name.remove(parent, &name, id);
        if let Some(children) = self.children_mut(parent) {
            children.remove(&name);
        }
        let times = &mut self.node_mut(parent).times;
        times.modified = now;
        times.changed = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &str) -> impl Iterator<Item = &[u8]> {
        path.split('/').map(str::as_bytes)
    }

    fn file() -> Body {
        Body::File {
            bytes: Bytes::new(),
            expires: None,
        }
    }

    #[test]
    fn the_index_has_every_node_and_no_more_through_all_changes() {
        let mut tree = Tree::new(1);
        let kept = tree.add(ROOT, b"kept", file(), 1);
        let a = tree.add(ROOT, b"a", Body::directory(false), 1);
        for number in 0..100 {
            let below = tree.add(a, format!("{number}").as_bytes(), Body::directory(false), 1);
            tree.add(below, b"file", file(), 1);
        }
        tree.relink(a, ROOT, b"b", 2);
        assert_eq!(tree.by_name.len(), tree.len() - 1);
        assert!(matches!(
            tree.locate(names("b/99/file")),
            Location::Found(_)
        ));
        assert_eq!(
            tree.locate(names("a/99/file")),
            Location::Missing {
                parent: ROOT,
                depth: 0
            }
        );
        assert_eq!(
            tree.locate(names("b/100/file")),
            Location::Missing {
                parent: a,
                depth: 1
            }
        );
        let mut removed = 0;
        tree.remove(a, 3, |_, _, _, _| removed += 1);
        assert_eq!((removed, tree.len(), tree.by_name.len()), (100, 2, 1));
        // What is added now takes the places of what is gone.
        let a = tree.add(ROOT, b"a", Body::directory(false), 4);
        assert_eq!(tree.locate(names("a")), Location::Found(a));
        assert_eq!(
            tree.locate(names("a/0")),
            Location::Missing {
                parent: a,
                depth: 1
            }
        );
        assert_eq!(tree.locate(names("kept/x")), Location::Blocked);
        assert_eq!(tree.locate(names("kept")), Location::Found(kept));
    }

    #[test]
    fn a_large_tree_gives_its_memory_back() {
        let mut tree = Tree::new(1);
        let a = tree.add(ROOT, b"a", Body::directory(false), 1);
        for number in 0..10_000 {
            tree.add(a, format!("{number}").as_bytes(), file(), 1);
        }
        tree.remove(a, 2, |_, _, _, _| {});
        assert_eq!(tree.len(), 1);
        assert!(tree.nodes.capacity() <= 64 && tree.vacant.capacity() == 0);
    }
}
