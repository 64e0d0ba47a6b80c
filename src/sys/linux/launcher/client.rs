//! The host's side of a launcher that serves.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType,
};
use rustix::process::Pid;

use super::order::Order;
use super::serve::MAX_DESCRIPTORS;
use crate::sys::linux::spawn::{Child, SpawnRequest, spawn};

/// How long an answer may take on a busy machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A launcher that serves. Ends when this is dropped; its commands go on.
#[derive(Debug)]
pub struct Server {
    socket: Mutex<OwnedFd>,
    process: Option<Child>,
    /// An answer is missing: the next one would be taken for it.
    is_broken: AtomicBool,
}

impl Server {
    /// Starts one through our own binary: `standing` is what holds for all its commands, and `passed` are descriptors
    /// for it, numbered from 5 on. The calling thread must live as long as this process: commands die with it.
    ///
    /// # Errors
    /// That of the start.
    pub fn start(binary: BorrowedFd<'_>, standing: &Order, passed: &[OwnedFd]) -> io::Result<Self> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let within = Some(ANSWER_WITHIN);
        rustix::net::sockopt::set_socket_timeout(
            &ours,
            rustix::net::sockopt::Timeout::Recv,
            within,
        )?;
        // 3 is the binary itself, 4 its end of the socket, then what was passed, then the order.
        let mut standing = standing.clone();
        standing.serve = Some(4);
        standing.keep = vec![4];
        let order = memory_file(&standing.to_bytes())?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let mut descriptors = vec![
            null.as_fd(),
            null.as_fd(),
            null.as_fd(),
            binary,
            theirs.as_fd(),
        ];
        descriptors.extend(passed.iter().map(|passed| passed.as_fd()));
        let arguments = super::arguments(descriptors.len());
        descriptors.push(order.as_fd());
        let root = File::open("/")?;
        let process = spawn(&SpawnRequest {
            program: c"/proc/self/fd/3",
            arguments: &arguments,
            environment: &[],
            directory: Some(root.as_fd()),
            descriptors: &descriptors,
            join: &[],
            limits: &[],
        })?;
        Ok(Self {
            socket: Mutex::new(ours),
            process: Some(process),
            is_broken: AtomicBool::new(false),
        })
    }

    /// Starts a command: the child is this process's own. `standard` become its first three descriptors, `passed` those
    /// from 3 on.
    ///
    /// # Errors
    /// `EAGAIN` at the limit of processes, `E2BIG` for too many descriptors, `EPIPE` where the launcher is gone and
    /// nothing was started, `ECONNABORTED` where it went while it started something.
    pub fn launch(
        &self,
        order: &Order,
        standard: &[OwnedFd; 3],
        passed: &[OwnedFd],
    ) -> io::Result<Child> {
        let order = memory_file(&order.to_bytes())?;
        let mut descriptors = vec![order.as_fd()];
        descriptors.extend(
            standard
                .iter()
                .chain(passed)
                .map(|descriptor| descriptor.as_fd()),
        );
        if descriptors.len() > MAX_DESCRIPTORS {
            return Err(io::Error::from_raw_os_error(libc::E2BIG));
        }
        let mut space =
            vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut message = SendAncillaryBuffer::new(&mut space);
        if !message.push(SendAncillaryMessage::ScmRights(&descriptors)) {
            return Err(io::Error::from_raw_os_error(libc::E2BIG));
        }
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_broken.load(Ordering::Acquire) {
            return Err(gone());
        }
        let byte = [IoSlice::new(b"!")];
        let answered =
            match rustix::net::sendmsg(&*socket, &byte, &mut message, SendFlags::NOSIGNAL) {
                Ok(_) => answer(&socket),
                Err(Errno::PIPE | Errno::CONNRESET) => Err(gone()),
                Err(error) => return Err(error.into()),
            };
        if answered.is_err() {
            self.is_broken.store(true, Ordering::Release);
        }
        drop(socket);
        Child::adopt(answered??)
    }

    /// Whether it can still be asked.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let now = Timespec::default();
        !self.is_broken.load(Ordering::Acquire)
            && self.process.as_ref().is_some_and(|process| {
                let mut ended = [PollFd::new(&process.pidfd, PollFlags::IN)];
                matches!(poll(&mut ended, Some(&now)), Ok(0))
            })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The socket has to go first: that is what it waits for.
        if let Ok(null) = File::open("/dev/null") {
            *self
                .socket
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner) = null.into();
        }
        if let Some(process) = self.process.take() {
            crate::pool::detach(move || {
                let _ = process.reap();
            });
        }
    }
}

/// What came of a request: the error of the answer itself, or that of the start.
fn answer(socket: &OwnedFd) -> io::Result<io::Result<Pid>> {
    let mut bytes = [0; 4];
    let received = loop {
        match rustix::net::recv(socket, &mut bytes, RecvFlags::empty()) {
            Ok((received, _)) => break received,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT)),
            // What a socket says whose other end was closed with something in it that was not read: the order, since
            // there is never another one.
            Err(Errno::CONNRESET) => return Err(gone()),
            Err(error) => return Err(error.into()),
        }
    };
    if received != bytes.len() {
        return Err(io::Error::from_raw_os_error(libc::ECONNABORTED));
    }
    let number = i32::from_ne_bytes(bytes);
    Ok(Pid::from_raw(number)
        .filter(|_| number > 0)
        .ok_or_else(|| io::Error::from_raw_os_error(number.saturating_neg())))
}

/// The launcher has ended, and started nothing.
fn gone() -> io::Error {
    io::Error::from_raw_os_error(libc::EPIPE)
}

/// A file in memory that is read from its beginning.
///
/// # Errors
/// That of the calls.
pub fn memory_file(content: &[u8]) -> io::Result<OwnedFd> {
    use std::io::{Seek as _, Write as _};
    const NAME: &CStr = c"agent-backend";
    let mut file = File::from(rustix::fs::memfd_create(
        NAME,
        rustix::fs::MemfdFlags::CLOEXEC,
    )?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file.into())
}
