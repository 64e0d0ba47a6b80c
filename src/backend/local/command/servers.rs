//! Launchers that serve: one for each user and wall, shared by all roots of this process and kept as long as one of them
//! is there.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use rustix::process::Resource;

use super::Launcher;
use super::identity::RunsAs;
use super::sandbox::filter;
use super::sources::own_namespace;
use crate::error::Result;
use crate::sys::linux::cgroup::Cgroups;
use crate::sys::linux::launcher::client::{Server, memory_file};
use crate::sys::linux::launcher::order::Order;
use crate::sys::linux::spawn_seccomp::Wall;

/// The first descriptor that is passed to a server.
const FIRST_PASSED: i32 = 5;

/// What all commands of one server have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    /// `None`: none at all, for commands that only have limits.
    pub(super) wall: Option<Wall>,
    /// As whom; `None`: as ourselves.
    pub(super) user: Option<(u32, u32)>,
}

impl Kind {
    pub(super) fn new(wall: Wall, runs_as: RunsAs) -> Self {
        Self {
            wall: Some(wall),
            user: runs_as.switches.then_some((runs_as.uid, runs_as.gid)),
        }
    }

    /// Without a wall, as ourselves.
    pub(super) fn open() -> Self {
        Self {
            wall: None,
            user: None,
        }
    }

    /// What is given up once for all.
    fn standing(self) -> Order {
        let Some(wall) = self.wall else {
            return Order::default();
        };
        let walled_by_us = wall != Wall::Namespaces;
        Order {
            // A core pattern runs a program of the host on what a command left in its memory, and no limit keeps the
            // kernel from that but 1, which it takes for a dump of such a program itself.
            limits: vec![(Resource::Core, Some(1))],
            user: self.user,
            // bubblewrap drops capabilities itself, after it has used them.
            powerless: walled_by_us,
            seccomp: walled_by_us.then_some(FIRST_PASSED),
            ..Order::default()
        }
    }
}

/// A server by what it is for, and by which copy of our binary it runs.
type Key = (Kind, bool);

/// Those that a root uses.
#[derive(Debug, Default)]
pub(super) struct Servers(Mutex<HashMap<Key, Arc<Server>>>);

/// Those of the process.
static ALL: Mutex<Option<HashMap<Key, Weak<Server>>>> = Mutex::new(None);

impl Servers {
    /// The one for a kind, started if need be. May block.
    pub(super) fn get(&self, launcher: &Launcher, kind: Kind) -> Result<Arc<Server>> {
        let key = (kind, launcher.own_binary()?.is_sealed);
        let mut ours = lock(&self.0);
        if let Some(server) = ours.get(&key).filter(|server| server.is_alive()) {
            return Ok(Arc::clone(server));
        }
        let mut all = lock(&ALL);
        let all = all.get_or_insert_default();
        let shared = all.get(&key).and_then(Weak::upgrade);
        let server = match shared.filter(|server| server.is_alive()) {
            Some(server) => server,
            None => Arc::new(start(launcher, kind)?),
        };
        all.retain(|_, server| server.strong_count() > 0);
        all.insert(key, Arc::downgrade(&server));
        ours.insert(key, Arc::clone(&server));
        Ok(server)
    }
}

fn start(launcher: &Launcher, kind: Kind) -> Result<Server> {
    // A control group of version 2 can be divided only by a process that is alone in it, as we are until now.
    if !(launcher.options.limits.is_empty() && launcher.options.scope_limits.is_empty()) {
        let _ = Cgroups::probe();
    }
    let binary = launcher.own_binary()?.handle;
    let standing = kind.standing();
    let mut passed: Vec<OwnedFd> = Vec::new();
    if standing.seccomp.is_some()
        && let Some(wall) = kind.wall
    {
        passed.push(memory_file(filter(wall)?)?);
    }
    let begin = move || Server::start(std::os::fd::AsFd::as_fd(binary), &standing, &passed);
    // What bubblewrap mounts may be reachable in our namespace alone.
    let started = match own_namespace().filter(|_| kind.wall == Some(Wall::Namespaces)) {
        Some(staging) => staging.run(begin),
        None => on_a_lasting_thread(begin),
    };
    Ok(started.and_then(|started| started)?)
}

/// Runs work on a thread that lives as long as the process: what a thread starts may be told to die with it.
fn on_a_lasting_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    type Job = Box<dyn FnOnce() + Send>;
    static JOBS: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    let jobs = JOBS.get_or_init(|| {
        let (jobs, waiting) = channel::<Job>();
        let named = std::thread::Builder::new().name("agent-backend-start".to_owned());
        // Where no thread can be made, sending fails.
        let _ = named.spawn(move || waiting.iter().for_each(|job| job()));
        Mutex::new(jobs)
    });
    let (sender, receiver) = channel();
    let job: Job = Box::new(move || {
        let _ = sender.send(work());
    });
    let gone = || io::Error::other("the thread that starts launchers is gone");
    lock(jobs).send(job).map_err(|_| gone())?;
    receiver.recv().map_err(|_| gone())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
