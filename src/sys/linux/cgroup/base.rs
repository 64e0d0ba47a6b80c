//! The directory that holds all groups of this process in one hierarchy: made, locked, and where a process of ours was
//! killed before it could remove its own, swept.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, test_kill_process};

use super::files;
use crate::sys::linux::random::random;

const PREFIX: &str = "agent-backend-";

/// Where this process goes that has to leave a group so that its children can have controllers.
const OWN_LEAF: &str = "own";

/// Controllers of version 2 that we have a use for.
const WANTED: [&str; 3] = ["memory", "pids", "cpu"];

/// How often a base is made again that a sweep took for abandoned, in the moment before it was locked.
const ATTEMPTS: usize = 4;

/// Makes our directory below a group, with a lock that says that we live.
pub(super) fn make(group: &Path) -> io::Result<(PathBuf, File)> {
    sweep(group);
    for _ in 0..ATTEMPTS {
        let path = group.join(unused_name()?);
        std::fs::create_dir(&path)?;
        // Removed in between by a sweep: then it is not there to be opened, or is not what was locked.
        if let Ok(lock) = File::open(&path)
            && flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
            && let (Ok(locked), Ok(there)) = (lock.metadata(), path.metadata())
            && locked.ino() == there.ino()
        {
            remove_at_exit(path.clone());
            return Ok((path, lock));
        }
    }
    Err(io::Error::other("its directory keeps disappearing"))
}

fn unused_name() -> io::Result<String> {
    let number = u64::from_le_bytes(random::<8>()?);
    Ok(format!("{PREFIX}{}-{number:016x}", std::process::id()))
}

/// Removes what processes of ours left that were killed. Only directories without processes can be removed at all, and
/// only those that nobody has locked are tried.
pub(super) fn sweep(group: &Path) {
    let Ok(entries) = std::fs::read_dir(group) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(owner) = name.to_str().and_then(owner) else {
            continue;
        };
        let path = entry.path();
        // The lock also tells of owners in other PID namespaces, whose number says nothing here.
        if test_kill_process(owner).is_err()
            && let Ok(directory) = File::open(&path)
            && flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            remove_empty(&path);
        }
    }
}

/// The process that made a directory, by its name.
fn owner(name: &str) -> Option<Pid> {
    let (pid, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    Pid::from_raw(pid.parse().ok()?)
}

/// Removes a group with the groups below it, as far as they are empty. Ours are at most three deep.
pub(super) fn remove_empty(path: &Path) {
    fn below(path: &Path, depth: usize) {
        if depth > 0
            && let Ok(entries) = std::fs::read_dir(path)
        {
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    below(&entry.path(), depth - 1);
                }
            }
        }
        let _ = std::fs::remove_dir(path);
    }
    below(path, 3);
}

/// Has a base removed when this process ends in the ordinary way.
fn remove_at_exit(base: PathBuf) {
    static BASES: Mutex<Vec<(u32, PathBuf)>> = Mutex::new(Vec::new());
    extern "C" fn remove_all() {
        // Whoever holds the lock at this moment never lets go of it: the process is ending.
        let Ok(bases) = BASES.try_lock() else { return };
        // A copy of this process that some library forked ends too, and they are not its.
        let own = bases
            .iter()
            .filter(|(maker, _)| *maker == std::process::id());
        own.for_each(|(_, base)| remove_empty(base));
    }
    let mut bases = BASES.lock().unwrap_or_else(PoisonError::into_inner);
    if bases.is_empty() {
        // SAFETY: the function takes nothing and does not unwind; it stays mapped as long as the process runs, or is
        // called when its library is unloaded.
        unsafe { libc::atexit(remove_all) };
    }
    bases.push((std::process::id(), base));
}

/// The controllers of version 2 that groups below this one have; enables them where the group was given to us.
pub(super) fn enabled_for_children(group: &Path) -> io::Result<Vec<String>> {
    let wanted_of = |text: &str| -> Vec<String> {
        WANTED
            .iter()
            .filter(|wanted| text.split_whitespace().any(|found| found == **wanted))
            .map(|found| (*found).to_owned())
            .collect()
    };
    let available = wanted_of(&files::read(group, "cgroup.controllers")?);
    let enabled = wanted_of(&files::read(group, "cgroup.subtree_control")?);
    if enabled.len() == available.len() || !is_given_to_us(group) {
        return Ok(enabled);
    }
    if !step_aside(group)? {
        return Ok(enabled);
    }
    // Each by itself: one that is refused takes nothing from the others.
    for controller in &available {
        let _ = files::write(group, "cgroup.subtree_control", &format!("+{controller}"));
    }
    Ok(wanted_of(&files::read(group, "cgroup.subtree_control")?))
}

/// Enables controllers for the groups below one of ours.
pub(super) fn enable(group: &Path, controllers: &[String]) -> io::Result<()> {
    for controller in controllers
        .iter()
        .filter(|name| WANTED.contains(&name.as_str()))
    {
        files::write(group, "cgroup.subtree_control", &format!("+{controller}"))?;
    }
    Ok(())
}

/// Whether whoever manages the groups of this machine gave us this one to divide.
pub(super) fn is_given_to_us(group: &Path) -> bool {
    let us = rustix::process::geteuid();
    let owned = group
        .metadata()
        .is_ok_and(|found| !us.is_root() && found.uid() == us.as_raw());
    // systemd marks the groups of units with `Delegate=`; only root sees the second.
    let marked = ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0; 1];
        rustix::fs::getxattr(group, *name, &mut value).is_ok_and(|_| value == *b"1")
    });
    owned || marked
}

/// Moves this process, where it is the only one, into a leaf of the group, since a group with processes in it cannot
/// enable controllers. Whether nobody is left in the group.
pub(super) fn step_aside(group: &Path) -> io::Result<bool> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    match files::processes(group)[..] {
        [] => return Ok(true),
        [only] if only == own => {}
        _ => return Ok(false),
    }
    let leaf = group.join(OWN_LEAF);
    match std::fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    files::write(&leaf, "cgroup.procs", "0")?;
    Ok(files::processes(group).is_empty())
}

/// For tests: marks a group as systemd does.
#[cfg(test)]
pub(super) fn mark(group: &Path) -> io::Result<()> {
    Ok(rustix::fs::setxattr(
        group,
        "trusted.delegate",
        b"1",
        rustix::fs::XattrFlags::empty(),
    )?)
}
