//! Adding to the end of a file, in place: the one write that readers can see half done.

use std::os::fd::{AsFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags, fsync, ftruncate, openat};
use rustix::io::Errno;

use super::attributes;
use super::halt::Halt;
use super::metadata;
use super::read;
use super::replace::Write;
use super::source::Source;
use super::target::Target;
use crate::backend::{Durability, FileStat};

/// How often it starts again because somebody changed what is under the name.
const MAX_ATTEMPTS: usize = 64;

/// Adds the content to the end of the file, creating it if missing. A file with more than one name is replaced by a
/// longer one, so that its other names keep what they had.
///
/// # Errors
/// See [`crate::backend::Backend::write`].
pub fn append(write: &Write<'_>) -> Result<FileStat, Halt> {
    for _ in 0..MAX_ATTEMPTS {
        let held = write.hold()?;
        let target = &held.target;
        let done = match &held.existing {
            None => write.attempt(target, None)?,
            Some(old) => {
                read::regular(old.kind)?;
                match open(target, OFlags::WRONLY | OFlags::APPEND) {
                    Err(Errno::NOENT | Errno::LOOP) => None,
                    other => add(write, target, &other?)?,
                }
            }
        };
        if let Some(stat) = done {
            return Ok(stat);
        }
    }
    Err(Halt::Failed(crate::error::Error::new(
        crate::error::ErrorCode::Conflict,
        "others keep changing the file; try again",
    )))
}

fn add(write: &Write<'_>, target: &Target, file: &OwnedFd) -> Result<Option<FileStat>, Halt> {
    let before = metadata::of_handle(file)?;
    read::regular(before.kind)?;
    if before.nlink > 1 {
        return replace_longer(write, target, &before);
    }
    if let Err(errno) = write.content.write_to(file.as_fd()) {
        // Half of it is worse than none, as long as nobody else added something after it.
        let _ = ftruncate(file, before.size);
        return Err(errno.into());
    }
    if before.mode & 0o6000 != 0 || write.options.permissions.is_some() {
        attributes::set_mode(file, write.options.permissions.unwrap_or(before.mode))?;
    }
    if write.options.durability == Durability::Disk {
        fsync(file)?;
    }
    Ok(Some(metadata::of_handle(file)?))
}

fn replace_longer(
    write: &Write<'_>,
    target: &Target,
    old: &FileStat,
) -> Result<Option<FileStat>, Halt> {
    if !write.waits() {
        return Err(Halt::Wait);
    }
    let file = open(target, OFlags::RDONLY)?;
    let stat = metadata::of_handle(&file)?;
    read::regular(stat.kind)?;
    let before = Source::File {
        file: file.as_fd(),
        length: stat.size,
    };
    let temporary = write.prepare(target, Some(old), &[before, write.content])?;
    write.exchange(target, temporary, old)
}

fn open(target: &Target, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    openat(&target.directory, &*target.name, flags, Mode::empty())
}
