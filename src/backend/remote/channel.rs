//! One SSH channel as a stream of bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The data of a channel in both directions. That the server refused what was asked of the channel is an error of the
/// first read (russh's own adapter passes it over, and then waits for ever).
pub(super) struct ChannelBytes {
    reader: ChannelReadHalf,
    writer: Pin<Box<dyn AsyncWrite + Send>>,
    rest: Bytes,
    ended: bool,
}

impl ChannelBytes {
    pub(super) fn new(channel: Channel<Msg>) -> Self {
        let (reader, writer) = channel.split();
        Self {
            reader,
            writer: Box::pin(writer.make_writer()),
            rest: Bytes::new(),
            ended: false,
        }
    }
}

impl std::fmt::Debug for ChannelBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChannelBytes")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for ChannelBytes {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() && !self.ended {
            let message = {
                let wait = std::pin::pin!(self.reader.wait());
                ready!(wait.poll(context))
            };
            match message {
                Some(ChannelMsg::Data { data }) => self.rest = data,
                Some(ChannelMsg::Failure) => {
                    self.ended = true;
                    return Poll::Ready(Err(io::ErrorKind::Unsupported.into()));
                }
                None | Some(ChannelMsg::Eof | ChannelMsg::Close) => self.ended = true,
                Some(_) => {}
            }
        }
        let taken = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..taken]);
        self.rest.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ChannelBytes {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writer.as_mut().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writer.as_mut().poll_shutdown(context)
    }
}
