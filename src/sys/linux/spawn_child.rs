//! The child's side of [`spawn`](super::spawn): what runs between the clone and the start of the program.
//!
//! Until then the child uses the memory of this process, whose calling thread waits. So it may do no more than a signal
//! handler: system calls, over what was made ready before. It allocates nothing, takes no lock, and cannot panic.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::process::{Pid, Resource};

/// Bytes of stack for the child, which calls a handful of functions of the C library, one after another.
const STACK: usize = 64 << 10;

/// Signals of Linux.
const SIGNALS: c_int = 64;

/// What the child is to do, in the order of the steps in [`carry_out`].
pub(super) struct Orders<'a> {
    pub(super) program: &'a CStr,
    /// Ends with null, as does the environment.
    pub(super) arguments: &'a [*const c_char],
    pub(super) environment: &'a [*const c_char],
    pub(super) directory: Option<c_int>,
    /// What become descriptors 0, 1, 2, …: each at or above the number of them.
    pub(super) descriptors: &'a [c_int],
    pub(super) join: &'a [c_int],
    pub(super) limits: &'a [(Resource, libc::rlimit)],
}

/// What both sides see.
struct Shared<'a> {
    orders: &'a Orders<'a>,
    /// Descriptors that this process may have at most.
    most_descriptors: c_int,
    /// The error number of the step that failed, or 0.
    failed: AtomicI32,
}

/// Makes the child, and waits until the program has been started.
///
/// # Errors
/// That of the clone or of the step that failed; then there is no child any more.
pub(super) fn start(orders: &Orders<'_>) -> io::Result<Pid> {
    let mut shared = Shared {
        orders,
        most_descriptors: most_descriptors(),
        failed: AtomicI32::new(0),
    };
    let mut stack: Vec<MaybeUninit<u128>> = Vec::with_capacity(STACK / size_of::<u128>());
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    let before = block_signals();
    // SAFETY: the stack grows downwards from its end, which is aligned to 16 bytes, and outlives the child's use of it,
    // as `shared` does: with `CLONE_VFORK` this call comes back only when the child has executed a program or ended.
    let pid = unsafe {
        let top = stack.as_mut_ptr().add(stack.capacity());
        libc::clone(run, top.cast(), flags, (&raw mut shared).cast())
    };
    let problem = io::Error::last_os_error();
    restore_signals(&before);
    let pid = Pid::from_raw(pid)
        .filter(|pid| pid.as_raw_nonzero().get() > 0)
        .ok_or(problem)?;
    match shared.failed.load(Ordering::Acquire) {
        0 => Ok(pid),
        failed => {
            // It has ended, and nobody else knows of it.
            let _ = rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty());
            Err(io::Error::from_raw_os_error(failed))
        }
    }
}

fn most_descriptors() -> c_int {
    let limit = rustix::process::getrlimit(Resource::Nofile).current;
    limit
        .and_then(|limit| c_int::try_from(limit).ok())
        .unwrap_or(c_int::MAX)
}

/// No handler of this process may run in the child.
fn block_signals() -> libc::sigset_t {
    let mut all = MaybeUninit::uninit();
    let mut before = MaybeUninit::uninit();
    // SAFETY: both sets are valid for writes, and each is initialised by a call before it is read.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::sigemptyset(before.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
        before.assume_init()
    }
}

fn restore_signals(before: &libc::sigset_t) {
    // SAFETY: the set is initialised.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, ptr::null_mut()) };
}

/// Where the child begins.
extern "C" fn run(shared: *mut c_void) -> c_int {
    // SAFETY: `start` passes its own, which outlives this child's use of it and is only read until the child ends.
    let shared = unsafe { &*shared.cast::<Shared<'_>>() };
    carry_out(shared);
    // SAFETY: errno is this thread's own. Nothing is to be tidied up: all of it is the parent's.
    unsafe {
        let failed = *libc::__errno_location();
        shared.failed.store(failed, Ordering::Release);
        libc::_exit(127)
    }
}

/// All steps; comes back only where one fails, with `errno` of that.
fn carry_out(shared: &Shared<'_>) {
    let orders = shared.orders;
    // SAFETY: these calls take numbers, and pointers to what lives on in the parent; both arrays end with null.
    unsafe {
        for group in orders.join {
            if libc::write(*group, c"0".as_ptr().cast(), 1) != 1 {
                return;
            }
        }
        default_signals();
        if libc::setsid() < 0 {
            return;
        }
        if let Some(directory) = orders.directory
            && libc::fchdir(directory) != 0
        {
            return;
        }
        let mut target: c_int = 0;
        for descriptor in orders.descriptors {
            if libc::dup2(*descriptor, target) < 0 {
                return;
            }
            target = target.wrapping_add(1);
        }
        close_from(target, shared.most_descriptors);
        // The last step: with a limit of descriptors the others could not be taken.
        for (resource, limit) in orders.limits {
            if libc::setrlimit(*resource as _, limit) != 0 {
                return;
            }
        }
        let mut none = MaybeUninit::uninit();
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
        libc::execve(
            orders.program.as_ptr(),
            orders.arguments.as_ptr(),
            orders.environment.as_ptr(),
        );
    }
}

/// Every signal at its default: no handler of this process may run here once signals are let through again, and hosts
/// ignore `SIGPIPE`, which programs must not.
fn default_signals() {
    for signal in 1..=SIGNALS {
        // SAFETY: a default action needs no code of ours; numbers that the C library keeps for itself it refuses.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
}

/// Closes every descriptor from a number on.
fn close_from(first: c_int, most: c_int) {
    // SAFETY: takes numbers; what they stand for is closed in this child only.
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, c_int::MAX, 0) == 0 {
            return;
        }
        // Before Linux 5.9, or behind a filter that does not know the call.
        let mut descriptor = first;
        while descriptor < most {
            libc::close(descriptor);
            descriptor = descriptor.wrapping_add(1);
        }
    }
}
