//! Whole files over plain SFTP: many reads and writes on their way at once, and a file that appears as a whole.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Inner;
use super::client::{Handle, Sftp, unexpected};
use super::places::stat_of;
use super::transfer::{IN_FLIGHT, read_at, write_at};
use crate::backend::remote::progress::Progress;
use crate::backend::{
    Durability, FileKind, FileStat, ReadOptions, ReadOutcome, WriteMode, WriteOptions, WriteOutcome,
};
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::wire::sftp::{Extended, FileAttributes, OpenFlags, Request, Response};

/// Permission bits that are kept or set; set-user-ID and set-group-ID are not.
const PERMISSIONS: u32 = 0o1777;

/// Refuses what is not a regular file, before it is opened: opening a FIFO would hold the server's whole session.
pub(super) fn only_files(kind: FileKind) -> Result<()> {
    match kind {
        FileKind::File => Ok(()),
        FileKind::Directory => Err(is_a_directory()),
        FileKind::Symlink | FileKind::Other => Err(Error::new(
            ErrorCode::InvalidPath,
            "it is no regular file (a device, a socket, a FIFO or a broken link)",
        )),
    }
}

pub(super) fn is_a_directory() -> Error {
    Error::new(ErrorCode::IsADirectory, "it is a directory, not a file")
}

pub(super) fn not_found() -> Error {
    Error::new(ErrorCode::NotFound, "no such file or directory")
}

