//! Reading an opened file: regular files only, from the cache or by waiting.

use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use bytes::Bytes;
use rustix::io::Errno;

use super::metadata;
use crate::backend::{FileKind, FileStat, ReadOptions, ReadOutcome};
use crate::error::{Error, ErrorCode, Result};
use crate::memory;

/// More than this is never read on the caller's thread, cached or not: copying it would take too long.
pub const INLINE_BYTES: u64 = 256 << 10;

/// From here on the memory is worth a hint to the kernel.
const LARGE_BYTES: usize = 8 << 20;
const HUGE_PAGE: usize = 2 << 20;

/// A regular file, open, with what is wanted of it.
#[derive(Debug)]
pub struct Opened<F = OwnedFd> {
    file: F,
    stat: FileStat,
    wanted: Range<u64>,
    /// What was asked for, whatever the size.
    asked: Range<u64>,
    max_bytes: Option<u64>,
}

/// What reading without waiting gave.
#[derive(Debug)]
pub enum Progress<F = OwnedFd> {
    /// All that was wanted.
    Done(ReadOutcome),
    /// It would wait, or is too much for the caller's thread: go on with [`Opened::read`].
    WouldWait(Opened<F>),
}

/// Refuses what is no regular file, and more than the caller can take.
///
/// # Errors
/// `IS_A_DIRECTORY`, `INVALID_PATH`, `TOO_LARGE`.
pub fn opened<F: AsFd>(file: F, options: &ReadOptions) -> Result<Opened<F>> {
    let stat = metadata::of_handle(&file)?;
    regular(stat.kind)?;
    let range = options.range.clone().unwrap_or(0..u64::MAX);
    let end = range.end.min(stat.size);
    let wanted = range.start.min(end)..end;
    if options
        .max_bytes
        .is_some_and(|max| wanted.end - wanted.start > max)
    {
        return Err(too_large(
            wanted.end - wanted.start,
            options.max_bytes.unwrap_or(0),
        ));
    }
    Ok(Opened {
        file,
        stat,
        wanted,
        asked: range,
        max_bytes: options.max_bytes,
    })
}

/// Fails unless it is a regular file.
///
/// # Errors
/// `IS_A_DIRECTORY`, `INVALID_PATH`.
pub fn regular(kind: FileKind) -> Result<()> {
    match kind {
        FileKind::File => Ok(()),
        FileKind::Directory => Err(Errno::ISDIR.into()),
        FileKind::Symlink => Err(Errno::LOOP.into()),
        FileKind::Other => Err(special_file()),
    }
}

/// The refusal of FIFOs, sockets and devices.
#[must_use]
pub fn special_file() -> Error {
    Error::new(
        ErrorCode::InvalidPath,
        "it is a device, socket or FIFO, not a file",
    )
}

fn too_large(size: u64, max: u64) -> Error {
    Error::new(
        ErrorCode::TooLarge,
        format!(
            "it has {size} bytes, the limit of this call is {max}; read a range of it, or process it with a command"
        ),
    )
}

