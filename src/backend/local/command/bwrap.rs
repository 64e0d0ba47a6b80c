//! What bubblewrap is told. Pure: from a description of one sandbox to the list of its arguments, in an order that
//! matters, since a later mount hides an earlier one below it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::masks::{Masked, Masks};
use super::system::SystemEntry;
use crate::access::View;

/// Where the caches of a scope are inside its sandbox.
pub(super) const CACHE: &str = "/var/cache/agent-backend";

/// Bytes of shared memory that a sandbox may fill.
const SHARED_MEMORY: &str = "1073741824";

/// Where bubblewrap takes a directory from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A descriptor that it gets; it mounts by path and compares device and inode.
    Descriptor(usize),
    /// A path where nobody but us can put anything.
    Staged(PathBuf),
}

/// Something to be covered by something empty of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hidden {
    pub(super) path: PathBuf,
    pub(super) directory: bool,
}

/// One sandbox.
#[derive(Debug)]
pub(super) struct Sandbox<'a> {
    pub(super) system: &'a [SystemEntry],
    /// All of `/etc`, where it was prepared, instead of its parts.
    pub(super) etc: Option<&'a Path>,
    /// An empty directory to hide others with; without one, each gets a file system of its own.
    pub(super) empty: Option<&'a Path>,
    /// Prefixes of tools outside the system directories, read-only at their own paths.
    pub(super) tools: &'a [(Source, PathBuf)],
    /// What of the scope is read-only, at its own paths.
    pub(super) read_only_inside: &'a [(Source, PathBuf)],
    /// The root that the scope lies in, where that is seen with the system: its other scopes are covered.
    pub(super) seen_root: Option<&'a Path>,
    /// More of the host, read-write at its own paths.
    pub(super) read_write: &'a [(Source, PathBuf)],
    /// What is covered, last of all.
    pub(super) hidden: &'a [Hidden],
    /// Descriptors with the content of small read-only files, and where these go.
    pub(super) files: &'a [(usize, PathBuf)],
    /// Empty directories.
    pub(super) directories: &'a [PathBuf],
    pub(super) tmp: Source,
    pub(super) cache: Source,
    pub(super) scope: Source,
    /// What of the scope is seen otherwise.
    pub(super) masks: &'a Masks,
    pub(super) scope_path: &'a OsStr,
    pub(super) cwd_path: &'a OsStr,
    pub(super) environment: &'a Environment,
    /// Whether it has a network of its own: a loopback, and what somebody makes of it.
    pub(super) own_network: bool,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Descriptor with the seccomp filter.
    pub(super) seccomp: usize,
    /// Descriptor that is told whether the command was run.
    pub(super) status: usize,
}

/// The arguments, as `--args` takes them; the command itself is not among them.
pub(super) fn arguments(sandbox: &Sandbox<'_>) -> Vec<OsString> {
    let mut list = List::default();
    list.namespaces(sandbox);
    list.kernel(sandbox.system, sandbox.empty);
    list.system(sandbox.system);
    if let Some(etc) = sandbox.etc {
        list.words(&["--ro-bind"]).path(etc).words(&["/etc"]);
    }
    for (descriptor, path) in sandbox.files {
        list.words(&["--perms", "0444", "--file"])
            .number(*descriptor)
            .path(path);
    }
    list.words(&["--perms", "0755", "--dir", "/run"]);
    list.bind(&sandbox.tmp, Path::new("/tmp"), false);
    list.var_tmp(sandbox);
    list.bind(&sandbox.cache, Path::new(CACHE), false);
    for (source, path) in sandbox.tools {
        list.bind(source, path, true);
    }
    for path in sandbox.directories {
        list.words(&["--perms", "0755", "--dir"]).path(path);
    }
    // Last, so that nothing hides it. Below /tmp its parents would be made in, and stay in, what outlives the command.
    // Of a root that is seen with the system the rest is covered, whatever name leads there.
    let seen_root = sandbox.seen_root.map(Path::to_path_buf);
    let covered: Vec<PathBuf> = seen_root
        .into_iter()
        .chain(top_below_tmp(Path::new(sandbox.scope_path)))
        .collect();
    for top in &covered {
        list.words(&["--perms", "0755", "--tmpfs"]).path(top);
    }
    list.scope(sandbox);
    for top in &covered {
        list.words(&["--remount-ro"]).path(top);
    }
    for (source, path) in sandbox.read_write {
        list.bind(source, path, false);
    }
    for hidden in sandbox.hidden {
        list.cover(hidden, sandbox.empty);
    }
    list.words(&["--remount-ro", "/", "--chdir"])
        .path(Path::new(sandbox.cwd_path));
    list.words(&["--clearenv"]);
    for (name, value) in sandbox.environment.iter() {
        list.words(&["--setenv"]);
        list.0.push(OsStr::from_bytes(name).to_owned());
        list.0.push(OsStr::from_bytes(value).to_owned());
    }
    list.0
}

/// The directory right below `/tmp` that a path goes through, if it does.
fn top_below_tmp(path: &Path) -> Option<PathBuf> {
    let mut components = path.strip_prefix("/tmp").ok()?.components();
    let top = Path::new("/tmp").join(components.next()?);
    components.next().map(|_| top)
}

#[derive(Default)]
struct List(Vec<OsString>);

impl List {
    fn words(&mut self, words: &[&str]) -> &mut Self {
        self.0.extend(words.iter().map(OsString::from));
        self
    }

    fn number(&mut self, number: impl ToString) -> &mut Self {
        self.0.push(number.to_string().into());
        self
    }

    fn path(&mut self, path: &Path) -> &mut Self {
        self.0.push(path.as_os_str().to_owned());
        self
    }

