//! Requests by their numbers, each with whoever waits for its answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadHalf};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::greeting::greet;
use super::waiting::{Unclaimed, Waiting};
use super::{carry, connection_closed, transfer, unexpected};
use crate::backend::ReadOptions;
use crate::backend::remote::progress::Progress;
use crate::call::BoxFuture;
use crate::error::{Error, ErrorCode, Result};
use crate::outbox::{Closed, Outbox};
use crate::pool;
use crate::wire::operations::{
    Answer, Encoded, Handle, Hello, NAME, Operation, Reply, Request, decode_reply, encode_request,
};
use crate::wire::sftp::{self, Extended, FromServer, Response, Splitter, kind};

/// A longer answer is decoded on the pool: whoever waits may be an event loop.
const LONG_REPLY: usize = 64 << 10;
/// Shorter content is copied out of what it was received in, which it would keep in memory.
const SMALL: usize = 64 << 10;
/// Requests that may wait at a time, forgotten ones included.
const MAX_PENDING: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct Calls {
    closed: CancellationToken,
    outbox: Outbox,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u32,
    pending: HashMap<u32, oneshot::Sender<Response>>,
    ended: bool,
}

impl From<Closed> for Error {
    fn from(_: Closed) -> Self {
        connection_closed()
    }
}

impl Calls {
    /// Greets, and starts the tasks.
    pub(super) async fn open(
        mut stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        closed: CancellationToken,
    ) -> Result<(Hello, Arc<Self>)> {
        let mut splitter = Splitter::default();
        let hello = tokio::select! {
            hello = greet(&mut stream, &mut splitter) => hello?,
            () = closed.cancelled() => return Err(connection_closed()),
        };
        let (reader, writer) = tokio::io::split(stream);
        let calls = Arc::new(Self {
            closed: closed.clone(),
            outbox: Outbox::default(),
            state: Mutex::default(),
        });
        let (sending, receiving, ending) =
            (Arc::clone(&calls), Arc::clone(&calls), Arc::clone(&calls));
        carry(
            closed,
            async move { drop(sending.outbox.send(writer).await) },
            async move { receiving.receive(reader, splitter).await },
            move || ending.end(),
        );
        Ok((hello, calls))
    }

    /// An operation whose answer needs no more than one message, or is read from where it says.
    pub(super) fn operation(
        self: &Arc<Self>,
        request: Request,
        progress: Progress,
    ) -> BoxFuture<Result<Answer>> {
        let read = match &request.operation {
            Operation::Read { options, .. } => Some(options.clone()),
            _ => None,
        };
        let sent = self.send_operation(&request);
        let calls = Arc::clone(self);
        Box::pin(async move {
            let answer = calls.answer(sent?, &progress).await?;
            calls.complete(answer, read.as_ref(), &progress).await
        })
    }

