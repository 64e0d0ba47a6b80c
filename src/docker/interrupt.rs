//! Ctrl-C while an image is built or a container starts: what the engine's command line does is ended, and what was made
//! so far is removed before this process ends.

use std::io;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::{Error, ErrorCode, Result};

/// The signal that came, 0 for none.
static CAME: AtomicI32 = AtomicI32::new(0);
/// The command line that runs.
static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

/// Signals that ask for an end.
const ASKED: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

/// From now on such a signal ends what runs, instead of this process.
///
/// # Errors
/// `IO_ERROR` where no thread can be made.
pub(super) fn listen() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .build()?;
    let mut signals = Vec::new();
    {
        let _inside = runtime.enter();
        for asked in ASKED {
            let kind = SignalKind::from_raw(asked.as_raw());
            signals.push((asked, signal(kind)?));
        }
    }
    std::thread::Builder::new()
        .name("agent-backend-signals".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let [(a, one), (b, other), (c, third)] = &mut signals[..] else {
                    return;
                };
                loop {
                    let came = tokio::select! {
                        _ = one.recv() => *a,
                        _ = other.recv() => *b,
                        _ = third.recv() => *c,
                    };
                    // Before the look at what runs: what is started after it is never left to run.
                    CAME.store(came.as_raw(), Ordering::SeqCst);
                    if let Some(running) = *running() {
                        let _ = kill_process(running, came);
                    }
                }
            });
        })?;
    Ok(())
}

/// Fails once such a signal came.
pub(super) fn check() -> Result<()> {
    match CAME.load(Ordering::SeqCst) {
        0 => Ok(()),
        _ => Err(Error::new(
            ErrorCode::Aborted,
            "interrupted; what was begun is undone",
        )),
    }
}

/// The exit status of who was ended by such a signal.
pub(super) fn exit_code() -> Option<u8> {
    match CAME.load(Ordering::SeqCst) {
        0 => None,
        came => u8::try_from(128 + came).ok(),
    }
}

/// Runs a command whose output is the user's to see, and which may take long.
pub(super) fn status(command: &mut Command) -> io::Result<ExitStatus> {
    let mut child = start(command)?;
    // Whoever was told to end before it was there to be ended.
    let came = CAME.load(Ordering::SeqCst);
    if let (Some(signal), Some(running)) = (Signal::from_named_raw(came), *running()) {
        let _ = kill_process(running, signal);
    }
    let status = child.wait();
    *running() = None;
    status
}

/// Runs a command and gives what it printed.
pub(super) fn output(command: &mut Command) -> io::Result<Output> {
    let child = start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let output = child.wait_with_output();
    *running() = None;
    output
}

fn start(command: &mut Command) -> io::Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let mut running = running();
    // In a group of its own the terminal's signal reaches it by us alone: of two, a daemon would take the second for
    // impatience.
    let child = command.stdin(Stdio::null()).process_group(0).spawn()?;
    *running = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    Ok(child)
}

fn running() -> MutexGuard<'static, Option<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}
