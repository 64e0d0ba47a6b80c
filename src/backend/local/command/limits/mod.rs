//! The limits of commands: what is set before a command starts, and what is watched while it runs.
//!
//! The strongest mechanism that works here is taken for each limit. A control group bounds everything that a command
//! starts, together, and is joined before anything of it executes. Where there is none, a resource limit bounds each
//! process, and a watch adds up what all of them use.

mod enforcement;
pub(super) mod private;
mod report;
mod scope;
mod watch;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::process::Resource;

pub(super) use watch::Watch;

use super::options::{CommandOptions, Isolation};
use crate::backend::limits::{Enforcement, Limits};
use crate::backend::local::quota::Quota;
use crate::error::Result;
use crate::sys::linux::cgroup::{Cgroups, Feature, Group, GroupLimits};
use crate::sys::linux::process_usage;
use enforcement::Here;
use scope::Scopes;

/// A resource limit, soft and hard alike.
pub(super) type ResourceLimit = (Resource, Option<u64>);

/// Tasks of a command's user beyond the limit that a count per user leaves to what is not the command's.
const USER_SLACK: u64 = 64;

/// Tasks beyond the limit that a sandbox may start before the kernel refuses: the watch is to see that there are too many.
const SANDBOX_SLACK: u64 = 8;

/// What a resource limit leaves each process beyond the watched sum: it bounds what one asks for at once, between two
/// looks, and counts what is only reserved.
const DATA_FACTOR: u64 = 2;
const DATA_SLACK: u64 = 256 << 20;

/// Sets limits, and remembers the scopes that have some.
#[derive(Debug, Default)]
pub(super) struct Limiter {
    scopes: Scopes,
    /// Of `/tmp` and caches.
    pub(super) private: private::PrivateBounds,
}

/// Where, and as whom, a command is to run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start<'a> {
    pub(super) level: Isolation,
    /// As whom, as the host counts its processes.
    pub(super) uid: u32,
    pub(super) scope: &'a [u8],
    pub(super) quotas: &'a [Arc<Quota>],
}

/// What is set before a command starts.
#[derive(Debug, Default)]
pub(super) struct Bounds {
    /// For the process that becomes the command's first: behind a sandbox, inside it.
    pub(super) resources: Vec<ResourceLimit>,
    /// To be joined before anything executes.
    pub(super) join: Vec<OwnedFd>,
    /// What looks on while it runs; `None` where there is nothing to look at.
    pub(super) watch: Option<Watch>,
}

impl Limiter {
    /// By what each limit holds.
    pub(super) fn enforcement(level: Isolation, as_root: bool) -> Vec<Enforcement> {
        enforcement::table(Here {
            level,
            support: Cgroups::probe().support(),
            as_root,
        })
    }

    /// Makes what bounds a command.
    ///
    /// # Errors
    /// `MISSING_UTILITIES` where a limit cannot be kept here, `EXEC_ERROR` where its control group cannot be made now.
    pub(super) fn bounds(
        &self,
        options: &CommandOptions,
        own: &Limits,
        start: Start<'_>,
    ) -> Result<Bounds> {
        let limits = own.within(&options.limits);
        if limits.is_empty() && options.scope_limits.is_empty() && start.quotas.is_empty() {
            return Ok(Bounds::default());
        }
        let groups = Cgroups::probe();
        let here = Here {
            level: start.level,
            support: groups.support(),
            as_root: start.uid == 0,
        };
        enforcement::check(here, &limits, &options.scope_limits)?;
        let scope = self.scopes.of(start.scope, &options.scope_limits, groups)?;
        let overhead = overhead(start.level);
        let bounded = GroupLimits {
            memory_bytes: limits.memory_bytes.filter(|_| groups.has(Feature::Memory)),
            processes: limits
                .processes
                .filter(|_| groups.has(Feature::Processes))
                .map(|count| count.saturating_add(overhead)),
            cpus: limits.cpus,
        };
        let mut features = Vec::new();
        if limits.cpu_seconds.is_some() && groups.has(Feature::CpuTime) {
            features.push(Feature::CpuTime);
        }
        let above = scope.as_ref().and_then(|scope| scope.group.as_ref());
        let in_group = bounded != GroupLimits::default() || !features.is_empty() || above.is_some();
        let group = if in_group {
            // What ends it then reaches everything in it, whatever sessions it made.
            features.extend(groups.has(Feature::Kill).then_some(Feature::Kill));
            let made = Group::create(groups, above, bounded, &features);
            Some(made.map_err(scope::no_group)?)
        } else {
            None
        };
        let join = match &group {
            Some(group) => group.entries().map_err(scope::no_group)?,
            None => Vec::new(),
        };
        let watch = Watch::new(watch::Watched {
            limits,
            by_group: bounded,
            group,
            scope,
            quotas: start.quotas.to_vec(),
            overhead,
        });
        Ok(Bounds {
            resources: resources(&limits, &bounded, &start),
            join,
            watch: Some(watch),
        })
    }
}

/// Processes of ours that stand around a command, and are counted with it.
fn overhead(level: Isolation) -> u64 {
    match level {
        // bubblewrap, and the first process of its namespace.
        Isolation::Bwrap => 2,
        // The launcher that stays behind.
        Isolation::Landlock => 1,
        Isolation::Auto | Isolation::Software | Isolation::None => 0,
    }
}

/// The resource limits of a command: what only they can bound, and what stands behind the watch.
fn resources(limits: &Limits, bounded: &GroupLimits, start: &Start<'_>) -> Vec<ResourceLimit> {
    let mut resources = Vec::new();
    let mut add = |resource, limit: Option<u64>| {
        if let Some(limit) = limit {
            resources.push((resource, Some(limit)));
        }
    };
    // One file cannot be larger than everything may be.
    let quota = start.quotas.iter().map(|quota| quota.max_bytes()).min();
    add(
        Resource::Fsize,
        match (limits.file_size_bytes, quota) {
            (Some(own), Some(quota)) => Some(own.min(quota)),
            (own, quota) => own.or(quota),
        },
    );
    add(Resource::Nofile, limits.open_files);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be above 0, and the cast saturates"
    )]
    add(
        Resource::Cpu,
        limits.cpu_seconds.map(|seconds| seconds.ceil() as u64),
    );
    if bounded.memory_bytes.is_none() {
        let backstop = |bytes: u64| bytes.saturating_mul(DATA_FACTOR).saturating_add(DATA_SLACK);
        add(Resource::Data, limits.memory_bytes.map(backstop));
    }
    if bounded.processes.is_none() && start.uid != 0 {
        let others = || match start.level {
            // The namespace of the sandbox has no others, but its first process.
            Isolation::Bwrap => 1 + SANDBOX_SLACK,
            _ => process_usage::tasks_of_user(start.uid) + USER_SLACK,
        };
        let most = |count: u64| count.saturating_add(others());
        add(Resource::Nproc, limits.processes.map(most));
    }
    resources
}
