//! Moves the output of one command into its events, and decides when the command is over: when its main process has
//! ended and its streams are either closed or, where something that it left behind still holds them, silent.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use super::running::Running;
use super::streams::Stream;
use super::verdict::Verdict;
use crate::backend::process::{ExitStatus, ProcessEvent};
use crate::error::Result;
use crate::pool;
use crate::sys::linux::spawn::Ended;

/// How long what a command left in its sandbox may take to end; what hangs in the kernel is not waited for.
const GONE_WITHIN: Duration = Duration::from_secs(3);

/// How long a pipe that outlives the command may be silent before the command counts as over.
const IDLE_AFTER_EXIT: Duration = Duration::from_millis(100);

/// How long, and how many bytes, a pipe that outlives the command is read at most. A pipe holds 64 KiB, or 1 MiB
/// where a program enlarged it: what comes later was written by somebody else.
const LISTEN_AFTER_EXIT: Duration = Duration::from_secs(1);
const BYTES_AFTER_EXIT: usize = 2 << 20;

/// Bytes of standard error that are kept for the verdict.
const KEPT_FOR_VERDICT: usize = 2_000;

/// Runs until the command is over, then reports its end. `output` is its standard output and error.
pub(super) async fn pump(
    running: Arc<Running>,
    output: [Stream; 2],
    events: mpsc::Sender<ProcessEvent>,
    verdict: Option<Verdict>,
    finished: impl FnOnce(&Running) + Send,
) {
    let mut beginning = Vec::new();
    let outcome = match running.handle() {
        Ok(handle) => follow(&running, handle, output, &events, &mut beginning).await,
        Err(error) => Err(error),
    };
    if outcome.is_err() {
        // Nobody follows it any more: it must not run on.
        running.kill();
    }
    running.settle_kill().await;
    let reaped = running.reap();
    let ended = outcome.and(reaped);
    let ended = match verdict {
        Some(verdict) if !running.was_killed() => judged(verdict, ended, &beginning).await,
        _ => ended,
    };
    let ended = within_limits(&running, ended).await;
    // Before anybody can know that it ended, so that whoever acts on that finds it done.
    finished(&running);
    running.take_watch();
    running.ended().cancel();
    let _ = events
        .send(match ended {
            Ok(Ended::Code(code)) => ProcessEvent::Exit(ExitStatus {
                code: Some(code),
                signal: None,
            }),
            Ok(Ended::Signal(signal)) => ProcessEvent::Exit(ExitStatus {
                code: None,
                signal: Some(signal),
            }),
            Err(error) => ProcessEvent::Failed(error),
        })
        .await;
}

/// The end of a command that nobody killed, once all that it left in a sandbox has ended too.
async fn judged(verdict: Verdict, ended: Result<Ended>, beginning: &[u8]) -> Result<Ended> {
    let judged = verdict(ended?, beginning);
    if let Some(left) = judged.left {
        // SAFETY: an `OwnedFd` gives the same open descriptor for as long as it lives.
        let left = unsafe { AsyncFd::register_with_interest(left, Interest::READABLE) };
        if let Ok(left) = left {
            let _ = tokio::time::timeout(GONE_WITHIN, left.readable()).await;
        }
    }
    judged.ended
}

/// The end of a command, or the limit that brought it about.
async fn within_limits(running: &Running, ended: Result<Ended>) -> Result<Ended> {
    let excess = running.excess();
    let Some(watch) = running.watch() else {
        return excess.map_or(ended, Err);
    };
    if let Some(excess) = excess {
        watch.finish(false);
        return Err(excess);
    }
    let judged = match ended {
        // It was killed for another reason, or never ran.
        Ok(ended) if !running.was_killed() => Some(ended),
        _ => None,
    };
    watch.finish(judged.is_some());
    let Some(ended) = judged else { return ended };
    let excess = match watch.measures() {
        true => {
            let judging = pool::runtime().spawn_blocking(move || watch.judge(ended));
            judging.await.ok().flatten()
        }
        // A few files of the kernel: read sooner than handed over to another thread.
        false => watch.judge(ended),
    };
    excess.map_or(Ok(ended), Err)
}

/// Passes output on until the main process has ended and nothing more is to be expected from its pipes.
async fn follow(
    running: &Running,
    process: OwnedFd,
    output: [Stream; 2],
    events: &mpsc::Sender<ProcessEvent>,
    beginning: &mut Vec<u8>,
) -> Result<()> {
    // SAFETY: an `OwnedFd` gives the same open descriptor for as long as it lives.
    let process = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) }
        .map_err(std::io::Error::from)?;
    let [mut stdout, mut stderr] = output;
    // A terminal shows both in one.
    let both_in_one = stderr.is_closed();
    let mut after_exit: Option<AfterExit> = None;
    loop {
        if stdout.is_closed() && stderr.is_closed() {
            if after_exit.is_none() {
                let _ = process.readable().await?;
            }
            return Ok(());
        }
        let waiting = Instant::now();
        let event = tokio::select! {
            // The end first: output without an end must not hide it.
            biased;
            ended = process.readable(), if after_exit.is_none() => {
                let _ = ended?;
                after_exit = Some(AfterExit::default());
                continue;
            }
            chunk = stdout.next() => chunk.map(ProcessEvent::Stdout),
            chunk = stderr.next() => chunk.map(ProcessEvent::Stderr),
            () = tokio::time::sleep(IDLE_AFTER_EXIT), if after_exit.is_some() => return Ok(()),
        };
        if let Some(budget) = &mut after_exit
            && !budget.allows(waiting.elapsed(), &event)
        {
            return Ok(());
        }
        let said = match &event {
            Some(ProcessEvent::Stderr(bytes)) => Some(bytes),
            Some(ProcessEvent::Stdout(bytes)) if both_in_one => Some(bytes),
            _ => None,
        };
        if let Some(bytes) = said {
            let room = KEPT_FOR_VERDICT.saturating_sub(beginning.len());
            beginning.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        if let Some(event) = event {
            deliver(running, events, event).await;
        }
    }
}

/// Hands on one piece. Nobody reads: it goes by. The reader is slow: the command waits, unless it is being ended.
async fn deliver(running: &Running, events: &mpsc::Sender<ProcessEvent>, event: ProcessEvent) {
    if running.was_killed() {
        let _ = events.try_send(event);
        return;
    }
    tokio::select! {
        _ = events.send(event) => {}
        () = running.kill_finished() => {}
    }
}

/// What is still granted to a pipe whose command has ended.
#[derive(Default)]
struct AfterExit {
    waited: Duration,
    bytes: usize,
}

impl AfterExit {
    fn allows(&mut self, waited: Duration, event: &Option<ProcessEvent>) -> bool {
        self.waited += waited;
        if let Some(ProcessEvent::Stdout(bytes) | ProcessEvent::Stderr(bytes)) = event {
            self.bytes += bytes.len();
        }
        self.waited < LISTEN_AFTER_EXIT && self.bytes <= BYTES_AFTER_EXIT
    }
}
