//! Files in an ordered map of this process: fast state for agents and tests, with the semantics of a disk.

mod entries;
mod keys;
mod search;
mod store;
mod tree;
mod values;

use std::sync::Arc;

use keys::Prefix;
use store::{Place, Store, is_a_directory};

use super::search::{SearchOutcome, SearchRequest};
use super::{
    Backend, BackendKind, Capabilities, Content, DirEntry, FileStat, KeyStore, ListOptions,
    ReadOptions, ReadOutcome, RemoveOptions, WriteOptions, WriteOutcome,
};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::search::search_entries;
use crate::status::Status;

/// Copying more than this takes a millisecond or more: not on the caller's thread, which may be an event loop.
const LARGE_COPY: usize = 1 << 20;

/// How to make a memory backend.
#[derive(Clone, Debug)]
pub struct MemoryOptions {
    /// The absolute path that callers see as the root; only a name, nothing is on the disk. Default: `/`.
    pub root_dir: Vec<u8>,
    /// Keys and values to begin with. They live as long as what is written without a TTL of its own.
    pub initial_data: Vec<(Vec<u8>, Content)>,
    /// Values vanish this many milliseconds after they were written, unless the write says otherwise.
    /// Default: never.
    pub ttl_ms: Option<u64>,
    /// Bound on the bytes of all values together, names not counted; what would exceed it is `TOO_LARGE`.
    /// Default: none.
    pub max_bytes: Option<u64>,
}

impl Default for MemoryOptions {
    fn default() -> Self {
        Self {
            root_dir: b"/".to_vec(),
            initial_data: Vec::new(),
            ttl_ms: None,
            max_bytes: None,
        }
    }
}

/// A tree of files in memory, or a scope of one. A scope shares the store and holds nothing but its paths.
#[derive(Debug)]
pub struct MemoryBackend {
    store: Arc<Store>,
    /// Where this is, below the store's root.
    scope: RelPath,
    root_dir: Vec<u8>,
    /// Whether closing this ends the store; a scope's does not, not even that of the scope `.`.
    owns_store: bool,
}

impl MemoryBackend {
    /// A backend with its initial data.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` where `root_dir` is not absolute; for initial data what [`Backend::write`] says, with
    /// the key as the path.
    pub fn new(options: MemoryOptions) -> Result<Arc<Self>> {
        let mut root_dir = options.root_dir;
        if root_dir.first() != Some(&b'/') || root_dir.contains(&0) {
            return Err(Error::new(
                ErrorCode::InvalidConfiguration,
                "`rootDir` of a memory backend must be an absolute path, such as `/memory`",
            ));
        }
        while root_dir.len() > 1 && root_dir.ends_with(b"/") {
            root_dir.pop();
        }
        let backend = Self {
            store: Arc::new(Store::new(options.max_bytes, options.ttl_ms)),
            scope: RelPath::root(),
            root_dir,
            owns_store: true,
        };
        for (key, content) in options.initial_data {
            let path = RelPath::parse(&key, &backend.root_dir)?;
            backend
                .write_now(&path, content, &WriteOptions::default())
                .map_err(|error| error.at(String::from_utf8_lossy(&key)))?;
        }
        Ok(Arc::new(backend))
    }

    fn below(&self, scope: &RelPath) -> Self {
        Self {
            store: Arc::clone(&self.store),
            scope: self.scope.join(scope),
            root_dir: scope.beneath(&self.root_dir),
            owns_store: false,
        }
    }

    fn place<'a>(&'a self, path: &'a RelPath) -> Place<'a> {
        Place {
            scope: &self.scope,
            path,
        }
    }

    fn write_now(
        &self,
        path: &RelPath,
        content: Content,
        options: &WriteOptions,
    ) -> Result<WriteOutcome> {
        if path.is_root() {
            return Err(is_a_directory());
        }
        let value = content.into_owned();
        self.store
            .with(|state| state.write(self.place(path), value, options))
    }
}

