//! One group: made with its bounds, joined by the process that a command begins with, killed and removed.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::hierarchy::Hierarchy;
use super::{Cgroups, Feature, Version, files, kill, removal, serving};

/// The period over which processor time is dealt out, in microseconds.
const PERIOD: u64 = 100_000;

/// The least processor time per period that the kernel takes.
const LEAST_QUOTA: u64 = 1_000;

/// The bounds of a group; `None` is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct GroupLimits {
    /// Bytes of memory; swap does not add to it.
    pub memory_bytes: Option<u64>,
    /// Processes and threads at a time.
    pub processes: Option<u64>,
    /// Processors' worth of time: 0.5 is half of one.
    pub cpus: Option<f64>,
}

/// What happened in a group so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exceeded {
    /// Processes that were killed for want of memory.
    pub memory: u64,
    /// Starts of processes that were refused.
    pub processes: u64,
    /// Microseconds that its processes computed.
    pub cpu_usec: u64,
}

/// A group of processes; a directory in each hierarchy that it needs. Dropping it removes these as soon as no process is
/// left in them.
#[derive(Debug)]
pub struct Group {
    parts: Vec<Part>,
    limits: GroupLimits,
    parent: Option<Arc<Group>>,
}

#[derive(Debug)]
struct Part {
    hierarchy: &'static Hierarchy,
    path: PathBuf,
    features: Vec<Feature>,
}

