//! The file operations, one function each: what may happen on the caller's thread, and the system calls.

use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, renameat, utimensat};
use rustix::io::Errno;

use super::guarding;
use super::place::{Effect, Place};
use crate::access::Access;
use crate::backend::{
    Content, DirEntry, FileKind, FileStat, ListOptions, ReadOptions, ReadOutcome, RemoveOptions,
    RenameOptions, WriteMode, WriteOptions, WriteOutcome,
};
use crate::call::Call;
use crate::error::{Error, ErrorCode};
use crate::path::RelPath;
use crate::sys::linux::append;
use crate::sys::linux::beneath::{self, Boundary, How};
use crate::sys::linux::directory;
use crate::sys::linux::filesystem::Strategy;
use crate::sys::linux::halt::Halt;
use crate::sys::linux::metadata;
use crate::sys::linux::read::{self, Progress};
use crate::sys::linux::remove;
use crate::sys::linux::rename::to_free_name;
use crate::sys::linux::replace::{self, Write};
use crate::sys::linux::source::Source;
use crate::sys::linux::target;

/// The names of more entries than this are not read on the caller's thread.
const INLINE_NAMES: usize = 1024;
/// More entries than this are not examined there: above it several threads are faster, and the caller is free.
const INLINE_STATS: usize = 256;
/// A larger file is not removed on the caller's thread: freeing it takes time.
const INLINE_FREED_BYTES: u64 = 1 << 20;

pub(super) fn read(place: &Arc<Place>, path: &RelPath, options: ReadOptions) -> Call<ReadOutcome> {
    let strategy = place.strategy();
    if let Some(how) = place.inline_lookup() {
        let opened = place.now(Effect::Reads, |boundary| {
            let file = open_file(boundary, path, how)?;
            Ok(read::opened(file, &options)?)
        });
        let progress = match opened {
            Ok(opened) if strategy == Strategy::Overlay => Ok(Progress::WouldWait(opened)),
            Ok(opened) => opened.read_cached(strategy != Strategy::Memory),
            Err(Halt::Failed(error)) => Err(error),
            Err(Halt::Wait) => return read_waiting(place, path, options),
        };
        return match progress {
            Ok(Progress::Done(outcome)) => Call::ok(outcome),
            Ok(Progress::WouldWait(opened)) => place.blocking(move || opened.read()),
            Err(error) => Call::err(error),
        };
    }
    read_waiting(place, path, options)
}

fn read_waiting(place: &Arc<Place>, path: &RelPath, options: ReadOptions) -> Call<ReadOutcome> {
    let path = path.clone();
    place.call(Effect::Reads, None, move |boundary, how| {
        let file = open_file(boundary, &path, how)?;
        Ok(read::opened(file, &options)?.read()?)
    })
}

fn open_file(
    boundary: &Boundary<'_>,
    path: &RelPath,
    how: How,
) -> rustix::io::Result<std::os::fd::OwnedFd> {
    boundary.open_judged(path, OFlags::RDONLY, how, |_| Ok(Access::Read))
}

/// Content that a write takes, as often as it has to try.
pub(super) trait Supply: Send + Sync + 'static {
    /// All of it.
    fn source(&self) -> Source<'_>;
}

impl Supply for Content {
    fn source(&self) -> Source<'_> {
        Source::Bytes(self.as_bytes())
    }
}

pub(super) fn write(
    place: &Arc<Place>,
    path: &RelPath,
    content: impl Supply,
    options: WriteOptions,
) -> Call<WriteOutcome> {
    let small = content.source().length() <= replace::INLINE_BYTES;
    let inline = place.inline_change().filter(|_| small);
    let (path, owners) = (path.clone(), place.owners());
    let journal = place.journal();
    place.call(Effect::Creates, inline, move |boundary, how| {
        let write = Write {
            boundary,
            path: &path,
            content: content.source(),
            options: &options,
            owners,
            journal: journal.as_deref(),
            how,
        };
        let stat = match options.mode {
            WriteMode::Append => append::append(&write)?,
            _ => replace::replace(&write)?,
        };
        Ok(WriteOutcome { stat })
    })
}

