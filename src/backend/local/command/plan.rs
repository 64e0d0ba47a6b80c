//! From a command to a process: which program is started, with what environment, descriptors and directory.

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::{Arc, OnceLock};

use rustix::pipe::{PipeFlags, pipe_with};

use super::environment::{Environment, SYSTEM_PATH};
use super::etc::Etc;
use super::identity::RunsAs;
use super::launch::{Launch, Launched};
use super::limits::{Bounds, ResourceLimit};
use super::options::Isolation;
use super::private::{PrivateDirs, ScopeKey};
use super::programs::{ShellProgram, c_string};
use super::running::Nesting;
use super::servers::Kind;
use super::staged::Group;
use super::streams::{self, Streams};
use super::way_out::WayOut;
use super::{Launcher, Place, landlocked, sandbox, verdict};
use crate::backend::process::CommandSpec;
use crate::error::{Error, ErrorCode, Result};
use crate::sys::linux::launcher::order::Order;
use crate::sys::linux::spawn::{Child, SpawnRequest, spawn};
use crate::sys::linux::spawn_staging::Staged;

/// Everything about a command that can be settled before it starts.
pub(super) struct Plan {
    begin: Begin,
    wall: Option<Walled>,
}

/// How it is started.
enum Begin {
    /// As a program.
    Program {
        program: CString,
        arguments: Vec<CString>,
        environment: Vec<CString>,
        directory: OwnedFd,
        join: Vec<OwnedFd>,
        limits: Vec<ResourceLimit>,
    },
    /// Through our own binary.
    Launch(Launched),
}

/// What only a command behind a kernel wall has.
pub(super) struct Walled {
    /// Where it says whether the command was run.
    pub(super) status: OwnedFd,
    pub(super) nesting: Nesting,
    /// What must stay reachable until it ends.
    pub(super) etc: Option<Arc<Etc>>,
    pub(super) masks: Vec<Staged>,
    pub(super) way_out: Option<WayOut>,
}

/// What a start leaves in our hands.
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) nesting: Nesting,
    pub(super) streams: Streams,
    pub(super) verdict: Option<verdict::Verdict>,
}

impl Plan {
    /// The plan at a level, with what bounds the command.
    pub(super) fn at(
        level: Isolation,
        launcher: &Launcher,
        place: Place,
        spec: &CommandSpec,
        bounds: Bounds,
    ) -> Result<Self> {
        match level {
            Isolation::Bwrap => sandbox::plan(launcher, &place, spec, bounds),
            // Only a sandbox can hide anything; whoever asks for it here has not looked.
            _ if !spec.masks.is_empty() => Err(Error::new(
                ErrorCode::PolicyDenied,
                "only isolation 'bwrap' can hide what the access policy protects",
            )),
            Isolation::Landlock => landlocked::plan(launcher, place, spec, bounds),
            Isolation::Auto | Isolation::None | Isolation::Software => {
                Self::open(launcher, place, spec, bounds)
            }
        }
    }

    /// Without a wall: the shell itself, as whom we are.
    fn open(launcher: &Launcher, place: Place, spec: &CommandSpec, bounds: Bounds) -> Result<Self> {
        let shell = launcher.programs.shell()?;
        let private = private_dirs(launcher, &place, RunsAs::ourselves())?;
        let path = std::env::var_os("PATH").unwrap_or_else(|| SYSTEM_PATH.into());
        let mut environment = base_environment(launcher, &place, spec, host_user(), shell);
        environment.set("PATH", absolute_entries(&path));
        environment.set("TMPDIR", &private.tmp_path);
        set_caches(&mut environment, private.cache_path.as_os_str());
        trust_repositories(&mut environment, &place)?;
        environment.apply(&spec.env)?;
        if spec.terminal.is_some() {
            return Self::on_terminal(launcher, place.cwd, spec, &environment, bounds);
        }
        Ok(Self {
            begin: Begin::Program {
                program: c_string(shell.path)?,
                arguments: shell.arguments(spec)?,
                environment: environment.to_strings()?,
                directory: place.cwd,
                join: bounds.join,
                limits: bounds.resources,
            },
            wall: None,
        })
    }

