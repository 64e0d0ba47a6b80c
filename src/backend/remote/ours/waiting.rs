//! A request that was sent, and what its answer must be.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::{connection_closed, unexpected};
use crate::error::{Error, ErrorCode, Result};
use crate::wire::sftp::{Response, StatusCode};

/// A request that was sent. Dropping it forgets the answer.
#[derive(Debug)]
#[must_use = "the answer is forgotten when this is dropped"]
pub(super) struct Waiting {
    pub(super) id: u32,
    pub(super) receiver: oneshot::Receiver<Response>,
}

impl Waiting {
    /// The data of an extended reply.
    pub(super) async fn data(self) -> Result<Bytes> {
        match self.await? {
            Response::ExtendedReply(data) => Ok(data),
            Response::Status { message, .. } => Err(refused(&message)),
            _ => Err(unexpected()),
        }
    }

    /// That it is done.
    pub(super) async fn done(self) -> Result<()> {
        match self.await? {
            Response::Status {
                code: StatusCode::Ok,
                ..
            } => Ok(()),
            Response::Status { message, .. } => Err(refused(&message)),
            _ => Err(unexpected()),
        }
    }

    /// Bytes of a file; none at its end.
    pub(super) async fn bytes(self) -> Result<Bytes> {
        match self.await? {
            Response::Data(bytes) => Ok(bytes),
            Response::Status {
                code: StatusCode::Eof,
                ..
            } => Ok(Bytes::new()),
            Response::Status { message, .. } => Err(refused(&message)),
            _ => Err(unexpected()),
        }
    }
}

impl Future for Waiting {
    type Output = Result<Response>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.receiver).poll(context));
        Poll::Ready(answer.map_err(|_| connection_closed()))
    }
}

/// A status as an error: a daemon of ours puts the code at the beginning of its message.
fn refused(message: &[u8]) -> Error {
    let text = String::from_utf8_lossy(message);
    let known = text.split_once(": ").and_then(|(code, rest)| {
        let known = ErrorCode::ALL.iter().find(|known| known.as_str() == code)?;
        Some(Error::new(*known, rest))
    });
    known.unwrap_or_else(|| Error::new(ErrorCode::IoError, format!("the daemon refused: {text}")))
}
