//! Replaces this process by another program, as `exec` does in a shell. `execve` keeps most of what a host has changed
//! about its own process; a program that a shell could have started must not inherit that.

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::ptr;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

/// The highest number of a signal on Linux.
const LAST_SIGNAL: c_int = 64;

unsafe extern "C" {
    /// The environment as it is now, not a copy of some earlier moment.
    static environ: *const *const c_char;
}

/// Becomes `program` (an absolute path) with these arguments, its own name first, and the environment of this process.
/// Returns only where that fails, with everything but the last point below as it was.
///
/// What Node, or another host, did to the process since it was started is undone first:
///
/// - ignored signals get their default action (Node ignores `SIGPIPE` and `SIGXFSZ`; handlers end with the host anyway);
/// - no signal is blocked;
/// - the three standard streams stay open (Node marks whatever it inherited close-on-exec) and block, as libuv sees to
///   for every child too: a reader that does not expect `EAGAIN` takes it for the end;
/// - every other descriptor is closed.
///
/// The soft limit of open files stays what it is: Node raises it to the hard limit and keeps the old value nowhere. That
/// of the parent process need not be it, since the parent is often a Node too (`npx`), or a shell that set a limit for
/// one command.
///
/// # Errors
/// Those of `execve`, and `ENOSYS` or `EINVAL` on a kernel before 5.11, which cannot mark descriptors.
pub fn replace_process(program: &CStr, arguments: &[CString]) -> io::Error {
    let arguments: Vec<*const c_char> = arguments
        .iter()
        .map(|argument| argument.as_ptr())
        .chain([ptr::null()])
        .collect();
    let signals = Signals::reset();
    let streams = Streams::hand_on();
    let failure = close_others().err().unwrap_or_else(|| {
        // SAFETY: path and arguments are strings that end with NUL and live on, the array ends with a null pointer, and
        // the environment is the C library's own.
        unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environ) };
        io::Error::last_os_error()
    });
    streams.restore();
    signals.restore();
    failure
}

/// Marks every descriptor but the standard streams, so that `execve` closes it.
fn close_others() -> io::Result<()> {
    #[allow(
        clippy::cast_possible_wrap,
        reason = "the C library declares a small unsigned flag as signed"
    )]
    let flags = libc::CLOSE_RANGE_CLOEXEC as c_int;
    // SAFETY: nothing is closed yet: only a flag of descriptors changes.
    if unsafe { libc::close_range(3, u32::MAX, flags) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How signals were treated before.
struct Signals {
    ignored: Vec<c_int>,
    blocked: libc::sigset_t,
}

impl Signals {
    fn reset() -> Self {
        let ignored: Vec<c_int> = (1..=LAST_SIGNAL)
            .filter(|&signal| is_ignored(signal))
            .collect();
        set_disposition(&ignored, libc::SIG_DFL);
        let mut none = MaybeUninit::uninit();
        let mut blocked = MaybeUninit::uninit();
        // SAFETY: both sets are valid for writes; each is initialised by the call that gets it before it is read.
        unsafe {
            libc::sigemptyset(none.as_mut_ptr());
            libc::sigemptyset(blocked.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, none.as_ptr(), blocked.as_mut_ptr());
            Self {
                ignored,
                blocked: blocked.assume_init(),
            }
        }
    }

    fn restore(&self) {
        set_disposition(&self.ignored, libc::SIG_IGN);
        // SAFETY: the set is initialised; it is that of this thread.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.blocked, ptr::null_mut())
        };
    }
}

fn is_ignored(signal: c_int) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: nothing is changed; the action is read only where the call succeeded, which is where it was written. Some
    // numbers belong to the C library, which refuses them.
    unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

fn set_disposition(signals: &[c_int], disposition: libc::sighandler_t) {
    for &signal in signals {
        // SAFETY: neither disposition is a function that could be called.
        unsafe { libc::signal(signal, disposition) };
    }
}

/// Flags of the three standard streams as they were, for those that are open.
struct Streams([Option<(FdFlags, OFlags)>; 3]);

impl Streams {
    fn hand_on() -> Self {
        Self([
            hand_on(io::stdin()),
            hand_on(io::stdout()),
            hand_on(io::stderr()),
        ])
    }

    fn restore(&self) {
        let [stdin, stdout, stderr] = &self.0;
        restore(io::stdin(), stdin.as_ref());
        restore(io::stdout(), stdout.as_ref());
        restore(io::stderr(), stderr.as_ref());
    }
}

fn hand_on(stream: impl AsFd) -> Option<(FdFlags, OFlags)> {
    let descriptor = fcntl_getfd(&stream).ok()?;
    let status = fcntl_getfl(&stream).ok()?;
    let _ = fcntl_setfd(&stream, descriptor - FdFlags::CLOEXEC);
    if status.contains(OFlags::NONBLOCK) {
        let _ = fcntl_setfl(&stream, status - OFlags::NONBLOCK);
    }
    Some((descriptor, status))
}

