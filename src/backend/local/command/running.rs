//! A command that runs: its pipes become events, and it can be fed, signalled and ended.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rustix::process::Pid;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::leftover::Leftover;
use super::limits::Watch;
use super::lineage::Lineage;
use super::streams::{Input, Master};
use crate::backend::process::{ProcessControl, Stdin, TerminalSize};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::pool;
use crate::sys::linux::spawn::{Child, Ended};
use crate::sys::linux::spawn_tree;

/// How long the end of a killed command is waited for before it is reported all the same.
const KILL_WITHIN: Duration = Duration::from_secs(5);

/// How long what used a terminal may take to end after that is gone.
const HANGS_UP_WITHIN: Duration = Duration::from_millis(500);

/// What stands between the process that was started and the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nesting {
    /// Nothing: it is the command, which may leave others behind.
    Flat,
    /// A launcher that ends with all that the command left.
    Supervised,
    /// A launcher, and the first process of a namespace, which the kernel ends with all in it.
    Sandboxed,
}

/// A started command, shared by whoever may act on it. The process is reaped under the lock, so that whoever holds
/// the lock and finds it unreaped knows that its number is still its own.
pub(super) struct Running {
    /// Process id of the outermost process.
    pid: u32,
    /// Where signals for the command have to go.
    nesting: Nesting,
    /// Absolute path of the scope that it runs for.
    scope: Vec<u8>,
    lineage: Arc<Lineage>,
    child: Mutex<Option<Child>>,
    /// The watch over its limits, until it has ended.
    watch: Mutex<Option<Arc<Watch>>>,
    /// The limit that it was ended for.
    excess: OnceLock<Error>,
    kill_begun: AtomicBool,
    kill_done: CancellationToken,
    /// Cancelled when the command and its output have ended.
    ended: CancellationToken,
}

impl Running {
    pub(super) fn new(
        child: Child,
        nesting: Nesting,
        scope: Vec<u8>,
        lineage: Arc<Lineage>,
        watch: Option<Arc<Watch>>,
    ) -> Self {
        Self {
            pid: child.pid.as_raw_nonzero().get().unsigned_abs(),
            nesting,
            scope,
            lineage,
            child: Mutex::new(Some(child)),
            watch: Mutex::new(watch),
            excess: OnceLock::new(),
            kill_begun: AtomicBool::new(false),
            kill_done: CancellationToken::new(),
            ended: CancellationToken::new(),
        }
    }

    pub(super) fn scope(&self) -> &[u8] {
        &self.scope
    }

    pub(super) fn lineage(&self) -> &Arc<Lineage> {
        &self.lineage
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// The outermost process, as long as its number is its own.
    pub(super) fn root(&self) -> Option<Pid> {
        self.child().as_ref().map(|child| child.pid)
    }

    /// The watch over its limits, while there is one.
    pub(super) fn watch(&self) -> Option<Arc<Watch>> {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.clone()
    }

    /// Takes the watch off when it has ended: with it goes the control group.
    pub(super) fn take_watch(&self) -> Option<Arc<Watch>> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.take()
    }

    /// Ends it because of a limit, unless it is being ended for another reason.
    pub(super) fn end_for(self: &Arc<Self>, excess: Error) {
        if !self.was_killed() {
            let _ = self.excess.set(excess);
            self.kill();
        }
    }

    /// The limit that it was ended for.
    pub(super) fn excess(&self) -> Option<Error> {
        self.excess.get().cloned()
    }

    pub(super) fn was_killed(&self) -> bool {
        self.kill_begun.load(Ordering::Acquire)
    }

    pub(super) fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A second handle on the process, to wait with.
    pub(super) fn handle(&self) -> Result<OwnedFd> {
        match &*self.child() {
            Some(child) => Ok(child.pidfd.try_clone()?),
            None => Err(Error::new(ErrorCode::IoError, "the command has ended")),
        }
    }

    /// Ends everything that it started; returns at once, [`Running::ended`] tells when it is over.
    pub(super) fn kill(self: &Arc<Self>) {
        if self.kill_begun.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = Arc::clone(self);
        // Not on the pool: a kill must not wait behind the work that it is to end.
        pool::runtime().spawn_blocking(move || {
            if let Some(watch) = this.watch() {
                watch.kill();
            }
            let killed = match &*this.child() {
                Some(child) => spawn_tree::end_everything(child.pid),
                None => Vec::new(),
            };
            spawn_tree::wait_until_gone(&killed);
            this.kill_done.cancel();
        });
    }

    /// Tells it that its terminal is gone, as a shell tells its jobs then, and ends what takes no notice.
    pub(super) fn hang_up(self: &Arc<Self>) {
        self.signal(libc::SIGHUP);
        let this = Arc::clone(self);
        pool::runtime().spawn(async move {
            let notices = this.ended.cancelled();
            if tokio::time::timeout(HANGS_UP_WITHIN, notices)
                .await
                .is_err()
            {
                this.kill();
            }
        });
    }

