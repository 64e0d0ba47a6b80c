//! How records lie in a journal file: a header, then slots of one page.

use crate::backend::{FileKind, FileStat};

/// Device and inode.
pub type Identity = (u64, u64);

/// `agentbk1`: changes with the layout, so that no version reads another's records wrongly.
pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"agentbk1");
pub(super) const HEADER_BYTES: usize = 4096;
pub(super) const SLOT_BYTES: usize = 4096;
/// More writes at once than the pool has threads.
pub(super) const SLOTS: usize = 128;
/// Where a slot's root path, parent path and name begin, one after the other.
pub(super) const BYTES_AT: usize = 64;
pub(super) const FREE: u64 = 0;
pub(super) const RECORDED: u64 = 2;

/// A temporary of an unfinished write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Absolute path of the root.
    pub root: Vec<u8>,
    /// The directory below the root; may contain links.
    pub parent: Vec<u8>,
    /// The temporary's name in it.
    pub name: Vec<u8>,
    /// The temporary itself; `None` in the moment before it is known.
    pub ours: Option<Identity>,
    /// The file it will change places with.
    pub displaced: Option<Identity>,
}

impl Record {
    /// Whether an entry of a directory is this temporary, or what it displaced. In the moment before the inode is
    /// recorded the temporary is still empty, and known by its unpredictable name.
    #[must_use]
    pub fn is(&self, name: &[u8], found: &FileStat) -> bool {
        let identity = Some((found.dev, found.ino));
        let new = self.ours.is_none() && found.size == 0 && found.nlink == 1;
        found.kind == FileKind::File
            && self.name == name
            && (self.ours == identity || self.displaced == identity || new)
    }

    /// Whether an entry of a directory is to be hidden: also when it has content by now, though the record was read in
    /// the moment before its inode was in it. The name alone is enough then, since nobody could have known it.
    #[must_use]
    pub fn hides(&self, name: &[u8], found: &FileStat) -> bool {
        let was_new = self.ours.is_none() && self.name == name && found.kind == FileKind::File;
        was_new || self.is(name, found)
    }
}

/// The lengths of a slot's three texts.
pub(super) struct Layout([usize; 3]);

impl Layout {
    pub(super) fn of(root: &[u8], parent: &[u8], name: &[u8]) -> Option<Self> {
        let lengths = [root.len(), parent.len(), name.len()];
        (lengths.iter().sum::<usize>() <= SLOT_BYTES - BYTES_AT).then_some(Self(lengths))
    }

    pub(super) fn packed(&self) -> u64 {
        self.0
            .iter()
            .fold(0, |packed, &length| packed << 16 | length as u64)
    }

    fn unpack(packed: u64) -> Option<Self> {
        let part = |shift: u32| usize::try_from(packed >> shift & 0xffff).ok();
        let lengths = [part(32)?, part(16)?, part(0)?];
        (lengths.iter().sum::<usize>() <= SLOT_BYTES - BYTES_AT).then_some(Self(lengths))
    }
}

/// The records in the bytes of a journal file; nothing where it is none, or half a one.
pub(super) fn parse(bytes: &[u8]) -> Vec<Record> {
    if word(bytes, 0) != Some(MAGIC) {
        return Vec::new();
    }
    bytes
        .get(HEADER_BYTES..)
        .unwrap_or_default()
        .chunks_exact(SLOT_BYTES)
        .filter_map(parse_slot)
        .collect()
}

fn parse_slot(slot: &[u8]) -> Option<Record> {
    if word(slot, 0)? != RECORDED {
        return None;
    }
    let identity = |at| -> Option<Identity> {
        let (dev, ino) = (word(slot, at)?, word(slot, at + 8)?);
        (ino != 0).then_some((dev, ino))
    };
    let Layout([root, parent, name]) = Layout::unpack(word(slot, 40)?)?;
    let texts = slot.get(BYTES_AT..)?;
    let (root, texts) = texts.split_at_checked(root)?;
    let (parent, texts) = texts.split_at_checked(parent)?;
    Some(Record {
        root: root.to_vec(),
        parent: parent.to_vec(),
        name: texts.get(..name)?.to_vec(),
        ours: identity(8),
        displaced: identity(24),
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::linux::metadata;

    #[test]
    fn a_record_read_before_its_inode_was_in_it_hides_a_file_that_has_content_by_now() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "content").unwrap();
        let found = metadata::of_handle(file.as_file()).unwrap();
        let record = |ours| Record {
            root: b"/w".to_vec(),
            parent: Vec::new(),
            name: b"name".to_vec(),
            ours,
            displaced: None,
        };
        assert!(record(None).hides(b"name", &found));
        assert!(!record(None).hides(b"other", &found));
        // What is swept must be known for certain.
        assert!(!record(None).is(b"name", &found));
        assert!(!record(Some((found.dev, found.ino + 1))).hides(b"name", &found));
        assert!(record(Some((found.dev, found.ino))).hides(b"name", &found));
    }
}
