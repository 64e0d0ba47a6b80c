//! A workspace to try a behaviour on, and the few verbs that the behaviours are written in.

use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::backend::memory::{MemoryBackend, MemoryOptions};
use agent_backend::backend::{
    Content, Etag, FileStat, ListOptions, ReadOptions, Removable, RemoveOptions, WriteMode,
    WriteOptions,
};
use agent_backend::call::Call;
use agent_backend::error::{ErrorCode, Result};
use agent_backend::pool;
use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};
use tempfile::TempDir;

use crate::in_process::InProcess;
use crate::sshd::{self, Sshd};

/// How many scopes deep the workspace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    Root,
    Scope,
    ScopeOfScope,
}

/// A fresh workspace of one backend; what it needs on the disk goes when this is dropped.
pub struct Fixture {
    pub root: Workspace,
    /// The one to try on: the root itself, or a scope of it whose directory does not exist yet.
    pub workspace: Workspace,
    pub depth: Depth,
    _directory: Option<TempDir>,
    _sshd: Option<Sshd>,
}

impl Fixture {
    pub fn memory(depth: Depth) -> Self {
        let backend = MemoryBackend::new(MemoryOptions {
            root_dir: b"/memory/root".to_vec(),
            ..MemoryOptions::default()
        });
        let root = Workspace::new(
            backend.unwrap(),
            WorkspaceOptions::default(),
            ScopeOptions::default(),
        );
        Self::over(root, depth, None)
    }

    pub fn local(depth: Depth) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let backend = LocalBackend::open(LocalOptions {
            root_dir: directory.path().join("root"),
            state_dir: Some(directory.path().join("state")),
            ..LocalOptions::default()
        });
        let root = Workspace::new(
            backend.unwrap(),
            WorkspaceOptions::default(),
            ScopeOptions::default(),
        );
        Self::over(root, depth, Some(directory))
    }

    /// A remote backend of a local one, with both sides in this process.
    pub fn remote(depth: Depth) -> Self {
        let served = Self::local(Depth::Root);
        let root = Workspace::new(
            InProcess::new(&served.root).backend(),
            WorkspaceOptions::default(),
            ScopeOptions::default(),
        );
        Self::over(root, depth, served._directory)
    }

    /// A remote backend of OpenSSH's server; `None` where there is none.
    pub fn sshd(depth: Depth) -> Option<Self> {
        if let Err(why) = sshd::program() {
            crate::skip::skip(&why);
            return None;
        }
        let server = Sshd::start();
        let root = Workspace::new(
            server.backend(),
            WorkspaceOptions::default(),
            ScopeOptions::default(),
        );
        let mut fixture = Self::over(root, depth, None);
        fixture._sshd = Some(server);
        Some(fixture)
    }

    fn over(root: Workspace, depth: Depth, directory: Option<TempDir>) -> Self {
        let scope = |parent: &Workspace, path| parent.scope(path, ScopeOptions::default()).unwrap();
        let workspace = match depth {
            Depth::Root => root.clone(),
            Depth::Scope => scope(&root, "tenants/1"),
            Depth::ScopeOfScope => scope(&scope(&root, "tenants/1"), "projects/app"),
        };
        Self {
            root,
            workspace,
            depth,
            _directory: directory,
            _sshd: None,
        }
    }
}

/// Waits for a call's result.
pub fn wait<T: 'static>(call: Call<T>) -> Result<T> {
    pool::runtime().block_on(call)
}

/// Waits for a call that must fail, and gives the cause.
#[track_caller]
pub fn code<T: 'static>(call: Call<T>) -> ErrorCode {
    match wait(call) {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => error.code(),
    }
}

/// Options for a write in some mode.
pub fn mode(mode: WriteMode) -> WriteOptions {
    WriteOptions {
        mode,
        ..WriteOptions::default()
    }
}

pub const RECURSIVE: RemoveOptions = RemoveOptions {
    recursive: true,
    force: false,
    only: Removable::Anything,
};
pub const FORCE: RemoveOptions = RemoveOptions {
    recursive: false,
    force: true,
    only: Removable::Anything,
};

/// The verbs of the behaviours. Each panics where the call fails; what may fail is called by its own name.
pub trait Verbs {
    fn put(&self, path: &str, content: impl AsRef<[u8]>) -> FileStat;
    fn put_with(&self, path: &str, content: &str, options: WriteOptions) -> Call<FileStat>;
    fn get(&self, path: &str) -> String;
    fn make(&self, path: &str);
    fn names(&self, path: &str) -> Vec<String>;
    fn has(&self, path: &str) -> bool;
    fn look(&self, path: &str) -> FileStat;
    fn etag(&self, path: &str) -> Etag;
}

impl Verbs for Workspace {
    #[track_caller]
    fn put(&self, path: &str, content: impl AsRef<[u8]>) -> FileStat {
        let content = Content::owned(content.as_ref().to_vec());
        wait(self.write(path, content, WriteOptions::default()))
            .unwrap()
            .stat
    }

    fn put_with(&self, path: &str, content: &str, options: WriteOptions) -> Call<FileStat> {
        let content = Content::owned(content.as_bytes().to_vec());
        self.write(path, content, options)
            .map(|outcome| outcome.stat)
    }

    #[track_caller]
    fn get(&self, path: &str) -> String {
        let outcome = wait(self.read(path, ReadOptions::default())).unwrap();
        String::from_utf8(outcome.bytes.to_vec()).unwrap()
    }

    #[track_caller]
    fn make(&self, path: &str) {
        wait(self.create_dir(path, true)).unwrap();
    }

    #[track_caller]
    fn names(&self, path: &str) -> Vec<String> {
        wait(self.list(path, ListOptions::default()))
            .unwrap()
            .into_iter()
            .map(|entry| String::from_utf8(entry.name).unwrap())
            .collect()
    }

    #[track_caller]
    fn has(&self, path: &str) -> bool {
        wait(self.exists(path)).unwrap()
    }

    #[track_caller]
    fn look(&self, path: &str) -> FileStat {
        wait(self.stat(path)).unwrap()
    }

    #[track_caller]
    fn etag(&self, path: &str) -> Etag {
        self.look(path).etag()
    }
}
