//! Starts programs in a child that shares this process's memory until it executes them (`CLONE_VM | CLONE_VFORK`, as
//! `posix_spawn` does it), because neither `std` nor `posix_spawn` can say all that a workspace needs: which descriptors
//! pass (all others are closed in the child, `CLOEXEC` or not), a working directory by handle, control groups to join and
//! resource limits to set before anything of the program runs. Neither `fork` nor `pre_exec`: both copy the page tables of
//! a host that may hold gigabytes.

use std::ffi::{CStr, CString, c_char, c_int};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::process::{
    Pid, PidfdFlags, Resource, Rlimit, WaitId, WaitIdOptions, pidfd_open, waitid,
};

use super::spawn_child::{self, Orders};

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
    /// Control groups to join before anything else: files that a process of one thread enters by writing `0`.
    pub join: &'a [BorrowedFd<'a>],
    /// Resource limits, soft and hard alike, as far as this process may have that much itself; `None` is all that it may.
    pub limits: &'a [(Resource, Option<u64>)],
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
/// That of `execve`, such as `ENOENT` or `E2BIG`, or of a step before it; `EAGAIN` at the limit of processes.
pub fn spawn(request: &SpawnRequest<'_>) -> io::Result<Child> {
    let targets = c_int::try_from(request.descriptors.len()).map_err(io::Error::other)?;
    // A source below the targets could be overwritten before it is copied; those are moved out of the way first.
    let aside = |fd: &BorrowedFd<'_>| {
        (fd.as_raw_fd() < targets)
            .then(|| rustix::io::fcntl_dupfd_cloexec(fd, targets))
            .transpose()
    };
    let moved = request.descriptors.iter().map(aside);
    let moved = moved.collect::<Result<Vec<_>, _>>()?;
    let number = |(given, moved): (&BorrowedFd<'_>, &Option<OwnedFd>)| {
        moved.as_ref().map_or(given.as_raw_fd(), AsRawFd::as_raw_fd)
    };
    let directory = request.directory.as_ref();
    let directory_aside = directory.map(aside).transpose()?.flatten();

    let descriptors: Vec<c_int> = request.descriptors.iter().zip(&moved).map(number).collect();
    let join: Vec<c_int> = request.join.iter().map(AsRawFd::as_raw_fd).collect();
    let limits: Vec<(Resource, libc::rlimit)> = request
        .limits
        .iter()
        .map(|(resource, wanted)| (*resource, raw(limit_within(*resource, *wanted))))
        .collect();
    let arguments = pointers(request.arguments);
    let environment = pointers(request.environment);
    let pid = spawn_child::start(&Orders {
        program: request.program,
        arguments: &arguments,
        environment: &environment,
        directory: directory.map(|given| number((given, &directory_aside))),
        descriptors: &descriptors,
        join: &join,
        limits: &limits,
    })?;
    Child::adopt(pid)
}

/// A limit that this process may set: nobody may raise what he was given.
#[must_use]
pub fn limit_within(resource: Resource, wanted: Option<u64>) -> Rlimit {
    let most = rustix::process::getrlimit(resource).maximum;
    let value = match (wanted, most) {
        (Some(wanted), Some(most)) => Some(wanted.min(most)),
        (wanted, most) => wanted.or(most),
    };
    Rlimit {
        current: value,
        maximum: value,
    }
}

fn raw(limit: Rlimit) -> libc::rlimit {
    let number = |value: Option<u64>| value.unwrap_or(libc::RLIM_INFINITY);
    libc::rlimit {
        rlim_cur: number(limit.current),
        rlim_max: number(limit.maximum),
    }
}

/// The C form of an argument vector.
fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings
        .iter()
        .map(|string| string.as_ptr())
        .chain([std::ptr::null()])
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::*;

    fn shell(text: &str, directory: Option<BorrowedFd<'_>>) -> (String, Ended) {
        limited_shell(text, directory, &[])
    }

    /// Runs a shell text with standard output in a pipe and gives what it printed and how it ended.
    fn limited_shell(
        text: &str,
        directory: Option<BorrowedFd<'_>>,
        limits: &[(Resource, Option<u64>)],
    ) -> (String, Ended) {
        let null = File::open("/dev/null").unwrap();
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let arguments = ["sh", "-c", text].map(|text| CString::new(text).unwrap());
        let child = spawn(&SpawnRequest {
            program: c"/bin/sh",
            arguments: &arguments,
            environment: &[c"PATH=/usr/bin:/bin".to_owned()],
            directory,
            descriptors: &[null.as_fd(), writer.as_fd(), writer.as_fd()],
            join: &[],
            limits,
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
            join: &[],
            limits: &[],
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn limits_hold_for_the_program_alone_and_none_is_raised() {
        let before = rustix::process::getrlimit(Resource::Nofile);
        let most = before.maximum.unwrap();
        let limits = [
            (Resource::Nofile, Some(37)),
            (Resource::Core, Some(0)),
            (Resource::Fsize, None),
        ];
        let (out, _) = limited_shell("ulimit -Sn; ulimit -Hn; ulimit -c", None, &limits);
        assert_eq!(out, "37\n37\n0\n");
        let (out, _) = limited_shell("ulimit -n", None, &[(Resource::Nofile, Some(most + 1))]);
        assert_eq!(out.trim(), most.to_string());
        assert_eq!(rustix::process::getrlimit(Resource::Nofile), before);
    }

    #[test]
    fn a_group_that_cannot_be_joined_is_an_error_of_the_start_and_nothing_runs() {
        let null = File::open("/dev/null").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let handle = File::open(directory.path()).unwrap();
        let failed = spawn(&SpawnRequest {
            program: c"/bin/sh",
            arguments: &[c"sh".to_owned(), c"-c".to_owned(), c": > ran".to_owned()],
            environment: &[],
            directory: Some(handle.as_fd()),
            descriptors: &[null.as_fd()],
            // Open, but not to write.
            join: &[null.as_fd()],
            limits: &[],
        });
        assert_eq!(failed.unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert!(!directory.path().join("ran").exists());
    }

    #[test]
    fn many_threads_start_programs_while_others_use_the_memory() {
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let noise: Vec<String> = (0..100).map(|n| n.to_string()).collect();
                    assert_eq!(noise.concat().len(), 190);
                }
            });
            let starting: Vec<_> = (0..4)
                .map(|thread| {
                    scope.spawn(move || {
                        for turn in 0..50 {
                            let (out, ended) = shell(&format!("echo {thread} {turn}"), None);
                            assert_eq!(out, format!("{thread} {turn}\n"));
                            assert_eq!(ended, Ended::Code(0));
                        }
                    })
                })
                .collect();
            for thread in starting {
                thread.join().unwrap();
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
