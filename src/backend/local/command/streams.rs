//! What is between a command and us: pipes, or a terminal.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;

use super::identity::RunsAs;
use super::running::Nesting;
use super::sources::own_namespace;
use crate::backend::process::{CommandSpec, Stdin, Terminal, TerminalSize};
use crate::error::{Error, ErrorCode, Result};
use crate::sys::linux::spawn_staging::read_only_null;
use crate::sys::linux::terminal;

/// Bytes that a terminal holds back at most for whoever reads it slowly.
const TERMINAL_CHUNK: usize = 4 << 10;

/// Bytes read at once.
const CHUNK: usize = 64 << 10;

/// Our ends.
pub(super) struct Streams {
    /// Where it is fed; `None` where it is not.
    pub(super) input: Option<Input>,
    /// Standard output and error; with a terminal the second is closed from the beginning.
    pub(super) output: [Stream; 2],
}

/// Opens the streams of a command: what it gets as its first three descriptors, and our ends. Inside the runtime, which
/// these belong to.
pub(super) fn open(
    spec: &CommandSpec,
    nesting: Nesting,
    runs_as: RunsAs,
) -> Result<([OwnedFd; 3], Streams)> {
    if let Some(terminal) = &spec.terminal {
        return open_terminal(terminal, runs_as);
    }
    let (stdin, input) = input(&spec.stdin, nesting)?;
    let (stdout, out) = output()?;
    let (stderr, err) = output()?;
    let streams = Streams {
        input: input.map(Input::Pipe),
        output: [out, err].map(|pipe| Stream(Some(Source::Pipe(pipe)))),
    };
    Ok(([stdin, stdout, stderr], streams))
}

fn open_terminal(terminal: &Terminal, runs_as: RunsAs) -> Result<([OwnedFd; 3], Streams)> {
    let user = runs_as.switches.then_some((runs_as.uid, runs_as.gid));
    let pair = terminal::open(terminal.size, &terminal.modes, user).map_err(|error| {
        let message = format!("no terminal can be made here: {error}");
        Error::new(ErrorCode::MissingUtilities, message).with_source(error)
    })?;
    let master = Arc::new(Master::new(pair.ours)?);
    let standard = [
        pair.theirs.try_clone()?,
        pair.theirs.try_clone()?,
        pair.theirs,
    ];
    let streams = Streams {
        input: Some(Input::Terminal(Arc::clone(&master))),
        output: [Stream(Some(Source::Terminal(master))), Stream(None)],
    };
    Ok((standard, streams))
}

/// The command's end of its input, and ours. A pipe, never a socket: bash takes a socket for a remote login.
fn input(stdin: &Stdin, nesting: Nesting) -> Result<(OwnedFd, Option<pipe::Sender>)> {
    match stdin {
        // As root: a command in a tree of root's owns the device.
        Stdin::Null if matches!(nesting, Nesting::Sandboxed) && own_namespace().is_some() => {
            Ok((read_only_null()?, None))
        }
        Stdin::Null => Ok((File::open("/dev/null")?.into(), None)),
        Stdin::Bytes(_) | Stdin::Pipe => {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK)?;
            Ok((reader, Some(pipe::Sender::from_owned_fd_unchecked(writer)?)))
        }
    }
}

/// A pipe whose reading end alone does not block; the command gets an ordinary one.
fn output() -> Result<(OwnedFd, pipe::Receiver)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK)?;
    Ok((writer, pipe::Receiver::from_owned_fd_unchecked(reader)?))
}

/// Our end of a terminal.
#[derive(Debug)]
pub(super) struct Master(AsyncFd<OwnedFd>);

impl Master {
    fn new(handle: OwnedFd) -> Result<Self> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        // SAFETY: an `OwnedFd` gives the same open descriptor for as long as it lives.
        let registered = unsafe { AsyncFd::register_with_interest(handle, interest) };
        Ok(Self(registered.map_err(io::Error::from)?))
    }

    /// Changes the window. A terminal whose command has ended has none.
    pub(super) fn resize(&self, size: TerminalSize) {
        let _ = terminal::resize(self.0.get_ref(), size);
    }

    async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let mut ready = self.0.writable().await?;
            let written = ready.try_io(|handle| Ok(rustix::io::write(handle.get_ref(), bytes)?));
            match written {
                // The kernel may take nothing without saying that it would block.
                Ok(Ok(0)) => ready.clear_ready(),
                Ok(written) => return written,
                Err(_would_block) => {}
            }
        }
    }
}

/// Where a command is fed.
pub(super) enum Input {
    Pipe(pipe::Sender),
    Terminal(Arc<Master>),
}

impl Input {
    pub(super) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Input::Pipe(pipe) => tokio::io::AsyncWriteExt::write_all(pipe, bytes).await,
            Input::Terminal(master) => {
                let mut left = bytes;
                while !left.is_empty() {
                    let written = master.write(left).await?;
                    left = left.get(written..).unwrap_or_default();
                }
                Ok(())
            }
        }
    }
}

enum Source {
    Pipe(pipe::Receiver),
    Terminal(Arc<Master>),
}

impl Source {
    async fn readable(&self) -> io::Result<()> {
        match self {
            Source::Pipe(pipe) => pipe.readable().await,
            Source::Terminal(master) => master.0.readable().await.map(drop),
        }
    }

    /// Reads what is there. The end of a terminal is an error, `EIO`.
    fn try_read(&self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Source::Pipe(pipe) => pipe.try_read_buf(buffer),
            Source::Terminal(master) => master.0.try_io(Interest::READABLE, |handle| {
                let mut piece = [0; TERMINAL_CHUNK];
                let read = rustix::io::read(handle, &mut piece)?;
                buffer.extend_from_slice(piece.get(..read).unwrap_or_default());
                Ok(read)
            }),
        }
    }
}

/// One stream of output; memory is taken only once there is something to read.
pub(super) struct Stream(Option<Source>);

impl Stream {
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_none()
    }

    /// The next piece; `None` once, at the end; never again after it.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let Some(source) = &self.0 else {
                return std::future::pending().await;
            };
            if source.readable().await.is_ok() {
                let mut buffer = BytesMut::with_capacity(CHUNK);
                match source.try_read(&mut buffer) {
                    Ok(0) => {}
                    Ok(_) => return Some(fitted(buffer)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                    Err(_) => {}
                }
            }
            self.0 = None;
            return None;
        }
    }
}

/// A small piece does not keep a large buffer alive.
fn fitted(buffer: BytesMut) -> Bytes {
    if buffer.len() * 2 < buffer.capacity() {
        Bytes::copy_from_slice(&buffer)
    } else {
        buffer.freeze()
    }
}
