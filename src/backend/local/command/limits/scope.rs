//! What the commands of one scope use together.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::backend::limits::ScopeLimits;
use crate::error::{Error, ErrorCode, Limit, Result};
use crate::sys::linux::cgroup::{Cgroups, Feature, Group, GroupLimits};
use crate::sys::linux::process_usage::ProcessUsage;

/// The scopes that commands run in.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    /// By path. Gone with the last of their commands.
    alive: Mutex<HashMap<Vec<u8>, Weak<Scope>>>,
}

/// One scope with limits, as long as a command runs in it.
#[derive(Debug)]
pub(super) struct Scope {
    /// Bounds what can be bounded so; its commands have groups below it.
    pub(super) group: Option<Arc<Group>>,
    /// What nothing but looking bounds.
    watched: ScopeLimits,
    /// What each command used when it was last looked at.
    used: Mutex<HashMap<u64, ProcessUsage>>,
}

impl Scopes {
    /// The scope of a path, made with these limits where no command runs in it.
    pub(super) fn of(
        &self,
        path: &[u8],
        limits: &ScopeLimits,
        groups: &'static Cgroups,
    ) -> Result<Option<Arc<Scope>>> {
        if limits.is_empty() {
            return Ok(None);
        }
        let mut alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scope) = alive.get(path).and_then(Weak::upgrade) {
            return Ok(Some(scope));
        }
        alive.retain(|_, scope| scope.strong_count() > 0);
        let scope = Arc::new(Scope::new(limits, groups)?);
        alive.insert(path.to_vec(), Arc::downgrade(&scope));
        Ok(Some(scope))
    }
}

impl Scope {
    fn new(limits: &ScopeLimits, groups: &'static Cgroups) -> Result<Self> {
        let bounds = group_limits(limits, groups);
        let group = match bounds == GroupLimits::default() {
            true => None,
            false => {
                let group = Group::create(groups, None, bounds, &[]);
                let group = group.and_then(|group| group.allow_children().map(|()| group));
                Some(Arc::new(group.map_err(no_group)?))
            }
        };
        Ok(Self {
            group,
            watched: ScopeLimits {
                memory_bytes: limits
                    .memory_bytes
                    .filter(|_| bounds.memory_bytes.is_none()),
                processes: limits.processes.filter(|_| bounds.processes.is_none()),
                cpus: None,
            },
            used: Mutex::default(),
        })
    }

    /// Whether its commands have to be looked at.
    pub(super) fn is_watched(&self) -> bool {
        !self.watched.is_empty()
    }

    /// Takes note of what one of its commands uses; says which limit of the scope is exceeded, if this is the command to
    /// end for it: the one that uses most.
    pub(super) fn note(&self, command: u64, now: ProcessUsage) -> Option<Limit> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.insert(command, now);
        let exceeded = |limit: Option<u64>, of: fn(&ProcessUsage) -> u64| {
            limit.is_some_and(|limit| {
                let is_most = used.values().all(|other| of(other) <= of(&now));
                is_most && used.values().map(of).sum::<u64>() > limit
            })
        };
        if exceeded(self.watched.memory_bytes, |usage| usage.memory_bytes) {
            Some(Limit::Memory)
        } else if exceeded(self.watched.processes, |usage| usage.tasks) {
            Some(Limit::Processes)
        } else {
            None
        }
    }

    /// A command that has ended uses nothing.
    pub(super) fn forget(&self, command: u64) {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.remove(&command);
    }
}

/// A number for a command that [`Scope::note`] knows it by.
pub(super) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn group_limits(limits: &ScopeLimits, groups: &Cgroups) -> GroupLimits {
    GroupLimits {
        memory_bytes: limits.memory_bytes.filter(|_| groups.has(Feature::Memory)),
        processes: limits.processes.filter(|_| groups.has(Feature::Processes)),
        cpus: limits.cpus.filter(|_| groups.has(Feature::Cpu)),
    }
}

/// A control group that worked when it was tried, and now does not: an error of the call, never a weaker limit.
pub(super) fn no_group(error: std::io::Error) -> Error {
    Error::new(
        ErrorCode::ExecError,
        format!("the control group of the command could not be made: {error}"),
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_uses_most_is_ended_where_all_together_use_too_much() {
        let scope = Scope {
            group: None,
            watched: ScopeLimits {
                memory_bytes: Some(100),
                processes: Some(10),
                cpus: None,
            },
            used: Mutex::default(),
        };
        let uses = |memory_bytes, tasks| ProcessUsage {
            memory_bytes,
            tasks,
            ..ProcessUsage::default()
        };
        assert_eq!(scope.note(1, uses(60, 1)), None);
        assert_eq!(scope.note(2, uses(50, 1)), None, "the other uses more");
        assert_eq!(scope.note(1, uses(61, 1)), Some(Limit::Memory));
        scope.forget(1);
        assert_eq!(scope.note(2, uses(90, 9)), None);
        assert_eq!(scope.note(3, uses(1, 2)), None);
        assert_eq!(scope.note(2, uses(90, 9)), Some(Limit::Processes));
    }
}
