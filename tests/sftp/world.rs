//! A workspace on the disk with something outside it, and sessions in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent_backend::access::{AccessHook, AccessPolicy};
use agent_backend::backend::Backend;
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::backend::memory::{MemoryBackend, MemoryOptions};
use agent_backend::daemon::session::Session;
use agent_backend::pool;
use agent_backend::workspace::{Rights, ScopeOptions, Workspace, WorkspaceOptions};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// How many scopes deep a session is.
pub const DEPTHS: [usize; 2] = [0, 1];

pub struct World {
    pub session: Session,
    /// The session's root on the disk.
    pub root: PathBuf,
    /// A directory outside, with a file `secret`.
    pub outside: PathBuf,
    _directory: TempDir,
}

impl World {
    pub fn new(depth: usize) -> Self {
        Self::with_rights(depth, Rights::ALL)
    }

    pub fn with_rights(depth: usize, rights: Rights) -> Self {
        Self::with(depth, rights, None)
    }

    /// Where every operation asks somebody.
    pub fn asking(hook: Arc<dyn AccessHook>) -> Self {
        Self::with(0, Rights::ALL, Some(hook))
    }

    fn with(depth: usize, rights: Rights, hook: Option<Arc<dyn AccessHook>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        let outside = base.join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("secret"), "the canary").unwrap();
        let served = base.join("root");
        let backend = LocalBackend::open(LocalOptions {
            root_dir: served.clone(),
            state_dir: Some(base.join("state")),
            ..LocalOptions::default()
        });
        let mut root = served.clone();
        let mut workspace = workspace(backend.unwrap(), rights, hook);
        for number in 0..depth {
            let path = format!("tenants/{number}");
            root = root.join(&path);
            workspace = workspace.scope(&path, ScopeOptions::default()).unwrap();
        }
        fs::create_dir_all(&root).unwrap();
        Self {
            session: session(workspace, &served),
            root,
            outside,
            _directory: directory,
        }
    }

    pub fn put(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn get(&self, path: &str) -> Vec<u8> {
        fs::read(self.root.join(path)).unwrap()
    }

    pub fn has(&self, path: &str) -> bool {
        fs::symlink_metadata(self.root.join(path)).is_ok()
    }

    /// What is in the session's root, hidden files too.
    pub fn names(&self) -> Vec<String> {
        let names = fs::read_dir(&self.root).unwrap();
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
        names
            .map(|entry| name(entry).into_string().unwrap())
            .collect()
    }

    /// Whether what is outside is as it was.
    pub fn outside_is_untouched(&self) -> bool {
        let names: Vec<_> = fs::read_dir(&self.outside).unwrap().collect();
        names.len() == 1 && fs::read(self.outside.join("secret")).unwrap() == b"the canary"
    }
}

fn workspace(
    backend: Arc<dyn Backend>,
    rights: Rights,
    hook: Option<Arc<dyn AccessHook>>,
) -> Workspace {
    let options = WorkspaceOptions {
        access: hook.map(|hook| AccessPolicy::new(Vec::new()).unwrap().with_hook(hook)),
        ..WorkspaceOptions::default()
    };
    let scope = ScopeOptions {
        rights,
        ..ScopeOptions::default()
    };
    Workspace::new(backend, options, scope)
}

fn session(workspace: Workspace, served: &Path) -> Session {
    use std::os::unix::ffi::OsStrExt as _;
    Session {
        workspace,
        served_root: served.as_os_str().as_bytes().to_vec(),
        closed: CancellationToken::new(),
    }
}

/// A session in an empty workspace in memory.
pub fn in_memory() -> Session {
    let backend = MemoryBackend::new(MemoryOptions {
        root_dir: b"/memory".to_vec(),
        ..MemoryOptions::default()
    });
    session(
        workspace(backend.unwrap(), Rights::ALL, None),
        Path::new("/memory"),
    )
}

pub fn run<T>(test: impl Future<Output = T>) -> T {
    pool::runtime().block_on(test)
}
