//! Commands whose output streams to whoever started them, as the doors for other programs need it: any number of bytes
//! pass, at the speed of their reader, and none are kept.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Workspace;
use super::commands::{Begun, END_WITHIN, KILL, OutputStream, RunOptions};
use super::outcome::{Interruption, Kept, lost};
use super::slots::Slot;
use crate::backend::limits::Limits;
use crate::backend::process::{
    ExitStatus, Process, ProcessControl, ProcessEvent, Stdin, Terminal, Variables, check_terminal,
};
use crate::call::Call;
use crate::error::{Error, Result};
use crate::pool;

/// Pieces of output that wait for their reader here, besides those that the backend holds.
const EVENT_QUEUE: usize = 4;

/// Bytes of each stream that the operation log is told: of more, head and tail.
const LOGGED_BYTES: usize = 4 << 10;

/// How to start a command.
#[derive(Clone, Default)]
pub struct StartOptions {
    /// Working directory, as any path of the workspace. `None`: its root.
    pub cwd: Option<Vec<u8>>,
    /// Variables on top of the workspace's; `None` removes one.
    pub env: Variables,
    /// Standard input. Default: `/dev/null`. With a terminal it is always what is typed.
    pub stdin: Stdin,
    /// Time limit in milliseconds, 0 is none. `None` takes the workspace's, and with a terminal or a login shell none.
    pub timeout_ms: Option<u64>,
    /// Ends the command: [`ProcessEvent::Failed`] with `ABORTED`.
    pub cancel: CancellationToken,
    /// What it may use, with everything that it starts; never more than the backend allows every command.
    pub limits: Limits,
    /// A terminal of its own.
    pub terminal: Option<Terminal>,
    /// An interactive shell in place of the command, whose text is ignored. No text of it is judged: it takes the
    /// right to run commands, and the hook is asked about an empty one.
    pub login_shell: bool,
}

impl fmt::Debug for StartOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartOptions")
            .field("cwd", &self.cwd)
            .field("timeout_ms", &self.timeout_ms)
            .field("limits", &self.limits)
            .field("terminal", &self.terminal)
            .field("login_shell", &self.login_shell)
            .finish_non_exhaustive()
    }
}

impl StartOptions {
    /// What it has in common with the calls that collect.
    fn as_run(&self) -> RunOptions {
        let is_session = self.terminal.is_some() || self.login_shell;
        RunOptions {
            cwd: self.cwd.clone(),
            env: self.env.clone(),
            timeout_ms: self.timeout_ms.or(is_session.then_some(0)),
            cancel: self.cancel.clone(),
            limits: self.limits,
            ..RunOptions::default()
        }
    }
}

impl Workspace {
    /// Whether any command may be started in a directory at all, for whoever has to collect something before it can
    /// start one: [`Workspace::start`] asks that and more.
    ///
    /// # Errors
    /// `POLICY_DENIED`, `DESTROYED`, those of the path.
    pub fn check_command(&self, cwd: impl AsRef<[u8]>) -> Result<()> {
        let allowed = self
            .parse("start", cwd.as_ref())
            .and_then(|cwd| self.check_start(&cwd));
        allowed.map_err(|error| error.during("start"))
    }

    /// Starts a command, and hands its output on as it comes: a reader that stops holds the command, not the memory.
    /// The last event is `Exit`, or `Failed` with `TIMEOUT`, `ABORTED`, `DESTROYED`, `LIMIT_EXCEEDED`,
    /// `QUOTA_EXCEEDED`; it comes after everything that the command started has ended, also where nobody reads it.
    /// Dropping the control ends the command; dropping the events alone lets its output go by.
    ///
    /// Errors: those of [`Workspace::run`] up to the start; an empty command is one only without a login shell.
    pub fn start(&self, command: &str, options: StartOptions) -> Call<Process> {
        let started = Instant::now();
        let run = options.as_run();
        let text = (!options.login_shell).then_some(command);
        let prepared = check_terminal(options.terminal.as_ref())
            .and_then(|()| self.prepare("start", text, &run, Stdin::Null));
        let mut spec = match prepared {
            Ok(spec) => spec,
            Err(error) => {
                let error = error.during("start");
                self.record_command("start", command, started, Err(&error));
                return Call::err(error);
            }
        };
        spec.stdin = options.stdin;
        spec.terminal = options.terminal;
        spec.login_shell = options.login_shell;
        let workspace = self.clone();
        Call::spawned(async move {
            match workspace.begin("start", &spec, &run).await {
                Ok(begun) => Ok(workspace.stream(begun, spec.command, run, started)),
                Err(error) => {
                    let error = error.during("start");
                    workspace.record_command("start", &spec.command, started, Err(&error));
                    Err(error)
                }
            }
        })
    }

