//! The one connection of a remote backend: made when it is needed, by one attempt for all who wait, and made again when
//! it is lost.
//!
//! One task drives it from the first attempt until it is down for good; everything that others see changes under one
//! lock. `disconnected → connecting → connected ⇄ reconnecting`, from each of them back to `disconnected`, and to
//! `destroyed`, which is the end.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Connector;
use super::backoff::Backoff;
use super::dialer::{Dialer, Live, is_final};
use super::link::Link;
use super::options::RemoteOptions;
use super::status::{StatusChange, Subscribers};
use crate::call::BoxFuture;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::pool;
use crate::status::Status;

/// How long the end of a connection may take before nobody waits for it any more.
const LONGEST_END: Duration = Duration::from_secs(5);
/// How long a server that is not ours may take to end the commands that were started on it.
const COMMANDS_END: Duration = Duration::from_secs(3);

/// What becomes of an attempt, or a series of them; `None` until it is known.
type Outcome = Option<Result<Arc<dyn Link>>>;

/// The connection of one backend. Dropping it ends it.
pub struct Connection {
    shared: Arc<Shared>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("status", &self.status())
            .field("options", &self.shared.dialer.options)
            .finish()
    }
}

struct Shared {
    dialer: Arc<Dialer>,
    state: Mutex<State>,
    /// Ends everything, once and for all.
    destroyed: CancellationToken,
    /// Ends the wait before the next attempt.
    hurry: Notify,
    tasks: TaskTracker,
}

struct State {
    status: Status,
    live: Option<Arc<Live>>,
    /// Where those wait who need what is being made.
    outcome: Option<watch::Sender<Outcome>>,
    /// Why nothing is tried until somebody asks for it by name.
    stopped: Option<Error>,
    /// Counts the drivers: one that is not the last has nothing more to say.
    driver: u64,
    subscribers: Subscribers,
}

impl Connection {
    /// A connection that nobody has needed yet.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION`, naming the option.
    pub fn new(options: RemoteOptions) -> Result<Self> {
        options.check()?;
        Ok(Self {
            shared: Arc::new(Shared {
                dialer: Arc::new(Dialer::new(options)),
                state: Mutex::new(State {
                    status: Status::Disconnected,
                    live: None,
                    outcome: None,
                    stopped: None,
                    driver: 0,
                    subscribers: Subscribers::default(),
                }),
                destroyed: CancellationToken::new(),
                hurry: Notify::new(),
                tasks: TaskTracker::new(),
            }),
        })
    }

    /// What it was made with.
    #[must_use]
    pub fn options(&self) -> &RemoteOptions {
        &self.shared.dialer.options
    }

    /// Connects now. Also what makes it try again after `UNAUTHORIZED`, `HOST_KEY_CHANGED` or
    /// `INVALID_CONFIGURATION`, and what ends a wait between two attempts.
    ///
    /// Errors: as [`Connector::link`].
    pub fn connect(&self) -> BoxFuture<Result<()>> {
        let outcome = self.shared.link(true);
        Box::pin(async move { outcome.await.map(|_| ()) })
    }

    /// Each further step, in order, until it is destroyed or the receiver is dropped.
    #[must_use]
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<StatusChange> {
        self.shared.lock().subscribers.add()
    }
}

impl Connector for Connection {
    fn live(&self) -> Option<Arc<dyn Link>> {
        self.shared.lock().usable()
    }

    fn link(&self) -> BoxFuture<Result<Arc<dyn Link>>> {
        self.shared.link(false)
    }

    fn status(&self) -> Status {
        self.shared.lock().status
    }

    fn close(&self) -> BoxFuture<()> {
        self.shared.destroy();
        let shared = Arc::clone(&self.shared);
        let ended = pool::runtime().spawn(async move {
            shared.tasks.close();
            let _ = timeout(LONGEST_END, shared.tasks.wait()).await;
        });
        Box::pin(async move {
            let _ = ended.await;
        })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.destroy();
    }
}

impl State {
    /// The live link, unless it is dead by now.
    fn usable(&self) -> Option<Arc<dyn Link>> {
        let live = self.live.as_ref()?;
        let dead = live.link.closed().is_cancelled() || live.session.closed().is_cancelled();
        (!dead).then(|| Arc::clone(&live.link))
    }

    fn set(&mut self, to: Status, error: Option<Error>) {
        let from = std::mem::replace(&mut self.status, to);
        if from != to {
            self.subscribers.tell(&StatusChange {
                from,
                to,
                at: SystemTime::now(),
                error,
            });
        }
    }

    /// Tells those who wait.
    fn settle(&mut self, outcome: Result<Arc<dyn Link>>) {
        if let Some(waiting) = self.outcome.take() {
            waiting.send_replace(Some(outcome));
        }
    }

    fn wait(&mut self) -> watch::Receiver<Outcome> {
        self.outcome
            .get_or_insert_with(|| watch::channel(None).0)
            .subscribe()
    }

    /// Notes that what was live is dead, whoever comes to know of it first.
    fn lose(&mut self, again: bool) {
        if self.status != Status::Connected || self.usable().is_some() {
            return;
        }
        self.live = None;
        let lost = Error::new(ErrorCode::ConnectionClosed, "the connection was lost");
        if again {
            self.set(Status::Reconnecting, Some(lost));
        } else {
            self.set(Status::Disconnected, Some(lost));
        }
    }
}

fn destroyed() -> Error {
    Error::new(
        ErrorCode::Destroyed,
        "the backend was destroyed; make a new one",
    )
}

