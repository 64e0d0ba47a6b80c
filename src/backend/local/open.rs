//! Files that stay open, and attributes. Small reads of what is cached are answered on the caller's thread.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustix::fs::fsync;
use rustix::io::{Errno, pwrite};

use super::calls;
use super::place::{Effect, Place};
use super::quota::{self, BLOCK, Change};
use crate::backend::{Attributes, FileKind, FileStat, OpenFile, OpenOptions, ReadOptions};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::sys::linux::beneath::{Boundary, How};
use crate::sys::linux::filesystem::Strategy;
use crate::sys::linux::link;
use crate::sys::linux::metadata;
use crate::sys::linux::open::{self, Opening};
use crate::sys::linux::read::{self, Progress};
use crate::sys::linux::replace::INLINE_BYTES;
use crate::sys::linux::set;

pub(super) fn open(
    place: &Arc<Place>,
    path: &RelPath,
    options: OpenOptions,
) -> Call<Arc<dyn OpenFile>> {
    let file = opened(place, path, options);
    file.map(|file| Arc::new(file) as Arc<dyn OpenFile>)
}

fn opened(place: &Arc<Place>, path: &RelPath, options: OpenOptions) -> Call<LocalFile> {
    if let Err(error) = options.check() {
        return Call::err(error);
    }
    let (effect, inline) = match options.changes() {
        // It may be emptied, which takes time.
        true => (Effect::Creates, None),
        false => (Effect::Reads, place.inline_lookup()),
    };
    let owners = place.owners();
    let journal = options.truncate.then(|| place.journal()).flatten();
    let creates = options.create || options.create_new;
    let (here, at) = (Arc::clone(place), path.clone());
    let act = move || {
        let (file_place, file_path) = (Arc::clone(&here), at.clone());
        let file = here.call(effect, inline, move |boundary, how| {
            open::open(&Opening {
                boundary,
                path: &at,
                options,
                owners,
                journal: journal.as_deref(),
                how,
            })
        });
        file.map(move |file| {
            if options.truncate {
                let quotas = file_place.quotas().iter();
                quotas.for_each(|quota| quota.may_have_shrunk());
            }
            LocalFile {
                open: Arc::new(Open {
                    place: file_place,
                    path: file_path,
                    file,
                    options,
                    appending: Mutex::new(()),
                }),
            }
        })
    };
    match creates {
        true => quota::within(place, path, quota::EMPTY_FILE, act),
        false => act(),
    }
}

/// An open file of this machine.
#[derive(Debug)]
struct LocalFile {
    open: Arc<Open>,
}

#[derive(Debug)]
struct Open {
    place: Arc<Place>,
    /// As it was called when it was opened.
    path: RelPath,
    file: OwnedFd,
    options: OpenOptions,
    /// Held by who adds to the end, so that what was written in parts stays together.
    appending: Mutex<()>,
}

impl LocalFile {
    /// Does something to the file on the pool.
    fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Open) -> Result<T> + Send + 'static,
    ) -> Call<T> {
        let open = Arc::clone(&self.open);
        self.open.place.blocking(move || work(&open))
    }
}

impl OpenFile for LocalFile {
    fn stat(&self) -> Call<FileStat> {
        if self.open.place.strategy() == Strategy::Pool {
            return self.blocking(|open| Ok(metadata::of_handle(&open.file)?));
        }
        Call::Ready(metadata::of_handle(&self.open.file).map_err(Error::from))
    }