impl Backend for MemoryBackend {
    fn kind(&self) -> BackendKind {
        BackendKind::Memory
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    fn root_dir(&self) -> &[u8] {
        &self.root_dir
    }

    fn rooted(&self, scope: &RelPath) -> Arc<dyn Backend> {
        Arc::new(self.below(scope))
    }

    fn status(&self) -> Status {
        if self.store.is_closed() {
            Status::Destroyed
        } else {
            Status::Connected
        }
    }

    fn read(&self, path: &RelPath, options: ReadOptions) -> Call<ReadOutcome> {
        self.store
            .with(|state| state.read(self.place(path), &options))
            .into()
    }

    fn write(&self, path: &RelPath, content: Content, options: WriteOptions) -> Call<WriteOutcome> {
        if content.len() < LARGE_COPY || !content.is_shared() {
            return self.write_now(path, content, &options).into();
        }
        let (backend, path) = (self.below(&RelPath::root()), path.clone());
        Call::blocking(move || backend.write_now(&path, content, &options))
    }

    fn stat(&self, path: &RelPath, _follow: bool) -> Call<FileStat> {
        self.store
            .with(|state| state.find(self.place(path)).map(|id| state.stat(id)))
            .into()
    }

    fn list(&self, path: &RelPath, options: ListOptions) -> Call<Vec<DirEntry>> {
        self.store
            .with(|state| state.list(self.place(path), options))
            .into()
    }

    fn create_dir(&self, path: &RelPath, recursive: bool) -> Call<()> {
        self.store
            .with(|state| state.create_dir(self.place(path), recursive))
            .into()
    }

    fn remove(&self, path: &RelPath, options: RemoveOptions) -> Call<()> {
        self.store
            .with(|state| state.remove_entry(self.place(path), options))
            .into()
    }

    fn rename(&self, from: &RelPath, to: &RelPath) -> Call<()> {
        self.store
            .with(|state| state.rename(self.place(from), self.place(to)))
            .into()
    }

    fn touch(&self, path: &RelPath) -> Call<()> {
        self.store
            .with(|state| state.touch(self.place(path)))
            .into()
    }

    fn search(&self, request: SearchRequest) -> Call<SearchOutcome> {
        // Compiling the pattern and looking through the values takes as long as they ask for.
        let backend = self.below(&RelPath::root());
        Call::blocking(move || {
            let entries = backend
                .store
                .with(|state| state.snapshot(&backend.scope, &request.base))?;
            search_entries(entries, &request)
        })
    }

    fn key_store(&self) -> Option<&dyn KeyStore> {
        Some(self)
    }

    /// Of the root: drops all content at once. Of a scope: nothing to end.
    fn close(&self) -> Call<()> {
        if self.owns_store {
            self.store.close();
        }
        Call::ok(())
    }
}

impl KeyStore for MemoryBackend {
    fn list_keys(&self, prefix: &[u8]) -> Call<Vec<String>> {
        Prefix::parse(prefix, &self.root_dir)
            .and_then(|prefix| {
                self.store
                    .with(|state| Ok(state.list_keys(&self.scope, &prefix)))
            })
            .into()
    }

    fn delete_key(&self, key: &RelPath) -> Call<bool> {
        self.store
            .with(|state| Ok(state.delete_key(self.place(key))))
            .into()
    }

    fn clear(&self) -> Call<()> {
        self.store
            .with(|state| {
                state.clear(&self.scope);
                Ok(())
            })
            .into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::WriteMode;

    fn backend(options: MemoryOptions) -> Arc<MemoryBackend> {
        MemoryBackend::new(options).unwrap()
    }

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes(), b"/").unwrap()
    }

    /// Every call on small values is ready; this says so where it is not.
    fn now<T>(call: Call<T>) -> Result<T> {
        match call {
            Call::Ready(result) => result,
            Call::Pending(_) => panic!("a call on memory did not finish at once"),
        }
    }

    fn write(backend: &dyn Backend, key: &str, value: &str) {
        let content = Content::owned(value.as_bytes().to_vec());
        now(backend.write(&path(key), content, WriteOptions::default())).unwrap();
    }

    fn keys(backend: &MemoryBackend, prefix: &str) -> Vec<String> {
        now(backend.list_keys(prefix.as_bytes())).unwrap()
    }

