//! Commands: judged, started, collected within bounds, and ended.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::Workspace;
use super::observer::{CommandOutput, OperationRecord};
use super::outcome::{Kept, failed, lost};
use super::permission::Question;
use super::slots::{Bounds, Slot};
use crate::access::Access;
use crate::backend::limits::Limits;
use crate::backend::process::{
    CommandSpec, ExitStatus, Process, ProcessEvent, Stdin, Variables, check_variable,
};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::policy::{self, PolicyContext};
use crate::pool;

/// How long an ended command may take to report its end before the call fails without it.
pub(super) const END_WITHIN: Duration = Duration::from_secs(8);

/// `SIGKILL`, which is 9 everywhere.
pub(super) const KILL: i32 = 9;

/// The two streams of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Told of every piece of output as it comes, bounded or not. Called on a thread of the runtime; must not block.
pub type OutputListener = Arc<dyn Fn(OutputStream, Bytes) + Send + Sync>;

/// How to run a command.
#[derive(Clone, Default)]
pub struct RunOptions {
    /// Working directory, as any path of the workspace. `None`: its root.
    pub cwd: Option<Vec<u8>>,
    /// On top of the workspace's.
    pub env: Variables,
    /// Standard input. `None`: `/dev/null`, and for `spawn` a pipe.
    pub stdin: Option<Bytes>,
    /// Time limit in milliseconds; `None` takes the workspace's, 0 is none.
    pub timeout_ms: Option<u64>,
    /// Ends the command: `ABORTED`.
    pub cancel: CancellationToken,
    /// Bytes kept of each stream; `None` takes the workspace's.
    pub max_output_bytes: Option<usize>,
    /// What it may use, with everything that it starts; never more than the backend allows every command.
    pub limits: Limits,
    /// Told of output as it comes.
    pub on_output: Option<OutputListener>,
}

/// A command that has started.
#[derive(Debug)]
pub(super) struct Begun {
    pub(super) process: Process,
    /// How long the application's answer took, which is not the command's time.
    pub(super) waited: Duration,
    /// To be dropped at its end.
    pub(super) slot: Slot,
}

