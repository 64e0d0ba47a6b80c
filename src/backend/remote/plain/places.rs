//! Where a path of a scope really is on a server that knows nothing of scopes.
//!
//! The server is asked for the name without links, and what is not below the scope is refused; the operation then goes to
//! that name. Between the answer and the operation somebody on the server can still put a link in the way: this is as far
//! as the protocol allows, and weaker than what a daemon of ours does. No `..` is ever sent, and no scope is reached
//! through a link.

use bytes::Bytes;

use super::Inner;
use super::client::unexpected;
use crate::backend::{FileKind, FileStat};
use crate::error::{Error, ErrorCode, Result};
use crate::path::{RelPath, strip_root};
use crate::wire::sftp::{FileAttributes, Request, Response};

/// Nanoseconds of a second.
const SECOND: i128 = 1_000_000_000;

pub(super) fn escape() -> Error {
    Error::new(
        ErrorCode::PathEscapeAttempt,
        "a symbolic link on the path leads out of the workspace, or the scope's own path has one",
    )
}

pub(super) fn no_directory() -> Error {
    Error::new(
        ErrorCode::NotADirectory,
        "a part of the path is not a directory",
    )
}

/// What the attributes say, with 0 for what version 3 of the protocol does not tell.
pub(super) fn stat_of(attributes: &FileAttributes) -> FileStat {
    let kind = attributes.kind().unwrap_or(FileKind::File);
    let (uid, gid) = attributes.owner.unwrap_or_default();
    let (accessed, modified) = attributes.times.unwrap_or_default();
    let size = attributes.size.unwrap_or_default();
    let modified = i128::from(modified) * SECOND;
    FileStat {
        kind,
        mode: attributes.permissions.unwrap_or(match kind {
            FileKind::Directory => 0o040_755,
            _ => 0o100_644,
        }),
        size,
        dev: 0,
        ino: 0,
        nlink: 1,
        uid,
        gid,
        rdev: 0,
        blksize: 32 << 10,
        blocks: size.div_ceil(512),
        atime_ns: i128::from(accessed) * SECOND,
        mtime_ns: modified,
        ctime_ns: modified,
        birthtime_ns: modified,
    }
}

impl Inner {
    /// The absolute path of a scope.
    pub(super) fn scope_root(&self, scope: &RelPath) -> Vec<u8> {
        scope.beneath(&self.root)
    }

    /// The name without links. What is not there may be its last part only.
    async fn ask_real(&self, path: &[u8]) -> Result<Vec<u8>> {
        let path = Bytes::copy_from_slice(path);
        match self.sftp.call(Request::RealPath { path }).await? {
            Response::Names(names) if names.len() == 1 && names[0].name.first() == Some(&b'/') => {
                Ok(names[0].name.to_vec())
            }
            other => Err(unexpected(other)),
        }
    }

    /// What is under an absolute path, a link itself; `None` where nothing is.
    pub(super) async fn look(&self, path: &[u8]) -> Result<Option<FileAttributes>> {
        let path = Bytes::copy_from_slice(path);
        match self.sftp.call(Request::Lstat { path }).await? {
            Response::Attributes(attributes) => Ok(Some(attributes)),
            other => match unexpected(other) {
                error if error.code() == ErrorCode::NotFound => Ok(None),
                error => Err(error),
            },
        }
    }

    pub(super) async fn kind_at(&self, path: &[u8]) -> Result<Option<FileKind>> {
        let attributes = self.look(path).await?;
        Ok(attributes.map(|found| found.kind().unwrap_or(FileKind::File)))
    }

    /// The real place of a path; with `follow` that of what a link at its end leads to. Its last part need not exist.
    ///
    /// # Errors
    /// `NOT_FOUND` and `NOT_A_DIRECTORY` for what is above it, `PATH_ESCAPE_ATTEMPT`.
    pub(super) async fn place(
        &self,
        scope: &RelPath,
        path: &RelPath,
        follow: bool,
    ) -> Result<Vec<u8>> {
        let root = self.scope_root(scope);
        let (asked, name) = match path.split_last() {
            Some((parent, name)) if !follow => (parent.beneath(&root), Some(name)),
            _ => (path.beneath(&root), None),
        };
        let mut real = match self.ask_real(&asked).await {
            Ok(real) => real,
            Err(error) if error.code() == ErrorCode::NotFound => {
                return Err(self.what_is_missing(scope, path).await?);
            }
            Err(error) => return Err(error),
        };
        let Some(below) = strip_root(&real, &root) else {
            return Err(escape());
        };
        let Some(name) = name else {
            return Ok(real);
        };
        // The server does not say whether the parent is there, nor what it is.
        let is_root = below.is_empty() && scope.is_root();
        if !is_root && self.kind_at(&real).await? != Some(FileKind::Directory) {
            return Err(self.what_is_missing(scope, path).await?);
        }
        if real.last() != Some(&b'/') {
            real.push(b'/');
        }
        real.extend_from_slice(name);
        Ok(real)
    }

