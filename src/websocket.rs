//! A byte stream inside a WebSocket: SSH travels so where only HTTP passes. Both sides use it, the daemon behind its
//! upgrade and the remote backend behind its handshake.
//!
//! Each write is one binary message; where messages begin and end means nothing. Text is refused. The adapter is our own
//! because whoever writes here does not flush: a message is handed to the socket at once and pushed on as far as the
//! socket takes it.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, SinkExt as _, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

/// The longest message that is taken. We send far shorter ones.
pub const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// The longest message that is sent: a longer write is taken in part.
const MAX_SENT_BYTES: usize = 128 << 10;
/// Read at a time. Each connection holds this much as long as it lives.
const READ_BYTES: usize = 16 << 10;
/// How often a silent peer is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// So many questions in a row without a sign of life end the stream.
const UNANSWERED_PINGS: u8 = 2;
/// How long saying goodbye may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// Bounds for [`WebSocketStream`] of either side.
#[must_use]
pub fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BYTES)
        // Each message goes to the socket at once; what it does not take waits, and nothing is added to it.
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_SENT_BYTES)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
}

/// The bytes of a WebSocket. Shutting it down says 1000; one that was made with a [`Closer`] leaves that to it.
#[derive(Debug)]
pub struct ByteStream<S> {
    shared: Arc<Shared<S>>,
    /// What came in and was not taken yet.
    incoming: Bytes,
    next_ping: Pin<Box<Sleep>>,
    ping_every: Duration,
    heard: bool,
    unanswered: u8,
    /// Whether shutting down says goodbye.
    says_goodbye: bool,
}

/// Says why a stream ends, once nobody uses it any more.
#[derive(Debug)]
pub struct Closer<S>(Arc<Shared<S>>);

#[derive(Debug)]
struct Shared<S>(Mutex<Inner<S>>);

#[derive(Debug)]
struct Inner<S> {
    socket: WebSocketStream<S>,
    /// Whether the socket has not taken all that was written.
    unflushed: bool,
    /// Who waits until it has.
    writer: Option<Waker>,
    /// What the peer did wrong.
    verdict: Option<CloseCode>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Inner<S> {
    /// Hands a message to the socket, when it has taken those before.
    fn poll_send(&mut self, context: &mut Context<'_>, message: Message) -> Poll<io::Result<()>> {
        let mut socket = Pin::new(&mut self.socket);
        match socket.as_mut().poll_ready(context) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(Err(to_io(error))),
            Poll::Pending => {
                self.writer = Some(context.waker().clone());
                return Poll::Pending;
            }
        }
        socket.start_send(message).map_err(to_io)?;
        self.unflushed = true;
        Poll::Ready(Ok(()))
    }

