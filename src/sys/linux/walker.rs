//! Follows a path component by component over directory handles, for what `openat2` cannot answer: absolute links
//! that stay inside, hosts that refuse the call, and writes that need the directory of what a link points to.
//!
//! No component is ever opened through a link: a link is read as text and its components join the ones to come.
//! `..` takes a handle off a stack, so it cannot lead above the boundary whatever is renamed meanwhile.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::{Errno, Result};

use super::beneath::Boundary;
use crate::path::RelPath;

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// What to do with the last component.
#[derive(Debug)]
pub(super) enum Finish {
    /// Open it.
    Open { flags: OFlags, mode: Mode },
    /// Give the directory that holds it, final links followed; it need not exist.
    Parent,
}

/// Where the walk ended.
#[derive(Debug)]
pub(super) enum Walked {
    /// What [`Finish::Open`] opened.
    Opened(OwnedFd),
    /// For [`Finish::Parent`]: an `O_PATH` handle, and a name in it that was no link.
    Parent { directory: OwnedFd, name: Vec<u8> },
}

/// Opens the scope's directory; a link on the way to it is `EXDEV`.
pub(super) fn open_scope(boundary: &Boundary<'_>) -> Result<OwnedFd> {
    let mut here = open_dot(boundary.root)?;
    for name in boundary.scope.components() {
        here = match enter(&here, name)? {
            Step::Directory(directory) => directory,
            Step::Link(_) => return Err(Errno::XDEV),
        };
    }
    Ok(here)
}

/// Follows `path` from the scope's directory. Without `links`, a link on the way is `EXDEV`.
pub(super) fn walk(
    boundary: &Boundary<'_>,
    path: &RelPath,
    finish: &Finish,
    links: bool,
) -> Result<Walked> {
    let mut walk = Walk {
        boundary,
        base: open_scope(boundary)?,
        entered: Vec::new(),
        ahead: path.components().rev().map(<[u8]>::to_vec).collect(),
        followed: 0,
        links,
        directory_wanted: false,
    };
    while let Some(name) = walk.ahead.pop() {
        if name == b".." {
            walk.entered.pop().ok_or(Errno::XDEV)?;
        } else if !walk.ahead.is_empty() {
            match enter(walk.here(), &name)? {
                Step::Directory(directory) => walk.entered.push(directory),
                Step::Link(target) => walk.follow(&target)?,
            }
        } else if let Some(walked) = walk.finish(name, finish)? {
            return Ok(walked);
        }
    }
    match finish {
        Finish::Open { flags, mode } => {
            let flags = *flags - OFlags::NOFOLLOW;
            Ok(Walked::Opened(openat(walk.here(), ".", flags, *mode)?))
        }
        Finish::Parent => Err(Errno::ISDIR),
    }
}

struct Walk<'a> {
    boundary: &'a Boundary<'a>,
    base: OwnedFd,
    entered: Vec<OwnedFd>,
    /// Components to come, the next one last.
    ahead: Vec<Vec<u8>>,
    followed: usize,
    links: bool,
    /// A link's text ended in a slash or a dot.
    directory_wanted: bool,
}

impl Walk<'_> {
    fn here(&self) -> BorrowedFd<'_> {
        self.entered.last().unwrap_or(&self.base).as_fd()
    }

    /// Puts the components of a link's target ahead.
    fn follow(&mut self, target: &[u8]) -> Result<()> {
        if !self.links {
            return Err(Errno::XDEV);
        }
        self.followed += 1;
        if self.followed > MAX_LINKS {
            return Err(Errno::LOOP);
        }
        let relative = if target.first() == Some(&b'/') {
            let inside = self.boundary.inside(target).ok_or(Errno::XDEV)?;
            self.entered.clear();
            inside
        } else {
            target
        };
        if self.ahead.is_empty() {
            self.directory_wanted |=
                matches!(target.rsplit(|&b| b == b'/').next(), Some(b"" | b"."));
        }
        let components = relative
            .split(|&b| b == b'/')
            .filter(|name| !name.is_empty() && *name != b".");
        self.ahead.extend(components.rev().map(<[u8]>::to_vec));
        Ok(())
    }

    /// Handles the last component; `None` where it was a link, whose target is now ahead.
    fn finish(&mut self, name: Vec<u8>, finish: &Finish) -> Result<Option<Walked>> {
        match *finish {
            Finish::Parent => match read_link(self.here(), &name)? {
                Some(target) => self.follow(&target).map(|()| None),
                None if self.directory_wanted => Err(Errno::ISDIR),
                None => Ok(Some(Walked::Parent {
                    directory: open_dot(self.here())?,
                    name,
                })),
            },
            Finish::Open { flags, mode } => self.open_last(&name, flags, mode),
        }
    }

    fn open_last(&mut self, name: &[u8], flags: OFlags, mode: Mode) -> Result<Option<Walked>> {
        let keep_link =
            flags.contains(OFlags::NOFOLLOW) || flags.contains(OFlags::CREATE | OFlags::EXCL);
        let mut flags = flags | OFlags::NOFOLLOW;
        if self.directory_wanted {
            flags |= OFlags::DIRECTORY;
        }
        let failure = match openat(self.here(), name, flags, mode) {
            Ok(file) => {
                let link = flags.contains(OFlags::PATH)
                    && !keep_link
                    && FileType::from_raw_mode(fstat(&file)?.st_mode) == FileType::Symlink;
                if !link {
                    return Ok(Some(Walked::Opened(file)));
                }
                Errno::LOOP
            }
            Err(errno) => errno,
        };
        if keep_link || !matches!(failure, Errno::LOOP | Errno::NOTDIR) {
            return Err(failure);
        }
        match read_link(self.here(), name)? {
            Some(target) => self.follow(&target).map(|()| None),
            None if failure == Errno::LOOP => {
                // It was a link a moment ago: look again.
                self.followed += 1;
                if self.followed > MAX_LINKS {
                    return Err(Errno::LOOP);
                }
                self.ahead.push(name.to_vec());
                Ok(None)
            }
            None => Err(failure),
        }
    }
}

enum Step {
    Directory(OwnedFd),
    Link(Vec<u8>),
}

/// Enters a directory, or says where the link in its place points.
fn enter(here: impl AsFd, name: &[u8]) -> Result<Step> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let next = openat(here, name, flags, Mode::empty())?;
    match FileType::from_raw_mode(fstat(&next)?.st_mode) {
        FileType::Directory => Ok(Step::Directory(next)),
        FileType::Symlink => Ok(Step::Link(readlinkat(&next, "", Vec::new())?.into_bytes())),
        _ => Err(Errno::NOTDIR),
    }
}

/// The text of a link; `None` for anything else, missing included.
pub(super) fn read_link(here: impl AsFd, name: &[u8]) -> Result<Option<Vec<u8>>> {
    match readlinkat(here, name, Vec::new()) {
        Ok(target) => Ok(Some(target.into_bytes())),
        Err(Errno::INVAL | Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn open_dot(here: impl AsFd) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(here, ".", flags, Mode::empty())
}
