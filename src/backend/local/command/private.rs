//! What belongs to one scope and lies outside every workspace: its `/tmp` and its caches. Keyed by the identity of
//! the scope's directory, not by its name: whoever creates `users/42` anew does not inherit what the last one left.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, StatxFlags, Uid};
use rustix::io::Errno;

use crate::error::{Error, ErrorCode, Result};
use crate::path::strip_root;
use crate::sys::linux::spawn_identity;

/// Flags of every directory handle here.
const HANDLE: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Bytes of a file system's handle that a key takes in; as a name it must not be longer than 255.
const LONGEST_HANDLE: usize = 80;

/// Identifies one directory for as long as it exists, and no other after it: device, inode, time of birth, and where
/// the file system says it, the generation of the inode.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScopeKey(String);

impl ScopeKey {
    /// The key of the directory that a handle is on.
    ///
    /// # Errors
    /// That of `statx`.
    pub fn of(directory: impl AsFd) -> Result<Self> {
        let stat = rustix::fs::statx(
            &directory,
            c"",
            AtFlags::EMPTY_PATH,
            StatxFlags::INO | StatxFlags::BTIME,
        )?;
        let mut generation = String::new();
        for byte in spawn_identity::handle_of(directory.as_fd())
            .unwrap_or_default()
            .iter()
            .take(LONGEST_HANDLE)
        {
            let _ = write!(generation, "{byte:02x}");
        }
        // Where the file system has no time of birth, zero is all there is to go by.
        Ok(Self(format!(
            "{:x}-{:x}-{:x}-{:x}-{:x}-{generation}",
            stat.stx_dev_major,
            stat.stx_dev_minor,
            stat.stx_ino,
            stat.stx_btime.tv_sec,
            stat.stx_btime.tv_nsec
        )))
    }
}

/// Handles on, and host paths of, the private directories of one scope.
#[derive(Debug)]
pub(super) struct PrivateDirs {
    pub(super) tmp: OwnedFd,
    pub(super) cache: OwnedFd,
    pub(super) tmp_path: PathBuf,
    pub(super) cache_path: PathBuf,
}

/// Where they all are.
#[derive(Debug)]
pub(super) struct PrivateStore {
    scopes: PathBuf,
    /// Which scopes of this process have something here, and where they are.
    known: Mutex<HashMap<ScopeKey, Vec<u8>>>,
}

