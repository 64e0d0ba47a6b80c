//! Keys: what a key/value store can do beyond files, for the backends that are one.

use super::Workspace;
use super::permission::Question;
use crate::access::Access;
use crate::backend::{Backend, KeyStore, Keys};
use crate::call::Call;
use crate::error::{Error, ErrorCode};

impl Workspace {
    /// All keys that begin with a text, however deep, in byte order, relative to this workspace's root.
    /// See [`KeyStore::list_keys`]; `NOT_IMPLEMENTED` where the backend is no key store.
    pub fn list_keys(&self, prefix: impl AsRef<[u8]>) -> Call<Keys> {
        let prefix = prefix.as_ref();
        let question = Question::followed("list", Access::List);
        // A prefix is no path: what reads it judges it, and each key for itself.
        let root = self.parse("list", b"");
        let text = prefix.to_vec();
        self.operate_parsed(question, prefix, root, move |backend, root| match root {
            Ok(_) => with_keys(&**backend, |keys| keys.list_keys(&text)),
            Err(error) => Call::err(error),
        })
    }

    /// Deletes a key and says whether it was there. See [`KeyStore::delete_key`].
    pub fn delete_key(&self, key: impl AsRef<[u8]>) -> Call<bool> {
        self.operate_named("delete", Access::Write, key.as_ref(), |backend, key| {
            with_keys(&**backend, |keys| keys.delete_key(&key))
        })
    }

    /// Deletes all keys of this workspace, and only of this one. See [`KeyStore::clear`].
    pub fn clear_keys(&self) -> Call<()> {
        self.operate("clear", Access::Write, b"", |backend, _| {
            with_keys(&**backend, |keys| keys.clear())
        })
    }
}

fn with_keys<T: Send + 'static>(
    backend: &dyn Backend,
    act: impl FnOnce(&dyn KeyStore) -> Call<T>,
) -> Call<T> {
    match backend.key_store() {
        Some(keys) => act(keys),
        None => Call::err(Error::new(
            ErrorCode::NotImplemented,
            format!(
                "a {} backend has no keys; use its file operations",
                backend.kind().as_str()
            ),
        )),
    }
}
