//! Mode, owner, ACL and extended attributes of a file that takes the place of another.
//!
//! Almost every file has none but mode and owner, and what replaces it is created with these at once: one question
//! about the old file and one about the directory, and nothing has to be set.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{
    Gid, Mode, Uid, XattrFlags, fchmod, fchown, fremovexattr, fsetxattr, lgetxattr, llistxattr,
};
use rustix::io::{Errno, Result};

use super::target::Target;
use crate::backend::FileStat;

/// The permission bits that files get; set-user-ID, set-group-ID and sticky are dropped.
pub(super) const PERMISSIONS: u32 = 0o777;
const ALL_MODE_BITS: u32 = 0o7777;
const SET_GROUP_ID: u32 = 0o2000;
/// For us alone, as long as who may read it is not settled.
const PRIVATE: u32 = 0o600;
/// Most that the kernel gives as a list of names, and as one value.
const XATTR_MAX: usize = 64 << 10;
const ACCESS_ACL: &[u8] = b"system.posix_acl_access";
const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";
/// Since Linux 6.13, the same number on every architecture of ours.
const SYS_LISTXATTRAT: libc::c_long = 465;

/// What a new file takes over from the one that it replaces; found out before it is created.
#[derive(Debug)]
pub(super) struct TakesOver<'a> {
    target: &'a Target,
    old: &'a FileStat,
    /// The mode that was asked for; else the old one.
    permissions: Option<u32>,
    /// Names of the old file's extended attributes, each with a NUL after it.
    names: Vec<u8>,
    /// Whether the directory gives an ACL to what is created in it.
    inherits_acl: bool,
}

impl<'a> TakesOver<'a> {
    /// Asks what the old file has.
    pub(super) fn find(
        target: &'a Target,
        old: &'a FileStat,
        permissions: Option<u32>,
    ) -> Result<Self> {
        let directory = target.directory.as_fd();
        let of_directory = xattr_names(directory, b"")?;
        Ok(Self {
            target,
            old,
            permissions,
            names: xattr_names(directory, &target.name)?,
            inherits_acl: split(&of_directory).any(|name| name == DEFAULT_ACL),
        })
    }

    fn mode(&self) -> u32 {
        self.permissions.unwrap_or(self.old.mode) & PERMISSIONS
    }

    fn has_acl(&self) -> bool {
        split(&self.names).any(|name| name == ACCESS_ACL)
    }

    /// The mode to create the new file with: the final one, unless the temporary could then be read, until its group
    /// or ACL is set, by somebody who may not read the file.
    pub(super) fn creation_mode(&self) -> u32 {
        if !self.has_acl() && !self.inherits_acl && self.gets_same_group() {
            self.mode()
        } else {
            PRIVATE
        }
    }

    /// Whether a file created in the directory surely belongs to the old one's group from the start.
    fn gets_same_group(&self) -> bool {
        let group = self.old.gid;
        self.target.directory_stat().is_ok_and(|directory| {
            directory.gid == group
                && (directory.mode & SET_GROUP_ID != 0
                    || rustix::process::getegid().as_raw() == group)
        })
    }

    /// Gives the new file what it does not have yet.
    pub(super) fn apply(&self, new: BorrowedFd<'_>, created: &FileStat) -> Result<()> {
        if (created.uid, created.gid) != (self.old.uid, self.old.gid) {
            own(new, self.old.uid, self.old.gid)?;
        }
        if created.mode & ALL_MODE_BITS != self.mode() {
            set_mode(new, self.mode())?;
        }
        // A file without an ACL must not gain one.
        if self.inherits_acl && !self.has_acl() {
            let _ = fremovexattr(new, ACCESS_ACL);
        }
        if !self.names.is_empty() {
            self.copy_xattrs(new)?;
            // An access ACL carries a mode of its own; the one that was asked for wins.
            if self.permissions.is_some() {
                set_mode(new, self.mode())?;
            }
        }
        Ok(())
    }

    /// Copies what may be copied. The old file is named through its directory's handle: it need not be readable, and
    /// opening it could wait for a lease.
    fn copy_xattrs(&self, new: BorrowedFd<'_>) -> Result<()> {
        let old_path = path_by_handle(self.target.directory.as_fd(), &self.target.name);
        for name in split(&self.names).filter(|name| copied(name)) {
            let mut value = Vec::with_capacity(256);
            let read = match lgetxattr(&*old_path, name, spare_capacity(&mut value)) {
                Err(Errno::RANGE) => {
                    value.reserve_exact(XATTR_MAX);
                    lgetxattr(&*old_path, name, spare_capacity(&mut value))
                }
                other => other,
            };
            if read.is_err() {
                continue;
            }
            let set = fsetxattr(new, name, &value, XattrFlags::empty());
            if let Err(errno @ (Errno::NOSPC | Errno::DQUOT)) = set {
                return Err(errno);
            }
        }
        Ok(())
    }
}

