//! What many write to one stream: each adds what it has, and one task sends it, as much at once as there is. Whoever
//! adds never waits; how much may be added is bounded by those who add.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Notify;

/// Shorter pieces are copied together with what stands around them: a copy costs less than a write of their own.
const SMALL: usize = 16 << 10;
/// A buffer that has grown beyond this is not kept.
const KEPT: usize = 256 << 10;

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    added: Notify,
    sent: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// To be sent before `open`.
    sealed: VecDeque<Bytes>,
    open: BytesMut,
    /// Bytes that are added and not sent.
    waiting: usize,
    closed: bool,
}

/// Nothing is sent any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closed;

impl Outbox {
    /// Adds a message: what `head` writes and gives back, and the payload behind it. Either all of it is added or, where
    /// `head` fails, nothing.
    pub(crate) fn push<E: From<Closed>>(
        &self,
        head: impl FnOnce(&mut BytesMut) -> Result<Bytes, E>,
        more: &[Bytes],
    ) -> Result<(), E> {
        let mut state = self.lock();
        if state.closed {
            return Err(Closed.into());
        }
        let before = state.open.len();
        let first = head(&mut state.open).inspect_err(|_| state.open.truncate(before))?;
        state.waiting += state.open.len() - before;
        for piece in std::iter::once(&first).chain(more) {
            state.waiting += piece.len();
            if piece.len() < SMALL {
                state.open.extend_from_slice(piece);
            } else {
                let sealed = state.open.split().freeze();
                state.sealed.push_back(sealed);
                state.sealed.push_back(piece.clone());
            }
        }
        drop(state);
        self.added.notify_one();
        Ok(())
    }

    /// Waits until no more than so many bytes wait to be sent, or nothing is sent any more. Several who wait may go on
    /// at once.
    pub(crate) async fn room(&self, most: usize) {
        loop {
            let sent = self.sent.notified();
            tokio::pin!(sent);
            sent.as_mut().enable();
            if self.has_room(most) {
                return;
            }
            sent.await;
        }
    }

    fn has_room(&self, most: usize) -> bool {
        let state = self.lock();
        state.closed || state.waiting <= most
    }

    /// What is added from now on is refused, what was added is sent.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.added.notify_one();
    }

    /// Sends what is added until the stream fails or the box is closed and empty.
    pub(crate) async fn send(&self, mut stream: impl AsyncWrite + Unpin) -> io::Result<()> {
        let sent = self.send_all(&mut stream).await;
        // Nobody must add to what nobody sends.
        let mut state = self.lock();
        state.closed = true;
        state.sealed.clear();
        state.open = BytesMut::new();
        drop(state);
        self.sent.notify_waiters();
        sent
    }

    async fn send_all(&self, stream: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        loop {
            let (sealed, open, closed) = self.take();
            if sealed.is_empty() && open.is_empty() {
                if closed {
                    return stream.shutdown().await;
                }
                self.added.notified().await;
                continue;
            }
            let mut length = open.len();
            for piece in &sealed {
                stream.write_all(piece).await?;
                length += piece.len();
            }
            stream.write_all(&open).await?;
            stream.flush().await?;
            self.finish(open, length);
        }
    }

    fn take(&self) -> (VecDeque<Bytes>, BytesMut, bool) {
        let mut state = self.lock();
        let open = std::mem::take(&mut state.open);
        (std::mem::take(&mut state.sealed), open, state.closed)
    }

    /// So much is sent; the buffer spares an allocation for what comes next.
    fn finish(&self, mut buffer: BytesMut, length: usize) {
        buffer.clear();
        let mut state = self.lock();
        state.waiting -= length;
        if state.open.capacity() == 0 && buffer.capacity() <= KEPT {
            state.open = buffer;
        }
        drop(state);
        self.sent.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