pub(super) fn stat(place: &Arc<Place>, path: &RelPath, follow: bool) -> Call<FileStat> {
    let path = path.clone();
    let flags = if follow {
        OFlags::PATH
    } else {
        OFlags::PATH | OFlags::NOFOLLOW
    };
    place.call(
        Effect::Reads,
        place.inline_lookup(),
        move |boundary, how| {
            let file = boundary.open_judged(&path, flags, how, guarding::looking)?;
            let stat = metadata::of_handle(&file)?;
            if stat.nlink == 0 && path.is_root() {
                // The directory behind the root's handle was removed.
                return Err(Errno::NOENT.into());
            }
            Ok(stat)
        },
    )
}

pub(super) fn list(
    place: &Arc<Place>,
    path: &RelPath,
    options: ListOptions,
) -> Call<Vec<DirEntry>> {
    let path = path.clone();
    let state_dir = place.state_dir();
    place.call(
        Effect::Reads,
        place.inline_change(),
        move |boundary, how| {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY;
            let opened = boundary.open_judged(&path, flags, how, |_| Ok(Access::List))?;
            let inline = how == How::SameFilesystem;
            let mut names = if inline {
                let limit = if options.with_stat {
                    INLINE_STATS
                } else {
                    INLINE_NAMES
                };
                directory::names_of_few(&opened, limit)?.ok_or(Halt::Wait)?
            } else {
                directory::names(&opened)?
            };
            if let Some(state_dir) = &state_dir {
                directory::hide_temporaries(&opened, &mut names, state_dir, !inline)?;
            }
            guarding::leave_out_hidden(boundary, &opened, &mut names)?;
            Ok(match options.with_stat {
                true => directory::with_stats(opened, names)?,
                false => directory::without_stats(names),
            })
        },
    )
}

pub(super) fn create_dir(place: &Arc<Place>, path: &RelPath, recursive: bool) -> Call<()> {
    let (path, owners) = (path.clone(), place.owners());
    place.call(
        Effect::Creates,
        place.inline_change(),
        move |boundary, how| {
            if recursive {
                match target::create_directories(boundary, &path, owners, how) {
                    Err(Errno::NOTDIR) if is_there(boundary, &path, how) => {
                        return Err(Errno::EXIST.into());
                    }
                    created => boundary.check(created?, Access::Write)?,
                }
            } else {
                target::create_directory(boundary, &path, owners, how)?;
            }
            Ok(())
        },
    )
}

/// Whether something is under a path, whatever it is.
fn is_there(boundary: &Boundary<'_>, path: &RelPath, how: How) -> bool {
    beneath::open(boundary, path, OFlags::PATH, Mode::empty(), how).is_ok()
}

pub(super) fn remove(place: &Arc<Place>, path: &RelPath, options: RemoveOptions) -> Call<()> {
    let path = path.clone();
    let inline = place.inline_change().filter(|_| !options.recursive);
    let call = place.call(Effect::Reads, inline, move |boundary, how| {
        let target = target::named(boundary, &path, how).map_err(root_is_fixed)?;
        if how == How::SameFilesystem
            && target
                .existing()?
                .is_some_and(|stat| stat.size > INLINE_FREED_BYTES)
        {
            return Err(Halt::Wait);
        }
        guarding::check_removal(boundary, &target, options, how)?;
        if options.recursive {
            remove::tree(&target.directory, &target.name, options.only)?;
        } else {
            remove::one_of(&target.directory, &target.name, options.only)?;
        }
        Ok(())
    });
    call.then(move |result| match result {
        Err(error) if options.force && error.code() == ErrorCode::NotFound => Ok(()),
        other => other,
    })
}

