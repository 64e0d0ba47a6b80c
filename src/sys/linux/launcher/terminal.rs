//! A terminal becomes that of a session, which only the first process of the session can ask for itself.

use rustix::io::Errno;

use super::confine::borrowed;
use super::{Outcome, said};

/// Leads a session whose terminal is standard input, and whose foreground is this process.
pub(super) fn take() -> Outcome<()> {
    match rustix::process::setsid() {
        // It leads one already.
        Ok(_) | Err(Errno::PERM) => {}
        Err(error) => return Err(said("making a session")(error)),
    }
    rustix::process::ioctl_tiocsctty(borrowed(0)).map_err(said("taking the terminal"))
}
