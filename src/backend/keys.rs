//! The key/value side of a backend, for those that have one.

use crate::call::Call;

/// What a store of keys can do beyond files: a key is the path of a file, relative to the root of this handle.
///
/// These calls treat directories as what keys imply. A directory that was created by a call stays; one that is there
/// only because of a key below it goes with its last key. (`remove` and `rename` keep the directory they emptied, as
/// a disk does.)
pub trait KeyStore {
    /// All keys that begin with a text, however deep, in byte order: `session/` gives `session/1` and
    /// `session/2/deep`, and so does `sess`. Empty: all. Keys that are not UTF-8 come with U+FFFD.
    ///
    /// Errors: `PATH_ESCAPE_ATTEMPT` and `INVALID_PATH`, as for a path.
    fn list_keys(&self, prefix: &[u8]) -> Call<Vec<String>>;

    /// Deletes a key and says whether it was there. A directory is no key.
    fn delete_key(&self, key: &crate::path::RelPath) -> Call<bool>;

    /// Deletes all that is below the root of this handle, directories too.
    fn clear(&self) -> Call<()>;
}
