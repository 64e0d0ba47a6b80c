//! The content of an open file, in pieces that are on their way at once.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::client::{Sftp, unexpected};
use crate::backend::remote::progress::Progress;
use crate::error::{Error, ErrorCode, Result};
use crate::wire::sftp::{Request, Response, StatusCode};

/// Reads or writes of one file on their way at once.
pub(super) const IN_FLIGHT: usize = 64;

/// Up to `length` bytes; fewer only at the end of the file.
pub(super) async fn read_at(
    sftp: Arc<Sftp>,
    handle: Bytes,
    offset: u64,
    length: usize,
) -> Result<Bytes> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    loop {
        let read = first.len() + rest.len();
        if read >= length {
            break;
        }
        let wanted = (length - read).min(sftp.chunk);
        let request = Request::Read {
            handle: handle.clone(),
            offset: offset + read as u64,
            length: u32::try_from(wanted).unwrap_or(u32::MAX),
        };
        match sftp.call(request).await? {
            Response::Data(data) if data.is_empty() || data.len() > wanted => {
                return Err(Error::new(
                    ErrorCode::IoError,
                    "the server gave another amount than it was asked for",
                ));
            }
            // Nearly always all is there at once, and copied by nobody.
            Response::Data(data) if read == 0 => first = data,
            Response::Data(data) => rest.extend_from_slice(&data),
            Response::Status {
                code: StatusCode::Eof,
                ..
            } => break,
            other => return Err(unexpected(other)),
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::with_capacity(first.len() + rest.len());
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&rest);
    Ok(whole.freeze())
}

/// All of the bytes, in pieces that are on their way at once.
pub(super) async fn write_at(
    sftp: Arc<Sftp>,
    handle: Bytes,
    offset: u64,
    bytes: Bytes,
    progress: &Progress,
) -> Result<()> {
    let chunk = sftp.chunk;
    let pieces = (0..bytes.len().div_ceil(chunk)).map(|number| {
        let start = number * chunk;
        let end = (start + chunk).min(bytes.len());
        (offset + start as u64, bytes.slice(start..end))
    });
    stream::iter(pieces)
        .map(|(offset, data)| {
            let written = sftp.done(Request::Write {
                handle: handle.clone(),
                offset,
                data,
            });
            async move { written.await.inspect(|()| progress.moved()) }
        })
        .buffered(IN_FLIGHT)
        .try_collect::<Vec<()>>()
        .await
        .map(|_| ())
        .map_err(why_not_written)
}

/// The protocol has no code for a full disk; the usual server says nothing but that it failed.
fn why_not_written(error: Error) -> Error {
    if error.code() != ErrorCode::IoError {
        return error;
    }
    Error::new(
        ErrorCode::IoError,
        format!("{} (the disk or a quota may be full)", error.message()),
    )
}
