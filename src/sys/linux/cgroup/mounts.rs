//! Where this process stands in each hierarchy of control groups, as its own mounts show it. Nothing is taken for
//! granted about where they are mounted: containers and old systems differ.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::Version;

/// The group that this process is in, in one hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnGroup {
    pub(super) version: Version,
    /// The controllers of a hierarchy of version 1; of version 2 the group's own files say which there are.
    pub(super) controllers: Vec<String>,
    /// Its directory.
    pub(super) directory: PathBuf,
}

/// Reads what `/proc/self` says.
pub(super) fn own_groups() -> std::io::Result<Vec<OwnGroup>> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    let groups = std::fs::read_to_string("/proc/self/cgroup")?;
    Ok(found(&mounts, &groups))
}

/// The groups that can be reached through one of the mounts.
fn found(mounts: &str, groups: &str) -> Vec<OwnGroup> {
    let mut found: Vec<OwnGroup> = Vec::new();
    for mount in mounts.lines().filter_map(Mount::parse) {
        let Some(path) = groups.lines().find_map(|line| mount.path_of(line)) else {
            continue;
        };
        let Some(directory) = mount.directory(path) else {
            continue;
        };
        let group = OwnGroup {
            version: mount.version,
            controllers: mount.controllers,
            directory,
        };
        // The same hierarchy may be mounted more than once; the first place is as good as another.
        let known = |other: &OwnGroup| {
            other.version == group.version && other.controllers == group.controllers
        };
        if !found.iter().any(known) {
            found.push(group);
        }
    }
    found
}

/// One mounted hierarchy.
struct Mount {
    version: Version,
    controllers: Vec<String>,
    /// The group that is at the mount point.
    root: PathBuf,
    point: PathBuf,
}

impl Mount {
    /// Reads a line of `mountinfo`: `35 31 0:32 /root /point options optional… - type source super-options`.
    fn parse(line: &str) -> Option<Self> {
        let (mount, file_system) = line.split_once(" - ")?;
        let mut file_system = file_system.split(' ');
        let version = match file_system.next()? {
            "cgroup2" => Version::V2,
            "cgroup" => Version::V1,
            _ => return None,
        };
        let mut controllers: Vec<String> = Vec::new();
        if version == Version::V1 {
            let options = file_system.nth(1)?.split(',');
            controllers.extend(
                options
                    .filter(|option| KNOWN.contains(option))
                    .map(str::to_owned),
            );
        }
        let mut fields = mount.split(' ').skip(3);
        Some(Self {
            version,
            controllers,
            root: unescaped(fields.next()?),
            point: unescaped(fields.next()?),
        })
    }

    /// The path in a line of `/proc/self/cgroup` that is about this hierarchy: `4:memory:/a` or `0::/a`.
    fn path_of<'l>(&self, line: &'l str) -> Option<&'l str> {
        let mut fields = line.splitn(3, ':');
        let (number, names, path) = (fields.next()?, fields.next()?, fields.next()?);
        let ours = match self.version {
            Version::V2 => number == "0" && names.is_empty(),
            Version::V1 => names
                .split(',')
                .any(|name| self.controllers.iter().any(|known| known == name)),
        };
        ours.then_some(path)
    }

    /// Where the group of that path is; `None` where the mount does not show it.
    fn directory(&self, path: &str) -> Option<PathBuf> {
        let path = Path::new(path);
        // Of a group outside its namespace a process is told a path that begins with `/..`.
        let leaves = |path: &Path| path.components().any(|part| part.as_os_str() == "..");
        if leaves(path) || leaves(&self.root) {
            return None;
        }
        let below = path.strip_prefix(&self.root).ok()?;
        Some(match below.as_os_str().is_empty() {
            true => self.point.clone(),
            false => self.point.join(below),
        })
    }
}

/// The controllers that any feature here needs.
const KNOWN: [&str; 5] = ["memory", "pids", "cpu", "cpuacct", "freezer"];

/// A path of `mountinfo`, where space, tab, newline and backslash stand as three octal digits.
fn unescaped(field: &str) -> PathBuf {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..3).filter(|_| first == b'\\');
        let code = digits
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        rest = match code {
            Some(code) => {
                out.push(code);
                &after[3..]
            }
            None => {
                out.push(first);
                after
            }
        };
    }
    PathBuf::from(OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
         32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct\n\
         35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
         40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
         41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    fn directories(mounts: &str, groups: &str) -> Vec<String> {
        let found = found(mounts, groups);
        let shown = |group: &OwnGroup| group.directory.to_string_lossy().into_owned();
        found.iter().map(shown).collect()
    }

    #[test]
    fn each_hierarchy_is_found_where_it_is_mounted() {
        let groups = "9:name=systemd:/x\n4:memory:/a/b\n1:cpu,cpuacct:/\n0::/u\n";
        assert_eq!(
            directories(HYBRID, groups),
            [
                "/sys/fs/cgroup/cpu,cpuacct",
                "/sys/fs/cgroup/memory/a/b",
                "/sys/fs/cgroup/unified/u"
            ]
        );
        let cpu = &found(HYBRID, groups)[0];
        assert_eq!(cpu.controllers, ["cpu", "cpuacct"]);
        assert_eq!(cpu.version, Version::V1);
    }

    #[test]
    fn what_is_below_a_mount_of_a_part_is_found_below_it() {
        let mounts = "9 8 0:32 /docker/1 /my\\040groups rw - cgroup2 cgroup2 rw\n";
        assert_eq!(directories(mounts, "0::/docker/1/x"), ["/my groups/x"]);
        assert_eq!(directories(mounts, "0::/docker/1"), ["/my groups"]);
    }

    #[test]
    fn a_group_that_no_mount_shows_is_not_used() {
        let mounts = "9 8 0:32 /docker/1 /cg rw - cgroup2 cgroup2 rw\n";
        assert!(directories(mounts, "0::/docker/2").is_empty());
        assert!(directories(mounts, "0::/../other").is_empty());
        let outside = "9 8 0:32 /../.. /cg rw - cgroup2 cgroup2 rw\n";
        assert!(directories(outside, "0::/../..").is_empty());
        assert!(directories("", "0::/").is_empty());
    }
}
