//! Mode, owner, ACL and extended attributes of a file that takes the place of another.

use std::os::fd::{AsFd, AsRawFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{
    Gid, Mode, Uid, XattrFlags, fchmod, fchown, flistxattr, fremovexattr, fsetxattr, lgetxattr,
    llistxattr,
};
use rustix::io::{Errno, Result};

use super::target::Target;
use crate::backend::FileStat;

/// The permission bits that files get; set-user-ID, set-group-ID and sticky are dropped.
pub(super) const PERMISSIONS: u32 = 0o777;
/// Most that the kernel gives as a list of names, and as one value.
const XATTR_MAX: usize = 64 << 10;
const ACCESS_ACL: &[u8] = b"system.posix_acl_access";

/// Gives a temporary the owner, mode and attributes of the file that it will replace.
pub(super) fn carry_over(
    new: impl AsFd,
    new_stat: &FileStat,
    target: &Target,
    old: &FileStat,
    permissions: Option<u32>,
) -> Result<()> {
    let new = new.as_fd();
    if (new_stat.uid, new_stat.gid) != (old.uid, old.gid) {
        own(new, old.uid, old.gid)?;
    }
    set_mode(new, permissions.unwrap_or(old.mode))?;
    copy_xattrs(new, target)?;
    if permissions.is_some() {
        // An access ACL carries a mode of its own; the one that was asked for wins.
        set_mode(new, permissions.unwrap_or(old.mode))?;
    }
    Ok(())
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

/// Copies what may be copied. The old file is named through its directory's handle: it need not be readable, and
/// opening it could wait for a lease.
fn copy_xattrs(new: impl AsFd, target: &Target) -> Result<()> {
    let new = new.as_fd();
    let mut old_path = format!("/proc/self/fd/{}/", target.directory.as_raw_fd()).into_bytes();
    old_path.extend_from_slice(&target.name);
    let mut buffer = [0u8; 1024];
    let mut large = Vec::new();
    let names = match llistxattr(&*old_path, &mut buffer) {
        Ok(length) => &buffer[..length],
        Err(Errno::RANGE) => {
            large.reserve_exact(XATTR_MAX);
            llistxattr(&*old_path, spare_capacity(&mut large))?;
            &large[..]
        }
        // No attributes here, no /proc, or the file went away, which the exchange will notice.
        Err(_) => return Ok(()),
    };
    drop_inherited_acl(new, names);
    for name in split(names).filter(|name| copied(name)) {
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

/// A directory's default ACL gave the temporary an ACL; a file without one must not gain it.
fn drop_inherited_acl(new: impl AsFd, old_names: &[u8]) {
    let mut buffer = [0u8; 1024];
    let inherited = flistxattr(&new, &mut buffer)
        .is_ok_and(|length| split(&buffer[..length]).any(|name| name == ACCESS_ACL));
    if inherited && !split(old_names).any(|name| name == ACCESS_ACL) {
        let _ = fremovexattr(new, ACCESS_ACL);
    }
}

fn split(names: &[u8]) -> impl Iterator<Item = &[u8]> {
    names.split(|&b| b == 0).filter(|name| !name.is_empty())
}

/// File capabilities and signatures of the content do not pass to new content.
fn copied(name: &[u8]) -> bool {
    name.starts_with(b"user.") || name == ACCESS_ACL || name == b"security.selinux"
}
