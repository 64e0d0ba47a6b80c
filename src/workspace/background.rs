//! Commands that go on after the call that started them, until they end, are killed, or their workspace is destroyed.

use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::Workspace;
use super::commands::{Begun, RunOptions};
use super::observer::CommandOutput;
use super::outcome::Kept;
use crate::backend::process::{ExitStatus, ProcessControl, Stdin};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::pool;
use crate::sys::linux::random::random;

/// How many background commands one principal may run at a time in one scope, and how many ended ones are remembered
/// beside them, each for [`super::ENDED_FOR`].
pub const MAX_BACKGROUND: usize = 64;

/// What became of a background command.
#[derive(Clone, Debug)]
pub enum CommandStatus {
    /// It runs.
    Running,
    /// It ended by itself, or by a signal that was sent to it.
    Exited(ExitStatus),
    /// It was ended (`TIMEOUT`, `ABORTED`, `DESTROYED`), or could not be run after all.
    Failed(Error),
}

/// What a command printed between two looks at it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewOutput {
    /// Of standard output, what is still kept.
    pub stdout: Vec<u8>,
    /// Of standard error.
    pub stderr: Vec<u8>,
    /// Where standard output was read up to: where the next look begins.
    pub stdout_to: u64,
    /// The same of standard error.
    pub stderr_to: u64,
    /// Bytes of standard output before `stdout_to` that are not kept any more.
    pub stdout_missed: u64,
    /// The same of standard error.
    pub stderr_missed: u64,
    /// Where in `stdout` they are missing: 0 unless the beginning of the output was still to be read.
    pub stdout_gap: usize,
    /// The same of standard error.
    pub stderr_gap: usize,
}

/// A command in the background. A clone is the same command; dropping every clone does not end it.
#[derive(Clone)]
pub struct BackgroundCommand {
    inner: Arc<Inner>,
    /// Whether whoever has it may run commands: what it reads may be one.
    feeds: bool,
}

struct Inner {
    id: String,
    command: String,
    started: Instant,
    control: Arc<dyn ProcessControl>,
    state: Mutex<State>,
    ended: CancellationToken,
}

struct State {
    status: CommandStatus,
    kept: Kept,
    duration: Duration,
}

impl BackgroundCommand {
    /// Names it in its workspace; cannot be guessed.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The text that was started.
    #[must_use]
    pub fn command(&self) -> &str {
        &self.inner.command
    }

    /// Process id of the outermost process, as the host sees it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.inner.control.pid()
    }

    /// Whether it runs, or how it ended.
    #[must_use]
    pub fn status(&self) -> CommandStatus {
        self.state().status.clone()
    }

    /// What it has printed so far, within the bound.
    #[must_use]
    pub fn output(&self) -> CommandOutput {
        self.state().output(self.inner.started)
    }

    /// What it has printed since these places in its two streams, counted in bytes from their beginnings, as far as it
    /// is still kept. Called again with `stdout_to` and `stderr_to`, it goes on where it stopped. While the command
    /// runs, the beginning of a UTF-8 character whose rest has not come is held back.
    #[must_use]
    pub fn output_since(&self, stdout_from: u64, stderr_from: u64) -> NewOutput {
        let state = self.state();
        let is_complete = !matches!(state.status, CommandStatus::Running);
        state.kept.since(stdout_from, stderr_from, is_complete)
    }

    /// Its end: the output, whatever the exit code; or the error that ended it, with what it had printed.
    pub fn wait(&self) -> Call<CommandOutput> {
        let this = self.clone();
        if this.inner.ended.is_cancelled() {
            return Call::Ready(this.outcome());
        }
        Call::spawned(async move {
            this.inner.ended.cancelled().await;
            this.outcome()
        })
    }

    /// Sends a signal to it; `SIGKILL` (9) ends everything that it started.
    pub fn kill(&self, signal: i32) {
        self.inner.control.signal(signal);
    }

    /// Feeds its standard input; resolves when the bytes are in the pipe. `CONNECTION_CLOSED` where it reads no more;
    /// `POLICY_DENIED` where it was found by who may not run commands.
    pub fn write_stdin(&self, bytes: Bytes) -> Call<()> {
        if !self.feeds {
            return Call::err(may_not_feed());
        }
        self.inner.control.write_stdin(bytes)
    }

    /// Ends its standard input.
    pub fn close_stdin(&self) {
        self.inner.control.close_stdin();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes of output it holds.
    pub(super) fn kept_bytes(&self) -> usize {
        self.state().kept.len()
    }

    fn outcome(&self) -> Result<CommandOutput> {
        let state = self.state();
        match &state.status {
            CommandStatus::Failed(error) => state.kept.outcome(Err(error.clone()), state.duration),
            _ => Ok(state.output(self.inner.started)),
        }
    }

    fn end(&self, ended: Result<ExitStatus>) {
        let mut state = self.state();
        state.duration = self.inner.started.elapsed();
        state.status = match ended {
            Ok(status) => CommandStatus::Exited(status),
            Err(error) => CommandStatus::Failed(error),
        };
        drop(state);
        self.inner.ended.cancel();
    }
}

