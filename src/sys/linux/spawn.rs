//! Starts programs with `posix_spawn`, called directly because `std` has no way to say two things that a workspace
//! needs: which descriptors pass (all others are closed in the child, `CLOEXEC` or not), and a working directory by
//! handle. Neither `fork` nor `pre_exec`: both copy the page tables of a host that may hold gigabytes.

use std::ffi::{CStr, CString, c_char, c_int, c_short};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

/// `POSIX_SPAWN_SETSID` of glibc; the `libc` crate lacks it on some targets.
const POSIX_SPAWN_SETSID: c_short = 0x80;

unsafe extern "C" {
    /// glibc ≥ 2.29.
    fn posix_spawn_file_actions_addfchdir_np(
        actions: *mut libc::posix_spawn_file_actions_t,
        fd: c_int,
    ) -> c_int;
    /// glibc ≥ 2.34.
    fn posix_spawn_file_actions_addclosefrom_np(
        actions: *mut libc::posix_spawn_file_actions_t,
        from: c_int,
    ) -> c_int;
}

/// A program to start, in a session of its own, with default signal dispositions and nothing blocked.
#[derive(Debug)]
pub struct SpawnRequest<'a> {
    /// Absolute path; never looked up in `PATH`.
    pub program: &'a CStr,
    /// Arguments, the program's own name first.
    pub arguments: &'a [CString],
    /// The whole environment, `NAME=value`.
    pub environment: &'a [CString],
    /// Where it starts; an `O_PATH` handle will do. `None`: where this process is.
    pub directory: Option<BorrowedFd<'a>>,
    /// What it gets as descriptors 0, 1, 2, …; every other descriptor is closed in it.
    pub descriptors: &'a [BorrowedFd<'a>],
}

/// A started process that nobody has waited for yet, so that its number cannot name another one.
#[derive(Debug)]
pub struct Child {
    /// Process id, which is also its group and session.
    pub pid: Pid,
    /// Readable when it has ended.
    pub pidfd: OwnedFd,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Child {
    /// Takes charge of a child of this process that somebody else made for it and nobody has waited for.
    ///
    /// # Errors
    /// That of opening a handle on it; then it does not run on.
    pub fn adopt(pid: Pid) -> io::Result<Self> {
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Self { pid, pidfd }),
            Err(error) => {
                // Without a handle on it nobody could wait for it: it must not run.
                let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                let _ = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
                Err(error.into())
            }
        }
    }

    /// Takes the end of this process, and of no other, off the kernel; call it when `pidfd` is readable.
    ///
    /// # Errors
    /// `ECHILD` where the host process ignores `SIGCHLD` or waits for processes that are not its own.
    pub fn reap(&self) -> io::Result<Ended> {
        loop {
            match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED) {
                Ok(Some(status)) => {
                    return Ok(match (status.exit_status(), status.terminating_signal()) {
                        (Some(code), _) => Ended::Code(code),
                        (None, Some(signal)) => Ended::Signal(signal),
                        (None, None) => Ended::Signal(libc::SIGKILL),
                    });
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Starts a program. The calling thread must live as long as the process does: a launcher's `PDEATHSIG` is tied to it.
///
/// # Errors
/// That of `execve`, such as `ENOENT` or `E2BIG`; `EAGAIN` at the limit of processes.
pub fn spawn(request: &SpawnRequest<'_>) -> io::Result<Child> {
    let targets = c_int::try_from(request.descriptors.len()).map_err(io::Error::other)?;
    // A source below the targets could be overwritten before it is copied; those are moved out of the way first.
    let moved = request
        .descriptors
        .iter()
        .map(|fd| {
            (fd.as_raw_fd() < targets)
                .then(|| rustix::io::fcntl_dupfd_cloexec(fd, targets))
                .transpose()
        })
        .collect::<Result<Vec<_>, _>>()?;
    let directory = request
        .directory
        .filter(|fd| fd.as_raw_fd() < targets)
        .map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, targets))
        .transpose()?;

    let mut actions = FileActions::new()?;
    if let Some(fd) = directory.as_ref().map(AsFd::as_fd).or(request.directory) {
        actions.change_directory(fd)?;
    }
    for ((target, source), moved) in (0..).zip(request.descriptors).zip(&moved) {
        actions.duplicate(moved.as_ref().map_or(*source, AsFd::as_fd), target)?;
    }
    actions.close_from(targets)?;
    let attributes = Attributes::new()?;

    let arguments = pointers(request.arguments);
    let environment = pointers(request.environment);
    let mut pid: libc::pid_t = 0;
    // SAFETY: every pointer is to a live, initialised object; both arrays end with a null pointer and their strings
    // with NUL; `posix_spawn` does not keep any of them.
    check(unsafe {
        libc::posix_spawn(
            &raw mut pid,
            request.program.as_ptr(),
            &raw const actions.0,
            &raw const attributes.0,
            arguments.as_ptr(),
            environment.as_ptr(),
        )
    })?;
    let pid = Pid::from_raw(pid).ok_or_else(|| io::Error::other("posix_spawn gave no process"))?;
    Child::adopt(pid)
}

/// The C form of an argument vector. The strings are only read, whatever the prototype says.
fn pointers(strings: &[CString]) -> Vec<*mut c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr().cast_mut())
        .chain([std::ptr::null_mut()])
        .collect()
}

/// The `posix_spawn` family returns its error instead of setting `errno`.
fn check(code: c_int) -> io::Result<()> {
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(code))
    }
}

struct FileActions(libc::posix_spawn_file_actions_t);

