//! Where a word points when it is taken for a path: inside the workspace, outside, or nobody knows. By text only;
//! links are the business of isolation.

use super::field::{Field, Unit};

/// Directories that the system lives in.
const SYSTEM: &[&str] = &[
    "bin",
    "boot",
    "dev",
    "etc",
    "home",
    "lib",
    "lib32",
    "lib64",
    "libx32",
    "media",
    "mnt",
    "opt",
    "proc",
    "root",
    "run",
    "sbin",
    "snap",
    "srv",
    "sys",
    "tmp",
    "usr",
    "var",
    "Applications",
    "Library",
    "System",
    "Users",
    "Volumes",
    "private",
];

/// Those of them whose content belongs to the system, so that writing there changes how it works. `/usr/local` and
/// `/usr/src` are left out: the operator of the machine installs there, and images of containers are built there.
const TREES: &[&str] = &[
    "bin", "boot", "efi", "etc", "lib", "lib32", "lib64", "libx32", "proc", "root", "sbin", "sys",
    "usr", "Library", "System",
];
const LEFT_OUT: &[&[&str]] = &[
    &["usr", "local"],
    &["usr", "src"],
    &["usr", "share", "nginx", "html"],
];
const DEEPER_TREES: &[&[&str]] = &[&["var", "lib"], &["var", "spool"], &["private", "etc"]];
/// What package managers keep and fetch again.
const CACHES: &[&[&str]] = &[&["var", "cache"], &["var", "lib", "apt", "lists"]];
/// Devices that hold nothing: streams, terminals, shared memory.
const STREAMS: &[&str] = &[
    "null", "zero", "full", "random", "urandom", "stdin", "stdout", "stderr", "fd", "tty", "pts",
    "ptmx", "console", "shm", "tcp", "udp", "log", "mqueue", "kvm", "fuse", "dri", "snd", "net",
];

/// In place of a pattern character, and of text that is not known: neither can be part of a path.
const GLOB: u8 = 0;
const UNKNOWN: u8 = 1;

/// What a path is to a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Below the workspace's root, or nobody can say.
    Inside,
    /// The workspace's root itself, by a relative path such as `.`.
    Here,
    /// The workspace's root itself, by its full name.
    Workspace,
    /// The home directory or all that is in it, spelled as such.
    Home,
    /// Below a directory of temporary files, or a cache of a package manager.
    Temporary,
    /// A device that holds nothing, such as `/dev/null`, or what the kernel tells of the process itself.
    Stream,
    /// The root of the file system, or one of its directories that hold something for others: `/home`, `/opt`.
    System,
    /// A directory that the system itself consists of, or below one: `/etc`, `/usr/lib/x`.
    SystemTree { below: bool },
    /// A setting of the running kernel: `/proc/sys`, `/sys`.
    Kernel,
    /// Any other device: a disk, the memory.
    Device,
    /// Anywhere else.
    Outside,
}

/// Where a word points. Of what it may be, the worst counts.
pub(super) fn place(word: &Field, cwd: Option<&[u8]>, root: &[u8]) -> Place {
    let first = locate(word, cwd, root, false);
    if matches!(first, Place::Inside | Place::Here) && word.0.contains(&Unit::Unset) {
        // `"$UNSET/"` is `/`: only the disasters of an empty value count, not every path that it could become.
        let empty = locate(word, cwd, root, true);
        if matches!(empty, Place::System | Place::SystemTree { below: false }) {
            return empty;
        }
    }
    first
}

/// Likewise, but what is not known is taken for something: `"$DESTDIR/etc"` is not `/etc`.
pub(super) fn place_as_written(word: &Field, cwd: Option<&[u8]>, root: &[u8]) -> Place {
    locate(word, cwd, root, false)
}

/// Whether a program is named by a path inside the workspace: `./mount`.
pub(super) fn is_own(word: &Field, cwd: Option<&[u8]>, root: &[u8]) -> bool {
    word.0.contains(&Unit::Literal('/'))
        && word.0.iter().all(|unit| matches!(unit, Unit::Literal(_)))
        && locate(word, cwd, root, false) == Place::Inside
        && components(root, None).is_some_and(|parts| !parts.is_empty())
}