impl Inner {
    /// [`crate::backend::Backend::read`].
    pub(super) async fn read(
        &self,
        scope: &RelPath,
        path: &RelPath,
        options: ReadOptions,
        progress: &Progress,
    ) -> Result<ReadOutcome> {
        let place: Bytes = self.place(scope, path, true).await?.into();
        let found = self.look(&place).await?.ok_or_else(not_found)?;
        only_files(found.kind().unwrap_or(FileKind::File))?;
        let handle = Handle::open(
            &self.sftp,
            Request::Open {
                path: place,
                flags: OpenFlags {
                    read: true,
                    ..OpenFlags::default()
                },
                attributes: FileAttributes::default(),
            },
        )
        .await?;
        let stat = self.stat_handle(&handle).await?;
        let range = options.range.unwrap_or(0..stat.size);
        let start = range.start.min(stat.size);
        let length = range.end.min(stat.size).saturating_sub(start);
        if options.max_bytes.is_some_and(|most| length > most) {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!("it has {length} bytes, more than the call takes; read a range"),
            ));
        }
        let length = usize::try_from(length)
            .map_err(|_| Error::new(ErrorCode::TooLarge, "it does not fit in memory"))?;
        let bytes = self.read_pieces(&handle, start, length, progress).await?;
        Ok(ReadOutcome { bytes, stat })
    }

    async fn read_pieces(
        &self,
        handle: &Handle,
        start: u64,
        length: usize,
        progress: &Progress,
    ) -> Result<Bytes> {
        let chunk = self.sftp.chunk;
        let pieces = (0..length.div_ceil(chunk)).map(|number| {
            let from = number * chunk;
            (start + from as u64, chunk.min(length - from))
        });
        let mut pieces = stream::iter(pieces)
            .map(|(offset, length)| {
                let read = read_at(Arc::clone(&self.sftp), handle.bytes(), offset, length);
                async move { read.await.map(|bytes| (bytes.len() < length, bytes)) }
            })
            .buffered(IN_FLIGHT);
        let mut whole: Option<BytesMut> = None;
        let mut only = Bytes::new();
        while let Some((is_last, bytes)) = pieces.try_next().await? {
            progress.moved();
            if length <= chunk {
                only = bytes;
                break;
            }
            whole
                .get_or_insert_with(|| BytesMut::with_capacity(length))
                .extend_from_slice(&bytes);
            // Somebody cut the file meanwhile.
            if is_last {
                break;
            }
        }
        Ok(whole.map_or(only, BytesMut::freeze))
    }

    pub(super) async fn stat_handle(&self, handle: &Handle) -> Result<FileStat> {
        self.stat_of_handle(handle.bytes()).await
    }

    pub(super) async fn stat_of_handle(&self, handle: Bytes) -> Result<FileStat> {
        match self.sftp.call(Request::Fstat { handle }).await? {
            Response::Attributes(attributes) => Ok(stat_of(&attributes)),
            other => Err(unexpected(other)),
        }
    }

    /// [`crate::backend::Backend::write`].
    pub(super) async fn write(
        &self,
        scope: &RelPath,
        path: &RelPath,
        content: Bytes,
        options: WriteOptions,
        progress: &Progress,
    ) -> Result<WriteOutcome> {
        let mut staged = self.begin_write(scope, path, options).await?;
        staged.append(self, content, progress).await?;
        staged.commit(self, scope, path).await
    }

    /// The state of what a write would replace, and where it is; `CONFLICT` and the like before anything is made.
    async fn target(
        &self,
        scope: &RelPath,
        path: &RelPath,
        mode: &WriteMode,
    ) -> Result<(Option<Vec<u8>>, Option<FileStat>)> {
        if path.is_root() {
            return Err(Error::new(
                ErrorCode::InvalidPath,
                "this is the root of the workspace, not a file",
            ));
        }
        // What must not be there is not looked for behind a link either.
        let follow = *mode != WriteMode::CreateNew;
        let place = match self.place(scope, path, follow).await {
            Ok(place) => Some(place),
            Err(error) if error.code() == ErrorCode::NotFound => None,
            Err(error) => return Err(error),
        };
        let found = match &place {
            Some(place) => self.look(place).await?,
            None => None,
        };
        let stat = found.as_ref().map(stat_of);
        match (mode, &stat) {
            (WriteMode::CreateNew, Some(_)) => Err(Error::new(
                ErrorCode::AlreadyExists,
                "something is there already",
            )),
            (WriteMode::IfMatch(expected), found)
                if found.as_ref().map(FileStat::etag).as_ref() != Some(expected) =>
            {
                Err(Error::new(
                    ErrorCode::Conflict,
                    "it is not what it was when it was read; read it again",
                ))
            }
            (_, Some(stat)) => only_files(stat.kind).map(|()| (place, Some(*stat))),
            (_, None) => Ok((place, None)),
        }
    }

    pub(super) async fn begin_write(
        &self,
        scope: &RelPath,
        path: &RelPath,
        options: WriteOptions,
    ) -> Result<Written> {
        let (place, existing) = self.target(scope, path, &options.mode).await?;
        let target = match (&existing, place) {
            (Some(_), Some(place)) => place,
            // A link to what is not there yet: the file is made where it leads.
            (None, Some(place)) if self.has_parent(&place).await? => place,
            _ => self.new_place(scope, path, true).await?,
        };
        let append = options.mode == WriteMode::Append;
        let beside = if append { None } else { Some(beside(&target)?) };
        // Before it is there: where nobody waits for the answer any more, it is made all the same, and then removed.
        let discard = beside.as_ref().map(|beside| Discard {
            sftp: Arc::clone(&self.sftp),
            beside: Bytes::copy_from_slice(beside),
        });
        let permissions = match (&existing, options.permissions) {
            (_, Some(chosen)) => Some(chosen & PERMISSIONS),
            (Some(old), None) if !append => Some(old.mode & PERMISSIONS),
            _ => None,
        };
        let handle = Handle::open(
            &self.sftp,
            Request::Open {
                path: beside.as_ref().unwrap_or(&target).clone().into(),
                flags: OpenFlags {
                    write: true,
                    create: true,
                    append,
                    exclusive: !append,
                    ..OpenFlags::default()
                },
                attributes: FileAttributes {
                    permissions: Some(match (&existing, permissions) {
                        (None, Some(chosen)) => chosen,
                        (None, None) => 0o644,
                        // Nobody else may read of it what they could not read of the old one.
                        (Some(_), _) => 0o600,
                    }),
                    ..FileAttributes::default()
                },
            },
        )
        .await?;
        Ok(Written {
            handle: Some(handle),
            offset: existing.filter(|_| append).map_or(0, |stat| stat.size),
            target,
            discard,
            permissions,
            options,
        })
    }

    async fn has_parent(&self, place: &[u8]) -> Result<bool> {
        let end = place.iter().rposition(|&b| b == b'/').unwrap_or(0).max(1);
        Ok(self.kind_at(&place[..end]).await? == Some(FileKind::Directory))
    }
}

