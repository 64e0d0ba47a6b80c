//! A mode of our own binary that stands between the host and a command: it gives up rights, sets limits, joins control
//! groups and closes descriptors, and then becomes the program. The host itself can do none of that for a child
//! without `fork`, whose cost grows with the host's memory.
//!
//! What it is to do is an [`Order`]. It starts with an empty environment, and on its command line is the number of a
//! descriptor.
//!
//! Starting our binary takes as long as a shell does. So one launcher per user and wall gives up what all its commands
//! are to be without, and then waits for their orders ([`serve`]): each is carried out by a copy of it that has seen
//! nothing of any other.

pub mod client;
mod confine;
mod listen;
pub mod order;
mod serve;
mod supervise;
mod terminal;

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{FromRawFd as _, OwnedFd};

use order::Order;

/// The word before the number of the descriptor.
pub const WORD: &str = "launch";

/// The exit code where the program could not be started; the reason is on standard error.
pub const FAILED: i32 = 125;

/// What went wrong, as a sentence.
type Outcome<T> = Result<T, String>;

/// The descriptor of the order, where the arguments (without the program's name) ask for this mode.
#[must_use]
pub fn asked(arguments: &[OsString]) -> Option<i32> {
    match arguments {
        [word, descriptor] if word == OsStr::new(WORD) => descriptor.to_str()?.parse().ok(),
        _ => None,
    }
}

/// Carries out the order in an open file, which is taken over. Comes back only where that fails, with the exit status
/// to end with; the reason is on standard error then.
#[must_use]
pub fn run(descriptor: i32) -> i32 {
    let failed = |status: Option<i32>, problem: String| {
        // Nobody but the host reads this; a closed stream leaves the status.
        let _ = writeln!(io::stderr(), "agent-backend launcher: {problem}");
        if let Some(status) = status {
            let _ = rustix::io::write(confine::borrowed(status), b"!");
        }
        FAILED
    };
    match read(descriptor) {
        Err(problem) => failed(None, problem),
        Ok(order) => match carry_out(&order) {
            Ok(never) => match never {},
            Err(problem) => failed(order.status, problem),
        },
    }
}

enum Never {}

fn read(descriptor: i32) -> Outcome<Order> {
    if descriptor <= 2 || rustix::io::fcntl_getfd(confine::borrowed(descriptor)).is_err() {
        return Err("this mode is for agent-backend itself".to_owned());
    }
    // SAFETY: the host opened it for us and nobody else knows of it; a number that is not open fails to be read.
    let file = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let mut bytes = Vec::new();
    File::from(file)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("the order cannot be read: {error}"))?;
    Order::from_bytes(&bytes)
}

fn carry_out(order: &Order) -> Outcome<Never> {
    // Executed by handle, it would be called by the number of that.
    let _ = rustix::thread::set_name(c"agent-backend");
    // Nothing of this process is another's to read: not even of a process of the same user.
    let hidden = rustix::process::DumpableBehavior::NotDumpable;
    rustix::process::set_dumpable_behavior(hidden).map_err(said("hiding the launcher"))?;
    for entry in &order.join {
        rustix::io::write(confine::borrowed(*entry), b"0")
            .map_err(said("joining a control group"))?;
    }
    if let Some((port, socket)) = order.listen {
        listen::hand_over(port, socket)?;
    }
    if let Some(directory) = order.directory {
        rustix::process::fchdir(confine::borrowed(directory))
            .map_err(said("entering the directory"))?;
    }
    if let Some(host) = order.supervise {
        supervise::stay_behind(host, order)?;
    }
    if order.terminal {
        terminal::take()?;
    }
    confine::become_user(order)?;
    confine::pass_only(&order.keep)?;
    confine::landlock(order.ruleset)?;
    confine::limit(&order.limits)?;
    confine::filter(order.seccomp)?;
    match order.serve {
        Some(socket) => serve::serve(socket),
        None => Err(confine::execute(order)),
    }
}

/// Ends this process at once: in a copy of a launcher there is nothing to tidy up.
fn leave(code: i32) -> ! {
    // SAFETY: nothing runs after it.
    unsafe { libc::_exit(code) }
}

/// An error of the system as part of a sentence.
fn said<E: std::fmt::Display>(doing: &'static str) -> impl Fn(E) -> String {
    move |error| format!("{doing} failed: {error}")
}

/// What the host starts for an order in a descriptor: the arguments of our binary.
#[must_use]
pub fn arguments(descriptor: usize) -> Vec<CString> {
    let number = CString::new(descriptor.to_string()).unwrap_or_default();
    vec![c"agent-backend".to_owned(), c"launch".to_owned(), number]
}
