//! The steps that take rights away from this process, and the last one, which is to become the program.

use std::ffi::c_char;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;

use rustix::process::Resource;
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::order::Order;
use super::{Outcome, said};
use crate::sys::linux::spawn::limit_within;

/// Bytes of one instruction of a seccomp filter.
const INSTRUCTION: usize = size_of::<libc::sock_filter>();

/// A descriptor that the order names.
pub(super) fn borrowed(descriptor: i32) -> BorrowedFd<'static> {
    // SAFETY: the host opened it for this process, which closes nothing that the order names before it is used; a
    // number that is not open makes the call that uses it fail.
    unsafe { BorrowedFd::borrow_raw(descriptor) }
}

pub(super) fn limit(limits: &[(Resource, Option<u64>)]) -> Outcome<()> {
    for (resource, wanted) in limits {
        let limit = limit_within(*resource, *wanted);
        rustix::process::setrlimit(*resource, limit).map_err(said("setting a limit"))?;
    }
    Ok(())
}

/// User, groups and capabilities. A process that has no capability at all cannot change either, and need not.
pub(super) fn become_user(order: &Order) -> Outcome<()> {
    if order.powerless {
        // While we may still do so: what is not in the bounding set is never had again, not even by a user 0.
        forget_capabilities();
    }
    if let Some((uid, gid)) = order.user {
        let (uid, gid) = (
            rustix::fs::Uid::from_raw(uid),
            rustix::fs::Gid::from_raw(gid),
        );
        rustix::thread::set_thread_groups(&[]).map_err(said("leaving the groups"))?;
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(said("changing the group"))?;
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(said("changing the user"))?;
    }
    if order.powerless {
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        };
        rustix::thread::set_capabilities(None, none).map_err(said("giving up capabilities"))?;
    }
    if order.powerless || order.user.is_some() || order.ruleset.is_some() || order.seccomp.is_some()
    {
        rustix::thread::set_no_new_privs(true).map_err(said("giving up new privileges"))?;
    }
    Ok(())
}

/// Empties the bounding set, as far as this process has the right to.
fn forget_capabilities() {
    for capability in CapabilitySet::all().iter() {
        let _ = rustix::thread::remove_capability_from_bounding_set(capability);
    }
    let _ = rustix::thread::clear_ambient_capability_set();
}

/// Marks every descriptor but the standard ones and those to keep, so that the start of the program closes it, and
/// those to keep so that it does not.
pub(super) fn pass_only(keep: &[i32]) -> Outcome<()> {
    let mut keep = keep.to_vec();
    keep.sort_unstable();
    let mut next = 3;
    for descriptor in keep {
        close_range(next, descriptor - 1)?;
        rustix::io::fcntl_setfd(borrowed(descriptor), rustix::io::FdFlags::empty())
            .map_err(said("keeping a descriptor"))?;
        next = descriptor + 1;
    }
    close_range(next, i32::MAX)
}

fn close_range(first: i32, last: i32) -> Outcome<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: takes three numbers. Descriptors are only marked; what this process still uses stays open.
    let done = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            last,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(said("closing descriptors")(io::Error::last_os_error()))
    }
}

/// Restricts this process, and all that it starts, to the rules in a descriptor.
pub(super) fn landlock(ruleset: Option<i32>) -> Outcome<()> {
    let Some(ruleset) = ruleset else {
        return Ok(());
    };
    // SAFETY: takes two numbers.
    let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset, 0) };
    if done == 0 {
        Ok(())
    } else {
        Err(said("Landlock")(io::Error::last_os_error()))
    }
}

/// Installs a seccomp filter.
pub(super) fn filter(descriptor: Option<i32>) -> Outcome<()> {
    let Some(descriptor) = descriptor else {
        return Ok(());
    };
    let mut bytes = Vec::new();
    // SAFETY: the host opened it for us, and only here is it read.
    let file = unsafe { OwnedFd::from_raw_fd(descriptor) };
    File::from(file)
        .read_to_end(&mut bytes)
        .map_err(said("reading the filter"))?;
    let mut steps: Vec<libc::sock_filter> = bytes
        .chunks_exact(INSTRUCTION)
        .map(|step| libc::sock_filter {
            code: u16::from_ne_bytes([step[0], step[1]]),
            jt: step[2],
            jf: step[3],
            k: u32::from_ne_bytes([step[4], step[5], step[6], step[7]]),
        })
        .collect();
    let program = libc::sock_fprog {
        len: u16::try_from(steps.len()).map_err(said("reading the filter"))?,
        filter: steps.as_mut_ptr(),
    };
    // SAFETY: the program and its steps live through the call, which copies them.
    let done = unsafe {
        libc::prctl(
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(said("installing the filter")(io::Error::last_os_error()))
    }
}

/// Becomes the program; comes back only with the reason why not.
pub(super) fn execute(order: &Order) -> String {
    let pointers = |strings: &[std::ffi::CString]| -> Vec<*const c_char> {
        strings
            .iter()
            .map(|string| string.as_ptr())
            .chain([ptr::null()])
            .collect()
    };
    let (arguments, environment) = (pointers(&order.arguments), pointers(&order.environment));
    default_signals();
    // SAFETY: path, arguments and environment are strings that end with NUL and live on; both arrays end with null.
    unsafe {
        libc::execve(
            order.program.as_ptr(),
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    };
    said("starting the program")(io::Error::last_os_error())
}

/// No signal ignored or blocked: our own runtime ignores `SIGPIPE`, and commands must not.
fn default_signals() {
    // SAFETY: signal sets are initialised before they are read; a default action needs no code of ours.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        let mut none = std::mem::MaybeUninit::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
    }
}
