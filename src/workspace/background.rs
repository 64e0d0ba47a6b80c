//! Commands that go on after the call that started them, until they end, are killed, or their workspace is destroyed.

use std::collections::BTreeMap;
use std::fmt;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::Workspace;
use super::commands::RunOptions;
use super::observer::CommandOutput;
use super::outcome::{Kept, in_runtime};
use crate::backend::process::{ExitStatus, Process, ProcessControl, Stdin};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::pool;
use crate::sys::linux::random::random;

/// How many background commands one workspace may run at a time, and how many ended ones it remembers.
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

/// A command in the background. A clone is the same command; dropping every clone does not end it.
#[derive(Clone)]
pub struct BackgroundCommand {
    inner: Arc<Inner>,
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

    /// Its end: the output, whatever the exit code; or the error that ended it, with what it had printed.
    pub fn wait(&self) -> Call<CommandOutput> {
        let this = self.clone();
        if this.inner.ended.is_cancelled() {
            return Call::Ready(this.outcome());
        }
        in_runtime(async move {
            this.inner.ended.cancelled().await;
            this.outcome()
        })
    }

    /// Sends a signal to it; `SIGKILL` (9) ends everything that it started.
    pub fn kill(&self, signal: i32) {
        self.inner.control.signal(signal);
    }

    /// Feeds its standard input; resolves when the bytes are in the pipe. `CONNECTION_CLOSED` where it reads no more.
    pub fn write_stdin(&self, bytes: Bytes) -> Call<()> {
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

    fn is_running(&self) -> bool {
        matches!(self.state().status, CommandStatus::Running)
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

/// The background commands of one workspace, by age.
#[derive(Debug, Default)]
pub(super) struct Background(Mutex<BTreeMap<u64, BackgroundCommand>>);

impl Background {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, BackgroundCommand>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_room(&self) -> Result<()> {
        if self
            .lock()
            .values()
            .filter(|command| command.is_running())
            .count()
            < MAX_BACKGROUND
        {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::LimitExceeded,
            format!(
                "{MAX_BACKGROUND} background commands run in this workspace already; end one of them first"
            ),
        ))
    }

    /// Adds one, unless too many run; forgets the oldest of too many that have ended.
    fn add(&self, command: &BackgroundCommand) -> Result<()> {
        self.check_room()?;
        let mut commands = self.lock();
        let ended: Vec<u64> = commands
            .iter()
            .filter(|(_, command)| !command.is_running())
            .map(|(age, _)| *age)
            .collect();
        for age in ended
            .iter()
            .take(ended.len().saturating_sub(MAX_BACKGROUND - 1))
        {
            commands.remove(age);
        }
        let age = commands.last_key_value().map_or(0, |(age, _)| age + 1);
        commands.insert(age, command.clone());
        Ok(())
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
            .prepare("spawn", command, &options, Stdin::Pipe)
            .and_then(|spec| self.inner.background.check_room().map(|()| spec));
        let spec = match prepared {
            Ok(spec) => spec,
            Err(error) => {
                let error = error.during("spawn");
                self.record_command("spawn", command, started, Err(&error));
                return Call::err(error);
            }
        };
        let workspace = self.clone();
        in_runtime(async move {
            let outcome = match workspace.begin(&spec, &options).await {
                Ok(process) => workspace.keep(process, &spec.command, options, started),
                Err(error) => Err(error),
            }
            .map_err(|error| error.during("spawn"));
            if let Err(error) = &outcome {
                workspace.record_command("spawn", &spec.command, started, Err(error));
            }
            outcome
        })
    }

    /// The background commands that this workspace knows, oldest first; ended ones among them.
    #[must_use]
    pub fn background_commands(&self) -> Vec<BackgroundCommand> {
        self.inner.background.lock().values().cloned().collect()
    }

    /// The background command with this id.
    #[must_use]
    pub fn background_command(&self, id: &str) -> Option<BackgroundCommand> {
        let commands = self.inner.background.lock();
        commands
            .values()
            .find(|command| command.id() == id)
            .cloned()
    }

    /// Puts a started command into the registry and reads it in a task of its own.
    fn keep(
        &self,
        process: Process,
        command: &str,
        options: RunOptions,
        started: Instant,
    ) -> Result<BackgroundCommand> {
        let limit = options
            .max_output_bytes
            .unwrap_or(self.inner.options.max_output_bytes);
        let kept = BackgroundCommand {
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
        self.inner.background.add(&kept)?;
        let (workspace, running) = (self.clone(), kept.clone());
        pool::runtime().spawn(async move {
            let ended = workspace
                .follow(process, &options, started, |stream, bytes| {
                    running.state().kept.push(stream, &bytes);
                })
                .await
                .map_err(|error| error.during("spawn"));
            running.end(ended);
            let outcome = running.outcome();
            workspace.record_command("spawn", running.command(), started, outcome.as_ref());
        });
        Ok(kept)
    }
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
