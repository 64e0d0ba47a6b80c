//! Files: the backend's calls by the names that callers know, and what is derived from them.

use super::Workspace;
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
        self.operate("read", path.as_ref(), |backend, path| {
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
        self.operate("write", raw, |backend, path| {
            if let Some(refused) = names_directory(raw, &path) {
                return Call::err(refused);
            }
            if path.is_root() {
                return Call::err(Error::new(
                    ErrorCode::IsADirectory,
                    "it is the workspace's root, not a file",
                ));
            }
            backend.write(&path, content, options)
        })
    }

    /// What is under a path, following links that stay inside.
    pub fn stat(&self, path: impl AsRef<[u8]>) -> Call<FileStat> {
        self.operate("stat", path.as_ref(), |backend, path| {
            backend.stat(&path, true)
        })
    }

    /// What is under a path; a final link is reported as a link.
    pub fn lstat(&self, path: impl AsRef<[u8]>) -> Call<FileStat> {
        self.operate("lstat", path.as_ref(), |backend, path| {
            backend.stat(&path, false)
        })
    }

    /// The path below the root that a path leads to once its links are followed; see
    /// [`crate::backend::Backend::real_path`]. Not an operation of a caller's: it is not logged.
    pub fn real_path(&self, path: impl AsRef<[u8]>) -> Call<RelPath> {
        match self.parse("stat", path.as_ref()) {
            Ok(path) => self.inner.backend.real_path(&path),
            Err(error) => Call::err(error),
        }
    }

    /// Whether something is under a path. A path or link that leaves the workspace does not exist.
    pub fn exists(&self, path: impl AsRef<[u8]>) -> Call<bool> {
        self.operate_parsed("exists", path.as_ref(), |backend, path| match path {
            Ok(path) => backend
                .stat(&path, true)
                .then(|found| is_there(found.map(|_| true))),
            Err(error) => Call::Ready(is_there(Err(error))),
        })
    }

    /// The entries of a directory, sorted by name.
    pub fn list(&self, path: impl AsRef<[u8]>, options: ListOptions) -> Call<Vec<DirEntry>> {
        self.operate("readdir", path.as_ref(), |backend, path| {
            backend.list(&path, options)
        })
    }

    /// Creates a directory; with `recursive` its parents too, and then an existing one is fine.
    pub fn create_dir(&self, path: impl AsRef<[u8]>, recursive: bool) -> Call<()> {
        self.operate("mkdir", path.as_ref(), |backend, path| {
            backend.create_dir(&path, recursive)
        })
    }

    /// Removes a file, a link or a directory; never what a link points to.
    pub fn remove(&self, path: impl AsRef<[u8]>, options: RemoveOptions) -> Call<()> {
        self.operate("rm", path.as_ref(), |backend, path| {
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
        self.operate("rename", from.as_ref(), |backend, from| {
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
        self.operate("touch", path.as_ref(), |backend, path| backend.touch(&path))
    }
}

/// The refusal to make a file of a path that ends in a slash.
fn names_directory(raw: &[u8], path: &RelPath) -> Option<Error> {
    (raw.ends_with(b"/") && !path.is_root()).then(|| {
        Error::new(
            ErrorCode::IsADirectory,
            "a path that ends in a slash names a directory; leave the slash off for a file",
        )
    })
}

/// What cannot be reached from inside the workspace is not there.
fn is_there(found: Result<bool>) -> Result<bool> {
    use ErrorCode as E;
    match found {
        Err(error) => match error.code() {
            E::NotFound | E::NotADirectory | E::PathEscapeAttempt | E::InvalidPath => Ok(false),
            _ => Err(error),
        },
        found => found,
    }
}