/// The directory after `cd word`; `None` where nobody can say.
pub(super) fn directory(word: &Field, cwd: Option<&[u8]>, root: &[u8]) -> Option<Vec<u8>> {
    if word.0.contains(&Unit::Unset) {
        return None;
    }
    let parts = components(&bytes(word, root, false), cwd)?;
    if parts.iter().flatten().any(|&b| b == GLOB || b == UNKNOWN) {
        return None;
    }
    let mut path = Vec::new();
    for part in &parts {
        path.push(b'/');
        path.extend_from_slice(part);
    }
    if path.is_empty() {
        path.push(b'/');
    }
    Some(path)
}

fn locate(word: &Field, cwd: Option<&[u8]>, root: &[u8], empty: bool) -> Place {
    let path = bytes(word, root, empty);
    let absolute = path.first() == Some(&b'/');
    let Some(parts) = components(&path, cwd) else {
        return Place::Inside;
    };
    let root_parts = components(root, None).unwrap_or_default();
    let below = parts.strip_prefix(root_parts.as_slice());
    let all_globs = |rest: &[Vec<u8>]| matches!(rest, [only] if only.contains(&GLOB) && only.iter().all(|&b| b == GLOB || b == b'.' || b == b'!' || b == b']'));
    let home = word.0.first() == Some(&Unit::Home);
    match below {
        Some(rest) if home && (rest.is_empty() || all_globs(rest)) => Place::Home,
        Some([]) if root_parts.is_empty() => Place::System,
        Some([]) if absolute || path.starts_with(b"..") => Place::Workspace,
        Some([]) => Place::Here,
        // A workspace that is the whole file system still has system directories.
        Some(_) if !root_parts.is_empty() => Place::Inside,
        _ => outside(&parts, &root_parts),
    }
}

fn outside(parts: &[Vec<u8>], root_parts: &[Vec<u8>]) -> Place {
    let Some(first) = parts.first() else {
        return Place::System;
    };
    let pattern = |part: &[u8]| part.contains(&GLOB);
    if pattern(first) {
        return if parts.len() == 1 {
            Place::System
        } else {
            Place::SystemTree { below: true }
        };
    }
    let is_system = SYSTEM
        .iter()
        .any(|name| name.as_bytes() == first.as_slice());
    let temporary = match parts {
        [tmp, rest @ ..] if tmp == b"tmp" => Some((1, rest)),
        [var, tmp, rest @ ..] if var == b"var" && tmp == b"tmp" => Some((2, rest)),
        _ => None,
    };
    if let Some((depth, rest)) = temporary
        && rest.first().is_some_and(|name| name.iter().any(|&b| b != GLOB && b != b'.'))
        // Where the workspace itself lies among the temporary files, its neighbours there belong to others.
        && !(root_parts.len() > depth && parts[..depth] == root_parts[..depth])
    {
        return Place::Temporary;
    }
    if first == b"dev" {
        return device(&parts[1..]);
    }
    let starts = |names: &[&str]| {
        parts.len() >= names.len()
            && parts
                .iter()
                .zip(names)
                .all(|(part, name)| part == name.as_bytes())
    };
    if CACHES
        .iter()
        .any(|names| parts.len() > names.len() && starts(names))
    {
        return Place::Temporary;
    }
    if starts(&["sys"]) || starts(&["proc", "sys"]) || starts(&["proc", "sysrq-trigger"]) {
        return Place::Kernel;
    }
    if let [proc, process, _, ..] = parts
        && proc == b"proc"
        && matches!(process.as_slice(), b"self" | b"thread-self" | [UNKNOWN])
    {
        return Place::Stream;
    }
    let top = parts.len() == 1 || (parts.len() == 2 && pattern(&parts[1]));
    if root_parts.is_empty() && !(is_system && top) {
        return Place::Inside;
    }
    let tree = TREES.iter().any(|name| name.as_bytes() == first.as_slice())
        && !LEFT_OUT.iter().any(|names| starts(names));
    if tree || DEEPER_TREES.iter().any(|names| starts(names)) {
        return Place::SystemTree { below: !top };
    }
    if is_system && top {
        return Place::System;
    }
    Place::Outside
}

