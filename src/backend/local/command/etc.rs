//! A copy of what commands need of `/etc`, in the namespace of the mount threads: one mount for each sandbox instead of
//! a dozen, and two dozen files less to carry into it. Made anew when the host's files change.

use std::fs::{File, Metadata, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::system::ETC;
use crate::sys::linux::spawn_staging::{Staging, staging};

/// Where the accounts of a sandbox are, which are its own: `/etc` has links to them.
pub(super) const ACCOUNTS: &str = "/run/agent-backend";

/// What a copy holds at most; where there is more, the parts are mounted one by one.
const MAX_BYTES: u64 = 16 << 20;
const MAX_ENTRIES: usize = 20_000;

/// A copy; goes when it is dropped.
#[derive(Debug)]
pub(super) struct Etc {
    path: PathBuf,
}

impl Etc {
    /// Where it is, in the namespace.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Etc {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        if let Ok(staging) = staging() {
            // Nothing is ever mounted in it.
            staging.tidy(move || drop(std::fs::remove_dir_all(path)));
        }
    }
}

/// Paths, and what changes about a file when its content does.
type Seen = Vec<(PathBuf, Option<[i64; 5]>)>;

struct Kept {
    seen: Seen,
    /// `None`: it cannot be copied.
    etc: Option<Arc<Etc>>,
}

/// The copy of what is there now. `None` where there can be none. Blocks.
pub(super) fn current(staging: &Staging) -> Option<Arc<Etc>> {
    static KEPT: Mutex<Option<Kept>> = Mutex::new(None);
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let fresh = |kept: &&Kept| kept.seen.iter().all(|(path, mark)| look(path) == *mark);
    if let Some(kept) = kept.as_ref().filter(fresh) {
        return kept.etc.clone();
    }
    let made = staging.run(make).ok()?;
    let etc = made.etc.clone();
    *kept = Some(made);
    etc
}

fn look(path: &Path) -> Option<[i64; 5]> {
    std::fs::metadata(path).ok().map(|found| mark(&found))
}

fn mark(found: &Metadata) -> [i64; 5] {
    let (inode, size) = (found.ino().cast_signed(), found.size().cast_signed());
    let mode = i64::from(found.mode());
    [inode, size, found.ctime(), found.ctime_nsec(), mode]
}

/// Runs in the namespace.
fn make() -> Kept {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let path = PathBuf::from(format!("/tmp/etc-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    let etc = Etc { path };
    let mut copy = Copy {
        to: etc.path.clone(),
        seen: Vec::new(),
        bytes: 0,
    };
    let done = copy.all();
    Kept {
        seen: copy.seen,
        etc: done.is_ok().then(|| Arc::new(etc)),
    }
}

struct Copy {
    to: PathBuf,
    seen: Seen,
    bytes: u64,
}

impl Copy {
    fn all(&mut self) -> io::Result<()> {
        directory(&self.to)?;
        for name in ["passwd", "group"] {
            symlink(format!("{ACCOUNTS}/{name}"), self.to.join(name))?;
        }
        for name in ETC {
            let (from, to) = (Path::new("/etc").join(name), self.to.join(name));
            // Seen before it is copied: what changes in between is seen to have changed.
            self.seen.push((from.clone(), look(&from)));
            let Ok(found) = std::fs::metadata(&from) else {
                continue;
            };
            for parent in Path::new(name).ancestors().skip(1) {
                directory(&self.to.join(parent))?;
            }
            if found.is_dir() {
                self.tree(from, to)?;
            } else if found.is_file() {
                self.file(&from, &to, &found)?;
            }
        }
        Ok(())
    }

    /// What everybody may read of a tree; links as they are.
    fn tree(&mut self, from: PathBuf, to: PathBuf) -> io::Result<()> {
        let mut open = vec![(from, to)];
        let mut entries = 0;
        while let Some((from, to)) = open.pop() {
            directory(&to)?;
            for entry in std::fs::read_dir(&from)? {
                let entry = entry?;
                let (from, to) = (entry.path(), to.join(entry.file_name()));
                let found = entry.metadata()?;
                entries += 1;
                if entries > MAX_ENTRIES {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                if found.is_symlink() {
                    symlink(std::fs::read_link(&from)?, &to)?;
                } else if found.is_dir() && found.mode() & 0o5 == 0o5 {
                    self.seen.push((from.clone(), Some(mark(&found))));
                    open.push((from, to));
                } else if found.is_file() {
                    self.file(&from, &to, &found)?;
                }
            }
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, to: &Path, found: &Metadata) -> io::Result<()> {
        if found.mode() & 0o4 == 0 {
            return Ok(());
        }
        self.bytes += found.size();
        if self.bytes > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut options = File::options();
        options.write(true).create_new(true);
        let mut copy = options.mode(0o600).open(to)?;
        io::copy(&mut File::open(from)?, &mut copy)?;
        // Whatever this process masks.
        copy.set_permissions(Permissions::from_mode(found.mode() & 0o555))
    }
}

fn directory(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_holds_what_everybody_may_read_and_links_to_the_accounts() {
        let Ok(staging) = staging() else {
            return; // Needs CAP_SYS_ADMIN.
        };
        let etc = current(staging).unwrap();
        let again = current(staging).unwrap();
        assert!(Arc::ptr_eq(&etc, &again), "nothing changed meanwhile");
        let path = etc.path().to_owned();
        let (names, hosts, accounts) = staging
            .run(move || {
                (
                    std::fs::read_dir(&path).unwrap().count(),
                    std::fs::read(path.join("hosts")).unwrap(),
                    std::fs::read_link(path.join("passwd")).unwrap(),
                )
            })
            .unwrap();
        assert!(names > 5 && names <= ETC.len() + 2);
        assert_eq!(hosts, std::fs::read("/etc/hosts").unwrap());
        assert_eq!(accounts, Path::new("/run/agent-backend/passwd"));
    }
}
