//! Content on its way into a file: bytes in memory, or another file, which need not come through our memory.

use std::os::fd::BorrowedFd;

use rustix::fs::copy_file_range;
use rustix::io::{Errno, Result, pread};

/// So much of a file is copied at a time where the kernel does not do it.
const PIECE: usize = 1 << 20;
/// The most that the kernel is asked to copy in one call.
const MOST_AT_ONCE: u64 = 1 << 30;

/// Where content comes from. It does not change while it is written.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// Memory.
    Bytes(&'a [u8]),
    /// The first `length` bytes of a file that can be read.
    File {
        /// The file.
        file: BorrowedFd<'a>,
        /// How much of it.
        length: u64,
    },
}

impl Source<'_> {
    /// How many bytes there are.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Source::Bytes(bytes) => bytes.len() as u64,
            Source::File { length, .. } => *length,
        }
    }

    /// Writes all of it where the file stands, or to its end where it was opened so.
    pub(super) fn write_to(self, file: BorrowedFd<'_>) -> Result<()> {
        match self {
            Source::Bytes(bytes) => write_all(file, bytes),
            Source::File { file: from, length } => copy(from, file, length),
        }
    }
}

fn write_all(file: BorrowedFd<'_>, mut content: &[u8]) -> Result<()> {
    while !content.is_empty() {
        match rustix::io::write(file, content) {
            Ok(0) => return Err(Errno::IO),
            Ok(count) => content = &content[count..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn copy(from: BorrowedFd<'_>, to: BorrowedFd<'_>, length: u64) -> Result<()> {
    let mut done = 0;
    while done < length {
        let wanted = usize::try_from((length - done).min(MOST_AT_ONCE)).unwrap_or(PIECE);
        match copy_file_range(from, Some(&mut done), to, None, wanted) {
            // Between file systems, to the end of a file, or on one that cannot.
            Ok(0) => return copy_by_memory(from, to, done, length),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => return Err(errno),
            Err(_) => return copy_by_memory(from, to, done, length),
        }
    }
    Ok(())
}

fn copy_by_memory(
    from: BorrowedFd<'_>,
    to: BorrowedFd<'_>,
    mut done: u64,
    length: u64,
) -> Result<()> {
    let mut piece = vec![0; PIECE];
    while done < length {
        let wanted = usize::try_from(length - done).map_or(PIECE, |left| left.min(PIECE));
        match pread(from, &mut piece[..wanted], done) {
            // It is shorter than it was said to be.
            Ok(0) => return Err(Errno::IO),
            Ok(count) => {
                write_all(to, &piece[..count])?;
                done += count as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};
    use std::os::fd::AsFd as _;

    use super::*;

    fn content(length: usize) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn a_file_is_copied_whole_by_the_kernel_and_by_memory_and_to_an_end() {
        let content = content(2 * PIECE + 17);
        let mut from = tempfile::tempfile().unwrap();
        from.write_all(&content).unwrap();
        let length = content.len() as u64;
        let directory = tempfile::tempdir().unwrap();
        for (name, append) in [("plain", false), ("append", true)] {
            let path = directory.path().join(name);
            std::fs::write(&path, if append { "old" } else { "" }).unwrap();
            let to = std::fs::File::options()
                .write(!append)
                .append(append)
                .open(&path)
                .unwrap();
            let file = from.as_fd();
            Source::File { file, length }.write_to(to.as_fd()).unwrap();
            let written = std::fs::read(&path).unwrap();
            assert_eq!(written[written.len() - content.len()..], content, "{name}");
            assert_eq!(written.starts_with(b"old"), append);
        }
        let mut to = tempfile::tempfile().unwrap();
        copy_by_memory(from.as_fd(), to.as_fd(), 0, length).unwrap();
        let mut written = Vec::new();
        to.rewind().unwrap();
        to.read_to_end(&mut written).unwrap();
        assert_eq!(written, content);
    }

    #[test]
    fn a_file_that_is_shorter_than_was_said_is_an_error() {
        let mut from = tempfile::tempfile().unwrap();
        from.write_all(b"short").unwrap();
        let to = tempfile::tempfile().unwrap();
        let (file, length) = (from.as_fd(), 6);
        let failed = Source::File { file, length }.write_to(to.as_fd());
        assert_eq!(failed, Err(Errno::IO));
    }
}
