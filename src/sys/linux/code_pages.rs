//! The pages of our own code and constants, for processes that live long and mostly wait.

use std::ffi::{c_int, c_void};

use rustix::param::page_size;

/// Lets go of the pages of code and constants that are mapped, of this program and its libraries. The kernel keeps them
/// in its cache as it sees fit, and what is used again is mapped again, for a microsecond each: so a process that has
/// started holds only what it goes on using.
pub fn let_go() {
    // SAFETY: the function has the prototype that is asked for, and keeps nothing that it is shown.
    unsafe { libc::dl_iterate_phdr(Some(let_go_of), std::ptr::null_mut()) };
}

/// Lets go of one object's segments that nobody ever writes to. A page of a segment that is written to may differ from
/// the file, even where it is read-only by now.
unsafe extern "C" fn let_go_of(
    object: *mut libc::dl_phdr_info,
    _size: usize,
    _data: *mut c_void,
) -> c_int {
    // SAFETY: `dl_iterate_phdr` shows a valid object with so many headers.
    let (base, headers) = unsafe {
        let object = &*object;
        // An object without any may show no pointer.
        let count = match object.dlpi_phdr.is_null() {
            true => return 0,
            false => usize::from(object.dlpi_phnum),
        };
        (
            object.dlpi_addr,
            std::slice::from_raw_parts(object.dlpi_phdr, count),
        )
    };
    for header in headers {
        if header.p_type != libc::PT_LOAD || header.p_flags & libc::PF_W != 0 {
            continue;
        }
        let Ok(first) = usize::try_from(base.wrapping_add(header.p_vaddr)) else {
            continue;
        };
        let Ok(length) = usize::try_from(header.p_memsz) else {
            continue;
        };
        let page = page_size();
        let start = first.next_multiple_of(page);
        let end = (first.saturating_add(length)) / page * page;
        if start < end {
            // SAFETY: whole pages of a private mapping that was never written to: they come from the file again.
            unsafe {
                libc::madvise(start as *mut c_void, end - start, libc::MADV_DONTNEED);
            }
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_whose_pages_were_let_go_goes_on_with_fewer() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("RssFile:"));
            let number = line.unwrap().split_whitespace().nth(1).unwrap();
            number.parse::<u64>().unwrap()
        };
        // Others run beside this one, and use their pages again at once.
        let fewer = (0..100).any(|_| {
            let before = resident();
            let_go();
            resident() < before
        });
        assert!(fewer);
        assert_eq!(format!("{:?}", [1, 2]), "[1, 2]");
    }
}
