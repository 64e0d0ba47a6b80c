//! A mount namespace of our own, held by one thread, where directories are made reachable by handle.
//!
//! bubblewrap resolves what it binds by path, as the user that it runs as. A scope below a directory that this user
//! may not enter could not be mounted at all, and a path can be exchanged under its hands. As root we clone the mount
//! of an open handle, attach the clone where only we can put anything, and start bubblewrap in there. The host's
//! own mounts never change; what is staged goes with its guard.
//!
//! Detaching a mount waits for every processor, which takes milliseconds on a busy machine. That is done by a thread of
//! its own, so that no command waits for what another one leaves.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Where clones are attached. bubblewrap itself needs `/tmp`, so it exists wherever this is of any use.
const STAGE: &str = "/tmp";

/// `MOUNT_ATTR_RDONLY` and `MS_PRIVATE` for `mount_setattr`.
const ATTR_READ_ONLY: u64 = 0x1;
const PROPAGATION_PRIVATE: u64 = 1 << 18;

/// An empty directory in the namespace, to hide others with.
const EMPTY: &str = "/tmp/empty";

/// What is read-only in the namespace, where sandboxes take it from. The device nodes are the host's own, and a command
/// that runs as their owner could change their mode for everybody. The system's programs are there a second time, by
/// the executable of the sandbox's first process, which no mount of the sandbox covers.
const READ_ONLY: &[&str] = &[
    "/usr",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];

/// Threads that stage and start; each is held while a program of its own begins.
const WORKERS: usize = 3;

type Job = Box<dyn FnOnce() + Send>;

/// The threads that hold the namespace; they live as long as the process, since what they start dies with them.
#[derive(Debug)]
pub struct Staging {
    jobs: Sender<Job>,
    /// For the thread that only cleans up.
    chores: Sender<Job>,
}

/// A directory or file that is reachable in the namespace, and nowhere else, until this is dropped.
#[derive(Debug)]
pub struct Staged {
    path: PathBuf,
}

impl Staged {
    /// Where it is, for programs that are started in the namespace.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.path);
        if let Ok(staging) = staging() {
            let _ = staging.chores.send(Box::new(move || {
                if let Ok(target) = c_path(&path) {
                    // SAFETY: the argument is a C string. Only the clone goes; who mounted it again keeps it.
                    unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
                }
                if std::fs::remove_dir(&path).is_err() {
                    let _ = std::fs::remove_file(&path);
                }
            }));
        }
    }
}

/// The namespace of this process, made by the first call.
///
/// # Errors
/// `EPERM` without `CAP_SYS_ADMIN`; that of the mounts. The answer stays the same for the life of the process.
pub fn staging() -> io::Result<&'static Staging> {
    static STAGING: OnceLock<Result<Staging, i32>> = OnceLock::new();
    STAGING
        .get_or_init(|| start().map_err(|error| error.raw_os_error().unwrap_or(libc::EPERM)))
        .as_ref()
        .map_err(|code| io::Error::from_raw_os_error(*code))
}

fn start() -> io::Result<Staging> {
    let (jobs, waiting) = channel::<Job>();
    let (chores, untidy) = channel::<Job>();
    let (ready, outcome) = sync_channel(1);
    let waiting = Arc::new(Mutex::new(waiting));
    thread(move || {
        // What a thread starts is in its namespace, other threads included.
        let entered = enter().and_then(|()| {
            thread(move || work(&Mutex::new(untidy)))?;
            for _ in 1..WORKERS {
                let waiting = Arc::clone(&waiting);
                thread(move || work(&waiting))?;
            }
            Ok(())
        });
        let failed = entered.is_err();
        let _ = ready.send(entered);
        if !failed {
            work(&waiting);
        }
    })?;
    outcome
        .recv()
        .map_err(|_| io::Error::other("the mount thread ended"))??;
    Ok(Staging { jobs, chores })
}

fn thread(body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let named = std::thread::Builder::new().name("agent-backend-mounts".to_owned());
    named.spawn(body).map(drop)
}