/// Ends a connection that is not wanted any more. A daemon of ours ends the commands of a connection that goes; of
/// another server nobody else does.
async fn end(live: Arc<Live>) {
    if !live.session.is_ours() {
        let ended = live.link.end_commands(&RelPath::root());
        let _ = timeout(COMMANDS_END, ended).await;
    }
    live.close("the backend was destroyed");
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn options(&self) -> &RemoteOptions {
        &self.dialer.options
    }

    /// The live link, or the wait for what is being made; `explicit` also where nothing would be tried by itself.
    fn link(self: &Arc<Self>, explicit: bool) -> BoxFuture<Result<Arc<dyn Link>>> {
        let mut outcome = match self.begin(explicit) {
            Ok(outcome) => outcome,
            Err(result) => return Box::pin(std::future::ready(result)),
        };
        let longest = self.options().operation_timeout();
        // In the runtime, because of the clock: whoever polls the call may be outside of it.
        let waiting = pool::runtime().spawn(async move {
            let known = timeout(longest, outcome.wait_for(Option::is_some)).await;
            match known {
                Ok(Ok(outcome)) => outcome.clone().unwrap_or_else(|| Err(destroyed())),
                Ok(Err(_)) => Err(destroyed()),
                Err(_) => Err(Error::new(
                    ErrorCode::ConnectionFailed,
                    format!(
                        "the connection was lost and has not come back within {} ms",
                        longest.as_millis()
                    ),
                )),
            }
        });
        Box::pin(async move { waiting.await.unwrap_or_else(|_| Err(destroyed())) })
    }

    /// Where to wait for the outcome, after seeing to it that there will be one; `Err` where it is known.
    fn begin(
        self: &Arc<Self>,
        explicit: bool,
    ) -> std::result::Result<watch::Receiver<Outcome>, Result<Arc<dyn Link>>> {
        let mut state = self.lock();
        if let Some(link) = state.usable() {
            return Err(Ok(link));
        }
        state.lose(self.options().reconnection.enabled);
        match state.status {
            Status::Destroyed => return Err(Err(destroyed())),
            Status::Disconnected => {
                if explicit {
                    state.stopped = None;
                }
                if let Some(error) = &state.stopped {
                    return Err(Err(error.clone()));
                }
                state.driver += 1;
                state.set(Status::Connecting, None);
                let outcome = state.wait();
                let driver = Arc::clone(self).drive(state.driver);
                self.tasks.spawn_on(driver, pool::runtime());
                return Ok(outcome);
            }
            Status::Reconnecting if explicit => self.hurry.notify_one(),
            Status::Reconnecting | Status::Connecting | Status::Connected => {}
        }
        Ok(state.wait())
    }

    /// Makes the connection, keeps it, and ends when it is down for good.
    async fn drive(self: Arc<Self>, driver: u64) {
        let mut made = self.attempt().await;
        loop {
            let live = match made {
                Ok(live) => Arc::new(live),
                Err(error) => return self.give_up(driver, error),
            };
            if !self.take(driver, &live) {
                live.close("not needed any more");
                live.session.closed().cancelled().await;
                return;
            }
            tokio::select! {
                () = live.link.closed().cancelled() => {}
                () = live.session.closed().cancelled() => {}
            }
            // Whichever half is dead, the other is of no use.
            live.close("the connection is broken");
            if !self.lost(driver) {
                live.session.closed().cancelled().await;
                return;
            }
            drop(live);
            made = self.again().await;
        }
    }

    async fn attempt(&self) -> Result<Live> {
        let longest = self.options().connect_timeout();
        let opening = timeout(longest, Arc::clone(&self.dialer).open());
        tokio::select! {
            biased;
            () = self.destroyed.cancelled() => Err(destroyed()),
            opened = opening => opened.unwrap_or_else(|_| {
                let options = self.options();
                Err(Error::new(
                    ErrorCode::ConnectionFailed,
                    format!(
                        "no connection to {}:{} within {} ms",
                        options.effective_host(),
                        options.effective_port(),
                        longest.as_millis()
                    ),
                ))
            }),
        }
    }

    /// Attempts with longer and longer waits between them.
    async fn again(&self) -> Result<Live> {
        let mut backoff = Backoff::new(&self.options().reconnection);
        loop {
            let Some(delay) = backoff.next() else {
                return Err(backoff.into_error());
            };
            tokio::select! {
                biased;
                () = self.destroyed.cancelled() => return Err(destroyed()),
                () = self.hurry.notified() => {}
                () = sleep(delay) => {}
            }
            match self.attempt().await {
                Ok(live) => return Ok(live),
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => backoff.failed(error),
            }
        }
    }

    /// Puts a new connection in its place; `false` where nobody wants it any more.
    fn take(&self, driver: u64, live: &Arc<Live>) -> bool {
        let mut state = self.lock();
        if state.driver != driver || state.status == Status::Destroyed {
            return false;
        }
        state.live = Some(Arc::clone(live));
        state.set(Status::Connected, None);
        state.settle(Ok(Arc::clone(&live.link)));
        true
    }

    /// Whether this driver is to make it again.
    fn lost(&self, driver: u64) -> bool {
        let mut state = self.lock();
        if state.driver != driver {
            return false;
        }
        state.lose(self.options().reconnection.enabled);
        state.status == Status::Reconnecting
    }

    fn give_up(&self, driver: u64, error: Error) {
        let mut state = self.lock();
        if state.driver != driver || state.status == Status::Destroyed {
            return;
        }
        if is_final(&error) {
            state.stopped = Some(error.clone());
        }
        state.set(Status::Disconnected, Some(error.clone()));
        state.settle(Err(error));
    }

    fn destroy(&self) {
        let live = {
            let mut state = self.lock();
            state.set(Status::Destroyed, None);
            state.settle(Err(destroyed()));
            state.subscribers.end();
            state.live.take()
        };
        self.destroyed.cancel();
        if let Some(live) = live {
            self.tasks.spawn_on(end(live), pool::runtime());
        }
    }
}
