//! The one way to open anything beneath a root. The kernel refuses what leaves, in the same call that opens:
//! there is nothing between a check and its use for an attacker to swap.

use std::borrow::Cow;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, Result};

use super::metadata;
use super::walker::{self, Finish, Walked};
use super::watch::{self, Watch};
use crate::path::{RelPath, strip_root};

/// The longest path that the kernel takes in one call, its NUL included.
const PATH_MAX: usize = 4096;
/// How often a lookup is repeated that a concurrent rename disturbed.
const RENAME_RACES: usize = 16;

/// Who follows the path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolver {
    /// `openat2`; our own walker for a call that the kernel refuses (seccomp, old kernels).
    #[default]
    Kernel,
    /// Always our own walker: component by component over directory handles. Slower, the same answers.
    Walker,
}

/// What nothing that is opened through it can leave: a directory `scope` below the directory `root`.
///
/// The scope itself is never reached through a symbolic link. Links below it work as long as they stay inside.
#[derive(Clone, Copy, Debug)]
pub struct Boundary<'a> {
    /// Handle on the root directory; `O_PATH` is enough.
    pub root: BorrowedFd<'a>,
    /// Absolute paths under which the root is known; an absolute link that begins with one of them stays inside.
    pub root_paths: &'a [Vec<u8>],
    /// The boundary, below the root.
    pub scope: &'a RelPath,
    /// Who follows the path.
    pub resolver: Resolver,
    /// Who judges what was opened; `None` where no access policy holds.
    pub watch: Option<&'a Watch<'a>>,
}

/// How far an open may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Follows links that stay inside; may wait for the disk.
    Links,
    /// No link anywhere on the way: `EXDEV` where one is.
    NoLinks,
    /// Like `Links`, but only from the kernel's cache and on the root's own file system; what would wait is `EAGAIN`.
    Cached,
    /// Like `Links`, on the root's own file system only, for those that never wait (tmpfs); else `EAGAIN`.
    SameFilesystem,
}

impl Boundary<'_> {
    /// Whether the root's directory still is in the file system; a handle outlives it.
    ///
    /// # Errors
    /// `ENOENT` where it was removed.
    pub fn is_there(&self) -> rustix::io::Result<()> {
        match metadata::of_handle(self.root)?.nlink {
            0 => Err(Errno::NOENT),
            _ => Ok(()),
        }
    }

    /// The path below the root of what a handle is on; `None` where it cannot be told.
    pub(super) fn name_of(&self, directory: &OwnedFd) -> Option<Vec<u8>> {
        watch::name_below(self.root, self.root_paths, directory)
    }

    /// The path below the scope of what a handle is on, with every link followed; `None` where it cannot be told
    /// (without `/proc`, or when it was moved away meanwhile).
    pub fn name_in_scope(&self, handle: &OwnedFd) -> Option<RelPath> {
        let name = self.name_of(handle)?;
        let below = strip_root_or_all(&name, self.scope.as_bytes())?;
        RelPath::parse(below.strip_prefix(b"/").unwrap_or(below), b"/").ok()
    }

    /// What an absolute link target names below the scope; `None` where it leads out.
    pub(super) fn inside<'t>(&self, target: &'t [u8]) -> Option<&'t [u8]> {
        self.root_paths.iter().find_map(|root| {
            let mut rest = strip_root(target, root)?;
            while let [b'/', tail @ ..] = rest {
                rest = tail;
            }
            strip_root_or_all(rest, self.scope.as_bytes())
        })
    }
}

fn strip_root_or_all<'t>(rest: &'t [u8], scope: &[u8]) -> Option<&'t [u8]> {
    if scope.is_empty() {
        Some(rest)
    } else {
        strip_root(rest, scope)
    }
}

/// Opens `path` beneath the boundary. `O_NONBLOCK`, `O_NOCTTY` and `O_CLOEXEC` are always added.
///
/// # Errors
/// `EXDEV` means that the path, or a link on its way, leaves the boundary (or with [`How::NoLinks`] that there is a
/// link). `EAGAIN` means that the open would wait: for the disk, or for whoever holds a lease on the file.
pub fn open(
    boundary: &Boundary<'_>,
    path: &RelPath,
    flags: OFlags,
    mode: Mode,
    how: How,
) -> Result<OwnedFd> {
    open_telling(boundary, path, flags, mode, how).map(|(opened, _)| opened)
}

/// [`open`], and whether no link was on the way: then what is open is called as it was asked for.
pub(super) fn open_telling(
    boundary: &Boundary<'_>,
    path: &RelPath,
    flags: OFlags,
    mode: Mode,
    how: How,
) -> Result<(OwnedFd, bool)> {
    let mut flags = flags | OFlags::CLOEXEC;
    if !flags.contains(OFlags::PATH) {
        flags |= OFlags::NONBLOCK | OFlags::NOCTTY;
    }
    let whole = joined(boundary.scope, path);
    if boundary.resolver == Resolver::Walker || whole.len() >= PATH_MAX {
        return walk(boundary, path, flags, mode, how).map(with_links);
    }
    let resolve = restrictions(how);
    let no_links = resolve | ResolveFlags::NO_SYMLINKS;
    match openat2(boundary.root, dot_if_empty(&whole), flags, mode, no_links) {
        Err(Errno::LOOP) if how == How::NoLinks => Err(Errno::XDEV),
        Err(Errno::LOOP) => below_scope(boundary, path, flags, mode, how).map(with_links),
        Err(errno) if refused(errno) => walk(boundary, path, flags, mode, how).map(with_links),
        Err(Errno::XDEV) if inline(how) => Err(Errno::AGAIN),
        other => other.map(|opened| (opened, true)),
    }
}

