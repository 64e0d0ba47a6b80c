//! Content that is too long for one message: pieces in order, several on their way at once, so that a transfer is as
//! fast as the link and takes no more memory than the content and what is on its way.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;

use super::calls::Calls;
use super::unexpected;
use super::waiting::Waiting;
use crate::backend::remote::progress::Progress;
use crate::backend::{FileStat, ReadOutcome, WriteOptions};
use crate::call::{BoxFuture, Call};
use crate::error::{Error, ErrorCode, Result};
use crate::memory;
use crate::path::RelPath;
use crate::wire::operations::{Answer, OfFile, Operation, Request};
use crate::wire::sftp::{self, MAX_DATA};

/// Pieces that are on their way at once.
pub(super) const IN_FLIGHT: usize = 16;
/// The longest answer that is read from a handle.
const MAX_SPILLED: u64 = 256 << 20;

/// Something open on the other side, closed when this is dropped.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) calls: Arc<Calls>,
    pub(super) handle: Bytes,
    open: bool,
}

impl Remote {
    pub(super) fn new(calls: &Arc<Calls>, handle: Bytes) -> Self {
        Self {
            calls: Arc::clone(calls),
            handle,
            open: true,
        }
    }

    /// The other side has closed it, or will.
    pub(super) fn forget(mut self) {
        self.open = false;
    }

    pub(super) fn read(&self, offset: u64, length: usize) -> Result<Waiting> {
        self.calls.send_request(&sftp::Request::Read {
            handle: self.handle.clone(),
            offset,
            // A piece, which is far below the bound.
            length: u32::try_from(length.min(MAX_DATA)).unwrap_or(0),
        })
    }

    pub(super) fn write(&self, offset: u64, data: Bytes) -> Result<Waiting> {
        self.calls.send_request(&sftp::Request::Write {
            handle: self.handle.clone(),
            offset,
            data,
        })
    }

    pub(super) async fn ask(&self, what: OfFile) -> Result<Answer> {
        let request = of_root(Operation::OfFile {
            handle: self.handle.clone(),
            what,
        });
        let waiting = self.calls.send_operation(&request)?;
        self.calls.answer(waiting, &Progress::default()).await
    }

    pub(super) async fn stat(&self) -> Result<FileStat> {
        match self.ask(OfFile::Stat).await? {
            Answer::Stat(stat) => Ok(stat),
            _ => Err(unexpected()),
        }
    }

    /// Adds a range to what was read before it, and gives whether the file has all of it.
    pub(super) async fn read_range(
        &self,
        range: Range<u64>,
        into: &mut Vec<u8>,
        progress: &Progress,
    ) -> Result<bool> {
        let mut asked: VecDeque<(u64, usize, Waiting)> = VecDeque::new();
        let mut next = range.start;
        loop {
            while next < range.end && asked.len() < IN_FLIGHT {
                let length = piece(range.end - next);
                asked.push_back((next, length, self.read(next, length)?));
                next += length as u64;
            }
            let Some((offset, length, waiting)) = asked.pop_front() else {
                return Ok(true);
            };
            let mut got = add(waiting.bytes().await?, length, into)?;
            progress.moved();
            // Less than asked is the end, or a server that gives less at a time.
            while got < length {
                let more = self.read(offset + got as u64, length - got)?;
                match add(more.bytes().await?, length - got, into)? {
                    0 => return Ok(false),
                    more => got += more,
                }
                progress.moved();
            }
        }
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if self.open {
            let handle = self.handle.clone();
            self.calls.send_off(&sftp::Request::Close { handle });
        }
    }
}

/// A request that concerns a handle alone.
pub(super) fn of_root(operation: Operation) -> Request {
    Request {
        scope: RelPath::root(),
        operation,
    }
}

fn piece(left: u64) -> usize {
    usize::try_from(left).map_or(MAX_DATA, |left| left.min(MAX_DATA))
}

fn add(bytes: Bytes, most: usize, into: &mut Vec<u8>) -> Result<usize> {
    if bytes.len() > most {
        return Err(unexpected());
    }
    into.extend_from_slice(&bytes);
    Ok(bytes.len())
}