impl fmt::Debug for RunOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions")
            .field("cwd", &self.cwd)
            .field("timeout_ms", &self.timeout_ms)
            .field("max_output_bytes", &self.max_output_bytes)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Workspace {
    /// Runs a command to its end, whatever its exit code.
    ///
    /// Errors: `EMPTY_COMMAND`; `INVALID_CONFIGURATION` (NUL, names of variables); `DANGEROUS_OPERATION` (nothing was
    /// started); `NOT_FOUND`, `NOT_A_DIRECTORY`, `PATH_ESCAPE_ATTEMPT` (cwd); `NOT_IMPLEMENTED`, `MISSING_UTILITIES`,
    /// `EXEC_ERROR` (it could not be started); `TIMEOUT`, `ABORTED`, `DESTROYED`, `LIMIT_EXCEEDED`, `QUOTA_EXCEEDED`, which carry what it had printed
    /// ([`Error::failure`]) and come after everything that it started has ended.
    pub fn run(&self, command: &str, options: RunOptions) -> Call<CommandOutput> {
        self.command("run", command, options, Ok)
    }

    /// Runs a command that must succeed: as [`Workspace::run`], and `EXEC_FAILED` with exit code and output
    /// ([`Error::failure`]) where it ends otherwise.
    pub fn exec(&self, command: &str, options: RunOptions) -> Call<CommandOutput> {
        self.command("exec", command, options, |output| {
            if output.exit_code == Some(0) {
                Ok(output)
            } else {
                Err(failed(output))
            }
        })
    }

    fn command(
        &self,
        operation: &'static str,
        command: &str,
        options: RunOptions,
        judge: fn(CommandOutput) -> Result<CommandOutput>,
    ) -> Call<CommandOutput> {
        let started = Instant::now();
        let prepared = match self.prepare(operation, Some(command), &options, Stdin::Null) {
            Ok(prepared) => prepared,
            Err(error) => {
                self.record_command(operation, command, started, Err(&error));
                return Call::err(error);
            }
        };
        let workspace = self.clone();
        let command = command.to_owned();
        Call::spawned(async move {
            let outcome = match workspace.begin(operation, &prepared, &options).await {
                Ok(begun) => workspace.collect(begun, &options, started).await,
                Err(error) => Err(error),
            };
            let outcome = outcome
                .and_then(judge)
                .map_err(|error| error.during(operation));
            workspace.record_command(operation, &command, started, outcome.as_ref());
            outcome
        })
    }

    /// Checks everything that needs no waiting. Without a text it is about a login shell.
    pub(super) fn prepare(
        &self,
        operation: &'static str,
        command: Option<&str>,
        options: &RunOptions,
        default_stdin: Stdin,
    ) -> Result<CommandSpec> {
        let cwd = options.cwd.as_deref().unwrap_or_default();
        let cwd = self.parse(operation, cwd)?;
        self.check_start(&cwd)
            .map_err(|error| of_directory(error, &cwd).during(operation))?;
        let invalid = |code, message: &str| Err(Error::new(code, message).during(operation));
        if command.is_some_and(|command| command.trim().is_empty()) {
            return invalid(ErrorCode::EmptyCommand, "the command is empty");
        }
        let command = command.unwrap_or_default();
        if command.contains('\0') {
            return invalid(
                ErrorCode::InvalidConfiguration,
                "the command contains a NUL character",
            );
        }
        for (name, value) in &options.env {
            check_variable(name, value.as_deref()).map_err(|error| error.during(operation))?;
        }
        options
            .limits
            .check()
            .map_err(|error| error.during(operation))?;
        let scope = self.inner.env.iter();
        Ok(CommandSpec {
            command: command.to_owned(),
            cwd,
            env: scope
                .map(|(name, value)| (name.clone(), Some(value.clone())))
                .chain(options.env.iter().cloned())
                .collect(),
            stdin: options.stdin.clone().map_or(default_stdin, Stdin::Bytes),
            terminal: None,
            login_shell: false,
            egress_log: self.network_log(),
            limits: options.limits,
            masks: Vec::new(),
        })
    }

    /// Lets the command policy judge and the application answer, then starts; ends early where the caller or the
    /// workspace ends the call.
    pub(super) async fn begin(
        &self,
        operation: &'static str,
        spec: &CommandSpec,
        options: &RunOptions,
    ) -> Result<Begun> {
        let slot = self.take_slot()?;
        let deadline = self.time_left(options, Instant::now());
        let named = |error| of_directory(error, &spec.cwd);
        let judging = async { self.judge(spec).await.map_err(named) };
        self.unless_interrupted(options, deadline, judging).await?;
        let mut waited = Duration::ZERO;
        let mut backend = Arc::clone(&self.inner.backend);
        if self.asks() {
            let question = Question {
                command: Some(spec.command.clone()),
                cancel: Some(options.cancel.clone()),
                ..Question::followed(operation, Access::Exec)
            };
            let asked = Instant::now();
            backend = self.approved(question, &spec.cwd).await.map_err(named)?;
            waited = asked.elapsed();
        }
        let deadline = deadline.map(|deadline| deadline + waited);
        let starting = async { backend.spawn(spec.clone()).await.map_err(named) };
        let process = self.unless_interrupted(options, deadline, starting).await?;
        Ok(Begun {
            process,
            waited,
            slot,
        })
    }

    /// The one place where it is counted how many commands run.
    fn take_slot(&self) -> Result<Slot> {
        let options = &self.inner.options;
        let bounds = Bounds {
            total: options.max_commands,
            per_tenant: options.max_commands_per_principal,
        };
        self.inner.held.commands.take(&self.inner.tenant, bounds)
    }

    /// Reading a command takes time that an event loop does not have, so it is done on the pool.
    async fn judge(&self, spec: &CommandSpec) -> Result<()> {
        if !self.inner.options.prevent_dangerous || spec.login_shell {
            return Ok(());
        }
        let backend = Arc::clone(&self.inner.backend);
        let command = spec.command.clone();
        let cwd = spec.cwd.clone();
        let verdict = pool::run(move || {
            let root_dir = backend.root_dir();
            Ok(policy::judge(
                &command,
                &PolicyContext {
                    root_dir,
                    cwd: &cwd.beneath(root_dir),
                    refuse_outside_writes: backend.policy_confines(),
                },
            ))
        })
        .await?;
        verdict.map_err(|refusal| {
            if let Some(observer) = &self.inner.observer {
                observer.dangerous(&spec.command);
            }
            refusal.into_error(&spec.command)
        })
    }

    /// Reads a command to its end.
    async fn collect(
        &self,
        begun: Begun,
        options: &RunOptions,
        started: Instant,
    ) -> Result<CommandOutput> {
        let started = started + begun.waited;
        let mut kept = Kept::new(
            options
                .max_output_bytes
                .unwrap_or(self.inner.options.max_output_bytes),
        );
        let outcome = self
            .follow(begun.process, options, started, |stream, bytes| {
                kept.push(stream, &bytes)
            })
            .await;
        kept.outcome(outcome, started.elapsed())
    }

    /// Hands every piece of output on, and waits for the end, or for a reason to bring it about.
    pub(super) async fn follow(
        &self,
        mut process: Process,
        options: &RunOptions,
        started: Instant,
        mut keep: impl FnMut(OutputStream, Bytes),
    ) -> Result<ExitStatus> {
        let listener = options.on_output.as_ref();
        let mut take = |event| {
            let (stream, bytes) = match event {
                ProcessEvent::Stdout(bytes) => (OutputStream::Stdout, bytes),
                ProcessEvent::Stderr(bytes) => (OutputStream::Stderr, bytes),
                ProcessEvent::Exit(status) => return Some(Ok(status)),
                ProcessEvent::Failed(error) => return Some(Err(error)),
            };
            if let Some(listener) = listener {
                listener(stream, bytes.clone());
            }
            keep(stream, bytes);
            None
        };
        let interrupted = self.interruption(options, self.time_left(options, started));
        tokio::pin!(interrupted);
        let interruption = loop {
            tokio::select! {
                biased;
                interruption = &mut interrupted => break interruption,
                event = process.events.recv() => match event.map(&mut take) {
                    Some(Some(end)) => return end,
                    Some(None) => {}
                    None => return Err(lost()),
                },
            }
        };
        process.control.signal(KILL);
        let rest = async {
            while let Some(event) = process.events.recv().await {
                if take(event).is_some() {
                    break;
                }
            }
        };
        // What hangs in the kernel cannot be ended; the caller is told all the same.
        let _ = tokio::time::timeout(END_WITHIN, rest).await;
        Err(interruption.into())
    }

    pub(super) fn record_command(
        &self,
        operation: &'static str,
        command: &str,
        started: Instant,
        outcome: Result<&CommandOutput, &Error>,
    ) {
        let Some(observer) = &self.inner.observer else {
            return;
        };
        let printed = outcome
            .err()
            .and_then(Error::failure)
            .map(|failure| CommandOutput {
                stdout: failure.stdout.clone(),
                stderr: failure.stderr.clone(),
                exit_code: failure.exit_code,
                signal: failure.signal,
                truncated: false,
                duration: started.elapsed(),
            });
        observer.operation(&OperationRecord {
            operation,
            target: command,
            principal: self.principal(),
            scope: &self.inner.owner.scope,
            root_dir: self.root_dir(),
            error: outcome.err(),
            output: outcome.ok().or(printed.as_ref()),
            duration: started.elapsed(),
        });
    }
}

/// The failure to use a directory names it, where it is not the root.
fn of_directory(error: Error, cwd: &RelPath) -> Error {
    match cwd.is_root() {
        true => error,
        false => error.at(cwd.to_string_lossy()),
    }
}
