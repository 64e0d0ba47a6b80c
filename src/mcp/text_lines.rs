//! The first or the last lines of a file, read piece by piece from the right end, so that a log of gigabytes costs no
//! more than what is asked for.

use std::ops::Range;

use bytes::Bytes;

use super::tools::MAX_TEXT_BYTES;
use crate::backend::ReadOptions;
use crate::error::{Error, ErrorCode, Result};
use crate::workspace::Workspace;

/// The first piece; each further one is twice as large, up to a bound.
const FIRST_PIECE: u64 = 64 << 10;
const LARGEST_PIECE: u64 = 4 << 20;

/// The first `count` lines without the last one's end; a fraction counts as a whole line.
pub(super) async fn head(workspace: Workspace, path: String, count: f64) -> Result<Bytes> {
    let mut text: Vec<u8> = Vec::new();
    let mut seen = 0.0;
    let mut piece = FIRST_PIECE;
    loop {
        let start = text.len();
        let read = read(&workspace, &path, start as u64..start as u64 + piece).await?;
        if count <= 0.0 {
            return Ok(Bytes::new());
        }
        text.extend_from_slice(&read);
        for end in memchr::memchr_iter(b'\n', &read) {
            seen += 1.0;
            if seen >= count {
                text.truncate(start + end);
                return Ok(text.into());
            }
        }
        if (read.len() as u64) < piece {
            // The end of the file: the end of its last line does not begin another.
            if text.last() == Some(&b'\n') {
                text.pop();
            }
            return Ok(text.into());
        }
        check_size(text.len())?;
        piece = (piece * 2).min(LARGEST_PIECE);
    }
}

/// The last `count` lines, with `\n` at their ends however the file has them. What stands behind the last end of line,
/// though it be nothing, is a line.
pub(super) async fn tail(workspace: Workspace, path: String, count: f64) -> Result<Bytes> {
    let mut start = workspace.stat(&path).await?.size;
    let mut pieces: Vec<Bytes> = Vec::new();
    let (mut length, mut newlines, mut piece) = (0, 0.0, FIRST_PIECE);
    while start > 0 && newlines < count {
        let from = start.saturating_sub(piece);
        let read = read(&workspace, &path, from..start).await?;
        newlines += newlines_in(&read);
        length += read.len();
        check_size(length)?;
        start = from;
        pieces.push(read);
        piece = (piece * 2).min(LARGEST_PIECE);
    }
    pieces.reverse();
    let text = without_carriage_returns(&pieces.concat());
    let start = start_of_last_lines(&text, count);
    Ok(Bytes::from(text).slice(start..))
}

async fn read(workspace: &Workspace, path: &str, range: Range<u64>) -> Result<Bytes> {
    let options = ReadOptions {
        range: Some(range),
        ..ReadOptions::default()
    };
    Ok(workspace.read(path, options).await?.bytes)
}

fn check_size(length: usize) -> Result<()> {
    if length as u64 <= MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::TooLarge,
        format!("these lines have more than {MAX_TEXT_BYTES} bytes; ask for fewer"),
    ))
}

#[allow(
    clippy::cast_precision_loss,
    reason = "no file has so many lines that a double cannot count them"
)]
fn newlines_in(text: &[u8]) -> f64 {
    memchr::memchr_iter(b'\n', text).count() as f64
}

/// Each `\r\n` as `\n`.
fn without_carriage_returns(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memmem::find(rest, b"\r\n") {
        plain.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
    }
    plain.extend_from_slice(rest);
    plain
}

/// Where the last `count` lines begin.
fn start_of_last_lines(text: &[u8], count: f64) -> usize {
    if count < 1.0 {
        return text.len();
    }
    let mut left = count.trunc();
    for newline in memchr::memrchr_iter(b'\n', text) {
        left -= 1.0;
        if left <= 0.0 {
            return newline + 1;
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_begin_behind_the_right_end_of_line() {
        let text = b"a\nb\nc";
        for (count, expected) in [
            (1.0, 4),
            (2.0, 2),
            (2.9, 2),
            (3.0, 0),
            (9.0, 0),
            (0.0, 5),
            (-1.0, 5),
        ] {
            assert_eq!(start_of_last_lines(text, count), expected, "{count}");
        }
        assert_eq!(start_of_last_lines(b"a\n", 1.0), 2);
        assert_eq!(start_of_last_lines(b"", 1.0), 0);
    }

    #[test]
    fn only_carriage_returns_before_a_line_feed_go() {
        assert_eq!(
            without_carriage_returns(b"a\r\nb\rc\r\r\n\r"),
            b"a\nb\rc\r\n\r"
        );
    }
}
