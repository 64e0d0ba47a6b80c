//! Runs commands in a scope's directory, behind the strongest wall that works here.

mod bwrap;
mod environment;
mod etc;
mod host_tools;
mod identity;
mod inside;
mod landlocked;
mod launch;
mod leftover;
mod limits;
mod lineage;
mod masks;
mod mounts;
mod options;
mod own_binary;
mod plan;
mod private;
mod probe;
mod programs;
mod pump;
mod rulesets;
mod running;
mod sandbox;
mod servers;
mod sources;
mod staged;
mod streams;
mod system;
mod verdict;
mod way_out;

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::mpsc;

pub use identity::RunsAs;
pub(in crate::backend::local) use lineage::Lineage;
pub use options::{
    CommandOptions, DEFAULT_SCOPE_UID, DEFAULT_TMP_BYTES, Isolation, Network, Shell,
};
pub use private::{ScopeKey, chosen_state_dir, default_state_dir};

use super::quota::Quota;
use crate::backend::limits::Enforcement;
use crate::backend::process::{CommandSpec, Process};
use crate::call::Call;
use crate::error::Result;
use crate::path::strip_root;
use crate::pool;
use crate::sys::linux::spawn_staging::Staged;
use host_tools::{Host, HostTools};
use leftover::Leftover;
use limits::Limiter;
use own_binary::OwnBinary;
use private::PrivateStore;
use probe::Found;
use programs::Programs;
use rulesets::Rulesets;
use running::{Control, Running};
use servers::Servers;
use staged::StagedGroups;

/// Pieces of output that wait for their reader.
const EVENT_QUEUE: usize = 16;

/// Sessions that outlived their commands and are remembered.
const MAX_LEFTOVERS: usize = 128;

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
    /// Whether no command may run as root behind a wall.
    refuses_root: AtomicBool,
    programs: Programs,
    store: OnceLock<Result<PrivateStore>>,
    level: OnceLock<Result<Found>>,
    tools: OnceLock<HostTools>,
    staged_tools: OnceLock<Result<Vec<(Staged, PathBuf)>>>,
    staged: StagedGroups,
    limiter: Limiter,
    own_binary: OnceLock<Result<OwnBinary>>,
    rulesets: Rulesets,
    servers: Servers,
    running: Mutex<HashMap<u64, Arc<Running>>>,
    /// What ended commands left running, where nothing ends it with them.
    leftovers: Mutex<Vec<Leftover>>,
    next: AtomicU64,
}

