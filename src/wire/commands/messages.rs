//! What the frames say.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::frames::Frame;
use super::{MAX_FRAME, PIECE};
use crate::backend::limits::Limits;
use crate::backend::process::{ExitStatus, Terminal, TerminalSize};
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::wire::{Failure, malformed};

mod kind {
    pub(super) const START: u8 = 1;
    pub(super) const STDIN: u8 = 2;
    pub(super) const STDIN_END: u8 = 3;
    pub(super) const SIGNAL: u8 = 4;
    pub(super) const RESIZE: u8 = 5;
    pub(super) const CREDIT: u8 = 6;
    pub(super) const END_SCOPE: u8 = 7;
    pub(super) const STARTED: u8 = 65;
    pub(super) const STDOUT: u8 = 66;
    pub(super) const STDERR: u8 = 67;
    pub(super) const EXIT: u8 = 68;
    pub(super) const FAILED: u8 = 69;
    pub(super) const SCOPE_ENDED: u8 = 70;
}

/// What a command reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StdinKind {
    /// Nothing.
    Null,
    /// What comes until [`FromClient::StdinEnd`], as a whole: the command starts after that.
    Bytes,
    /// What comes, as it comes.
    Pipe,
}

/// A command to start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The scope that confines it, below the session's root.
    pub scope: RelPath,
    /// A text for the shell.
    pub command: String,
    /// Where, below the scope.
    pub cwd: RelPath,
    /// Variables, in order; `None` removes one. Bytes, since POSIX allows any; a daemon refuses what it cannot set.
    pub env: Vec<(ByteBuf, Option<ByteBuf>)>,
    /// What it reads.
    pub stdin: StdinKind,
    /// A terminal of its own.
    pub terminal: Option<Terminal>,
    /// An interactive shell instead of the command.
    pub login_shell: bool,
    /// What it may use.
    pub limits: Limits,
}

/// What a client says.
#[derive(Clone, Debug, PartialEq)]
pub enum FromClient {
    /// Start a command under a number that is free. [`FromServer::Started`] or [`FromServer::Failed`] answers.
    Start(Box<Start>),
    /// Bytes for its standard input, at most [`PIECE`].
    Stdin(Bytes),
    /// No more of them.
    StdinEnd,
    /// Send a signal; `SIGKILL` also to what has not started yet.
    Signal(i32),
    /// Its terminal has another size now.
    Resize(TerminalSize),
    /// So much more of its output may be sent.
    Credit(u32),
    /// End all commands of this connection in a scope and below; [`FromServer::ScopeEnded`] of the same number answers.
    EndScope(RelPath),
}

/// What a server says.
#[derive(Clone, Debug)]
pub enum FromServer {
    /// It runs, with this process id on its host.
    Started { pid: u32 },
    /// A piece of its output, at most [`PIECE`].
    Stdout(Bytes),
    /// A piece of what it printed as errors, likewise.
    Stderr(Bytes),
    /// It ended, and its output is complete. The number is free.
    Exit(ExitStatus),
    /// It could not be started, or what became of it is unknown. The number is free.
    Failed(Error),
    /// So many more bytes of standard input may be sent.
    Credit(u32),
    /// The commands of a scope have ended.
    ScopeEnded,
}

impl FromClient {
    /// Adds the frame up to its payload, which is given back and to be sent right behind.
    ///
    /// # Errors
    /// `TOO_LARGE` for a command that no frame holds.
    pub fn encode(self, id: u32, out: &mut BytesMut) -> Result<Bytes> {
        let (kind, small) = match self {
            Self::Start(start) => (kind::START, encode(&start)?),
            Self::Stdin(bytes) => return Ok(with_payload(out, kind::STDIN, id, bytes)),
            Self::StdinEnd => (kind::STDIN_END, Vec::new()),
            Self::Signal(signal) => (kind::SIGNAL, signal.to_be_bytes().to_vec()),
            Self::Resize(size) => (kind::RESIZE, encode(&size)?),
            Self::Credit(credit) => (kind::CREDIT, credit.to_be_bytes().to_vec()),
            Self::EndScope(scope) => (kind::END_SCOPE, encode(&scope)?),
        };
        Ok(without_payload(out, kind, id, &small))
    }