pub(super) fn rename(
    place: &Arc<Place>,
    from: &RelPath,
    to: &RelPath,
    options: RenameOptions,
) -> Call<()> {
    let (from, to, owners) = (from.clone(), to.clone(), place.owners());
    place.call(
        Effect::Reads,
        place.inline_change(),
        move |boundary, how| {
            let source = target::named(boundary, &from, how).map_err(root_is_fixed)?;
            // Nothing is created for a source that is not there.
            let found = source.existing()?.ok_or(Errno::NOENT)?;
            guarding::check_source(boundary, &source)?;
            let target = if options.existing_parent {
                target::named(boundary, &to, how)
            } else {
                guarding::before_parents(boundary, &source, found.kind, &to, how)?;
                target::named_creating(boundary, &to, owners, how)
            };
            let target = target.map_err(|errno| of_target(root_is_fixed(errno), &to))?;
            if how == How::SameFilesystem
                && !options.keep_existing
                && target
                    .existing()?
                    .is_some_and(|stat| stat.size > INLINE_FREED_BYTES)
            {
                return Err(Halt::Wait);
            }
            let _locks = target::lock_both(&source, &target, how)?;
            guarding::check_rename(boundary, &source, &target, found.kind, how)?;
            if options.keep_existing {
                return to_free_name(&source, &target, found.kind).map_err(|errno| match errno {
                    Errno::EXIST => of_target(errno.into(), &to),
                    errno => onto(errno, found.kind),
                });
            }
            renameat(
                &source.directory,
                &*source.name,
                &target.directory,
                &*target.name,
            )
            .map_err(|errno| onto(errno, found.kind))
        },
    )
}

/// What kept a rename from taking its new name; the source is what the caller of the error sees otherwise.
fn onto(errno: Errno, source: FileKind) -> Halt {
    let (code, message) = match errno {
        Errno::XDEV => (
            ErrorCode::IoError,
            "source and target are on different file systems; copy and remove instead",
        ),
        Errno::INVAL if source == FileKind::Directory => (
            ErrorCode::InvalidPath,
            "a directory cannot be moved into itself",
        ),
        Errno::ISDIR => (
            ErrorCode::IsADirectory,
            "the target is a directory, and a file cannot replace it",
        ),
        Errno::NOTDIR => (
            ErrorCode::NotADirectory,
            "the target is a file, and a directory cannot replace it",
        ),
        Errno::NOTEMPTY | Errno::EXIST => (
            ErrorCode::NotEmpty,
            "the target is a directory that is not empty; remove it first",
        ),
        errno => return errno.into(),
    };
    Error::new(code, message).into()
}

/// The failure to reach a rename's target names the target.
fn of_target(halt: Halt, to: &RelPath) -> Halt {
    match halt {
        Halt::Failed(error) => Halt::Failed(error.at(to.to_string_lossy())),
        Halt::Wait => Halt::Wait,
    }
}

pub(super) fn touch(place: &Arc<Place>, path: &RelPath) -> Call<()> {
    let (path, owners) = (path.clone(), place.owners());
    place.call(
        Effect::Creates,
        place.inline_change(),
        move |boundary, how| {
            let target = target::for_touch(boundary, &path, owners, how)?;
            let Some(target) = target else {
                return Ok(());
            };
            let now = Timespec {
                tv_sec: 0,
                tv_nsec: UTIME_NOW,
            };
            let times = Timestamps {
                last_access: now,
                last_modification: now,
            };
            utimensat(
                &target.directory,
                &*target.name,
                &times,
                AtFlags::SYMLINK_NOFOLLOW,
            )?;
            Ok(())
        },
    )
}

fn root_is_fixed(errno: Errno) -> Halt {
    match errno {
        Errno::BUSY => Halt::Failed(Error::new(
            ErrorCode::InvalidPath,
            "the workspace's root cannot be removed or renamed",
        )),
        other => other.into(),
    }
}