impl Launcher {
    /// A launcher. Tries nothing yet: what works is found out by the first command, or by [`Launcher::isolation`].
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` for options that contradict each other or name no absolute path.
    pub fn new(options: CommandOptions) -> Result<Arc<Self>> {
        options.check()?;
        Ok(Arc::new(Self {
            refuses_root: AtomicBool::new(options.refuse_root),
            programs: Programs::find(&options),
            options,
            store: OnceLock::new(),
            level: OnceLock::new(),
            tools: OnceLock::new(),
            staged_tools: OnceLock::new(),
            staged: StagedGroups::default(),
            limiter: Limiter::default(),
            own_binary: OnceLock::new(),
            rulesets: Rulesets::default(),
            servers: Servers::default(),
            running: Mutex::default(),
            leftovers: Mutex::default(),
            next: AtomicU64::new(0),
        }))
    }

    /// The level that commands run at; the first call tries, which takes some tens of milliseconds.
    ///
    /// # Errors
    /// `MISSING_UTILITIES` where a level that was asked for by name does not work.
    pub fn isolation(&self) -> Result<Isolation> {
        self.found().map(|found| found.level)
    }

    /// Why `auto` took something weaker than `bwrap`; `None` where it did not, or was not asked to choose. Blocks like
    /// [`Launcher::isolation`].
    #[must_use]
    pub fn weakness(&self) -> Option<&str> {
        self.found().ok()?.weakness.as_deref()
    }

    /// [`Launcher::weakness`] without trying anything: `None` until a level was taken.
    #[must_use]
    pub fn known_weakness(&self) -> Option<Option<&str>> {
        let level = self.level.get()?.as_ref();
        Some(level.ok().and_then(|found| found.weakness.as_deref()))
    }

    fn found(&self) -> Result<&Found> {
        let found = self.level.get_or_init(|| probe::choose(self));
        found.as_ref().map_err(Clone::clone)
    }

    /// The directories of the host, outside the system's own, that commands see read-only behind a kernel wall.
    #[must_use]
    pub fn shown_tools(&self) -> &[PathBuf] {
        &self.tools().mounts
    }

    /// By what each limit holds here, at the level that commands run at. Blocks like [`Launcher::isolation`].
    ///
    /// # Errors
    /// As there.
    pub fn limit_enforcement(&self) -> Result<Vec<Enforcement>> {
        let level = self.isolation()?;
        let root = rustix::process::geteuid().is_root();
        // As root, commands behind a kernel wall run as the owner of their scope; the scope uid stands for that.
        let as_root = root && !level.is_kernel_wall();
        Ok(Limiter::enforcement(level, as_root))
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
        self.start_within(place, spec, &[], Arc::default())
    }

    /// [`Launcher::start`] in a scope whose bytes have bounds.
    ///
    /// # Errors
    /// As there.
    pub(in crate::backend::local) fn start_within(
        self: &Arc<Self>,
        place: Place,
        spec: CommandSpec,
        quotas: &[Arc<Quota>],
        lineage: Arc<Lineage>,
    ) -> Result<Process> {
        let scope = place.root_path.clone();
        let key = ScopeKey::of(&place.root)?;
        let level = self.isolation()?;
        let runs_as = self.starts_as(&place.root, &scope)?;
        let start = limits::Start {
            level,
            uid: runs_as.uid,
            scope: &scope,
            quotas,
        };
        let mut bounds = self.limiter.bounds(&self.options, &spec.limits, start)?;
        let watch = bounds.watch.take().map(Arc::new);
        let plan = plan::Plan::at(level, self, place, &spec, bounds)?;
        // Pipes belong to the runtime, which this thread is none of.
        let _inside = pool::runtime().enter();
        let started = plan.start(self, &spec, runs_as)?;
        let running = Arc::new(Running::new(
            started.child,
            started.nesting,
            scope,
            lineage,
            watch.clone(),
        ));
        if let Some(watch) = watch {
            pool::runtime().spawn(watch.look_on(Arc::clone(&running)));
        }
        let private = limits::private::look_on(Arc::clone(self), key, Arc::clone(&running));
        pool::runtime().spawn(private);
        let (events, receiver) = mpsc::channel(EVENT_QUEUE);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.running().insert(number, Arc::clone(&running));
        let control = Control::new(Arc::clone(&running), spec.stdin, started.streams.input);
        let launcher = Arc::clone(self);
        pool::runtime().spawn(async move {
            let finished = |running: &Running| launcher.finished(number, running);
            let (output, verdict) = (started.streams.output, started.verdict);
            pump::pump(running, output, events, verdict, finished).await;
        });
        Ok(Process {
            events: receiver,
            control: Arc::new(control),
        })
    }

    /// Ends every command of a scope and of the scopes below it, whoever started it; resolves when they are over.
    pub fn end_all(self: &Arc<Self>, scope_path: &[u8]) -> Call<()> {
        self.end_where(|scope, _| strip_root(scope, scope_path).is_some())
    }

    /// Ends every command that was started through a backend, or one re-rooted from it; resolves when they are over.
    pub(in crate::backend::local) fn end_started_by(
        self: &Arc<Self>,
        backend: &Arc<Lineage>,
    ) -> Call<()> {
        self.end_where(|_, lineage| lineage.is_of(backend))
    }

    fn end_where(self: &Arc<Self>, is_meant: impl Fn(&[u8], &Arc<Lineage>) -> bool) -> Call<()> {
        let ending: Vec<Arc<Running>> = self
            .running()
            .values()
            .filter(|running| is_meant(running.scope(), running.lineage()))
            .cloned()
            .collect();
        let left: Vec<Leftover> = self
            .leftovers()
            .extract_if(.., |left| is_meant(&left.scope, &left.lineage))
            .collect();
        if ending.is_empty() && left.is_empty() {
            return Call::ok(());
        }
        for running in &ending {
            running.kill();
        }
        let left = pool::runtime().spawn_blocking(move || left.iter().for_each(Leftover::end));
        Call::pending(async move {
            for running in &ending {
                running.ended().cancelled().await;
            }
            let _ = left.await;
            Ok(())
        })
    }

    /// Takes a command that ended off the list; what it left running is ended with its scope.
    fn finished(&self, number: u64, running: &Running) {
        if let Some(left) = running.leftover() {
            let mut leftovers = self.leftovers();
            leftovers.retain(Leftover::is_alive);
            // Each holds a few descriptors; more than this are a program that runs amok, and go untracked.
            if leftovers.len() < MAX_LEFTOVERS {
                leftovers.push(left);
            }
        }
        self.running().remove(&number);
    }

    fn leftovers(&self) -> MutexGuard<'_, Vec<Leftover>> {
        self.leftovers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the private `/tmp` and caches of a scope whose directory is gone (its key was taken before). Blocks.
    ///
    /// # Errors
    /// Those of the state directory.
    pub fn forget(&self, key: &ScopeKey) -> Result<()> {
        self.store()?.forget(key)
    }

    /// To be told that a directory was removed: what belongs to the scopes at and below it goes with it, on the pool.
    pub fn scope_removed(self: &Arc<Self>, path: &[u8]) {
        let Some(Ok(store)) = self.store.get() else {
            return;
        };
        let gone = store.forget_below(path);
        if !gone.is_empty() {
            let this = Arc::clone(self);
            pool::detach(move || {
                for key in gone {
                    let _ = this.forget(&key);
                }
            });
        }
    }

    /// To be told that a directory was renamed: what belongs to the scopes at and below it stays theirs.
    pub fn scope_renamed(&self, path: &[u8]) {
        if let Some(Ok(store)) = self.store.get() {
            store.forget_below(path);
        }
    }

    /// How many commands run, and how many ended ones left something running.
    #[must_use]
    pub fn running_count(&self) -> usize {
        self.running().len() + self.leftovers().len()
    }

    fn running(&self) -> MutexGuard<'_, HashMap<u64, Arc<Running>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tools(&self) -> &HostTools {
        self.tools.get_or_init(|| {
            if !self.options.host_tools {
                return HostTools::default();
            }
            let path = std::env::var_os("PATH").unwrap_or_default();
            let home = std::env::var_os("HOME").map(PathBuf::from);
            let rustup_home = std::env::var_os("RUSTUP_HOME").map(PathBuf::from);
            HostTools::find(&Host {
                path: &path,
                home: home.as_deref(),
                rustup_home: rustup_home.as_deref(),
            })
        })
    }

    fn staged_tools(&self) -> Result<&[(Staged, PathBuf)]> {
        let staged = self
            .staged_tools
            .get_or_init(|| sources::stage_tools(&self.tools().mounts));
        match staged {
            Ok(staged) => Ok(staged),
            Err(error) => Err(error.clone()),
        }
    }

    fn own_binary(&self) -> Result<OwnBinary> {
        let root = self.options.root_dir.as_deref();
        let found = self.own_binary.get_or_init(|| OwnBinary::find(root));
        found.clone()
    }

    fn store(&self) -> Result<&PrivateStore> {
        self.store
            .get_or_init(|| PrivateStore::open(self.options.state_dir.as_deref()))
            .as_ref()
            .map_err(Clone::clone)
    }
}
