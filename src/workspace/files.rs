//! Files: the backend's calls by the names that callers know, and what is derived from them.

use super::Workspace;
use super::permission::{LOOK, Question};
use crate::access::Access;
use crate::backend::{
    Content, DirEntry, FileStat, ListOptions, ReadOptions, ReadOutcome, RemoveOptions,
    RenameOptions, WriteOptions, WriteOutcome,
};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

impl Workspace {
    /// Reads a file or a range of it, with its metadata. Errors: see [`crate::backend::Backend::read`].
    pub fn read(&self, path: impl AsRef<[u8]>, options: ReadOptions) -> Call<ReadOutcome> {
        self.operate("read", Access::Read, path.as_ref(), move |backend, path| {
            backend.read(&path, options)
        })
    }

    /// Writes a file, creating missing parents. Errors: see [`crate::backend::Backend::write`].
    pub fn write(
        &self,
        path: impl AsRef<[u8]>,
        content: Content,
        options: WriteOptions,
    ) -> Call<WriteOutcome> {
        let raw = path.as_ref();
        let has_slash = raw.ends_with(b"/");
        self.operate(
            "write",
            Access::Write,
            raw,
            move |backend, path| match check_file(has_slash, &path) {
                Ok(()) => backend.write(&path, content, options),
                Err(refused) => Call::err(refused),
            },
        )
    }

    /// What is under a path, following links that stay inside.
    pub fn stat(&self, path: impl AsRef<[u8]>) -> Call<FileStat> {
        self.operate("stat", LOOK, path.as_ref(), move |backend, path| {
            backend.stat(&path, true)
        })
    }

    /// What is under a path; a final link is reported as a link.
    pub fn lstat(&self, path: impl AsRef<[u8]>) -> Call<FileStat> {
        self.operate_named("lstat", LOOK, path.as_ref(), move |backend, path| {
            backend.stat(&path, false)
        })
    }

    /// The path below the root that a path leads to once its links are followed; see
    /// [`crate::backend::Backend::real_path`]. Not an operation of a caller's: it is not logged.
    pub fn real_path(&self, path: impl AsRef<[u8]>) -> Call<RelPath> {
        let parsed = self.parse("stat", path.as_ref());
        match parsed.and_then(|path| self.check_look(&path).map(|()| path)) {
            Ok(path) => self.inner.backend.real_path(&path),
            Err(error) => Call::err(error),
        }
    }

    /// Whether something is under a path. What leaves the workspace, or is hidden by the access policy, does not exist.
    pub fn exists(&self, path: impl AsRef<[u8]>) -> Call<bool> {
        let question = Question::followed("exists", LOOK);
        let parsed = self.parse("exists", path.as_ref());
        self.operate_parsed(
            question,
            path.as_ref(),
            parsed,
            |backend, path| match path {
                Ok(path) => backend
                    .stat(&path, true)
                    .then(|found| is_there(found.map(|_| true))),
                Err(error) => Call::Ready(is_there(Err(error))),
            },
        )
    }

    /// The entries of a directory, sorted by name.
    pub fn list(&self, path: impl AsRef<[u8]>, options: ListOptions) -> Call<Vec<DirEntry>> {
        self.operate(
            "readdir",
            Access::List,
            path.as_ref(),
            move |backend, path| backend.list(&path, options),
        )
    }

    /// Creates a directory; with `recursive` its parents too, and then an existing one is fine.
    pub fn create_dir(&self, path: impl AsRef<[u8]>, recursive: bool) -> Call<()> {
        self.operate(
            "mkdir",
            Access::Write,
            path.as_ref(),
            move |backend, path| backend.create_dir(&path, recursive),
        )
    }

    /// Removes a file, a link or a directory; never what a link points to.
    pub fn remove(&self, path: impl AsRef<[u8]>, options: RemoveOptions) -> Call<()> {
        self.operate_named("rm", Access::Write, path.as_ref(), move |backend, path| {
            if path.is_root() {
                return Call::err(Error::new(
                    ErrorCode::InvalidPath,
                    "the workspace's root cannot be removed",
                ));
            }
            backend.remove(&path, options)
        })
    }

    /// Renames a file or directory; onto itself it does nothing. Errors: see [`crate::backend::Backend::rename`].
    pub fn rename(
        &self,
        from: impl AsRef<[u8]>,
        to: impl AsRef<[u8]>,
        options: RenameOptions,
    ) -> Call<()> {
        let to = self.parse("rename", to.as_ref());
        let question = Question {
            to: to.as_ref().ok().cloned(),
            ..Question::named("rename", Access::Write)
        };
        self.operate_asking(question, from.as_ref(), move |backend, from| {
            let to = match to {
                Ok(to) => to,
                Err(error) => return Call::err(error),
            };
            if from.is_root() || to.is_root() {
                return Call::err(Error::new(
                    ErrorCode::InvalidPath,
                    "the workspace's root cannot be renamed",
                ));
            }
            if to != from && to.starts_with(&from) {
                return Call::err(Error::new(
                    ErrorCode::InvalidPath,
                    "a directory cannot be moved into itself",
                ));
            }
            backend.rename(&from, &to, options)
        })
    }

    /// Creates an empty file, or sets the times of an existing one to now. Never truncates.
    pub fn touch(&self, path: impl AsRef<[u8]>) -> Call<()> {
        self.operate(
            "touch",
            Access::Write,
            path.as_ref(),
            move |backend, path| backend.touch(&path),
        )
    }
}

/// Refuses to make a file of the root, or of a path that ends in a slash.
pub(super) fn check_file(has_slash: bool, path: &RelPath) -> Result<()> {
    let refuse = |message: &str| Err(Error::new(ErrorCode::IsADirectory, message));
    if path.is_root() {
        return refuse("it is the workspace's root, not a file");
    }
    if has_slash {
        return refuse(
            "a path that ends in a slash names a directory; leave the slash off for a file",
        );
    }
    Ok(())
}

/// What cannot be reached from inside the workspace is not there.
pub(super) fn is_there(found: Result<bool>) -> Result<bool> {
    use ErrorCode as E;
    match found {
        Err(error) => match error.code() {
            E::NotFound
            | E::NotADirectory
            | E::PathEscapeAttempt
            | E::InvalidPath
            | E::PolicyDenied => Ok(false),
            _ => Err(error),
        },
        found => found,
    }
}
