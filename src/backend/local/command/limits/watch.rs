//! Looks on while a command with limits runs, and ends it where it goes past one.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fd::AsFd as _;
use rustix::process::Pid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::super::running::Running;
use super::report::exceeded;
use super::scope::{Scope, next_number};
use crate::backend::limits::Limits;
use crate::backend::local::quota::Quota;
use crate::error::{Error, Limit};
use crate::pool;
use crate::sys::linux::cgroup::{Exceeded, Group, GroupLimits, Version};
use crate::sys::linux::process_usage::{self, CpuAccount};
use crate::sys::linux::spawn::Ended;
use crate::sys::linux::spawn_tree;
use crate::sys::linux::usage::{self, Bounds};

/// How often a command is looked at where the kernel tells of nothing.
const TICK: Duration = Duration::from_millis(50);

/// The longest wait between two looks at the time that a command computed.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// The workspace is measured at most so often, and for at most a tenth of the time.
const LEAST_BETWEEN_MEASURES: Duration = Duration::from_millis(100);
const SHARE_OF_MEASURING: u32 = 10;

/// How long the last measurement of a command that has ended may take: its caller waits for it.
const LAST_MEASURE: Duration = Duration::from_millis(10);

/// How much less than its limit a process may have computed when we last looked, to have been ended by the kernel for it.
const CPU_TOLERANCE_USEC: u64 = 300_000;

/// What is to be looked at.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) limits: Limits,
    /// What the group bounds.
    pub(super) by_group: GroupLimits,
    pub(super) group: Option<Group>,
    pub(super) scope: Option<Arc<Scope>>,
    pub(super) quotas: Vec<Arc<Quota>>,
    /// Processes around the command that are ours.
    pub(super) overhead: u64,
}

/// The watch over one command.
#[derive(Debug)]
pub(in super::super) struct Watch {
    watched: Watched,
    number: u64,
    /// Processes that the scope refused before this command began.
    refused_before: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    cpu: CpuAccount,
    /// What was computed when it was last looked at.
    cpu_usec: u64,
    /// What each quota's scope took when the command began, as far as known.
    before: Vec<Option<u64>>,
    next_measure: Option<Instant>,
}

