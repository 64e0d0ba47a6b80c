//! What is still to be searched, in path order, and the threads that share it.
//!
//! The smallest path is always taken next, so a walk goes down before it goes on: what waits is no more than the
//! siblings along one way down. And when the bounds on results are reached, everything that waits lies behind them
//! and is dropped at once.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;

use super::super::collect::{Collector, Found, Key};
use super::handles::Directory;
use crate::path::RelPath;

/// A piece of work for one thread.
#[derive(Debug)]
pub(super) enum Task {
    /// Read a directory.
    List(Arc<Directory>),
    /// Search these files of a directory, in order; their paths begin where the task stands in the order.
    Search(Arc<Directory>, Vec<CString>),
}

/// Threads of all searches of the process beyond those that called: more would only wait for each other.
static HELPERS: AtomicUsize = AtomicUsize::new(0);

/// As many waiting tasks as one more thread is worth: starting one costs as much as reading some directories.
const TASKS_PER_HELPER: usize = 4;

#[derive(Debug)]
pub(super) struct Frontier {
    state: Mutex<State>,
    wake: Condvar,
    /// Threads that wait for a task.
    idle: AtomicUsize,
    max_threads: usize,
}

#[derive(Debug)]
struct State {
    waiting: BTreeMap<Key, Task>,
    /// Tasks being worked on, which may add more.
    running: usize,
    threads: usize,
    collector: Collector,
}

impl Frontier {
    pub(super) fn new(collector: Collector, first: Task, at: RelPath) -> Self {
        let max_threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(8));
        Self {
            state: Mutex::new(State {
                waiting: BTreeMap::from([(Key(at), first)]),
                running: 0,
                threads: 1,
                collector,
            }),
            wake: Condvar::new(),
            idle: AtomicUsize::new(0),
            max_threads,
        }
    }

    /// The next task, or `None` when all is done. Waits while other threads may still add some.
    pub(super) fn next(&self) -> Option<Running<'_>> {
        let mut state = self.lock();
        loop {
            if let Some((Key(path), task)) = state.waiting.pop_first() {
                if state.collector.is_past_end(&path) {
                    state.waiting.clear();
                    continue;
                }
                state.running += 1;
                return Some(Running {
                    frontier: self,
                    task: Some(task),
                });
            }
            if state.running == 0 {
                self.wake.notify_all();
                return None;
            }
            self.idle.fetch_add(1, Ordering::Relaxed);
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            self.idle.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Drops all that waits.
    pub(super) fn abandon(&self) {
        self.lock().waiting.clear();
    }

    /// Adds what a task found and what is to be done because of it.
    pub(super) fn add(&self, found: Vec<Found>, tasks: Vec<(RelPath, Task)>) {
        let mut state = self.lock();
        state.collector.add(found);
        let more = tasks.len();
        for (path, task) in tasks {
            state.waiting.insert(Key(path), task);
        }
        drop(state);
        for _ in 0..more.min(self.idle.load(Ordering::Relaxed)) {
            self.wake.notify_one();
        }
    }

    /// Whether a thread would take a task if there were one.
    pub(super) fn has_idle(&self) -> bool {
        self.idle.load(Ordering::Relaxed) > 0
    }

    /// Starts one more thread where there is work for it.
    pub(super) fn maybe_help<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        work: impl FnOnce() + Send + 'scope,
    ) {
        let mut state = self.lock();
        if state.threads >= self.max_threads
            || state.waiting.len() < TASKS_PER_HELPER * state.threads
        {
            return;
        }
        let Some(permit) = Permit::take(self.max_threads * 2) else {
            return;
        };
        let started = std::thread::Builder::new()
            .name("agent-backend-search".to_owned())
            .spawn_scoped(scope, move || {
                let _permit = permit;
                work();
            });
        // Without another thread this one does the work alone.
        state.threads += usize::from(started.is_ok());
    }

    pub(super) fn into_collector(self) -> Collector {
        let state = self.state.into_inner();
        state.unwrap_or_else(PoisonError::into_inner).collector
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task being worked on; dropped when it is done, also by a panic, so that nobody waits for it for ever.
#[derive(Debug)]
pub(super) struct Running<'a> {
    frontier: &'a Frontier,
    task: Option<Task>,
}

impl Running<'_> {
    pub(super) fn take(&mut self) -> Option<Task> {
        self.task.take()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let mut state = self.frontier.lock();
        state.running -= 1;
        if state.running == 0 {
            self.frontier.wake.notify_all();
        }
    }
}

/// The right to be one of the helpers of the process.
struct Permit;

impl Permit {
    fn take(most: usize) -> Option<Self> {
        HELPERS
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                (taken < most).then_some(taken + 1)
            })
            .ok()
            .map(|_| Permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        HELPERS.fetch_sub(1, Ordering::Relaxed);
    }
}
