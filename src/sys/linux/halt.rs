//! Why an operation stopped: it failed, or it would have to wait where it must not.

use rustix::io::Errno;

use super::read;
use crate::error::Error;

/// An operation that did not finish.
#[derive(Debug)]
pub enum Halt {
    /// It would wait: for the disk when asked not to, for a lock, or for whoever holds a lease on the file.
    Wait,
    /// It failed.
    Failed(Error),
}

impl From<Errno> for Halt {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::AGAIN => Halt::Wait,
            // What opening a socket, a FIFO without a reader, or a device without a driver answers.
            Errno::NXIO | Errno::NODEV => Halt::Failed(read::special_file()),
            errno => Halt::Failed(errno.into()),
        }
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Failed(error)
    }
}
