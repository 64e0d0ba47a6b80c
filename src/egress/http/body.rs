//! Bodies: copied as far as their framing says, framed anew by us, never by bytes of the other side.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::fields::{Framing, Wrong};
use crate::egress::incoming::{BLOCK, Incoming, ReadError};
use crate::egress::tunnel::Pace;

/// The longest line with the size of a chunk, extensions included, and the longest trailer field.
const MAX_LINE: usize = 4096;
/// Trailer fields are read and dropped; so many at most.
const MAX_TRAILERS: usize = 64;

/// Why a body ended before its end.
#[derive(Debug)]
pub(super) enum BodyError {
    Malformed(Wrong),
    /// The side that sends it.
    Reading,
    /// The side that gets it.
    Writing,
}

impl From<ReadError> for BodyError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::TooLong => BodyError::Malformed("a line of a chunk is too long"),
            ReadError::BareLineEnd => BodyError::Malformed("a line end is not CR LF"),
            ReadError::Ended { .. } | ReadError::Failed => BodyError::Reading,
        }
    }
}

/// Where a body goes, and whether it is written in chunks.
pub(super) struct Outgoing<'a, W> {
    pub(super) to: &'a mut W,
    pub(super) in_chunks: bool,
    pub(super) pace: &'a Pace,
}

impl<W: AsyncWrite + Unpin> Outgoing<'_, W> {
    async fn piece(&mut self, piece: &[u8]) -> Result<(), BodyError> {
        if piece.is_empty() {
            return Ok(());
        }
        if self.in_chunks {
            let size = format!("{:x}\r\n", piece.len());
            self.raw(size.as_bytes()).await?;
            self.raw(piece).await?;
            self.raw(b"\r\n").await
        } else {
            self.raw(piece).await
        }
    }

    async fn end(&mut self) -> Result<(), BodyError> {
        if self.in_chunks {
            self.raw(b"0\r\n\r\n").await?;
        }
        self.to.flush().await.map_err(|_| BodyError::Writing)
    }

    async fn raw(&mut self, mut bytes: &[u8]) -> Result<(), BodyError> {
        while !bytes.is_empty() {
            match self.to.write(bytes).await {
                Ok(0) | Err(_) => return Err(BodyError::Writing),
                Ok(written) => bytes = &bytes[written..],
            }
            self.pace.moved();
        }
        Ok(())
    }
}

/// Copies one body.
pub(super) async fn copy<R, W>(
    framing: Framing,
    from: &mut Incoming<R>,
    mut out: Outgoing<'_, W>,
) -> Result<(), BodyError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    match framing {
        Framing::Empty => {}
        Framing::Length(length) => copy_length(length, from, &mut out).await?,
        Framing::UntilEnd => {
            while let Some(piece) = next_piece(from, u64::MAX).await? {
                out.piece(&piece).await?;
            }
        }
        Framing::Chunked => {
            while let Some(size) = chunk_size(&from.line(MAX_LINE).await?)? {
                copy_length(size, from, &mut out).await?;
                if from.exactly(2).await?.as_ref() != b"\r\n" {
                    return Err(BodyError::Malformed("a chunk is longer than its size"));
                }
            }
            skip_trailers(from).await?;
        }
    }
    out.end().await
}

async fn copy_length<R, W>(
    mut left: u64,
    from: &mut Incoming<R>,
    out: &mut Outgoing<'_, W>,
) -> Result<(), BodyError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    while left > 0 {
        let piece = next_piece(from, left).await?.ok_or(BodyError::Reading)?;
        left -= piece.len() as u64;
        out.piece(&piece).await?;
    }
    Ok(())
}

/// The next bytes, at most a block of them; `None` at the end of the stream.
async fn next_piece<R: AsyncRead + Unpin>(
    from: &mut Incoming<R>,
    most: u64,
) -> Result<Option<bytes::BytesMut>, BodyError> {
    if from.buffered().is_empty() {
        let read: io::Result<usize> = from.fill().await;
        if read.map_err(|_| BodyError::Reading)? == 0 {
            return Ok(None);
        }
    }
    let most = usize::try_from(most).unwrap_or(BLOCK).min(BLOCK);
    Ok(Some(from.take(most)))
}

