//! One running command: its output, its input, its end.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Pty, Sig};
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::commands::Commands;
use super::ending;
use crate::backend::process::{
    CommandSpec, ExitStatus, Process, ProcessControl, ProcessEvent, Stdin, Terminal, TerminalSize,
};
use crate::backend::remote::ssh_client::SshSession;
use crate::call::Call;
use crate::error::{Error, ErrorCode, Printable, Result};
use crate::pool;

/// Events that wait for their reader.
const EVENTS: usize = 16;
/// What a login may print before the command starts.
const MAX_PREFACE: usize = 64 << 10;
/// After the end, the rest of the output comes at once, unless something that the command left behind holds it open.
const REST_WITHIN: Duration = Duration::from_millis(500);
/// The number of `SIGKILL`.
const KILL: i32 = 9;

/// What is known of a running command to those who may end it.
pub(super) struct Running {
    pub(super) main: Arc<SshSession>,
    pub(super) process: u32,
    /// Cancelled when its end has been told.
    pub(super) ended: CancellationToken,
    /// Held by the one who ends it.
    pub(super) ending: tokio::sync::Mutex<()>,
    /// Why nobody waits for its end any more.
    given_up: Mutex<Option<Error>>,
    no_longer: CancellationToken,
}

impl Running {
    /// What became of it stays unknown.
    pub(super) fn give_up(&self, why: Error) {
        *self.given_up.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
        self.no_longer.cancel();
    }
}

pub(super) struct Started {
    pub(super) process: Process,
    pub(super) running: Arc<Running>,
}

enum Input {
    Bytes(Bytes, oneshot::Sender<Result<()>>),
    End,
}

/// Starts a command on a channel, and waits until it runs.
///
/// # Errors
/// `EXEC_ERROR` with what the server says, `CONNECTION_CLOSED`.
pub(super) async fn start(
    commands: &Arc<Commands>,
    channel: Channel<Msg>,
    text: Vec<u8>,
    mark: &str,
    spec: &CommandSpec,
    slot: OwnedSemaphorePermit,
) -> Result<Started> {
    let (mut reader, writer) = channel.split();
    if let Some(terminal) = &spec.terminal {
        request_terminal(&writer, terminal).await?;
    }
    writer.exec(true, text).await.map_err(broken)?;
    let mut preface = Preface::new(mark, spec.terminal.is_some());
    let process = preface.read(&mut reader).await?;
    let running = Arc::new(Running {
        main: Arc::clone(&commands.main),
        process,
        ended: CancellationToken::new(),
        ending: tokio::sync::Mutex::default(),
        given_up: Mutex::default(),
        no_longer: CancellationToken::new(),
    });
    let writer = Arc::new(writer);
    let (input, inputs) = mpsc::unbounded_channel();
    match &spec.stdin {
        _ if spec.terminal.is_some() => {}
        Stdin::Null => send(&input, Input::End),
        Stdin::Bytes(bytes) => {
            send(&input, Input::Bytes(bytes.clone(), oneshot::channel().0));
            send(&input, Input::End);
        }
        Stdin::Pipe => {}
    }
    tokio::spawn(feed(Arc::clone(&writer), inputs, running.ended.clone()));
    let (sender, events) = mpsc::channel(EVENTS);
    let pump = Pump {
        reader,
        writer: Arc::clone(&writer),
        events: sender,
        running: Arc::clone(&running),
        is_terminal: spec.terminal.is_some(),
    };
    tokio::spawn(pump.run(preface, slot));
    let control = Arc::new(Control {
        running: Arc::clone(&running),
        writer,
        input,
    });
    Ok(Started {
        process: Process { events, control },
        running,
    })
}

fn send(input: &mpsc::UnboundedSender<Input>, what: Input) {
    // Where nobody takes it any more, the command has ended.
    let _ = input.send(what);
}

fn broken(error: russh::Error) -> Error {
    Error::new(ErrorCode::ConnectionClosed, "the connection is gone").with_source(error)
}

async fn request_terminal(writer: &ChannelWriteHalf<Msg>, terminal: &Terminal) -> Result<()> {
    let size = terminal.size;
    let modes: &[(Pty, u32)] = &[];
    let asked = writer.request_pty(
        false,
        &terminal.name,
        u32::from(size.columns),
        u32::from(size.rows),
        u32::from(size.pixel_width),
        u32::from(size.pixel_height),
        modes,
    );
    asked.await.map_err(broken)
}

/// What comes before the command: whatever the login prints, then our mark on both streams.
struct Preface {
    mark: Vec<u8>,
    stdout: BytesMut,
    stderr: BytesMut,
    process: Option<u32>,
    stderr_marked: bool,
}

impl Preface {
    fn new(mark: &str, one_stream: bool) -> Self {
        Self {
            mark: mark.as_bytes().to_vec(),
            stdout: BytesMut::new(),
            stderr: BytesMut::new(),
            process: None,
            stderr_marked: one_stream,
        }
    }

