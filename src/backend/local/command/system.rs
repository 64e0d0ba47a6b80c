//! What every sandbox shows of the host, and what it hides of the kernel.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Directories that hold programs and libraries: themselves, or links into `/usr`.
pub(super) const SYSTEM: &[&str] = &[
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
];

/// What of `/etc` programs cannot do without: the loader, names, certificates, time, alternatives, and the settings of
/// languages. No file of keys, tokens or accounts is among them.
pub(super) const ETC: &[&str] = &[
    "alternatives",
    "ca-certificates",
    "ca-certificates.conf",
    "crypto-policies",
    "debian_version",
    "fonts",
    "gai.conf",
    "gss",
    "host.conf",
    "hosts",
    "inputrc",
    "java",
    "java-8-openjdk",
    "java-11-openjdk",
    "java-17-openjdk",
    "java-21-openjdk",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "lsb-release",
    "magic",
    "magic.mime",
    "maven",
    "mime.types",
    "networks",
    "nsswitch.conf",
    "os-release",
    "papersize",
    "perl",
    "pki/tls/certs",
    "pki/ca-trust",
    "protocols",
    "python3",
    "resolv.conf",
    "rpc",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
    "vim",
    "xdg",
];

/// Files of the kernel that tell of, or act on, the whole host. Directories are hidden by an empty one.
const MASKED_FILES: &[&str] = &[
    "/proc/kcore",
    "/proc/keys",
    "/proc/key-users",
    "/proc/timer_list",
    "/proc/sched_debug",
    "/proc/sysrq-trigger",
    "/proc/latency_stats",
    "/proc/kallsyms",
    "/proc/kmsg",
    "/proc/interrupts",
];
const MASKED_DIRECTORIES: &[&str] = &[
    "/proc/acpi",
    "/proc/scsi",
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
];

/// One thing of the host that every sandbox shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SystemEntry {
    /// Mounted read-only at its own path.
    Mounted(PathBuf),
    /// A small file, copied: a mount costs a third of a millisecond, and there are two dozen.
    Copied(PathBuf),
    /// A link, made again.
    Link { target: PathBuf, path: PathBuf },
    /// A file of the kernel, hidden.
    MaskedFile(PathBuf),
    /// A directory of the kernel, hidden.
    MaskedDirectory(PathBuf),
}

/// What of the lists above exists on this host.
fn system_entries() -> Vec<SystemEntry> {
    let mut entries = Vec::new();
    for path in SYSTEM.iter().map(PathBuf::from) {
        match std::fs::read_link(&path) {
            Ok(target) => entries.push(SystemEntry::Link { target, path }),
            Err(_) if path.is_dir() => entries.push(SystemEntry::Mounted(path)),
            Err(_) => {}
        }
    }
    let existing = |path: &PathBuf| path.exists();
    let etc = ETC.iter().map(|name| Path::new("/etc").join(name));
    entries.extend(etc.filter(existing).map(|path| match path.is_dir() {
        true => SystemEntry::Mounted(path),
        false => SystemEntry::Copied(path),
    }));
    let files = MASKED_FILES.iter().map(PathBuf::from);
    entries.extend(files.filter(existing).map(SystemEntry::MaskedFile));
    let directories = MASKED_DIRECTORIES.iter().map(PathBuf::from);
    entries.extend(
        directories
            .filter(existing)
            .map(SystemEntry::MaskedDirectory),
    );
    entries
}

/// The parts of the host that are the same for every sandbox; looked up once.
pub(super) fn system() -> &'static [SystemEntry] {
    static SYSTEM: OnceLock<Vec<SystemEntry>> = OnceLock::new();
    SYSTEM.get_or_init(system_entries)
}

/// The same without what comes with a prepared `/etc`.
pub(super) fn system_without_etc() -> &'static [SystemEntry] {
    static SYSTEM: OnceLock<Vec<SystemEntry>> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let mut entries = system_entries();
        entries.retain(|entry| match entry {
            SystemEntry::Copied(_) => false,
            SystemEntry::Mounted(path) => !path.starts_with("/etc"),
            SystemEntry::Link { .. }
            | SystemEntry::MaskedFile(_)
            | SystemEntry::MaskedDirectory(_) => true,
        });
        entries
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_etc_holds_no_secret() {
        for entry in system_entries() {
            if let SystemEntry::Mounted(path) | SystemEntry::Copied(path) = entry {
                let text = path.to_str().unwrap();
                for secret in [
                    "shadow",
                    "ssh",
                    "private",
                    "npmrc",
                    "gitconfig",
                    "pip.conf",
                    "sudoers",
                ] {
                    assert!(!text.contains(secret), "{text}");
                }
            }
        }
    }
}