/// What is named below `/dev`.
fn device(rest: &[Vec<u8>]) -> Place {
    let Some(name) = rest.first() else {
        return Place::SystemTree { below: false };
    };
    let stream = STREAMS
        .iter()
        .any(|stream| stream.as_bytes() == name.as_slice())
        || name.starts_with(b"tty");
    if name == b"shm" && rest.len() > 1 {
        Place::Temporary
    } else if stream {
        Place::Stream
    } else {
        Place::Device
    }
}

/// The word as bytes, with marks for patterns and for what is not known.
fn bytes(word: &Field, root: &[u8], empty: bool) -> Vec<u8> {
    let mut path = Vec::new();
    for unit in &word.0 {
        match unit {
            Unit::Literal(c) => {
                path.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            Unit::Glob(_) => path.push(GLOB),
            Unit::Home => path.extend_from_slice(root),
            Unit::Unset if empty => {}
            Unit::Unset | Unit::Unknown | Unit::Downloaded => path.push(UNKNOWN),
        }
    }
    path
}

/// The components of a path with `.` and `..` resolved as text; `None` where the beginning is not known.
fn components(path: &[u8], cwd: Option<&[u8]>) -> Option<Vec<Vec<u8>>> {
    let mut parts: Vec<Vec<u8>> = Vec::new();
    match path.first() {
        None | Some(&UNKNOWN) => return None,
        Some(b'/') => {}
        Some(_) => parts = components(cwd?, None)?,
    }
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            name => parts.push(name.to_vec()),
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Place {
        place(&Field::literal(text), Some(b"/srv/ws/sub"), b"/srv/ws")
    }

    #[test]
    fn a_path_is_placed_by_its_text() {
        for (text, expected) in [
            ("a", Place::Inside),
            ("../a", Place::Inside),
            (".", Place::Inside),
            ("..", Place::Workspace),
            ("../..", Place::System),
            ("../../..", Place::System),
            ("../../x", Place::Outside),
            ("/", Place::System),
            ("/etc", Place::SystemTree { below: false }),
            ("/etc/hosts", Place::SystemTree { below: true }),
            ("/opt", Place::System),
            ("/opt/x", Place::Outside),
            ("/usr/local/bin/x", Place::Outside),
            ("/usr/bin/x", Place::SystemTree { below: true }),
            ("/var/lib/x", Place::SystemTree { below: true }),
            ("/var/lib/apt/lists/x", Place::Temporary),
            ("/var/log/x", Place::Outside),
            ("/dev/null", Place::Stream),
            ("/dev/shm/x", Place::Temporary),
            ("/dev/sda", Place::Device),
            ("/proc/self/oom_score_adj", Place::Stream),
            ("/proc/sys/kernel/panic", Place::Kernel),
            ("/srv/ws", Place::Workspace),
            ("/srv/ws/", Place::Workspace),
            ("/srv/ws/a/../b", Place::Inside),
            ("/srv/ws-other", Place::Outside),
            ("/tmp", Place::System),
            ("/tmp/a", Place::Temporary),
            ("/srv/ws/../../etc", Place::SystemTree { below: false }),
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
    }

    #[test]
    fn the_neighbours_of_a_workspace_among_temporary_files_are_outside() {
        let word = Field::literal("/tmp/other");
        assert_eq!(place(&word, Some(b"/tmp/ws"), b"/tmp/ws"), Place::Outside);
    }

    #[test]
    fn a_workspace_that_is_the_whole_system_still_protects_it() {
        for (text, expected) in [
            ("/", Place::System),
            ("/usr", Place::SystemTree { below: false }),
            ("/usr/x", Place::Inside),
            ("/dev/sda", Place::Device),
            ("/app/x", Place::Inside),
        ] {
            let word = Field::literal(text);
            assert_eq!(place(&word, Some(b"/"), b"/"), expected, "{text}");
        }
    }
}
