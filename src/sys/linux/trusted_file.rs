//! Files that say what is allowed: read only where nobody but us and root could have written them, and where they are
//! out of reach of those whom they are about.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorCode, Result};
use crate::path::strip_root;

/// Reads a file of at most `max_bytes`. `outside` is a directory in which it must not be, neither by its own name nor by
/// that of a link that leads to it.
///
/// # Errors
/// `NOT_FOUND`, `PERMISSION_DENIED`; `INVALID_CONFIGURATION` for anything but a regular file, for one that is too long,
/// inside `outside`, of another owner, or writable by others. All name the path.
pub fn read(path: &Path, outside: Option<&Path>, max_bytes: u64) -> Result<Vec<u8>> {
    read_unnamed(path, outside, max_bytes, Keeps::Rules)
        .map_err(|error| error.at(path.to_string_lossy()))
}

/// [`read`] for what must stay secret: a file that others may read is refused as well. Its group may.
///
/// # Errors
/// As [`read`].
pub fn read_secret(path: &Path, outside: Option<&Path>, max_bytes: u64) -> Result<Vec<u8>> {
    read_unnamed(path, outside, max_bytes, Keeps::Secrets)
        .map_err(|error| error.at(path.to_string_lossy()))
}

/// What tells one state of a file from the next: where it is, its size and its times. `None` where there is none.
#[must_use]
pub fn stamp(path: &Path) -> Option<[i128; 5]> {
    let found = std::fs::metadata(path).ok()?;
    let time = |seconds: i64, nanoseconds: i64| {
        i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
    };
    Some([
        found.dev().into(),
        found.ino().into(),
        found.size().into(),
        time(found.mtime(), found.mtime_nsec()),
        time(found.ctime(), found.ctime_nsec()),
    ])
}

/// What a file is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keeps {
    Rules,
    Secrets,
}

fn read_unnamed(
    path: &Path,
    outside: Option<&Path>,
    max_bytes: u64,
    keeps: Keeps,
) -> Result<Vec<u8>> {
    let refuse = |why: &str| Err(Error::new(ErrorCode::InvalidConfiguration, why));
    // What is no file must not hold us.
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return refuse("it is not a regular file");
    }
    if let Some(outside) = outside {
        let outside = real(outside);
        let own = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
        let named = in_real_directory(path);
        let is_inside = |path: &Path| {
            strip_root(path.as_os_str().as_bytes(), outside.as_os_str().as_bytes()).is_some()
        };
        if is_inside(&own) || is_inside(&named) {
            return refuse("it lies in the workspace that it is about; keep it elsewhere");
        }
    }
    let us = rustix::process::geteuid().as_raw();
    if found.uid() != us && found.uid() != 0 {
        return refuse("it belongs to another user; it must belong to root or to who runs this");
    }
    if found.mode() & 0o022 != 0 {
        return refuse("others may write it; run `chmod go-w` on it");
    }
    if keeps == Keeps::Secrets && found.mode() & 0o007 != 0 {
        return refuse("others may read it; run `chmod o-rwx` on it");
    }
    let mut content = Vec::new();
    file.take(max_bytes + 1).read_to_end(&mut content)?;
    if content.len() as u64 > max_bytes {
        return refuse("it is too long");
    }
    Ok(content)
}

/// The path without links, as far as it is there.
fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut there = absolute.as_path();
    loop {
        if let Ok(real) = there.canonicalize() {
            return match absolute.strip_prefix(there) {
                Ok(rest) if !rest.as_os_str().is_empty() => real.join(rest),
                _ => real,
            };
        }
        match there.parent() {
            Some(parent) => there = parent,
            None => return absolute,
        }
    }
}

/// Where the name itself is, whatever is under it.
fn in_real_directory(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if !parent.as_os_str().is_empty() => real(parent).join(name),
        _ => real(path),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn refusal(path: &Path, outside: Option<&Path>) -> String {
        read(path, outside, 100).unwrap_err().to_string()
    }

    #[test]
    fn a_file_of_our_own_is_read_also_through_a_link() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        symlink("file", at("link")).unwrap();
        for name in ["file", "link"] {
            assert_eq!(read(&at(name), Some(&at("root")), 100).unwrap(), b"text");
        }
    }

    #[test]
    fn what_others_could_have_written_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "text").unwrap();
        for mode in [0o620, 0o602, 0o666] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            assert!(refusal(&file, None).contains("others may write it"));
        }
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read(&file, None, 100).is_ok());
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&file, Some(1234), None).unwrap();
            assert!(refusal(&file, None).contains("another user"));
        }
    }

    #[test]
    fn a_secret_is_refused_where_others_may_read_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "text").unwrap();
        for (mode, is_read) in [(0o600, true), (0o640, true), (0o644, false), (0o660, false)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_secret(&file, None, 100).is_ok(), is_read, "{mode:o}");
        }
    }

    #[test]
    fn what_lies_in_the_directory_is_refused_by_every_name_for_it() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(at("root/sub")).unwrap();
        std::fs::write(at("root/sub/inside"), "x").unwrap();
        std::fs::write(at("outside"), "x").unwrap();
        symlink(at("outside"), at("root/link-out")).unwrap();
        symlink(at("root/sub/inside"), at("link-in")).unwrap();
        symlink("root", at("root-link")).unwrap();
        for (file, root) in [
            ("root/sub/inside", "root"),
            ("root/sub/../sub/inside", "root"),
            ("root/link-out", "root"),
            ("link-in", "root"),
            ("root-link/sub/inside", "root"),
            ("root/sub/inside", "root-link"),
        ] {
            assert!(
                refusal(&at(file), Some(&at(root))).contains("lies in the workspace"),
                "{file}"
            );
        }
        assert!(read(&at("outside"), Some(&at("root")), 100).is_ok());
        // A root that is not there yet, and one whose name begins alike.
        assert!(refusal(&at("root/sub/inside"), Some(&at("root/sub"))).contains("lies in"));
        assert!(read(&at("outside"), Some(&at("out")), 100).is_ok());
    }

    #[test]
    fn what_is_no_file_or_too_long_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        assert!(refusal(directory.path(), None).contains("not a regular file"));
        assert!(refusal(Path::new("/dev/null"), None).contains("not a regular file"));
        let file = directory.path().join("file");
        std::fs::write(&file, "x".repeat(101)).unwrap();
        assert!(refusal(&file, None).contains("too long"));
        let missing = read(&directory.path().join("missing"), None, 100).unwrap_err();
        assert_eq!(missing.code(), ErrorCode::NotFound);
    }
}
