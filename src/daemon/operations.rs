//! Our operations on the daemon's side: what comes in an `operation@agent-backend` is decoded, done through
//! [`crate::workspace::Workspace`], whose checks are all the checks there are, and encoded.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::session::Session;
use crate::backend::{OpenFile, StagedWrite};
use crate::call::BoxFuture;
use crate::error::Result;
use crate::wire::operations::{Answer, Encoded, Request};

/// The table of handles of the connection that operations come in on, so that `SSH_FXP_READ`, `SSH_FXP_WRITE` and
/// `SSH_FXP_CLOSE` on what an operation opened are those of SFTP. A handle is a text that the client gives back as it is.
pub trait Handles: fmt::Debug + Send + Sync {
    /// Keeps a file open for `SSH_FXP_READ` (and `SSH_FXP_WRITE`, where it was opened for that).
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` where too much is open.
    fn keep_file(&self, file: Arc<dyn OpenFile>) -> Result<Bytes>;

    /// Keeps a write in pieces: each `SSH_FXP_WRITE` must begin where the one before it ended, and is answered after
    /// [`StagedWrite::append`]. `SSH_FXP_CLOSE` discards it.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` where too much is open.
    fn keep_stage(&self, stage: Arc<dyn StagedWrite>) -> Result<Bytes>;

    /// Takes a write in pieces out of the table, for its commit.
    ///
    /// # Errors
    /// `INVALID_PATH` where the handle is none of a write in pieces; `IO_ERROR` where a piece failed.
    fn take_stage(&self, handle: &[u8]) -> Result<Arc<dyn StagedWrite>>;

    /// The open file of a handle, which stays open.
    ///
    /// # Errors
    /// `INVALID_PATH` where the handle is none of a file.
    fn file(&self, handle: &[u8]) -> Result<Arc<dyn OpenFile>>;
}

/// What one connection may ask for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Operations {
    session: Session,
    handles: Arc<dyn Handles>,
}

impl Operations {
    /// For an authenticated client, with the handles of its connection.
    #[must_use]
    pub fn new(session: Session, handles: Arc<dyn Handles>) -> Self {
        Self { session, handles }
    }

    /// The data of `operation@agent-backend` in, the data of its `SSH_FXP_EXTENDED_REPLY` out, whatever came in and
    /// whatever came of it: errors travel inside. Cancelling stops a search or a batch.
    #[must_use]
    pub fn answer(&self, data: Bytes, cancel: CancellationToken) -> BoxFuture<Encoded> {
        let _ = (data, cancel, &self.session, &self.handles);
        todo!()
    }

    /// Does one operation.
    ///
    /// # Errors
    /// Those of the operation.
    pub fn perform(
        &self,
        request: Request,
        cancel: CancellationToken,
    ) -> BoxFuture<Result<Answer>> {
        let _ = (request, cancel);
        todo!()
    }

    /// The data of the pair [`crate::wire::operations::NAME`] in `SSH_FXP_VERSION`.
    #[must_use]
    pub fn hello(&self) -> Vec<u8> {
        todo!()
    }
}
