//! What a root workspace holds for itself and all scopes below it, by who acts where: background commands and calls in
//! flight. A door that keeps no state makes a new scope for each request, so a scope itself cannot hold them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::background::{BackgroundCommand, MAX_BACKGROUND};
use super::destroyed;
use super::in_flight::MAX_IN_FLIGHT;
use super::slots::Slots;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

/// How long a background command is remembered after its end.
pub const ENDED_FOR: Duration = Duration::from_secs(60 * 60);
/// Bytes of output that are remembered of ended commands, over all owners; of more, those who have most lose what ended
/// first. The latest is remembered whatever its size.
const REMEMBERED_BYTES: usize = 256 << 20;
/// How often what nobody asks for any more is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// Who acts, and where.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Owner {
    /// Empty: the owner of the process.
    pub(super) principal: Arc<str>,
    /// Below the root workspace, whose own is empty.
    pub(super) scope: RelPath,
}

/// Everything that is held, under one lock. Who holds nothing has no entry. Every moment is the caller's to say.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) commands: Arc<Slots>,
    pub(super) files: Arc<Slots>,
    pub(super) bytes: Arc<Slots>,
    shelves: Mutex<Shelves>,
    next_age: AtomicU64,
}

#[derive(Debug, Default)]
struct Shelves {
    by_owner: HashMap<Arc<Owner>, Shelf>,
    swept: Option<Instant>,
}

/// What one owner holds.
#[derive(Debug, Default)]
struct Shelf {
    /// By age.
    running: BTreeMap<u64, BackgroundCommand>,
    /// In the order of their ends.
    ended: VecDeque<Ended>,
    /// Of their output.
    ended_bytes: usize,
    calls: HashMap<Box<str>, CallInFlight>,
}

#[derive(Debug)]
struct Ended {
    age: u64,
    at: Instant,
    bytes: usize,
    command: BackgroundCommand,
}

/// What ends a call.
#[derive(Debug)]
pub(super) struct CallInFlight {
    /// The call's own token.
    pub(super) cancel: CancellationToken,
    /// Its workspace's, which destroy cancels.
    pub(super) ended: CancellationToken,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            commands: Arc::new(Slots::of_commands()),
            files: Arc::new(Slots::of_files()),
            bytes: Arc::new(Slots::of_bytes()),
            shelves: Mutex::default(),
            next_age: AtomicU64::default(),
        }
    }
}

impl Held {
    /// Refuses one more command where too many run.
    pub(super) fn check_room(&self, owner: &Arc<Owner>, now: Instant) -> Result<()> {
        self.with(owner, now, |shelf| shelf.check_room())
    }

    /// Holds a command that has started, unless too many run; gives its age.
    pub(super) fn add(
        &self,
        owner: &Arc<Owner>,
        command: &BackgroundCommand,
        now: Instant,
    ) -> Result<u64> {
        let age = self.next_age.fetch_add(1, Ordering::Relaxed);
        self.with(owner, now, |shelf| {
            shelf.check_room()?;
            shelf.running.insert(age, command.clone());
            Ok(age)
        })
    }

    /// To be told that a command ended: it makes room at once, and is remembered for a while.
    pub(super) fn ended(&self, owner: &Arc<Owner>, age: u64, now: Instant) {
        self.with(owner, now, |shelf| {
            let Some(command) = shelf.running.remove(&age) else {
                return;
            };
            if shelf.ended.len() >= MAX_BACKGROUND {
                shelf.forget_first();
            }
            let bytes = command.kept_bytes();
            shelf.ended_bytes += bytes;
            shelf.ended.push_back(Ended {
                age,
                at: now,
                bytes,
                command,
            });
        });
        self.lock().bound(owner, REMEMBERED_BYTES);
    }

    /// The commands that are held for an owner, oldest first.
    pub(super) fn commands(&self, owner: &Arc<Owner>, now: Instant) -> Vec<BackgroundCommand> {
        let mut found: Vec<(u64, BackgroundCommand)> = self.with(owner, now, |shelf| {
            let ended = shelf.ended.iter().map(|ended| (ended.age, &ended.command));
            let running = shelf.running.iter().map(|(age, command)| (*age, command));
            ended
                .chain(running)
                .map(|(age, command)| (age, command.clone()))
                .collect()
        });
        found.sort_unstable_by_key(|(age, _)| *age);
        found.into_iter().map(|(_, command)| command).collect()
    }

