//! Files in an ordered map of this process: fast state for agents and tests, with the semantics of a disk.

mod entries;
mod guarding;
mod index;
mod keys;
mod open;
mod search;
mod stage;
mod store;
mod tree;
mod values;

use std::sync::Arc;

use keys::Prefix;
pub use open::MAX_OPEN_BYTES;
pub use stage::MAX_STAGED_BYTES;
use stage::MemoryStaged;
use store::{Place, Store, is_a_directory};

use super::search::{SearchOutcome, SearchRequest};
use super::{
    Attributes, Backend, BackendKind, Capabilities, Content, DirEntry, FileStat, KeyStore, Keys,
    ListOptions, OpenFile, OpenOptions, ReadOptions, ReadOutcome, RemoveOptions, RenameOptions,
    Space, StagedWrite, WriteOptions, WriteOutcome,
};
use crate::access::{Access, Guard};
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
    /// Who judges paths; `None` where no access policy holds.
    guard: Option<Arc<dyn Guard>>,
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
            guard: None,
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
            guard: self.guard.clone(),
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
        self.with(path, Access::Write, |state| {
            state.write(self.place(path), value, options)
        })
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

    fn guarded(&self, guard: Arc<dyn Guard>) -> Arc<dyn Backend> {
        Arc::new(Self {
            guard: Some(guard),
            owns_store: self.owns_store,
            ..self.below(&RelPath::root())
        })
    }

    fn status(&self) -> Status {
        if self.store.is_closed() {
            Status::Destroyed
        } else {
            Status::Connected
        }
    }

    fn read(&self, path: &RelPath, options: ReadOptions) -> Call<ReadOutcome> {
        self.with(path, Access::Read, |state| {
            state.read(self.place(path), &options)
        })
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
        self.with_judge(|judge, state| {
            if let Some(judge) = judge {
                judge.check_stat(state, path)?;
            }
            state.find(self.place(path)).map(|id| state.stat(id))
        })
        .into()
    }

    fn list(&self, path: &RelPath, options: ListOptions) -> Call<Vec<DirEntry>> {
        self.with_judge(|judge, state| {
            let Some(judge) = judge else {
                return state.list(self.place(path), options);
            };
            judge.check(state, path, Access::List)?;
            let mut entries = state.list(self.place(path), options)?;
            judge.leave_out_hidden(path, &mut entries);
            Ok(entries)
        })
        .into()
    }

    fn create_dir(&self, path: &RelPath, recursive: bool) -> Call<()> {
        self.with(path, Access::Write, |state| {
            state.create_dir(self.place(path), recursive)
        })
        .into()
    }

    fn remove(&self, path: &RelPath, options: RemoveOptions) -> Call<()> {
        self.with_judge(|judge, state| {
            if let Some(judge) = judge {
                judge.check_removal(state, path, options.recursive)?;
            }
            state.remove_entry(self.place(path), options)
        })
        .into()
    }

    fn rename(&self, from: &RelPath, to: &RelPath, options: RenameOptions) -> Call<()> {
        self.with_judge(|judge, state| {
            if let Some(judge) = judge {
                judge.check_rename(state, from, to)?;
            }
            state.rename(self.place(from), self.place(to), options)
        })
        .into()
    }

    fn touch(&self, path: &RelPath) -> Call<()> {
        self.with(path, Access::Write, |state| state.touch(self.place(path)))
            .into()
    }

    /// A value that is changed in parts has at most [`MAX_OPEN_BYTES`].
    fn open(&self, path: &RelPath, options: OpenOptions) -> Call<Arc<dyn OpenFile>> {
        let opened = self.open_now(path, options);
        opened
            .map(|file| Arc::new(file) as Arc<dyn OpenFile>)
            .into()
    }

    /// All that is staged together has at most [`MAX_STAGED_BYTES`].
    fn stage(&self, path: &RelPath, options: WriteOptions) -> Call<Arc<dyn StagedWrite>> {
        let here = self.below(&RelPath::root());
        Call::ok(Arc::new(MemoryStaged::new(here, path.clone(), options)))
    }

    /// Permissions are kept and told, as [`Backend::write`] does; they forbid nothing here.
    fn set_attributes(&self, path: &RelPath, _follow: bool, attributes: Attributes) -> Call<()> {
        let (here, path) = (self.below(&RelPath::root()), path.clone());
        let work = move || {
            here.with(&path, Access::Write, |state| {
                state.set_attributes(here.place(&path), attributes)
            })
        };
        match attributes.size {
            None => Call::Ready(work()),
            Some(_) => Call::blocking(work),
        }
    }

    /// Made up from the bound; `NOT_IMPLEMENTED` without one.
    fn space(&self) -> Call<Space> {
        match self.store.with(|state| Ok(state.space())) {
            Ok(Some(space)) => Call::ok(space),
            Ok(None) => Call::err(self.cannot("tell how full it is, without `maxBytes`")),
            Err(error) => Call::err(error),
        }
    }

    fn search(&self, request: SearchRequest) -> Call<SearchOutcome> {
        // Compiling the pattern and looking through the values takes as long as they ask for.
        let backend = self.below(&RelPath::root());
        Call::blocking(move || {
            let entries = backend.with_judge(|judge, state| {
                if let Some(judge) = judge {
                    judge.check_base(state, &request.base)?;
                }
                let mut entries = state.snapshot(&backend.scope, &request.base)?;
                if request.respect_gitignore {
                    entries.extend(state.ignore_files_above(&backend.scope, &request.base));
                }
                if let Some(judge) = judge {
                    judge.leave_out_entries(&mut entries);
                }
                Ok(entries)
            })?;
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
    fn list_keys(&self, prefix: &[u8]) -> Call<Keys> {
        Prefix::parse(prefix, &self.root_dir)
            .and_then(|prefix| {
                self.with_judge(|judge, state| {
                    let keys = state.list_keys(&self.scope, &prefix);
                    Ok(match judge {
                        Some(judge) => judge.visible(&keys),
                        None => keys,
                    })
                })
            })
            .into()
    }

    fn delete_key(&self, key: &RelPath) -> Call<bool> {
        self.with(key, Access::Write, |state| {
            Ok(state.delete_key(self.place(key)))
        })
        .into()
    }

    fn clear(&self) -> Call<()> {
        self.with_judge(|judge, state| {
            if let Some(judge) = judge {
                judge.check_clear(state)?;
            }
            state.clear(&self.scope);
            Ok(())
        })
        .into()
    }
}

#[cfg(test)]
mod tests;