/// Sets permission bits, dropping those that make a program run as somebody else.
pub(super) fn set_mode(file: impl AsFd, mode: u32) -> Result<()> {
    fchmod(file, Mode::from_raw_mode(mode & PERMISSIONS))
}

/// Gives a file to somebody. An ordinary user may only pass on groups of its own; then the file stays the writer's.
pub(super) fn own(file: impl AsFd, uid: u32, gid: u32) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    match fchown(&file, Some(uid), Some(gid)) {
        Err(Errno::PERM) => match fchown(&file, None, Some(gid)) {
            Err(Errno::PERM) => Ok(()),
            other => other,
        },
        other => other,
    }
}

/// The names of the extended attributes of an entry, or with an empty name of the directory itself. None where the
/// file system has none, or where the entry went away, which the exchange will notice.
fn xattr_names(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>> {
    let mut buffer = [0u8; 1024];
    match list_xattrs(directory, name, &mut buffer) {
        Ok(length) => Ok(buffer[..length].to_vec()),
        Err(Errno::RANGE) => {
            let mut large = vec![0; XATTR_MAX];
            let length = list_xattrs(directory, name, &mut large)?;
            large.truncate(length);
            Ok(large)
        }
        Err(_) => Ok(Vec::new()),
    }
}

fn list_xattrs(directory: BorrowedFd<'_>, name: &[u8], buffer: &mut [u8]) -> Result<usize> {
    let c_name = CString::new(name).map_err(|_| Errno::INVAL)?;
    // SAFETY: the name ends with a NUL, and the buffer is valid for writes of its length.
    let length = unsafe {
        libc::syscall(
            SYS_LISTXATTRAT,
            directory.as_raw_fd(),
            c_name.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW | libc::AT_EMPTY_PATH,
            buffer.as_mut_ptr(),
            buffer.len(),
        )
    };
    if let Ok(length) = usize::try_from(length) {
        return Ok(length);
    }
    match Errno::from_io_error(&std::io::Error::last_os_error()) {
        // An older kernel, or a filter that does not know the call.
        Some(Errno::NOSYS | Errno::PERM) => llistxattr(&*path_by_handle(directory, name), buffer),
        errno => Err(errno.unwrap_or(Errno::IO)),
    }
}

fn path_by_handle(directory: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", directory.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

fn split(names: &[u8]) -> impl Iterator<Item = &[u8]> {
    names.split(|&b| b == 0).filter(|name| !name.is_empty())
}

/// File capabilities and signatures of the content do not pass to new content.
fn copied(name: &[u8]) -> bool {
    name.starts_with(b"user.") || name == ACCESS_ACL || name == b"security.selinux"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(directory: &std::path::Path) -> Target {
        Target::new(
            std::fs::File::open(directory).unwrap().into(),
            b"file".to_vec(),
        )
    }

    #[test]
    fn a_plain_file_is_created_with_its_final_mode_and_one_of_another_group_is_not() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), "old").unwrap();
        let target = target(directory.path());
        let mut old = target.existing().unwrap().unwrap();
        old.mode = 0o104_751;
        let found = TakesOver::find(&target, &old, None).unwrap();
        assert_eq!(found.creation_mode(), 0o751);
        let found = TakesOver::find(&target, &old, Some(0o6640)).unwrap();
        assert_eq!(found.creation_mode(), 0o640);
        old.gid += 1;
        let found = TakesOver::find(&target, &old, None).unwrap();
        assert_eq!(found.creation_mode(), PRIVATE);
    }

    #[test]
    fn attributes_are_listed_alike_by_name_and_through_the_handle() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        std::fs::write(&path, "old").unwrap();
        let value = XattrFlags::empty();
        if rustix::fs::setxattr(&path, "user.note", b"x", value).is_err() {
            // No such attributes on this file system; then neither way may find one.
            assert!(
                xattr_names(target(directory.path()).directory.as_fd(), b"file")
                    .unwrap()
                    .is_empty()
            );
            return;
        }
        let target = target(directory.path());
        let here = target.directory.as_fd();
        let by_name = xattr_names(here, b"file").unwrap();
        assert!(split(&by_name).any(|name| name == b"user.note"));
        let mut buffer = [0u8; 1024];
        let length = llistxattr(&*path_by_handle(here, b"file"), &mut buffer).unwrap();
        assert_eq!(by_name, &buffer[..length]);
        assert!(!xattr_names(here, b"").unwrap().starts_with(b"user."));
    }
}