    /// # Errors
    /// `IO_ERROR` for what is no message of a client.
    pub fn decode(frame: Frame) -> Result<(u32, Self)> {
        let Frame { kind, id, payload } = frame;
        let message = match kind {
            kind::START => Self::Start(Box::new(decode(&payload)?)),
            kind::STDIN => Self::Stdin(piece(payload)?),
            kind::STDIN_END => Self::StdinEnd,
            kind::SIGNAL => Self::Signal(number(payload)?.cast_signed()),
            kind::RESIZE => Self::Resize(decode(&payload)?),
            kind::CREDIT => Self::Credit(number(payload)?),
            kind::END_SCOPE => Self::EndScope(decode(&payload)?),
            _ => return Err(malformed("a frame of an unknown kind")),
        };
        Ok((id, message))
    }
}

impl FromServer {
    /// Adds the frame up to its payload, which is given back and to be sent right behind.
    ///
    /// # Errors
    /// `TOO_LARGE` for an error that no frame holds.
    pub fn encode(self, id: u32, out: &mut BytesMut) -> Result<Bytes> {
        let (kind, small) = match self {
            Self::Stdout(bytes) => return Ok(with_payload(out, kind::STDOUT, id, bytes)),
            Self::Stderr(bytes) => return Ok(with_payload(out, kind::STDERR, id, bytes)),
            Self::Started { pid } => (kind::STARTED, pid.to_be_bytes().to_vec()),
            Self::Exit(status) => (kind::EXIT, encode(&status)?),
            Self::Failed(error) => (kind::FAILED, encode(&Failure::from(&error))?),
            Self::Credit(credit) => (kind::CREDIT, credit.to_be_bytes().to_vec()),
            Self::ScopeEnded => (kind::SCOPE_ENDED, Vec::new()),
        };
        Ok(without_payload(out, kind, id, &small))
    }

    /// # Errors
    /// `IO_ERROR` for what is no message of a server.
    pub fn decode(frame: Frame) -> Result<(u32, Self)> {
        let Frame { kind, id, payload } = frame;
        let message = match kind {
            kind::STARTED => Self::Started {
                pid: number(payload)?,
            },
            kind::STDOUT => Self::Stdout(piece(payload)?),
            kind::STDERR => Self::Stderr(piece(payload)?),
            kind::EXIT => Self::Exit(decode(&payload)?),
            kind::FAILED => Self::Failed(decode::<Failure>(&payload)?.into()),
            kind::CREDIT => Self::Credit(number(payload)?),
            kind::SCOPE_ENDED => Self::ScopeEnded,
            _ => return Err(malformed("a frame of an unknown kind")),
        };
        Ok((id, message))
    }
}

fn with_payload(out: &mut BytesMut, kind: u8, id: u32, payload: Bytes) -> Bytes {
    Frame::begin(out, kind, id, payload.len());
    payload
}

fn without_payload(out: &mut BytesMut, kind: u8, id: u32, small: &[u8]) -> Bytes {
    Frame::begin(out, kind, id, small.len());
    out.put_slice(small);
    Bytes::new()
}

fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    let encoded = postcard::to_stdvec(value).map_err(|error| {
        Error::new(ErrorCode::InvalidConfiguration, "it cannot be sent").with_source(error)
    })?;
    // Less what stands before it.
    if encoded.len() > MAX_FRAME - 16 {
        return Err(Error::new(
            ErrorCode::TooLarge,
            format!(
                "command and environment have more than {MAX_FRAME} bytes; put some of them into a file"
            ),
        ));
    }
    Ok(encoded)
}

fn decode<T: DeserializeOwned>(payload: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(payload) {
        Ok((value, [])) => Ok(value),
        Ok(_) => Err(malformed("a frame that is longer than what it says")),
        Err(error) => Err(malformed("a frame that is none").with_source(error)),
    }
}

fn number(mut payload: Bytes) -> Result<u32> {
    match payload.len() {
        4 => Ok(payload.get_u32()),
        _ => Err(malformed("a frame that is none")),
    }
}

fn piece(payload: Bytes) -> Result<Bytes> {
    match payload.len() <= PIECE {
        true => Ok(payload),
        false => Err(malformed("more bytes in a frame than one may hold")),
    }
}