impl Group {
    /// Makes a group, below `parent` or directly below ours, in those hierarchies that its bounds and the other features
    /// need. What `parent` bounds is bounded for all groups below it together, so a member of it needs no bound of its
    /// own for that.
    ///
    /// # Errors
    /// `Unsupported` where a feature is not there ([`Cgroups::support`]); those of the file system.
    pub fn create(
        cgroups: &'static Cgroups,
        parent: Option<&Arc<Group>>,
        limits: GroupLimits,
        features: &[Feature],
    ) -> io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = NEXT.fetch_add(1, Ordering::Relaxed).to_string();
        let limits = within(limits, parent.map(|parent| parent.limits));
        let mut group = Self {
            parts: Vec::new(),
            limits,
            parent: parent.map(Arc::clone),
        };
        let inherited = parent.iter().flat_map(|parent| &parent.parts);
        let inherited = inherited.flat_map(|part| &part.features).copied();
        for feature in needed(&limits, features).into_iter().chain(inherited) {
            let hierarchy = serving(&cgroups.hierarchies, feature).ok_or_else(|| {
                let what = format!("{feature:?}: {}", cgroups.support.reason);
                io::Error::new(io::ErrorKind::Unsupported, what)
            })?;
            group.enter(hierarchy, feature, &name)?;
        }
        group.bound()?;
        Ok(group)
    }

    /// Makes the directory in a hierarchy, unless it is there.
    fn enter(
        &mut self,
        hierarchy: &'static Hierarchy,
        feature: Feature,
        name: &str,
    ) -> io::Result<()> {
        if let Some(part) = self.part_in(hierarchy) {
            if !part.features.contains(&feature) {
                part.features.push(feature);
            }
            return Ok(());
        }
        let above = self.parent.as_ref().and_then(|parent| {
            let mut parts = parent.parts.iter();
            parts.find(|part| std::ptr::eq(part.hierarchy, hierarchy))
        });
        let above = above.map_or(&hierarchy.base, |part| &part.path);
        let path = above.join(name);
        std::fs::create_dir(&path)?;
        self.parts.push(Part {
            hierarchy,
            path,
            features: vec![feature],
        });
        Ok(())
    }

    fn part_in(&mut self, hierarchy: &Hierarchy) -> Option<&mut Part> {
        self.parts
            .iter_mut()
            .find(|part| std::ptr::eq(part.hierarchy, hierarchy))
    }

    /// Its directories.
    #[cfg(test)]
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.parts.iter().map(|part| part.path.clone()).collect()
    }

    fn part(&self, feature: Feature) -> Option<&Part> {
        self.parts
            .iter()
            .find(|part| part.features.contains(&feature))
    }

    /// Lets groups below this one have bounds, which in version 2 has to be said. No process can be in it then.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn allow_children(&self) -> io::Result<()> {
        for part in &self.parts {
            if part.hierarchy.version == Version::V2 {
                super::base::enable(&part.path, &part.hierarchy.controllers)?;
            }
        }
        Ok(())
    }

    /// Sets the bounds.
    fn bound(&self) -> io::Result<()> {
        let part = |feature| {
            let found = self.part(feature);
            found.ok_or_else(|| io::Error::from(io::ErrorKind::Unsupported))
        };
        if let Some(bytes) = self.limits.memory_bytes {
            bound_memory(part(Feature::Memory)?, bytes)?;
        }
        if let Some(count) = self.limits.processes {
            let part = part(Feature::Processes)?;
            files::write(&part.path, "pids.max", &count.to_string())?;
        }
        if let Some(cpus) = self.limits.cpus {
            bound_cpu(part(Feature::Cpu)?, cpus)?;
        }
        Ok(())
    }

    /// Descriptors to which a process writes `0` to join, before it executes anything of a command. It must have one
    /// thread only.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn entries(&self) -> io::Result<Vec<OwnedFd>> {
        self.parts
            .iter()
            .map(|part| files::open_to_write(&part.path, part.hierarchy.entry()))
            .collect()
    }

    /// What happened in it so far.
    #[must_use]
    pub fn events(&self) -> Exceeded {
        let read = |feature, of: fn(&Part) -> Option<u64>| {
            self.part(feature).and_then(of).unwrap_or_default()
        };
        Exceeded {
            memory: read(Feature::Memory, |part| {
                let file = match part.hierarchy.version {
                    Version::V1 => "memory.oom_control",
                    Version::V2 => "memory.events",
                };
                files::field(&part.path, file, "oom_kill")
            }),
            processes: read(Feature::Processes, |part| {
                files::field(&part.path, "pids.events", "max")
            }),
            cpu_usec: read(Feature::CpuTime, |part| match part.hierarchy.version {
                Version::V1 => Some(files::number(&part.path, "cpuacct.usage")? / 1_000),
                Version::V2 => files::field(&part.path, "cpu.stat", "usage_usec"),
            }),
        }
    }

    /// Processes and threads in it, those of groups below it included.
    #[must_use]
    pub fn count(&self) -> Option<u64> {
        files::number(&self.part(Feature::Processes)?.path, "pids.current")
    }

    /// How often the group above refused to start a process. Newer kernels count that only there, whoever asked.
    #[must_use]
    pub fn refused_above(&self) -> u64 {
        let above = self.parent.as_deref();
        above.map_or(0, |parent| parent.events().processes)
    }

    /// Whether no other group beside it has more processes.
    #[must_use]
    pub fn is_largest(&self) -> bool {
        let Some(part) = self.part(Feature::Processes) else {
            return true;
        };
        let beside = part.path.parent().map(std::fs::read_dir);
        let Some(Ok(beside)) = beside else {
            return true;
        };
        let own = self.count().unwrap_or_default();
        !beside
            .flatten()
            .filter_map(|entry| files::number(&entry.path(), "pids.current"))
            .any(|count| count > own)
    }

    /// Descriptors that show `POLLPRI` when [`Group::events`] may have changed, each after it was read once with
    /// [`Group::rearm`]. Version 1 has none: there whoever wants to know looks from time to time.
    #[must_use]
    pub fn alarms(&self) -> Vec<OwnedFd> {
        let of = |group: &Group| -> Vec<OwnedFd> {
            let files = [
                (Feature::Memory, "memory.events"),
                (Feature::Processes, "pids.events"),
            ];
            let told = files.into_iter().filter_map(|(feature, file)| {
                let part = group.part(feature)?;
                let told = part.hierarchy.version == Version::V2;
                told.then(|| part.path.join(file))
            });
            told.filter_map(|path| Some(std::fs::File::open(path).ok()?.into()))
                .collect()
        };
        let above = self.parent.as_deref().map(of).unwrap_or_default();
        of(self).into_iter().chain(above).collect()
    }

    /// Reads an alarm, after which it shows the next change only.
    pub fn rearm(alarm: impl AsFd) {
        let mut buffer = [0; 256];
        let _ = rustix::io::pread(alarm, &mut buffer, 0);
    }

    /// By which version its memory or its processes are bounded or counted, here or above it; `None` where neither is.
    #[must_use]
    pub fn version(&self) -> Option<Version> {
        let part = self
            .part(Feature::Memory)
            .or(self.part(Feature::Processes))?;
        Some(part.hierarchy.version)
    }

    /// Whether [`Group::events`] tells the time that was computed.
    #[must_use]
    pub fn counts_cpu(&self) -> bool {
        self.part(Feature::CpuTime).is_some()
    }

    /// Whether a process is in it.
    #[must_use]
    pub fn has_members(&self) -> bool {
        let first = self.parts.first();
        first.is_some_and(|part| !files::processes(&part.path).is_empty())
    }

    /// Whether another group bounds it besides.
    #[must_use]
    pub fn has_parent(&self) -> bool {
        self.parent.is_some()
    }

    /// Whether the group can [`Group::kill`].
    #[must_use]
    pub fn can_kill(&self) -> bool {
        self.part(Feature::Kill).is_some()
    }

    /// Kills every process in it, and what these start meanwhile; waits until they are gone, for some seconds at most.
    /// Blocks. Nothing of the group can start another process afterwards.
    ///
    /// # Errors
    /// Those of the file system; `TimedOut` where processes are left.
    pub fn kill(&self) -> io::Result<()> {
        let part = self.part(Feature::Kill).ok_or(io::ErrorKind::Unsupported)?;
        kill::all_in(part.hierarchy, &part.path)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        removal::remove(self.parts.drain(..).map(|part| part.path));
    }
}

