//! What a channel carries before the command's own output.

use bytes::{Bytes, BytesMut};
use russh::{ChannelMsg, ChannelReadHalf};

use super::running::exit_of;
use crate::backend::process::ExitStatus;
use crate::error::{Error, ErrorCode, Printable, Result};

/// What a login may print before the command starts.
const MAX_PREFACE: usize = 64 << 10;

/// What comes before the command: whatever the login prints, then our mark on both streams.
pub(super) struct Preface {
    mark: Vec<u8>,
    pub(super) stdout: BytesMut,
    pub(super) stderr: BytesMut,
    /// How the command ended, where that was said before all that it had printed: to a server these are different
    /// sources, in no order.
    pub(super) exit: Option<ExitStatus>,
    process: Option<u32>,
    stderr_marked: bool,
}

impl Preface {
    pub(super) fn new(mark: &str, one_stream: bool) -> Self {
        Self {
            mark: mark.as_bytes().to_vec(),
            stdout: BytesMut::new(),
            stderr: BytesMut::new(),
            exit: None,
            process: None,
            stderr_marked: one_stream,
        }
    }

    /// Reads up to the marks; what came behind them stays here.
    pub(super) async fn read(&mut self, reader: &mut ChannelReadHalf) -> Result<u32> {
        loop {
            if let (Some(process), true) = (self.process, self.stderr_marked) {
                return Ok(process);
            }
            match reader.wait().await {
                Some(ChannelMsg::Data { data }) => self.stdout.extend_from_slice(&data),
                Some(ChannelMsg::ExtendedData { data, .. }) => self.stderr.extend_from_slice(&data),
                Some(ChannelMsg::Failure) => {
                    return Err(Error::new(
                        ErrorCode::ExecError,
                        "the server runs no commands for this user",
                    ));
                }
                Some(ChannelMsg::Eof | ChannelMsg::Close) => return Err(self.failure()),
                None => {
                    return Err(Error::new(
                        ErrorCode::ConnectionClosed,
                        "the connection ended before the command started",
                    ));
                }
                Some(other) => self.exit = exit_of(&other).or(self.exit),
            }
            self.find_marks()?;
        }
    }

    fn find_marks(&mut self) -> Result<()> {
        if self.process.is_none()
            && let Some(line) = line_behind(&mut self.stdout, &self.mark)
        {
            let text = String::from_utf8_lossy(&line);
            let process = text.trim().parse().map_err(|_| self.failure())?;
            self.process = Some(process);
        }
        if !self.stderr_marked && line_behind(&mut self.stderr, &self.mark).is_some() {
            self.stderr_marked = true;
        }
        let unmarked = [
            (self.process.is_none(), self.stdout.len()),
            (!self.stderr_marked, self.stderr.len()),
        ];
        if unmarked
            .iter()
            .any(|&(is, length)| is && length > MAX_PREFACE)
        {
            return Err(Error::new(
                ErrorCode::ExecError,
                "the server's login prints without end, and the command does not start",
            ));
        }
        Ok(())
    }

    /// The shell ended before the command started.
    fn failure(&self) -> Error {
        let said = if self.stderr.is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        let said = String::from_utf8_lossy(&said[..said.len().min(500)]).into_owned();
        Error::new(
            ErrorCode::ExecError,
            format!(
                "the server's shell did not start the command: {}",
                Printable(said.trim())
            ),
        )
    }
}

/// What stands behind the mark in its line; all up to the end of that line is taken away.
fn line_behind(stream: &mut BytesMut, mark: &[u8]) -> Option<Bytes> {
    let at = memchr::memmem::find(stream, mark)?;
    let behind = at + mark.len();
    let end = behind + memchr::memchr(b'\n', &stream[behind..])?;
    let line = Bytes::copy_from_slice(&stream[behind..end]);
    let _ = stream.split_to(end + 1);
    Some(line)
}
