//! The client's side of plain SFTP: many requests on their way at once over one channel.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::backend::remote::channel::ChannelBytes;
use crate::error::{Error, ErrorCode, Printable, Result};
use crate::wire::sftp::{
    Extended, Extension, FromClient, FromServer, PROTOCOL, Request, Response, ServerLimits,
    Splitter, StatusCode, name as extension, version_extension,
};

/// Bytes of one read or write where the server names no bound: what every server must take.
const PLAIN_CHUNK: usize = 32 << 10;
/// Bytes of one read or write at most.
const LARGEST_CHUNK: usize = 255 << 10;

/// What the server can do beyond the protocol.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Extensions {
    pub(super) posix_rename: bool,
    pub(super) statvfs: bool,
    pub(super) fsync: bool,
    pub(super) lsetstat: bool,
}

/// One SFTP session.
#[derive(Debug)]
pub(super) struct Sftp {
    queue: mpsc::UnboundedSender<(u32, Request)>,
    pending: Arc<Mutex<Pending>>,
    pub(super) extensions: Extensions,
    /// Bytes of one read or write.
    pub(super) chunk: usize,
    pub(super) closed: CancellationToken,
}

#[derive(Debug, Default)]
struct Pending {
    next: u32,
    waiting: HashMap<u32, oneshot::Sender<Response>>,
    ended: bool,
}

fn lock(pending: &Mutex<Pending>) -> MutexGuard<'_, Pending> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gone() -> Error {
    Error::new(
        ErrorCode::ConnectionClosed,
        "the connection ended before the answer came",
    )
}

impl Sftp {
    /// Greets the server. `closed` is that of the connection; that the channel ends cancels it too.
    ///
    /// # Errors
    /// `CONNECTION_FAILED` where the other side does not speak SFTP.
    pub(super) async fn open(channel: ChannelBytes, closed: CancellationToken) -> Result<Self> {
        let (mut reader, mut writer) = tokio::io::split(channel);
        let mut init = BytesMut::new();
        FromClient::encode_init(&mut init);
        let failed = |error: std::io::Error| {
            let why = match error.kind() {
                std::io::ErrorKind::Unsupported => "the server offers no SFTP",
                _ => "the server does not speak SFTP",
            };
            Error::new(ErrorCode::ConnectionFailed, why).with_source(error)
        };
        writer.write_all(&init).await.map_err(failed)?;
        let mut splitter = Splitter::default();
        let first = loop {
            if let Some(packet) = splitter.next_packet().map_err(|e| failed(invalid(&e)))? {
                break packet;
            }
            if reader.read_buf(splitter.buffer()).await.map_err(failed)? == 0 {
                return Err(failed(std::io::ErrorKind::UnexpectedEof.into()));
            }
        };
        let announced = match FromServer::decode(first) {
            Ok(FromServer::Version {
                version,
                extensions,
            }) if version >= PROTOCOL => extensions,
            _ => {
                return Err(Error::new(
                    ErrorCode::ConnectionFailed,
                    "the server does not speak version 3 of SFTP",
                ));
            }
        };
        let pending = Arc::new(Mutex::new(Pending::default()));
        let (queue, requests) = mpsc::unbounded_channel();
        let mut sftp = Self {
            queue,
            pending: Arc::clone(&pending),
            extensions: extensions(&announced),
            chunk: PLAIN_CHUNK,
            closed: closed.clone(),
        };
        tokio::spawn(send(writer, requests, closed.clone()));
        tokio::spawn(receive(
            reader,
            splitter,
            pending,
            sftp.queue.downgrade(),
            closed,
        ));
        if version_extension(&announced, extension::LIMITS).is_some() {
            sftp.learn_limits().await?;
        }
        Ok(sftp)
    }

    async fn learn_limits(&mut self) -> Result<()> {
        let answer = self.call(Extended::Limits.into_request()).await?;
        if let Response::ExtendedReply(data) = answer
            && let Ok(limits) = ServerLimits::decode(data)
        {
            let bound = [limits.max_read, limits.max_write]
                .into_iter()
                .filter_map(|bound| usize::try_from(bound).ok())
                .filter(|&bound| bound > 0)
                .min()
                .unwrap_or(PLAIN_CHUNK);
            self.chunk = bound.min(LARGEST_CHUNK);
        }
        Ok(())
    }

    /// Sends a request now; the future waits for its answer. Requests are sent in the order of the calls, and dropping a
    /// future does not recall what was sent.
    pub(super) fn call(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Response>> + Send + use<> {
        let (sender, receiver) = oneshot::channel();
        {
            let mut pending = lock(&self.pending);
            if !pending.ended {
                let id = pending.next;
                pending.next = pending.next.wrapping_add(1);
                if self.queue.send((id, request)).is_ok() {
                    pending.waiting.insert(id, sender);
                }
            }
        }
        async move { receiver.await.map_err(|_| gone()) }
    }

    /// A request that is answered by a status alone.
    pub(super) fn done(&self, request: Request) -> impl Future<Output = Result<()>> + Send + use<> {
        let answer = self.call(request);
        async move {
            match answer.await? {
                Response::Status {
                    code: StatusCode::Ok,
                    ..
                } => Ok(()),
                other => Err(unexpected(other)),
            }
        }
    }
}

fn invalid(error: &(dyn std::error::Error + Send + Sync)) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, error.to_string())
}

