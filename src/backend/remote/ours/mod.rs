//! The link to a daemon of ours: operations as extended requests of SFTP, one round trip each, and commands on a channel
//! that stays open.
//!
//! A request is encoded and queued by whoever makes it, before the call returns; one task sends, one receives, and an
//! answer goes straight to whoever waits for it.

mod batch;
mod calls;
mod commands;
mod control;
mod files;
mod greeting;
mod transfer;
mod waiting;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use calls::Calls;
use commands::Commands;

use super::link::Link;
use super::progress::Progress;
use crate::backend::process::{CommandSpec, Process};
use crate::backend::{OpenFile, OpenOptions, StagedWrite, WriteOptions};
use crate::call::BoxFuture;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::wire::operations::{Answer, Hello, INLINE_BYTES, Operation, Request};

/// Carries both directions of a stream until one of them ends, or the link.
fn carry(
    closed: CancellationToken,
    sending: impl Future<Output = ()> + Send + 'static,
    receiving: impl Future<Output = ()> + Send + 'static,
    end: impl FnOnce() + Send + 'static,
) {
    let token = closed.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = sending => {}
            () = token.cancelled() => {}
        }
        token.cancel();
    });
    tokio::spawn(async move {
        tokio::select! {
            () = receiving => {}
            () = closed.cancelled() => {}
        }
        // The token first: whoever finds a call failed finds the link closed too.
        closed.cancel();
        end();
    });
}

/// A connection to a daemon of ours.
pub struct Ours {
    hello: Hello,
    closed: CancellationToken,
    calls: Arc<Calls>,
    commands: Arc<Commands>,
}

impl fmt::Debug for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ours")
            .field("hello", &self.hello)
            .field("closed", &self.closed.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl Ours {
    /// Speaks over the subsystems `sftp` and [`crate::wire::commands::SUBSYSTEM`]. `closed` ends it, and is cancelled
    /// when one of the streams ends. Must be called in a runtime, which keeps what it starts. How long the other side
    /// may take to answer is the caller's to bound: dropping the future gives up.
    ///
    /// Errors: `NOT_IMPLEMENTED` where the other side is no daemon of ours, or one of another version;
    /// `CONNECTION_CLOSED`.
    pub async fn open(
        sftp: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        commands: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        closed: CancellationToken,
    ) -> Result<Arc<dyn Link>> {
        let (hello, calls) = Calls::open(sftp, closed.clone()).await?;
        let commands = Commands::open(commands, closed.clone());
        Ok(Arc::new(Self {
            hello,
            closed,
            calls,
            commands,
        }))
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.closed.cancel();
    }
}

impl Link for Ours {
    fn hello(&self) -> &Hello {
        &self.hello
    }

    fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    fn request(&self, request: Request, progress: Progress) -> BoxFuture<Result<Answer>> {
        match &request.operation {
            Operation::Write { content, .. } if content.len() > INLINE_BYTES => {
                transfer::write(&self.calls, request, progress)
            }
            Operation::Batch(_) => batch::perform(&self.calls, request, progress),
            Operation::Search(_) => self.calls.search(request, progress),
            _ => self.calls.operation(request, progress),
        }
    }

    fn spawn(&self, scope: &RelPath, command: CommandSpec) -> BoxFuture<Result<Process>> {
        self.commands.start(scope, command)
    }

    fn open(
        &self,
        scope: &RelPath,
        path: &RelPath,
        options: OpenOptions,
    ) -> BoxFuture<Result<Arc<dyn OpenFile>>> {
        files::open(&self.calls, scope, path, options)
    }

    fn stage(
        &self,
        scope: &RelPath,
        path: &RelPath,
        options: WriteOptions,
    ) -> BoxFuture<Result<Arc<dyn StagedWrite>>> {
        files::stage(&self.calls, scope, path, options)
    }

    fn end_commands(&self, scope: &RelPath) -> BoxFuture<Result<()>> {
        self.commands.end_scope(scope)
    }

    fn close(&self, _reason: Bytes) {
        self.closed.cancel();
    }
}

/// What every call that is pending, and every later one, fails with.
fn connection_closed() -> Error {
    Error::new(
        ErrorCode::ConnectionClosed,
        "the connection ended before the answer came; whether it was done is unknown",
    )
}

/// The refusal of an answer to another question.
fn unexpected() -> Error {
    crate::wire::malformed("an answer to another question")
}