/// Does one job after another until nobody can send any more.
fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        let next = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(job) = next else {
            return;
        };
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(job));
    }
}

/// Gives this thread a mount namespace that follows the host's and hands nothing back, with an empty stage in it.
fn enter() -> io::Result<()> {
    let stage = CString::new(STAGE).map_err(io::Error::other)?;
    // SAFETY: all pointers are to C strings that live through the calls. Only this thread changes its namespace.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNS))?;
        // The working directory is this thread's own now, and no business of what it starts.
        check(libc::chdir(c"/".as_ptr()))?;
        let flags = libc::MS_SLAVE | libc::MS_REC;
        check(libc::mount(
            std::ptr::null(),
            c"/".as_ptr(),
            std::ptr::null(),
            flags,
            std::ptr::null(),
        ))?;
        check(libc::mount(
            c"tmpfs".as_ptr(),
            stage.as_ptr(),
            c"tmpfs".as_ptr(),
            libc::MS_NOSUID | libc::MS_NODEV,
            c"mode=0711,size=32m".as_ptr().cast(),
        ))?;
    }
    for path in READ_ONLY {
        match make_read_only(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::create_dir(EMPTY)?;
    std::fs::set_permissions(EMPTY, std::fs::Permissions::from_mode(0o555))
}

/// Mounts something over itself, read-only, with what is mounted below it. A device can be written all the same.
fn make_read_only(path: &str) -> io::Result<()> {
    let path = CString::new(path).map_err(io::Error::other)?;
    // SAFETY: all pointers are to C strings that live through the call.
    check(unsafe {
        libc::mount(
            path.as_ptr(),
            path.as_ptr(),
            std::ptr::null(),
            libc::MS_BIND | libc::MS_REC,
            std::ptr::null(),
        )
    })?;
    set_attributes(libc::AT_FDCWD, &path, 0, true)
}

/// Makes a mount and those below it private and, where asked, read-only.
fn set_attributes(
    directory: std::os::fd::RawFd,
    path: &std::ffi::CStr,
    flags: i32,
    read_only: bool,
) -> io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: if read_only { ATTR_READ_ONLY } else { 0 },
        attr_clr: 0,
        propagation: PROPAGATION_PRIVATE,
        userns_fd: 0,
    };
    // SAFETY: the path is a C string; the structure is as large as we say; both live through the call.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            directory,
            path.as_ptr(),
            flags | libc::AT_RECURSIVE,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    })
}

impl Staging {
    /// A directory of the namespace that is empty and stays so.
    #[must_use]
    pub fn empty(&self) -> &'static std::path::Path {
        std::path::Path::new(EMPTY)
    }

    /// Runs work that nobody waits for, behind everything of its kind.
    pub fn tidy(&self, work: impl FnOnce() + Send + 'static) {
        let _ = self.chores.send(Box::new(work));
    }

    /// Runs work on a thread in the namespace, and waits for it. Blocks.
    ///
    /// # Errors
    /// Where the thread is gone or the work panicked.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (sender, receiver) = sync_channel(1);
        let job: Job = Box::new(move || {
            let _ = sender.send(work());
        });
        let gone = || io::Error::other("the mount thread ended");
        self.jobs.send(job).map_err(|_| gone())?;
        receiver.recv().map_err(|_| gone())
    }

    /// Makes what the handles are on (with what is mounted below) reachable in the namespace. Blocks.
    ///
    /// # Errors
    /// That of the mounts.
    pub fn stage(&self, sources: Vec<Source>) -> io::Result<Vec<Staged>> {
        let clones = sources
            .iter()
            .map(Source::cloned)
            .collect::<io::Result<Vec<_>>>()?;
        self.run(move || clones.iter().map(attach).collect())?
    }
}