fn extensions(announced: &[Extension]) -> Extensions {
    let has = |name| version_extension(announced, name).is_some();
    Extensions {
        posix_rename: has(extension::POSIX_RENAME),
        statvfs: has(extension::STATVFS),
        fsync: has(extension::FSYNC),
        lsetstat: has(extension::LSETSTAT),
    }
}

/// An answer that is none of those that the request has, or a status other than OK. What a `FAILURE` means, the caller
/// finds out by looking: the protocol has no code for most causes.
pub(super) fn unexpected(response: Response) -> Error {
    let Response::Status { code, message } = response else {
        return Error::new(
            ErrorCode::IoError,
            "the server's answer is not one to this request",
        );
    };
    let message = String::from_utf8_lossy(&message);
    let message = Printable(message.trim()).to_string();
    let (code, text) = match code {
        StatusCode::NoSuchFile => (ErrorCode::NotFound, "no such file or directory".to_owned()),
        StatusCode::PermissionDenied => (
            ErrorCode::PermissionDenied,
            "the server denies access".to_owned(),
        ),
        StatusCode::OpUnsupported => (
            ErrorCode::NotImplemented,
            "the server cannot do that".to_owned(),
        ),
        StatusCode::BadMessage => (
            ErrorCode::InvalidPath,
            format!("the server does not accept this path or option: {message}"),
        ),
        _ => (
            ErrorCode::IoError,
            format!("the server says only: {message}"),
        ),
    };
    Error::new(code, text)
}

/// Sends what is asked for, several requests in one write where they are there.
async fn send(
    mut writer: WriteHalf<ChannelBytes>,
    mut requests: mpsc::UnboundedReceiver<(u32, Request)>,
    closed: CancellationToken,
) {
    let mut heads = BytesMut::new();
    loop {
        let next = tokio::select! {
            () = closed.cancelled() => break,
            next = requests.recv() => next,
        };
        let Some(mut next) = next else { break };
        let sent = loop {
            let payload = next.1.encode_head(next.0, &mut heads);
            if !payload.is_empty() || heads.len() > PLAIN_CHUNK {
                let head = heads.split();
                if writer.write_all(&head).await.is_err()
                    || writer.write_all(&payload).await.is_err()
                {
                    break false;
                }
            }
            match requests.try_recv() {
                Ok(more) => next = more,
                Err(_) => {
                    let head = heads.split();
                    break writer.write_all(&head).await.is_ok() && writer.flush().await.is_ok();
                }
            }
        };
        if !sent {
            break;
        }
    }
    closed.cancel();
    let _ = writer.shutdown().await;
}

/// Hands each answer to whoever waits for it, until the end; then nobody waits in vain.
async fn receive(
    mut reader: ReadHalf<ChannelBytes>,
    mut splitter: Splitter,
    pending: Arc<Mutex<Pending>>,
    queue: mpsc::WeakUnboundedSender<(u32, Request)>,
    closed: CancellationToken,
) {
    'connection: loop {
        loop {
            let packet = match splitter.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(_) => break 'connection,
            };
            let Ok(FromServer::Response { id, response }) = FromServer::decode(packet) else {
                break 'connection;
            };
            let Some(waiting) = lock(&pending).waiting.remove(&id) else {
                continue;
            };
            // Of a call that nobody waits for any more, what it opened is closed.
            if let Err(Response::Handle(handle)) = waiting.send(response)
                && let Some(queue) = queue.upgrade()
            {
                let mut pending = lock(&pending);
                let id = pending.next;
                pending.next = pending.next.wrapping_add(1);
                let _ = queue.send((id, Request::Close { handle }));
            }
        }
        let read = tokio::select! {
            () = closed.cancelled() => break,
            read = reader.read_buf(splitter.buffer()) => read,
        };
        if !matches!(read, Ok(count) if count > 0) {
            break;
        }
    }
    let waiting = {
        let mut pending = lock(&pending);
        pending.ended = true;
        std::mem::take(&mut pending.waiting)
    };
    drop(waiting);
    closed.cancel();
}

/// A handle of the server, closed when it is dropped.
#[derive(Debug)]
pub(super) struct Handle {
    sftp: Arc<Sftp>,
    handle: Bytes,
}

impl Handle {
    /// Sends a request that is answered by a handle.
    pub(super) async fn open(sftp: &Arc<Sftp>, request: Request) -> Result<Self> {
        match sftp.call(request).await? {
            Response::Handle(handle) => Ok(Self {
                sftp: Arc::clone(sftp),
                handle,
            }),
            other => Err(unexpected(other)),
        }
    }

    pub(super) fn bytes(&self) -> Bytes {
        self.handle.clone()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let handle = std::mem::take(&mut self.handle);
        drop(self.sftp.call(Request::Close { handle }));
    }
}
