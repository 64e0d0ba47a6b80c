//! Runs commands in a scope's directory, behind the strongest wall that works here.

mod environment;
mod options;
mod plan;
mod private;
mod programs;
mod pump;
mod running;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::net::unix::pipe;
use tokio::sync::mpsc;

pub use options::{CommandOptions, DEFAULT_SCOPE_UID, Isolation, Network, Shell};
pub use private::{ScopeKey, default_state_dir};

use crate::backend::process::{CommandSpec, Process};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::strip_root;
use crate::pool;
use private::PrivateStore;
use programs::Programs;
use running::{Control, Running};

/// Pieces of output that wait for their reader.
const EVENT_QUEUE: usize = 16;

/// Where a command runs. Handles, so that nothing that happens to the names meanwhile can lead it elsewhere.
#[derive(Debug)]
pub struct Place {
    /// The scope's directory, opened beneath the root with `O_PATH | O_DIRECTORY`.
    pub root: OwnedFd,
    /// The working directory, opened beneath the scope likewise.
    pub cwd: OwnedFd,
    /// Absolute path of the scope, as callers see it.
    pub root_path: Vec<u8>,
    /// Absolute path of the working directory, likewise.
    pub cwd_path: Vec<u8>,
}

/// Starts commands, and ends them with the scope that they belong to.
#[derive(Debug)]
pub struct Launcher {
    options: CommandOptions,
    programs: Programs,
    store: OnceLock<Result<PrivateStore>>,
    level: OnceLock<Result<Isolation>>,
    running: Mutex<HashMap<u64, Arc<Running>>>,
    next: AtomicU64,
}

impl Launcher {
    /// A launcher. Tries nothing yet: what works is found out by the first command, or by [`Launcher::isolation`].
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` for options that contradict each other or name no absolute path.
    pub fn new(options: CommandOptions) -> Result<Arc<Self>> {
        check(&options)?;
        Ok(Arc::new(Self {
            programs: Programs::find(&options),
            options,
            store: OnceLock::new(),
            level: OnceLock::new(),
            running: Mutex::default(),
            next: AtomicU64::new(0),
        }))
    }

    /// The level that commands run at; the first call tries, which takes some tens of milliseconds.
    ///
    /// # Errors
    /// `MISSING_UTILITIES` where a level that was asked for by name does not work.
    pub fn isolation(&self) -> Result<Isolation> {
        self.level
            .get_or_init(|| match self.options.isolation {
                Isolation::Auto => Ok(Isolation::Software),
                Isolation::Bwrap => Err(Error::new(
                    ErrorCode::MissingUtilities,
                    "bwrap does not work here",
                )),
                level => Ok(level),
            })
            .clone()
    }

    /// Starts a command; the rest of its life is told by its events. Fails with `MISSING_UTILITIES`, `EXEC_ERROR`
    /// (too long, not startable), `LIMIT_EXCEEDED` (no more processes) or `INVALID_CONFIGURATION` (environment).
    pub fn spawn(self: &Arc<Self>, place: Place, spec: CommandSpec) -> Call<Process> {
        let this = Arc::clone(self);
        Call::blocking(move || this.start(place, spec))
    }

    /// [`Launcher::spawn`] for a caller that is on a pool thread already.
    ///
    /// # Errors
    /// As there.
    pub fn start(self: &Arc<Self>, place: Place, spec: CommandSpec) -> Result<Process> {
        let plan = plan::Plan::make(self, &place, &spec)?;
        // Pipes belong to the runtime, which this thread is none of.
        let _inside = pool::runtime().enter();
        let started = plan.start(&place, &spec)?;
        let running = Arc::new(Running::new(
            started.child,
            started.sandboxed,
            place.root_path,
        ));
        let (events, receiver) = mpsc::channel(EVENT_QUEUE);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.running().insert(number, Arc::clone(&running));
        let control = Control::new(Arc::clone(&running), spec.stdin, started.input);
        let launcher = Arc::clone(self);
        pool::runtime().spawn(async move {
            pump::pump(
                Arc::clone(&running),
                started.output,
                events,
                started.verdict,
            )
            .await;
            launcher.running().remove(&number);
        });
        Ok(Process {
            events: receiver,
            control: Arc::new(control),
        })
    }

    /// Ends every command of a scope and of the scopes below it; resolves when they are over.
    pub fn end_all(self: &Arc<Self>, scope_path: &[u8]) -> Call<()> {
        let ending: Vec<Arc<Running>> = self
            .running()
            .values()
            .filter(|running| strip_root(running.scope(), scope_path).is_some())
            .cloned()
            .collect();
        if ending.is_empty() {
            return Call::ok(());
        }
        for running in &ending {
            running.kill();
        }
        Call::pending(async move {
            for running in &ending {
                running.ended().cancelled().await;
            }
            Ok(())
        })
    }

    /// Removes the private `/tmp` and caches of a scope whose directory is gone (its key was taken before). Blocks.
    ///
    /// # Errors
    /// Those of the state directory.
    pub fn forget(&self, key: &ScopeKey) -> Result<()> {
        self.store()?.forget(key)
    }

    /// How many commands run.
    #[must_use]
    pub fn running_count(&self) -> usize {
        self.running().len()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<u64, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self) -> Result<&PrivateStore> {
        self.store
            .get_or_init(|| PrivateStore::open(self.options.state_dir.as_deref()))
            .as_ref()
            .map_err(Clone::clone)
    }
}

fn check(options: &CommandOptions) -> Result<()> {
    let invalid = |message: &str| Err(Error::new(ErrorCode::InvalidConfiguration, message));
    if options
        .state_dir
        .as_ref()
        .is_some_and(|path| !path.is_absolute())
    {
        return invalid("stateDir must be an absolute path");
    }
    if options
        .launcher_path
        .as_ref()
        .is_some_and(|path| !path.is_absolute())
    {
        return invalid("launcherPath must be an absolute path");
    }
    let walled = matches!(options.isolation, Isolation::Auto | Isolation::Bwrap);
    if options.network == Network::None && !walled {
        return invalid("network 'none' needs isolation 'bwrap'");
    }
    Ok(())
}

/// The reading and writing ends that stay here.
struct Pipes {
    input: Option<pipe::Sender>,
    output: pump::Output,
}
