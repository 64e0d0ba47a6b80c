//! A directory to be confined to, and what lies around it.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use agent_backend::backend::local::{LocalBackend, LocalOptions, Resolver};
use agent_backend::call::Call;
use agent_backend::error::Result;
use agent_backend::pool;
use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};

/// What nobody inside may read.
pub const SECRET: &str = "the canary outside";
/// What the inner files of the same names hold.
pub const INSIDE: &str = "inside";
pub const DEPTHS: [usize; 3] = [0, 1, 2];
pub const RESOLVERS: [Resolver; 2] = [Resolver::Kernel, Resolver::Walker];

/// `…/outside/canary` beside `…/ground`, whose workspace is a root (depth 0) or a scope of one.
#[derive(Debug)]
pub struct World {
    pub workspace: Workspace,
    /// Absolute path of the workspace's own root.
    pub ground: PathBuf,
    /// Beside it: at depth 1 and 2 this is another tenant of the same root.
    pub outside: PathBuf,
    _directory: tempfile::TempDir,
}

impl World {
    pub fn new(depth: usize, resolver: Resolver) -> Self {
        // Both kinds of file system, without running everything twice.
        let parent = match resolver {
            Resolver::Kernel => std::env::temp_dir(),
            Resolver::Walker => memory(),
        };
        Self::below(&parent, depth, resolver)
    }

    /// On the file system of `parent`.
    pub fn below(parent: &Path, depth: usize, resolver: Resolver) -> Self {
        let directory = tempfile::tempdir_in(parent).unwrap();
        let top = directory.path().join("top");
        let scopes = ["ground", "ground"];
        let mut ground = top.clone();
        let root_dir = if depth == 0 {
            ground.push("ground");
            ground.clone()
        } else {
            ground.extend(&scopes[..depth]);
            top
        };
        let outside = ground.with_file_name("outside");
        let twin = ground.with_file_name("ground-evil");
        std::fs::create_dir_all(&ground).unwrap();
        for place in [&outside, &twin] {
            std::fs::create_dir_all(place.join("directory")).unwrap();
            std::fs::write(place.join("canary"), SECRET).unwrap();
            std::fs::write(place.join("directory/canary"), SECRET).unwrap();
        }
        let backend = LocalBackend::open(LocalOptions {
            root_dir,
            state_dir: Some(concat!(env!("CARGO_TARGET_TMPDIR"), "/confinement-state").into()),
            resolver,
            ..LocalOptions::default()
        })
        .unwrap();
        let mut workspace = Workspace::new(
            backend,
            WorkspaceOptions::default(),
            ScopeOptions::default(),
        );
        for scope in &scopes[..depth] {
            workspace = workspace.scope(scope, ScopeOptions::default()).unwrap();
        }
        Self {
            workspace,
            ground,
            outside,
            _directory: directory,
        }
    }

    /// Everything outside by name, inode, mode, owner, times and content.
    pub fn snapshot(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut open = vec![
            self.outside.clone(),
            self.outside.with_file_name("ground-evil"),
        ];
        while let Some(path) = open.pop() {
            let stat = std::fs::symlink_metadata(&path).unwrap();
            let content = if stat.is_dir() {
                open.extend(path.read_dir().unwrap().map(|entry| entry.unwrap().path()));
                String::new()
            } else {
                std::fs::read_to_string(&path).unwrap()
            };
            found.push(format!(
                "{path:?} {} {:o} {} {} {} {content}",
                stat.ino(),
                stat.mode(),
                stat.uid(),
                stat.mtime(),
                stat.mtime_nsec(),
            ));
        }
        found.sort();
        found
    }

    pub fn put(&self, path: &str, content: &str) {
        let path = self.ground.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn link(&self, target: impl AsRef<Path>, name: &str) {
        std::os::unix::fs::symlink(target, self.ground.join(name)).unwrap();
    }
}

/// A directory in memory, where there is one.
pub fn memory() -> PathBuf {
    let shared = PathBuf::from("/dev/shm");
    if shared.is_dir() {
        shared
    } else {
        std::env::temp_dir()
    }
}

pub fn wait<T: Send + 'static>(call: Call<T>) -> Result<T> {
    pool::runtime().block_on(call)
}

pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