fn with_links(opened: OwnedFd) -> (OwnedFd, bool) {
    (opened, false)
}

/// Opens the scope's own directory, which no link can stand for.
///
/// # Errors
/// `EXDEV` where a component of the scope's path is a link.
pub fn open_scope(boundary: &Boundary<'_>, how: How) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if boundary.resolver == Resolver::Kernel && boundary.scope.as_bytes().len() < PATH_MAX {
        let scope = dot_if_empty(boundary.scope.as_bytes());
        let resolve = restrictions(how) | ResolveFlags::NO_SYMLINKS;
        match openat2(boundary.root, scope, flags, Mode::empty(), resolve) {
            Err(Errno::LOOP) => return Err(Errno::XDEV),
            Err(Errno::XDEV) if inline(how) => return Err(Errno::AGAIN),
            Err(errno) if refused(errno) => {}
            other => return other,
        }
    }
    if inline(how) {
        return Err(Errno::AGAIN);
    }
    walker::open_scope(boundary)
}

/// The slower half of [`open`]: there is a link on the way.
fn below_scope(
    boundary: &Boundary<'_>,
    path: &RelPath,
    flags: OFlags,
    mode: Mode,
    how: How,
) -> Result<OwnedFd> {
    let scope = open_scope(boundary, how)?;
    let resolve = restrictions(how);
    for _ in 0..RENAME_RACES {
        let path_bytes = dot_if_empty(path.as_bytes());
        match openat2(&scope, path_bytes, flags, mode, resolve) {
            // A rename disturbed a `..`, or (to be told apart only by repeating) somebody holds a lease.
            Err(Errno::AGAIN) if !inline(how) => {}
            // An absolute link, or one that leaves, or with NO_XDEV a mount point.
            Err(Errno::XDEV) => return walk(boundary, path, flags, mode, how),
            Err(errno) if refused(errno) => return walk(boundary, path, flags, mode, how),
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

fn walk(
    boundary: &Boundary<'_>,
    path: &RelPath,
    flags: OFlags,
    mode: Mode,
    how: How,
) -> Result<OwnedFd> {
    if inline(how) {
        // The walker cannot ask the kernel not to wait.
        return Err(Errno::AGAIN);
    }
    let links = how == How::Links;
    match walker::walk(boundary, path, &Finish::Open { flags, mode }, links)? {
        Walked::Opened(file) => Ok(file),
        Walked::Parent { .. } => Err(Errno::INVAL),
    }
}

fn restrictions(how: How) -> ResolveFlags {
    let base = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    match how {
        How::Links | How::NoLinks => base,
        How::Cached => base | ResolveFlags::CACHED | ResolveFlags::NO_XDEV,
        How::SameFilesystem => base | ResolveFlags::NO_XDEV,
    }
}

fn inline(how: How) -> bool {
    matches!(how, How::Cached | How::SameFilesystem)
}

/// Whether the kernel, or a filter in front of it, does not do `openat2` for us in this call.
/// `EPERM` may also be the file's own answer; then the walker gets the same one.
fn refused(errno: Errno) -> bool {
    matches!(errno, Errno::NOSYS | Errno::PERM | Errno::TOOBIG)
}

fn joined<'p>(scope: &RelPath, path: &'p RelPath) -> Cow<'p, [u8]> {
    if scope.is_root() {
        Cow::Borrowed(path.as_bytes())
    } else {
        let mut whole = Vec::with_capacity(scope.as_bytes().len() + path.as_bytes().len() + 1);
        whole.extend_from_slice(scope.as_bytes());
        if !path.is_root() {
            whole.push(b'/');
            whole.extend_from_slice(path.as_bytes());
        }
        Cow::Owned(whole)
    }
}

fn dot_if_empty(path: &[u8]) -> &[u8] {
    if path.is_empty() { b"." } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rel(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes(), b"/").unwrap()
    }

    #[test]
    fn an_absolute_target_is_inside_only_below_the_scope_and_on_a_component_boundary() {
        let here = rustix::fs::CWD;
        let root_paths = [b"/w/root".to_vec(), b"/real".to_vec()];
        let scope = rel("a/b");
        let boundary = Boundary {
            root: here,
            root_paths: &root_paths,
            scope: &scope,
            resolver: Resolver::Kernel,
            watch: None,
        };
        for (target, expected) in [
            ("/w/root/a/b/c", Some("/c")),
            ("/w/root//a/b", Some("")),
            ("/real/a/b/c", Some("/c")),
            ("/w/root/a", None),
            ("/w/root/a/bb", None),
            ("/w/root-evil/a/b", None),
            ("/etc/passwd", None),
        ] {
            assert_eq!(
                boundary.inside(target.as_bytes()),
                expected.map(str::as_bytes),
                "{target}"
            );
        }
    }
}
