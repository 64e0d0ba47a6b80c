//! Symbolic links as things of their own: their texts are read and written, and never followed here.

use rustix::fs::{OFlags, readlinkat, symlinkat};
use rustix::io::Errno;

use super::beneath::{Boundary, How};
use super::halt::Halt;
use super::metadata;
use super::target::{self, Owners};
use crate::access::Access;
use crate::backend::FileKind;
use crate::error::{Error, ErrorCode};
use crate::path::RelPath;

/// The text of the link under a path.
///
/// # Errors
/// `NOT_FOUND`, `INVALID_PATH` where it is no link.
pub fn read(boundary: &Boundary<'_>, path: &RelPath, how: How) -> Result<Vec<u8>, Halt> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW;
    let looking = |_: &_| Ok(Access::Stat { directory: false });
    let handle = boundary.open_judged(path, flags, how, looking)?;
    if metadata::of_handle(&handle)?.kind != FileKind::Symlink {
        return Err(Error::new(ErrorCode::InvalidPath, "it is no symbolic link").into());
    }
    Ok(readlinkat(&handle, "", Vec::new())?.into_bytes())
}

/// Makes a link with this text, which is not looked at.
///
/// # Errors
/// `EEXIST`, `ENOENT` (the parent), `EXDEV`; `INVALID_PATH` for a text that no link can have.
pub fn make(
    boundary: &Boundary<'_>,
    path: &RelPath,
    text: &[u8],
    owners: Owners,
    how: How,
) -> Result<(), Halt> {
    if text.is_empty() || text.contains(&0) {
        return Err(Error::new(
            ErrorCode::InvalidPath,
            "the text of a link must not be empty, and has no NUL character",
        )
        .into());
    }
    let target = match target::named_in_scope(boundary, path, owners, how) {
        Err(Errno::BUSY) => return Err(Errno::EXIST.into()),
        other => other?,
    };
    boundary.check_entry(&target.directory, &target.name, Access::Write)?;
    symlinkat(text, &target.directory, &*target.name)?;
    target::give_away(&target.directory, &target.name, owners, None)?;
    Ok(())
}