impl<F: AsFd> Opened<F> {
    /// Reads if nothing has to be waited for. `nowait` asks the kernel to see to that (`RWF_NOWAIT`); without it the
    /// file system must be one that never waits.
    ///
    /// # Errors
    /// `IO_ERROR`.
    pub fn read_cached(self, nowait: bool) -> Result<Progress<F>> {
        let length = self.wanted.end - self.wanted.start;
        if length > INLINE_BYTES {
            return Ok(Progress::WouldWait(self));
        }
        let mut bytes = allocate(length)?;
        let flags = if nowait { libc::RWF_NOWAIT } else { 0 };
        match fill(&self.file, &mut bytes, &self.wanted, flags) {
            Ok(()) => Ok(Progress::Done(self.outcome(bytes))),
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                Ok(Progress::WouldWait(self))
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Reads, waiting for the disk.
    ///
    /// # Errors
    /// `IO_ERROR`, `TOO_LARGE` (no memory for it).
    pub fn read(self) -> Result<ReadOutcome> {
        if self.stat.size == 0 {
            return self.read_unsized();
        }
        let mut bytes = allocate(self.wanted.end - self.wanted.start)?;
        fill(&self.file, &mut bytes, &self.wanted, 0)?;
        Ok(self.outcome(bytes))
    }

    /// Files such as those of `/proc` have content and no size.
    fn read_unsized(self) -> Result<ReadOutcome> {
        let mut bytes = Vec::new();
        loop {
            bytes.try_reserve(64 << 10).map_err(|_| no_memory())?;
            let (before, capacity) = (bytes.len() as u64, bytes.capacity() as u64);
            fill(&self.file, &mut bytes, &(before..capacity), 0)?;
            let so_far = bytes.len() as u64;
            let wanted = so_far.min(self.asked.end).saturating_sub(self.asked.start);
            if self.max_bytes.is_some_and(|max| wanted > max) {
                return Err(too_large(wanted, self.max_bytes.unwrap_or(0)));
            }
            // `fill` stops short of the capacity only at the end of the file.
            if bytes.len() < bytes.capacity() || so_far >= self.asked.end {
                // Not all of these files can be read from the middle.
                let end = so_far.min(self.asked.end);
                let start = self.asked.start.min(end);
                bytes.truncate(end as usize);
                bytes.drain(..start as usize);
                return Ok(self.outcome(bytes));
            }
        }
    }

    fn outcome(self, bytes: Vec<u8>) -> ReadOutcome {
        ReadOutcome {
            bytes: Bytes::from(bytes),
            stat: self.stat,
        }
    }
}

fn allocate(length: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let length = usize::try_from(length).map_err(|_| no_memory())?;
    if let Some(kept) = memory::take(length) {
        return Ok(kept);
    }
    bytes.try_reserve_exact(length).map_err(|_| no_memory())?;
    if length >= LARGE_BYTES {
        prefer_huge_pages(&mut bytes);
    }
    Ok(bytes)
}

/// Filling fresh memory costs a fault per page; with huge pages that is one in 512.
fn prefer_huge_pages(bytes: &mut Vec<u8>) {
    let spare = bytes.spare_capacity_mut();
    let before = spare.as_ptr().align_offset(HUGE_PAGE);
    let Some(length) = spare.len().checked_sub(before) else {
        return;
    };
    // SAFETY: the range lies in memory of ours that holds nothing yet, and the advice changes no content.
    let advised = unsafe {
        rustix::mm::madvise(
            spare.as_mut_ptr().add(before).cast(),
            length - length % HUGE_PAGE,
            rustix::mm::Advice::LinuxHugepage,
        )
    };
    // A kernel without huge pages reads a little slower.
    let _ = advised;
}

fn no_memory() -> Error {
    Error::new(
        ErrorCode::TooLarge,
        "there is not enough memory for its content; read a range of it",
    )
}

/// Appends what is wanted, as far as the file has it and the vector has room.
fn fill(
    file: impl AsFd,
    bytes: &mut Vec<u8>,
    wanted: &Range<u64>,
    flags: libc::c_int,
) -> rustix::io::Result<()> {
    let mut offset = wanted.start;
    while offset < wanted.end && bytes.len() < bytes.capacity() {
        let spare = bytes.spare_capacity_mut();
        let left = usize::try_from(wanted.end - offset).unwrap_or(usize::MAX);
        let part = libc::iovec {
            iov_base: spare.as_mut_ptr().cast(),
            iov_len: spare.len().min(left),
        };
        // SAFETY: the one part is spare capacity of the vector, valid for writes of its length, and nothing else
        // uses it during the call.
        let count = unsafe {
            libc::preadv2(
                file.as_fd().as_raw_fd(),
                &raw const part,
                1,
                libc::off_t::try_from(offset).unwrap_or(libc::off_t::MAX),
                flags,
            )
        };
        match usize::try_from(count) {
            Ok(0) => break,
            Ok(count) => {
                // SAFETY: the kernel wrote `count` bytes there.
                unsafe { bytes.set_len(bytes.len() + count) };
                offset += count as u64;
            }
            Err(_) => match Errno::from_io_error(&std::io::Error::last_os_error()) {
                Some(Errno::INTR) => {}
                errno => return Err(errno.unwrap_or(Errno::IO)),
            },
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(content: &[u8]) -> OwnedFd {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, content).unwrap();
        file.into()
    }

    #[test]
    fn a_range_is_clamped_to_the_file() {
        for (range, expected) in [
            (None, "hello"),
            (Some(1..3), "el"),
            (Some(3..99), "lo"),
            (Some(9..99), ""),
            (Some(0..0), ""),
        ] {
            let options = ReadOptions {
                range: range.clone(),
                max_bytes: Some(5),
            };
            let outcome = opened(open(b"hello"), &options).unwrap().read().unwrap();
            assert_eq!(outcome.bytes, expected, "{range:?}");
        }
    }

    #[test]
    fn more_than_the_caller_can_take_is_too_large() {
        let options = ReadOptions {
            range: None,
            max_bytes: Some(4),
        };
        let refused = opened(open(b"hello"), &options).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::TooLarge);
    }

    #[test]
    fn a_file_without_a_size_is_read_to_its_end() {
        let file = std::fs::File::open("/proc/self/status").unwrap();
        let outcome = opened(OwnedFd::from(file), &ReadOptions::default())
            .unwrap()
            .read()
            .unwrap();
        assert!(outcome.bytes.starts_with(b"Name:"));
    }
}
