//! Starting commands for the host, one after another, from a process that is small and has given up already what they
//! are all to be without.
//!
//! A command is the child of the *host* (`CLONE_PARENT`), which waits for it as for any other. Between two commands
//! nothing is kept: a copy of this process is made before the order is even read.

use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::io::{Errno, FdFlags};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags};

use super::confine::borrowed;
use super::{FAILED, Never, Outcome, said};

/// Descriptors of one request at most: the kernel takes no more in one message.
pub const MAX_DESCRIPTORS: usize = 253;

/// Serves until the host closes its end.
pub(super) fn serve(socket: i32) -> Outcome<Never> {
    // For us it lives on, and no command gets it.
    rustix::io::fcntl_setfd(borrowed(socket), FdFlags::CLOEXEC).map_err(said("serving"))?;
    close_others(socket)?;
    loop {
        let Some(descriptors) = receive(socket)? else {
            std::process::exit(0);
        };
        match child_of_the_host() {
            0 => super::leave(carry_out(descriptors)),
            started => {
                let answer = started.to_ne_bytes();
                rustix::net::send(borrowed(socket), &answer, SendFlags::NOSIGNAL)
                    .map_err(said("answering the host"))?;
            }
        }
    }
}

/// What this process was started with is of no use to a command.
fn close_others(socket: i32) -> Outcome<()> {
    for (first, last) in [(3, socket - 1), (socket + 1, i32::MAX)] {
        // SAFETY: takes three numbers; nothing in this process holds any of these.
        let done =
            first > last || unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } == 0;
        if !done {
            return Err(said("closing descriptors")(std::io::Error::last_os_error()));
        }
    }
    Ok(())
}

/// The descriptors of the next request; `None` at the end.
fn receive(socket: i32) -> Outcome<Option<Vec<OwnedFd>>> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    loop {
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let received = rustix::net::recvmsg(
            borrowed(socket),
            &mut [IoSliceMut::new(&mut byte)],
            &mut ancillary,
            RecvFlags::CMSG_CLOEXEC,
        );
        match received {
            Ok(message) if message.bytes == 0 => return Ok(None),
            Ok(_) => {
                let rights = ancillary.drain().filter_map(|message| match message {
                    RecvAncillaryMessage::ScmRights(rights) => Some(rights),
                    _ => None,
                });
                return Ok(Some(rights.flatten().collect()));
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(said("waiting for the host")(error)),
        }
    }
}

/// Makes a copy of this process whose parent is ours: 0 in the copy; here its number, or an error number below 0.
fn child_of_the_host() -> i32 {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: without a stack and without shared memory this is `fork`, and this process has one thread.
    let made = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match i32::try_from(made) {
        Ok(made) if made >= 0 => made,
        _ => -std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EAGAIN),
    }
}

/// In the copy: puts the descriptors where the order, the first of them, expects them, and carries it out.
fn carry_out(descriptors: Vec<OwnedFd>) -> i32 {
    let placed = place(descriptors);
    // A session of its own, as for every command.
    let _ = rustix::process::setsid();
    match placed {
        Ok(order) => super::run(order),
        Err(_) => FAILED,
    }
}

/// The descriptors after the first become 0, 1, 2, …; gives the number of the first.
fn place(descriptors: Vec<OwnedFd>) -> Outcome<i32> {
    // Out of the way first: above all the numbers that are to be taken.
    let above = i32::try_from(descriptors.len()).map_err(said("placing descriptors"))?;
    let aside = descriptors
        .iter()
        .map(|descriptor| rustix::io::fcntl_dupfd_cloexec(descriptor, above))
        .collect::<Result<Vec<_>, _>>()
        .map_err(said("placing descriptors"))?;
    // Those numbers are to be taken by what comes; nothing may close them later.
    for descriptor in descriptors {
        let _ = std::os::fd::IntoRawFd::into_raw_fd(descriptor);
    }
    let (order, rest) = aside.split_first().ok_or("an order is missing")?;
    for (target, descriptor) in (0..).zip(rest) {
        // SAFETY: dup2 takes two numbers; whatever had the target belongs to nobody in this process any more.
        let placed = unsafe { libc::dup3(descriptor.as_raw_fd(), target, cloexec(target)) };
        if placed < 0 {
            return Err(said("placing descriptors")(std::io::Error::last_os_error()));
        }
    }
    let order = order.as_raw_fd();
    // They go with this process, or with the program that it becomes.
    std::mem::forget(aside);
    Ok(order)
}

/// Of the standard three the program gets what is there; of others what the order says.
fn cloexec(target: i32) -> i32 {
    match target {
        0..=2 => 0,
        _ => libc::O_CLOEXEC,
    }
}
