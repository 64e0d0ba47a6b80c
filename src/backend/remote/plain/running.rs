//! One running command: its output, its input, its end.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Pty};
use tokio::io::AsyncWriteExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::commands::Commands;
use super::ending;
use super::preface::Preface;
use super::signals::{KILL, number_of, signal_of};
use crate::backend::process::{
    CommandSpec, ExitStatus, Process, ProcessControl, ProcessEvent, Stdin, Terminal, TerminalSize,
};
use crate::backend::remote::ssh_client::SshSession;
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::pool;

/// Events that wait for their reader.
const EVENTS: usize = 16;
/// After the end, the rest of the output comes at once, unless something that the command left behind holds it open.
const REST_WITHIN: Duration = Duration::from_millis(500);

/// What is known of a running command to those who may end it.
pub(super) struct Running {
    pub(super) main: Arc<SshSession>,
    /// What its channel is on, which lives as long as it.
    _session: Arc<SshSession>,
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
    (session, channel): (Arc<SshSession>, Channel<Msg>),
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
        _session: session,
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
    let modes: Vec<(Pty, u32)> = (terminal.modes.iter())
        .filter_map(|&(mode, value)| Some((Pty::from_u8(mode)?, value)))
        .collect();
    let asked = writer.request_pty(
        false,
        &terminal.name,
        u32::from(size.columns),
        u32::from(size.rows),
        u32::from(size.pixel_width),
        u32::from(size.pixel_height),
        &modes,
    );
    asked.await.map_err(broken)
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
        let Preface {
            stdout,
            stderr,
            exit,
            ..
        } = preface;
        self.tell(stdout.freeze(), false).await;
        self.tell(stderr.freeze(), true).await;
        let running = Arc::clone(&self.running);
        let last = tokio::select! {
            last = self.output(exit) => last,
            () = running.no_longer.cancelled() => ProcessEvent::Failed(self.reason()),
        };
        let _ = self.writer.close().await;
        let cleared = async { while self.reader.wait().await.is_some() {} };
        let _ = timeout(REST_WITHIN, cleared).await;
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

    async fn output(&mut self, mut exit: Option<ExitStatus>) -> ProcessEvent {
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
                None | Some(ChannelMsg::Close) => break,
                Some(other) => exit = exit_of(&other).or(exit),
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

/// How a command ended, where a message says so.
pub(super) fn exit_of(message: &ChannelMsg) -> Option<ExitStatus> {
    match message {
        ChannelMsg::ExitStatus { exit_status } => Some(ExitStatus {
            code: i32::try_from(*exit_status).ok(),
            signal: None,
        }),
        ChannelMsg::ExitSignal { signal_name, .. } => Some(ExitStatus {
            code: None,
            signal: Some(number_of(signal_name)),
        }),
        _ => None,
    }
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
