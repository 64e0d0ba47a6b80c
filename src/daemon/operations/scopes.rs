//! The workspaces of the scopes that a connection works in: made once, kept while they are in use, and no more of them
//! than an application has at a time, since each is known to its parent while it is kept.

use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::path::RelPath;
use crate::workspace::{ScopeOptions, Workspace};

/// Scopes that are kept.
const KEPT: usize = 32;

#[derive(Debug)]
pub(in crate::daemon) struct Scopes {
    root: Workspace,
    /// The one that was used last at the end.
    kept: Mutex<Vec<(RelPath, Workspace)>>,
}

impl Scopes {
    pub(in crate::daemon) fn new(root: Workspace) -> Self {
        Self {
            root,
            kept: Mutex::default(),
        }
    }

    /// The workspace of a scope, confined there as any scope is.
    pub(in crate::daemon) fn get(&self, scope: &RelPath) -> Result<Workspace> {
        if scope.is_root() {
            return Ok(self.root.clone());
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = kept.iter().rposition(|(path, _)| path == scope) {
            let last = kept.len() - 1;
            kept[at..].rotate_left(1);
            return Ok(kept[last].1.clone());
        }
        let workspace = self.root.scope(scope.as_bytes(), ScopeOptions::default())?;
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push((scope.clone(), workspace.clone()));
        Ok(workspace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::memory::{MemoryBackend, MemoryOptions};
    use crate::workspace::WorkspaceOptions;

    #[test]
    fn scopes_are_made_once_and_only_so_many_are_kept() {
        let root = Workspace::new(
            MemoryBackend::new(MemoryOptions::default()).unwrap(),
            WorkspaceOptions::default(),
            ScopeOptions::default(),
        );
        let scopes = Scopes::new(root.clone());
        for _ in 0..3 {
            for number in 0..KEPT {
                let path = format!("s/{number}");
                let scope = RelPath::parse(path.as_bytes(), b"/").unwrap();
                assert_eq!(scopes.get(&scope).unwrap().scope_path(), &scope);
            }
        }
        assert_eq!(root.active_scopes().len(), KEPT);
        for number in 0..1_000 {
            let scope = RelPath::parse(format!("t{number}").as_bytes(), b"/").unwrap();
            assert!(scopes.get(&scope).is_ok());
        }
        assert_eq!(root.active_scopes().len(), KEPT);
        assert!(scopes.get(&RelPath::root()).unwrap().parent().is_none());
    }
}
