//! Directories: listed when they are opened, told in pages, in the order of their names.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::Door;
use super::handles::Open;
use crate::backend::{DirEntry, FileKind, ListOptions};
use crate::call::Call;
use crate::error::Result;
use crate::wire::sftp::{Entry, FileAttributes, Response, StatusCode};
use crate::workspace::{Reserved, Workspace};

/// Entries of a page at most.
const PAGE_ENTRIES: usize = 256;
/// Bytes of names after which a page ends: clients of early versions take no packets over 34,000 bytes.
const PAGE_BYTES: usize = 16 << 10;
/// From when on `ls -l` shows a year instead of a time: half a year, in seconds.
const RECENT: i64 = 182 * 24 * 3600;

/// What is left to tell of a directory.
#[derive(Debug)]
pub(super) struct Listing {
    path: Bytes,
    count: usize,
    rest: Mutex<std::vec::IntoIter<Listed>>,
    _reserved: Reserved,
}

/// An entry, in less space than [`DirEntry`].
#[derive(Debug)]
struct Listed {
    name: Box<[u8]>,
    attributes: FileAttributes,
    links: u64,
}

impl Listing {
    fn new(workspace: &Workspace, path: Bytes, entries: Vec<DirEntry>) -> Result<Self> {
        let listed: Vec<Listed> = entries.into_iter().map(Listed::from).collect();
        let bytes = (listed.iter())
            .map(|listed| size_of::<Listed>() + listed.name.len())
            .sum();
        Ok(Self {
            _reserved: workspace.reserve(bytes)?,
            path,
            count: listed.len(),
            rest: Mutex::new(listed.into_iter()),
        })
    }

    /// The directory, as the client named it.
    pub(super) fn path(&self) -> &Bytes {
        &self.path
    }

    /// Entries in all.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The next entries, or that there are no more.
    pub(super) fn page(&self) -> Response {
        let now = chrono::Utc::now().timestamp();
        let mut rest = self.rest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        let mut entries = Vec::new();
        while entries.len() < PAGE_ENTRIES && bytes < PAGE_BYTES {
            let Some(listed) = rest.next() else { break };
            // The name stands there twice, among some 100 bytes of attributes.
            bytes += 100 + 2 * listed.name.len();
            entries.push(listed.entry(now));
        }
        if entries.is_empty() {
            Response::status(StatusCode::Eof, "that was all")
        } else {
            Response::Names(entries)
        }
    }
}

impl From<DirEntry> for Listed {
    fn from(entry: DirEntry) -> Self {
        let attributes = match &entry.stat {
            Some(stat) => stat.into(),
            // It is gone already, or may not be looked at.
            None => FileAttributes {
                permissions: Some(kind_bits(entry.kind)),
                ..FileAttributes::default()
            },
        };
        Self {
            name: entry.name.into(),
            attributes,
            links: entry.stat.map_or(1, |stat| stat.nlink),
        }
    }
}

impl Listed {
    fn entry(self, now: i64) -> Entry {
        Entry {
            long_name: long_name(&self, now).into(),
            name: self.name.into_vec().into(),
            attributes: self.attributes,
        }
    }
}

impl Door {
    /// Lists a directory, for [`Listing::page`].
    pub(super) fn open_directory(&self, path: &Bytes) -> Call<Response> {
        let slot = match self.table.reserve() {
            Ok(slot) => slot,
            Err(error) => return Call::err(error),
        };
        // A slice of what was received would keep all of that.
        let path = Bytes::copy_from_slice(path);
        let workspace = self.workspace.clone();
        (self.workspace.list(&path, ListOptions { with_stat: true })).map_blocking(move |entries| {
            let listing = Listing::new(&workspace, path, entries)?;
            let handle = slot.fill(Open::Directory(listing.into()))?;
            Ok(Response::Handle(handle))
        })
    }
}

fn kind_bits(kind: FileKind) -> u32 {
    match kind {
        FileKind::File => 0o100_000,
        FileKind::Directory => 0o040_000,
        FileKind::Symlink => 0o120_000,
        FileKind::Other => 0,
    }
}

/// A line of `ls -l`, which programs show as it is: times are UTC, users and groups are numbers, and what would steer a
/// terminal is a question mark.
fn long_name(listed: &Listed, now: i64) -> Vec<u8> {
    let FileAttributes {
        size,
        owner,
        permissions,
        times,
    } = listed.attributes;
    let (user, group) = owner.unwrap_or_default();
    let mut line = format!(
        "{} {:>3} {user:<8} {group:<8} {:>8} {} ",
        mode_text(permissions.unwrap_or_default()),
        listed.links,
        size.unwrap_or_default(),
        time_text(times.map_or(0, |(_, modified)| i64::from(modified)), now),
    )
    .into_bytes();
    line.extend(printable(&listed.name));
    line
}

/// A name without control characters.
pub(super) fn printable(name: &[u8]) -> Vec<u8> {
    (name.iter())
        .map(|byte| if byte.is_ascii_control() { b'?' } else { *byte })
        .collect()
}

fn mode_text(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o040_000 => 'd',
        0o120_000 => 'l',
        0o060_000 => 'b',
        0o020_000 => 'c',
        0o010_000 => 'p',
        0o140_000 => 's',
        _ => '-',
    };
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

fn time_text(seconds: i64, now: i64) -> String {
    let is_recent = (now - RECENT..=now + 60).contains(&seconds);
    let format = if is_recent {
        "%b %e %H:%M"
    } else {
        "%b %e  %Y"
    };
    chrono::DateTime::from_timestamp(seconds, 0)
        .unwrap_or_default()
        .format(format)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_a_line_of_ls() {
        let listed = Listed {
            name: (*b"a\x1b[31m b\xc3\xa9").into(),
            attributes: FileAttributes {
                size: Some(1234),
                owner: Some((0, 1000)),
                permissions: Some(0o100_754),
                times: Some((0, 1_000_000_000)),
            },
            links: 2,
        };
        let line = String::from_utf8(long_name(&listed, 1_000_000_100)).expect("it is UTF-8");
        assert_eq!(
            line,
            "-rwxr-xr--   2 0        1000         1234 Sep  9 01:46 a?[31m bé"
        );
        let old = String::from_utf8(long_name(&listed, 1_100_000_000)).expect("it is UTF-8");
        assert!(old.contains(" Sep  9  2001 "), "{old}");
    }

    #[test]
    fn modes_are_shown_as_ls_shows_them() {
        for (mode, text) in [
            (0o040_755, "drwxr-xr-x"),
            (0o120_777, "lrwxrwxrwx"),
            (0o100_000, "----------"),
            (0o104_711, "-rws--x--x"),
            (0o102_644, "-rw-r-Sr--"),
            (0o041_777, "drwxrwxrwt"),
            (0o010_600, "prw-------"),
        ] {
            assert_eq!(mode_text(mode), text);
        }
    }
}