impl State {
    fn output(&self, started: Instant) -> CommandOutput {
        match &self.status {
            CommandStatus::Running => self.kept.output(None, started.elapsed()),
            CommandStatus::Exited(status) => self.kept.output(Some(*status), self.duration),
            CommandStatus::Failed(_) => self.kept.output(None, self.duration),
        }
    }
}

impl fmt::Debug for BackgroundCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackgroundCommand")
            .field("id", &self.inner.id)
            .field("pid", &self.pid())
            .finish_non_exhaustive()
    }
}

impl Workspace {
    /// Starts a command and leaves it running. Standard input is a pipe unless `options.stdin` gives it whole; there
    /// is no time limit but `options.timeout_ms`. Errors: those of [`Workspace::run`] up to the start, and
    /// `LIMIT_EXCEEDED` beyond [`MAX_BACKGROUND`].
    pub fn spawn(&self, command: &str, mut options: RunOptions) -> Call<BackgroundCommand> {
        let started = Instant::now();
        // The workspace's limit is for calls that somebody waits for.
        options.timeout_ms = options.timeout_ms.or(Some(0));
        let prepared = self
            .prepare("spawn", Some(command), &options, Stdin::Pipe)
            .and_then(|spec| self.check_room().map(|()| spec));
        let spec = match prepared {
            Ok(spec) => spec,
            Err(error) => {
                let error = error.during("spawn");
                self.record_command("spawn", command, started, Err(&error));
                return Call::err(error);
            }
        };
        let workspace = self.clone();
        Call::spawned(async move {
            let outcome = match workspace.begin("spawn", &spec, &options).await {
                Ok(begun) => workspace.keep(begun, &spec.command, options, started),
                Err(error) => Err(error),
            }
            .map_err(|error| error.during("spawn"));
            if let Err(error) = &outcome {
                workspace.record_command("spawn", &spec.command, started, Err(error));
            }
            outcome
        })
    }

    /// The background commands that were started in this scope by the same principal, through whichever object, oldest
    /// first; ended ones among them, for [`super::ENDED_FOR`].
    #[must_use]
    pub fn background_commands(&self) -> Vec<BackgroundCommand> {
        let mut commands = (self.inner.held).commands(&self.inner.owner, Instant::now());
        for command in &mut commands {
            command.feeds = self.rights().exec;
        }
        commands
    }

    /// The one of [`Workspace::background_commands`] with this id.
    #[must_use]
    pub fn background_command(&self, id: &str) -> Option<BackgroundCommand> {
        let mut commands = self.background_commands().into_iter();
        commands.find(|command| command.id() == id)
    }

    fn check_room(&self) -> Result<()> {
        (self.inner.held).check_room(&self.inner.owner, Instant::now())
    }

    /// Puts a started command into the registry and reads it in a task of its own.
    fn keep(
        &self,
        begun: Begun,
        command: &str,
        options: RunOptions,
        started: Instant,
    ) -> Result<BackgroundCommand> {
        let started = started + begun.waited;
        let (process, slot) = (begun.process, begun.slot);
        let limit = options
            .max_output_bytes
            .unwrap_or(self.inner.options.max_output_bytes);
        let kept = BackgroundCommand {
            feeds: true,
            inner: Arc::new(Inner {
                id: unguessable()?,
                command: command.to_owned(),
                started,
                control: Arc::clone(&process.control),
                state: Mutex::new(State {
                    status: CommandStatus::Running,
                    kept: Kept::new(limit),
                    duration: Duration::ZERO,
                }),
                ended: CancellationToken::new(),
            }),
        };
        let (held, owner) = (&self.inner.held, &self.inner.owner);
        let age = held.add(owner, &kept, Instant::now())?;
        let (workspace, running) = (self.clone(), kept.clone());
        pool::runtime().spawn(async move {
            let ended = workspace
                .follow(process, &options, started, |stream, bytes| {
                    running.state().kept.push(stream, &bytes);
                })
                .await
                .map_err(|error| error.during("spawn"));
            // Whoever waits for its end finds room for another then.
            drop(slot);
            (workspace.inner.held).ended(&workspace.inner.owner, age, Instant::now());
            running.end(ended);
            let outcome = running.outcome();
            workspace.record_command("spawn", running.command(), started, outcome.as_ref());
        });
        Ok(kept)
    }
}

fn may_not_feed() -> Error {
    Error::new(
        ErrorCode::PolicyDenied,
        "this client may not run commands here, nor feed one that runs",
    )
}

/// 128 random bits, in hexadecimal.
pub(crate) fn unguessable() -> Result<String> {
    let bytes: [u8; 16] = random()?;
    let mut text = String::with_capacity(32);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Ok(text)
}
