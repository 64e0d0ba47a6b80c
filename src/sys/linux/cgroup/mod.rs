//! Control groups: sets of processes that the kernel counts, bounds and kills together, whatever sessions or parents
//! they give themselves. They alone bound what all processes of a command, or of a scope, use together.
//!
//! What may be used is found out by trying, once per process:
//!
//! - **Version 1**, per controller: directories are made below the group that this process is in, so that whatever
//!   bounds us goes on bounding what we start.
//! - **Version 2**: likewise, with the controllers that our group has enabled for its children. Where it has enabled
//!   none, a group with processes in it cannot, so we would have to leave it: we move *ourselves* into a leaf of its own
//!   and enable them only in a group that was given to us (it belongs to our user, who is not root, or systemd marked it
//!   as delegated) and that holds no process but this one. A group that we do not own is never changed.
//!
//! All our groups are below one directory in each hierarchy, `agent-backend-<pid>-<random>`, held by a lock, removed when
//! the process ends, and where it was killed, by the next one of us that starts there. Only empty groups are removed.

mod base;
mod files;
mod group;
mod hierarchy;
mod kill;
mod mounts;
mod removal;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::OnceLock;

pub use group::{Exceeded, Group, GroupLimits};
use hierarchy::Hierarchy;

/// The two interfaces of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// One hierarchy for each controller.
    V1,
    /// One hierarchy for all.
    V2,
}

/// What a group can do for its processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// Bound their memory, page cache and shared memory included.
    Memory,
    /// Bound their number, threads included.
    Processes,
    /// Bound how much of the processors they get.
    Cpu,
    /// Count the time that they computed, those that have ended included.
    CpuTime,
    /// Kill them all.
    Kill,
}

impl Feature {
    const ALL: [Self; 5] = [
        Self::Memory,
        Self::Processes,
        Self::Cpu,
        Self::CpuTime,
        Self::Kill,
    ];
}

/// What works here, and by which version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Support {
    /// [`Feature::Memory`].
    pub memory: Option<Version>,
    /// [`Feature::Processes`].
    pub processes: Option<Version>,
    /// [`Feature::Cpu`].
    pub cpu: Option<Version>,
    /// [`Feature::CpuTime`].
    pub cpu_time: Option<Version>,
    /// [`Feature::Kill`].
    pub kill: Option<Version>,
    /// Why something is missing; empty where nothing is.
    pub reason: String,
}

/// The control groups that this process may make.
#[derive(Debug)]
pub struct Cgroups {
    hierarchies: Vec<Hierarchy>,
    support: Support,
}

impl Cgroups {
    /// Finds out what works here. The first call tries, which takes about a millisecond; the answer stays.
    #[must_use]
    pub fn probe() -> &'static Self {
        static FOUND: OnceLock<Cgroups> = OnceLock::new();
        FOUND.get_or_init(|| {
            let (hierarchies, reasons) = hierarchy::usable();
            Self::of(hierarchies, &reasons)
        })
    }

    fn of(hierarchies: Vec<Hierarchy>, reasons: &[String]) -> Self {
        let version = |feature| serving(&hierarchies, feature).map(|found| found.version);
        let mut support = Support {
            memory: version(Feature::Memory),
            processes: version(Feature::Processes),
            cpu: version(Feature::Cpu),
            cpu_time: version(Feature::CpuTime),
            kill: version(Feature::Kill),
            reason: String::new(),
        };
        if Feature::ALL
            .iter()
            .any(|feature| version(*feature).is_none())
        {
            support.reason = match reasons {
                [] => "no control groups are mounted here".to_owned(),
                [only] => only.clone(),
                // The others are nearly always of the same kind.
                [first, others @ ..] => format!("{first}, and {} more", others.len()),
            };
        }
        Self {
            hierarchies,
            support,
        }
    }

    /// What works.
    #[must_use]
    pub fn support(&self) -> &Support {
        &self.support
    }

    /// Whether a feature works.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        serving(&self.hierarchies, feature).is_some()
    }
}

/// The hierarchy that serves a feature: version 2 where that has it with the controllers that bound memory or processes,
/// else version 1, which is cheaper to join; else version 2 with what it does without controllers.
fn serving(hierarchies: &[Hierarchy], feature: Feature) -> Option<&Hierarchy> {
    let full =
        |found: &&Hierarchy| found.serves(Feature::Memory) || found.serves(Feature::Processes);
    let candidates = || hierarchies.iter().filter(|found| found.serves(feature));
    let of = |version| candidates().filter(move |found| found.version == version);
    of(Version::V2)
        .find(full)
        .or_else(|| of(Version::V1).min_by_key(|found| found.rank(feature)))
        .or_else(|| of(Version::V2).next())
}

/// An error of the operating system with what was being done.
fn explained(what: &str, error: &io::Error) -> String {
    format!("{what}: {error}")
}
