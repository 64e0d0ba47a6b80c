//! The one directory handle that a root and all its scopes share.

use std::fs::DirBuilder;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::command::{
    CommandOptions, DEFAULT_SCOPE_UID, Isolation, Launcher, chosen_state_dir, default_state_dir,
};
use super::stage::StagedBytes;
use super::{LocalOptions, Resolver};
use crate::error::{Error, ErrorCode, Result};
use crate::pool::Slots;
use crate::sys::linux::filesystem::Strategy;
use crate::sys::linux::journal::{self, Journal};
use crate::sys::linux::metadata;
use crate::sys::linux::target::Owners;

/// An open root.
#[derive(Debug)]
pub(super) struct Root {
    opened: RwLock<Arc<Opened>>,
    /// Absolute, without a trailing slash unless it is `/`.
    path: Vec<u8>,
    /// Whom the root is given to where we make it.
    owner: Option<u32>,
    pub(super) owners: Owners,
    pub(super) resolver: Resolver,
    /// `None` where there is nowhere to keep state.
    pub(super) state_dir: Option<Arc<Path>>,
    pub(super) launcher: Arc<Launcher>,
    journal: OnceLock<Option<Arc<Journal>>>,
    /// What each scope may hold of the pool.
    pub(super) slots: Slots,
    pub(super) staged: StagedBytes,
}

/// The root directory as it is now.
#[derive(Debug)]
pub(super) struct Opened {
    /// `O_PATH` handle.
    pub(super) handle: OwnedFd,
    /// Where it is: as configured, and by its real name where that differs.
    pub(super) paths: Vec<Vec<u8>>,
    pub(super) strategy: Strategy,
}

impl Root {
    pub(super) fn open(options: LocalOptions) -> Result<Arc<Self>> {
        let path = absolute(&options.root_dir)?;
        let root = rustix::process::geteuid().is_root();
        let scope_uid = options.scope_uid.unwrap_or(DEFAULT_SCOPE_UID);
        // Without a wall commands run as we do: directories of somebody else would only be in their way (git refuses
        // to work in them).
        let unwalled = matches!(
            options.command.isolation,
            Isolation::None | Isolation::Software
        );
        let gives_away = root && scope_uid != 0 && (options.scope_uid.is_some() || !unwalled);
        let owner = (gives_away && options.gives_root_away).then_some(scope_uid);
        let opened =
            Opened::open(&path, Missing::Create(owner)).map_err(|errno| explain(errno, &path))?;
        let chosen = options.state_dir.as_deref();
        // Nothing is read from, or recorded in, a directory that somebody else could have prepared. Files do without;
        // commands say what is wrong with it.
        let state_dir: Option<Arc<Path>> = chosen
            .map_or_else(default_state_dir, chosen_state_dir)
            .ok()
            .map(Into::into);
        if let Some(state_dir) = &state_dir {
            journal::sweep(state_dir);
        }
        let launcher = Launcher::new(CommandOptions {
            state_dir: match chosen {
                Some(chosen) => Some(std::path::absolute(chosen)?),
                None => state_dir.as_deref().map(Path::to_path_buf),
            },
            scope_uid,
            root_dir: Some(std::ffi::OsStr::from_bytes(&path).into()),
            ..options.command
        })?;
        Ok(Arc::new(Self {
            opened: RwLock::new(Arc::new(opened)),
            path,
            owner,
            owners: Owners {
                enabled: root,
                scope_uid: gives_away.then_some(scope_uid),
            },
            resolver: options.resolver,
            state_dir,
            launcher,
            journal: OnceLock::new(),
            slots: Slots::default(),
            staged: StagedBytes::default(),
        }))
    }

