//! From a command to a process: which program is started, with what environment, descriptors and directory.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::OnceLock;

use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::net::unix::pipe;

use super::environment::{Environment, SYSTEM_PATH};
use super::options::Isolation;
use super::private::{PrivateDirs, ScopeKey};
use super::programs::c_string;
use super::{Launcher, Pipes, Place, pump};
use crate::backend::process::{CommandSpec, Stdin};
use crate::error::{Error, ErrorCode, Result};
use crate::sys::linux::spawn::{Child, SpawnRequest, spawn};

/// Everything about a command that can be settled before it starts.
pub(super) struct Plan {
    program: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
    sandboxed: bool,
}

/// What a start leaves in our hands.
pub(super) struct Started {
    pub(super) child: Child,
    pub(super) sandboxed: bool,
    pub(super) input: Option<pipe::Sender>,
    pub(super) output: pump::Output,
    pub(super) verdict: Option<pump::Verdict>,
}

impl Plan {
    pub(super) fn make(launcher: &Launcher, place: &Place, spec: &CommandSpec) -> Result<Self> {
        match launcher.isolation()? {
            Isolation::Auto | Isolation::Bwrap | Isolation::None | Isolation::Software => {
                Self::open(launcher, place, spec)
            }
        }
    }

    /// Without a wall: the shell itself, as whom we are.
    fn open(launcher: &Launcher, place: &Place, spec: &CommandSpec) -> Result<Self> {
        let shell = launcher.programs.shell()?;
        let mut environment =
            Environment::from_host(std::env::vars_os(), launcher.options.inherit_env);
        let path = std::env::var_os("PATH").unwrap_or_else(|| SYSTEM_PATH.into());
        environment.set("PATH", absolute_entries(&path));
        environment.set("SHELL", shell.path);
        environment.set("HOME", OsStr::from_bytes(&place.root_path));
        environment.set("PWD", OsStr::from_bytes(&place.cwd_path));
        let user = host_user();
        environment.set("USER", user);
        environment.set("LOGNAME", user);
        let owner = (
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        );
        let private = private_dirs(launcher, place, owner)?;
        environment.set("TMPDIR", &private.tmp_path);
        set_caches(&mut environment, private.cache_path.as_os_str());
        environment.apply(&spec.env)?;
        Ok(Self {
            program: c_string(shell.path)?,
            arguments: shell.arguments(&spec.command)?,
            environment: environment.to_strings()?,
            sandboxed: false,
        })
    }

    /// Starts it. Inside the runtime, which the pipes belong to.
    pub(super) fn start(self, place: &Place, spec: &CommandSpec) -> Result<Started> {
        let (child_ends, pipes) = make_pipes(&spec.stdin)?;
        let child = spawn(&SpawnRequest {
            program: &self.program,
            arguments: &self.arguments,
            environment: &self.environment,
            directory: Some(place.cwd.as_fd()),
            descriptors: &child_ends.as_fds(),
        })
        .map_err(|error| start_error(error, &spec.command))?;
        Ok(Started {
            child,
            sandboxed: self.sandboxed,
            input: pipes.input,
            output: pipes.output,
            verdict: None,
        })
    }
}

pub(super) fn private_dirs(
    launcher: &Launcher,
    place: &Place,
    owner: (u32, u32),
) -> Result<PrivateDirs> {
    launcher
        .store()?
        .directories(&ScopeKey::of(&place.root)?, owner)
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
pub(super) fn absolute_entries(path: &OsStr) -> std::ffi::OsString {
    let kept: Vec<&[u8]> = path
        .as_bytes()
        .split(|&b| b == b':')
        .filter(|entry| entry.first() == Some(&b'/'))
        .collect();
    OsStr::from_bytes(&kept.join(&b':')).to_owned()
}

/// Who we are, as `/etc/passwd` names it.
fn host_user() -> &'static str {
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

/// The child's ends of its pipes.
struct ChildEnds {
    stdin: OwnedFd,
    stdout: OwnedFd,
    stderr: OwnedFd,
}

impl ChildEnds {
    fn as_fds(&self) -> [BorrowedFd<'_>; 3] {
        [self.stdin.as_fd(), self.stdout.as_fd(), self.stderr.as_fd()]
    }
}

fn make_pipes(stdin: &Stdin) -> Result<(ChildEnds, Pipes)> {
    let (stdin, input) = match stdin {
        Stdin::Null => (File::open("/dev/null")?.into(), None),
        Stdin::Bytes(_) | Stdin::Pipe => {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK)?;
            (reader, Some(pipe::Sender::from_owned_fd_unchecked(writer)?))
        }
    };
    let (stdout, out) = output_pipe()?;
    let (stderr, err) = output_pipe()?;
    Ok((
        ChildEnds {
            stdin,
            stdout,
            stderr,
        },
        Pipes {
            input,
            output: pump::Output {
                stdout: out,
                stderr: err,
            },
        },
    ))
}

/// A pipe whose reading end alone does not block; the command gets an ordinary one.
pub(super) fn output_pipe() -> Result<(OwnedFd, pipe::Receiver)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK)?;
    Ok((writer, pipe::Receiver::from_owned_fd_unchecked(reader)?))
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
