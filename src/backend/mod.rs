//! What holds a workspace's files. `Workspace` is the only caller: paths arrive parsed, policy is already applied.

mod batch;
mod content;
mod edit;
mod file;
mod keys;
pub mod limits;
pub mod local;
pub mod memory;
mod open;
pub mod process;
pub mod remote;
pub mod search;

use std::fmt;
use std::sync::Arc;

pub use batch::{BatchOperation, BatchOutcome, MAX_BATCH};
pub use content::Content;
pub use edit::{Edit, EditOptions, EditOutcome};
pub use file::{
    DirEntry, Durability, Etag, FileKind, FileStat, ListOptions, ReadOptions, ReadOutcome,
    Removable, RemoveOptions, RenameOptions, WriteMode, WriteOptions, WriteOutcome,
};
pub use keys::{KeyStore, Keys};
pub use open::{Attributes, OpenFile, OpenOptions, Space, StagedWrite};
use serde::{Deserialize, Serialize};

use crate::access::Guard;
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::status::Status;

/// The kinds of backend; the text forms are those of the published `BackendType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BackendKind {
    /// A directory of this machine.
    LocalFilesystem,
    /// A directory of another machine.
    RemoteFilesystem,
    /// An ordered map in this process.
    Memory,
}

impl BackendKind {
    /// The text form of the public API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            BackendKind::LocalFilesystem => "local-filesystem",
            BackendKind::RemoteFilesystem => "remote-filesystem",
            BackendKind::Memory => "memory",
        }
    }
}

/// What a backend can do beyond files, so that doors offer only what will work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Commands can be run.
    pub exec: bool,
    /// Modes, owners and symbolic links exist.
    pub posix: bool,
}

