//! What a search looks through. The matching is [`crate::search`]'s; it runs on a snapshot, outside the lock.

use super::store::{Place, State};
use super::tree::{Body, NodeId};
use crate::backend::FileKind;
use crate::error::Result;
use crate::path::RelPath;
use crate::search::{IGNORE_FILE_NAMES, SearchEntry};

impl State {
    /// The node at `base` and all below it, with paths relative to the scope. Values are shared, not copied.
    pub(super) fn snapshot(&self, scope: &RelPath, base: &RelPath) -> Result<Vec<SearchEntry>> {
        let top = self.find(Place { scope, path: base })?;
        let mut entries = Vec::new();
        let mut open = vec![(top, base.clone())];
        while let Some((id, path)) = open.pop() {
            if let Some(children) = self.tree.children(id) {
                let below = children.iter().rev();
                open.extend(below.map(|(name, &child)| (child, path.child(name))));
            }
            entries.push(self.search_entry(id, path));
        }
        Ok(entries)
    }

    /// The ignore files of the directories above a base: what they leave out stays out of a search that starts lower.
    pub(super) fn ignore_files_above(&self, scope: &RelPath, base: &RelPath) -> Vec<SearchEntry> {
        let mut entries = Vec::new();
        let mut at = base.clone();
        while let Some((parent, _)) = at.split_last() {
            for name in IGNORE_FILE_NAMES {
                let path = parent.child(name);
                if let Ok(id) = self.find(Place { scope, path: &path }) {
                    entries.push(self.search_entry(id, path));
                }
            }
            at = parent;
        }
        entries
    }

    fn search_entry(&self, id: NodeId, path: RelPath) -> SearchEntry {
        let node = self.tree.node(id);
        let (kind, bytes) = match &node.body {
            Body::File { bytes, .. } => (FileKind::File, bytes.clone()),
            _ => (FileKind::Directory, bytes::Bytes::new()),
        };
        SearchEntry {
            path,
            kind,
            size: bytes.len() as u64,
            mtime_ns: node.times.modified.into(),
            bytes,
        }
    }
}
