//! The bytes beneath an SSH session, watched: when the last came, who waits for whom, and a way to end it at once.
//!
//! The session's own loop cannot be relied on for that: while it waits for a socket that takes nothing, it looks at no
//! timer and takes no message.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// What is known of the bytes.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// Something has come since this was last asked.
    received: AtomicBool,
    /// The session waits for bytes.
    reading: AtomicBool,
    /// The session waits for the socket to take some.
    writing: AtomicBool,
}

impl Pulse {
    /// Whether anything came since the last call of this.
    pub(super) fn take_received(&self) -> bool {
        self.received.swap(false, Ordering::Relaxed)
    }

    /// Whether the session waits for the other side. Otherwise it waits for us to take what has come, and that nothing
    /// comes says nothing.
    pub(super) fn waits(&self) -> bool {
        self.reading.load(Ordering::Relaxed) || self.writing.load(Ordering::Relaxed)
    }
}

/// A stream that ends when its token is cancelled.
pub(super) struct Watched<S> {
    stream: S,
    pulse: Arc<Pulse>,
    /// One for each direction: each remembers one waker.
    read_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    write_cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, cut: &CancellationToken) -> (Self, Arc<Pulse>) {
        let pulse = Arc::new(Pulse::default());
        let watched = Self {
            stream,
            pulse: Arc::clone(&pulse),
            read_cut: Box::pin(cut.clone().cancelled_owned()),
            write_cut: Box::pin(cut.clone().cancelled_owned()),
        };
        (watched, pulse)
    }
}

fn cut_off() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read_cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(cut_off()));
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.pulse
            .reading
            .store(polled.is_pending(), Ordering::Relaxed);
        if buffer.filled().len() > before {
            self.pulse.received.store(true, Ordering::Relaxed);
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> Watched<S> {
    fn poll_out<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.write_cut.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(cut_off()));
        }
        let polled = poll(Pin::new(&mut self.stream), context);
        self.pulse
            .writing
            .store(polled.is_pending(), Ordering::Relaxed);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_out(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_out(context, |stream, context| stream.poll_shutdown(context))
    }
}