    /// Puts a task between the command and its reader, which ends it in time and logs it at its end.
    fn stream(
        &self,
        begun: Begun,
        command: String,
        options: RunOptions,
        started: Instant,
    ) -> Process {
        let Begun {
            process,
            waited,
            slot,
        } = begun;
        let (sender, receiver) = mpsc::channel(EVENT_QUEUE);
        let control = Arc::clone(&process.control);
        let mut relay = Relay {
            source: process.events,
            reader: sender,
            // Held by the reader alone, so that whoever drops it ends the command.
            control: Arc::downgrade(&process.control),
            kept: Kept::new(LOGGED_BYTES),
            slot,
        };
        let workspace = self.clone();
        pool::runtime().spawn(async move {
            let deadline = workspace.time_left(&options, started + waited);
            let interrupted = workspace.interruption(&options, deadline);
            let ended = relay
                .run(interrupted)
                .await
                .map_err(|error| error.during("start"));
            let Relay {
                kept, reader, slot, ..
            } = relay;
            // Whoever knows of its end finds it logged, and room for another.
            drop(slot);
            let outcome = kept.outcome(ended.clone(), started.elapsed());
            workspace.record_command("start", &command, started, outcome.as_ref());
            let last = match ended {
                Ok(status) => ProcessEvent::Exit(status),
                Err(error) => ProcessEvent::Failed(error),
            };
            let _ = reader.send(last).await;
        });
        Process {
            events: receiver,
            control,
        }
    }
}

/// What stands between a command and its reader.
struct Relay {
    source: mpsc::Receiver<ProcessEvent>,
    reader: mpsc::Sender<ProcessEvent>,
    control: Weak<dyn ProcessControl>,
    /// For the log.
    kept: Kept,
    slot: Slot,
}

impl Relay {
    /// Hands every piece of output on until the command ends, or must end.
    async fn run(&mut self, interrupted: impl Future<Output = Interruption>) -> Result<ExitStatus> {
        let interruption: Error = tokio::select! {
            biased;
            interruption = interrupted => interruption.into(),
            ended = self.hand_on() => return ended,
        };
        if let Some(control) = self.control.upgrade() {
            control.signal(KILL);
        }
        // What hangs in the kernel cannot be ended; the reader is told all the same.
        let _ = tokio::time::timeout(END_WITHIN, self.rest()).await;
        Err(interruption)
    }

    async fn hand_on(&mut self) -> Result<ExitStatus> {
        loop {
            // Room first: a piece that was taken and not handed on would be missing. Nobody reads any more: it goes by.
            let room = self.reader.reserve().await.ok();
            let Some(event) = self.source.recv().await else {
                return Err(lost());
            };
            match event {
                ProcessEvent::Exit(status) => return Ok(status),
                ProcessEvent::Failed(error) => return Err(error),
                ProcessEvent::Stdout(ref bytes) => self.kept.push(OutputStream::Stdout, bytes),
                ProcessEvent::Stderr(ref bytes) => self.kept.push(OutputStream::Stderr, bytes),
            }
            if let Some(room) = room {
                room.send(event);
            }
        }
    }

    /// What a command that is being ended still prints, up to where there is no room for it.
    async fn rest(&mut self) {
        let mut reads = true;
        while let Some(event) = self.source.recv().await {
            match event {
                ProcessEvent::Exit(_) | ProcessEvent::Failed(_) => return,
                ProcessEvent::Stdout(ref bytes) => self.kept.push(OutputStream::Stdout, bytes),
                ProcessEvent::Stderr(ref bytes) => self.kept.push(OutputStream::Stderr, bytes),
            }
            reads = reads && self.reader.try_send(event).is_ok();
        }
    }
}
