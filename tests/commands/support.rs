//! A launcher over a temporary directory, and a command run to its end.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_backend::backend::local::command::{CommandOptions, Isolation, Launcher, Place};
use agent_backend::backend::process::{CommandSpec, ExitStatus, Process, ProcessEvent, Stdin};
use agent_backend::error::Result;
use agent_backend::pool;
use rustix::fs::{Mode, OFlags};

/// A workspace directory and a state directory beside it; both go when it is dropped.
pub struct Fixture {
    base: tempfile::TempDir,
    pub launcher: Arc<Launcher>,
}

/// What a command did.
#[derive(Debug)]
pub struct Done {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub status: ExitStatus,
    pub took: Duration,
}

impl Done {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap().trim_end()
    }
}

impl Fixture {
    pub fn new(isolation: Isolation) -> Self {
        Self::with(CommandOptions {
            isolation,
            ..CommandOptions::default()
        })
    }

    pub fn with(options: CommandOptions) -> Self {
        let base = tempfile::tempdir().unwrap();
        std::fs::create_dir(base.path().join("root")).unwrap();
        let launcher = Launcher::new(CommandOptions {
            state_dir: Some(base.path().join("state")),
            ..options
        });
        Self {
            launcher: launcher.unwrap(),
            base,
        }
    }

    /// The workspace's directory, links resolved.
    pub fn root(&self) -> PathBuf {
        self.base.path().canonicalize().unwrap().join("root")
    }

    pub fn state(&self) -> PathBuf {
        self.base.path().canonicalize().unwrap().join("state")
    }

    pub fn spec(command: &str) -> CommandSpec {
        CommandSpec {
            command: command.to_owned(),
            ..CommandSpec::default()
        }
    }

    /// Starts a command in a directory, which is also its scope.
    pub fn start_in(&self, scope: &Path, spec: CommandSpec) -> Result<Process> {
        let cwd = scope.join(Path::new(std::ffi::OsStr::from_bytes(spec.cwd.as_bytes())));
        let place = Place {
            root: handle(scope),
            cwd: handle(&cwd),
            root_path: scope.as_os_str().as_bytes().to_vec(),
            cwd_path: cwd.as_os_str().as_bytes().to_vec(),
        };
        pool::runtime().block_on(self.launcher.spawn(place, spec))
    }

    pub fn start(&self, spec: CommandSpec) -> Result<Process> {
        self.start_in(&self.root(), spec)
    }

    /// Runs a command to its end.
    pub fn run(&self, command: &str) -> Done {
        finish(self.start(Self::spec(command)).unwrap())
    }

    pub fn run_in(&self, scope: &Path, command: &str) -> Done {
        finish(self.start_in(scope, Self::spec(command)).unwrap())
    }

    pub fn run_with(&self, command: &str, stdin: Stdin, env: &[(&str, Option<&str>)]) -> Done {
        let spec = CommandSpec {
            stdin,
            env: env
                .iter()
                .map(|(name, value)| ((*name).into(), value.map(Into::into)))
                .collect(),
            ..Self::spec(command)
        };
        finish(self.start(spec).unwrap())
    }
}

pub fn handle(path: &Path) -> OwnedFd {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::open(path, flags, Mode::empty()).unwrap()
}

/// Reads a process to its end.
pub fn finish(process: Process) -> Done {
    try_finish(process).unwrap()
}

pub fn try_finish(mut process: Process) -> Result<Done> {
    let begun = Instant::now();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    pool::runtime().block_on(async {
        while let Some(event) = process.events.recv().await {
            match event {
                ProcessEvent::Stdout(bytes) => stdout.extend_from_slice(&bytes),
                ProcessEvent::Stderr(bytes) => stderr.extend_from_slice(&bytes),
                ProcessEvent::Failed(error) => return Err(error),
                ProcessEvent::Exit(status) => {
                    return Ok(Done {
                        stdout,
                        stderr,
                        status,
                        took: begun.elapsed(),
                    });
                }
            }
        }
        panic!("the events ended without an end of the command");
    })
}

/// Waits for something that another process does.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process lives (a zombie does not).
pub fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        !stat
            .rsplit(')')
            .next()
            .unwrap()
            .trim_start()
            .starts_with('Z')
    })
}

pub fn read_number(path: &Path) -> Option<i32> {
    std::fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// A descriptor on `/` that plain children inherit.
pub fn leak() -> File {
    let leak = File::open("/").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    leak
}