    /// Pushes on what the socket has not taken.
    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        if flushed.is_ready() {
            self.unflushed = false;
        }
        flushed.map_err(to_io)
    }

    /// The same by who reads: a writer that has nothing more to say may never come again, and one that waits must not
    /// miss that there is room, since the socket knows only who asked last.
    fn push_on(&mut self, context: &mut Context<'_>) {
        if self.unflushed
            && self.poll_flush(context).is_ready()
            && let Some(writer) = self.writer.take()
        {
            writer.wake();
        }
    }
}

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, Inner<S>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> ByteStream<S> {
    /// The stream of a socket that has shaken hands.
    #[must_use]
    pub fn new(socket: WebSocketStream<S>) -> Self {
        let inner = Inner {
            socket,
            unflushed: false,
            writer: None,
            verdict: None,
        };
        Self {
            shared: Arc::new(Shared(Mutex::new(inner))),
            incoming: Bytes::new(),
            next_ping: Box::pin(sleep(PING_EVERY)),
            ping_every: PING_EVERY,
            heard: false,
            unanswered: 0,
            says_goodbye: true,
        }
    }

    /// The same of a connection whose handshake somebody else did, on our side as a server.
    pub async fn of_server(connection: S) -> (Self, Closer<S>) {
        let socket =
            WebSocketStream::from_raw_socket(connection, Role::Server, Some(config())).await;
        Self::new(socket).with_closer()
    }

    /// The stream, and apart from it what says goodbye.
    #[must_use]
    pub fn with_closer(mut self) -> (Self, Closer<S>) {
        self.says_goodbye = false;
        let closer = Closer(Arc::clone(&self.shared));
        (self, closer)
    }

    /// The stream, which asks a silent peer so often.
    #[must_use]
    pub fn pinging_every(mut self, interval: Duration) -> Self {
        self.ping_every = interval;
        self.next_ping.as_mut().reset(Instant::now() + interval);
        self
    }

    /// Takes the next message; `None` at the end.
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let mut inner = self.shared.lock();
        inner.push_on(context);
        loop {
            let polled = Pin::new(&mut inner.socket).poll_next(context);
            let Poll::Ready(message) = polled else {
                break;
            };
            self.heard = true;
            match message {
                Some(Ok(Message::Binary(bytes))) if bytes.is_empty() => {}
                Some(Ok(Message::Binary(bytes))) => return Poll::Ready(Some(Ok(bytes))),
                Some(Ok(Message::Text(_))) => {
                    inner.verdict = Some(CloseCode::Unsupported);
                    let why = "the peer sent text; only binary messages are taken";
                    return Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::InvalidData, why))));
                }
                Some(Ok(Message::Close(_))) | None => return Poll::Ready(None),
                // Pings are answered by whoever reads next.
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    inner.verdict = verdict(&error);
                    return Poll::Ready(Some(Err(to_io(error))));
                }
            }
        }
        drop(inner);
        match self.poll_silence(context) {
            Poll::Ready(error) => Poll::Ready(Some(Err(error))),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Asks a silent peer for a sign of life; gives the error for one that gave none.
    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        while self.next_ping.as_mut().poll(context).is_ready() {
            let next = Instant::now() + self.ping_every;
            self.next_ping.as_mut().reset(next);
            if std::mem::take(&mut self.heard) {
                self.unanswered = 0;
                continue;
            }
            if self.unanswered >= UNANSWERED_PINGS {
                let why = "the peer gave no sign of life";
                return Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, why));
            }
            self.unanswered += 1;
            let mut inner = self.shared.lock();
            // Where what was written before is not taken yet, that is question enough.
            if !inner.unflushed
                && let Poll::Ready(Err(error)) =
                    inner.poll_send(context, Message::Ping(Bytes::new()))
            {
                return Poll::Ready(error);
            }
            inner.push_on(context);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for ByteStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.incoming.is_empty() {
            match ready!(self.poll_message(context)) {
                Some(Ok(bytes)) => self.incoming = bytes,
                Some(Err(error)) => return Poll::Ready(Err(error)),
                None => return Poll::Ready(Ok(())),
            }
        }
        let length = self.incoming.len().min(buffer.remaining());
        buffer.put_slice(&self.incoming.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ByteStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let length = bytes.len().min(MAX_SENT_BYTES);
        if length == 0 {
            return Poll::Ready(Ok(0));
        }
        let mut inner = self.shared.lock();
        if inner.unflushed && inner.poll_flush(context)?.is_pending() {
            inner.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        let message = Message::Binary(Bytes::copy_from_slice(&bytes[..length]));
        if inner.poll_send(context, message)?.is_pending() {
            return Poll::Pending;
        }
        // It was taken: that the socket takes no more for now is not the writer's concern until it writes again.
        match inner.poll_flush(context) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(length)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.shared.lock();
        let flushed = inner.poll_flush(context);
        if flushed.is_pending() {
            inner.writer = Some(context.waker().clone());
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.shared.lock();
        let ended = if self.says_goodbye {
            Pin::new(&mut inner.socket)
                .poll_close(context)
                .map_err(to_io)
        } else {
            inner.poll_flush(context)
        };
        if ended.is_pending() {
            inner.writer = Some(context.waker().clone());
        }
        ended
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Closer<S> {
    /// Says goodbye with this code, or with that of what the peer did wrong, and closes. The stream must not be in use
    /// any more. A peer that does not listen is not waited for longer than a moment.
    pub async fn close(self, code: CloseCode, reason: &'static str) {
        let Some(inner) = Arc::into_inner(self.0) else {
            return;
        };
        let Inner {
            mut socket,
            verdict,
            ..
        } = inner.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let (code, reason) = match verdict {
            Some(verdict) => (verdict, ""),
            None => (code, reason),
        };
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        let farewell = async {
            let sent = socket.send(Message::Close(Some(frame))).await;
            if sent.is_ok() {
                let _ = socket.flush().await;
            }
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}

/// What to tell a peer that broke the protocol.
fn verdict(error: &Error) -> Option<CloseCode> {
    match error {
        Error::Capacity(_) => Some(CloseCode::Size),
        Error::Protocol(_) => Some(CloseCode::Protocol),
        Error::Utf8(_) => Some(CloseCode::Unsupported),
        _ => None,
    }
}

fn to_io(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        Error::ConnectionClosed | Error::AlreadyClosed => io::ErrorKind::BrokenPipe.into(),
        Error::Protocol(error) => io::Error::new(io::ErrorKind::ConnectionReset, error.to_string()),
        error => io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
    }
}

#[cfg(test)]
#[path = "websocket_tests.rs"]
mod tests;