    #[test]
    fn keys_are_listed_by_a_textual_prefix_in_byte_order() {
        let backend = backend(MemoryOptions {
            root_dir: b"/memory".to_vec(),
            ..MemoryOptions::default()
        });
        for key in [
            "session/2/deep",
            "session/1",
            "session/1.a",
            "session-x",
            "other",
            "..x/y",
        ] {
            write(&*backend, key, "v");
        }
        now(backend.create_dir(&path("session/empty"), true)).unwrap();
        let session = ["session/1", "session/1.a", "session/2/deep"];
        for prefix in [
            "session/",
            "/session/",
            "/memory/session/",
            "./session/",
            "x/../session/",
        ] {
            assert_eq!(keys(&backend, prefix), session, "{prefix}");
        }
        assert_eq!(keys(&backend, "session/1"), ["session/1", "session/1.a"]);
        assert_eq!(keys(&backend, "sess")[0], "session-x");
        assert_eq!(keys(&backend, "").len(), 6);
        assert_eq!(keys(&backend, "/memory").len(), 6);
        assert_eq!(keys(&backend, "."), ["..x/y"]);
        assert!(keys(&backend, "missing/").is_empty());
        assert!(keys(&backend, "other/").is_empty());
        for prefix in ["..", "../", "a/../..", "session/../../"] {
            let error = now(backend.list_keys(prefix.as_bytes())).unwrap_err();
            assert_eq!(error.code(), ErrorCode::PathEscapeAttempt, "{prefix}");
        }
        let scope = backend.below(&path("session"));
        assert_eq!(keys(&scope, ""), ["1", "1.a", "2/deep"]);
    }

    #[test]
    fn a_directory_that_only_a_key_implied_goes_with_the_key() {
        let backend = backend(MemoryOptions::default());
        write(&*backend, "a/b/c", "v");
        assert!(now(backend.delete_key(&path("a/b/c"))).unwrap());
        assert!(!now(backend.delete_key(&path("a/b/c"))).unwrap());
        assert!(now(backend.stat(&path("a"), true)).is_err());
        now(backend.create_dir(&path("a"), false)).unwrap();
        write(&*backend, "a/b/c", "v");
        assert!(!now(backend.delete_key(&path("a/b"))).unwrap());
        assert!(now(backend.delete_key(&path("a/b/c"))).unwrap());
        assert!(now(backend.stat(&path("a"), true)).is_ok());
        assert!(now(backend.stat(&path("a/b"), true)).is_err());
    }

