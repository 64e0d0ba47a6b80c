//! One hierarchy in which this process may make groups, and what it can do.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::mounts::{self, OwnGroup};
use super::{Feature, Version, base, explained, files};

/// A hierarchy with our directory in it.
#[derive(Debug)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    /// Controllers that groups below the base have.
    pub(super) controllers: Vec<String>,
    /// Our directory.
    pub(super) base: PathBuf,
    /// Says that its owner lives.
    pub(super) _lock: Option<File>,
}

/// The hierarchies in which we may, with why not in the others.
pub(super) fn usable() -> (Vec<Hierarchy>, Vec<String>) {
    let groups = match mounts::own_groups() {
        Ok(groups) => groups,
        Err(error) => return (Vec::new(), vec![explained("/proc/self", &error)]),
    };
    let mut usable = Vec::new();
    let mut reasons = Vec::new();
    for group in groups {
        match open(&group) {
            Ok(hierarchy) => usable.push(hierarchy),
            Err(reason) => reasons.push(reason),
        }
    }
    for hierarchy in &usable {
        if hierarchy.version == Version::V2 && hierarchy.controllers.is_empty() {
            reasons.push(format!(
                "{}: no controllers are enabled for groups below it",
                hierarchy.base.parent().unwrap_or(&hierarchy.base).display()
            ));
        }
    }
    (usable, reasons)
}

/// Makes our directory in a hierarchy, and tries it.
pub(super) fn open(group: &OwnGroup) -> Result<Hierarchy, String> {
    let at = group.directory.display();
    let controllers = match group.version {
        Version::V1 if group.controllers.is_empty() => {
            return Err(format!("{at}: no controller that is of use"));
        }
        Version::V1 => group.controllers.clone(),
        Version::V2 => base::enabled_for_children(&group.directory)
            .map_err(|error| explained(&at.to_string(), &error))?,
    };
    let (base, lock) =
        base::make(&group.directory).map_err(|error| explained(&at.to_string(), &error))?;
    let mut hierarchy = Hierarchy {
        version: group.version,
        controllers,
        base,
        _lock: Some(lock),
    };
    if let Err(error) = hierarchy.attempt() {
        let _ = std::fs::remove_dir(&hierarchy.base);
        return Err(explained(&at.to_string(), &error));
    }
    Ok(hierarchy)
}

impl Hierarchy {
    /// Whether groups of this hierarchy can do something.
    pub(super) fn serves(&self, feature: Feature) -> bool {
        let has = |name: &str| self.controllers.iter().any(|known| known == name);
        match (feature, self.version) {
            (Feature::Memory, _) => has("memory"),
            (Feature::Processes, _) => has("pids"),
            (Feature::Cpu, _) => has("cpu"),
            (Feature::CpuTime, Version::V1) => has("cpuacct"),
            (Feature::Kill, Version::V1) => has("pids") || has("freezer"),
            // Both work in every group, whatever controllers there are; the kill is of Linux 5.14.
            (Feature::CpuTime, Version::V2) => true,
            (Feature::Kill, Version::V2) => has("kill"),
        }
    }

    /// Among hierarchies of version 1 that serve a feature, the lowest is taken.
    pub(super) fn rank(&self, feature: Feature) -> u8 {
        let by_pids = self.controllers.iter().any(|known| known == "pids");
        u8::from(feature == Feature::Kill && !by_pids)
    }

    /// Makes a group, uses it as a command's would be, and removes it. What does not work is not there.
    fn attempt(&mut self) -> std::io::Result<()> {
        if self.version == Version::V2 {
            base::enable(&self.base, &self.controllers)?;
        }
        let trial = self.base.join("trial");
        std::fs::create_dir(&trial)?;
        self.controllers
            .retain(|controller| works(&trial, self.version, controller));
        let entry = files::open_to_write(&trial, self.entry());
        if self.version == Version::V2 && trial.join("cgroup.kill").exists() {
            // No controller of the kernel's has this name.
            self.controllers.push("kill".to_owned());
        }
        std::fs::remove_dir(&trial)?;
        entry.map(drop)
    }

    /// The file through which a process joins: in version 1 by thread, since moving a whole process waits for all
    /// processors, some ten milliseconds where nobody did so a moment ago. Who joins has one thread.
    pub(super) fn entry(&self) -> &'static str {
        match self.version {
            Version::V1 => "tasks",
            Version::V2 => "cgroup.procs",
        }
    }
}

/// Whether a bound can be set.
fn works(group: &Path, version: Version, controller: &str) -> bool {
    let (file, value) = match (controller, version) {
        ("memory", Version::V1) => ("memory.limit_in_bytes", "1073741824"),
        ("memory", Version::V2) => ("memory.max", "1073741824"),
        ("pids", _) => ("pids.max", "1000"),
        ("cpu", Version::V1) => ("cpu.cfs_quota_us", "100000"),
        ("cpu", Version::V2) => ("cpu.max", "100000 100000"),
        ("cpuacct", _) => return files::number(group, "cpuacct.usage").is_some(),
        ("freezer", _) => ("freezer.state", "THAWED"),
        _ => return false,
    };
    files::write(group, file, value).is_ok()
}
