//! Several operations in one call. Where the files are elsewhere that is one round trip for all of them.

use super::{
    Content, DirEntry, FileStat, ListOptions, ReadOptions, ReadOutcome, RemoveOptions,
    RenameOptions, WriteOptions, WriteOutcome,
};

/// Operations of one batch, at most.
pub const MAX_BATCH: usize = 1_000;

/// One operation of a batch, on paths as a caller writes them or as a backend takes them.
#[derive(Clone, Debug)]
pub enum BatchOperation<P = Vec<u8>> {
    /// [`super::Backend::read`].
    Read {
        /// The file.
        path: P,
        /// How.
        options: ReadOptions,
    },
    /// [`super::Backend::write`].
    Write {
        /// The file.
        path: P,
        /// All of it.
        content: Content,
        /// How.
        options: WriteOptions,
    },
    /// [`super::Backend::stat`].
    Stat {
        /// What.
        path: P,
        /// Whether a final link is followed.
        follow: bool,
    },
    /// Whether something is there: [`crate::workspace::Workspace::exists`], of a backend a stat.
    Exists {
        /// What; a final link is followed.
        path: P,
    },
    /// [`super::Backend::list`].
    List {
        /// The directory.
        path: P,
        /// How.
        options: ListOptions,
    },
    /// [`super::Backend::create_dir`].
    CreateDir {
        /// The directory.
        path: P,
        /// Parents too, and an existing one is fine.
        recursive: bool,
    },
    /// [`super::Backend::remove`].
    Remove {
        /// What.
        path: P,
        /// How.
        options: RemoveOptions,
    },
    /// [`super::Backend::rename`].
    Rename {
        /// The old name.
        from: P,
        /// The new one.
        to: P,
        /// How.
        options: RenameOptions,
    },
    /// [`super::Backend::touch`].
    Touch {
        /// The file.
        path: P,
    },
}

/// What came of an operation of a batch.
#[derive(Clone, Debug)]
pub enum BatchOutcome {
    /// Of a read.
    Read(ReadOutcome),
    /// Of a write.
    Written(WriteOutcome),
    /// Of a stat.
    Stat(FileStat),
    /// Of a question whether something is there.
    Exists(bool),
    /// Of a listing.
    List(Vec<DirEntry>),
    /// Of anything else.
    Done,
}

impl<P> BatchOperation<P> {
    /// The path that errors and the log name: of a rename, the old one.
    pub fn path(&self) -> &P {
        match self {
            Self::Read { path, .. }
            | Self::Write { path, .. }
            | Self::Stat { path, .. }
            | Self::Exists { path }
            | Self::List { path, .. }
            | Self::CreateDir { path, .. }
            | Self::Remove { path, .. }
            | Self::Rename { from: path, .. }
            | Self::Touch { path } => path,
        }
    }
}
