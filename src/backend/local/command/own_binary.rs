//! Our own binary, as the launcher of commands: a handle on it that no command can have changed.
//!
//! It is executed by handle. Where it lies inside the workspace (an application whose root is its own directory has it
//! in `node_modules`), or where others than root could write it, a command could; then a sealed copy in memory is
//! executed, made before the first command starts.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags};

use super::programs;
use crate::error::{Error, ErrorCode, Result};

/// Its file name, in a package of a platform and in a build directory alike.
const NAME: &str = "agent-backend";

/// A handle to execute the launcher by.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnBinary {
    pub(super) handle: &'static OwnedFd,
    /// Whether it is the copy.
    pub(super) is_sealed: bool,
}

impl OwnBinary {
    /// Finds it beside this code.
    ///
    /// # Errors
    /// `MISSING_UTILITIES`: it is not there, or cannot be copied where it has to be.
    pub(super) fn find(root: Option<&Path>) -> Result<Self> {
        /// Opened, or copied, once in this process.
        static AS_IT_IS: OnceLock<Result<OwnedFd>> = OnceLock::new();
        static SEALED: OnceLock<Result<OwnedFd>> = OnceLock::new();
        let path = path()?;
        let root = root.map_or(&b""[..], |root| root.as_os_str().as_bytes());
        let is_sealed = programs::problem(&path, root).is_some();
        let explained = |handle: io::Result<OwnedFd>| {
            handle.map_err(|error| missing(&format!("{}: {error}", path.display())))
        };
        let handle = match is_sealed {
            false => AS_IT_IS.get_or_init(|| explained(open(&path))),
            true => SEALED.get_or_init(|| explained(open(&path).and_then(sealed_copy))),
        };
        let handle = handle.as_ref().map_err(Clone::clone)?;
        Ok(Self { handle, is_sealed })
    }
}

/// Where it is.
fn path() -> Result<PathBuf> {
    let code = code_path().map_err(|error| missing(&error.to_string()))?;
    let found = candidates(&code).into_iter().find(|path| path.is_file());
    found.ok_or_else(|| {
        missing(&format!(
            "there is no {NAME} beside {}; reinstall the package with its optional dependencies",
            code.display()
        ))
    })
}

fn missing(why: &str) -> Error {
    Error::new(
        ErrorCode::MissingUtilities,
        format!(
            "the native binary of agent-backend, which launches commands, cannot be used: {why}"
        ),
    )
}

/// Where the file is that this code was loaded from: an addon, the binary itself, or a test.
fn code_path() -> io::Result<PathBuf> {
    let here = code_path as *const () as usize;
    let maps = std::fs::read("/proc/self/maps")?;
    let line = maps
        .split(|&byte| byte == b'\n')
        .find(|line| range(line).is_some_and(|(from, to)| (from..to).contains(&here)));
    let path = line.and_then(|line| {
        let at = line.iter().position(|&byte| byte == b'/')?;
        Some(PathBuf::from(std::ffi::OsString::from_vec(
            line[at..].to_vec(),
        )))
    });
    path.ok_or_else(|| io::Error::other("where this code was loaded from is unknown"))
}

/// The addresses of a line of `/proc/self/maps`.
fn range(line: &[u8]) -> Option<(usize, usize)> {
    let text = std::str::from_utf8(line.split(|&byte| byte == b' ').next()?).ok()?;
    let (from, to) = text.split_once('-')?;
    Some((
        usize::from_str_radix(from, 16).ok()?,
        usize::from_str_radix(to, 16).ok()?,
    ))
}

/// Where it may be: this is it; beside the addon in the package of a platform; in `bin` of a source tree; above the
/// directory where cargo puts tests.
fn candidates(code: &Path) -> Vec<PathBuf> {
    if std::env::current_exe()
        .is_ok_and(|exe| exe == code && exe.file_name().is_some_and(|name| name == NAME))
    {
        return vec!["/proc/self/exe".into()];
    }
    let directory = code.parent().unwrap_or(Path::new("/"));
    let mut paths = vec![directory.join(NAME), directory.join("bin").join(NAME)];
    paths.extend(directory.parent().map(|above| above.join(NAME)));
    paths
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// A copy that nobody can change any more, ourselves included.
fn sealed_copy(original: OwnedFd) -> io::Result<OwnedFd> {
    const EXECUTABLE: MemfdFlags = MemfdFlags::from_bits_retain(0x10);
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let name = c"agent-backend";
    // Kernels before 6.3 do not know the flag, and need none.
    let copy = rustix::fs::memfd_create(name, flags | EXECUTABLE)
        .or_else(|_| rustix::fs::memfd_create(name, flags))?;
    let mut copy = File::from(copy);
    io::copy(&mut File::from(original), &mut copy)?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&copy, seals)?;
    Ok(copy.into())
}

#[cfg(test)]
mod tests {
    use std::io::{Seek as _, Write as _};

    use super::*;

    #[test]
    fn the_code_of_this_test_is_in_the_test() {
        assert_eq!(code_path().unwrap(), std::env::current_exe().unwrap());
    }

    #[test]
    fn a_sealed_copy_cannot_be_changed() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"#!/bin/true\n").unwrap();
        file.rewind().unwrap();
        let mut copy = File::from(sealed_copy(file.into()).unwrap());
        assert!(copy.write_all(b"x").is_err());
        assert!(copy.set_len(0).is_err());
        assert_eq!(copy.metadata().unwrap().len(), 12);
    }

    #[test]
    fn it_is_looked_for_beside_the_addon_in_a_source_tree_and_above_tests() {
        let paths = candidates(Path::new("/p/agent-backend.linux-x64-gnu.node"));
        assert_eq!(
            paths,
            ["/p/agent-backend", "/p/bin/agent-backend", "/agent-backend"].map(PathBuf::from)
        );
    }
}