    /// Sends a signal to the command's group; nothing once it has ended.
    pub(super) fn signal(self: &Arc<Self>, signal: i32) {
        if signal == libc::SIGKILL {
            return self.kill();
        }
        let this = Arc::clone(self);
        pool::runtime().spawn_blocking(move || {
            if let Some(child) = &*this.child() {
                let group = match this.nesting {
                    Nesting::Flat => None,
                    Nesting::Supervised => spawn_tree::supervised_group(child.pid),
                    Nesting::Sandboxed => spawn_tree::sandboxed_group(child.pid),
                };
                let group = group.unwrap_or(child.pid);
                // SAFETY: `kill` takes two numbers; the leader is not reaped, so the group is the command's.
                unsafe { libc::kill(-group.as_raw_nonzero().get(), signal) };
            }
        });
    }

    /// Waits for a kill that has begun, so that an end is reported only when everything has ended.
    pub(super) async fn settle_kill(&self) {
        if self.was_killed() {
            let _ = tokio::time::timeout(KILL_WITHIN, self.kill_done.cancelled()).await;
        }
    }

    /// What the command left running in its session, once it was reaped. Behind a kernel wall nothing is left.
    pub(super) fn leftover(&self) -> Option<Leftover> {
        if self.nesting != Nesting::Flat || self.child().is_some() {
            return None;
        }
        let leader = i32::try_from(self.pid).ok().and_then(Pid::from_raw)?;
        let watch = self.watch().filter(|watch| watch.has_members());
        // Nearly always there is no such group any more, and the process table need not be read.
        let witnesses = match rustix::process::test_kill_process_group(leader) {
            Ok(()) => spawn_tree::session_members(leader),
            Err(_) => Vec::new(),
        };
        (!witnesses.is_empty() || watch.is_some()).then(|| Leftover {
            scope: self.scope.clone(),
            lineage: Arc::clone(&self.lineage),
            leader,
            witnesses,
            watch,
        })
    }

    /// Resolves when a kill has ended everything; never without one.
    pub(super) async fn kill_finished(&self) {
        self.kill_done.cancelled().await;
    }

    /// Takes the end off the kernel.
    pub(super) fn reap(&self) -> Result<Ended> {
        let Some(child) = self.child().take() else {
            return Err(Error::new(ErrorCode::IoError, "the command has ended"));
        };
        child.reap().map_err(|error| {
            Error::new(
                ErrorCode::ExecError,
                "how the command ended is unknown: this process ignores SIGCHLD or another part of it waits for all children",
            )
            .with_source(error)
        })
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

/// A piece for standard input, and who wants to know when it is in the pipe.
type Piece = (Bytes, oneshot::Sender<Result<()>>);

/// The hand on a command. Dropping it ends the command.
pub(super) struct Control {
    running: Arc<Running>,
    terminal: Option<Arc<Master>>,
    stdin: Mutex<Option<mpsc::UnboundedSender<Piece>>>,
}

impl Control {
    /// Feeds the command as `stdin` says; on a terminal more can be typed always. Runs inside the runtime.
    pub(super) fn new(running: Arc<Running>, stdin: Stdin, input: Option<Input>) -> Self {
        let mut feed = None;
        let terminal = match &input {
            Some(Input::Terminal(master)) => Some(Arc::clone(master)),
            _ => None,
        };
        if let Some(input) = input {
            let ended = running.ended.clone();
            let (sender, receiver) = mpsc::unbounded_channel();
            match stdin {
                Stdin::Null => {}
                Stdin::Bytes(bytes) => {
                    let _ = sender.send((bytes, oneshot::channel().0));
                }
                Stdin::Pipe => feed = Some(sender.clone()),
            }
            if terminal.is_some() {
                feed = Some(sender);
            }
            pool::runtime().spawn(async move {
                tokio::select! {
                    () = ended.cancelled() => {}
                    () = write_all(input, receiver) => {}
                }
            });
        }
        Self {
            running,
            terminal,
            stdin: Mutex::new(feed),
        }
    }

    fn feed(&self) -> MutexGuard<'_, Option<mpsc::UnboundedSender<Piece>>> {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes what comes, in order, then closes the pipe; a terminal goes on. A command that does not read to the end is no error of ours.
async fn write_all(mut input: Input, mut pieces: mpsc::UnboundedReceiver<Piece>) {
    while let Some((bytes, done)) = pieces.recv().await {
        let outcome = input.write_all(&bytes).await.map_err(|error| {
            Error::new(
                ErrorCode::ConnectionClosed,
                "the command no longer reads its standard input",
            )
            .with_source(error)
        });
        let _ = done.send(outcome);
    }
}

impl ProcessControl for Control {
    fn pid(&self) -> u32 {
        self.running.pid()
    }

    fn write_stdin(&self, bytes: Bytes) -> Call<()> {
        let closed = || {
            Error::new(
                ErrorCode::ConnectionClosed,
                "the standard input of the command is closed",
            )
        };
        let (done, written) = oneshot::channel();
        let sent = self
            .feed()
            .as_ref()
            .is_some_and(|feed| feed.send((bytes, done)).is_ok());
        if !sent {
            return Call::err(closed());
        }
        Call::pending(async move { written.await.unwrap_or_else(|_| Err(closed())) })
    }

    fn close_stdin(&self) {
        self.feed().take();
    }

    fn signal(&self, signal: i32) {
        self.running.signal(signal);
    }

    fn resize(&self, size: TerminalSize) {
        if let Some(terminal) = &self.terminal {
            terminal.resize(size);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        match &self.terminal {
            _ if self.running.ended.is_cancelled() => {}
            Some(_) => self.running.hang_up(),
            None => self.running.kill(),
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("running", &self.running)
            .finish_non_exhaustive()
    }
}
