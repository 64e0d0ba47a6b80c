//! The front that every door passes: it parses paths, refuses what policy forbids, keeps the operation log, names
//! operation and path in errors, and ends what runs when it is destroyed. A check that lives in a door is a bug,
//! because another door lacks it.

mod background;
mod batch;
mod capture;
mod commands;
mod edit;
mod files;
mod held;
mod in_flight;
mod interrupt;
mod keys;
mod network_log;
mod observer;
mod open;
mod options;
mod outcome;
mod permission;
mod registry;
mod reserve;
mod rewrite;
mod rights;
mod search;
mod slots;
mod start;
mod tree;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub use crate::backend::{Edit, EditOptions, EditOutcome};
pub(crate) use background::unguessable;
pub use background::{BackgroundCommand, CommandStatus, MAX_BACKGROUND, NewOutput};
pub use capture::{HeadAndTail, head_and_tail};
pub use commands::{OutputListener, OutputStream, RunOptions};
pub use held::ENDED_FOR;
use held::{Held, Owner};
pub use in_flight::{InFlight, MAX_IN_FLIGHT};
pub use observer::{CommandOutput, OPERATIONS, Observer, OperationRecord, may_change};
pub use options::WorkspaceOptions;
pub use outcome::{signal_name, trim_trailing_newline};
use permission::Question;
use registry::Registry;
pub use reserve::Reserved;
pub use rewrite::{Change, Changed, MAX_EDITED_BYTES, Rewritten};
pub use rights::Rights;
pub use search::SearchOptions;
pub use start::StartOptions;
use tokio_util::sync::CancellationToken;
pub use tree::{TreeEntry, TreeOutcome};

use crate::access::{Access, AccessPolicy};
use crate::backend::{Backend, Capabilities};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::status::Status;

/// What a scope adds to its parent.
#[derive(Clone, Debug, Default)]
pub struct ScopeOptions {
    /// Variables for its commands, on top of the parent's.
    pub env: Vec<(Vec<u8>, Vec<u8>)>,
    /// Who is told of its operations; `None` keeps the parent's.
    pub observer: Option<Arc<dyn Observer>>,
    /// Who acts through it; `None` keeps the parent's, and is the empty one for a root: the owner of the process.
    /// Background commands and calls in flight are known to the principal that started them, in the same scope.
    pub principal: Option<Arc<str>>,
    /// What may be done through it; never more than through the parent. Default: everything.
    pub rights: Rights,
    /// Bytes that everything in it may take of the disk together; the bounds of its parents hold besides. `None`: no
    /// bound of its own. Of a root, the backend's options say it.
    pub max_bytes: Option<u64>,
}

/// A backend with its rules. Cheap to clone; a clone is the same workspace.
#[derive(Clone, Debug)]
pub struct Workspace {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    backend: Arc<dyn Backend>,
    options: Arc<WorkspaceOptions>,
    owner: Arc<Owner>,
    /// The owner of the scope that its principal was named for: this one, or one above.
    tenant: Arc<Owner>,
    parent: Option<Workspace>,
    env: Arc<[(Vec<u8>, Vec<u8>)]>,
    /// Never more than the parent's.
    rights: Rights,
    observer: Option<Arc<dyn Observer>>,
    destroyed: AtomicBool,
    /// Cancelled by destroy, here or above: ends commands and searches.
    ended: CancellationToken,
    scopes: Registry,
    /// The root's.
    held: Arc<Held>,
}

