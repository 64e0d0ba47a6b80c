//! A workspace whose commands have limits, at each level that works here.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use agent_backend::backend::limits::{Limits, Mechanism, ScopeLimits};
use agent_backend::backend::local::command::{CommandOptions, Isolation};
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::error::Error;
use agent_backend::workspace::{
    CommandOutput, RunOptions, ScopeOptions, Workspace, WorkspaceOptions,
};

use super::workspace::wait;

pub const LEVELS: [Isolation; 3] = [Isolation::Bwrap, Isolation::Landlock, Isolation::None];

pub struct Fixture {
    pub base: tempfile::TempDir,
    pub backend: Arc<LocalBackend>,
    pub root: Workspace,
    pub level: Isolation,
}

impl Fixture {
    /// A workspace at a level; `None`, and a word on why, where that does not work.
    pub fn new(
        level: Isolation,
        scope_limits: ScopeLimits,
        max_bytes: Option<u64>,
    ) -> Option<Self> {
        let command = CommandOptions {
            scope_limits,
            ..CommandOptions::default()
        };
        Self::open(level, command, max_bytes)
    }

    /// The same with other options.
    pub fn with(level: Isolation, set: impl FnOnce(&mut CommandOptions)) -> Option<Self> {
        let mut command = CommandOptions::default();
        set(&mut command);
        Self::open(level, command, None)
    }

    fn open(level: Isolation, command: CommandOptions, max_bytes: Option<u64>) -> Option<Self> {
        let base = tempfile::tempdir().unwrap();
        // At Landlock commands walk to their directory: as another user, where we are root.
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(base.path(), mode).unwrap();
        let backend = LocalBackend::open(LocalOptions {
            root_dir: base.path().join("root"),
            state_dir: Some(base.path().join("state")),
            max_bytes,
            command: CommandOptions {
                isolation: level,
                ..command
            },
            ..LocalOptions::default()
        });
        let backend = backend.unwrap();
        if let Err(error) = backend.launcher().isolation() {
            crate::skip::skip(&error.to_string());
            return None;
        }
        let root = Workspace::new(
            backend.clone(),
            WorkspaceOptions {
                prevent_dangerous: false,
                ..WorkspaceOptions::default()
            },
            ScopeOptions::default(),
        );
        Some(Self {
            base,
            backend,
            root,
            level,
        })
    }

    pub fn all() -> impl Iterator<Item = Self> {
        let levels = LEVELS.into_iter();
        levels.filter_map(|level| Self::new(level, ScopeLimits::default(), None))
    }

    pub fn scope(&self, name: &str) -> Workspace {
        self.root.scope(name, ScopeOptions::default()).unwrap()
    }

    /// What ends a command for this limit here.
    pub fn mechanism(&self, limit: &str) -> Option<Mechanism> {
        let told = self.backend.launcher().limit_enforcement().unwrap();
        let found = told.iter().find(|told| told.limit == limit).unwrap();
        assert!(!(found.by.is_empty() && found.reason.is_empty()));
        found.by.first().copied()
    }
}

pub fn options(limits: Limits) -> RunOptions {
    RunOptions {
        limits,
        // Whatever the limit does, the test ends.
        timeout_ms: Some(30_000),
        ..RunOptions::default()
    }
}

pub fn run(workspace: &Workspace, command: &str, limits: Limits) -> Result<CommandOutput, Error> {
    wait(workspace.run(command, options(limits)))
}