impl PrivateStore {
    /// Opens the store below a state directory, which is created (0700) if missing.
    pub(super) fn open(state_dir: Option<&Path>) -> Result<Self> {
        let state_dir = match state_dir {
            Some(chosen) => {
                create_private(chosen)?;
                chosen.to_owned()
            }
            None => default_state_dir()?,
        };
        let scopes = state_dir.join("scopes");
        create_private(&scopes)?;
        Ok(Self {
            scopes,
            known: Mutex::default(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.scopes
    }

    /// The directories of one scope, created if missing, usable by the owner alone.
    pub(super) fn directories(
        &self,
        key: &ScopeKey,
        scope: &[u8],
        owner: (u32, u32),
    ) -> Result<PrivateDirs> {
        let mut known = self.known();
        if known.get(key).is_none_or(|path| path != scope) {
            known.insert(key.clone(), scope.to_vec());
        }
        drop(known);
        let home = self.scopes.join(&key.0);
        let scope = ensure(rustix::fs::CWD, &home, None)?;
        Ok(PrivateDirs {
            tmp: ensure(scope.as_fd(), Path::new("tmp"), Some(owner))?,
            cache: ensure(scope.as_fd(), Path::new("cache"), Some(owner))?,
            tmp_path: home.join("tmp"),
            cache_path: home.join("cache"),
        })
    }

    /// Handles on the directories of a scope, as far as they are there.
    pub(super) fn existing(&self, key: &ScopeKey) -> Vec<OwnedFd> {
        let home = self.scopes.join(&key.0);
        let open = |name| rustix::fs::open(home.join(name), HANDLE, Mode::empty());
        ["tmp", "cache"].into_iter().flat_map(open).collect()
    }

    /// Lets every user through, though not in, on the way to the directories of a scope: a command that has no mount
    /// of them walks there.
    pub(super) fn let_through(&self, dirs: &PrivateDirs) -> Result<()> {
        let home = dirs.tmp_path.parent();
        for path in self
            .scopes
            .parent()
            .into_iter()
            .chain([&*self.scopes])
            .chain(home)
        {
            let mode = std::fs::metadata(path)?.mode();
            if mode & 0o001 == 0 {
                let mode = Mode::from_raw_mode(mode & 0o777 | 0o011);
                rustix::fs::chmod(path, mode).map_err(|error| state_error(path, error.into()))?;
            }
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ScopeKey, Vec<u8>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The scopes at and below a path, which are then no longer known under it.
    pub(super) fn forget_below(&self, path: &[u8]) -> Vec<ScopeKey> {
        let below = |_: &ScopeKey, scope: &mut Vec<u8>| strip_root(scope, path).is_some();
        self.known().extract_if(below).map(|(key, _)| key).collect()
    }

    /// An empty directory to try a sandbox on, as scopes are: outside of what commands are kept from.
    pub(super) fn probe_directory(&self, uid: u32) -> Result<ProbeDirectory> {
        let mut random = [0u8; 8];
        rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
        let name = format!("probe-{:016x}", u64::from_ne_bytes(random));
        let path = self.scopes.with_file_name(name);
        let root = rustix::process::geteuid().is_root();
        let handle = ensure(rustix::fs::CWD, &path, root.then_some((uid, uid)))?;
        Ok(ProbeDirectory { handle, path })
    }

    /// Removes what belongs to a scope that is gone.
    pub(super) fn forget(&self, key: &ScopeKey) -> Result<()> {
        // Of what commands left there nothing is followed: the standard library removes by handle.
        self.known().remove(key);
        match std::fs::remove_dir_all(self.scopes.join(&key.0)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

/// Goes when it is dropped.
#[derive(Debug)]
pub(super) struct ProbeDirectory {
    pub(super) handle: OwnedFd,
    pub(super) path: PathBuf,
}

impl Drop for ProbeDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}

/// A directory that exists, is no link, and belongs to `owner`.
fn ensure(parent: BorrowedFd<'_>, name: &Path, owner: Option<(u32, u32)>) -> Result<OwnedFd> {
    let created = match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) => true,
        Err(Errno::EXIST) => false,
        Err(error) => return Err(state_error(name, error.into())),
    };
    let handle = rustix::fs::openat(parent, name, HANDLE, Mode::empty())
        .map_err(|error| state_error(name, error.into()))?;
    let Some((uid, gid)) = owner else {
        return Ok(handle);
    };
    let differs = if created {
        (uid, gid)
            != (
                rustix::process::geteuid().as_raw(),
                rustix::process::getegid().as_raw(),
            )
    } else {
        let stat = rustix::fs::fstat(&handle)?;
        (stat.st_uid, stat.st_gid) != (uid, gid)
    };
    if differs {
        rustix::fs::chownat(
            &handle,
            c"",
            Some(Uid::from_raw(uid)),
            Some(Gid::from_raw(gid)),
            AtFlags::EMPTY_PATH,
        )
        .map_err(|error| state_error(name, error.into()))?;
    }
    Ok(handle)
}

/// Where state is kept when no option says so: `AGENT_BACKEND_STATE_DIR`, `/var/lib/agent-backend` as root,
/// `$XDG_STATE_HOME/agent-backend` or `~/.local/state/agent-backend` else; where none of these can be created, a
/// private directory under the system's temporary one. Created with mode 0700.
///
/// # Errors
/// The last one's, where not even that is possible.
pub fn default_state_dir() -> Result<PathBuf> {
    let from = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if let Some(chosen) = from("AGENT_BACKEND_STATE_DIR") {
        create_private(&chosen)?;
        return Ok(chosen);
    }
    let usual = if rustix::process::geteuid().is_root() {
        Some(PathBuf::from("/var/lib/agent-backend"))
    } else {
        from("XDG_STATE_HOME")
            .or_else(|| from("HOME").map(|home| home.join(".local/state")))
            .map(|base| base.join("agent-backend"))
    };
    if let Some(path) = usual
        && create_private(&path).is_ok()
    {
        return Ok(path);
    }
    let uid = rustix::process::geteuid().as_raw();
    let path = std::env::temp_dir().join(format!("agent-backend-{uid}"));
    create_private(&path)?;
    Ok(path)
}

/// A state directory that somebody chose: as an absolute path, created if missing.
///
/// # Errors
/// `INVALID_CONFIGURATION` where others could write it, and what creating it fails with.
pub fn chosen_state_dir(path: &Path) -> Result<PathBuf> {
    let path = std::path::absolute(path)?;
    create_private(&path)?;
    Ok(path)
}

/// A directory that is ours alone; an existing one must be so already.
fn create_private(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| state_error(path, error))?;
    let metadata = std::fs::symlink_metadata(path).map_err(|error| state_error(path, error))?;
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if !metadata.is_dir() || !ours || metadata.mode() & 0o022 != 0 {
        return Err(Error::new(
            ErrorCode::InvalidConfiguration,
            "the state directory must be a directory that belongs to this process's user and that nobody else can write; choose another with `stateDir` (of the daemon --state-dir)",
        )
        .at(path.to_string_lossy()));
    }
    Ok(())
}

fn state_error(path: &Path, error: std::io::Error) -> Error {
    let lower = Error::from(error);
    Error::new(
        lower.code(),
        format!(
            "the state directory cannot be used ({}); choose another with `stateDir` (of the daemon --state-dir)",
            lower.message()
        ),
    )
    .at(path.to_string_lossy())
    .with_source(lower)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    fn owner() -> (u32, u32) {
        (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        )
    }

    #[test]
    fn a_directory_made_anew_under_the_same_name_has_another_key() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("users-42");
        let key = |path: &Path| ScopeKey::of(File::open(path).unwrap()).unwrap();
        let mut keys = std::collections::HashSet::new();
        for _ in 0..200 {
            std::fs::create_dir(&path).unwrap();
            let first = key(&path);
            assert_eq!(first, key(&path));
            assert!(keys.insert(first), "the same key once more");
            std::fs::remove_dir(&path).unwrap();
            if spawn_identity::handle_of(File::open(base.path()).unwrap().as_fd()).is_err() {
                // Only the time of birth tells them apart, which is counted in ticks of the kernel's clock.
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
    }

    #[test]
    fn private_directories_last_until_they_are_forgotten() {
        let base = tempfile::tempdir().unwrap();
        let store = PrivateStore::open(Some(&base.path().join("state"))).unwrap();
        let key = ScopeKey::of(File::open(base.path()).unwrap()).unwrap();
        let first = store.directories(&key, b"/w", owner()).unwrap();
        assert_eq!(
            std::fs::metadata(&first.tmp_path).unwrap().mode() & 0o777,
            0o700
        );
        std::fs::write(first.tmp_path.join("kept"), "1").unwrap();
        let again = store.directories(&key, b"/w", owner()).unwrap();
        assert!(again.tmp_path.join("kept").exists());
        store.forget(&key).unwrap();
        assert!(!again.tmp_path.exists());
        store.forget(&key).unwrap();
    }

    #[test]
    fn a_link_in_place_of_a_private_directory_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let store = PrivateStore::open(Some(&base.path().join("state"))).unwrap();
        let key = ScopeKey::of(File::open(base.path()).unwrap()).unwrap();
        let dirs = store.directories(&key, b"/w", owner()).unwrap();
        std::fs::remove_dir(&dirs.tmp_path).unwrap();
        std::os::unix::fs::symlink("/etc", &dirs.tmp_path).unwrap();
        assert!(store.directories(&key, b"/w", owner()).is_err());
    }
}