    /// An operation that the other side is told of when nobody wants its answer any more.
    pub(super) fn search(
        self: &Arc<Self>,
        request: Request,
        progress: Progress,
    ) -> BoxFuture<Result<Answer>> {
        let cancel = match &request.operation {
            Operation::Search(search) => search.cancel.clone(),
            _ => CancellationToken::new(),
        };
        let sent = match cancel.is_cancelled() {
            true => Err(cancelled()),
            false => self.send_operation(&request),
        };
        let calls = Arc::clone(self);
        Box::pin(async move {
            let waiting = sent?;
            let stop = Stop {
                calls: Arc::clone(&calls),
                id: waiting.id,
                armed: true,
            };
            let answer = tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(cancelled()),
                answer = calls.answer(waiting, &progress) => answer,
            };
            stop.disarm();
            answer
        })
    }

    pub(super) fn send_operation(self: &Arc<Self>, request: &Request) -> Result<Waiting> {
        let Encoded { head, tail } = encode_request(request)?;
        let length = head.len() + tail.iter().map(Bytes::len).sum::<usize>();
        self.send(&tail, |id, out| {
            let name = NAME.as_bytes();
            // Neither the name nor a message comes near the bound of the number.
            out.put_u32(u32::try_from(1 + 4 + 4 + name.len() + length).unwrap_or(u32::MAX));
            out.put_u8(kind::EXTENDED);
            out.put_u32(id);
            out.put_u32(u32::try_from(name.len()).unwrap_or(u32::MAX));
            out.put_slice(name);
            out.put_slice(&head);
            Bytes::new()
        })
    }

    pub(super) fn send_request(self: &Arc<Self>, request: &sftp::Request) -> Result<Waiting> {
        self.send(&[], |id, out| request.encode_head(id, out))
    }

    fn send(
        self: &Arc<Self>,
        tail: &[Bytes],
        encode: impl FnOnce(u32, &mut BytesMut) -> Bytes,
    ) -> Result<Waiting> {
        let (id, receiver) = self.post(tail, encode)?;
        Ok(Waiting {
            calls: Arc::clone(self),
            id,
            receiver,
        })
    }

    fn post(
        &self,
        tail: &[Bytes],
        encode: impl FnOnce(u32, &mut BytesMut) -> Bytes,
    ) -> Result<(u32, oneshot::Receiver<Response>)> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        if state.ended || self.closed.is_cancelled() {
            return Err(connection_closed());
        }
        if state.pending.len() >= MAX_PENDING {
            return Err(Error::new(
                ErrorCode::LimitExceeded,
                format!("{MAX_PENDING} requests wait for their answers"),
            ));
        }
        let id = state.take_number();
        state.pending.insert(id, sender);
        drop(state);
        let pushed = self.outbox.push::<Error>(|out| Ok(encode(id, out)), tail);
        if let Err(error) = pushed {
            self.lock().pending.remove(&id);
            return Err(error);
        }
        Ok((id, receiver))
    }

    /// Sends a request whose answer nobody waits for.
    pub(super) fn send_off(&self, request: &sftp::Request) {
        // Where the connection is gone, so is what the request would have freed.
        drop(self.post(&[], |id, out| request.encode_head(id, out)));
    }

    /// The answer of an operation, however long it is.
    pub(super) async fn answer(
        self: &Arc<Self>,
        waiting: Waiting,
        progress: &Progress,
    ) -> Result<Answer> {
        let data = waiting.data().await?;
        let unclaimed = Unclaimed::new(self, &data);
        let reply = decode(data).await?;
        unclaimed.claim();
        progress.moved();
        match reply {
            Reply::Answer(answer) => answer,
            Reply::Spilled { handle, length } => {
                let data = transfer::spilled(self, handle, length, progress).await?;
                match decode(data).await? {
                    Reply::Answer(answer) => answer,
                    Reply::Spilled { .. } => Err(unexpected()),
                }
            }
        }
    }

    /// An answer with all that belongs to it.
    pub(super) async fn complete(
        self: &Arc<Self>,
        answer: Answer,
        read: Option<&ReadOptions>,
        progress: &Progress,
    ) -> Result<Answer> {
        let Answer::Read { mut outcome, rest } = answer else {
            return Ok(answer);
        };
        let outcome = match rest {
            Some(Handle(handle)) => {
                let asked = read.and_then(|options| options.range.clone());
                let asked = asked.unwrap_or(0..u64::MAX);
                transfer::rest(self, outcome, handle, asked, progress).await?
            }
            None => {
                if outcome.bytes.len() < SMALL {
                    outcome.bytes = Bytes::copy_from_slice(&outcome.bytes);
                }
                outcome
            }
        };
        Ok(Answer::Read {
            outcome,
            rest: None,
        })
    }

    async fn receive(&self, mut reader: ReadHalf<impl AsyncRead>, mut splitter: Splitter) {
        loop {
            while let Ok(packet) = splitter.next_packet() {
                let Some(packet) = packet else { break };
                let Ok(FromServer::Response { id, response }) = FromServer::decode(packet) else {
                    return;
                };
                self.deliver(id, response);
            }
            match reader.read_buf(splitter.buffer()).await {
                Ok(read) if read > 0 => {}
                _ => return,
            }
        }
    }

    fn deliver(&self, id: u32, response: Response) {
        let waiting = self.lock().pending.remove(&id);
        let Some(waiting) = waiting else { return };
        if let Err(response) = waiting.send(response) {
            self.forget(response);
        }
    }

    /// Nobody waits for this any more; what it opened is closed.
    pub(super) fn forget(&self, response: Response) {
        let Response::ExtendedReply(data) = response else {
            return;
        };
        let mut handles = Vec::new();
        match decode_reply(&data) {
            Ok(Reply::Spilled { handle, .. }) => handles.push(handle),
            Ok(Reply::Answer(Ok(Answer::Batch(answers)))) => {
                handles.extend(
                    answers
                        .into_iter()
                        .filter_map(|answer| opened(answer.ok()?)),
                );
            }
            Ok(Reply::Answer(Ok(answer))) => handles.extend(opened(answer)),
            _ => {}
        }
        for handle in handles {
            self.send_off(&sftp::Request::Close { handle });
        }
    }

    /// Fails all that is pending, and all that comes.
    fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let pending = std::mem::take(&mut state.pending);
        drop(state);
        // Dropping a sender fails whoever waits.
        drop(pending);
        self.outbox.close();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A number that no pending request has.
    fn take_number(&mut self) -> u32 {
        loop {
            self.last = self.last.wrapping_add(1);
            if !self.pending.contains_key(&self.last) {
                return self.last;
            }
        }
    }
}

fn cancelled() -> Error {
    Error::new(ErrorCode::Aborted, "the caller cancelled the search")
}

/// What an answer opened on the other side.
pub(super) fn opened(answer: Answer) -> Option<Bytes> {
    match answer {
        Answer::Read { rest, .. } => rest.map(|Handle(handle)| handle),
        Answer::Staged { handle } | Answer::Opened { handle } => Some(handle),
        _ => None,
    }
}

async fn decode(data: Bytes) -> Result<Reply> {
    if data.len() > LONG_REPLY {
        return pool::run(move || decode_reply(&data)).await;
    }
    decode_reply(&data)
}

/// Tells the other side to stop a request, unless it has been answered.
struct Stop {
    calls: Arc<Calls>,
    id: u32,
    armed: bool,
}

impl Stop {
    fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        if self.armed {
            let cancel = Extended::Cancel { id: self.id };
            self.calls.send_off(&cancel.into_request());
        }
    }
}