    pub(super) fn journal(&self) -> Option<Arc<Journal>> {
        self.journal
            .get_or_init(|| Journal::of(self.state_dir.as_deref()?).ok())
            .clone()
    }

    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    pub(super) fn opened(&self) -> Arc<Opened> {
        Arc::clone(&self.opened.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Opens the path again if the directory behind the handle was removed; whether there is a new handle.
    /// With `create`, a missing directory is made.
    pub(super) fn reopen_if_removed(&self, seen: &Opened, create: bool) -> bool {
        if !seen.is_removed() {
            return false;
        }
        let mut current = self.opened.write().unwrap_or_else(PoisonError::into_inner);
        if !current.is_removed() {
            return true;
        }
        let missing = match create {
            true => Missing::Create(self.owner),
            false => Missing::Refuse,
        };
        match Opened::open(&self.path, missing) {
            Ok(opened) => {
                *current = Arc::new(opened);
                true
            }
            Err(_) => false,
        }
    }
}

/// What becomes of a root that is not there.
#[derive(Clone, Copy)]
enum Missing {
    Refuse,
    /// It is made, and given to this user.
    Create(Option<u32>),
}

/// Where a directory is, without being read.
const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Makes a directory and those above it. It alone is given away, by handle and only where we made it: nobody can put
/// another in its place in between.
fn create(path: &[u8], owner: Option<u32>) -> rustix::io::Result<OwnedFd> {
    let path = Path::new(std::ffi::OsStr::from_bytes(path));
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
        return rustix::fs::open(path, PLACE, Mode::empty());
    };
    DirBuilder::new()
        .recursive(true)
        .mode(0o777)
        .create(above)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let above = rustix::fs::open(above, PLACE, Mode::empty())?;
    match rustix::fs::mkdirat(&above, name, Mode::from_raw_mode(0o777)) {
        Ok(()) => {}
        Err(Errno::EXIST) => return rustix::fs::openat(&above, name, PLACE, Mode::empty()),
        Err(errno) => return Err(errno),
    }
    let made = rustix::fs::openat(&above, name, PLACE | OFlags::NOFOLLOW, Mode::empty())?;
    if let Some(owner) = owner
        && rustix::fs::fstat(&made)?.st_uid == 0
    {
        let (uid, gid) = (Uid::from_raw(owner), Gid::from_raw(owner));
        rustix::fs::chownat(&made, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH)?;
    }
    Ok(made)
}

impl Opened {
    fn open(path: &[u8], missing: Missing) -> rustix::io::Result<Self> {
        let handle = match (rustix::fs::open(path, PLACE, Mode::empty()), missing) {
            (Err(Errno::NOENT), Missing::Create(owner)) => create(path, owner)?,
            (other, _) => other?,
        };
        let mut paths = vec![path.to_vec()];
        let real = std::fs::canonicalize(std::ffi::OsStr::from_bytes(path))
            .map(|real| real.into_os_string().into_vec());
        if let Ok(real) = real
            && real != path
        {
            paths.push(real);
        }
        let strategy = Strategy::of(&handle);
        Ok(Self {
            handle,
            paths,
            strategy,
        })
    }

    fn is_removed(&self) -> bool {
        metadata::of_handle(&self.handle).is_ok_and(|stat| stat.nlink == 0)
    }
}

/// The path from `/`, with `.`, `..` and doubled slashes resolved as text.
fn absolute(path: &Path) -> Result<Vec<u8>> {
    if path.as_os_str().is_empty() {
        return Err(Error::new(
            ErrorCode::InvalidConfiguration,
            "`rootDir` is empty; name a directory",
        ));
    }
    let path = std::path::absolute(path)?;
    let mut out = Vec::new();
    for component in path.components() {
        match component {
            std::path::Component::Normal(name) => {
                out.push(b'/');
                out.extend_from_slice(name.as_bytes());
            }
            std::path::Component::ParentDir => {
                out.truncate(out.iter().rposition(|&b| b == b'/').unwrap_or(0));
            }
            _ => {}
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    if out.contains(&0) {
        return Err(Error::new(
            ErrorCode::InvalidConfiguration,
            "`rootDir` contains a NUL character",
        ));
    }
    Ok(out)
}

fn explain(errno: Errno, path: &[u8]) -> Error {
    let error = match errno {
        Errno::NOTDIR | Errno::EXIST => Error::new(
            ErrorCode::NotADirectory,
            "`rootDir`, or a part of it, is not a directory; a workspace needs a directory",
        ),
        errno => errno.into(),
    };
    error.at(String::from_utf8_lossy(path))
}
