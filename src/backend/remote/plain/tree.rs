//! Directories over plain SFTP.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Inner;
use super::client::{Handle, unexpected};
use super::files::{is_a_directory, not_found};
use super::places::{no_directory, stat_of};
use crate::backend::{DirEntry, FileKind, FileStat, ListOptions, Removable, RemoveOptions};
use crate::error::{Error, ErrorCode, Result};
use crate::path::{RelPath, strip_root};
use crate::wire::sftp::{Entry, FileAttributes, Request, Response, StatusCode};

/// Requests for the entries of one directory on their way at once.
const READDIRS: usize = 4;
/// Removals on their way at once.
const REMOVALS: usize = 32;
pub(super) fn invalid(message: &str) -> Error {
    Error::new(ErrorCode::InvalidPath, message)
}

impl Inner {
    pub(super) async fn stat(
        &self,
        scope: &RelPath,
        path: &RelPath,
        follow: bool,
    ) -> Result<FileStat> {
        let place = self.place(scope, path, follow).await?;
        match self.look(&place).await? {
            Some(found) => Ok(stat_of(&found)),
            // Of a file in the place of a directory the server says that nothing is there.
            None => Err(self
                .place(scope, path, false)
                .await
                .err()
                .unwrap_or_else(not_found)),
        }
    }

    pub(super) async fn real_path(&self, scope: &RelPath, path: &RelPath) -> Result<RelPath> {
        let root = self.scope_root(scope);
        let real = self.place(scope, path, true).await?;
        let below = strip_root(&real, &root).unwrap_or_default();
        RelPath::parse(below.strip_prefix(b"/").unwrap_or(below), &root)
    }

    /// The entries of a directory that is known to be one and inside, in no order, without `.` and `..`.
    pub(super) async fn entries(&self, place: &[u8]) -> Result<Vec<Entry>> {
        let path = Bytes::copy_from_slice(place);
        let handle = Handle::open(&self.sftp, Request::OpenDir { path }).await?;
        let mut entries = Vec::new();
        let mut answers = stream::repeat(())
            .map(|()| {
                self.sftp.call(Request::ReadDir {
                    handle: handle.bytes(),
                })
            })
            .buffered(READDIRS);
        loop {
            match answers.try_next().await? {
                Some(Response::Names(names)) => entries.extend(names.into_iter().filter(|entry| {
                    // A name that is none would be taken for a path.
                    let name = &entry.name;
                    !(name.is_empty()
                        || **name == *b"."
                        || **name == *b".."
                        || name.contains(&b'/')
                        || name.contains(&0))
                })),
                Some(Response::Status {
                    code: StatusCode::Eof,
                    ..
                })
                | None => return Ok(entries),
                Some(other) => return Err(unexpected(other)),
            }
        }
    }

