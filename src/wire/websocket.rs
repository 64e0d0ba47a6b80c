//! A stream of bytes inside a WebSocket: what one side writes, in binary messages of any size, the other reads.
//!
//! Written by hand because a writer here may never flush: each write is handed to the socket at once, as far as it takes
//! it. The stock adapters keep it until a flush, and both sides then wait for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

/// More than this in one write becomes several messages.
const MESSAGE_BYTES: usize = 256 << 10;
/// A larger message ends the connection.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// How both sides set up their sockets: nothing is held back, and a message has a bound.
#[must_use]
pub fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(64 << 10)
        .write_buffer_size(0)
        .max_message_size(Some(MAX_MESSAGE_BYTES))
        .max_frame_size(Some(MAX_MESSAGE_BYTES))
}

/// The bytes of a WebSocket. A close message is the end of file; a text message is an error.
#[derive(Debug)]
pub struct WebSocketBytes<S> {
    socket: WebSocketStream<S>,
    /// What is left of the message that is being read.
    rest: Bytes,
    ended: bool,
}

impl<S> WebSocketBytes<S> {
    /// Takes a socket whose handshake is done.
    #[must_use]
    pub fn new(socket: WebSocketStream<S>) -> Self {
        Self {
            socket,
            rest: Bytes::new(),
            ended: false,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocketBytes<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() && !self.ended {
            match ready!(Pin::new(&mut self.socket).poll_next(context)) {
                Some(Ok(Message::Binary(bytes))) => self.rest = bytes,
                Some(Ok(Message::Text(_))) => {
                    return Poll::Ready(Err(io::Error::new(
                        io::ErrorKind::InvalidData,
                        "a text message where bytes were expected",
                    )));
                }
                None | Some(Ok(Message::Close(_))) => self.ended = true,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Err(io_error(error))),
            }
        }
        let taken = self.rest.len().min(buffer.remaining());
        buffer.put_slice(&self.rest[..taken]);
        self.rest.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocketBytes<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(Pin::new(&mut self.socket).poll_ready(context)).map_err(io_error)?;
        let taken = bytes.len().min(MESSAGE_BYTES);
        let message = Message::Binary(Bytes::copy_from_slice(&bytes[..taken]));
        Pin::new(&mut self.socket)
            .start_send(message)
            .map_err(io_error)?;
        // As far as the socket takes it; the rest goes with the next write or flush, which this has asked to be woken for.
        if let Poll::Ready(Err(error)) = Pin::new(&mut self.socket).poll_flush(context) {
            return Poll::Ready(Err(io_error(error)));
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket)
            .poll_flush(context)
            .map_err(io_error)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.socket).poll_close(context)) {
            Err(WsError::AlreadyClosed | WsError::ConnectionClosed) | Ok(()) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(io_error(error))),
        }
    }
}

fn io_error(error: WsError) -> io::Error {
    match error {
        WsError::Io(error) => error,
        WsError::AlreadyClosed | WsError::ConnectionClosed => io::ErrorKind::BrokenPipe.into(),
        other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio_tungstenite::tungstenite::protocol::Role;

    use super::*;
    use crate::pool;

    async fn pair(buffer: usize) -> (WebSocketBytes<DuplexStream>, WebSocketBytes<DuplexStream>) {
        let (near, far) = duplex(buffer);
        let near = WebSocketStream::from_raw_socket(near, Role::Client, Some(config())).await;
        let far = WebSocketStream::from_raw_socket(far, Role::Server, Some(config())).await;
        (WebSocketBytes::new(near), WebSocketBytes::new(far))
    }

    #[test]
    fn what_is_written_without_a_flush_arrives() {
        pool::runtime().block_on(async {
            let (mut near, mut far) = pair(64 << 10).await;
            near.write_all(b"hello").await.unwrap();
            let mut read = [0; 5];
            far.read_exact(&mut read).await.unwrap();
            assert_eq!(&read, b"hello");
        });
    }

    #[test]
    fn many_bytes_pass_a_narrow_pipe_in_order_and_end_with_the_close() {
        pool::runtime().block_on(async {
            let (mut near, mut far) = pair(777).await;
            let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n % 251) as u8).collect();
            let expected = sent.clone();
            let writer = tokio::spawn(async move {
                near.write_all(&sent).await.unwrap();
                near.flush().await.unwrap();
                near.shutdown().await.unwrap();
            });
            let mut read = Vec::new();
            far.read_to_end(&mut read).await.unwrap();
            assert!(read == expected, "{} bytes", read.len());
            writer.await.unwrap();
        });
    }

    #[test]
    fn a_text_message_and_one_that_is_too_large_are_errors() {
        use futures_util::SinkExt;
        pool::runtime().block_on(async {
            for message in [
                Message::text("hello"),
                Message::Binary(vec![0; MAX_MESSAGE_BYTES + 1].into()),
            ] {
                let (near, mut far) = pair(8 << 20).await;
                let mut near = near.socket;
                near.send(message).await.unwrap();
                let error = far.read_u8().await.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            }
        });
    }
}
