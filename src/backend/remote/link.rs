//! What carries operations and commands to the other side, once it is connected.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use crate::backend::process::{CommandSpec, Process};
use crate::backend::{OpenFile, OpenOptions, StagedWrite, WriteOptions};
use crate::call::BoxFuture;
use crate::error::Result;
use crate::path::RelPath;
use crate::wire::operations::{Answer, Hello, Request};

/// One live connection. Every call that is pending when it ends fails with `CONNECTION_CLOSED`.
pub trait Link: fmt::Debug + Send + Sync {
    /// What the other side said of itself.
    fn hello(&self) -> &Hello;

    /// Cancelled when the connection is gone.
    fn closed(&self) -> &CancellationToken;

    /// One operation. Content of any size: what is too large for one message is carried in pieces, in order, with
    /// bounded memory beside the content itself, and each piece that has arrived is told.
    fn request(&self, request: Request, progress: Progress) -> BoxFuture<Result<Answer>>;

    /// Starts a command in a scope.
    fn spawn(&self, scope: &RelPath, command: CommandSpec) -> BoxFuture<Result<Process>>;

    /// Opens a file of a scope and keeps it open.
    fn open(
        &self,
        scope: &RelPath,
        path: &RelPath,
        options: OpenOptions,
    ) -> BoxFuture<Result<Arc<dyn OpenFile>>>;

    /// Begins a write in pieces.
    fn stage(
        &self,
        scope: &RelPath,
        path: &RelPath,
        options: WriteOptions,
    ) -> BoxFuture<Result<Arc<dyn StagedWrite>>>;

    /// Ends the commands that were started in a scope and below it.
    fn end_commands(&self, scope: &RelPath) -> BoxFuture<Result<()>>;

    /// Ends the connection, with a word to the other side.
    fn close(&self, reason: Bytes);
}