impl Workspace {
    /// A root workspace over a backend.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, options: WorkspaceOptions, scope: ScopeOptions) -> Self {
        let guard = options.access.as_ref().and_then(AccessPolicy::guard);
        let backend = match guard {
            Some(guard) => backend.guarded(guard),
            None => backend,
        };
        let owner = Arc::new(Owner {
            principal: scope.principal.unwrap_or_default(),
            scope: RelPath::root(),
        });
        Self {
            inner: Arc::new(Inner {
                backend,
                options: Arc::new(options),
                tenant: Arc::clone(&owner),
                owner,
                parent: None,
                env: scope.env.into(),
                rights: scope.rights,
                observer: scope.observer,
                destroyed: AtomicBool::new(false),
                ended: CancellationToken::new(),
                scopes: Registry::default(),
                held: Arc::default(),
            }),
        }
    }

    /// A workspace confined to a directory of this one. Touches nothing on the disk.
    ///
    /// # Errors
    /// `PATH_ESCAPE_ATTEMPT`, `INVALID_PATH`, `DESTROYED`; `NOT_IMPLEMENTED` where this backend cannot bound a scope.
    pub fn scope(&self, path: impl AsRef<[u8]>, options: ScopeOptions) -> Result<Self> {
        let below = self.parse("scope", path.as_ref())?;
        let parent = &self.inner;
        let mut backend = parent.backend.rooted(&below);
        if let Some(max_bytes) = options.max_bytes {
            let bounded = backend.bounded(max_bytes);
            backend = bounded.map_err(|error| error.during("scope"))?;
        }
        let owner = Arc::new(Owner {
            principal: (options.principal).unwrap_or_else(|| Arc::clone(&parent.owner.principal)),
            scope: parent.owner.scope.join(&below),
        });
        let scope = Arc::new(Inner {
            backend,
            options: Arc::clone(&parent.options),
            tenant: match owner.principal == parent.tenant.principal {
                true => Arc::clone(&parent.tenant),
                false => Arc::clone(&owner),
            },
            owner,
            parent: Some(self.clone()),
            env: if options.env.is_empty() {
                Arc::clone(&parent.env)
            } else {
                parent.env.iter().cloned().chain(options.env).collect()
            },
            rights: parent.rights.within(options.rights),
            observer: options.observer.or_else(|| parent.observer.clone()),
            destroyed: AtomicBool::new(false),
            ended: parent.ended.child_token(),
            scopes: Registry::default(),
            held: Arc::clone(&parent.held),
        });
        parent.scopes.add(&scope);
        Ok(Self { inner: scope })
    }

    /// The paths of the scopes made from this workspace that are alive, relative to the root, oldest first.
    #[must_use]
    pub fn active_scopes(&self) -> Vec<RelPath> {
        self.inner
            .scopes
            .alive()
            .iter()
            .map(|scope| scope.owner.scope.clone())
            .collect()
    }

    /// The workspace that this scope was made from; `None` for a root.
    #[must_use]
    pub fn parent(&self) -> Option<&Workspace> {
        self.inner.parent.as_ref()
    }

    /// Where this is, relative to the root workspace.
    #[must_use]
    pub fn scope_path(&self) -> &RelPath {
        &self.inner.owner.scope
    }

    /// Who acts through it; empty for the owner of the process.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.inner.owner.principal
    }

    /// Absolute path of this workspace's own root.
    #[must_use]
    pub fn root_dir(&self) -> &[u8] {
        self.inner.backend.root_dir()
    }

    /// The backend below; doors use it to ask, never to act.
    #[must_use]
    pub fn backend(&self) -> &dyn Backend {
        &*self.inner.backend
    }

    /// What it can do beyond files.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        self.inner.backend.capabilities()
    }

    /// The rules of the root.
    #[must_use]
    pub fn options(&self) -> &WorkspaceOptions {
        &self.inner.options
    }

    /// Whether it can be used.
    #[must_use]
    pub fn status(&self) -> Status {
        if self.is_destroyed() {
            Status::Destroyed
        } else {
            self.inner.backend.status()
        }
    }

    /// Ends what runs in this workspace and in all scopes below it; their later calls fail with `DESTROYED`.
    /// The parent goes on. Idempotent.
    pub fn destroy(&self) -> Call<()> {
        let mut open = vec![Arc::clone(&self.inner)];
        let mut closing = Vec::new();
        while let Some(inner) = open.pop() {
            if !inner.destroyed.swap(true, Ordering::AcqRel) {
                closing.push(Arc::clone(&inner.backend));
            }
            open.extend(inner.scopes.alive());
        }
        self.inner.ended.cancel();
        self.inner.held.cancel_ended();
        // The deepest first, so that nothing is started below what is already closed.
        let calls: Vec<Call<()>> = closing
            .iter()
            .rev()
            .map(|backend| backend.close())
            .collect();
        if calls.iter().all(|call| matches!(call, Call::Ready(Ok(())))) {
            return Call::ok(());
        }
        Call::pending(async move {
            let mut outcome = Ok(());
            for call in calls {
                outcome = outcome.and(call.await);
            }
            outcome
        })
    }

    /// Cancelled when this workspace is destroyed, or one above it.
    #[must_use]
    pub fn ended(&self) -> &CancellationToken {
        &self.inner.ended
    }

    fn is_destroyed(&self) -> bool {
        self.inner.destroyed.load(Ordering::Acquire)
    }

    /// The one way in for a path: alive, well-formed, beneath the root.
    fn parse(&self, operation: &'static str, path: &[u8]) -> Result<RelPath> {
        if self.is_destroyed() {
            return Err(destroyed().during(operation));
        }
        RelPath::parse(path, self.inner.backend.root_dir()).map_err(|error| error.during(operation))
    }

    /// Runs one operation on one path, with what a link at its end leads to: checks, errors that name both, and the
    /// log entry.
    fn operate<T: Send + 'static>(
        &self,
        operation: &'static str,
        access: Access,
        path: &[u8],
        act: impl FnOnce(&Arc<dyn Backend>, RelPath) -> Call<T> + Send + 'static,
    ) -> Call<T> {
        self.operate_asking(Question::followed(operation, access), path, act)
    }

    /// [`Workspace::operate`] on a name, whatever is under it.
    fn operate_named<T: Send + 'static>(
        &self,
        operation: &'static str,
        access: Access,
        path: &[u8],
        act: impl FnOnce(&Arc<dyn Backend>, RelPath) -> Call<T> + Send + 'static,
    ) -> Call<T> {
        self.operate_asking(Question::named(operation, access), path, act)
    }

    /// [`Workspace::operate`] with all that is to be asked about it.
    fn operate_asking<T: Send + 'static>(
        &self,
        question: Question,
        path: &[u8],
        act: impl FnOnce(&Arc<dyn Backend>, RelPath) -> Call<T> + Send + 'static,
    ) -> Call<T> {
        let parsed = self.parse(question.operation, path);
        self.operate_parsed(question, path, parsed, |backend, path| match path {
            Ok(path) => act(backend, path),
            Err(error) => Call::err(error),
        })
    }

    /// [`Workspace::operate`] for an operation that has its own answer to a path that is none, or may not be used;
    /// `path` is what errors and the log call it.
    fn operate_parsed<T: Send + 'static>(
        &self,
        question: Question,
        path: &[u8],
        parsed: Result<RelPath>,
        act: impl FnOnce(&Arc<dyn Backend>, Result<RelPath>) -> Call<T> + Send + 'static,
    ) -> Call<T> {
        let operation = question.operation;
        if self.is_destroyed() {
            return Call::err(destroyed().during(operation));
        }
        let started = self.inner.observer.as_ref().map(|_| Instant::now());
        let call = self.permitted(question, parsed, act);
        match call {
            Call::Ready(Ok(value)) if started.is_none() => Call::ok(value),
            Call::Ready(result) => {
                let path = String::from_utf8_lossy(path);
                let result = result.map_err(|error| error.at(path.as_ref()).during(operation));
                self.record(operation, &path, started, result.as_ref().err());
                Call::Ready(result)
            }
            Call::Pending(future) => {
                let path = String::from_utf8_lossy(path).into_owned();
                let workspace = self.clone();
                Call::pending(async move {
                    let result = future
                        .await
                        .map_err(|error| error.at(path.as_str()).during(operation));
                    workspace.record(operation, &path, started, result.as_ref().err());
                    result
                })
            }
        }
    }
}

fn destroyed() -> Error {
    Error::new(
        ErrorCode::Destroyed,
        "the backend was destroyed; create a new one",
    )
}
