//! Renaming over plain SFTP: atomically where the server has the extension for it.

use bytes::Bytes;

use super::Inner;
use super::files::not_found;
use super::tree::invalid;
use crate::backend::{FileKind, RenameOptions};
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::wire::sftp::{Extended, Request};

impl Inner {
    pub(super) async fn rename(
        &self,
        scope: &RelPath,
        from: &RelPath,
        to: &RelPath,
        options: RenameOptions,
    ) -> Result<()> {
        if from.is_root() || to.is_root() {
            return Err(invalid("the root of the workspace cannot be renamed"));
        }
        let source = self.place(scope, from, false).await?;
        let kind = self.kind_at(&source).await?.ok_or_else(not_found)?;
        if from == to {
            return if options.keep_existing {
                let there = Error::new(ErrorCode::AlreadyExists, "something is there already");
                Err(there.at(to.to_string_lossy()))
            } else {
                Ok(())
            };
        }
        if to.starts_with(from) {
            return Err(if kind == FileKind::Directory {
                invalid("a directory cannot be moved into itself")
            } else {
                Error::new(
                    ErrorCode::NotADirectory,
                    "a part of the path is not a directory",
                )
            });
        }
        if from.starts_with(to) && !options.keep_existing {
            return Err(Error::new(
                ErrorCode::NotEmpty,
                "the directory at the target holds what would take its place",
            ));
        }
        let target = self.new_place(scope, to, !options.existing_parent).await?;
        let moved = self.move_to(&source, &target, options.keep_existing).await;
        moved.map_err(|error| match error.code() {
            ErrorCode::AlreadyExists => error.at(to.to_string_lossy()),
            _ => error,
        })
    }

    /// Moves what is at one place to another; of an error that says nothing, what is there tells the cause.
    pub(super) async fn move_to(&self, from: &[u8], to: &[u8], keep: bool) -> Result<()> {
        let (source, target) = (Bytes::copy_from_slice(from), Bytes::copy_from_slice(to));
        let replaces = self.sftp.extensions.posix_rename && !keep;
        if keep && self.look(to).await?.is_some() {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                "something is there already",
            ));
        }
        let request = if replaces {
            Extended::PosixRename {
                from: source.clone(),
                to: target.clone(),
            }
            .into_request()
        } else {
            Request::Rename {
                from: source.clone(),
                to: target.clone(),
            }
        };
        let Err(error) = self.sftp.done(request).await else {
            return Ok(());
        };
        let Some(old) = self.kind_at(from).await? else {
            return Err(not_found());
        };
        let Some(new) = self.kind_at(to).await? else {
            return Err(error);
        };
        if keep {
            return Err(Error::new(
                ErrorCode::AlreadyExists,
                "something is there already",
            ));
        }
        match (old, new) {
            (FileKind::Directory, FileKind::Directory) => {
                // A server without the extension replaces nothing, not even an empty directory.
                if !replaces && self.remove_empty(to).await.is_ok() {
                    let again = Request::Rename {
                        from: source,
                        to: target,
                    };
                    return self.sftp.done(again).await;
                }
                Err(Error::new(
                    ErrorCode::NotEmpty,
                    "the directory at the target is not empty",
                ))
            }
            (FileKind::Directory, _) => Err(Error::new(
                ErrorCode::NotADirectory,
                "a file is at the target, and a directory does not replace it",
            )),
            (_, FileKind::Directory) => Err(Error::new(
                ErrorCode::IsADirectory,
                "a directory is at the target, and a file does not replace it",
            )),
            _ if replaces => Err(error),
            // Not atomic: for a moment nothing is there.
            _ => {
                self.remove_file(target.clone()).await?;
                let again = Request::Rename {
                    from: source,
                    to: target,
                };
                self.sftp.done(again).await
            }
        }
    }
}