    /// Why there is nothing under a path: the server says the same of a missing directory and of a file in its place.
    async fn what_is_missing(&self, scope: &RelPath, path: &RelPath) -> Result<Error> {
        let whole = scope.join(path);
        let mut at = whole.clone();
        while let Some((parent, _)) = at.split_last() {
            let request = Request::Stat {
                path: parent.beneath(&self.root).into(),
            };
            if let Response::Attributes(found) = self.sftp.call(request).await? {
                if found.kind() == Some(FileKind::Directory) {
                    break;
                }
                return Ok(no_directory());
            }
            at = parent;
        }
        Ok(Error::new(ErrorCode::NotFound, "no such file or directory"))
    }

    /// The real place of a directory, which is made where it is missing, with all above it.
    ///
    /// # Errors
    /// `NOT_A_DIRECTORY`, `PATH_ESCAPE_ATTEMPT`.
    pub(super) async fn make_directories(
        &self,
        scope: &RelPath,
        path: &RelPath,
    ) -> Result<Vec<u8>> {
        let whole = scope.join(path);
        let mut missing = Vec::new();
        let mut at = whole.clone();
        let mut real = loop {
            // Above the scope no link is followed, and one in it must stay inside.
            let (base, below) = match below(&at, scope) {
                Some(below) => (scope.clone(), below),
                None => (at.clone(), RelPath::root()),
            };
            match self.place(&base, &below, true).await {
                Ok(real) => match self.kind_at(&real).await? {
                    Some(FileKind::Directory) => break real,
                    Some(_) => return Err(no_directory()),
                    None => {}
                },
                Err(error) if error.code() == ErrorCode::NotFound => {}
                Err(error) => return Err(error),
            }
            let Some((parent, name)) = at.split_last() else {
                return Err(Error::new(
                    ErrorCode::NotFound,
                    "the root of the workspace is gone",
                ));
            };
            missing.push(name.to_vec());
            at = parent;
        };
        for name in missing.into_iter().rev() {
            if real.last() != Some(&b'/') {
                real.push(b'/');
            }
            real.extend_from_slice(&name);
            let made = self
                .sftp
                .done(Request::MakeDir {
                    path: Bytes::copy_from_slice(&real),
                    attributes: FileAttributes::default(),
                })
                .await;
            if let Err(error) = made {
                // Somebody else made it meanwhile, or it is something else.
                match self.kind_at(&real).await? {
                    Some(FileKind::Directory) => {}
                    Some(_) => return Err(no_directory()),
                    None => return Err(error),
                }
            }
        }
        Ok(real)
    }

    /// The real place of what is about to be made; its parent is made with all above it, or only where it is the scope's
    /// own directory.
    pub(super) async fn new_place(
        &self,
        scope: &RelPath,
        path: &RelPath,
        parents: bool,
    ) -> Result<Vec<u8>> {
        let Some((parent, name)) = path.split_last() else {
            return Err(Error::new(
                ErrorCode::InvalidPath,
                "this is the root of the workspace",
            ));
        };
        if !parents && !parent.is_root() {
            return self.place(scope, path, false).await;
        }
        let mut real = self.make_directories(scope, &parent).await?;
        if real.last() != Some(&b'/') {
            real.push(b'/');
        }
        real.extend_from_slice(name);
        Ok(real)
    }

    /// Asks the server for the real name of the root, once.
    pub(super) async fn real_root(
        sftp: &super::client::Sftp,
        root: &[u8],
    ) -> Result<std::result::Result<Vec<u8>, Error>> {
        let path = Bytes::copy_from_slice(root);
        let named = match sftp.call(Request::RealPath { path }).await? {
            Response::Names(names) if names.len() == 1 && names[0].name.first() == Some(&b'/') => {
                names[0].name.clone()
            }
            other => return Ok(Err(unexpected(other))),
        };
        match sftp
            .call(Request::Stat {
                path: named.clone(),
            })
            .await?
        {
            Response::Attributes(found) if found.kind() == Some(FileKind::Directory) => {
                Ok(Ok(named.to_vec()))
            }
            Response::Attributes(_) => Ok(Err(no_directory())),
            other => Ok(Err(unexpected(other))),
        }
    }
}

/// What of a path lies below a scope.
pub(super) fn below(path: &RelPath, scope: &RelPath) -> Option<RelPath> {
    if !path.starts_with(scope) {
        return None;
    }
    let rest = &path.as_bytes()[scope.as_bytes().len()..];
    RelPath::parse(rest.strip_prefix(b"/").unwrap_or(rest), b"/").ok()
}