/// An unguessable name in the same directory.
fn beside(target: &[u8]) -> Result<Vec<u8>> {
    let end = target
        .iter()
        .rposition(|&b| b == b'/')
        .map_or(0, |at| at + 1);
    let random = u64::from_le_bytes(crate::sys::linux::random::random::<8>()?);
    let mut out = target[..end].to_vec();
    out.extend_from_slice(format!(".agent-backend-{random:016x}.tmp").as_bytes());
    Ok(out)
}

/// Removes a temporary that has not become the file.
#[derive(Debug)]
struct Discard {
    sftp: Arc<Sftp>,
    beside: Bytes,
}

impl Drop for Discard {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.beside);
        if !path.is_empty() {
            drop(self.sftp.call(Request::Remove { path }));
        }
    }
}

/// A write on its way. Dropped before the commit, nothing stays of it, except of what was appended.
#[derive(Debug)]
pub(super) struct Written {
    handle: Option<Handle>,
    offset: u64,
    target: Vec<u8>,
    /// `None` for what is appended in place.
    discard: Option<Discard>,
    permissions: Option<u32>,
    options: WriteOptions,
}

impl Written {
    pub(super) async fn append(
        &mut self,
        inner: &Inner,
        bytes: Bytes,
        progress: &Progress,
    ) -> Result<()> {
        let Some(handle) = &self.handle else {
            return Err(Error::new(ErrorCode::IoError, "the write has ended"));
        };
        let length = bytes.len() as u64;
        let sftp = Arc::clone(&inner.sftp);
        write_at(sftp, handle.bytes(), self.offset, bytes, progress).await?;
        self.offset += length;
        Ok(())
    }

    pub(super) async fn commit(
        &mut self,
        inner: &Inner,
        scope: &RelPath,
        path: &RelPath,
    ) -> Result<WriteOutcome> {
        let Some(handle) = self.handle.take() else {
            return Err(Error::new(ErrorCode::IoError, "the write has ended"));
        };
        if let Some(permissions) = self.permissions {
            let attributes = FileAttributes {
                permissions: Some(permissions),
                ..FileAttributes::default()
            };
            let handle = handle.bytes();
            let changed = inner.sftp.done(Request::FsetStat { handle, attributes });
            changed.await?;
        }
        if self.options.durability == Durability::Disk {
            if !inner.sftp.extensions.fsync {
                return Err(Error::new(
                    ErrorCode::NotImplemented,
                    "the server cannot flush a file to the disk",
                ));
            }
            let handle = handle.bytes();
            let flushed = inner.sftp.done(Extended::Fsync { handle }.into_request());
            flushed.await?;
        }
        let stat = inner.stat_handle(&handle).await?;
        drop(handle);
        let Some(mut discard) = self.discard.take() else {
            return Ok(WriteOutcome { stat });
        };
        if let WriteMode::IfMatch(_) = &self.options.mode {
            // Once more, as late as the protocol allows.
            inner.target(scope, path, &self.options.mode).await?;
        }
        let keep = self.options.mode == WriteMode::CreateNew;
        inner.move_to(&discard.beside, &self.target, keep).await?;
        discard.beside = Bytes::new();
        Ok(WriteOutcome { stat })
    }
}