    fn read_at(&self, offset: u64, length: usize) -> Call<Bytes> {
        let open = &self.open;
        if let Err(error) = open.options.check_read() {
            return Call::err(error);
        }
        let options = ReadOptions {
            range: Some(offset..offset.saturating_add(length as u64)),
            max_bytes: None,
        };
        let begin = move |open: &Arc<Open>| read::opened(OpenHandle(Arc::clone(open)), &options);
        let strategy = open.place.strategy();
        if strategy == Strategy::Pool {
            let open = Arc::clone(open);
            return self
                .blocking(move |_| begin(&open)?.read())
                .map(|outcome| outcome.bytes);
        }
        let progress = begin(open).and_then(|opened| match strategy {
            Strategy::Overlay => Ok(Progress::WouldWait(opened)),
            _ => opened.read_cached(strategy != Strategy::Memory),
        });
        match progress {
            Ok(Progress::Done(outcome)) => Call::ok(outcome.bytes),
            Ok(Progress::WouldWait(opened)) => self
                .blocking(move |_| opened.read())
                .map(|outcome| outcome.bytes),
            Err(error) => Call::err(error),
        }
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> Call<()> {
        let open = &self.open;
        if let Err(error) = open.options.check_write() {
            return Call::err(error);
        }
        let inline = open.place.inline_change().is_some()
            && open.place.quotas().is_empty()
            && !open.options.append
            && bytes.len() as u64 <= INLINE_BYTES;
        match inline {
            true => Call::Ready(open.write(offset, &bytes)),
            false => self.blocking(move |open| open.write(offset, &bytes)),
        }
    }

    fn set_attributes(&self, attributes: Attributes) -> Call<()> {
        match self.open.options.check_write() {
            Ok(()) => self.blocking(move |open| open.set(attributes)),
            Err(error) => Call::err(error),
        }
    }

    fn sync(&self) -> Call<()> {
        self.blocking(|open| Ok(fsync(&open.file)?))
    }
}

impl Open {
    fn write(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        open::before_change(&self.file)?;
        let _alone = match self.options.append {
            true => Some(
                self.appending
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner),
            ),
            false => None,
        };
        let end = offset.saturating_add(bytes.len() as u64);
        if !self.options.append && i64::try_from(end).is_err() {
            return Err(Errno::FBIG.into());
        }
        let _admitted = self.admit(|stat| {
            let from = match self.options.append {
                true => stat.size,
                false => offset,
            };
            growth(stat, from, bytes.len() as u64)
        })?;
        let mut done = 0;
        while done < bytes.len() {
            // Where every write goes to the end, the kernel does not look at the offset.
            match pwrite(&self.file, &bytes[done..], offset + done as u64) {
                Ok(0) => return Err(Errno::IO.into()),
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn set(&self, attributes: Attributes) -> Result<()> {
        if let Some(size) = attributes.size {
            // As if what it is extended by were written: it soon may be, and nobody is asked then.
            let admitted = self.admit(|stat| match size.saturating_sub(stat.size) {
                0 => 0,
                more => more.saturating_add(BLOCK),
            })?;
            open::resize(&self.file, size)?;
            drop(admitted);
        }
        set::of_file(&self.file, attributes)
    }

    /// Asks the bounds of the place about so many bytes more.
    fn admit(&self, growth: impl FnOnce(&FileStat) -> u64) -> Result<Option<quota::Admission>> {
        if self.place.quotas().is_empty() {
            return Ok(None);
        }
        let change = Change {
            growth: growth(&metadata::of_handle(&self.file)?),
            replaces: false,
        };
        quota::admission(&self.place, &self.path, change).map(Some)
    }
}

/// What a write may add to the disk: nothing where all that it covers is allocated already.
fn growth(stat: &FileStat, offset: u64, length: u64) -> u64 {
    let end = offset.saturating_add(length);
    let has_holes = stat.blocks.saturating_mul(512) < stat.size;
    let new = match has_holes {
        true => length,
        false => end.saturating_sub(stat.size).min(length),
    };
    match new {
        0 => 0,
        new => new.saturating_add(2 * BLOCK),
    }
}

/// Reads from a file that stays open.
#[derive(Debug)]
struct OpenHandle(Arc<Open>);

impl std::os::fd::AsFd for OpenHandle {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.file.as_fd()
    }
}

pub(super) fn set_attributes(
    place: &Arc<Place>,
    path: &RelPath,
    follow: bool,
    attributes: Attributes,
) -> Call<()> {
    if attributes.size.is_some() {
        return resize(place, path, follow, attributes);
    }
    let path = path.clone();
    let work = move |boundary: &Boundary<'_>, how: How| {
        set::by_path(boundary, &path, follow, attributes, how)
    };
    place.call(Effect::Reads, place.inline_change(), work)
}

/// What changes the size of a file opens it, by all the rules of that.
fn resize(place: &Arc<Place>, path: &RelPath, follow: bool, attributes: Attributes) -> Call<()> {
    let (here, at) = (Arc::clone(place), path.clone());
    let options = OpenOptions {
        write: true,
        ..OpenOptions::default()
    };
    calls::stat(place, path, follow).and_then(move |stat| {
        if stat.kind == FileKind::Symlink {
            let message = "a link has no size that could be changed";
            return Call::err(Error::new(ErrorCode::InvalidPath, message));
        }
        opened(&here, &at, options).and_then(move |file| file.set_attributes(attributes))
    })
}

pub(super) fn read_link(place: &Arc<Place>, path: &RelPath) -> Call<Vec<u8>> {
    let path = path.clone();
    place.call(
        Effect::Reads,
        place.inline_lookup(),
        move |boundary, how| link::read(boundary, &path, how),
    )
}

pub(super) fn symlink(place: &Arc<Place>, path: &RelPath, text: &[u8]) -> Call<()> {
    let (here, at, text) = (Arc::clone(place), path.clone(), text.to_vec());
    // A long text takes a block.
    quota::within(place, path, quota::DIRECTORY, move || {
        let owners = here.owners();
        here.call(
            Effect::Creates,
            here.inline_change(),
            move |boundary, how| link::make(boundary, &at, &text, owners, how),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_not_allocated_yet_counts_as_growth() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, vec![1; 8192]).unwrap();
        let mut stat = metadata::of_handle(std::fs::File::open(&path).unwrap()).unwrap();
        (stat.size, stat.blocks) = (8192, 16);
        let more = 2 * BLOCK;
        assert_eq!(growth(&stat, 0, 8192), 0);
        assert_eq!(growth(&stat, 8000, 200), 8 + more);
        assert_eq!(growth(&stat, 8192, 100), 100 + more);
        assert_eq!(growth(&stat, 1 << 40, 100), 100 + more);
        // It has a hole.
        stat.blocks = 8;
        assert_eq!(growth(&stat, 0, 100), 100 + more);
        assert_eq!(growth(&stat, u64::MAX, u64::MAX), u64::MAX);
    }
}
