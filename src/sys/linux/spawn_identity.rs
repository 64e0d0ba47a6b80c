//! What tells a directory from any other that ever was in its place: file systems give a new one the number of one that
//! was just removed, within the same tick of the clock. The handle that they make for network servers says which
//! generation it is.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// `AT_HANDLE_FID`: a handle that need not be opened again, which more file systems can make (Linux 6.5).
const ONLY_IDENTIFIES: i32 = 0x200;

/// Bytes of the longest handle.
const MAX_BYTES: usize = 128;

/// `struct file_handle`.
#[repr(C)]
struct FileHandle {
    bytes: u32,
    kind: i32,
    handle: [u8; MAX_BYTES],
}

/// The handle of what a descriptor is on, `O_PATH` included; the file system's own, opaque.
///
/// # Errors
/// `EOPNOTSUPP` where the file system makes none, `ENOSYS` or `EPERM` where the call is refused.
pub fn handle_of(descriptor: BorrowedFd<'_>) -> io::Result<Vec<u8>> {
    make(descriptor, 0).or_else(|_| make(descriptor, ONLY_IDENTIFIES))
}

fn make(descriptor: BorrowedFd<'_>, flags: i32) -> io::Result<Vec<u8>> {
    let mut handle = FileHandle {
        bytes: MAX_BYTES as u32,
        kind: 0,
        handle: [0; MAX_BYTES],
    };
    let mut mount = 0;
    // SAFETY: the path is a C string; the structure has the room that it says, and both outlive the call.
    let made = unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            descriptor.as_raw_fd(),
            c"".as_ptr(),
            &raw mut handle,
            &raw mut mount,
            libc::AT_EMPTY_PATH | flags,
        )
    };
    if made < 0 {
        return Err(io::Error::last_os_error());
    }
    let used = usize::try_from(handle.bytes).map_or(MAX_BYTES, |bytes| bytes.min(MAX_BYTES));
    Ok(handle.handle[..used].to_vec())
}
