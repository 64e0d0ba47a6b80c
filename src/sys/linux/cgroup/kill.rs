//! Kills everything in a group, also what it starts meanwhile.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::hierarchy::Hierarchy;
use super::{Version, files};

/// How long killed processes may take to leave their group; one that hangs in the kernel is not waited for.
const GONE_WITHIN: Duration = Duration::from_secs(3);

/// Kills the processes of a group, and waits until they are gone. Blocks.
///
/// # Errors
/// Those of the file system; `TimedOut` where processes are left.
pub(super) fn all_in(hierarchy: &Hierarchy, group: &Path) -> io::Result<()> {
    let deadline = Instant::now() + GONE_WITHIN;
    let has = |name: &str| hierarchy.controllers.iter().any(|known| known == name);
    match hierarchy.version {
        Version::V2 => {
            files::write(group, "cgroup.kill", "1")?;
            wait_until(deadline, || files::processes(group).is_empty())
        }
        // Whoever cannot start another process cannot outrun the signals.
        Version::V1 if has("pids") => {
            files::write(group, "pids.max", "0")?;
            kill_all(group, deadline)
        }
        Version::V1 => kill_frozen(group, deadline),
    }
}

fn kill_frozen(group: &Path, deadline: Instant) -> io::Result<()> {
    files::write(group, "freezer.state", "FROZEN")?;
    for handle in members(group) {
        let _ = pidfd_send_signal(&handle, Signal::KILL);
    }
    files::write(group, "freezer.state", "THAWED")?;
    kill_all(group, deadline)
}

fn kill_all(group: &Path, deadline: Instant) -> io::Result<()> {
    wait_until(deadline, || {
        let members = members(group);
        for member in &members {
            let _ = pidfd_send_signal(member, Signal::KILL);
        }
        members.is_empty() && files::processes(group).is_empty()
    })
}

/// Handles on the processes of a group. A number that was read may have passed to a stranger before the handle was open:
/// only what the group still lists then is taken.
fn members(group: &Path) -> Vec<OwnedFd> {
    let listed = files::processes(group);
    let opened: Vec<(i32, OwnedFd)> = listed
        .into_iter()
        .filter_map(|pid| {
            let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
            Some((pid, handle))
        })
        .collect();
    if opened.is_empty() {
        return Vec::new();
    }
    let still = files::processes(group);
    opened
        .into_iter()
        .filter(|(pid, _)| still.contains(pid))
        .map(|(_, handle)| handle)
        .collect()
}

fn wait_until(deadline: Instant, mut done: impl FnMut() -> bool) -> io::Result<()> {
    let mut pause = Duration::from_micros(200);
    loop {
        if done() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}
