//! Directories of a walk and their handles. A directory is always reached from the handle of the one above, and only
//! so many handles are kept open: the oldest is closed, and if it is needed again it is opened again, step by step
//! from the nearest directory above that is still open.

use std::collections::VecDeque;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::io::Errno;

use super::super::ignore_files::IgnoreChain;
use crate::path::RelPath;
use crate::sys::linux::child;

/// Handles kept for directories that still have something to search in them. Workers hold one or two more each.
const MAX_OPEN: usize = 64;

/// A directory of the tree. It knows the one above, so a chain of them is as long as a path can be (2,048).
#[derive(Debug)]
pub(super) struct Directory {
    parent: Option<Arc<Directory>>,
    name: CString,
    /// Relative to the backend's root.
    pub(super) path: RelPath,
    /// Depth of what is in it; 1 for the base.
    pub(super) depth: usize,
    /// What holds where it is; its own ignore files come on top.
    pub(super) ignores: IgnoreChain,
    handle: Mutex<Option<Arc<OwnedFd>>>,
}

impl Directory {
    /// The directory where the walk begins.
    pub(super) fn base(handle: OwnedFd, path: RelPath, ignores: IgnoreChain) -> Arc<Self> {
        Arc::new(Self {
            parent: None,
            name: CString::default(),
            path,
            depth: 1,
            ignores,
            handle: Mutex::new(Some(Arc::new(handle))),
        })
    }

    /// A directory in this one; nothing is opened yet.
    pub(super) fn child(
        self: &Arc<Self>,
        name: CString,
        path: RelPath,
        ignores: IgnoreChain,
    ) -> Arc<Self> {
        Arc::new(Self {
            parent: Some(Arc::clone(self)),
            name,
            path,
            depth: self.depth + 1,
            ignores,
            handle: Mutex::new(None),
        })
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<OwnedFd>>> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // The derived drop would recurse as deep as the tree is.
        let mut above = self.parent.take();
        while let Some(directory) = above {
            above = Arc::into_inner(directory).and_then(|mut directory| directory.parent.take());
        }
    }
}

/// The handles that are kept.
#[derive(Debug, Default)]
pub(super) struct Handles {
    /// Oldest first.
    kept: Mutex<VecDeque<Weak<Directory>>>,
}

impl Handles {
    /// The handle of a directory, opened if need be. It stays open as long as the result is held.
    pub(super) fn open(&self, directory: &Arc<Directory>) -> Result<Arc<OwnedFd>, Errno> {
        let mut way = Vec::new();
        let mut at = directory;
        let mut handle = loop {
            if let Some(handle) = &*at.slot() {
                break Arc::clone(handle);
            }
            way.push(at);
            // The base is never closed, so the way up ends there at the latest.
            at = at.parent.as_ref().ok_or(Errno::BADF)?;
        };
        // On a long way back down the last part is worth keeping: what is searched next is near.
        let worth_keeping = MAX_OPEN / 2;
        while let Some(next) = way.pop() {
            handle = Arc::new(self.step(&handle, next)?);
            if !way.is_empty() && way.len() < worth_keeping {
                self.keep(next, &handle);
            }
        }
        Ok(handle)
    }

    fn step(&self, parent: &OwnedFd, directory: &Directory) -> Result<OwnedFd, Errno> {
        match child::open_directory(parent.as_fd(), &directory.name) {
            Err(Errno::MFILE | Errno::NFILE) => {
                self.shed(0);
                child::open_directory(parent.as_fd(), &directory.name)
            }
            other => other,
        }
    }

    /// Keeps the handle of a directory that has more to search in it.
    pub(super) fn keep(&self, directory: &Arc<Directory>, handle: &Arc<OwnedFd>) {
        if directory.parent.is_none() {
            return;
        }
        let previous = directory.slot().replace(Arc::clone(handle));
        if previous.is_none() {
            self.lock().push_back(Arc::downgrade(directory));
            self.shed(MAX_OPEN);
        }
    }

    /// Closes the oldest until no more than so many are open.
    fn shed(&self, most: usize) {
        let mut kept = self.lock();
        if kept.len() <= most {
            return;
        }
        kept.retain(|directory| directory.strong_count() > 0);
        while kept.len() > most {
            let oldest = kept.pop_front().and_then(|directory| directory.upgrade());
            if let Some(directory) = oldest {
                directory.slot().take();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Weak<Directory>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
