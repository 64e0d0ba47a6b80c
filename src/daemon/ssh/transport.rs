//! The stream below a connection, with a hand on it: it can be cut at any moment, and its reading slowed.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How long reading pauses for a channel whose reader is behind.
const PAUSE: Duration = Duration::from_millis(5);

/// The hand on a [`Transport`].
#[derive(Clone, Debug, Default)]
pub(super) struct Grip {
    /// Cancelled when the stream is to end at once, for reading and for writing.
    pub(super) cut: CancellationToken,
    paused: Arc<Mutex<Option<Instant>>>,
}

impl Grip {
    /// Lets the next read wait a little.
    pub(super) fn pause(&self) {
        *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
    }
}

/// A stream under a [`Grip`].
pub(super) struct Transport<S> {
    stream: S,
    grip: Grip,
    pausing: Option<Pin<Box<Sleep>>>,
    reading_cut: Pin<Box<WaitForCancellationFutureOwned>>,
    writing_cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<S> Transport<S> {
    pub(super) fn new(stream: S, grip: Grip) -> Self {
        Self {
            reading_cut: Box::pin(grip.cut.clone().cancelled_owned()),
            writing_cut: Box::pin(grip.cut.clone().cancelled_owned()),
            stream,
            grip,
            pausing: None,
        }
    }

    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.pausing.is_none() {
            let mut paused = (self.grip.paused.lock()).unwrap_or_else(PoisonError::into_inner);
            self.pausing = (paused.take()).map(|until| Box::pin(tokio::time::sleep_until(until)));
        }
        if let Some(pausing) = &mut self.pausing {
            ready!(pausing.as_mut().poll(cx));
            self.pausing = None;
        }
        Poll::Ready(())
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.writing_cut.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::BrokenPipe.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Transport<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.reading_cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_pause(cx));
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Transport<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn a_cut_ends_what_waits_on_either_side() {
        let (near, _far) = tokio::io::duplex(4);
        let grip = Grip::default();
        let (mut reader, mut writer) = tokio::io::split(Transport::new(near, grip.clone()));
        let reading = tokio::spawn(async move { reader.read(&mut [0; 1]).await });
        let writing = tokio::spawn(async move { writer.write_all(b"more than fits").await });
        tokio::task::yield_now().await;
        grip.cut.cancel();
        assert_eq!(reading.await.unwrap().unwrap(), 0);
        assert!(writing.await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_pause_delays_the_next_read_once() {
        let (near, mut far) = tokio::io::duplex(4);
        let grip = Grip::default();
        let mut transport = Transport::new(near, grip.clone());
        far.write_all(b"ab").await.unwrap();
        grip.pause();
        let started = Instant::now();
        transport.read_exact(&mut [0; 1]).await.unwrap();
        assert!(started.elapsed() >= PAUSE);
        let started = Instant::now();
        transport.read_exact(&mut [0; 1]).await.unwrap();
        assert!(started.elapsed() < PAUSE);
    }
}
