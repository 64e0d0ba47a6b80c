//! Values that arrive in pieces: they wait beside the tree, and count against the bound before they are in it. And how
//! full a store is.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};

use super::store::Place;
use super::tree::{Body, NodeId};
use super::{LARGE_COPY, MemoryBackend};
use crate::backend::{
    Backend as _, Content, Space, StagedWrite, WriteMode, WriteOptions, WriteOutcome,
};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

/// Bytes that may be staged at a time in one store, by all of its scopes together.
pub const MAX_STAGED_BYTES: u64 = 256 << 20;

/// How large the blocks of a store are said to be.
const BLOCK: u64 = 4096;

/// A value on its way.
#[derive(Debug)]
pub(super) struct MemoryStaged {
    backend: MemoryBackend,
    path: RelPath,
    options: WriteOptions,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: BytesMut,
    failed: Option<Error>,
    committed: bool,
    /// Bytes that the store has been told of.
    counted: u64,
}

impl MemoryStaged {
    pub(super) fn new(backend: MemoryBackend, path: RelPath, options: WriteOptions) -> Self {
        Self {
            backend,
            path,
            options,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl super::store::State {
    /// Takes room for a piece of a value that will take the place of another, of so many bytes.
    fn stage(&mut self, more: u64, replaced: usize) -> Result<()> {
        let staged = self.staged.saturating_add(more);
        if staged > MAX_STAGED_BYTES {
            return Err(Error::new(
                ErrorCode::LimitExceeded,
                format!(
                    "at most {MAX_STAGED_BYTES} bytes can be on their way into this store at a time; try again when other writes have ended"
                ),
            ));
        }
        let length = usize::try_from(staged).unwrap_or(usize::MAX);
        self.reserve(length, replaced)?;
        self.staged = staged;
        Ok(())
    }

    /// The length of the value under a path.
    fn length_of(&self, place: Place<'_>) -> usize {
        let node = self.find(place).map(|id| self.tree.node(id));
        match node.map(|node| &node.body) {
            Ok(Body::File { bytes, .. }) => bytes.len(),
            _ => 0,
        }
    }

    /// How full it is; `None` where nothing bounds it.
    pub(super) fn space(&self) -> Option<Space> {
        if self.max_bytes == u64::MAX {
            return None;
        }
        let free = self.max_bytes.saturating_sub(self.used) / BLOCK;
        let files = u64::from(NodeId::MAX);
        Some(Space {
            block_size: BLOCK,
            blocks: self.max_bytes / BLOCK,
            blocks_free: free,
            blocks_available: free,
            files,
            files_free: files - self.tree.len() as u64,
            name_max: 255,
        })
    }
}

impl StagedWrite for MemoryStaged {
    fn append(&self, bytes: Bytes) -> Call<()> {
        let mut state = self.state();
        let admitted = state.check().and_then(|()| {
            (self.backend.store).with(|store| {
                let replaced = match self.options.mode {
                    WriteMode::Append => 0,
                    _ => store.length_of(self.backend.place(&self.path)),
                };
                store.stage(bytes.len() as u64, replaced)
            })
        });
        if let Err(error) = admitted {
            state.failed = Some(error.clone());
            return Call::err(error);
        }
        state.counted += bytes.len() as u64;
        state.bytes.extend_from_slice(&bytes);
        Call::ok(())
    }

    fn commit(&self) -> Call<WriteOutcome> {
        let mut state = self.state();
        if let Err(error) = state.check() {
            return Call::err(error);
        }
        state.committed = true;
        let content = Content::owned(std::mem::take(&mut state.bytes).freeze());
        drop(state);
        let (backend, path) = (self.backend.below(&RelPath::root()), self.path.clone());
        let options = self.options.clone();
        if content.len() < LARGE_COPY {
            return backend.write(&path, content, options);
        }
        // Added to the end of another value it has to be copied.
        Call::blocking(move || backend.write_now(&path, content, &options))
    }
}

impl State {
    fn check(&self) -> Result<()> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.committed => Err(Error::new(
                ErrorCode::Conflict,
                "the file was committed already; begin another write",
            )),
            None => Ok(()),
        }
    }
}

impl Drop for MemoryStaged {
    fn drop(&mut self) {
        let counted = self.state().counted;
        let _ = (self.backend.store).with(|store| {
            store.staged = store.staged.saturating_sub(counted);
            Ok(())
        });
    }
}
