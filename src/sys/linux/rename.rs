//! A rename that never replaces anything, on every file system: by `RENAME_NOREPLACE` where it is known, else in two
//! steps of which the first takes the new name only where nothing is under it.

use std::os::fd::OwnedFd;

use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, linkat, mkdirat, openat, renameat, renameat_with, unlinkat,
};
use rustix::io::{Errno, Result};

use super::metadata;
use super::target::Target;
use crate::backend::FileKind;

/// Gives what is under `source`, which is of this kind, the name `target`.
///
/// Where the file system refuses the flag (NFS, 9p, some of user space), other processes can see both steps; what is
/// under the new name is kept all the same.
///
/// # Errors
/// `EEXIST` where anything is under the new name, also a link that leads nowhere or the source itself; else those of
/// `rename(2)`.
pub fn to_free_name(source: &Target, target: &Target, kind: FileKind) -> Result<()> {
    let renamed = renameat_with(
        &source.directory,
        &*source.name,
        &target.directory,
        &*target.name,
        RenameFlags::NOREPLACE,
    );
    match renamed {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => in_steps(source, target, kind),
        other => other,
    }
}

/// A file gets its new name as a second one before it loses the first, so that nothing can be under the new name that
/// we would replace. A directory has one name only: it replaces an empty one of ours, which the kernel refuses as
/// soon as something is in it.
fn in_steps(source: &Target, target: &Target, kind: FileKind) -> Result<()> {
    if kind == FileKind::Directory {
        mkdirat(&target.directory, &*target.name, Mode::from_raw_mode(0o700))?;
        return over(source, target).inspect_err(|_| {
            // Removes nothing but an empty directory.
            let _ = unlinkat(&target.directory, &*target.name, AtFlags::REMOVEDIR);
        });
    }
    let linked = linkat(
        &source.directory,
        &*source.name,
        &target.directory,
        &*target.name,
        AtFlags::empty(),
    );
    match linked {
        Ok(()) => unlinkat(&source.directory, &*source.name, AtFlags::empty()).inspect_err(|_| {
            let _ = unlinkat(&target.directory, &*target.name, AtFlags::empty());
        }),
        // No hard links here, or not to a file of somebody else's.
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => {
            let placeholder = reserve(target)?;
            over(source, target).inspect_err(|_| withdraw(target, &placeholder))
        }
        Err(errno) => Err(errno),
    }
}

/// Renames over what we have just put under the new name.
fn over(source: &Target, target: &Target) -> Result<()> {
    renameat(
        &source.directory,
        &*source.name,
        &target.directory,
        &*target.name,
    )
    .map_err(|errno| match errno {
        // It is not ours any more.
        Errno::NOTEMPTY | Errno::NOTDIR | Errno::ISDIR => Errno::EXIST,
        errno => errno,
    })
}

fn reserve(target: &Target) -> Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(
        &target.directory,
        &*target.name,
        flags,
        Mode::from_raw_mode(0o600),
    )
}

/// Removes an empty file that is still the one that we made.
fn withdraw(target: &Target, placeholder: &OwnedFd) {
    let (Ok(Some(found)), Ok(ours)) = (target.existing(), metadata::of_handle(placeholder)) else {
        return;
    };
    if (found.dev, found.ino, found.size) == (ours.dev, ours.ino, 0) {
        let _ = unlinkat(&target.directory, &*target.name, AtFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    type Step = fn(&Target, &Target, FileKind) -> Result<()>;

    /// As the file system answers that knows neither the flag nor hard links.
    fn without_links(source: &Target, target: &Target, kind: FileKind) -> Result<()> {
        if kind == FileKind::Directory {
            return in_steps(source, target, kind);
        }
        let placeholder = reserve(target)?;
        over(source, target).inspect_err(|_| withdraw(target, &placeholder))
    }

    fn everywhere(test: impl Fn(&Path, &dyn Fn(&str, &str) -> Result<()>)) {
        for step in [to_free_name as Step, in_steps, without_links] {
            let directory = tempfile::tempdir().unwrap();
            let name = |name: &str| {
                let handle = fs::File::open(directory.path()).unwrap();
                Target::new(handle.into(), name.as_bytes().to_vec())
            };
            test(directory.path(), &|from, to| {
                let source = name(from);
                let kind = source.existing()?.map_or(FileKind::File, |stat| stat.kind);
                step(&source, &name(to), kind)
            });
        }
    }

    #[test]
    fn files_links_and_directories_take_a_free_name() {
        everywhere(|at, rename| {
            fs::write(at.join("file"), "1").unwrap();
            fs::create_dir_all(at.join("d/e")).unwrap();
            symlink("nowhere", at.join("link")).unwrap();
            for (from, to) in [("file", "file2"), ("d", "d2"), ("link", "link2")] {
                rename(from, to).unwrap();
                assert!(at.join(from).symlink_metadata().is_err(), "{from}");
            }
            assert_eq!(fs::read(at.join("file2")).unwrap(), b"1");
            assert!(at.join("d2/e").is_dir());
            assert_eq!(at.join("link2").read_link().unwrap(), Path::new("nowhere"));
        });
    }

    #[test]
    fn what_is_under_the_new_name_stays_and_so_does_the_source() {
        everywhere(|at, rename| {
            fs::write(at.join("file"), "1").unwrap();
            fs::write(at.join("other"), "2").unwrap();
            fs::create_dir_all(at.join("d/e")).unwrap();
            fs::create_dir(at.join("empty")).unwrap();
            symlink("nowhere", at.join("link")).unwrap();
            let targets = ["other", "empty", "link", "d"];
            for from in ["file", "d"] {
                for to in targets.iter().copied().chain([from]) {
                    assert_eq!(rename(from, to), Err(Errno::EXIST), "{from} {to}");
                }
            }
            assert_eq!(fs::read(at.join("file")).unwrap(), b"1");
            assert_eq!(fs::read(at.join("other")).unwrap(), b"2");
            assert_eq!(at.join("empty").read_dir().unwrap().count(), 0);
            assert!(at.join("d/e").is_dir());
            assert!(at.join("link").symlink_metadata().unwrap().is_symlink());
        });
    }

    #[test]
    fn a_source_that_is_gone_leaves_nothing_under_the_new_name() {
        everywhere(|at, rename| {
            assert_eq!(rename("missing", "new"), Err(Errno::NOENT));
            assert_eq!(at.read_dir().unwrap().count(), 0);
        });
    }
}