/// A tree of files beneath one root.
///
/// Every implementation keeps the same behaviours; `tests/behaviour` states them once and runs them against all.
/// Re-rooting ([`Backend::rooted`]) gives the same kind of backend with a deeper root, so a scope's boundary is
/// enforced by whatever enforces the root's.
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// Which kind this is.
    fn kind(&self) -> BackendKind;

    /// What it can do beyond files.
    fn capabilities(&self) -> Capabilities;

    /// The absolute path of the root, as callers see it; bytes, without a trailing slash unless it is `/`.
    fn root_dir(&self) -> &[u8];

    /// The same backend beneath a directory. Touches nothing: the directory is created by the first write, holds no
    /// descriptor, and is never reached through a symbolic link.
    fn rooted(&self, scope: &RelPath) -> Arc<dyn Backend>;

    /// The same root with a bound on the bytes that everything below it may take, besides those that hold already:
    /// what would exceed it is `QUOTA_EXCEEDED`.
    ///
    /// Errors: `NOT_IMPLEMENTED` where it cannot bound them.
    fn bounded(&self, max_bytes: u64) -> Result<Arc<dyn Backend>> {
        let _ = max_bytes;
        Err(Error::new(
            ErrorCode::NotImplemented,
            format!(
                "maxBytes: a {} backend cannot bound a scope",
                self.kind().as_str()
            ),
        ))
    }

    /// The same backend in the same place, which asks about everything that it opens, creates, moves, removes or tells,
    /// by the path below the root workspace that it really has, before it does anything with it. What is re-rooted from
    /// it asks likewise.
    fn guarded(&self, guard: Arc<dyn Guard>) -> Arc<dyn Backend>;

    /// Whether it can be used.
    fn status(&self) -> Status;

    /// Reads a file, or a range of it, with what `stat` would say of it.
    ///
    /// Errors: `NOT_FOUND`, `IS_A_DIRECTORY`, `INVALID_PATH` (a device, socket or FIFO), `TOO_LARGE` (more than
    /// [`ReadOptions::max_bytes`]), `PATH_ESCAPE_ATTEMPT` (a link leads out).
    fn read(&self, path: &RelPath, options: ReadOptions) -> Call<ReadOutcome>;

    /// Writes a file; missing parent directories are created. A reader sees the old content or the new, never a mix,
    /// except with [`WriteMode::Append`].
    ///
    /// Errors: `IS_A_DIRECTORY`, `NOT_A_DIRECTORY` (a parent is a file), `ALREADY_EXISTS` ([`WriteMode::CreateNew`]),
    /// `CONFLICT` (the etag differs), `NO_SPACE`, `TOO_LARGE`, `INVALID_PATH` (the root, or a device).
    fn write(&self, path: &RelPath, content: Content, options: WriteOptions) -> Call<WriteOutcome>;

    /// What is under a path; a final symbolic link is followed where `follow` is set (and it stays inside).
    fn stat(&self, path: &RelPath, follow: bool) -> Call<FileStat>;

    /// The path without links that leads to the same place; of what is not there, the last part stays as it is. For
    /// telling, not for opening: it may be out of date when it arrives.
    ///
    /// Errors: `NOT_A_DIRECTORY` (a parent is a file), `PATH_ESCAPE_ATTEMPT`.
    fn real_path(&self, path: &RelPath) -> Call<RelPath> {
        Call::ok(path.clone())
    }

    /// The entries of a directory, sorted by name in byte order; links are reported, not followed.
    fn list(&self, path: &RelPath, options: ListOptions) -> Call<Vec<DirEntry>>;

    /// Creates a directory. With `recursive`, missing parents too, and an existing directory is fine.
    fn create_dir(&self, path: &RelPath, recursive: bool) -> Call<()>;

    /// Removes a file, a link (never what it points to) or a directory.
    ///
    /// Errors: `NOT_FOUND` unless `force`, `NOT_EMPTY` unless `recursive`, `INVALID_PATH` for the root, `IS_A_DIRECTORY` or
    /// `NOT_A_DIRECTORY` by [`RemoveOptions::only`].
    fn remove(&self, path: &RelPath, options: RemoveOptions) -> Call<()>;

    /// Renames a file or directory, replacing a file (or an empty directory by a directory). Missing parents of the
    /// target are created, unless `existing_parent` is set; onto itself it does nothing. With `keep_existing` nothing is
    /// replaced, and of several calls for one target at most one succeeds.
    ///
    /// Errors: `NOT_FOUND`, `IS_A_DIRECTORY`, `NOT_A_DIRECTORY`, `NOT_EMPTY`, `INVALID_PATH` (the root, or a directory
    /// into itself), `ALREADY_EXISTS` ([`RenameOptions::keep_existing`]; also onto itself).
    fn rename(&self, from: &RelPath, to: &RelPath, options: RenameOptions) -> Call<()>;

    /// Creates an empty file where there is none, else sets access and modification time to now. Never truncates.
    fn touch(&self, path: &RelPath) -> Call<()>;

    /// Opens a file and keeps it open.
    ///
    /// Errors: as [`Backend::read`] and [`Backend::write`]; `NOT_IMPLEMENTED` where files cannot stay open.
    fn open(&self, path: &RelPath, options: OpenOptions) -> Call<Arc<dyn OpenFile>> {
        let _ = (path, options);
        Call::err(self.cannot("keep files open"))
    }

    /// Begins a [`Backend::write`] whose content arrives in pieces.
    ///
    /// Errors: `NOT_IMPLEMENTED`; what the place is like is found out by the commit.
    fn stage(&self, path: &RelPath, options: WriteOptions) -> Call<Arc<dyn StagedWrite>> {
        let _ = (path, options);
        Call::err(self.cannot("take a file in pieces"))
    }

    /// Changes attributes of what is under a path; a final link is followed where `follow` is set.
    fn set_attributes(&self, path: &RelPath, follow: bool, attributes: Attributes) -> Call<()> {
        let _ = (path, follow, attributes);
        Call::err(self.cannot("change attributes"))
    }

    /// The text of a symbolic link.
    ///
    /// Errors: `NOT_FOUND`, `INVALID_PATH` where it is no link.
    fn read_link(&self, path: &RelPath) -> Call<Vec<u8>> {
        let _ = path;
        Call::err(self.cannot("read links"))
    }

    /// Makes a symbolic link with this text; where it leads is judged whenever it is followed.
    ///
    /// Errors: `ALREADY_EXISTS`, `NOT_FOUND` (the parent), `INVALID_PATH` (an empty text, or one with NUL).
    fn symlink(&self, path: &RelPath, target: &[u8]) -> Call<()> {
        let _ = (path, target);
        Call::err(self.cannot("make links"))
    }

    /// How full it is.
    fn space(&self) -> Call<Space> {
        Call::err(self.cannot("tell how full it is"))
    }

    /// Finds files by name or content, where the files are. Bounded and cancellable.
    fn search(&self, request: search::SearchRequest) -> Call<search::SearchOutcome>;

    /// Several operations, one after another, each with its own outcome whatever became of those before it. `None`
    /// where calls for themselves cost no more.
    fn batch(
        &self,
        operations: Vec<BatchOperation<RelPath>>,
    ) -> Option<Call<Vec<Result<BatchOutcome>>>> {
        let _ = operations;
        None
    }

    /// Its key/value side, where it has one.
    fn key_store(&self) -> Option<&dyn KeyStore> {
        None
    }

    /// Replaces texts in a file where it is, in one call, as [`crate::workspace::Workspace::edit`] says; `None` where the
    /// front has to read and write for that.
    fn edit(
        &self,
        path: &RelPath,
        edits: &[Edit],
        options: &EditOptions,
    ) -> Option<Call<EditOutcome>> {
        let _ = (path, edits, options);
        None
    }

    /// Starts a command. `NOT_IMPLEMENTED` where [`Capabilities::exec`] is not set.
    fn spawn(&self, command: process::CommandSpec) -> Call<process::Process> {
        let _ = command;
        Call::err(self.cannot("run commands; use a local or remote filesystem backend"))
    }

    /// The refusal of what this kind of backend does not do.
    fn cannot(&self, what: &str) -> Error {
        let kind = self.kind().as_str();
        Error::new(
            ErrorCode::NotImplemented,
            format!("a {kind} backend cannot {what}"),
        )
    }

    /// Whether nothing but the command policy keeps commands from writing outside the root, so that it must refuse
    /// what names a path there. May block while the backend finds out what works.
    fn policy_confines(&self) -> bool {
        false
    }

    /// Ends everything that runs and frees what the root holds. Idempotent; closing a re-rooted backend ends only
    /// what was started through that one.
    fn close(&self) -> Call<()>;
}
