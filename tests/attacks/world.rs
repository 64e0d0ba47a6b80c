//! Two tenants of one root, and a host around them with secrets, servers and processes. Whatever of it an attack is
//! after belongs to the user that commands run as, so that nothing but the wall is in the way.

use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use agent_backend::backend::local::command::CommandOptions;
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::backend::{Content, WriteOptions};
use agent_backend::call::Call;
use agent_backend::error::Result;
use agent_backend::path::RelPath;
use agent_backend::pool;
use agent_backend::workspace::{
    CommandOutput, RunOptions, ScopeOptions, Workspace, WorkspaceOptions,
};
use serde_json::{Value, json};

use crate::attack::{Reach, Setting};
use crate::victim::{Ipc, Servers, Victim};

/// What the files of the host hold before an attack.
pub const BEFORE: &str = "untouched";

/// Time limit of a command; none takes a tenth of it.
const TIME_LIMIT_MS: u64 = 60_000;

pub struct World {
    pub setting: Setting,
    pub workspace: Workspace,
    pub one: Workspace,
    pub two: Workspace,
    /// In every place where an attack may look for it; nobody else has it.
    pub secret: String,
    /// As whom commands run.
    pub uid: u32,
    /// A descriptor on `/` that plain children inherit.
    pub leak: OwnedFd,
    base: tempfile::TempDir,
    servers: OnceLock<Servers>,
    ipc: OnceLock<Ipc>,
    victim: OnceLock<Victim>,
}

pub fn wait<T: Send + 'static>(call: Call<T>) -> Result<T> {
    pool::runtime().block_on(call)
}

impl World {
    pub fn new(setting: Setting) -> Self {
        let base = tempfile::tempdir().unwrap();
        open_to_all(base.path());
        let top = base.path().canonicalize().unwrap();
        let backend = LocalBackend::open(LocalOptions {
            root_dir: top.join("root"),
            state_dir: Some(top.join("state")),
            command: CommandOptions {
                isolation: setting.level,
                network: setting.reach.network(),
                ..CommandOptions::default()
            },
            ..LocalOptions::default()
        })
        .unwrap();
        let options = WorkspaceOptions {
            command_timeout_ms: Some(TIME_LIMIT_MS),
            ..WorkspaceOptions::default()
        };
        let workspace = Workspace::new(backend.clone(), options, ScopeOptions::default());
        let tenant = |name: &str| {
            let scope = workspace.scope(name, ScopeOptions::default()).unwrap();
            wait(scope.create_dir("", true)).unwrap();
            if setting.tree_of_root {
                chown(top.join("root").join(name), Some(0), Some(0)).unwrap();
            }
            scope
        };
        let (one, two) = (tenant("one"), tenant("two"));
        let place = RelPath::parse(b"one", b"/").unwrap();
        let uid = backend.runs_as(&place).unwrap().uid;
        let world = Self {
            secret: format!("secret-{}", random()),
            leak: leak(),
            setting,
            workspace,
            one,
            two,
            uid,
            base,
            servers: OnceLock::new(),
            ipc: OnceLock::new(),
            victim: OnceLock::new(),
        };
        world.furnish();
        world
    }

    fn furnish(&self) {
        for name in ["", "home"] {
            let directory = self.host().join(name);
            std::fs::create_dir(&directory).unwrap();
            self.give(&directory);
        }
        for path in ["host/secret", "root/two/secret"] {
            let path = self.top().join(path);
            std::fs::write(&path, &self.secret).unwrap();
            self.give(&path);
        }
        let program = self.host().join("tool");
        std::fs::write(&program, format!("#!/bin/sh\necho {}\n", self.secret)).unwrap();
        self.give(&program);
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Makes something belong to whom commands run as.
    pub fn give(&self, path: &Path) {
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::lchown(path, Some(self.uid), Some(self.uid)).unwrap();
        }
    }

    pub fn top(&self) -> PathBuf {
        self.base.path().canonicalize().unwrap()
    }

