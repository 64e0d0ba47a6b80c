//! A workspace with something to protect in it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent_backend::access::{AccessHook, AccessPolicy, AccessRule, Allow};
use agent_backend::backend::local::command::{CommandOptions, Isolation};
use agent_backend::backend::local::{LocalBackend, LocalOptions, Resolver};
use agent_backend::backend::memory::{MemoryBackend, MemoryOptions};
use agent_backend::backend::{Backend, Content, ReadOptions, WriteOptions};
use agent_backend::call::Call;
use agent_backend::error::{Error, ErrorCode, Result};
use agent_backend::pool;
use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};

/// What the protected files hold.
pub const CANARY: &str = "the canary";
/// What everything else holds.
pub const PLAIN: &str = "plain";

pub const DEPTHS: [usize; 3] = [0, 1, 2];

/// Where the files are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Memory,
    /// On the file system of the temporary directory, followed by the kernel.
    Kernel,
    /// On one in memory, where calls are made inline, followed by ourselves.
    Walker,
    /// On one in memory, followed by the kernel.
    Inline,
}

pub const KINDS: [Kind; 4] = [Kind::Memory, Kind::Kernel, Kind::Walker, Kind::Inline];
pub const ON_DISK: [Kind; 3] = [Kind::Kernel, Kind::Walker, Kind::Inline];

/// How to make one.
#[derive(Clone, Debug)]
pub struct Setup {
    pub kind: Kind,
    pub depth: usize,
    /// Patterns below the workspace, which is the scope at this depth.
    pub rules: Vec<(&'static str, Allow)>,
    pub hook: Option<Arc<dyn AccessHook>>,
    pub hook_timeout_ms: u64,
    pub isolation: Isolation,
}

impl Setup {
    pub fn new(kind: Kind, depth: usize) -> Self {
        Self {
            kind,
            depth,
            rules: Vec::new(),
            hook: None,
            hook_timeout_ms: 60_000,
            isolation: Isolation::None,
        }
    }

    pub fn rules(self, rules: &[(&'static str, Allow)]) -> Self {
        Self {
            rules: rules.to_vec(),
            ..self
        }
    }

    pub fn hook(self, hook: Arc<dyn AccessHook>) -> Self {
        Self {
            hook: Some(hook),
            ..self
        }
    }

    pub fn isolation(self, isolation: Isolation) -> Self {
        Self { isolation, ..self }
    }

    pub fn make(self) -> World {
        World::make(self)
    }
}

pub struct World {
    /// The one to try on.
    pub workspace: Workspace,
    /// The same files without any policy.
    pub open: Workspace,
    /// Its directory, where there is one.
    pub ground: PathBuf,
    pub state: PathBuf,
    _directory: tempfile::TempDir,
}

/// Where the scope of a depth is.
pub fn prefix(depth: usize) -> &'static str {
    ["", "tenants/1/", "tenants/1/app/"][depth]
}

fn policy(setup: &Setup) -> Option<AccessPolicy> {
    if setup.rules.is_empty() && setup.hook.is_none() {
        return None;
    }
    let rules = setup.rules.iter().map(|(pattern, allow)| AccessRule {
        // A pattern without a slash is good at any depth.
        pattern: match pattern.contains('/') || *pattern == "**" {
            true => format!("/{}{}", prefix(setup.depth), pattern),
            false => (*pattern).to_owned(),
        },
        allow: *allow,
        exec: true,
    });
    let policy = AccessPolicy::new(rules.collect()).unwrap();
    Some(AccessPolicy {
        hook: setup.hook.clone(),
        hook_timeout: std::time::Duration::from_millis(setup.hook_timeout_ms),
        ..policy
    })
}

impl World {
    fn make(setup: Setup) -> Self {
        let shared = Path::new("/dev/shm");
        let directory = match setup.kind {
            Kind::Walker | Kind::Inline if shared.is_dir() => tempfile::tempdir_in(shared),
            _ => tempfile::tempdir(),
        }
        .unwrap();
        let root = directory.path().canonicalize().unwrap().join("root");
        let backend: Arc<dyn Backend> = match setup.kind {
            Kind::Memory => MemoryBackend::new(MemoryOptions::default()).unwrap(),
            kind => LocalBackend::open(LocalOptions {
                root_dir: root.clone(),
                state_dir: Some(directory.path().canonicalize().unwrap().join("state")),
                resolver: match kind {
                    Kind::Walker => Resolver::Walker,
                    _ => Resolver::Kernel,
                },
                command: CommandOptions {
                    isolation: setup.isolation,
                    ..CommandOptions::default()
                },
                ..LocalOptions::default()
            })
            .unwrap(),
        };
        let open = deeper(&backend, None, setup.depth);
        let workspace = deeper(&backend, policy(&setup), setup.depth);
        let world = Self {
            workspace,
            open,
            ground: root.join(prefix(setup.depth)),
            state: root.with_file_name("state"),
            _directory: directory,
        };
        for (path, content) in [
            ("secret/a", CANARY),
            ("secret/deep/b", CANARY),
            ("pub/p", PLAIN),
            ("pub/d/q", PLAIN),
            ("pub/holds/app.key", CANARY),
            ("own", PLAIN),
        ] {
            world.put(path, content);
        }
        world
    }

    /// Writes without a policy.
    pub fn put(&self, path: &str, content: &str) {
        let content = Content::owned(content.to_owned());
        wait(self.open.write(path, content, WriteOptions::default())).unwrap();
    }

    /// Reads without a policy.
    pub fn get(&self, path: &str) -> Option<String> {
        let read = wait(self.open.read(path, ReadOptions::default())).ok()?;
        Some(String::from_utf8(read.bytes.to_vec()).unwrap())
    }

    pub fn link(&self, target: impl AsRef<Path>, name: &str) {
        std::os::unix::fs::symlink(target, self.ground.join(name)).unwrap();
    }

    /// Everything that there is: paths and contents.
    pub fn snapshot(&self) -> Vec<String> {
        let options = agent_backend::workspace::SearchOptions::default();
        let found = wait(self.open.tree("", None, options)).unwrap();
        let entries = found.entries.into_iter().map(|entry| {
            let path = entry.entry.path.to_string();
            let content = self.get(&path).unwrap_or_default();
            format!("{path} {content}")
        });
        entries.collect()
    }
}

fn deeper(backend: &Arc<dyn Backend>, access: Option<AccessPolicy>, depth: usize) -> Workspace {
    let options = WorkspaceOptions {
        access,
        ..WorkspaceOptions::default()
    };
    let root = Workspace::new(Arc::clone(backend), options, ScopeOptions::default());
    let scope = |parent: &Workspace, path| parent.scope(path, ScopeOptions::default()).unwrap();
    match depth {
        0 => root,
        1 => scope(&root, "tenants/1"),
        _ => scope(&scope(&root, "tenants/1"), "app"),
    }
}

pub fn wait<T: Send + 'static>(call: Call<T>) -> Result<T> {
    pool::runtime().block_on(call)
}

/// The error of a call that must be refused by the policy.
#[track_caller]
pub fn denied<T: Send + 'static>(call: Call<T>) -> Error {
    let error = wait(call).err().expect("the call succeeded");
    assert_eq!(error.code(), ErrorCode::PolicyDenied, "{error}");
    error
}