/// The features that bounds need, and those that were named.
fn needed(limits: &GroupLimits, features: &[Feature]) -> Vec<Feature> {
    let mut needed = features.to_vec();
    needed.extend(limits.memory_bytes.map(|_| Feature::Memory));
    needed.extend(limits.processes.map(|_| Feature::Processes));
    needed.extend(limits.cpus.map(|_| Feature::Cpu));
    needed
}

/// Bounds that are not above those of the group above: the kernel refuses some of them.
fn within(limits: GroupLimits, above: Option<GroupLimits>) -> GroupLimits {
    let Some(above) = above else { return limits };
    let capped = |own: Option<u64>, above: Option<u64>| {
        own.map(|own| above.map_or(own, |above| own.min(above)))
    };
    GroupLimits {
        memory_bytes: capped(limits.memory_bytes, above.memory_bytes),
        processes: capped(limits.processes, above.processes),
        cpus: limits
            .cpus
            .map(|own| above.cpus.map_or(own, |above| own.min(above))),
    }
}

fn bound_memory(part: &Part, bytes: u64) -> io::Result<()> {
    let bytes = bytes.to_string();
    let write = |name: &str, value: &str| files::write(&part.path, name, value);
    match part.hierarchy.version {
        Version::V1 => {
            // Only kernels before 5.11 let one choose that groups below count too.
            let _ = write("memory.use_hierarchy", "1");
            write("memory.limit_in_bytes", &bytes)?;
            // Together with swap, where the kernel counts that.
            let _ = write("memory.memsw.limit_in_bytes", &bytes);
        }
        Version::V2 => {
            write("memory.max", &bytes)?;
            let _ = write("memory.swap.max", "0");
            // Half a command is of no use to anybody.
            let _ = write("memory.oom.group", "1");
        }
    }
    Ok(())
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "the cast saturates, and a period has few microseconds"
)]
fn bound_cpu(part: &Part, cpus: f64) -> io::Result<()> {
    let quota = ((cpus * PERIOD as f64) as u64).max(LEAST_QUOTA);
    match part.hierarchy.version {
        Version::V1 => {
            files::write(&part.path, "cpu.cfs_period_us", &PERIOD.to_string())?;
            files::write(&part.path, "cpu.cfs_quota_us", &quota.to_string())
        }
        Version::V2 => files::write(&part.path, "cpu.max", &format!("{quota} {PERIOD}")),
    }
}
