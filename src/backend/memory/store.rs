//! What all scopes of one memory backend share: the tree under its lock, the clock, the bound on bytes, expiry.
//!
//! Every operation is one short critical section. What has expired is removed at the start of each, so that no
//! operation ever sees it; each value is swept once, so the cost is amortised over the writes, without a timer.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::open::Held;
use super::tree::{Body, Location, NodeId, ROOT, Times, Tree};
use crate::backend::{FileKind, FileStat};
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::pool;

/// Freeing a value of this size means giving pages back to the system: not while others wait for the lock.
const LARGE_VALUE: usize = 128 << 10;
/// Freeing this much takes milliseconds: not on the caller's thread, which may be an event loop.
const LARGE_TRASH: usize = 4 << 20;

/// A device number for each store, so that etags of two stores never agree.
static NEXT_DEVICE: AtomicU64 = AtomicU64::new(1);

/// A path below a scope's root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// Where the scope is, below the store's root.
    pub(super) scope: &'a RelPath,
    /// The path in the scope.
    pub(super) path: &'a RelPath,
}

impl<'a> Place<'a> {
    /// The names from the store's root down.
    pub(super) fn names(self) -> impl Iterator<Item = &'a [u8]> {
        self.scope.components().chain(self.path.components())
    }
}

/// The shared part of a memory backend and its scopes.
#[derive(Debug)]
pub(super) struct Store {
    state: Mutex<State>,
}

/// What the lock protects.
#[derive(Debug)]
pub(super) struct State {
    pub(super) tree: Tree,
    /// Bytes of all values.
    pub(super) used: u64,
    pub(super) max_bytes: u64,
    ttl_ms: Option<u64>,
    device: u64,
    /// The store's own clock, which no change of the system's time moves.
    started: Instant,
    /// The last time given out, so that the next is later.
    last_time: i64,
    /// When values vanish, the earliest first.
    expiring: BTreeSet<(u64, NodeId)>,
    /// Values that are open, by their numbers.
    pub(super) held: HashMap<u64, Held>,
    /// Bytes of values that arrive in pieces.
    pub(super) staged: u64,
    /// Large values to free outside the lock.
    trash: Vec<Bytes>,
    closed: bool,
}

impl Store {
    pub(super) fn new(max_bytes: Option<u64>, ttl_ms: Option<u64>) -> Self {
        Self {
            state: Mutex::new(State {
                tree: Tree::new(system_time()),
                used: 0,
                max_bytes: max_bytes.unwrap_or(u64::MAX),
                ttl_ms,
                device: NEXT_DEVICE.fetch_add(1, Ordering::Relaxed),
                started: Instant::now(),
                last_time: 0,
                expiring: BTreeSet::new(),
                held: HashMap::new(),
                staged: 0,
                trash: Vec::new(),
                closed: false,
            }),
        }
    }

    /// One operation: alone, on what has not expired.
    pub(super) fn with<T>(&self, operation: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(Error::new(
                ErrorCode::Destroyed,
                "the backend was destroyed; create a new one",
            ));
        }
        if !state.expiring.is_empty() {
            state.sweep();
        }
        let outcome = operation(&mut state);
        if state.trash.is_empty() {
            return outcome;
        }
        let trash = std::mem::take(&mut state.trash);
        drop(state);
        discard(trash);
        outcome
    }

    /// Drops all content; later operations fail. Idempotent.
    pub(super) fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed = true;
        state.used = 0;
        state.expiring = BTreeSet::new();
        state.held = HashMap::new();
        let now = state.tick();
        let tree = std::mem::replace(&mut state.tree, Tree::new(now));
        let trash = std::mem::take(&mut state.trash);
        drop(state);
        if tree.len() > 1_000 {
            pool::detach(move || drop(tree));
        }
        discard(trash);
    }

    /// Lets the store's own clock jump, so that no test of expiry has to wait.
    #[cfg(test)]
    pub(super) fn advance(&self, by: std::time::Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.started = state.started.checked_sub(by).unwrap();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed
    }
}

fn discard(trash: Vec<Bytes>) {
    if trash.iter().map(Bytes::len).sum::<usize>() > LARGE_TRASH {
        pool::detach(move || drop(trash));
    }
}

fn system_time() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
        })
}

impl State {
    /// The time of a change: strictly later than that of every earlier one, so that each state has its own etag.
    pub(super) fn tick(&mut self) -> i64 {
        self.last_time = system_time().max(self.last_time + 1);
        self.last_time
    }

    /// What is under a path.
    pub(super) fn find(&self, place: Place<'_>) -> Result<NodeId> {
        match self.tree.locate(place.names()) {
            Location::Found(id) => Ok(id),
            Location::Missing { .. } => Err(not_found()),
            Location::Blocked => Err(not_a_directory()),
        }
    }

