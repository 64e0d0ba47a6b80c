//! Reading and writing the small files of a control group.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;

/// Writes a value in one call, as the kernel wants it. Never creates a file.
pub(super) fn write(directory: &Path, name: &str, value: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(directory.join(name))?;
    file.write_all(value.as_bytes())
}

pub(super) fn read(directory: &Path, name: &str) -> io::Result<String> {
    std::fs::read_to_string(directory.join(name))
}

/// The only number of a file.
pub(super) fn number(directory: &Path, name: &str) -> Option<u64> {
    read(directory, name).ok()?.trim().parse().ok()
}

/// The number after a name in a file of `name number` lines.
pub(super) fn field(directory: &Path, file: &str, name: &str) -> Option<u64> {
    field_of(&read(directory, file).ok()?, name)
}

fn field_of(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.trim().split_once(' '))
        .find(|(found, _)| *found == name)?
        .1
        .trim()
        .parse()
        .ok()
}

/// A descriptor to write to, closed in programs that are started.
pub(super) fn open_to_write(directory: &Path, name: &str) -> io::Result<OwnedFd> {
    let file = OpenOptions::new().write(true).open(directory.join(name))?;
    Ok(file.into())
}

/// The process ids in a group.
pub(super) fn processes(directory: &Path) -> Vec<i32> {
    let list = read(directory, "cgroup.procs").unwrap_or_default();
    list.lines().filter_map(|line| line.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "oom 4\noom_kill 3\noom_group_kill 1\n";
        assert_eq!(field_of(text, "oom_kill"), Some(3));
        assert_eq!(field_of(text, "oom_k"), None);
        // Version 1 puts a space before it.
        assert_eq!(field_of(" max 5\n", "max"), Some(5));
        assert_eq!(field_of("usage_usec\n", "usage_usec"), None);
    }
}
