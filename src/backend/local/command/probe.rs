//! What works here is found out by doing it: a command is run in each level, strongest first.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};

use super::options::{Isolation, Network};
use super::private::{ProbeDirectory, ScopeKey};
use super::{Launcher, Place, sandbox};
use crate::backend::process::CommandSpec;
use crate::error::{Error, ErrorCode, Result};
use crate::sys::linux::spawn::Ended;
use crate::sys::linux::spawn_tree;

/// How long the trial may take.
const WITHIN: Duration = Duration::from_secs(20);

/// What to do where it does not work.
const HOW_TO_GET_IT: &str = "install bubblewrap (on Debian and Ubuntu: apt-get install bubblewrap) and allow it user namespaces, or name the";

/// The level that was taken.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) level: Isolation,
    /// Why it is weaker than the strongest, where nobody asked for that.
    pub(super) weakness: Option<String>,
}

/// The level that the options name, tried out; for `auto` the strongest that works.
pub(super) fn choose(launcher: &Launcher) -> Result<Found> {
    let taken = |level| {
        Ok(Found {
            level,
            weakness: None,
        })
    };
    match launcher.options.isolation {
        level @ (Isolation::None | Isolation::Software) => taken(level),
        Isolation::Bwrap => match try_bwrap(launcher) {
            Ok(()) => taken(Isolation::Bwrap),
            Err(why) => Err(missing(&why)),
        },
        Isolation::Auto => match try_bwrap(launcher) {
            Ok(()) => taken(Isolation::Bwrap),
            Err(why) if launcher.options.require_wall => Err(no_wall(&why)),
            // Only a namespace can keep the network away: a weaker level would break a promise.
            Err(why) if launcher.options.network == Network::None => Err(missing(&why)),
            Err(why) => Ok(Found {
                level: Isolation::Software,
                weakness: Some(format!(
                    "commands run without a kernel wall (isolation 'software'), since 'bwrap' does not work here: {}; {HOW_TO_GET_IT} `isolation` that you accept",
                    why.message()
                )),
            }),
        },
    }
}

fn missing(why: &Error) -> Error {
    Error::new(
        ErrorCode::MissingUtilities,
        format!("isolation 'bwrap' does not work here: {}", why.message()),
    )
    .with_source(why.clone())
}

/// The same where the caller is not the one who can change it: what the operator can do.
fn no_wall(why: &Error) -> Error {
    Error::new(
        ErrorCode::MissingUtilities,
        format!(
            "no command is run without a kernel wall, and isolation 'bwrap' does not work here: {}; the operator can {HOW_TO_GET_IT} level to accept instead (`--isolation software` or `--isolation none`)",
            why.message()
        ),
    )
    .with_source(why.clone())
}

/// Runs a command in a sandbox around an empty directory.
fn try_bwrap(launcher: &Launcher) -> Result<()> {
    let store = launcher.store()?;
    let scope = store.probe_directory(launcher.options.scope_uid)?;
    let outcome = run_in(launcher, &scope);
    let _ = store.forget(&ScopeKey::of(&scope.handle)?);
    outcome
}

fn run_in(launcher: &Launcher, scope: &ProbeDirectory) -> Result<()> {
    let path = scope.path.as_os_str().as_bytes().to_vec();
    let place = Place {
        root: scope.handle.try_clone()?,
        cwd: scope.handle.try_clone()?,
        root_path: path.clone(),
        cwd_path: path,
    };
    let spec = CommandSpec {
        command: ":".to_owned(),
        ..CommandSpec::default()
    };
    let plan = sandbox::plan(launcher, &place, &spec)?;
    let null = || -> Result<OwnedFd> {
        Ok(rustix::fs::open(
            "/dev/null",
            OFlags::RDWR | OFlags::CLOEXEC,
            Mode::empty(),
        )?)
    };
    let (stderr, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let (child, sandboxed) = plan.spawn([null()?, null()?, writer], ":")?;
    let timeout = Timespec::try_from(WITHIN).ok();
    let ready = poll(
        &mut [PollFd::from_borrowed_fd(child.pidfd.as_fd(), PollFlags::IN)],
        timeout.as_ref(),
    );
    if !matches!(ready, Ok(count) if count > 0) {
        spawn_tree::wait_until_gone(&spawn_tree::end_everything(child.pid));
    }
    let ended = child.reap()?;
    let mut said = Vec::new();
    let _ = File::from(stderr).read_to_end(&mut said);
    let ended = match sandboxed {
        Some(sandboxed) => sandbox::verdict(sandboxed)(ended, &said)?,
        None => ended,
    };
    if ended == Ended::Code(0) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&said);
    Err(Error::new(
        ErrorCode::ExecError,
        format!("a trial command failed ({ended:?}): {}", said.trim()),
    ))
}
