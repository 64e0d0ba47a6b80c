//! Pseudo terminals. The end of the command is opened through a handle on the other one: no name in `/dev/pts` is ever
//! looked up, which another mount could have put something under.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::termios::{InputModes, OptionalActions, Winsize};

use super::terminal_modes;
use crate::backend::process::TerminalSize;

/// A terminal that nobody uses yet.
#[derive(Debug)]
pub struct Pair {
    /// What is typed is written here and what is shown is read here; does not block. Closed, it hangs up.
    pub ours: OwnedFd,
    /// What a command has as its terminal.
    pub theirs: OwnedFd,
}

/// Makes a terminal, whose user alone may open it, with modes as [`crate::backend::process::Terminal`] has them.
///
/// # Errors
/// That of the calls: `ENOENT`, `EACCES` where the host has no `/dev/ptmx`, `ENOSPC` at its limit of terminals.
pub fn open(size: TerminalSize, modes: &[(u8, u32)], user: Option<(u32, u32)>) -> io::Result<Pair> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let ours = rustix::fs::open("/dev/ptmx", flags | OFlags::NONBLOCK, Mode::empty())?;
    let unlocked: libc::c_int = 0;
    // SAFETY: the call reads one number, which lives through it.
    if unsafe { libc::ioctl(ours.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the call takes a number and gives a new descriptor, or -1.
    let theirs = unsafe {
        match libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTPEER, flags) {
            -1 => return Err(io::Error::last_os_error()),
            opened => OwnedFd::from_raw_fd(opened),
        }
    };
    if let Some((uid, gid)) = user {
        let (uid, gid) = (
            rustix::fs::Uid::from_raw(uid),
            rustix::fs::Gid::from_raw(gid),
        );
        rustix::fs::fchown(&theirs, Some(uid), Some(gid))?;
    }
    rustix::fs::fchmod(&theirs, Mode::RUSR | Mode::WUSR)?;
    // Erasing takes a character, not a byte.
    let mut termios = rustix::termios::tcgetattr(&theirs)?;
    termios.input_modes |= InputModes::IUTF8;
    terminal_modes::set(&mut termios, modes);
    rustix::termios::tcsetattr(&theirs, OptionalActions::Now, &termios)?;
    resize(&ours, size)?;
    Ok(Pair { ours, theirs })
}

/// Changes the window; the programs in the foreground are told.
///
/// # Errors
/// That of the call.
pub fn resize(ours: impl AsFd, size: TerminalSize) -> io::Result<()> {
    let size = Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: size.pixel_width,
        ws_ypixel: size.pixel_height,
    };
    Ok(rustix::termios::tcsetwinsize(ours, size)?)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};

    use rustix::event::{PollFd, PollFlags};

    use super::*;

    #[test]
    fn what_is_typed_arrives_and_what_is_printed_is_seen() {
        let size = TerminalSize {
            columns: 100,
            rows: 30,
            pixel_width: 1,
            pixel_height: 2,
        };
        let pair = open(size, &[], None).unwrap();
        let seen = rustix::termios::tcgetwinsize(&pair.theirs).unwrap();
        assert_eq!((seen.ws_col, seen.ws_row), (100, 30));
        assert_eq!((seen.ws_xpixel, seen.ws_ypixel), (1, 2));
        let (mut ours, mut theirs) = (File::from(pair.ours), File::from(pair.theirs));
        ours.write_all(b"abc\r").unwrap();
        let mut line = [0; 8];
        let read = theirs.read(&mut line).unwrap();
        assert_eq!(&line[..read], b"abc\n");
        // The echo, then what is printed.
        theirs.write_all(b"x\n").unwrap();
        let mut shown = Vec::new();
        drop(theirs);
        // The system hands it over in its own time.
        let end = loop {
            match ours.read_to_end(&mut shown).unwrap_err() {
                later if later.kind() == io::ErrorKind::WouldBlock => {
                    rustix::event::poll(&mut [PollFd::new(&ours, PollFlags::IN)], None).unwrap();
                }
                end => break end,
            }
        };
        assert_eq!(shown, b"abc\r\nx\r\n");
        assert_eq!(end.raw_os_error(), Some(libc::EIO));
    }
}
