//! The parent of a command where no namespace ends what the command leaves: orphans of the command become its
//! children, whatever sessions they made, and it ends with all of them or not at all.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

use rustix::process::Signal;

use super::order::Order;
use super::{Outcome, said};
use crate::sys::linux::spawn_tree;

/// Comes back in the child, which goes on to become the program; the parent stays and never does.
///
/// `host` is the process that this launcher belongs to: when it goes, so does all of this.
pub(super) fn stay_behind(host: u32, order: &Order) -> Outcome<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(said("becoming the parent of orphans"))?;
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(said("watching the host"))?;
    // It may have ended before we said that we want to know.
    let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get());
    if u32::try_from(parent).ok() != Some(host) {
        return Err("the host has ended".to_owned());
    }
    let signals = Signals::block();
    // SAFETY: this process has one thread, so the child may do all that the parent may.
    match unsafe { libc::fork() } {
        -1 => Err(said("starting the command")(io::Error::last_os_error())),
        0 => {
            // A session of its own, so that signals for the command do not end the launcher.
            rustix::process::setsid().map_err(said("making a session"))?;
            rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
                .map_err(said("watching the launcher"))
        }
        child => {
            let ended = follow(child, &signals, order);
            end_like(ended)
        }
    }
}

/// What is waited for.
struct Signals(libc::sigset_t);

impl Signals {
    fn block() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: the set is initialised by the first call.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
            libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
            libc::sigprocmask(libc::SIG_BLOCK, set.as_ptr(), std::ptr::null_mut());
            Self(set.assume_init())
        }
    }

    fn next(&self) -> i32 {
        let mut signal = 0;
        // SAFETY: the set is initialised; the number is written by the call.
        unsafe { libc::sigwait(&raw const self.0, &raw mut signal) };
        signal
    }
}

/// Waits for the command, then ends what it left.
fn follow(command: i32, signals: &Signals, order: &Order) -> i32 {
    // The command's streams must be its own: as long as we hold them, nobody sees that they are closed.
    let theirs = order.join.iter().chain(&order.status).chain(&order.keep);
    for descriptor in [0, 1, 2].iter().chain(theirs) {
        close(*descriptor);
    }
    let mut status = None;
    let mut left = Children::Some;
    while left == Children::Some && status.is_none() && signals.next() != libc::SIGTERM {
        left = reap(command, &mut status);
    }
    while left == Children::Some {
        for handle in spawn_tree::end_everything_below(rustix::process::getpid()) {
            drop(handle);
        }
        // SAFETY: waits without taking anything off; a child that was killed ends.
        unsafe {
            let mut info = MaybeUninit::uninit();
            libc::waitid(
                libc::P_ALL,
                0,
                info.as_mut_ptr(),
                libc::WEXITED | libc::WNOWAIT,
            );
        }
        left = reap(command, &mut status);
    }
    status.unwrap_or(libc::SIGKILL)
}

#[derive(PartialEq, Eq)]
enum Children {
    None,
    Some,
}

/// Takes what has ended off the kernel, and keeps the command's own status.
fn reap(command: i32, status: &mut Option<i32>) -> Children {
    loop {
        let mut ended = 0;
        // SAFETY: the status is written by the call.
        match unsafe { libc::waitpid(-1, &raw mut ended, libc::WNOHANG) } {
            -1 => return Children::None,
            0 => return Children::Some,
            pid if pid == command => *status = Some(ended),
            _ => {}
        }
    }
}

fn close(descriptor: RawFd) {
    // SAFETY: nobody in this process uses it any more.
    unsafe { libc::close(descriptor) };
}

/// Ends this process as the command ended.
fn end_like(status: i32) -> ! {
    if libc::WIFSIGNALED(status) {
        let signal = libc::WTERMSIG(status);
        // SAFETY: a default action needs no code of ours; the signal is for this process.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
            let mut all = MaybeUninit::uninit();
            libc::sigemptyset(all.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
            libc::kill(libc::getpid(), signal);
        }
    }
    super::leave(libc::WEXITSTATUS(status))
}