impl Watch {
    pub(super) fn new(watched: Watched) -> Self {
        let refused_before = watched.group.as_ref().map_or(0, Group::refused_above);
        let before = watched.quotas.iter().map(|quota| quota.known()).collect();
        Self {
            number: next_number(),
            refused_before,
            state: Mutex::new(State {
                before,
                ..State::default()
            }),
            watched,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills everything in the command's group, where it has one that can. Blocks.
    pub(in super::super) fn kill(&self) {
        if let Some(group) = &self.watched.group
            && group.can_kill()
        {
            let _ = group.kill();
        }
    }

    /// Whether processes are in the command's group.
    pub(in super::super) fn has_members(&self) -> bool {
        self.watched.group.as_ref().is_some_and(Group::has_members)
    }

    /// Looks on until the command has ended, and ends it where it must.
    pub(in super::super) async fn look_on(self: Arc<Self>, running: Arc<Running>) {
        let alarms = self.alarms();
        let ended = running.ended().clone();
        // Nothing is there to see at first, and most commands have ended before the first look: that costs them nothing.
        let mut pause = TICK;
        loop {
            tokio::select! {
                biased;
                () = ended.cancelled() => return,
                () = any(&alarms) => {}
                () = tokio::time::sleep(pause) => {}
            }
            let this = Arc::clone(&self);
            let root = running.root();
            // It reads files of the kernel, and of the workspace where that has a bound.
            let looked = pool::runtime().spawn_blocking(move || this.look(root));
            if let Ok(Some(error)) = looked.await {
                running.end_for(error);
                return;
            }
            pause = self.pause();
        }
    }

    /// What the kernel tells of by itself.
    fn alarms(&self) -> Vec<AsyncFd<OwnedFd>> {
        let alarms = self.watched.group.as_ref().map(Group::alarms);
        alarms
            .into_iter()
            .flatten()
            .filter_map(|alarm| {
                Group::rearm(&alarm);
                // SAFETY: an `OwnedFd` gives the same open descriptor for as long as it lives.
                unsafe { AsyncFd::register_with_interest(alarm, Interest::PRIORITY) }.ok()
            })
            .collect()
    }

    /// How long until the next look.
    fn pause(&self) -> Duration {
        let told = |version| version == Some(Version::V2);
        let watched = &self.watched;
        let bounds_by_group = watched.by_group.memory_bytes.is_some()
            || watched.by_group.processes.is_some()
            || watched
                .scope
                .as_ref()
                .is_some_and(|scope| scope.group.is_some());
        let quiet = !self.needs_table()
            && watched.quotas.is_empty()
            && (!bounds_by_group || told(watched.group.as_ref().and_then(Group::version)));
        if !quiet {
            return TICK;
        }
        match watched.limits.cpu_seconds {
            // It cannot compute faster than on all processors.
            Some(limit) => {
                let left = usec(limit).saturating_sub(self.state().cpu_usec);
                let processors = std::thread::available_parallelism().map_or(1, usize::from);
                let soonest = left / u64::try_from(processors).unwrap_or(1);
                Duration::from_micros(soonest).clamp(TICK / 5, LONGEST_LOOK)
            }
            None => LONGEST_LOOK,
        }
    }

    /// Whether something has to be added up over the process table.
    fn needs_table(&self) -> bool {
        let watched = &self.watched;
        let (limits, by_group) = (&watched.limits, &watched.by_group);
        (limits.memory_bytes.is_some() && by_group.memory_bytes.is_none())
            || (limits.processes.is_some() && by_group.processes.is_none())
            || (limits.cpu_seconds.is_some() && !self.group_counts_cpu())
            || watched
                .scope
                .as_ref()
                .is_some_and(|scope| scope.is_watched())
    }

    fn group_counts_cpu(&self) -> bool {
        self.watched.group.as_ref().is_some_and(Group::counts_cpu)
    }

    /// Looks once; says why the command must end. Blocks.
    fn look(&self, root: Option<Pid>) -> Option<Error> {
        if let Some(limit) = self.group_exceeded() {
            return Some(limit);
        }
        let table = self.needs_table();
        let members = match root {
            Some(root) if table || !self.watched.quotas.is_empty() => spawn_tree::members(root),
            _ => Vec::new(),
        };
        if table && let Some(error) = self.table_exceeded(&members) {
            return Some(error);
        }
        self.quota_exceeded(&members)
    }

    fn error(&self, limit: Limit, of_scope: bool) -> Error {
        exceeded(limit, &self.watched.limits, of_scope)
    }

    /// What the control group counted.
    fn group_exceeded(&self) -> Option<Error> {
        let group = self.watched.group.as_ref()?;
        let Exceeded {
            memory,
            processes,
            cpu_usec,
        } = group.events();
        let refused_above = group.refused_above() > self.refused_before && group.is_largest();
        if memory > 0 {
            return Some(self.error(Limit::Memory, self.watched.by_group.memory_bytes.is_none()));
        }
        if processes > 0 || refused_above {
            let of_scope = match (self.watched.by_group.processes, group.count()) {
                (Some(own), Some(now)) => now < own && group.has_parent(),
                (own, _) => own.is_none(),
            };
            return Some(self.error(Limit::Processes, of_scope));
        }
        if self.group_counts_cpu() {
            self.state().cpu_usec = cpu_usec;
            return self.cpu_exceeded(cpu_usec);
        }
        None
    }

    fn cpu_exceeded(&self, used: u64) -> Option<Error> {
        let limit = self.watched.limits.cpu_seconds?;
        (used >= usec(limit)).then(|| self.error(Limit::Cpu, false))
    }

    /// What its processes add up to.
    fn table_exceeded(&self, members: &[i32]) -> Option<Error> {
        let watched = &self.watched;
        let (limits, by_group) = (&watched.limits, &watched.by_group);
        let now = process_usage::of(members);
        let past = |limit: Option<u64>, bounded: Option<u64>, used: u64| {
            bounded.is_none() && limit.is_some_and(|limit| used > limit)
        };
        if past(limits.memory_bytes, by_group.memory_bytes, now.memory_bytes) {
            return Some(self.error(Limit::Memory, false));
        }
        let tasks = now.tasks.saturating_sub(watched.overhead);
        if past(limits.processes, by_group.processes, tasks) {
            return Some(self.error(Limit::Processes, false));
        }
        if let Some(scope) = &watched.scope
            && let Some(limit) = scope.note(self.number, now)
        {
            return Some(self.error(limit, true));
        }
        if limits.cpu_seconds.is_some() && !self.group_counts_cpu() {
            let used = {
                let mut state = self.state();
                state.cpu_usec = state.cpu.look(members);
                state.cpu_usec
            };
            return self.cpu_exceeded(used);
        }
        None
    }

    /// Measures what has a bound, where it is time to.
    fn quota_exceeded(&self, members: &[i32]) -> Option<Error> {
        let due = |next: Instant| Instant::now() >= next;
        if self.watched.quotas.is_empty() || !self.state().next_measure.is_none_or(due) {
            return None;
        }
        let begun = Instant::now();
        let error = self.measure(members, &Bounds::default());
        let pause = (begun.elapsed() * SHARE_OF_MEASURING).max(LEAST_BETWEEN_MEASURES);
        self.state().next_measure = Some(Instant::now() + pause);
        error
    }

    /// Whether a scope takes more than it may, and more than when the command began: what is too large already may be
    /// made smaller.
    fn measure(&self, members: &[i32], bounds: &Bounds) -> Option<Error> {
        for (index, quota) in self.watched.quotas.iter().enumerate() {
            let Ok(Some(named)) = quota.measure(bounds) else {
                continue;
            };
            let unnamed = match quota.directory() {
                Ok(Some(directory)) => usage::unlinked(directory, members),
                _ => usage::Usage::default(),
            };
            let used = named.saturating_add(unnamed.bytes);
            let mut state = self.state();
            let before = state.before[index].get_or_insert(used);
            // The least that it was: what a command adds after it removed something counts as added.
            *before = used.min(*before);
            if used > quota.max_bytes() && used > *before {
                return Some(quota.exceeded());
            }
        }
        None
    }

    /// Whether [`Watch::judge`] measures the workspace, which takes milliseconds.
    pub(in super::super) fn measures(&self) -> bool {
        !self.watched.quotas.is_empty()
    }

    /// When the command has ended by itself: whether it was for a limit after all. Blocks for some milliseconds at most.
    pub(in super::super) fn judge(&self, ended: Ended) -> Option<Error> {
        if let Some(error) = self.group_exceeded() {
            return Some(error);
        }
        // A shell reports the signal that ended its child in this way.
        let by = |signal: i32| ended == Ended::Signal(signal) || ended == Ended::Code(128 + signal);
        if by(libc::SIGXFSZ) {
            let quotas = self.watched.quotas.iter();
            let quota = quotas.min_by_key(|quota| quota.max_bytes());
            match (self.watched.limits.file_size_bytes, quota) {
                (Some(own), Some(quota)) if quota.max_bytes() < own => {
                    return Some(quota.exceeded());
                }
                (None, Some(quota)) => return Some(quota.exceeded()),
                (Some(_), _) => return Some(self.error(Limit::FileSize, false)),
                // Some other limit of the host's.
                (None, None) => {}
            }
        }
        if let Some(limit) = self.watched.limits.cpu_seconds {
            let used = self.state().cpu_usec;
            let near = used.saturating_add(CPU_TOLERANCE_USEC) >= usec(limit);
            if by(libc::SIGXCPU) || (by(libc::SIGKILL) && near) {
                return Some(self.error(Limit::Cpu, false));
            }
        }
        self.measure(
            &[],
            &Bounds {
                deadline: Some(Instant::now() + LAST_MEASURE),
                ..Bounds::default()
            },
        )
    }

    /// The command is over: what it used is not used any more. Where nobody judges it any more, what it wrote is not
    /// known.
    pub(in super::super) fn finish(&self, is_judged: bool) {
        if !is_judged {
            let quotas = &self.watched.quotas;
            quotas.iter().for_each(|quota| quota.is_unknown());
        }
        if let Some(scope) = &self.watched.scope {
            scope.forget(self.number);
        }
    }
}

/// Seconds in microseconds.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be above 0, and the cast saturates"
)]
fn usec(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}

/// Resolves when one of the alarms goes off; never without any.
async fn any(alarms: &[AsyncFd<OwnedFd>]) {
    let mut waiting: Vec<_> = alarms
        .iter()
        .map(|alarm| Box::pin(alarm.ready(Interest::PRIORITY)))
        .collect();
    std::future::poll_fn(|context| {
        for future in &mut waiting {
            if let std::task::Poll::Ready(Ok(mut guard)) =
                std::future::Future::poll(future.as_mut(), context)
            {
                Group::rearm(guard.get_inner().as_fd());
                guard.clear_ready();
                return std::task::Poll::Ready(());
            }
        }
        std::task::Poll::Pending
    })
    .await;
}