fn restore(stream: impl AsFd, flags: Option<&(FdFlags, OFlags)>) {
    if let Some(&(descriptor, status)) = flags {
        let _ = fcntl_setfd(&stream, descriptor);
        let _ = fcntl_setfl(&stream, status);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::{Command, Stdio};

    use super::*;

    /// Names what the other process does: it cannot be told by argument, which the test harness reads.
    const ROLE: &str = "REPLACE_PROCESS_ROLE";

    /// Shows what a program inherited: standard streams, one other descriptor, signals. No shell, which would clear the
    /// mask of what it starts.
    const LOOK: &[&str] = &[
        "/bin/grep",
        "-Hs",
        "",
        "/proc/self/status",
        "/proc/self/fdinfo/0",
        "/proc/self/fdinfo/1",
        "/proc/self/fdinfo/2",
        "/proc/self/fdinfo/77",
    ];

    /// Shows the arguments and a variable.
    const TELL: &[&str] = &[
        "/bin/sh",
        "-c",
        r#"echo "<$0><$1><$MARK>""#,
        "a name",
        "two\n\"lines\"",
    ];

    /// Starts this test program again, as a host that is replaced, and gives what it and its successor print.
    fn replaced(role: &str) -> String {
        let name = "sys::linux::replace_process::tests::the_host_that_is_replaced";
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", name, "--nocapture"])
            .env(ROLE, role)
            .env("MARK", "ümlaut")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Does to this process what Node does at its start, and more.
    fn behave_as_a_host() {
        let leak = File::open("/").unwrap();
        // SAFETY: the number is nobody's; the signals are only ignored or blocked.
        unsafe {
            assert_eq!(libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&leak), 77), 77);
            for signal in [libc::SIGPIPE, libc::SIGXFSZ, libc::SIGHUP] {
                libc::signal(signal, libc::SIG_IGN);
            }
            let mut blocked = MaybeUninit::uninit();
            libc::sigemptyset(blocked.as_mut_ptr());
            libc::sigaddset(blocked.as_mut_ptr(), libc::SIGUSR1);
            libc::pthread_sigmask(libc::SIG_BLOCK, blocked.as_ptr(), ptr::null_mut());
        }
        let stdin = io::stdin();
        let status = fcntl_getfl(&stdin).unwrap();
        fcntl_setfl(&stdin, status | OFlags::NONBLOCK).unwrap();
        fcntl_setfd(io::stderr(), FdFlags::CLOEXEC).unwrap();
    }

    #[test]
    #[ignore = "the other process of the tests below"]
    fn the_host_that_is_replaced() {
        let role = std::env::var(ROLE).unwrap_or_default();
        let line = if role == "told" { TELL } else { LOOK };
        let line: Vec<CString> = line
            .iter()
            .map(|text| CString::new(*text).unwrap())
            .collect();
        behave_as_a_host();
        match role.as_str() {
            "plain" => {
                let pointers: Vec<_> = line.iter().map(|text| text.as_ptr()).collect();
                let pointers = [&pointers[..], &[ptr::null()]].concat();
                // SAFETY: as in `replace_process`.
                unsafe { libc::execve(line[0].as_ptr(), pointers.as_ptr(), environ) };
            }
            "replaced" | "told" => {
                replace_process(&line[0], &line);
            }
            "missing" => {
                let failure = replace_process(c"/no/such/program", &line);
                println!("failed: {:?}", failure.kind());
                println!("SIGHUP ignored: {}", is_ignored(libc::SIGHUP));
                let blocked = Signals::reset().blocked;
                // SAFETY: the set is initialised.
                let usr1 = unsafe { libc::sigismember(&raw const blocked, libc::SIGUSR1) };
                println!("SIGUSR1 blocked: {usr1}");
                println!("stderr: {:?}", fcntl_getfd(io::stderr()).unwrap());
                let status = fcntl_getfl(io::stdin()).unwrap();
                println!("stdin: {:?}", status & OFlags::NONBLOCK);
            }
            _ => {}
        }
    }

    /// The signals in a line of `/proc/self/status`, those of the C library left out.
    fn signals(output: &str, name: &str) -> u64 {
        let at = output.find(name).unwrap() + name.len();
        let digits: String = output[at..].trim_start().chars().take(16).collect();
        u64::from_str_radix(&digits, 16).unwrap() & 0x7fff_ffff
    }

    fn is_open(output: &str, descriptor: u32) -> bool {
        output.contains(&format!("/proc/self/fdinfo/{descriptor}:pos:"))
    }

    #[test]
    fn the_new_program_inherits_nothing_that_the_host_did_to_itself() {
        let blocks = |output: &str| {
            let flags = output.split("fdinfo/0:flags:\t").nth(1).unwrap();
            let flags: String = flags.chars().take_while(char::is_ascii_digit).collect();
            u32::from_str_radix(&flags, 8).unwrap() & OFlags::NONBLOCK.bits() == 0
        };
        // The canary: without the undoing all of it arrives, and standard error does not.
        let plain = replaced("plain");
        assert!(signals(&plain, "SigIgn:") & (1 << (libc::SIGHUP - 1)) != 0);
        assert!(signals(&plain, "SigBlk:") & (1 << (libc::SIGUSR1 - 1)) != 0);
        assert!(is_open(&plain, 1) && !is_open(&plain, 2) && is_open(&plain, 77));
        assert!(!blocks(&plain));

        let clean = replaced("replaced");
        assert_eq!(signals(&clean, "SigIgn:"), 0);
        assert_eq!(signals(&clean, "SigBlk:"), 0);
        assert!(is_open(&clean, 0) && is_open(&clean, 1) && is_open(&clean, 2));
        assert!(!is_open(&clean, 77) && blocks(&clean));
    }

    #[test]
    fn arguments_and_environment_arrive_as_they_are() {
        let output = replaced("told");
        assert!(
            output.contains("<a name><two\n\"lines\"><ümlaut>"),
            "{output}"
        );
    }

    #[test]
    fn where_the_program_is_missing_the_host_goes_on_as_it_was() {
        let output = replaced("missing");
        for line in [
            "failed: NotFound",
            "SIGHUP ignored: true",
            "SIGUSR1 blocked: 1",
            "stderr: FdFlags(CLOEXEC)",
            "stdin: OFlags(NONBLOCK)",
        ] {
            assert!(output.contains(line), "{line} is missing: {output}");
        }
    }
}
