//! Times, permissions, links and space over plain SFTP.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::Inner;
use super::client::unexpected;
use super::files::{not_found, only_files};
use super::tree::invalid;
use crate::backend::remote::progress::Progress;
use crate::backend::{Attributes, FileKind, Space, WriteMode, WriteOptions};
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::wire::sftp::{Extended, FileAttributes, Request, Response, VfsStatistics};

/// Nanoseconds of a second.
const SECOND: i128 = 1_000_000_000;

impl Inner {
    pub(super) async fn touch(&self, scope: &RelPath, path: &RelPath) -> Result<()> {
        let place = match self.place(scope, path, true).await {
            Ok(place) => Some(place),
            Err(error) if error.code() == ErrorCode::NotFound => None,
            Err(error) => return Err(error),
        };
        let found = match &place {
            Some(place) => self.kind_at(place).await?,
            None => None,
        };
        match (found, place) {
            (Some(kind), Some(path)) => {
                if kind != FileKind::Directory {
                    only_files(kind)?;
                }
                let now = now();
                let attributes = FileAttributes {
                    times: Some((now, now)),
                    ..FileAttributes::default()
                };
                let path = path.into();
                self.sftp.done(Request::SetStat { path, attributes }).await
            }
            _ => {
                let options = WriteOptions {
                    mode: WriteMode::Append,
                    ..WriteOptions::default()
                };
                self.write(scope, path, Bytes::new(), options, &Progress::default())
                    .await?;
                Ok(())
            }
        }
    }

    pub(super) async fn set_attributes(
        &self,
        scope: &RelPath,
        path: &RelPath,
        follow: bool,
        change: Attributes,
    ) -> Result<()> {
        if path.is_root() && change.permissions.is_some() {
            return Err(invalid(
                "the permissions of the workspace's own directory are not its business",
            ));
        }
        let place = self.place(scope, path, follow).await?;
        let found = self.look(&place).await?.ok_or_else(not_found)?;
        if change.size.is_some() {
            only_files(found.kind().unwrap_or(FileKind::File))?;
        }
        let attributes = attributes_to_set(&change, found.times);
        let path = place.into();
        let request = if found.kind() == Some(FileKind::Symlink) {
            if !self.sftp.extensions.lsetstat {
                return Err(Error::new(
                    ErrorCode::NotImplemented,
                    "the server cannot change attributes of a link",
                ));
            }
            Extended::LsetStat { path, attributes }.into_request()
        } else {
            Request::SetStat { path, attributes }
        };
        self.sftp.done(request).await
    }

    pub(super) async fn read_link(&self, scope: &RelPath, path: &RelPath) -> Result<Vec<u8>> {
        let place = self.place(scope, path, false).await?;
        if self.kind_at(&place).await?.ok_or_else(not_found)? != FileKind::Symlink {
            return Err(invalid("it is not a symbolic link"));
        }
        match self
            .sftp
            .call(Request::ReadLink { path: place.into() })
            .await?
        {
            Response::Names(names) if names.len() == 1 => Ok(names[0].name.to_vec()),
            other => Err(unexpected(other)),
        }
    }

    pub(super) async fn symlink(
        &self,
        scope: &RelPath,
        path: &RelPath,
        target: Vec<u8>,
    ) -> Result<()> {
        if target.is_empty() || target.contains(&0) {
            return Err(invalid(
                "the text of a link must not be empty, nor contain NUL",
            ));
        }
        let place = self.new_place(scope, path, false).await?;
        let made = self.sftp.done(Request::Symlink {
            target: target.into(),
            link: Bytes::copy_from_slice(&place),
        });
        match made.await {
            Ok(()) => Ok(()),
            Err(error) => match self.look(&place).await? {
                Some(_) => Err(Error::new(
                    ErrorCode::AlreadyExists,
                    "something is there already",
                )),
                None => Err(error),
            },
        }
    }

    pub(super) async fn space(&self, scope: &RelPath) -> Result<Space> {
        if !self.sftp.extensions.statvfs {
            return Err(Error::new(
                ErrorCode::NotImplemented,
                "the server does not tell how full it is",
            ));
        }
        let path = self.scope_root(scope).into();
        match self
            .sftp
            .call(Extended::StatVfs { path }.into_request())
            .await?
        {
            Response::ExtendedReply(data) => VfsStatistics::decode(data)
                .map(|found| found.0)
                .map_err(|_| Error::new(ErrorCode::IoError, "the server's answer is malformed")),
            other => Err(unexpected(other)),
        }
    }
}

fn now() -> u32 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u32::try_from(since.unwrap_or_default().as_secs()).unwrap_or(u32::MAX)
}

/// Of the two times the protocol sets both or none, so the other one is told again.
pub(super) fn attributes_to_set(change: &Attributes, times: Option<(u32, u32)>) -> FileAttributes {
    let seconds = |ns: i128| u32::try_from(ns.div_euclid(SECOND).max(0)).unwrap_or(u32::MAX);
    let (accessed, modified) = times.unwrap_or_default();
    let is_set = change.atime_ns.is_some() || change.mtime_ns.is_some();
    FileAttributes {
        size: change.size,
        owner: None,
        permissions: change.permissions.map(|bits| bits & 0o1777),
        times: is_set.then(|| {
            (
                change.atime_ns.map_or(accessed, seconds),
                change.mtime_ns.map_or(modified, seconds),
            )
        }),
    }
}