    /// The same with a terminal, through our own binary, which takes nothing away: what uses a terminal ends with it, so
    /// somebody stays behind to see to that.
    fn on_terminal(
        launcher: &Launcher,
        cwd: OwnedFd,
        spec: &CommandSpec,
        environment: &Environment,
        bounds: Bounds,
    ) -> Result<Self> {
        let shell = launcher.programs.shell()?;
        let mut launch = Launch::new(launcher, Kind::open())?;
        let (status, status_writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let order = Order {
            status: Some(launch.push(status_writer)?),
            directory: Some(launch.push(cwd)?),
            join: launch.push_all(bounds.join)?,
            limits: bounds.resources,
            supervise: Some(std::process::id()),
            terminal: true,
            environment: environment.to_strings()?,
            program: c_string(shell.path)?,
            arguments: shell.arguments(spec)?,
            ..Order::default()
        };
        let wall = Walled {
            status,
            nesting: Nesting::Supervised,
            etc: None,
            masks: Vec::new(),
            way_out: None,
        };
        Ok(Self::launched(launch.finish(order), wall))
    }

    /// Through our own binary, whose environment is empty: nothing of ours shows in that of any process.
    pub(super) fn launched(launched: Launched, wall: Walled) -> Self {
        Self {
            begin: Begin::Launch(launched),
            wall: Some(wall),
        }
    }

    /// Starts it with these as standard input, output and error. The last of what comes back must live as long as it.
    pub(super) fn spawn(
        self,
        launcher: &Launcher,
        standard: [OwnedFd; 3],
        command: &str,
    ) -> Result<(Child, Option<Walled>, Option<Group>)> {
        let (child, staged) = match self.begin {
            Begin::Program {
                program,
                arguments,
                environment,
                directory,
                join,
                limits,
            } => {
                let (descriptors, join) = (borrowed(&standard), borrowed(&join));
                let child = spawn(&SpawnRequest {
                    program: &program,
                    arguments: &arguments,
                    environment: &environment,
                    directory: Some(directory.as_fd()),
                    descriptors: &descriptors,
                    join: &join,
                    limits: &limits,
                });
                (child, None)
            }
            Begin::Launch(launched) => (launched.start(launcher, &standard), launched.staged),
        };
        let child = child.map_err(|error| start_error(error, command))?;
        Ok((child, self.wall, staged))
    }

    /// Starts it with streams of its own. Inside the runtime, which these belong to.
    pub(super) fn start(
        self,
        launcher: &Launcher,
        spec: &CommandSpec,
        runs_as: RunsAs,
    ) -> Result<Started> {
        let nesting = self
            .wall
            .as_ref()
            .map_or(Nesting::Flat, |wall| wall.nesting);
        let (standard, streams) = streams::open(spec, nesting, runs_as)?;
        let (child, wall, staged) = self.spawn(launcher, standard, &spec.command)?;
        Ok(Started {
            child,
            nesting,
            streams,
            verdict: wall.map(|wall| verdict::of(wall, staged)),
        })
    }
}

fn borrowed(owned: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    owned.iter().map(AsFd::as_fd).collect()
}

/// As root in a tree of another owner, git refuses its repositories; the caller has chosen to trust them.
fn trust_repositories(environment: &mut Environment, place: &Place) -> Result<()> {
    let foreign =
        rustix::process::geteuid().is_root() && rustix::fs::fstat(&place.root)?.st_uid != 0;
    if foreign {
        environment.set("GIT_CONFIG_COUNT", "1");
        environment.set("GIT_CONFIG_KEY_0", "safe.directory");
        environment.set("GIT_CONFIG_VALUE_0", "*");
    }
    Ok(())
}

/// What holds at every level.
pub(super) fn base_environment(
    launcher: &Launcher,
    place: &Place,
    spec: &CommandSpec,
    user: &str,
    shell: &ShellProgram,
) -> Environment {
    let mut environment = Environment::from_host(std::env::vars_os(), launcher.options.inherit_env);
    environment.set("SHELL", shell.path);
    environment.set("HOME", OsStr::from_bytes(&place.root_path));
    environment.set("PWD", OsStr::from_bytes(&place.cwd_path));
    environment.set("USER", user);
    environment.set("LOGNAME", user);
    for (name, value) in &launcher.tools().variables {
        environment.set(name, value);
    }
    if let Some(terminal) = &spec.terminal {
        let unnamed = terminal.name.is_empty();
        environment.set("TERM", if unnamed { "dumb" } else { &terminal.name });
    }
    for (name, value) in shell.variables(spec) {
        environment.set(name, value);
    }
    environment
}

pub(super) fn private_dirs(
    launcher: &Launcher,
    place: &Place,
    runs_as: RunsAs,
) -> Result<PrivateDirs> {
    let owner = (runs_as.uid, runs_as.gid);
    launcher
        .store()?
        .directories(&ScopeKey::of(&place.root)?, &place.root_path, owner)
}

/// Caches leave the workspace alone: HOME is the scope's root, and they would otherwise fill it.
pub(super) fn set_caches(environment: &mut Environment, cache: &OsStr) {
    let below = |name: &str| {
        let mut path = cache.to_owned();
        path.push(name);
        path
    };
    environment.set("XDG_CACHE_HOME", cache);
    environment.set("npm_config_cache", below("/npm"));
    environment.set("PIP_CACHE_DIR", below("/pip"));
    environment.set("CARGO_HOME", below("/cargo"));
}

/// The entries of a search path that mean the same from every directory.
fn absolute_entries(path: &OsStr) -> OsString {
    let kept: Vec<&[u8]> = path
        .as_bytes()
        .split(|&b| b == b':')
        .filter(|entry| entry.first() == Some(&b'/'))
        .collect();
    OsStr::from_bytes(&kept.join(&b':')).to_owned()
}

/// Who we are, as `/etc/passwd` names it.
pub(super) fn host_user() -> &'static str {
    static USER: OnceLock<String> = OnceLock::new();
    USER.get_or_init(|| {
        let uid = rustix::process::geteuid().as_raw().to_string();
        std::fs::read_to_string("/etc/passwd")
            .unwrap_or_default()
            .lines()
            .map(|line| line.split(':').collect::<Vec<_>>())
            .find(|fields| fields.get(2) == Some(&uid.as_str()))
            .and_then(|fields| fields.first().map(|name| (*name).to_owned()))
            .unwrap_or(uid)
    })
}

/// Why a command could not be started, and what to do about it.
fn start_error(error: io::Error, command: &str) -> Error {
    let (code, message) = match error.raw_os_error() {
        Some(libc::E2BIG) => (
            ErrorCode::ExecError,
            format!(
                "the command ({} bytes) or its environment is longer than the operating system takes (128 KiB for one text); write it to a file in the workspace and run that",
                command.len()
            ),
        ),
        Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE) => (
            ErrorCode::LimitExceeded,
            format!("the operating system starts no more processes now: {error}"),
        ),
        _ => (
            ErrorCode::ExecError,
            format!("the command could not be started: {error}"),
        ),
    };
    Error::new(code, message).with_source(error)
}