    /// A directory outside the root.
    pub fn host(&self) -> PathBuf {
        self.top().join("host")
    }

    pub fn scope(&self, name: &str) -> PathBuf {
        self.top().join("root").join(name)
    }

    pub fn servers(&self) -> &Servers {
        self.servers
            .get_or_init(|| Servers::start(&self.host(), &self.secret))
    }

    pub fn ipc(&self) -> &Ipc {
        self.ipc.get_or_init(|| Ipc::make(&self.secret))
    }

    pub fn victim(&self) -> &Victim {
        self.victim
            .get_or_init(|| Victim::start(self.uid, &self.secret, &self.host().join("secret")))
    }

    /// A file and an empty directory of the host for one attack.
    pub fn expose(&self, id: &str) {
        let (file, directory) = (self.host().join(id), self.host().join(format!("{id}.d")));
        std::fs::write(&file, BEFORE).unwrap();
        std::fs::create_dir(&directory).unwrap();
        self.give(&file);
        self.give(&directory);
    }

    /// What a program is told of the world. The secret itself is not in it.
    pub fn told(&self) -> Value {
        let text = |path: PathBuf| path.into_os_string().into_string().unwrap();
        json!({
            "one": text(self.scope("one")),
            "two": text(self.scope("two")),
            "host": text(self.host()),
            "state": text(self.top().join("state")),
            "top": text(self.top()),
            "root": rustix::process::geteuid().is_root(),
            "host_pid": std::process::id(),
            "handle": self.handle(),
            "listed": self.setting.reach == Reach::Listed,
            "level": self.setting.level.as_str(),
            "walled": self.setting.is_walled(),
            "numbers": crate::observe::numbers(),
        })
    }

    /// What `name_to_handle_at` gives for the secret of the host, in hexadecimal; empty where there is none.
    fn handle(&self) -> String {
        const BYTES: usize = 128;
        let path = std::ffi::CString::new(
            self.host()
                .join("secret")
                .into_os_string()
                .into_encoded_bytes(),
        );
        let path = path.unwrap();
        let mut room = [0u8; 8 + BYTES];
        room[..4].copy_from_slice(&(BYTES as u32).to_ne_bytes());
        let mut mount = 0;
        // SAFETY: the path is a C string, and the room is as large as its first four bytes say, and eight more.
        let made = unsafe {
            libc::syscall(
                libc::SYS_name_to_handle_at,
                libc::AT_FDCWD,
                path.as_ptr(),
                room.as_mut_ptr(),
                &raw mut mount,
                0,
            )
        };
        if made < 0 {
            return String::new();
        }
        room.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub fn run(&self, workspace: &Workspace, command: &str) -> Result<CommandOutput> {
        self.run_with(workspace, command, &[])
    }

    pub fn run_with(
        &self,
        workspace: &Workspace,
        command: &str,
        variables: &[(String, String)],
    ) -> Result<CommandOutput> {
        let env = variables
            .iter()
            .map(|(name, value)| (name.clone().into(), Some(value.clone().into())));
        let options = RunOptions {
            env: env.collect(),
            ..RunOptions::default()
        };
        wait(workspace.run(command, options))
    }

    pub fn put(&self, workspace: &Workspace, path: &str, content: &str) {
        let content = Content::owned(content.as_bytes().to_vec());
        wait(workspace.write(path, content, WriteOptions::default())).unwrap();
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = wait(self.workspace.destroy());
        // What a tenant leaves where a host shares it, where nothing keeps it from doing so.
        let top = self.top();
        let left = format!("agent-backend-{}", top.file_name().unwrap().display());
        for shared in ["/tmp", "/var/tmp", "/dev/shm"] {
            let _ = std::fs::remove_file(Path::new(shared).join(&left));
        }
    }
}

pub fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A name that nothing else on this machine has.
pub fn random() -> String {
    let mut bytes = [0; 12];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn leak() -> OwnedFd {
    let leak = std::fs::File::open("/").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    leak.into()
}
