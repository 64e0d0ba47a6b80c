//! The SFTP door: version 3 over any stream of bytes, with the extensions that SFTP programs use and our own operations.
//!
//! Requests are answered as they finish, not as they came: a client that sends many at once gets as much of the disk as
//! it can use. What must keep its order is what concerns one file, see [`order`] and [`handles`]. What a client can make
//! us hold has a bound, and at the bound we stop reading from it.
//!
//! Paths are those that the agent's commands see: absolute ones begin with the root of the session, `.` is that root,
//! and an absolute path elsewhere is taken from that root, as at every other door.

mod directories;
mod extensions;
mod files;
mod handles;
mod order;
mod outgoing;
mod paths;
mod symlinks;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::operations::Operations;
use super::session::Session;
use crate::call::{BoxFuture, Call};
use crate::error::{Error, Result};
use crate::wire::operations::Encoded;
use crate::wire::sftp::{
    Extended, FromClient, MAX_DATA, MAX_PACKET, Malformed, Request, Response, Splitter, StatusCode,
    encode_version, name, status_message,
};
use crate::workspace::Workspace;
use handles::Table;
use order::{Effect, Order};
use outgoing::Outgoing;
pub use symlinks::SymlinkOrder;

/// Requests of one connection that are worked on at once.
const MAX_IN_FLIGHT: usize = 64;
/// Bytes of requests and answers that one connection makes us hold, one packet more or less.
const MAX_HELD: usize = 8 << 20;
/// Bytes of answers that are sent before more of them are taken.
const WORTH_A_WRITE: usize = 256 << 10;
/// How long answers may still take once the client has sent its last byte.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Serves SFTP until the client ends, or the session does. Then everything that it has open is closed, and what it had
/// not finished is given up.
///
/// # Errors
/// Those of the stream; `InvalidData` for a client that does not speak SFTP, or sends a packet that is too long.
pub async fn serve<S>(session: Session, symlinks: SymlinkOrder, stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (reader, writer) = tokio::io::split(stream);
    let ended = session.closed.child_token();
    // However this ends, also by being dropped.
    let _end = ended.clone().drop_guard();
    let table = Arc::new(Table::default());
    let mut connection = Connection {
        operations: Operations::new(session.clone(), Arc::clone(&table) as _),
        door: Door {
            workspace: session.workspace,
            table,
            symlinks,
        },
        closed: session.closed,
        ended,
        greeted: false,
        splitter: Splitter::default(),
        outgoing: Outgoing::new(writer.is_write_vectored()),
        in_flight: FuturesUnordered::new(),
        order: Order::default(),
        waiting: None,
        held: 0,
        cancels: HashMap::new(),
    };
    connection.run(reader, writer).await
}

/// What requests are answered with.
#[derive(Clone, Debug)]
struct Door {
    workspace: Workspace,
    table: Arc<Table>,
    symlinks: SymlinkOrder,
}

/// What is sent for a request.
#[derive(Debug)]
enum Reply {
    Plain(Response),
    Operation(Encoded),
}

/// A request that was read.
struct Asked {
    id: u32,
    /// Of its packet.
    length: usize,
    request: Request,
}

/// A request that has been answered.
struct Done {
    id: u32,
    held: usize,
    effect: Effect,
    result: Result<Reply>,
}

struct Connection {
    door: Door,
    operations: Operations,
    /// The session's.
    closed: CancellationToken,
    /// Cancelled also when only this connection ends.
    ended: CancellationToken,
    greeted: bool,
    splitter: Splitter,
    outgoing: Outgoing,
    in_flight: FuturesUnordered<BoxFuture<Done>>,
    /// What is in flight, by what it does to files.
    order: Order,
    /// The request that must wait for what is in flight, and all that came behind it with it.
    waiting: Option<Asked>,
    /// Bytes that what is in flight holds, or will.
    held: usize,
    /// Of our own operations that are in flight.
    cancels: HashMap<u32, CancellationToken>,
}

impl Connection {
    async fn run<S: AsyncRead + AsyncWrite>(
        &mut self,
        mut reader: ReadHalf<S>,
        mut writer: WriteHalf<S>,
    ) -> io::Result<()> {
        let mut last_answers = None;
        let mut is_flushed = true;
        loop {
            self.start_all()?;
            self.collect();
            // Also while a request waits for its turn: a client that hangs up then is to be noticed.
            let may_read = last_answers.is_none()
                && self.may_start()
                && (self.waiting.is_none() || self.splitter.buffer().len() < MAX_PACKET);
            let has_output = self.outgoing.has_remaining();
            if last_answers.is_some() && self.in_flight.is_empty() && !has_output && is_flushed {
                return Ok(());
            }
            // What makes room comes first: output, then answers, then input.
            tokio::select! {
                biased;
                () = self.closed.cancelled() => return Ok(()),
                sent = send_some(&mut writer, &mut self.outgoing), if has_output || !is_flushed => {
                    is_flushed = sent?;
                }
                Some(done) = self.in_flight.next() => self.finish(done),
                count = reader.read_buf(self.splitter.buffer()), if may_read => {
                    if count? == 0 {
                        self.ended.cancel();
                        last_answers = Some(Instant::now() + LAST_ANSWERS);
                    }
                }
                () = until(last_answers) => return Ok(()),
            }
        }
    }

    fn may_start(&self) -> bool {
        self.in_flight.len() < MAX_IN_FLIGHT && self.held + self.outgoing.remaining() < MAX_HELD
    }

