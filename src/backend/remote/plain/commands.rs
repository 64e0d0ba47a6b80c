//! Commands over exec channels.
//!
//! They have a connection of their own, made with the first of them: a reader that stops holds everything on its
//! connection, and files must not wait for that. What ends commands goes over the connection of the files for the same
//! reason.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use super::Inner;
use super::ending;
use super::files::not_found;
use super::running::{self, Running};
use super::script;
use crate::backend::FileKind;
use crate::backend::process::{CommandSpec, Process, check_variable};
use crate::backend::remote::dialer::Dialer;
use crate::backend::remote::ssh_client::{NARROW_WINDOW, SshSession};
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::pool;

/// Channels of one connection before another takes its place: the library keeps something of each for ever.
const CHANNELS_EACH: usize = 2_000;
/// How long a server that opens no further channel is asked again, and how often.
const PATIENCE: Duration = Duration::from_secs(10);
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// Commands at once; sshd's own default for the channels of a connection. Further ones wait.
const AT_ONCE: usize = 10;

/// The commands of one link.
pub(super) struct Commands {
    pub(super) main: Arc<SshSession>,
    dialer: Arc<Dialer>,
    own: tokio::sync::Mutex<Option<Own>>,
    slots: Arc<Semaphore>,
    running: Mutex<Registry>,
}

/// The commands' own connection.
struct Own {
    session: Arc<SshSession>,
    /// Channels that were opened on it.
    opened: usize,
}

#[derive(Default)]
struct Registry {
    next: u64,
    /// Commands that were asked for and of which the server has not told the process yet.
    starting: usize,
    running: HashMap<u64, (RelPath, Arc<Running>)>,
}

impl Commands {
    pub(super) fn new(main: Arc<SshSession>, dialer: Arc<Dialer>) -> Self {
        Self {
            main,
            dialer,
            own: tokio::sync::Mutex::default(),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            running: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The commands' own connection, made where there is none or no more.
    async fn session(&self) -> Result<Arc<SshSession>> {
        let mut own = self.own.lock().await;
        if let Some(own) = own.as_mut()
            && !own.session.closed().is_cancelled()
            && own.opened < CHANNELS_EACH
        {
            own.opened += 1;
            return Ok(Arc::clone(&own.session));
        }
        let opened = tokio::time::timeout(
            self.dialer.options.connect_timeout(),
            self.dialer.session(NARROW_WINDOW),
        );
        let session = opened.await.map_err(|_| {
            Error::new(
                ErrorCode::ConnectionFailed,
                "the connection for commands was not made in time",
            )
        })??;
        let session = Arc::new(session);
        // It must not outlive the connection of the files.
        let (files, tied) = (self.main.closed().clone(), Arc::downgrade(&session));
        let ended = session.closed().clone();
        tokio::spawn(async move {
            tokio::select! {
                () = files.cancelled() => {}
                () = ended.cancelled() => {}
            }
            if let Some(session) = tied.upgrade() {
                session.close("the connection has ended".to_owned());
            }
        });
        *own = Some(Own {
            session: Arc::clone(&session),
            opened: 1,
        });
        Ok(session)
    }

    /// A channel. A server counts those that it has not cleared away yet, so one that refuses is asked again for a while
    /// where others have just ended or are about to.
    async fn channel(&self) -> Result<(Arc<SshSession>, russh::Channel<russh::client::Msg>)> {
        let session = self.session().await?;
        let until = Instant::now() + PATIENCE;
        loop {
            match session.channel().await {
                Err(error)
                    if error.code() == ErrorCode::LimitExceeded && Instant::now() < until =>
                {
                    sleep(ASK_AGAIN).await;
                }
                other => return other.map(|channel| (session, channel)),
            }
        }
    }

    async fn slot(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| Error::new(ErrorCode::ConnectionClosed, "the connection has ended"))
    }

    fn register(self: &Arc<Self>, scope: &RelPath, running: &Arc<Running>) {
        let number = {
            let mut registry = self.lock();
            let number = registry.next;
            registry.next += 1;
            let entry = (scope.clone(), Arc::clone(running));
            registry.running.insert(number, entry);
            number
        };
        let (commands, ended) = (Arc::downgrade(self), running.ended.clone());
        tokio::spawn(async move {
            ended.cancelled().await;
            if let Some(commands) = commands.upgrade() {
                commands.lock().running.remove(&number);
            }
        });
    }

    /// Ends what was started in a scope and below it, and waits until it has ended.
    pub(super) async fn end(&self, scope: &RelPath) {
        // What is just starting can only be ended once its process is known.
        let known_by = Instant::now() + PATIENCE;
        while self.lock().starting > 0 && Instant::now() < known_by {
            sleep(ASK_AGAIN).await;
        }
        let found: Vec<Arc<Running>> = self
            .lock()
            .running
            .values()
            .filter(|(place, _)| place.starts_with(scope))
            .map(|(_, running)| Arc::clone(running))
            .collect();
        let all = found.iter().map(ending::end);
        futures_util::future::join_all(all).await;
    }

    /// Nothing more is started.
    pub(super) fn close(&self) {
        self.slots.close();
    }
}

/// Counts a command that is starting, until it is dropped.
struct Starting(Arc<Commands>);

impl Starting {
    fn begin(commands: &Arc<Commands>) -> Self {
        commands.lock().starting += 1;
        Self(Arc::clone(commands))
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        self.0.lock().starting -= 1;
    }
}

impl Inner {
    /// [`crate::backend::Backend::spawn`].
    pub(super) async fn start(&self, scope: &RelPath, spec: CommandSpec) -> Result<Process> {
        if !spec.limits.is_empty() {
            return Err(Error::new(
                ErrorCode::MissingUtilities,
                "limits: a server that is not ours cannot be made to keep them",
            ));
        }
        for (name, value) in &spec.env {
            check_variable(name, value.as_deref())?;
        }
        let (directory, home) = self.directory_of(scope, &spec.cwd).await?;
        let mark = mark()?;
        let text = script::start(&mark, &directory, &home, &spec)?;
        let slot = self.commands.slot().await?;
        let channel = self.commands.channel().await?;
        let starting = Starting::begin(&self.commands);
        let scope = scope.clone();
        // In a task of its own: what was asked for runs, also where the caller does not wait for it, and then it is
        // ended with its process, which nobody holds.
        let started = tokio::spawn(async move {
            let commands = &starting.0;
            let started = running::start(commands, channel, text, &mark, &spec, slot).await?;
            commands.register(&scope, &started.running);
            Ok(started.process)
        });
        started
            .await
            .unwrap_or_else(|_| Err(pool::internal_error()))
    }

    /// Where to run, and the directory of the scope, which is made where it is missing.
    async fn directory_of(&self, scope: &RelPath, cwd: &RelPath) -> Result<(Vec<u8>, Vec<u8>)> {
        let home = self.make_directories(scope, &RelPath::root()).await?;
        if cwd.is_root() {
            return Ok((home.clone(), home));
        }
        let directory = self.place(scope, cwd, true).await?;
        match self.kind_at(&directory).await? {
            Some(FileKind::Directory) => Ok((directory, home)),
            Some(_) => Err(Error::new(
                ErrorCode::NotADirectory,
                "it is not a directory",
            )),
            None => Err(not_found()),
        }
    }
}

/// A line that nothing prints by chance.
fn mark() -> Result<String> {
    let random = u128::from_le_bytes(crate::sys::linux::random::random::<16>()?);
    Ok(format!("agent-backend-{random:032x}"))
}