    #[test]
    fn clearing_a_scope_leaves_what_is_beside_it() {
        let backend = backend(MemoryOptions::default());
        for key in ["users/1/a", "users/1/b/c", "users/2/a", "x"] {
            write(&*backend, key, "v");
        }
        let scope = backend.below(&path("users/1"));
        now(scope.clear()).unwrap();
        assert_eq!(keys(&backend, ""), ["users/2/a", "x"]);
        now(backend.clear()).unwrap();
        assert!(keys(&backend, "").is_empty());
        assert!(
            now(backend.list(&RelPath::root(), ListOptions::default()))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn expired_values_are_gone_with_the_directories_they_implied() {
        let backend = backend(MemoryOptions {
            ttl_ms: Some(60_000),
            max_bytes: Some(10),
            ..MemoryOptions::default()
        });
        write(&*backend, "a/b", "0123456789");
        let forever = WriteOptions {
            ttl_ms: Some(u64::MAX),
            ..WriteOptions::default()
        };
        let refused = now(backend.write(&path("c"), Content::owned("x"), forever.clone()));
        assert_eq!(refused.unwrap_err().code(), ErrorCode::TooLarge);
        backend.store.advance(std::time::Duration::from_secs(60));
        now(backend.write(&path("c"), Content::owned("0123456789"), forever)).unwrap();
        assert!(now(backend.stat(&path("a"), true)).is_err());
        assert_eq!(keys(&backend, ""), ["c"]);
    }

    #[test]
    fn a_write_without_a_ttl_ends_the_one_before_it_and_an_append_keeps_it() {
        let backend = backend(MemoryOptions::default());
        let short = WriteOptions {
            ttl_ms: Some(60_000),
            ..WriteOptions::default()
        };
        for key in ["kept", "appended"] {
            now(backend.write(&path(key), Content::owned("1"), short.clone())).unwrap();
        }
        write(&*backend, "kept", "2");
        let append = WriteOptions {
            mode: WriteMode::Append,
            ..WriteOptions::default()
        };
        now(backend.write(&path("appended"), Content::owned("2"), append)).unwrap();
        backend.store.advance(std::time::Duration::from_secs(60));
        assert_eq!(keys(&backend, ""), ["kept"]);
    }

    #[test]
    fn the_account_of_bytes_follows_every_change() {
        let backend = backend(MemoryOptions {
            max_bytes: Some(100),
            ..MemoryOptions::default()
        });
        let append = WriteOptions {
            mode: WriteMode::Append,
            ..WriteOptions::default()
        };
        let large = "x".repeat(60);
        for _ in 0..20 {
            write(&*backend, "a/1", &large);
            write(&*backend, "a/1", "short");
            let more = Content::owned(vec![0; 60]);
            now(backend.write(&path("a/1"), more, append.clone())).unwrap();
            write(&*backend, "b", "0123456789");
            now(backend.rename(&path("a/1"), &path("b"))).unwrap();
            let more = Content::owned(vec![0; 36]);
            let refused = now(backend.write(&path("b"), more, append.clone())).unwrap_err();
            assert_eq!(refused.code(), ErrorCode::TooLarge);
            let kept = now(backend.read(&path("b"), ReadOptions::default())).unwrap();
            assert_eq!(kept.bytes.len(), 65);
            now(backend.clear()).unwrap();
        }
        write(&*backend, "all", &"x".repeat(100));
    }

    #[test]
    fn a_tree_deeper_than_any_path_is_removed_without_recursion() {
        let backend = backend(MemoryOptions::default());
        let chain = vec!["d"; 1_000].join("/");
        now(backend.create_dir(&path(&chain), true)).unwrap();
        for _ in 0..200 {
            // The whole tree moves to the bottom of a fresh chain.
            now(backend.rename(&path("d"), &path("old"))).unwrap();
            now(backend.create_dir(&path(&chain), true)).unwrap();
            now(backend.rename(&path("old"), &path(&format!("{chain}/d")))).unwrap();
        }
        assert!(keys(&backend, "").is_empty());
        let all = RemoveOptions {
            recursive: true,
            force: false,
        };
        now(backend.remove(&path("d"), all)).unwrap();
        assert!(
            now(backend.list(&RelPath::root(), ListOptions::default()))
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn closing_the_root_ends_the_store_and_closing_a_scope_does_not() {
        let backend = backend(MemoryOptions::default());
        write(&*backend, "a", "v");
        let scope = backend.rooted(&RelPath::root());
        now(scope.close()).unwrap();
        assert_eq!(keys(&backend, ""), ["a"]);
        now(backend.close()).unwrap();
        now(backend.close()).unwrap();
        let error = now(scope.read(&path("a"), ReadOptions::default())).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Destroyed);
        assert_eq!(backend.status(), Status::Destroyed);
    }

    #[test]
    fn what_a_caller_may_still_change_is_copied() {
        let backend = backend(MemoryOptions::default());
        let shared = bytes::Bytes::from(vec![1; 100]);
        let content = Content::shared(shared.clone());
        now(backend.write(&path("a"), content, WriteOptions::default())).unwrap();
        let kept = now(backend.read(&path("a"), ReadOptions::default())).unwrap();
        assert_ne!(kept.bytes.as_ptr(), shared.as_ptr());
        let large = Content::shared(bytes::Bytes::from(vec![1; LARGE_COPY]));
        let call = backend.write(&path("large"), large, WriteOptions::default());
        assert!(
            matches!(call, Call::Pending(_)),
            "a long copy runs on the pool"
        );
        crate::pool::runtime().block_on(call).unwrap();
    }
}