impl FileActions {
    fn new() -> io::Result<Self> {
        let mut raw = MaybeUninit::uninit();
        // SAFETY: `raw` is valid for writes and initialised by the call where it succeeds.
        unsafe {
            check(libc::posix_spawn_file_actions_init(raw.as_mut_ptr()))?;
            Ok(Self(raw.assume_init()))
        }
    }

    fn change_directory(&mut self, fd: BorrowedFd<'_>) -> io::Result<()> {
        // SAFETY: `self.0` is initialised.
        check(unsafe { posix_spawn_file_actions_addfchdir_np(&raw mut self.0, fd.as_raw_fd()) })
    }

    fn duplicate(&mut self, source: BorrowedFd<'_>, target: c_int) -> io::Result<()> {
        // SAFETY: `self.0` is initialised.
        check(unsafe {
            libc::posix_spawn_file_actions_adddup2(&raw mut self.0, source.as_raw_fd(), target)
        })
    }

    fn close_from(&mut self, first: c_int) -> io::Result<()> {
        // SAFETY: `self.0` is initialised.
        check(unsafe { posix_spawn_file_actions_addclosefrom_np(&raw mut self.0, first) })
    }
}

impl Drop for FileActions {
    fn drop(&mut self) {
        // SAFETY: `self.0` was initialised by `new`.
        unsafe { libc::posix_spawn_file_actions_destroy(&raw mut self.0) };
    }
}

struct Attributes(libc::posix_spawnattr_t);

impl Attributes {
    /// A new session, no signal blocked, every signal at its default: hosts ignore `SIGPIPE`, commands must not.
    fn new() -> io::Result<Self> {
        let mut raw = MaybeUninit::uninit();
        let mut signals = MaybeUninit::uninit();
        // SAFETY: the objects are valid for writes, and each is initialised by the call before it is read.
        unsafe {
            check(libc::posix_spawnattr_init(raw.as_mut_ptr()))?;
            let mut attributes = Self(raw.assume_init());
            let this = &raw mut attributes.0;
            libc::sigfillset(signals.as_mut_ptr());
            check(libc::posix_spawnattr_setsigdefault(this, signals.as_ptr()))?;
            libc::sigemptyset(signals.as_mut_ptr());
            check(libc::posix_spawnattr_setsigmask(this, signals.as_ptr()))?;
            #[allow(
                clippy::cast_possible_truncation,
                reason = "flags of this call are shorts"
            )]
            let flags = POSIX_SPAWN_SETSID
                | libc::POSIX_SPAWN_SETSIGDEF as c_short
                | libc::POSIX_SPAWN_SETSIGMASK as c_short;
            check(libc::posix_spawnattr_setflags(this, flags))?;
            Ok(attributes)
        }
    }
}

impl Drop for Attributes {
    fn drop(&mut self) {
        // SAFETY: `self.0` was initialised by `new`.
        unsafe { libc::posix_spawnattr_destroy(&raw mut self.0) };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    /// Runs a shell text with standard output in a pipe and gives what it printed and how it ended.
    fn shell(text: &str, directory: Option<BorrowedFd<'_>>) -> (String, Ended) {
        let null = File::open("/dev/null").unwrap();
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let arguments = ["sh", "-c", text].map(|text| CString::new(text).unwrap());
        let child = spawn(&SpawnRequest {
            program: c"/bin/sh",
            arguments: &arguments,
            environment: &[c"PATH=/usr/bin:/bin".to_owned()],
            directory,
            descriptors: &[null.as_fd(), writer.as_fd(), writer.as_fd()],
        })
        .unwrap();
        drop(writer);
        let mut out = String::new();
        File::from(reader).read_to_string(&mut out).unwrap();
        (out, child.reap().unwrap())
    }

    #[test]
    fn a_program_starts_where_the_handle_points_and_its_end_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let handle = File::open(directory.path()).unwrap();
        let (out, ended) = shell("pwd -P; exit 7", Some(handle.as_fd()));
        let real = directory.path().canonicalize().unwrap();
        assert_eq!(out.trim_end(), real.to_str().unwrap());
        assert_eq!(ended, Ended::Code(7));
        assert_eq!(shell("kill -9 $$", None).1, Ended::Signal(9));
    }

    #[test]
    fn a_descriptor_that_was_not_named_is_closed_even_without_close_on_exec() {
        let leak = File::open("/").unwrap();
        rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
        let number = leak.as_raw_fd();
        let text =
            format!("if [ -e /proc/self/fd/{number} ]; then echo open; else echo closed; fi");

        // The canary: a plain command of the standard library inherits it.
        let plain = std::process::Command::new("/bin/sh")
            .args(["-c", &text])
            .output()
            .unwrap();
        assert_eq!(plain.stdout, b"open\n");
        assert_eq!(shell(&text, None).0, "closed\n");
    }

    #[test]
    fn a_program_gets_default_signals_whatever_its_host_ignores() {
        // Rust's runtime ignores SIGPIPE, as Node does.
        let (out, _) = shell("grep -E 'SigBlk|SigIgn' /proc/self/status", None);
        for line in out.lines() {
            let mask = u64::from_str_radix(line.rsplit('\t').next().unwrap(), 16).unwrap();
            // glibc keeps 32 and 33 for itself.
            assert_eq!(mask & 0x7fff_ffff, 0, "{line}");
        }
        assert_eq!(out.lines().count(), 2);
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error_of_the_start() {
        let null = File::open("/dev/null").unwrap();
        let failed = spawn(&SpawnRequest {
            program: c"/no/such/program",
            arguments: &[c"x".to_owned()],
            environment: &[],
            directory: None,
            descriptors: &[null.as_fd()],
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
