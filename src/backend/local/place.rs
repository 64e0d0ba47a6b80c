//! Where a backend is: a root and a scope below it; and how its calls run there, at once or on the pool.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};

use super::command::{Launcher, Lineage};
use super::quota::Quota;
use super::root::{Opened, Root};
use super::stage::StagedBytes;
use crate::access::Guard;
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::pool::{self, ScopeSlots, Work};
use crate::sys::linux::beneath::{self, Boundary, How};
use crate::sys::linux::filesystem::Strategy;
use crate::sys::linux::halt::Halt;
use crate::sys::linux::journal::Journal;
use crate::sys::linux::target::Owners;
use crate::sys::linux::watch::Watch;

/// How long after the kernel's own limit for lease holders an operation gives up.
const AFTER_LEASE_BREAK: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// A scope of a root. Holds no descriptor of its own.
#[derive(Debug)]
pub(super) struct Place {
    root: Arc<Root>,
    scope: RelPath,
    path: Vec<u8>,
    slots: Arc<ScopeSlots>,
    /// Bounds on the bytes below it, and below those that it is in.
    quotas: Vec<Arc<Quota>>,
    /// Who judges what is opened here; `None` where no access policy holds.
    guard: Option<Arc<dyn Guard>>,
    /// Through which backend commands are started here.
    lineage: Arc<Lineage>,
}

/// Whether an operation may bring a root that was removed back into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// It only looks.
    Reads,
    /// It creates what is missing.
    Creates,
}

impl Place {
    pub(super) fn new(root: Arc<Root>, scope: RelPath) -> Self {
        let path = scope.beneath(root.path());
        let slots = root.slots.of(scope.as_bytes());
        Self {
            root,
            scope,
            path,
            slots,
            quotas: Vec::new(),
            guard: None,
            lineage: Arc::default(),
        }
    }

    pub(super) fn below(&self, scope: &RelPath) -> Self {
        Self {
            quotas: self.quotas.clone(),
            guard: self.guard.clone(),
            lineage: Lineage::below(&self.lineage),
            ..Self::new(Arc::clone(&self.root), self.scope.join(scope))
        }
    }

    /// The same place.
    fn again(&self) -> Self {
        Self {
            lineage: Arc::clone(&self.lineage),
            ..self.below(&RelPath::root())
        }
    }

    /// The same place with one more bound.
    pub(super) fn bounded(&self, max_bytes: u64) -> Self {
        let mut place = self.again();
        let measured = Self::new(Arc::clone(&self.root), self.scope.clone());
        place.quotas.push(Arc::new(Quota::new(measured, max_bytes)));
        place
    }

    /// The bounds on bytes that hold here, the outermost first.
    pub(super) fn quotas(&self) -> &[Arc<Quota>] {
        &self.quotas
    }

    /// The same place, where everything that is opened is judged.
    pub(super) fn guarded(&self, guard: Arc<dyn Guard>) -> Self {
        let mut place = self.again();
        place.guard = Some(guard);
        place
    }

    /// Who judges what is opened here.
    pub(super) fn guard(&self) -> Option<&Arc<dyn Guard>> {
        self.guard.as_ref()
    }

    /// Through which backend commands are started here.
    pub(super) fn lineage(&self) -> &Arc<Lineage> {
        &self.lineage
    }

    /// Absolute path of the scope.
    pub(super) fn path(&self) -> &[u8] {
        &self.path
    }

    pub(super) fn owners(&self) -> Owners {
        self.root.owners
    }

    pub(super) fn launcher(&self) -> &Arc<Launcher> {
        &self.root.launcher
    }

    /// Where temporaries are recorded, made at the first write.
    pub(super) fn journal(&self) -> Option<Arc<Journal>> {
        self.root.journal()
    }

    pub(super) fn state_dir(&self) -> Option<Arc<std::path::Path>> {
        self.root.state_dir.clone()
    }

    /// What is staged below the root, by all of its scopes.
    pub(super) fn staged_bytes(&self) -> &StagedBytes {
        &self.root.staged
    }

    pub(super) fn strategy(&self) -> Strategy {
        self.root.opened().strategy
    }

    /// How far metadata can be looked up on the caller's thread.
    pub(super) fn inline_lookup(&self) -> Option<How> {
        match self.strategy() {
            Strategy::Memory => Some(How::SameFilesystem),
            Strategy::Cached | Strategy::Overlay => Some(How::Cached),
            Strategy::Pool => None,
        }
    }

    /// How far changes can be made on the caller's thread.
    pub(super) fn inline_change(&self) -> Option<How> {
        (self.strategy() == Strategy::Memory).then_some(How::SameFilesystem)
    }