    /// Reads up to the marks; what came behind them stays here.
    async fn read(&mut self, reader: &mut ChannelReadHalf) -> Result<u32> {
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
                Some(_) => {}
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

/// Moves input to the command, in order.
async fn feed(
    writer: Arc<ChannelWriteHalf<Msg>>,
    mut inputs: mpsc::UnboundedReceiver<Input>,
    ended: CancellationToken,
) {
    let mut pipe = writer.make_writer();
    loop {
        let input = tokio::select! {
            () = ended.cancelled() => return,
            input = inputs.recv() => input,
        };
        match input {
            Some(Input::Bytes(bytes, done)) => {
                let written = tokio::select! {
                    () = ended.cancelled() => return,
                    written = pipe.write_all(&bytes) => written,
                };
                let _ = done.send(written.map_err(|_| no_reader()));
            }
            Some(Input::End) | None => {
                let _ = writer.eof().await;
                return;
            }
        }
    }
}

fn no_reader() -> Error {
    Error::new(
        ErrorCode::IoError,
        "nobody reads the command's input any more",
    )
}

struct Pump {
    reader: ChannelReadHalf,
    writer: Arc<ChannelWriteHalf<Msg>>,
    events: mpsc::Sender<ProcessEvent>,
    running: Arc<Running>,
    is_terminal: bool,
}

impl Pump {
    async fn run(mut self, preface: Preface, slot: OwnedSemaphorePermit) {
        let Preface { stdout, stderr, .. } = preface;
        self.tell(stdout.freeze(), false).await;
        self.tell(stderr.freeze(), true).await;
        let running = Arc::clone(&self.running);
        let last = tokio::select! {
            last = self.output() => last,
            () = running.no_longer.cancelled() => ProcessEvent::Failed(self.reason()),
        };
        let _ = self.writer.close().await;
        // First, so that whoever hears of the end finds nothing running.
        self.running.ended.cancel();
        drop(slot);
        let _ = self.events.send(last).await;
    }

    fn reason(&self) -> Error {
        let given_up = self
            .running
            .given_up
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        given_up.unwrap_or_else(|| Error::new(ErrorCode::ExecError, "the command was given up"))
    }

    /// Output that nobody reads goes by.
    async fn tell(&self, bytes: Bytes, is_error: bool) {
        if bytes.is_empty() {
            return;
        }
        let event = if is_error && !self.is_terminal {
            ProcessEvent::Stderr(bytes)
        } else {
            ProcessEvent::Stdout(bytes)
        };
        let _ = self.events.send(event).await;
    }

    async fn output(&mut self) -> ProcessEvent {
        let mut exit = None;
        loop {
            let message = if exit.is_some() {
                match timeout(REST_WITHIN, self.reader.wait()).await {
                    Ok(message) => message,
                    Err(_) => break,
                }
            } else {
                self.reader.wait().await
            };
            match message {
                Some(ChannelMsg::Data { data }) => self.tell(data, false).await,
                Some(ChannelMsg::ExtendedData { data, .. }) => self.tell(data, true).await,
                Some(ChannelMsg::ExitStatus { exit_status }) => {
                    exit = Some(ExitStatus {
                        code: i32::try_from(exit_status).ok(),
                        signal: None,
                    });
                }
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    exit = Some(ExitStatus {
                        code: None,
                        signal: Some(number_of(&signal_name)),
                    });
                }
                None | Some(ChannelMsg::Close) => break,
                Some(_) => {}
            }
        }
        exit.map_or_else(
            || {
                ProcessEvent::Failed(Error::new(
                    ErrorCode::ConnectionClosed,
                    "the connection ended before the command; what became of it is not known",
                ))
            },
            ProcessEvent::Exit,
        )
    }
}

/// Signals that SSH has names for.
const SIGNALS: [(Sig, i32); 11] = [
    (Sig::HUP, 1),
    (Sig::INT, 2),
    (Sig::QUIT, 3),
    (Sig::ILL, 4),
    (Sig::ABRT, 6),
    (Sig::FPE, 8),
    (Sig::KILL, KILL),
    (Sig::USR1, 10),
    (Sig::SEGV, 11),
    (Sig::PIPE, 13),
    (Sig::ALRM, 14),
];

fn number_of(signal: &Sig) -> i32 {
    if matches!(signal, Sig::TERM) {
        return 15;
    }
    SIGNALS
        .iter()
        .find(|(named, _)| std::mem::discriminant(named) == std::mem::discriminant(signal))
        .map_or(KILL, |&(_, number)| number)
}

fn signal_of(number: i32) -> Option<Sig> {
    if number == 15 {
        return Some(Sig::TERM);
    }
    SIGNALS
        .iter()
        .find(|&&(_, known)| known == number)
        .map(|(signal, _)| signal.clone())
}

struct Control {
    running: Arc<Running>,
    writer: Arc<ChannelWriteHalf<Msg>>,
    input: mpsc::UnboundedSender<Input>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("process", &self.running.process)
            .finish_non_exhaustive()
    }
}

impl Control {
    fn kill(&self) {
        if self.running.ended.is_cancelled() {
            return;
        }
        let running = Arc::clone(&self.running);
        pool::runtime().spawn(async move { ending::end(&running).await });
    }
}

impl ProcessControl for Control {
    fn pid(&self) -> u32 {
        self.running.process
    }

    fn write_stdin(&self, bytes: Bytes) -> Call<()> {
        let (done, written) = oneshot::channel();
        send(&self.input, Input::Bytes(bytes, done));
        Call::pending(async move { written.await.unwrap_or_else(|_| Err(no_reader())) })
    }

    fn close_stdin(&self) {
        send(&self.input, Input::End);
    }

    fn signal(&self, signal: i32) {
        if signal == KILL {
            self.kill();
        } else if let Some(name) = signal_of(signal) {
            let writer = Arc::clone(&self.writer);
            pool::runtime().spawn(async move {
                let _ = writer.signal(name).await;
            });
        }
    }

    fn resize(&self, size: TerminalSize) {
        let writer = Arc::clone(&self.writer);
        pool::runtime().spawn(async move {
            let changed = writer.window_change(
                u32::from(size.columns),
                u32::from(size.rows),
                u32::from(size.pixel_width),
                u32::from(size.pixel_height),
            );
            let _ = changed.await;
        });
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.kill();
    }
}