    fn namespaces(&mut self, sandbox: &Sandbox<'_>) {
        self.words(&[
            "--unshare-user",
            "--unshare-pid",
            "--unshare-ipc",
            "--unshare-uts",
            "--unshare-cgroup-try",
        ]);
        if sandbox.own_network {
            self.words(&["--unshare-net"]);
        }
        self.words(&[
            "--disable-userns",
            "--cap-drop",
            "ALL",
            "--new-session",
            "--die-with-parent",
        ]);
        self.words(&["--uid"]).number(sandbox.uid);
        self.words(&["--gid"]).number(sandbox.gid);
        self.words(&["--seccomp"]).number(sandbox.seccomp);
        self.words(&["--json-status-fd"]).number(sandbox.status);
    }

    /// `/proc` without what reaches the host, and `/dev` with what every program expects, neither to be written.
    /// `/var/tmp` is `/tmp`; but nothing can be mounted below a link, so where something has to be, it is a directory
    /// that lasts as long as the command.
    fn var_tmp(&mut self, sandbox: &Sandbox<'_>) {
        let var_tmp = Path::new("/var/tmp");
        let mounted_below = Path::new(sandbox.scope_path).starts_with(var_tmp)
            || sandbox
                .tools
                .iter()
                .any(|(_, path)| path.starts_with(var_tmp));
        if mounted_below {
            self.words(&["--perms", "1777", "--tmpfs"]).path(var_tmp);
        } else {
            self.words(&["--symlink", "/tmp"]).path(var_tmp);
        }
    }

    fn kernel(&mut self, system: &[SystemEntry], empty: Option<&Path>) {
        self.words(&["--proc", "/proc"]);
        for entry in system {
            match entry {
                SystemEntry::MaskedFile(path) => self.cover_file(path),
                SystemEntry::MaskedDirectory(path) => self.cover_directory(path, empty),
                SystemEntry::Mounted(_) | SystemEntry::Copied(_) | SystemEntry::Link { .. } => {}
            }
        }
        self.words(&["--remount-ro", "/proc", "--dev", "/dev"]);
        self.words(&[
            "--perms",
            "1777",
            "--size",
            SHARED_MEMORY,
            "--tmpfs",
            "/dev/shm",
        ]);
        self.words(&["--remount-ro", "/dev"]);
    }

    fn system(&mut self, system: &[SystemEntry]) {
        for entry in system {
            match entry {
                SystemEntry::Mounted(path) => self.words(&["--ro-bind"]).path(path).path(path),
                SystemEntry::Link { target, path } => {
                    self.words(&["--symlink"]).path(target).path(path)
                }
                SystemEntry::Copied(_)
                | SystemEntry::MaskedFile(_)
                | SystemEntry::MaskedDirectory(_) => continue,
            };
        }
    }

    fn cover(&mut self, hidden: &Hidden, empty: Option<&Path>) {
        match hidden.directory {
            true => self.cover_directory(&hidden.path, empty),
            false => self.cover_file(&hidden.path),
        }
    }

    fn cover_file(&mut self, path: &Path) {
        self.words(&["--ro-bind", "/dev/null"]).path(path);
    }

    /// The scope with what is hidden in it, and what is shown in that. Whatever holds something else comes first.
    fn scope(&mut self, sandbox: &Sandbox<'_>) {
        let masks = sandbox.masks;
        match &masks.scope {
            Some(mask) if mask.view == View::Hidden => self.mask(mask, sandbox.empty),
            mask => {
                let path = Path::new(sandbox.scope_path);
                self.bind(&sandbox.scope, path, mask.is_some());
            }
        }
        for (source, path) in sandbox.read_only_inside {
            self.bind(source, path, true);
        }
        for mask in &masks.below {
            self.mask(mask, sandbox.empty);
        }
        // Only now: mount points had to be made in them.
        for mask in masks.scope.iter().chain(&masks.below) {
            if mask.view == View::Hidden && mask.holds_shown {
                self.words(&["--remount-ro"]).path(&mask.path);
            }
        }
    }

    fn mask(&mut self, mask: &Masked, empty: Option<&Path>) {
        match (mask.view, &mask.source) {
            (View::ReadOnly, Some(source)) => self.bind(source, &mask.path, true),
            (View::Writable, Some(source)) => self.bind(source, &mask.path, false),
            _ if !mask.directory => self.cover_file(&mask.path),
            _ if mask.holds_shown => {
                self.words(&["--perms", "0755", "--tmpfs"]).path(&mask.path);
            }
            _ => self.cover_directory(&mask.path, empty),
        }
    }

    fn cover_directory(&mut self, path: &Path, empty: Option<&Path>) {
        match empty {
            Some(empty) => self.words(&["--ro-bind"]).path(empty).path(path),
            None => {
                self.words(&["--perms", "0555", "--tmpfs"]).path(path);
                self.words(&["--remount-ro"]).path(path)
            }
        };
    }

    fn bind(&mut self, source: &Source, path: &Path, read_only: bool) {
        match (source, read_only) {
            (Source::Descriptor(number), false) => self.words(&["--bind-fd"]).number(number),
            (Source::Descriptor(number), true) => self.words(&["--ro-bind-fd"]).number(number),
            (Source::Staged(from), false) => self.words(&["--bind"]).path(from),
            (Source::Staged(from), true) => self.words(&["--ro-bind"]).path(from),
        };
        self.path(path);
    }
}

#[cfg(test)]
#[path = "bwrap_mask_tests.rs"]
mod mask_tests;

#[cfg(test)]
#[path = "bwrap_tests.rs"]
mod tests;