    /// Runs an operation here and now. Where the root turns out to be gone, once more in the new one.
    pub(super) fn now<T>(
        &self,
        effect: Effect,
        work: impl Fn(&Boundary<'_>) -> Result<T, Halt>,
    ) -> Result<T, Halt> {
        let opened = self.root.opened();
        match self.watched(&opened, &work) {
            Err(Halt::Failed(error))
                if error.code() == ErrorCode::NotFound
                    && self
                        .root
                        .reopen_if_removed(&opened, effect == Effect::Creates) =>
            {
                self.watched(&self.root.opened(), &work)
            }
            other => other,
        }
    }

    /// One attempt. What was refused on the way is its outcome, whatever became of it.
    fn watched<T>(
        &self,
        opened: &Opened,
        work: impl Fn(&Boundary<'_>) -> Result<T, Halt>,
    ) -> Result<T, Halt> {
        let Some(guard) = &self.guard else {
            return work(&self.boundary(opened, None));
        };
        let watch = Watch::new(&**guard);
        let outcome = work(&self.boundary(opened, Some(&watch)));
        match watch.into_denied() {
            Some(denied) => Err(denied.into()),
            None => outcome,
        }
    }

    /// Runs an operation at once as far as `inline` goes, and if it would have to wait, on the pool; as long as
    /// somebody holds a lease on the file, again and again without holding a thread.
    pub(super) fn call<T: Send + 'static>(
        self: &Arc<Self>,
        effect: Effect,
        inline: Option<How>,
        work: impl Fn(&Boundary<'_>, How) -> Result<T, Halt> + Send + Sync + 'static,
    ) -> Call<T> {
        if let Some(how) = inline {
            match self.now(effect, |boundary| work(boundary, how)) {
                Ok(value) => return Call::ok(value),
                Err(Halt::Failed(error)) => return Call::err(error),
                Err(Halt::Wait) => {}
            }
        }
        self.wait(Work::Files, effect, work)
    }

    /// Runs an operation on the pool, as [`Place::call`] does what would have to wait.
    pub(super) fn wait<T: Send + 'static>(
        self: &Arc<Self>,
        kind: Work,
        effect: Effect,
        work: impl Fn(&Boundary<'_>, How) -> Result<T, Halt> + Send + Sync + 'static,
    ) -> Call<T> {
        let slots = Arc::clone(&self.slots);
        let place = Arc::clone(self);
        let work = Arc::new(move || place.now(effect, |boundary| work(boundary, How::Links)));
        Call::pending(until_free(slots, kind, work))
    }

    /// Goes on with work that was begun and would block.
    pub(super) fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Call<T> {
        Call::pending(Arc::clone(&self.slots).run(Work::Files, work))
    }

    fn boundary<'a>(&'a self, opened: &'a Opened, watch: Option<&'a Watch<'a>>) -> Boundary<'a> {
        Boundary {
            root: opened.handle.as_fd(),
            root_paths: &opened.paths,
            scope: &self.scope,
            resolver: self.root.resolver,
            watch,
        }
    }

    pub(super) fn open_directory(&self, path: &RelPath) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let opened = self.now(Effect::Reads, |boundary| {
            let file = beneath::open(boundary, path, flags, Mode::empty(), How::Links)?;
            Ok(file)
        });
        opened.map_err(|halt| match halt {
            Halt::Failed(error) => error,
            Halt::Wait => leased(),
        })
    }
}

/// Tries on the pool until the operation need not wait any more.
async fn until_free<T: Send + 'static>(
    slots: Arc<ScopeSlots>,
    kind: Work,
    work: Arc<dyn Fn() -> Result<T, Halt> + Send + Sync>,
) -> Result<T> {
    let mut give_up = None;
    let mut pause = FIRST_PAUSE;
    loop {
        let attempt = Arc::clone(&work);
        let slots = Arc::clone(&slots);
        match slots.run(kind, move || Ok(attempt())).await? {
            Ok(value) => return Ok(value),
            Err(Halt::Failed(error)) => return Err(error),
            Err(Halt::Wait) => {}
        }
        let deadline = *give_up.get_or_insert_with(|| Instant::now() + patience());
        if Instant::now() >= deadline {
            return Err(leased());
        }
        let _ = pool::runtime().spawn(tokio::time::sleep(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A little longer than the kernel lets a lease stand against others.
fn patience() -> Duration {
    let seconds = std::fs::read_to_string("/proc/sys/fs/lease-break-time")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(45);
    Duration::from_secs(seconds) + AFTER_LEASE_BREAK
}

fn leased() -> Error {
    Error::new(
        ErrorCode::Timeout,
        "another process holds a lease on the file and does not let go of it",
    )
}