/// Memory for so many bytes; `TOO_LARGE` where there is none.
fn allocate(length: u64) -> Result<Vec<u8>> {
    let no_memory = || {
        Error::new(
            ErrorCode::TooLarge,
            "there is no memory for it; read a range",
        )
    };
    let length = usize::try_from(length).map_err(|_| no_memory())?;
    if let Some(block) = memory::take(length) {
        return Ok(block);
    }
    let mut block = Vec::new();
    block.try_reserve_exact(length).map_err(|_| no_memory())?;
    Ok(block)
}

/// Reads what is behind the beginning of a file.
pub(super) async fn rest(
    calls: &Arc<Calls>,
    outcome: ReadOutcome,
    handle: Bytes,
    asked: Range<u64>,
    progress: &Progress,
) -> Result<ReadOutcome> {
    let remote = Remote::new(calls, handle);
    let progress = progress.clone();
    // On the runtime: putting the pieces together takes time that a caller's thread may not have.
    Call::spawned(async move {
        let ReadOutcome { bytes, mut stat } = outcome;
        let end = asked.end.min(stat.size);
        let from = asked.start.saturating_add(bytes.len() as u64);
        let mut whole = allocate(end.saturating_sub(asked.start))?;
        whole.extend_from_slice(&bytes);
        drop(bytes);
        let range = from..end.max(from);
        if !remote.read_range(range, &mut whole, &progress).await? {
            // It was cut short meanwhile: what is told of it is what it is now.
            stat = remote.stat().await?;
        }
        let bytes = Bytes::from(whole);
        Ok(ReadOutcome { bytes, stat })
    })
    .await
}

/// Reads an answer that was too long for a message.
pub(super) async fn spilled(
    calls: &Arc<Calls>,
    handle: Bytes,
    length: u64,
    progress: &Progress,
) -> Result<Bytes> {
    let remote = Remote::new(calls, handle);
    let progress = progress.clone();
    if length > MAX_SPILLED {
        return Err(unexpected());
    }
    Call::spawned(async move {
        let mut whole = allocate(length)?;
        match remote.read_range(0..length, &mut whole, &progress).await? {
            true => Ok(Bytes::from(whole)),
            false => Err(unexpected()),
        }
    })
    .await
}

/// Writes a file in pieces, which nobody sees before all of them are there.
pub(super) fn write(
    calls: &Arc<Calls>,
    request: Request,
    progress: Progress,
) -> BoxFuture<Result<Answer>> {
    let Request { scope, operation } = request;
    let Operation::Write {
        path,
        content,
        options,
    } = operation
    else {
        return Box::pin(std::future::ready(Err(unexpected())));
    };
    let calls = Arc::clone(calls);
    Box::pin(Call::spawned(async move {
        let remote = stage(&calls, scope, path, options).await?;
        let mut sent: VecDeque<Waiting> = VecDeque::new();
        let mut offset = 0;
        while offset < content.len() {
            if sent.len() == IN_FLIGHT
                && let Some(first) = sent.pop_front()
            {
                first.done().await?;
                progress.moved();
            }
            let end = content.len().min(offset + MAX_DATA);
            sent.push_back(remote.write(offset as u64, content.slice(offset..end))?);
            offset = end;
        }
        for waiting in sent {
            waiting.done().await?;
            progress.moved();
        }
        commit(remote).await
    }))
}

pub(super) async fn stage(
    calls: &Arc<Calls>,
    scope: RelPath,
    path: RelPath,
    options: WriteOptions,
) -> Result<Remote> {
    let operation = Operation::Stage { path, options };
    let waiting = calls.send_operation(&Request { scope, operation })?;
    match calls.answer(waiting, &Progress::default()).await? {
        Answer::Staged { handle } => Ok(Remote::new(calls, handle)),
        _ => Err(unexpected()),
    }
}

pub(super) async fn commit(remote: Remote) -> Result<Answer> {
    let request = of_root(Operation::Commit {
        handle: remote.handle.clone(),
    });
    let calls = Arc::clone(&remote.calls);
    let waiting = calls.send_operation(&request)?;
    // From here on the handle is the commit's.
    remote.forget();
    calls.answer(waiting, &Progress::default()).await
}
