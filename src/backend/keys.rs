//! The key/value side of a backend, for those that have one.

use crate::call::Call;

/// Keys in byte order, kept as one text: thousands of them are then one allocation, and one value for a door.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// A NUL between each two; no key contains one.
    joined: Vec<u8>,
    count: usize,
}

impl Keys {
    /// Adds a key, which must not sort before the one added last.
    pub(crate) fn push(&mut self, key: &[u8]) {
        debug_assert!(!key.is_empty() && !key.contains(&0));
        if self.count > 0 {
            self.joined.push(0);
        }
        self.joined.extend_from_slice(key);
        self.count += 1;
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The bytes of each key.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.joined.split(|&b| b == 0).take(self.count)
    }

    /// All keys, with a NUL between each two.
    #[must_use]
    pub fn joined(&self) -> &[u8] {
        &self.joined
    }

    /// The keys as texts; what is not UTF-8 becomes U+FFFD.
    #[must_use]
    pub fn to_strings(&self) -> Vec<String> {
        self.iter()
            .map(|key| String::from_utf8_lossy(key).into_owned())
            .collect()
    }
}

/// What a store of keys can do beyond files: a key is the path of a file, relative to the root of this handle.
///
/// These calls treat directories as what keys imply. A directory that was created by a call stays; one that is there
/// only because of a key below it goes with its last key. (`remove` and `rename` keep the directory they emptied, as
/// a disk does.)
pub trait KeyStore {
    /// All keys that begin with a text, however deep, in byte order: `session/` gives `session/1` and
    /// `session/2/deep`, and so does `sess`. Empty: all.
    ///
    /// Errors: `PATH_ESCAPE_ATTEMPT` and `INVALID_PATH`, as for a path.
    fn list_keys(&self, prefix: &[u8]) -> Call<Keys>;

    /// Deletes a key and says whether it was there. A directory is no key.
    fn delete_key(&self, key: &crate::path::RelPath) -> Call<bool>;

    /// Deletes all that is below the root of this handle, directories too.
    fn clear(&self) -> Call<()>;
}
