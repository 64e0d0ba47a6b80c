//! Our operations on the daemon's side: what comes in an `operation@agent-backend` is decoded, done through
//! [`crate::workspace::Workspace`], whose checks are all the checks there are, and encoded.

mod perform;
mod read;
mod scopes;
mod spill;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

pub(in crate::daemon) use scopes::Scopes;
use spill::{Spills, Told};

use super::session::Session;
use crate::backend::{Capabilities, OpenFile, StagedWrite};
use crate::call::BoxFuture;
use crate::error::{Error, ErrorCode, Result};
use crate::wire::operations::{
    Answer, Encoded, Hello, Operation, Request, VERSION, decode_request, encode_hello, encode_reply,
};

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

    /// Closes a file or a write in pieces of which the client was not told.
    fn close(&self, handle: &[u8]);
}

/// What one connection may ask for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Operations {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    session: Session,
    handles: Arc<dyn Handles>,
    scopes: Scopes,
    spills: Spills,
}

impl Operations {
    /// For an authenticated client, with the handles of its connection.
    #[must_use]
    pub fn new(session: Session, handles: Arc<dyn Handles>) -> Self {
        Self {
            inner: Arc::new(Inner {
                scopes: Scopes::new(session.workspace.clone()),
                session,
                handles,
                spills: Spills::default(),
            }),
        }
    }

    /// The data of `operation@agent-backend` in, the data of its `SSH_FXP_EXTENDED_REPLY` out, whatever came in and
    /// whatever came of it: errors travel inside. Cancelling stops a search or a batch; dropping the future ends
    /// whatever can be ended.
    #[must_use]
    pub fn answer(&self, data: Bytes, cancel: CancellationToken) -> BoxFuture<Encoded> {
        let operations = self.clone();
        Box::pin(async move {
            let answer = match decode_request(&data) {
                Ok(request) => {
                    // What the request carries keeps the rest alive where it must.
                    drop(data);
                    operations.inner.perform(request, cancel).await
                }
                Err(malformed) => Err(malformed),
            };
            operations.encode(&answer)
        })
    }

    /// Does one operation.
    ///
    /// # Errors
    /// Those of the operation, which name it and its path; `UNAUTHORIZED` once the session has ended.
    #[must_use]
    pub fn perform(
        &self,
        request: Request,
        cancel: CancellationToken,
    ) -> BoxFuture<Result<Answer>> {
        let operations = self.clone();
        Box::pin(async move { operations.inner.perform(request, cancel).await })
    }

    /// The data of the pair [`crate::wire::operations::NAME`] in `SSH_FXP_VERSION`.
    #[must_use]
    pub fn hello(&self) -> Vec<u8> {
        let session = &self.inner.session;
        let workspace = &session.workspace;
        let capabilities = workspace.capabilities();
        let hello = Hello {
            version: VERSION,
            served_root: session.served_root.clone(),
            session_root: workspace.root_dir().to_vec(),
            capabilities: Capabilities {
                exec: capabilities.exec && workspace.rights().exec,
                ..capabilities
            },
        };
        // Encoding a struct of bytes and flags cannot fail; an empty greeting is read as that of another server.
        encode_hello(&hello).unwrap_or_default()
    }

    fn encode(&self, answer: &Result<Answer>) -> Encoded {
        let inner = &self.inner;
        let encoded = encode_reply(answer).and_then(|encoded| {
            (inner.spills).fit(encoded, &inner.session.workspace, &*inner.handles)
        });
        encoded.unwrap_or_else(|error| {
            if let Ok(answer) = answer {
                spill::close(answer, &*inner.handles);
            }
            // A refusal is short, so that this one fits.
            encode_reply(&Err(error)).unwrap_or_default()
        })
    }
}

impl Inner {
    async fn perform(&self, request: Request, cancel: CancellationToken) -> Result<Answer> {
        let workspace = self.scopes.get(&request.scope)?;
        let operations = match request.operation {
            Operation::Batch(operations) => operations,
            one => return self.one(&workspace, one, &cancel).await,
        };
        let mut answers = Vec::with_capacity(operations.len());
        let mut told = Told::default();
        for operation in operations {
            let answer = match cancel.is_cancelled() {
                true => Err(Error::new(
                    ErrorCode::Aborted,
                    "the caller cancelled the batch",
                )),
                false => match told.check(&operation) {
                    Ok(()) => self.one(&workspace, operation, &cancel).await,
                    Err(refused) => Err(refused),
                },
            };
            answers.push(told.count(answer, &*self.handles));
        }
        Ok(Answer::Batch(answers))
    }

    fn check_session(&self) -> Result<()> {
        match self.session.closed.is_cancelled() {
            true => Err(Error::new(
                ErrorCode::Unauthorized,
                "the session has ended; connect again",
            )),
            false => Ok(()),
        }
    }
}
