//! Any SSH server: plain SFTP for files, one exec channel for each command.
//!
//! Weaker than a daemon of ours, in ways that the documentation names: the client asks where a path really leads and then
//! goes there, so somebody who changes links on the server meanwhile is not stopped; times have whole seconds, and an
//! etag is made of size and time; each operation costs several round trips; commands run as the server's user, behind no
//! wall.

mod attributes;
mod client;
mod commands;
mod ending;
mod files;
mod moving;
mod open_file;
mod places;
mod preface;
mod quoting;
mod running;
mod script;
mod search;
mod signals;
mod transfer;
mod tree;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use self::client::Sftp;
use self::commands::Commands;
use super::channel::ChannelBytes;
use super::dialer::{Dialer, unusable_root};
use super::link::Link;
use super::progress::Progress;
use super::ssh_client::SshSession;
use crate::backend::process::{CommandSpec, Process};
use crate::backend::{Capabilities, OpenFile, OpenOptions, StagedWrite, WriteOptions};
use crate::call::BoxFuture;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::pool;
use crate::wire::operations::{Answer, Hello, Operation, Request, VERSION};

/// A link to a server that is not ours.
pub(super) struct Plain {
    inner: Arc<Inner>,
}

/// What its calls share.
struct Inner {
    hello: Hello,
    /// The root without links, as the server names it.
    root: Vec<u8>,
    sftp: Arc<Sftp>,
    commands: Arc<Commands>,
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plain")
            .field("hello", &self.inner.hello)
            .finish_non_exhaustive()
    }
}

impl Plain {
    /// Greets the server on a channel of its SFTP subsystem, and looks at the root.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` where the root is no directory there, `CONNECTION_FAILED`.
    pub(super) async fn open(
        channel: ChannelBytes,
        session: Arc<SshSession>,
        dialer: Arc<Dialer>,
    ) -> Result<Arc<dyn Link>> {
        let closed = session.closed().child_token();
        let sftp = Arc::new(Sftp::open(channel, closed).await?);
        let root_dir = dialer.options.root_dir.clone();
        let root = Inner::real_root(&sftp, &root_dir)
            .await?
            .map_err(|error| unusable_root(&String::from_utf8_lossy(&root_dir), error.message()))?;
        let hello = Hello {
            version: VERSION,
            served_root: root_dir.clone(),
            session_root: root_dir,
            capabilities: Capabilities {
                exec: true,
                posix: true,
            },
        };
        Ok(Arc::new(Self {
            inner: Arc::new(Inner {
                hello,
                root,
                sftp,
                commands: Arc::new(Commands::new(session, dialer)),
            }),
        }))
    }

    /// Runs a call in the runtime, so that whoever polls it needs none; dropping it ends it.
    fn run<T, F>(&self, call: impl FnOnce(Arc<Inner>) -> F) -> BoxFuture<Result<T>>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let task = pool::runtime().spawn(call(Arc::clone(&self.inner)));
        let ends = AbortOnDrop(task.abort_handle());
        Box::pin(async move {
            let _ends = ends;
            task.await.unwrap_or_else(|_| {
                Err(Error::new(
                    ErrorCode::ConnectionClosed,
                    "the call ended before its answer came",
                ))
            })
        })
    }
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Inner {
    async fn perform(
        &self,
        scope: &RelPath,
        operation: Operation,
        progress: &Progress,
    ) -> Result<Answer> {
        Ok(match operation {
            Operation::Read { path, options } => Answer::Read {
                outcome: self.read(scope, &path, options, progress).await?,
                rest: None,
            },
            Operation::Write {
                path,
                content,
                options,
            } => {
                let written = self.write(scope, &path, content, options, progress);
                Answer::Written(written.await?)
            }
            Operation::Stat { path, follow } => {
                Answer::Stat(self.stat(scope, &path, follow).await?)
            }
            Operation::RealPath { path } => Answer::RealPath(self.real_path(scope, &path).await?),
            Operation::List { path, options } => {
                Answer::List(self.list(scope, &path, options).await?)
            }
            Operation::CreateDir { path, recursive } => {
                done(self.create_dir(scope, &path, recursive).await)?
            }
            Operation::Remove { path, options } => done(self.remove(scope, &path, options).await)?,
            Operation::Rename { from, to, options } => {
                done(self.rename(scope, &from, &to, options).await)?
            }
            Operation::Touch { path } => done(self.touch(scope, &path).await)?,
            Operation::Search(request) => {
                Answer::Search(Box::new(self.search(scope, *request).await?))
            }
            Operation::SetAttributes {
                path,
                follow,
                attributes,
            } => done(self.set_attributes(scope, &path, follow, attributes).await)?,
            Operation::ReadLink { path } => Answer::Link(self.read_link(scope, &path).await?),
            Operation::Symlink { path, target } => done(self.symlink(scope, &path, target).await)?,
            Operation::Space => Answer::Space(self.space(scope).await?),
            // Calls of the link of their own; as operations they exist between us and a daemon of ours.
            Operation::Stage { .. }
            | Operation::Commit { .. }
            | Operation::Open { .. }
            | Operation::OfFile { .. }
            | Operation::Edit { .. }
            | Operation::Batch(_) => {
                return Err(Error::new(
                    ErrorCode::NotImplemented,
                    "a server that is not ours does not do this in one operation",
                ));
            }
        })
    }

    /// Several operations one after another: there is nothing to send them in at once.
    async fn batch(
        &self,
        scope: &RelPath,
        operations: Vec<Operation>,
        progress: &Progress,
    ) -> Answer {
        let mut answers = Vec::with_capacity(operations.len());
        for operation in operations {
            answers.push(self.perform(scope, operation, progress).await);
            progress.moved();
        }
        Answer::Batch(answers)
    }
}

fn done(result: Result<()>) -> Result<Answer> {
    result.map(|()| Answer::Done)
}

impl Link for Plain {
    fn hello(&self) -> &Hello {
        &self.inner.hello
    }

    fn closed(&self) -> &CancellationToken {
        &self.inner.sftp.closed
    }

    fn request(&self, request: Request, progress: Progress) -> BoxFuture<Result<Answer>> {
        self.run(|inner| async move {
            let Request { scope, operation } = request;
            match operation {
                Operation::Batch(operations) => {
                    Ok(inner.batch(&scope, operations, &progress).await)
                }
                operation => inner.perform(&scope, operation, &progress).await,
            }
        })
    }

    fn spawn(&self, scope: &RelPath, command: CommandSpec) -> BoxFuture<Result<Process>> {
        let scope = scope.clone();
        self.run(|inner| async move { inner.start(&scope, command).await })
    }

    fn open(
        &self,
        scope: &RelPath,
        path: &RelPath,
        options: OpenOptions,
    ) -> BoxFuture<Result<Arc<dyn OpenFile>>> {
        let (scope, path) = (scope.clone(), path.clone());
        self.run(|inner| async move { open_file::open(inner, &scope, &path, options).await })
    }

    fn stage(
        &self,
        scope: &RelPath,
        path: &RelPath,
        options: WriteOptions,
    ) -> BoxFuture<Result<Arc<dyn StagedWrite>>> {
        let (scope, path) = (scope.clone(), path.clone());
        self.run(|inner| async move { open_file::stage(inner, scope, path, options).await })
    }

    fn end_commands(&self, scope: &RelPath) -> BoxFuture<Result<()>> {
        let scope = scope.clone();
        self.run(|inner| async move {
            inner.commands.end(&scope).await;
            Ok(())
        })
    }

    fn close(&self, _: Bytes) {
        self.inner.commands.close();
        self.inner.sftp.closed.cancel();
    }
}