    pub(super) async fn list(
        &self,
        scope: &RelPath,
        path: &RelPath,
        options: ListOptions,
    ) -> Result<Vec<DirEntry>> {
        let place = self.place(scope, path, true).await?;
        match self.kind_at(&place).await? {
            Some(FileKind::Directory) => {}
            Some(_) => {
                return Err(Error::new(
                    ErrorCode::NotADirectory,
                    "it is not a directory",
                ));
            }
            None => {
                let why = self.place(scope, path, false).await.err();
                return Err(why.unwrap_or_else(not_found));
            }
        }
        let mut entries: Vec<DirEntry> = (self.entries(&place).await?.into_iter())
            .map(|entry| DirEntry {
                kind: entry.attributes.kind().unwrap_or(FileKind::File),
                stat: options.with_stat.then(|| stat_of(&entry.attributes)),
                name: entry.name.to_vec(),
            })
            .collect();
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    pub(super) async fn create_dir(
        &self,
        scope: &RelPath,
        path: &RelPath,
        recursive: bool,
    ) -> Result<()> {
        let exists = || Error::new(ErrorCode::AlreadyExists, "something is there already");
        if path.is_root() || recursive {
            if !recursive && self.look(&self.scope_root(scope)).await?.is_some() {
                return Err(exists());
            }
            let made = self.make_directories(scope, path).await;
            return match made {
                Ok(_) => Ok(()),
                // In its own place, not above it.
                Err(error)
                    if error.code() == ErrorCode::NotADirectory
                        && self.place(scope, path, false).await.is_ok() =>
                {
                    Err(exists())
                }
                Err(error) => Err(error),
            };
        }
        let place = self.new_place(scope, path, false).await?;
        let made = self.sftp.done(Request::MakeDir {
            path: Bytes::copy_from_slice(&place),
            attributes: FileAttributes::default(),
        });
        match made.await {
            Ok(()) => Ok(()),
            Err(error) => match self.look(&place).await? {
                Some(_) => Err(exists()),
                None => Err(error),
            },
        }
    }

    pub(super) async fn remove(
        &self,
        scope: &RelPath,
        path: &RelPath,
        options: RemoveOptions,
    ) -> Result<()> {
        if path.is_root() {
            return Err(invalid("the root of the workspace cannot be removed"));
        }
        let removed = self.remove_found(scope, path, options).await;
        match removed {
            Err(error) if options.force && error.code() == ErrorCode::NotFound => Ok(()),
            other => other,
        }
    }

    async fn remove_found(
        &self,
        scope: &RelPath,
        path: &RelPath,
        options: RemoveOptions,
    ) -> Result<()> {
        let place = self.place(scope, path, false).await?;
        let kind = self.kind_at(&place).await?.ok_or_else(not_found)?;
        if kind != FileKind::Directory {
            return match options.only {
                Removable::Directory => Err(no_directory()),
                _ => self.remove_file(place.into()).await,
            };
        }
        if options.only == Removable::File {
            return Err(is_a_directory());
        }
        if options.recursive {
            return self.remove_tree(place).await;
        }
        let removed = self.remove_empty(&place).await;
        match removed {
            Err(error) if error.code() == ErrorCode::IoError => {
                if self
                    .entries(&place)
                    .await
                    .is_ok_and(|found| !found.is_empty())
                {
                    return Err(Error::new(
                        ErrorCode::NotEmpty,
                        "the directory is not empty; pass `recursive` to remove what is in it",
                    ));
                }
                Err(error)
            }
            other => other,
        }
    }

    pub(super) async fn remove_file(&self, path: Bytes) -> Result<()> {
        self.sftp.done(Request::Remove { path }).await
    }

    pub(super) async fn remove_empty(&self, place: &[u8]) -> Result<()> {
        let path = Bytes::copy_from_slice(place);
        self.sftp.done(Request::RemoveDir { path }).await
    }

    /// Removes all that is in a directory, and it. Links are removed, never followed.
    async fn remove_tree(&self, top: Vec<u8>) -> Result<()> {
        // Directories in the order in which they were found: each behind the one that it is in.
        let mut directories = vec![top];
        let mut at = 0;
        while let Some(directory) = directories.get(at).cloned() {
            at += 1;
            let entries = match self.entries(&directory).await {
                // Somebody else removed it meanwhile.
                Err(error) if error.code() == ErrorCode::NotFound => continue,
                found => found?,
            };
            let (inner, files): (Vec<Entry>, Vec<Entry>) = entries
                .into_iter()
                .partition(|entry| entry.attributes.kind() == Some(FileKind::Directory));
            let path_of = |entry: &Entry| [&directory[..], b"/", &entry.name[..]].concat();
            let files: Vec<Bytes> = files.iter().map(|entry| path_of(entry).into()).collect();
            stream::iter(files)
                .map(|path| self.sftp.done(Request::Remove { path }))
                .buffer_unordered(REMOVALS)
                .try_for_each(|()| std::future::ready(Ok(())))
                .await?;
            directories.extend(inner.iter().map(path_of));
        }
        for directory in directories.iter().rev() {
            match self.remove_empty(directory).await {
                Err(error) if error.code() == ErrorCode::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    }
}