    /// Holds a call, unless its id is taken, too many are in flight, or its workspace has ended.
    pub(super) fn begin(
        &self,
        owner: &Arc<Owner>,
        id: &str,
        call: CallInFlight,
        now: Instant,
    ) -> Result<()> {
        self.with(owner, now, |shelf| {
            // Destroy cancels this before it looks for calls, under the same lock: none slips through.
            if call.ended.is_cancelled() {
                return Err(destroyed());
            }
            if shelf.calls.contains_key(id) {
                return Err(Error::new(
                    ErrorCode::AlreadyExists,
                    "a call with this id is in flight; give each call an id of its own",
                ));
            }
            if shelf.calls.len() >= MAX_IN_FLIGHT {
                return Err(Error::new(
                    ErrorCode::LimitExceeded,
                    format!(
                        "{MAX_IN_FLIGHT} calls are in flight in this workspace already; wait for one of them to end"
                    ),
                ));
            }
            shelf.calls.insert(id.into(), call);
            Ok(())
        })
    }

    /// Lets go of a call.
    pub(super) fn finish(&self, owner: &Arc<Owner>, id: &str, now: Instant) {
        self.with(owner, now, |shelf| shelf.calls.remove(id));
    }

    /// Cancels a call; whether there was one.
    pub(super) fn cancel(&self, owner: &Arc<Owner>, id: &str, now: Instant) -> bool {
        let token = self.with(owner, now, |shelf| {
            shelf.calls.get(id).map(|call| call.cancel.clone())
        });
        // Whoever waits for it is woken outside the lock.
        token.inspect(CancellationToken::cancel).is_some()
    }

    /// Cancels the calls of workspaces that have ended.
    pub(super) fn cancel_ended(&self) {
        let shelves = self.lock();
        let calls = shelves
            .by_owner
            .values()
            .flat_map(|shelf| shelf.calls.values());
        let tokens: Vec<CancellationToken> = calls
            .filter(|call| call.ended.is_cancelled())
            .map(|call| call.cancel.clone())
            .collect();
        drop(shelves);
        tokens.iter().for_each(CancellationToken::cancel);
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with what an owner holds, less what is to be forgotten by now.
    fn with<T>(&self, owner: &Arc<Owner>, now: Instant, act: impl FnOnce(&mut Shelf) -> T) -> T {
        let mut shelves = self.lock();
        shelves.sweep(now);
        let shelf = shelves.by_owner.entry(Arc::clone(owner)).or_default();
        shelf.forget(now);
        let outcome = act(shelf);
        if shelf.is_empty() {
            shelves.by_owner.remove(owner);
        }
        outcome
    }
}

impl Shelves {
    /// Forgets what has been remembered for long enough, whoever held it.
    fn sweep(&mut self, now: Instant) {
        let is_due = self
            .swept
            .is_none_or(|last| now.saturating_duration_since(last) >= SWEEP_EVERY);
        if !is_due {
            return;
        }
        self.swept = Some(now);
        self.by_owner.retain(|_, shelf| {
            shelf.forget(now);
            !shelf.is_empty()
        });
        self.by_owner.shrink_to(2 * self.by_owner.len());
    }

    /// Forgets commands until no more bytes of output are remembered, but not the one that ended last, which is this
    /// owner's.
    fn bound(&mut self, latest: &Arc<Owner>, bytes: usize) {
        while self
            .by_owner
            .values()
            .map(|shelf| shelf.ended_bytes)
            .sum::<usize>()
            > bytes
        {
            let without_latest = |owner: &Arc<Owner>, shelf: &Shelf| {
                let last = shelf.ended.back().filter(|_| owner == latest);
                shelf.ended_bytes - last.map_or(0, |last| last.bytes)
            };
            let shelves = self.by_owner.iter_mut();
            let most = shelves
                .map(|(owner, shelf)| (without_latest(owner, shelf), owner, shelf))
                .max_by_key(|(bytes, ..)| *bytes)
                .filter(|(bytes, ..)| *bytes > 0);
            let Some((_, owner, shelf)) = most else {
                return;
            };
            shelf.forget_first();
            if shelf.is_empty() {
                let owner = Arc::clone(owner);
                self.by_owner.remove(&owner);
            }
        }
    }
}

impl Shelf {
    fn check_room(&self) -> Result<()> {
        if self.running.len() < MAX_BACKGROUND {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::LimitExceeded,
            format!(
                "{MAX_BACKGROUND} background commands run in this workspace already; end one of them first"
            ),
        ))
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |ended: &Ended| now.saturating_duration_since(ended.at) >= ENDED_FOR;
        while self.ended.front().is_some_and(is_old) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(first) = self.ended.pop_front() {
            self.ended_bytes -= first.bytes;
        }
    }

    fn is_empty(&self) -> bool {
        self.running.is_empty() && self.ended.is_empty() && self.calls.is_empty()
    }
}

#[cfg(test)]
#[path = "held_tests.rs"]
mod tests;
