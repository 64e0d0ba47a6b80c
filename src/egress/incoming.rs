//! Reading with a bound: whole heads and lines of a stream, and what came after them.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Bytes read at once, and so about the memory of one direction of a connection.
pub(super) const BLOCK: usize = 16 * 1024;

/// A stream and what was read of it too early.
#[derive(Debug)]
pub(super) struct Incoming<R> {
    from: R,
    buffer: BytesMut,
}

/// Why there is no head or line.
#[derive(Debug)]
pub(super) enum ReadError {
    /// The stream ended; whether in the middle of something.
    Ended {
        amid: bool,
    },
    TooLong,
    /// A line end that is not CR LF.
    BareLineEnd,
    /// The connection failed.
    Failed,
}

impl From<io::Error> for ReadError {
    fn from(_: io::Error) -> Self {
        ReadError::Failed
    }
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    pub(super) fn new(from: R) -> Self {
        Self {
            from,
            buffer: BytesMut::new(),
        }
    }

    /// The stream itself, once everything buffered was taken.
    pub(super) fn inner(&mut self) -> &mut R {
        &mut self.from
    }

    /// What was read and not yet taken.
    pub(super) fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// Reads what there is, at most a block; 0 at the end of the stream.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(BLOCK);
        let mut bounded = (&mut self.from).take(BLOCK as u64);
        bounded.read_buf(&mut self.buffer).await
    }

    /// Takes so many of the buffered bytes, or all there are.
    pub(super) fn take(&mut self, length: usize) -> BytesMut {
        self.buffer.split_to(length.min(self.buffer.len()))
    }

    /// Takes exactly so many bytes; a short stream is an error. For short pieces only.
    pub(super) async fn exactly(&mut self, length: usize) -> Result<BytesMut, ReadError> {
        while self.buffer.len() < length {
            if self.fill().await? == 0 {
                return Err(ReadError::Ended {
                    amid: !self.buffer.is_empty(),
                });
            }
        }
        Ok(self.buffer.split_to(length))
    }

    /// Takes everything up to and with the first empty line.
    pub(super) async fn head(&mut self, limit: usize) -> Result<BytesMut, ReadError> {
        self.until(b"\r\n\r\n", limit).await
    }

    /// Takes one line, without its end.
    pub(super) async fn line(&mut self, limit: usize) -> Result<BytesMut, ReadError> {
        let mut line = self.until(b"\r\n", limit).await?;
        line.truncate(line.len() - 2);
        Ok(line)
    }

    /// `end` ends with a line feed. Every line feed on the way must follow a carriage return.
    async fn until(&mut self, end: &[u8], limit: usize) -> Result<BytesMut, ReadError> {
        let mut looked_at = 0;
        loop {
            while let Some(found) = self.buffer[looked_at..]
                .iter()
                .position(|byte| *byte == b'\n')
            {
                let line_feed = looked_at + found;
                looked_at = line_feed + 1;
                if looked_at > limit {
                    return Err(ReadError::TooLong);
                }
                if line_feed == 0 || self.buffer[line_feed - 1] != b'\r' {
                    return Err(ReadError::BareLineEnd);
                }
                if self.buffer[..looked_at].ends_with(end) {
                    return Ok(self.buffer.split_to(looked_at));
                }
            }
            looked_at = self.buffer.len();
            if looked_at >= limit {
                return Err(ReadError::TooLong);
            }
            if self.fill().await? == 0 {
                return Err(ReadError::Ended {
                    amid: looked_at > 0,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::runtime;

    fn head(text: &[u8], limit: usize) -> Result<Vec<u8>, ReadError> {
        runtime().block_on(async {
            let mut incoming = Incoming::new(text);
            incoming.head(limit).await.map(|head| head.to_vec())
        })
    }

    #[test]
    fn a_head_ends_at_the_first_empty_line_and_has_a_bound() {
        assert_eq!(
            head(b"a\r\nb\r\n\r\nrest\n", 100).unwrap(),
            b"a\r\nb\r\n\r\n"
        );
        assert_eq!(head(b"a\r\n\r\n", 5).unwrap(), b"a\r\n\r\n");
        assert!(matches!(head(b"a\r\n\r\n", 4), Err(ReadError::TooLong)));
        assert!(matches!(head(&[b'a'; 9000], 100), Err(ReadError::TooLong)));
        assert!(matches!(
            head(b"", 100),
            Err(ReadError::Ended { amid: false })
        ));
        assert!(matches!(
            head(b"a\r\n", 100),
            Err(ReadError::Ended { amid: true })
        ));
    }

    #[test]
    fn a_line_feed_alone_is_seen_at_once() {
        for text in [&b"a\nb"[..], b"\n", b"a\r\nb\n\n", b"a\n\r\n", b"a\r\r\n\n"] {
            assert!(
                matches!(head(text, 100), Err(ReadError::BareLineEnd)),
                "{text:?}"
            );
        }
    }
}