/// `/dev/null` to read from, of a mount that is read-only: who runs as the owner of the host's device could else change
/// its mode for everybody by the descriptor alone.
///
/// # Errors
/// Those of [`staging`]; that of opening it.
pub fn read_only_null() -> io::Result<OwnedFd> {
    static NULL: OnceLock<Result<OwnedFd, i32>> = OnceLock::new();
    let null = NULL.get_or_init(|| {
        let open = || std::fs::File::open("/dev/null").map(OwnedFd::from);
        let opened = staging().and_then(|staging| staging.run(open)?);
        opened.map_err(|error| error.raw_os_error().unwrap_or(libc::EPERM))
    });
    match null {
        // Opened anew, since flags are common to those who share an open file.
        Ok(null) => Ok(std::fs::File::open(format!("/proc/self/fd/{}", null.as_raw_fd()))?.into()),
        Err(code) => Err(io::Error::from_raw_os_error(*code)),
    }
}

/// What to stage.
#[derive(Debug)]
pub struct Source {
    /// A handle on a directory or file; `O_PATH` will do.
    pub handle: OwnedFd,
    /// Nobody can write through it.
    pub read_only: bool,
}

impl Source {
    /// A clone of the mount that the handle is in, with the handle's directory as its root. No path is involved.
    fn cloned(&self) -> io::Result<OwnedFd> {
        let flags = libc::OPEN_TREE_CLONE
            | libc::OPEN_TREE_CLOEXEC
            | libc::AT_EMPTY_PATH.cast_unsigned()
            | libc::AT_RECURSIVE.cast_unsigned();
        // SAFETY: the path is a C string; the descriptor that comes back is nobody else's.
        let clone = unsafe {
            let fd = libc::syscall(
                libc::SYS_open_tree,
                self.handle.as_fd().as_raw_fd(),
                c"".as_ptr(),
                flags,
            );
            check_long(fd)?;
            #[allow(clippy::cast_possible_truncation, reason = "descriptors are ints")]
            OwnedFd::from_raw_fd(fd as i32)
        };
        set_attributes(clone.as_raw_fd(), c"", libc::AT_EMPTY_PATH, self.read_only)?;
        Ok(clone)
    }
}

/// Attaches a clone under a name that was not used before. Runs in the namespace.
fn attach(clone: &OwnedFd) -> io::Result<Staged> {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let path = PathBuf::from(format!("{STAGE}/{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    // A mount of a file goes onto a file.
    if rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(clone)?.st_mode).is_dir() {
        std::fs::create_dir(&path)?;
    } else {
        std::fs::File::create_new(&path)?;
    }
    let target = c_path(&path)?;
    // SAFETY: both paths are C strings that live through the call.
    check_long(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            clone.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::MOVE_MOUNT_F_EMPTY_PATH,
        )
    })?;
    Ok(Staged { path })
}

fn c_path(path: &std::path::Path) -> io::Result<CString> {
    use std::os::unix::ffi::OsStrExt as _;
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

fn check(code: i32) -> io::Result<()> {
    check_long(code.into())
}

fn check_long(code: libc::c_long) -> io::Result<()> {
    if code < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_staged_directory_is_seen_in_the_namespace_alone_and_goes_with_its_guard() {
        let Ok(staging) = staging() else {
            return; // Needs CAP_SYS_ADMIN: an ordinary user binds by descriptor instead.
        };
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), "here").unwrap();
        let source = Source {
            handle: File::open(directory.path()).unwrap().into(),
            read_only: true,
        };
        let staged = staging.stage(vec![source]).unwrap().remove(0);
        let path = staged.path().to_owned();
        assert!(!path.exists(), "the host does not see it");
        let seen = path.clone();
        let (text, written) = staging
            .run(move || {
                (
                    std::fs::read_to_string(seen.join("file")),
                    std::fs::write(seen.join("new"), "x"),
                )
            })
            .unwrap();
        assert_eq!(text.unwrap(), "here");
        assert_eq!(
            written.unwrap_err().kind(),
            io::ErrorKind::ReadOnlyFilesystem
        );
        drop(staged);
        // What is cleaned up is cleaned up in order.
        let (done, cleaned) = sync_channel(1);
        staging.tidy(move || done.send(path.exists()).unwrap());
        assert!(!cleaned.recv().unwrap());
    }
}