/// The size of a chunk, `None` for the last one. Extensions, which nobody uses, are dropped.
fn chunk_size(line: &[u8]) -> Result<Option<u64>, BodyError> {
    const WRONG: BodyError = BodyError::Malformed("the size of a chunk is no number");
    let end = line
        .iter()
        .position(|byte| !byte.is_ascii_hexdigit())
        .unwrap_or(line.len());
    let (digits, extension) = line.split_at(end);
    let is_clean = |byte: &u8| matches!(byte, b'\t' | 0x20..=0x7e);
    let is_extension = matches!(extension, [] | [b';', ..]) && extension.iter().all(is_clean);
    if digits.is_empty() || digits.len() > 15 || !is_extension {
        return Err(WRONG);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| WRONG)?;
    match u64::from_str_radix(digits, 16).map_err(|_| WRONG)? {
        0 => Ok(None),
        size => Ok(Some(size)),
    }
}

async fn skip_trailers<R: AsyncRead + Unpin>(from: &mut Incoming<R>) -> Result<(), BodyError> {
    for _ in 0..=MAX_TRAILERS {
        if from.line(MAX_LINE).await?.is_empty() {
            return Ok(());
        }
    }
    Err(BodyError::Malformed("it has too many trailers"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::runtime;

    fn recoded(
        framing: Framing,
        text: &[u8],
        in_chunks: bool,
    ) -> Result<(Vec<u8>, Vec<u8>), BodyError> {
        runtime().block_on(async {
            let mut from = Incoming::new(text);
            let mut to = Vec::new();
            let pace = Pace::new();
            let out = Outgoing {
                to: &mut to,
                in_chunks,
                pace: &pace,
            };
            copy(framing, &mut from, out).await?;
            let mut rest = from.take(usize::MAX).to_vec();
            rest.extend_from_slice(from.inner());
            Ok((to, rest))
        })
    }

    #[test]
    fn a_body_ends_where_its_framing_says_and_is_framed_anew() {
        let chunked =
            b"5;name=\"x\"\r\nhello\r\n00a\r\n, world!!!\r\n0\r\nTrailer: dropped\r\n\r\nGET";
        let (body, rest) = recoded(Framing::Chunked, chunked, false).unwrap();
        assert_eq!(body, b"hello, world!!!");
        assert_eq!(rest, b"GET");
        let (body, _) = recoded(Framing::Chunked, chunked, true).unwrap();
        assert_eq!(body, b"5\r\nhello\r\na\r\n, world!!!\r\n0\r\n\r\n");
        let (body, rest) = recoded(Framing::Length(3), b"abcdef", true).unwrap();
        assert_eq!(
            (body.as_slice(), rest.as_slice()),
            (&b"3\r\nabc\r\n0\r\n\r\n"[..], &b"def"[..])
        );
        let (body, _) = recoded(Framing::UntilEnd, b"abcdef", false).unwrap();
        assert_eq!(body, b"abcdef");
    }

    #[test]
    fn a_chunk_of_doubtful_size_is_refused() {
        for text in [
            &b"5 \r\nhello\r\n0\r\n\r\n"[..],
            b" 5\r\nhello\r\n0\r\n\r\n",
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhelloX\r\n0\r\n\r\n",
            b"5;a\0b\r\nhello\r\n0\r\n\r\n",
            b"5;a\rb\r\nhello\r\n0\r\n\r\n",
            b"\r\nhello\r\n0\r\n\r\n",
            b";x\r\nhello\r\n0\r\n\r\n",
            b"ffffffffffffffff\r\nhello",
            b"10000000000000005\r\nhello\r\n0\r\n\r\n",
        ] {
            let outcome = recoded(Framing::Chunked, text, false);
            assert!(
                matches!(outcome, Err(BodyError::Malformed(_))),
                "{text:?}: {outcome:?}"
            );
        }
        for text in [&b"5\r\nhel"[..], b"5\r\nhello\r\n", b"5\r\nhello\r\n0\r\n"] {
            let outcome = recoded(Framing::Chunked, text, false);
            assert!(matches!(outcome, Err(BodyError::Reading)), "{text:?}");
        }
    }
}
