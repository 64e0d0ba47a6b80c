//! What one sandbox mounts of the host, each by a handle that was opened before: the scope, its private directories,
//! tools, and what the options name.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::fs::{FileType, Mode, OFlags};

use super::bwrap::{Hidden, Source};
use super::private::PrivateDirs;
use super::sources::{Sources, tool_mounts};
use super::{Launcher, Place};
use crate::error::{Error, ErrorCode, Result};
use crate::path::strip_root;

/// Sources of one sandbox.
pub(super) struct Mounts {
    pub(super) scope: Source,
    pub(super) tmp: Source,
    pub(super) cache: Source,
    /// At their own paths.
    pub(super) read_only: Vec<(Source, PathBuf)>,
    /// What of the scope itself is shown read-only.
    pub(super) read_only_inside: Vec<(Source, PathBuf)>,
    pub(super) read_write: Vec<(Source, PathBuf)>,
    /// What is covered by something empty.
    pub(super) hidden: Vec<Hidden>,
}

/// Opens what has to be opened and passes it on.
pub(super) fn mounts(
    launcher: &Launcher,
    place: &Place,
    private: PrivateDirs,
    sources: &mut Sources,
) -> Result<Mounts> {
    let options = &launcher.options;
    let inside =
        |path: &PathBuf| strip_root(path.as_os_str().as_bytes(), &place.root_path).is_some();
    let (read_only_inside, read_only): (Vec<PathBuf>, Vec<PathBuf>) =
        options.read_only_paths.iter().cloned().partition(inside);
    // What may be written inside the scope is there already.
    let read_write = options.read_write_paths.iter().cloned();
    let read_write: Vec<PathBuf> = read_write.filter(|path| !inside(path)).collect();
    let mut handles = vec![place.root.try_clone()?, private.tmp, private.cache];
    for path in read_only.iter().chain(&read_only_inside).chain(&read_write) {
        handles.push(open(path)?);
    }
    let mut staged = sources.add(&launcher.staged, handles)?.into_iter();
    let mut next = || {
        let lost = || Error::new(ErrorCode::IoError, "a mount got lost");
        staged.next().ok_or_else(lost)
    };
    let (scope, tmp, cache) = (next()?, next()?, next()?);
    let mut with_sources = |paths: Vec<PathBuf>| -> Result<Vec<(Source, PathBuf)>> {
        paths.into_iter().map(|path| Ok((next()?, path))).collect()
    };
    let (read_only, read_only_inside) = (with_sources(read_only)?, with_sources(read_only_inside)?);
    let read_write = with_sources(read_write)?;
    let mut shown = tool_mounts(launcher, &place.root_path, sources)?;
    shown.extend(read_only);
    Ok(Mounts {
        scope,
        tmp,
        cache,
        read_only: shown,
        read_only_inside,
        read_write,
        hidden: hidden(&options.hidden_paths),
    })
}

/// What exists of the paths to hide, and whether it is a directory.
fn hidden(paths: &[PathBuf]) -> Vec<Hidden> {
    paths
        .iter()
        .filter_map(|path| {
            let directory = std::fs::symlink_metadata(path).ok()?.is_dir();
            Some(Hidden {
                path: path.clone(),
                directory,
            })
        })
        .collect()
}

fn open(path: &PathBuf) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let handle = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| {
        let error = Error::from(std::io::Error::from(error));
        error.at(path.to_string_lossy())
    })?;
    match FileType::from_raw_mode(rustix::fs::fstat(&handle)?.st_mode) {
        FileType::Directory | FileType::RegularFile => Ok(handle),
        _ => Err(Error::new(
            ErrorCode::InvalidConfiguration,
            "only directories and files can be shown to commands",
        )
        .at(path.to_string_lossy())),
    }
}
