//! What came in on a channel and waits for its reader. The loop of a connection must never wait for one reader: the
//! window updates that let output flow come in behind it, so waiting would stop all channels, and some for ever.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The bytes that wait, in order.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Bytes>,
    bytes: usize,
    /// Nothing more comes.
    ended: bool,
    /// Nobody reads any more: what comes goes by.
    closed: bool,
    reader: Option<Waker>,
    /// When its reader took something last.
    taken: Option<Instant>,
}

impl Inbox {
    pub(super) fn push(&self, data: &[u8]) {
        let mut state = self.state();
        if !data.is_empty() && !state.ended && !state.closed {
            if state.waiting.is_empty() {
                // Whoever has nothing to read is not behind.
                state.taken = Some(Instant::now());
            }
            state.waiting.push_back(Bytes::copy_from_slice(data));
            state.bytes += data.len();
            state.wake();
        }
    }

    /// The other side sends no more.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        state.wake();
    }

    /// Nobody reads any more.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.bytes = 0;
        state.waiting.clear();
    }

    /// How many bytes wait.
    pub(super) fn waiting(&self) -> usize {
        self.state().bytes
    }

    /// For how long something has waited and nothing was read.
    pub(super) fn unread_for(&self) -> Duration {
        let state = self.state();
        let taken = state.taken.filter(|_| !state.waiting.is_empty());
        taken.map_or(Duration::ZERO, |taken| taken.elapsed())
    }

    /// The next piece; `None` after the last.
    pub(super) async fn next(&self) -> Option<Bytes> {
        poll_fn(|cx| {
            let mut state = self.state();
            ready!(state.poll_waiting(cx));
            let piece = state.waiting.pop_front();
            state.bytes -= piece.as_ref().map_or(0, Bytes::len);
            state.taken = Some(Instant::now());
            Poll::Ready(piece)
        })
        .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Ready when something waits, or nothing ever will.
    fn poll_waiting(&mut self, cx: &Context<'_>) -> Poll<()> {
        if !self.waiting.is_empty() || self.ended || self.closed {
            return Poll::Ready(());
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// A channel as a stream of bytes: reads from its inbox, writes as its window allows.
pub(super) struct ChannelStream {
    inbox: Arc<Inbox>,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
}

impl ChannelStream {
    pub(super) fn new(inbox: Arc<Inbox>, writer: impl AsyncWrite + Send + 'static) -> Self {
        Self {
            inbox,
            writer: Box::pin(writer),
        }
    }
}

impl AsyncRead for ChannelStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.inbox.state();
        ready!(state.poll_waiting(cx));
        while buffer.remaining() > 0 {
            let Some(first) = state.waiting.front_mut() else {
                break;
            };
            let taken = first.len().min(buffer.remaining());
            buffer.put_slice(&first[..taken]);
            first.advance(taken);
            if first.is_empty() {
                state.waiting.pop_front();
            }
            state.bytes -= taken;
        }
        state.taken = Some(Instant::now());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ChannelStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.writer.as_mut().poll_write(cx, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_shutdown(cx)
    }
}

impl Drop for ChannelStream {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[tokio::test]
    async fn what_came_in_is_read_in_order_and_then_the_end() {
        let inbox = Arc::new(Inbox::default());
        inbox.push(b"abc");
        inbox.push(b"");
        inbox.push(b"defg");
        assert_eq!(inbox.waiting(), 7);
        let mut stream = ChannelStream::new(Arc::clone(&inbox), tokio::io::sink());
        let mut two = [0; 2];
        stream.read_exact(&mut two).await.unwrap();
        assert_eq!((&two, inbox.waiting()), (b"ab", 5));
        inbox.end();
        inbox.push(b"too late");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!((rest.as_slice(), inbox.waiting()), (&b"cdefg"[..], 0));
    }

    #[tokio::test]
    async fn a_reader_that_waits_is_woken() {
        let inbox = Arc::new(Inbox::default());
        let reading = tokio::spawn({
            let inbox = Arc::clone(&inbox);
            async move { (inbox.next().await, inbox.next().await) }
        });
        tokio::task::yield_now().await;
        inbox.push(b"x");
        tokio::task::yield_now().await;
        inbox.end();
        assert_eq!(
            reading.await.unwrap(),
            (Some(Bytes::from_static(b"x")), None)
        );
    }

    #[test]
    fn only_what_waits_grows_old() {
        let inbox = Inbox::default();
        assert_eq!(inbox.unread_for(), Duration::ZERO);
        inbox.push(b"x");
        std::thread::sleep(Duration::from_millis(5));
        inbox.push(b"y");
        assert!(inbox.unread_for() >= Duration::from_millis(5));
        inbox.close();
        assert_eq!(inbox.unread_for(), Duration::ZERO);
    }

    #[test]
    fn what_comes_when_nobody_reads_takes_no_memory() {
        let inbox = Arc::new(Inbox::default());
        drop(ChannelStream::new(Arc::clone(&inbox), tokio::io::sink()));
        inbox.push(b"x");
        assert_eq!(inbox.waiting(), 0);
    }
}
