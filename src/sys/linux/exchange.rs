//! How a temporary gets the file's name: by changing places with what is there, or under a name that is free; and for
//! file systems that know neither, the next best that is as atomic.

use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, fsync, linkat, openat, renameat, renameat_with,
};
use rustix::io::Errno;

use super::halt::Halt;
use super::metadata;
use super::replace::{Write, conflict};
use super::target::Target;
use super::temporary::Temporary;
use crate::backend::{Durability, FileKind, FileStat, WriteMode};
use crate::error::Error;

impl Write<'_> {
    /// Puts the temporary in the place of an existing file.
    pub(super) fn exchange(
        &self,
        target: &Target,
        temporary: Temporary<'_>,
        old: &FileStat,
    ) -> Result<Option<FileStat>, Halt> {
        match swap(target, temporary.name()) {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return self.rename_over(target, temporary).map(Some);
            }
            Err(errno) => return Err(errno.into()),
        }
        let now = target.existing()?;
        let displaced = metadata::of_entry(&target.directory, temporary.name());
        let verdict = self.judge(&temporary, old, now.as_ref(), displaced.as_ref().ok());
        if let Some(refusal) = verdict {
            // Back as it was; the temporary is ours again and is removed when dropped.
            swap(target, temporary.name())?;
            return match refusal {
                Refusal::Again => Ok(None),
                Refusal::Error(error) => Err(error.into()),
            };
        }
        let stat = match now {
            Some(now) if temporary.is(&now) => now,
            _ => metadata::of_handle(temporary.file())?,
        };
        temporary.discard_displaced()?;
        self.sync_directory(target)?;
        Ok(Some(stat))
    }

    /// Whether the exchange did what was meant.
    ///
    /// A regular file other than the expected one was written by somebody else just before us, and one other than
    /// ours under the name just after us: a plain write stands in both cases, as it would with `rename`. Taking it
    /// back then would lose what the other writer was told is written.
    fn judge(
        &self,
        ours: &Temporary<'_>,
        old: &FileStat,
        now: Option<&FileStat>,
        displaced: Option<&FileStat>,
    ) -> Option<Refusal> {
        let same_state = |found: &FileStat| {
            (found.dev, found.ino, found.size, found.mtime_ns)
                == (old.dev, old.ino, old.size, old.mtime_ns)
        };
        match displaced.map(|found| (found.kind, same_state(found))) {
            Some((FileKind::File, true)) => {}
            Some((FileKind::File, false)) => {
                if matches!(self.options.mode, WriteMode::IfMatch(_)) {
                    return Some(Refusal::Error(conflict(
                        "the file changed while it was written; read it again",
                    )));
                }
            }
            Some((FileKind::Directory, _)) => {
                return Some(Refusal::Error(Errno::ISDIR.into()));
            }
            // A link has to be followed first. Where nothing is, the swap has nothing to take back.
            Some(_) => return Some(Refusal::Again),
            None => {}
        }
        match now {
            Some(now) if !ours.is(now) && now.kind != FileKind::File => Some(Refusal::Error(
                conflict("something else was put in the place of the file while it was written"),
            )),
            _ => None,
        }
    }

    /// Gives the temporary a name under which nothing is.
    pub(super) fn take_name(
        &self,
        target: &Target,
        temporary: Temporary<'_>,
    ) -> Result<Option<FileStat>, Halt> {
        let (from, to) = (temporary.name(), &*target.name);
        let here = &target.directory;
        match renameat_with(here, from, here, to, RenameFlags::NOREPLACE) {
            Ok(()) => {
                let stat = metadata::of_handle(temporary.file())?;
                temporary.renamed();
                self.sync_directory(target)?;
                Ok(Some(stat))
            }
            Err(Errno::EXIST) if self.options.mode == WriteMode::CreateNew => {
                Err(Errno::EXIST.into())
            }
            Err(Errno::EXIST) => Ok(None),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                self.link_name(target, temporary)
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// For file systems without `RENAME_NOREPLACE`: a hard link fails likewise where something is.
    fn link_name(
        &self,
        target: &Target,
        temporary: Temporary<'_>,
    ) -> Result<Option<FileStat>, Halt> {
        let (from, to) = (temporary.name(), &*target.name);
        let here = &target.directory;
        match linkat(here, from, here, to, AtFlags::empty()) {
            Ok(()) => {
                temporary.unlink_name()?;
                let stat = metadata::of_handle(temporary.file())?;
                temporary.renamed();
                self.sync_directory(target)?;
                Ok(Some(stat))
            }
            Err(Errno::EXIST) if self.options.mode == WriteMode::CreateNew => {
                Err(Errno::EXIST.into())
            }
            Err(Errno::EXIST) => Ok(None),
            // No hard links either (FAT): reserve the name, then rename over the reservation.
            Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
                match reserve(target) {
                    Ok(()) => self.rename_over(target, temporary).map(Some),
                    Err(Errno::EXIST) if self.options.mode != WriteMode::CreateNew => Ok(None),
                    Err(errno) => Err(errno.into()),
                }
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// For file systems without `RENAME_EXCHANGE`: as atomic, but blind to what it displaces (never a directory).
    fn rename_over(&self, target: &Target, temporary: Temporary<'_>) -> Result<FileStat, Halt> {
        let here = &target.directory;
        renameat(here, temporary.name(), here, &*target.name)?;
        let stat = metadata::of_handle(temporary.file())?;
        temporary.renamed();
        self.sync_directory(target)?;
        Ok(stat)
    }

    pub(super) fn sync_directory(&self, target: &Target) -> Result<(), Halt> {
        if self.options.durability == Durability::Disk {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            fsync(openat(&target.directory, ".", flags, Mode::empty())?)?;
        }
        Ok(())
    }
}

enum Refusal {
    Again,
    Error(Error),
}

fn swap(target: &Target, temporary: &[u8]) -> rustix::io::Result<()> {
    let here = &target.directory;
    renameat_with(here, temporary, here, &*target.name, RenameFlags::EXCHANGE)
}

fn reserve(target: &Target) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(
        &target.directory,
        &*target.name,
        flags,
        Mode::from_raw_mode(0o600),
    )
    .map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd as _;

    use super::*;
    use crate::backend::WriteOptions;
    use crate::error::ErrorCode;
    use crate::path::RelPath;
    use crate::sys::linux::beneath::{Boundary, How, Resolver};
    use crate::sys::linux::source::Source;
    use crate::sys::linux::target::Owners;

    /// A write of "new" into a directory, as a file system answers that knows neither exchange nor `NOREPLACE`.
    fn with_write(test: impl Fn(&std::path::Path, &Write<'_>, &Target)) {
        let directory = tempfile::tempdir().unwrap();
        let handle = std::fs::File::open(directory.path()).unwrap();
        let (root_paths, path) = ([], RelPath::parse(b"file", b"/").unwrap());
        let boundary = Boundary {
            root: handle.as_fd(),
            root_paths: &root_paths,
            scope: &RelPath::root(),
            resolver: Resolver::Kernel,
            watch: None,
        };
        let write = Write {
            boundary: &boundary,
            path: &path,
            content: Source::Bytes(b"new"),
            options: &WriteOptions::default(),
            owners: Owners::default(),
            journal: None,
            how: How::Links,
        };
        let target = write.hold().unwrap().target;
        test(directory.path(), &write, &target);
        let names = directory.path().read_dir().unwrap();
        assert!(names.count() <= 1, "a temporary was left");
    }

    #[test]
    fn without_noreplace_a_new_file_gets_its_name_by_a_link() {
        with_write(|directory, write, target| {
            let temporary = write.prepare(target, None, &[write.content]).unwrap();
            assert!(write.link_name(target, temporary).unwrap().is_some());
            assert_eq!(std::fs::read(directory.join("file")).unwrap(), b"new");
            // Something is there by now: start again.
            let temporary = write
                .prepare(target, None, &[Source::Bytes(b"newer")])
                .unwrap();
            assert!(write.link_name(target, temporary).unwrap().is_none());
            assert_eq!(std::fs::read(directory.join("file")).unwrap(), b"new");
        });
    }

    #[test]
    fn without_exchange_a_file_is_renamed_over_and_a_directory_is_not() {
        with_write(|directory, write, target| {
            std::fs::write(directory.join("file"), "old").unwrap();
            let temporary = write.prepare(target, None, &[write.content]).unwrap();
            write.rename_over(target, temporary).unwrap();
            assert_eq!(std::fs::read(directory.join("file")).unwrap(), b"new");
            std::fs::remove_file(directory.join("file")).unwrap();
            std::fs::create_dir(directory.join("file")).unwrap();
            let temporary = write.prepare(target, None, &[write.content]).unwrap();
            let refused = write.rename_over(target, temporary).unwrap_err();
            assert!(matches!(refused, Halt::Failed(e) if e.code() == ErrorCode::IsADirectory));
        });
    }

    #[test]
    fn a_directory_that_took_the_files_place_is_put_back() {
        with_write(|directory, write, target| {
            let path = directory.join("file");
            std::fs::write(&path, "old").unwrap();
            let old = target.existing().unwrap().unwrap();
            let temporary = write.prepare(target, Some(&old), &[write.content]).unwrap();
            std::fs::remove_file(&path).unwrap();
            std::fs::create_dir(&path).unwrap();
            let refused = write.exchange(target, temporary, &old).unwrap_err();
            assert!(matches!(refused, Halt::Failed(e) if e.code() == ErrorCode::IsADirectory));
            assert!(path.is_dir());
        });
    }

    #[test]
    fn a_link_that_took_the_temporarys_place_does_not_get_the_files_name() {
        with_write(|directory, write, target| {
            let path = directory.join("file");
            std::fs::write(&path, "old").unwrap();
            let old = target.existing().unwrap().unwrap();
            let temporary = write.prepare(target, Some(&old), &[write.content]).unwrap();
            let swapped = directory.join(std::str::from_utf8(temporary.name()).unwrap());
            std::fs::remove_file(&swapped).unwrap();
            std::os::unix::fs::symlink("/etc/hostname", &swapped).unwrap();
            let refused = write.exchange(target, temporary, &old).unwrap_err();
            assert!(matches!(refused, Halt::Failed(e) if e.code() == ErrorCode::Conflict));
            assert_eq!(std::fs::read(&path).unwrap(), b"old");
            // It is not ours, so it is not ours to remove.
            std::fs::remove_file(swapped).unwrap();
        });
    }
}
