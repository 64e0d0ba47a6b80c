//! Files that stay open on the other side, and writes that arrive there in pieces.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::calls::Calls;
use super::transfer::{IN_FLIGHT, Remote, commit, stage as begin};
use super::unexpected;
use super::waiting::Waiting;
use crate::backend::remote::progress::Progress;
use crate::backend::{
    Attributes, FileStat, OpenFile, OpenOptions, StagedWrite, WriteOptions, WriteOutcome,
};
use crate::call::{BoxFuture, Call};
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::wire::operations::{Answer, OfFile, Operation, Request};
use crate::wire::sftp::MAX_DATA;

pub(super) fn open(
    calls: &Arc<Calls>,
    scope: &RelPath,
    path: &RelPath,
    options: OpenOptions,
) -> BoxFuture<Result<Arc<dyn OpenFile>>> {
    let request = Request {
        scope: scope.clone(),
        operation: Operation::Open {
            path: path.clone(),
            options,
        },
    };
    let sent = calls.send_operation(&request);
    let calls = Arc::clone(calls);
    Box::pin(async move {
        match calls.answer(sent?, &Progress::default()).await? {
            Answer::Opened { handle } => {
                let remote = Arc::new(Remote::new(&calls, handle));
                Ok(Arc::new(RemoteFile { remote }) as Arc<dyn OpenFile>)
            }
            _ => Err(unexpected()),
        }
    })
}

pub(super) fn stage(
    calls: &Arc<Calls>,
    scope: &RelPath,
    path: &RelPath,
    options: WriteOptions,
) -> BoxFuture<Result<Arc<dyn StagedWrite>>> {
    let (calls, scope, path) = (Arc::clone(calls), scope.clone(), path.clone());
    Box::pin(async move {
        let remote = begin(&calls, scope, path, options).await?;
        let pieces = Pieces {
            remote: Some(remote),
            offset: 0,
            sent: VecDeque::new(),
        };
        let staged = RemoteStage(Arc::new(Mutex::new(pieces)));
        Ok(Arc::new(staged) as Arc<dyn StagedWrite>)
    })
}

#[derive(Debug)]
struct RemoteFile {
    remote: Arc<Remote>,
}

impl RemoteFile {
    fn ask(&self, what: OfFile) -> Call<()> {
        let remote = Arc::clone(&self.remote);
        Call::pending(async move {
            match remote.ask(what).await? {
                Answer::Done => Ok(()),
                _ => Err(unexpected()),
            }
        })
    }
}

impl OpenFile for RemoteFile {
    fn stat(&self) -> Call<FileStat> {
        let remote = Arc::clone(&self.remote);
        Call::pending(async move { remote.stat().await })
    }

    fn read_at(&self, offset: u64, length: usize) -> Call<Bytes> {
        let remote = Arc::clone(&self.remote);
        Call::pending(async move {
            if length <= MAX_DATA {
                return remote.read(offset, length)?.bytes().await;
            }
            let mut bytes = Vec::new();
            let range = offset..offset.saturating_add(length as u64);
            let unheard = Progress::default();
            remote.read_range(range, &mut bytes, &unheard).await?;
            Ok(bytes.into())
        })
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> Call<()> {
        let remote = Arc::clone(&self.remote);
        Call::pending(async move {
            let mut sent = VecDeque::new();
            let mut at = 0;
            while at < bytes.len() {
                let end = bytes.len().min(at + MAX_DATA);
                if sent.len() == IN_FLIGHT {
                    next(&mut sent).await?;
                }
                sent.push_back(remote.write(offset + at as u64, bytes.slice(at..end))?);
                at = end;
            }
            while !sent.is_empty() {
                next(&mut sent).await?;
            }
            Ok(())
        })
    }

    fn set_attributes(&self, attributes: Attributes) -> Call<()> {
        self.ask(OfFile::SetAttributes(attributes))
    }

    fn sync(&self) -> Call<()> {
        self.ask(OfFile::Sync)
    }
}

async fn next(sent: &mut VecDeque<Waiting>) -> Result<()> {
    match sent.pop_front() {
        Some(waiting) => waiting.done().await,
        None => Ok(()),
    }
}

/// A write in pieces; several may be on their way, and what becomes of them is told by a later call.
struct RemoteStage(Arc<Mutex<Pieces>>);

struct Pieces {
    /// `None` once it is committed, or has failed.
    remote: Option<Remote>,
    offset: u64,
    sent: VecDeque<Waiting>,
}

impl fmt::Debug for RemoteStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteStage").finish_non_exhaustive()
    }
}

impl Pieces {
    async fn append(&mut self, bytes: Bytes) -> Result<()> {
        let mut at = 0;
        while at < bytes.len() {
            if self.sent.len() == IN_FLIGHT {
                next(&mut self.sent).await?;
            }
            let end = bytes.len().min(at + MAX_DATA);
            let remote = self.remote.as_ref().ok_or_else(over)?;
            self.sent
                .push_back(remote.write(self.offset, bytes.slice(at..end))?);
            self.offset += (end - at) as u64;
            at = end;
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<WriteOutcome> {
        while !self.sent.is_empty() {
            next(&mut self.sent).await?;
        }
        match commit(self.remote.take().ok_or_else(over)?).await? {
            Answer::Written(outcome) => Ok(outcome),
            _ => Err(unexpected()),
        }
    }
}

fn over() -> Error {
    Error::new(
        ErrorCode::Conflict,
        "the write was committed, or a piece of it failed; begin another",
    )
}

impl StagedWrite for RemoteStage {
    fn append(&self, bytes: Bytes) -> Call<()> {
        let pieces = Arc::clone(&self.0);
        Call::pending(async move {
            let mut pieces = pieces.lock().await;
            let appended = pieces.append(bytes).await;
            if appended.is_err() {
                // A piece is missing: nothing of it may ever be seen.
                pieces.remote = None;
            }
            appended
        })
    }

    fn commit(&self) -> Call<WriteOutcome> {
        let pieces = Arc::clone(&self.0);
        Call::pending(async move {
            let mut pieces = pieces.lock().await;
            let committed = pieces.commit().await;
            pieces.remote = None;
            committed
        })
    }
}
