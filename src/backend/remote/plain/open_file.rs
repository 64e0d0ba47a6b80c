//! Files that stay open, and writes in pieces, over plain SFTP.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::Inner;
use super::attributes::attributes_to_set;
use super::client::Handle;
use super::files::{Written, only_files};
use super::transfer;
use crate::backend::remote::progress::Progress;
use crate::backend::{
    Attributes, FileKind, FileStat, OpenFile, OpenOptions, StagedWrite, WriteOptions, WriteOutcome,
};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::wire::sftp::{Extended, FileAttributes, OpenFlags, Request};

struct PlainFile {
    inner: Arc<Inner>,
    handle: Handle,
    options: OpenOptions,
}

impl fmt::Debug for PlainFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainFile").finish_non_exhaustive()
    }
}

/// [`crate::backend::Backend::open`].
pub(super) async fn open(
    inner: Arc<Inner>,
    scope: &RelPath,
    path: &RelPath,
    options: OpenOptions,
) -> Result<Arc<dyn OpenFile>> {
    if !(options.read || options.write || options.append) {
        return Err(Error::new(
            ErrorCode::InvalidConfiguration,
            "a file must be opened for reading or for writing",
        ));
    }
    let creates = options.create || options.create_new;
    let place = if creates
        && path
            .split_last()
            .is_some_and(|(parent, _)| parent.is_root())
    {
        inner.new_place(scope, path, false).await?
    } else {
        inner.place(scope, path, !options.create_new).await?
    };
    match inner.kind_at(&place).await? {
        Some(_) if options.create_new => {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                "something is there already",
            ));
        }
        Some(kind) => only_files(kind)?,
        None => {}
    }
    let request = Request::Open {
        path: place.into(),
        flags: OpenFlags {
            read: options.read,
            write: options.write || options.append,
            append: options.append,
            create: creates,
            truncate: options.truncate,
            exclusive: options.create_new,
        },
        attributes: FileAttributes {
            permissions: Some(options.permissions.unwrap_or(0o644) & 0o1777),
            ..FileAttributes::default()
        },
    };
    let handle = Handle::open(&inner.sftp, request).await?;
    if inner.stat_handle(&handle).await?.kind != FileKind::File {
        return Err(Error::new(
            ErrorCode::InvalidPath,
            "it is no regular file any more",
        ));
    }
    Ok(Arc::new(PlainFile {
        inner,
        handle,
        options,
    }))
}

impl PlainFile {
    /// The protocol has no code for this.
    fn may_write(&self) -> Result<()> {
        if self.options.write || self.options.append {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::PermissionDenied,
            "it was opened for reading",
        ))
    }
}

impl OpenFile for PlainFile {
    fn stat(&self) -> Call<FileStat> {
        let (inner, handle) = (Arc::clone(&self.inner), self.handle.bytes());
        Call::spawned(async move { inner.stat_of_handle(handle).await })
    }

    fn read_at(&self, offset: u64, length: usize) -> Call<Bytes> {
        if !self.options.read {
            return Call::err(Error::new(
                ErrorCode::PermissionDenied,
                "it was not opened for reading",
            ));
        }
        // No file is as long, and no server takes such a number.
        if i64::try_from(offset).is_err() {
            return Call::ok(Bytes::new());
        }
        let (sftp, handle) = (Arc::clone(&self.inner.sftp), self.handle.bytes());
        Call::spawned(async move { transfer::read_at(sftp, handle, offset, length).await })
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> Call<()> {
        if let Err(error) = self.may_write() {
            return Call::err(error);
        }
        let (sftp, handle) = (Arc::clone(&self.inner.sftp), self.handle.bytes());
        Call::spawned(async move {
            let unheard = Progress::default();
            transfer::write_at(sftp, handle, offset, bytes, &unheard).await
        })
    }

    fn set_attributes(&self, change: Attributes) -> Call<()> {
        if let Err(error) = self.may_write() {
            return Call::err(error);
        }
        let (inner, handle) = (Arc::clone(&self.inner), self.handle.bytes());
        Call::spawned(async move {
            let now = inner.stat_of_handle(handle.clone()).await?;
            let now = FileAttributes::from(&now);
            let attributes = attributes_to_set(&change, now.times);
            let request = Request::FsetStat { handle, attributes };
            inner.sftp.done(request).await
        })
    }

    fn sync(&self) -> Call<()> {
        if !self.inner.sftp.extensions.fsync {
            return Call::err(Error::new(
                ErrorCode::NotImplemented,
                "the server cannot flush a file to the disk",
            ));
        }
        let handle = self.handle.bytes();
        Call::spawned(
            self.inner
                .sftp
                .done(Extended::Fsync { handle }.into_request()),
        )
    }
}

struct PlainStage {
    inner: Arc<Inner>,
    scope: RelPath,
    path: RelPath,
    /// What the place is like is found out at once, and told by the commit.
    written: Arc<Mutex<Result<Written>>>,
}

impl fmt::Debug for PlainStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainStage")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// [`crate::backend::Backend::stage`].
pub(super) async fn stage(
    inner: Arc<Inner>,
    scope: RelPath,
    path: RelPath,
    options: WriteOptions,
) -> Result<Arc<dyn StagedWrite>> {
    let written = inner.begin_write(&scope, &path, options).await;
    if let Err(error) = &written
        && error.code() == ErrorCode::ConnectionClosed
    {
        return Err(error.clone());
    }
    Ok(Arc::new(PlainStage {
        inner,
        scope,
        path,
        written: Arc::new(Mutex::new(written)),
    }))
}

impl StagedWrite for PlainStage {
    fn append(&self, bytes: Bytes) -> Call<()> {
        let (inner, written) = (Arc::clone(&self.inner), Arc::clone(&self.written));
        Call::spawned(async move {
            match &mut *written.lock().await {
                Ok(written) => written.append(&inner, bytes, &Progress::default()).await,
                Err(_) => Ok(()),
            }
        })
    }

    fn commit(&self) -> Call<WriteOutcome> {
        let (inner, written) = (Arc::clone(&self.inner), Arc::clone(&self.written));
        let (scope, path) = (self.scope.clone(), self.path.clone());
        Call::spawned(async move {
            match &mut *written.lock().await {
                Ok(written) => written.commit(&inner, &scope, &path).await,
                Err(error) => Err(error.clone()),
            }
        })
    }
}
