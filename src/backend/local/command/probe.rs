//! What works here is found out by doing it: a command is run in each level, strongest first.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};

use super::limits::Bounds;
use super::options::Isolation;
use super::plan::Plan;
use super::private::{ProbeDirectory, ScopeKey};
use super::{Launcher, Place, verdict};
use crate::backend::process::CommandSpec;
use crate::error::{Error, ErrorCode, Result};
use crate::sys::linux::landlock;
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
        level @ (Isolation::Bwrap | Isolation::Landlock) => match attempt(launcher, level) {
            Ok(()) => taken(level),
            Err(why) => Err(missing(level, &why)),
        },
        Isolation::Auto => match attempt(launcher, Isolation::Bwrap) {
            Ok(()) => taken(Isolation::Bwrap),
            Err(why) if launcher.options.require_wall => Err(no_wall(&why)),
            // A weaker level would break a promise.
            Err(why) if launcher.options.need_namespaces() => Err(missing(Isolation::Bwrap, &why)),
            Err(why) => without_namespaces(launcher, &why),
        },
    }
}

/// What `auto` takes where bubblewrap does not work.
fn without_namespaces(launcher: &Launcher, why: &Error) -> Result<Found> {
    let why = why.message();
    let signals = match landlock::refuses_signals(landlock::version()) {
        true => "",
        false => ", and on this kernel lets signals of the same user out",
    };
    let (level, wall) = match attempt(launcher, Isolation::Landlock) {
        Ok(()) => (
            Isolation::Landlock,
            format!(
                "behind Landlock only, which hides no processes and metadata of the host{signals} (isolation 'landlock')"
            ),
        ),
        Err(nor) if !launcher.options.network.is_host() => {
            return Err(missing(Isolation::Bwrap, &nor));
        }
        Err(nor) => (
            Isolation::Software,
            format!(
                "without a kernel wall (isolation 'software'), and 'landlock' does not work either: {}",
                nor.message()
            ),
        ),
    };
    Ok(Found {
        level,
        weakness: Some(format!(
            "commands run {wall}, since 'bwrap' does not work here: {why}; {HOW_TO_GET_IT} `isolation` that you accept"
        )),
    })
}

fn missing(level: Isolation, why: &Error) -> Error {
    Error::new(
        ErrorCode::MissingUtilities,
        format!(
            "isolation '{}' does not work here: {}",
            level.as_str(),
            why.message()
        ),
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

/// Runs a command at a level, in an empty directory.
fn attempt(launcher: &Launcher, level: Isolation) -> Result<()> {
    let version = landlock::version();
    if level == Isolation::Landlock && !landlock::is_enough(version) {
        return Err(Error::new(
            ErrorCode::MissingUtilities,
            match version {
                0 => "this kernel has no Landlock, or it is switched off (see the boot parameter lsm=)".to_owned(),
                old => format!("this kernel's Landlock is of version {old}, and 3 is needed (Linux 6.2)"),
            },
        ));
    }
    let store = launcher.store()?;
    let scope = store.probe_directory(launcher.options.scope_uid)?;
    let outcome = run_in(launcher, level, &scope);
    let _ = store.forget(&ScopeKey::of(&scope.handle)?);
    outcome
}

fn run_in(launcher: &Launcher, level: Isolation, scope: &ProbeDirectory) -> Result<()> {
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
    let plan = Plan::at(level, launcher, place, &spec, Bounds::default())?;
    let null = || -> Result<OwnedFd> {
        Ok(rustix::fs::open(
            "/dev/null",
            OFlags::RDWR | OFlags::CLOEXEC,
            Mode::empty(),
        )?)
    };
    let (stderr, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let (child, wall, staged) = plan.spawn(launcher, [null()?, null()?, writer], ":")?;
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
    let ended = match wall {
        Some(wall) => verdict::of(wall, staged)(ended, &said).ended?,
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
