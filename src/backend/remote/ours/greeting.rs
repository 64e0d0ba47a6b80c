//! How a session begins: what the other side says of itself.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::connection_closed;
use crate::error::{Error, ErrorCode, Result};
use crate::wire::operations::{Hello, NAME, VERSION, decode_hello};
use crate::wire::sftp::{FromClient, FromServer, Splitter, version_extension};

/// Sends `SSH_FXP_INIT`, and reads the [`Hello`] of a daemon of ours.
///
/// Errors: `NOT_IMPLEMENTED` for any other server; `CONNECTION_CLOSED`.
pub(super) async fn greet(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    splitter: &mut Splitter,
) -> Result<Hello> {
    let lost = |_| connection_closed();
    let mut init = BytesMut::new();
    FromClient::encode_init(&mut init);
    stream.write_all(&init).await.map_err(lost)?;
    stream.flush().await.map_err(lost)?;
    loop {
        if let Some(packet) = splitter.next_packet().map_err(|_| no_daemon())? {
            let Ok(FromServer::Version { extensions, .. }) = FromServer::decode(packet) else {
                return Err(no_daemon());
            };
            let Some(data) = version_extension(&extensions, NAME.as_bytes()) else {
                return Err(no_daemon());
            };
            let hello = decode_hello(data)?;
            if hello.version != VERSION {
                return Err(other_version(hello.version));
            }
            return Ok(hello);
        }
        if stream.read_buf(splitter.buffer()).await.map_err(lost)? == 0 {
            return Err(connection_closed());
        }
    }
}

fn no_daemon() -> Error {
    Error::new(
        ErrorCode::NotImplemented,
        "the other side is no agent-backend daemon: it does not announce our operations",
    )
}

fn other_version(version: u32) -> Error {
    Error::new(
        ErrorCode::NotImplemented,
        format!("the daemon speaks version {version} of our operations, this client {VERSION}"),
    )
}
