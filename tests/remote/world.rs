//! A daemon's workspace over a temporary directory, and clients of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_backend::backend::local::command::{CommandOptions, Isolation, Shell};
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::backend::{Content, ReadOptions, WriteOptions};
use agent_backend::call::Call;
use agent_backend::daemon::session::Session;
use agent_backend::error::Result;
use agent_backend::pool;
use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::in_process::InProcess;

pub struct World {
    /// As the daemon sees it.
    pub served: Workspace,
    directory: TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::with(WorkspaceOptions::default())
    }

    pub fn with(options: WorkspaceOptions) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let backend = LocalBackend::open(LocalOptions {
            root_dir: directory.path().join("root"),
            state_dir: Some(directory.path().join("state")),
            command: CommandOptions {
                isolation: Isolation::None,
                shell: Shell::Sh,
                ..CommandOptions::default()
            },
            ..LocalOptions::default()
        });
        let served = Workspace::new(backend.unwrap(), options, ScopeOptions::default());
        Self { served, directory }
    }

    pub fn session(&self) -> Session {
        Session {
            workspace: self.served.clone(),
            served_root: self.served.root_dir().to_vec(),
            closed: CancellationToken::new(),
        }
    }

    /// The directory that is served.
    pub fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    /// A client, and what connects it.
    pub fn client(&self) -> (Workspace, Arc<InProcess>) {
        let connector = InProcess::new(&self.served);
        let workspace = Workspace::new(
            connector.backend(),
            WorkspaceOptions::default(),
            ScopeOptions::default(),
        );
        (workspace, connector)
    }

    pub fn put(&self, path: &str, text: &str) {
        put(&self.served, path, text).unwrap();
    }

    pub fn get(&self, path: &str) -> String {
        get(&self.served, path).unwrap()
    }
}

pub fn wait<T: 'static>(call: Call<T>) -> Result<T> {
    pool::runtime().block_on(call)
}

pub fn put(workspace: &Workspace, path: &str, text: &str) -> Result<()> {
    let content = Content::owned(text.as_bytes().to_vec());
    wait(workspace.write(path, content, WriteOptions::default())).map(|_| ())
}

pub fn get(workspace: &Workspace, path: &str) -> Result<String> {
    let outcome = wait(workspace.read(path, ReadOptions::default()))?;
    Ok(String::from_utf8(outcome.bytes.to_vec()).unwrap())
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(20), "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