    /// Starts what has arrived, as far as there is room.
    fn start_all(&mut self) -> io::Result<()> {
        while self.may_start() {
            match self.waiting.take() {
                Some(asked) => self.take_up(asked),
                None => match self.splitter.next_packet().map_err(invalid)? {
                    Some(packet) => self.start(packet)?,
                    None => return Ok(()),
                },
            }
            if self.waiting.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn start(&mut self, packet: Bytes) -> io::Result<()> {
        let length = packet.len();
        match FromClient::decode(packet) {
            Ok(FromClient::Init { .. }) if !self.greeted => {
                self.greeted = true;
                self.greet();
            }
            Ok(FromClient::Request { id, request }) if self.greeted => {
                self.take_up(Asked {
                    id,
                    length,
                    request,
                });
            }
            Ok(FromClient::Unknown { id, .. }) if self.greeted => {
                self.reply(
                    id,
                    Response::status(StatusCode::OpUnsupported, "unknown request"),
                );
            }
            Err(Malformed { id: Some(id), what }) if self.greeted => {
                self.reply(id, Response::status(StatusCode::BadMessage, what));
            }
            Err(malformed) => return Err(invalid(malformed)),
            Ok(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the first SFTP packet, and no other, is SSH_FXP_INIT",
                ));
            }
        }
        Ok(())
    }

    /// Begins to work on a request, or lets it wait for its turn.
    fn take_up(&mut self, asked: Asked) {
        let effect = Effect::of(&asked.request);
        if !self.order.admits(effect) {
            self.waiting = Some(asked);
            return;
        }
        let held = asked.length + expected_answer(&asked.request);
        let call = self.answer(asked.id, asked.request);
        self.follow(asked.id, held, effect, call);
    }

    fn greet(&mut self) {
        let hello = self.operations.hello();
        let mut version = BytesMut::new();
        let announced = extensions::ANNOUNCED.iter().copied();
        encode_version(
            announced.chain([(name::OPERATION, &hello[..])]),
            &mut version,
        );
        self.outgoing.push(&version);
    }

    fn answer(&mut self, id: u32, request: Request) -> Call<Reply> {
        let Request::Extended { name, data } = request else {
            return self.door.answer(request).map(Reply::Plain);
        };
        match Extended::decode(&name, data) {
            Ok(Extended::Operation(data)) => {
                let cancel = self.ended.child_token();
                self.cancels.insert(id, cancel.clone());
                let mut answer = self.operations.answer(data, cancel);
                // Most are done at once; they need not wait behind others.
                if let Some(answer) = answer.as_mut().now_or_never() {
                    self.cancels.remove(&id);
                    return Call::ok(Reply::Operation(answer));
                }
                Call::pending(async move { Ok(Reply::Operation(answer.await)) })
            }
            Ok(Extended::Cancel { id }) => {
                if let Some(cancel) = self.cancels.get(&id) {
                    cancel.cancel();
                }
                Call::ok(Reply::Plain(Response::ok()))
            }
            Ok(extended) => self.door.answer_extended(extended).map(Reply::Plain),
            Err(malformed) => Call::ok(Reply::Plain(Response::status(
                StatusCode::BadMessage,
                malformed.what,
            ))),
        }
    }

    /// Sends what came of a request, now or later.
    fn follow(&mut self, id: u32, held: usize, effect: Effect, call: Call<Reply>) {
        match call {
            Call::Ready(result) => self.send(id, result),
            Call::Pending(future) => {
                self.held += held;
                self.order.begin(effect);
                self.in_flight.push(Box::pin(async move {
                    let result = future.await;
                    Done {
                        id,
                        held,
                        effect,
                        result,
                    }
                }));
            }
        }
    }

    /// Takes what is done by now, so that small answers leave together; no more than is worth one write.
    fn collect(&mut self) {
        while self.outgoing.remaining() < WORTH_A_WRITE
            && let Some(Some(done)) = self.in_flight.next().now_or_never()
        {
            self.finish(done);
        }
    }

    fn finish(&mut self, done: Done) {
        self.held -= done.held;
        self.order.end(done.effect);
        self.cancels.remove(&done.id);
        self.send(done.id, done.result);
    }

    fn send(&mut self, id: u32, result: Result<Reply>) {
        match result {
            Ok(Reply::Plain(response)) => self.reply(id, response),
            Ok(Reply::Operation(encoded)) => self.outgoing.push_operation(id, encoded),
            Err(error) => self.reply(id, failure(&error)),
        }
    }

    fn reply(&mut self, id: u32, response: Response) {
        self.outgoing.push_response(id, &response);
    }
}

/// Sends some of what is to be sent, or when there is nothing more sees to it that it leaves: then true. Nothing is lost
/// where it is dropped before it has ended.
async fn send_some(
    writer: &mut (impl AsyncWrite + Unpin),
    outgoing: &mut Outgoing,
) -> io::Result<bool> {
    if !outgoing.has_remaining() {
        writer.flush().await?;
        return Ok(true);
    }
    match writer.write_buf(outgoing).await? {
        0 => Err(io::ErrorKind::WriteZero.into()),
        _ => Ok(false),
    }
}

/// Bytes that an answer will probably take.
fn expected_answer(request: &Request) -> usize {
    match request {
        Request::Read { length, .. } => {
            usize::try_from(*length).map_or(MAX_DATA, |length| length.min(MAX_DATA))
        }
        // Its own bounds say how much it is; what there is once it is there is counted.
        Request::Extended { .. } => 64 << 10,
        _ => 1 << 10,
    }
}

fn failure(error: &Error) -> Response {
    Response::status(StatusCode::of(error.code()), status_message(error))
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