    /// Makes sure that `names` lead to a directory, creating what is missing.
    pub(super) fn ensure_directories<'a>(
        &mut self,
        names: impl Iterator<Item = &'a [u8]>,
        explicit: bool,
        now: i64,
    ) -> Result<NodeId> {
        let mut at = ROOT;
        for name in names {
            let children = self.tree.children(at).ok_or_else(not_a_directory)?;
            at = match children.get(name) {
                Some(&child) => child,
                None => self.tree.add(at, name, Body::directory(explicit), now),
            };
        }
        if self.tree.children(at).is_none() {
            return Err(not_a_directory());
        }
        Ok(at)
    }

    /// Refuses a change that would take more than the bound.
    pub(super) fn reserve(&self, new_length: usize, old_length: usize) -> Result<()> {
        let after = (self.used - old_length as u64).saturating_add(new_length as u64);
        if new_length > old_length && after > self.max_bytes {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!(
                    "the backend would hold {after} bytes, more than its bound of {}; remove something or raise `maxBytes`",
                    self.max_bytes
                ),
            ));
        }
        Ok(())
    }

    /// Gives a file its value; the room for it has been reserved.
    pub(super) fn set_value(&mut self, id: NodeId, value: Bytes, expires: Option<u64>) {
        let length = value.len() as u64;
        let body = Body::File {
            bytes: value,
            expires,
        };
        let old = std::mem::replace(&mut self.tree.node_mut(id).body, body);
        self.used += length;
        if let Some(expires) = expires {
            self.expiring.insert((expires, id));
        }
        if let Body::File {
            bytes,
            expires: was,
        } = old
        {
            self.used -= bytes.len() as u64;
            if let Some(was) = was
                && Some(was) != expires
            {
                self.expiring.remove(&(was, id));
            }
            self.throw_away(bytes);
        }
    }

    /// Notes that a value has another length.
    pub(super) fn resized(&mut self, old_length: usize, new_length: usize) {
        self.used = (self.used - old_length as u64) + new_length as u64;
    }

    /// Takes bytes that were moved out of a node off the account.
    pub(super) fn forget_bytes(&mut self, length: usize) {
        self.used -= length as u64;
    }

    /// Removes a node and all below it.
    pub(super) fn remove(&mut self, id: NodeId, now: i64) {
        let Self {
            tree,
            used,
            expiring,
            held,
            trash,
            ..
        } = self;
        tree.remove(id, now, |id, node, bytes, expires| {
            let is_open = !held.is_empty() && Self::keep_open(held, node, &bytes);
            if !is_open {
                *used -= bytes.len() as u64;
            }
            if let Some(expires) = expires {
                expiring.remove(&(expires, id));
            }
            if bytes.len() >= LARGE_VALUE && !is_open {
                trash.push(bytes);
            }
        });
    }

    /// Removes directories that were there only because of a key below them, from `id` upwards.
    pub(super) fn prune(&mut self, mut id: NodeId, now: i64) {
        while id != ROOT
            && let Body::Directory { children, explicit } = &self.tree.node(id).body
            && children.is_empty()
            && !explicit
        {
            let parent = self.tree.node(id).parent;
            self.remove(id, now);
            id = parent;
        }
    }

    /// When a value that is written now vanishes: by what the write says, else by the backend's default.
    pub(super) fn expiry(&self, ttl_ms: Option<u64>) -> Option<u64> {
        let ttl = ttl_ms.or(self.ttl_ms)?;
        self.now().checked_add(ttl.checked_mul(1_000_000)?)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn sweep(&mut self) {
        let now = self.now();
        while let Some(&(expires, id)) = self.expiring.first()
            && expires <= now
        {
            let time = self.tick();
            let parent = self.tree.node(id).parent;
            self.remove(id, time);
            self.prune(parent, time);
        }
    }

    pub(super) fn throw_away(&mut self, bytes: Bytes) {
        if bytes.len() >= LARGE_VALUE {
            self.trash.push(bytes);
        }
    }

    /// What `stat` says of a node.
    pub(super) fn stat(&self, id: NodeId) -> FileStat {
        let node = self.tree.node(id);
        let (kind, size) = match &node.body {
            Body::File { bytes, .. } => (FileKind::File, bytes.len() as u64),
            _ => (FileKind::Directory, 0),
        };
        self.stat_of(node.ino, kind, size, node.permissions, node.times)
    }

    /// The same of something with this number.
    pub(super) fn stat_of(
        &self,
        ino: u64,
        kind: FileKind,
        size: u64,
        permissions: u16,
        times: Times,
    ) -> FileStat {
        let (kind_bits, nlink) = match kind {
            FileKind::File => (0o100_000, 1),
            _ => (0o040_000, 2),
        };
        FileStat {
            kind,
            mode: kind_bits | u32::from(permissions),
            size,
            dev: self.device,
            ino,
            nlink,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            blocks: size.div_ceil(512),
            atime_ns: times.accessed.into(),
            mtime_ns: times.modified.into(),
            ctime_ns: times.changed.into(),
            birthtime_ns: times.created.into(),
        }
    }
}

pub(super) fn not_found() -> Error {
    Error::new(ErrorCode::NotFound, "no such file or directory")
}

pub(super) fn not_a_directory() -> Error {
    Error::new(
        ErrorCode::NotADirectory,
        "a part of the path is not a directory",
    )
}

pub(super) fn is_a_directory() -> Error {
    Error::new(ErrorCode::IsADirectory, "it is a directory, not a file")
}

pub(super) fn already_exists() -> Error {
    Error::new(ErrorCode::AlreadyExists, "it already exists")
}
