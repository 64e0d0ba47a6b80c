//! The backend over a connection: each call is one operation on the other side, where the root's boundary is.

use std::sync::Arc;
use std::time::Duration;

use super::connection::Connection;
use super::shared::{RootOptions, Shared};
use super::{Connector, guarding};
use crate::access::{Access, Guard};
use crate::backend::process::{CommandSpec, Process};
use crate::backend::search::{SearchOutcome, SearchRequest};
use crate::backend::{
    Attributes, Backend, BackendKind, BatchOperation, BatchOutcome, Capabilities, Content,
    DirEntry, Edit, EditOptions, EditOutcome, FileStat, ListOptions, OpenFile, OpenOptions,
    ReadOptions, ReadOutcome, RemoveOptions, RenameOptions, Space, StagedWrite, WriteOptions,
    WriteOutcome,
};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::status::Status;
use crate::wire::operations::{Answer, Operation};

/// Copying more than this takes a millisecond or more: not on the caller's thread, which may be an event loop.
const LARGE_COPY: usize = 1 << 20;

/// A directory of another machine, or a scope of it.
///
/// Reads are asked once more where the connection ends before they are answered; writes and commands are not, since
/// they may have been done: they fail with `CONNECTION_CLOSED`.
#[derive(Clone, Debug)]
pub struct RemoteBackend {
    pub(super) shared: Arc<Shared>,
    /// Below the root.
    pub(super) scope: RelPath,
    root_dir: Vec<u8>,
    /// Whether closing this ends the connection.
    owns_connection: bool,
    pub(super) guard: Option<Arc<dyn Guard>>,
}

impl RemoteBackend {
    /// A backend over connections that are made when they are needed.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` where `root_dir` is not absolute.
    pub fn new(connector: Arc<dyn Connector>, options: RootOptions) -> Result<Arc<Self>> {
        let mut root_dir = options.root_dir;
        if root_dir.first() != Some(&b'/') || root_dir.contains(&0) {
            return Err(Error::new(
                ErrorCode::InvalidConfiguration,
                "`rootDir` of a remote backend must be an absolute path on the other machine",
            ));
        }
        while root_dir.len() > 1 && root_dir.ends_with(b"/") {
            root_dir.pop();
        }
        Ok(Arc::new(Self {
            shared: Arc::new(Shared::new(
                connector,
                root_dir.clone(),
                options.operation_timeout,
            )),
            scope: RelPath::root(),
            root_dir,
            owns_connection: true,
            guard: None,
        }))
    }

    /// A backend over a connection, with the root and the time limit of its options.
    ///
    /// # Errors
    /// Those of [`RemoteBackend::new`].
    pub fn over(connection: &Arc<Connection>) -> Result<Arc<Self>> {
        let options = connection.options();
        let limit = options.operation_timeout_ms;
        let root = RootOptions {
            root_dir: options.root_dir.clone(),
            operation_timeout: (limit > 0).then(|| Duration::from_millis(limit)),
        };
        Self::new(Arc::clone(connection) as _, root)
    }

    fn below(&self, scope: &RelPath) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            scope: self.scope.join(scope),
            root_dir: scope.beneath(&self.root_dir),
            owns_connection: false,
            guard: self.guard.clone(),
        }
    }

    /// Does something after the guard, where there is one, has been asked about a path.
    fn judged<T: Send + 'static>(
        &self,
        path: &RelPath,
        access: Access,
        follow: bool,
        act: impl FnOnce(&Self) -> Call<T> + Send + 'static,
    ) -> Call<T> {
        match &self.guard {
            None => act(self),
            Some(_) => {
                let (backend, path) = (self.clone(), path.clone());
                Call::pending(async move {
                    guarding::check(&backend, &path, access, follow).await?;
                    act(&backend).await
                })
            }
        }
    }

    fn done(&self, path: &RelPath, operation: Operation) -> Call<()> {
        self.once(path, operation, |answer| match answer {
            Answer::Done => Some(()),
            _ => None,
        })
    }

    fn write_owned(
        &self,
        path: &RelPath,
        content: Content,
        options: WriteOptions,
    ) -> Call<WriteOutcome> {
        let operation = Operation::Write {
            path: path.clone(),
            content: content.into_owned(),
            options,
        };
        self.once(path, operation, |answer| match answer {
            Answer::Written(outcome) => Some(outcome),
            _ => None,
        })
    }
}

impl Backend for RemoteBackend {
    fn kind(&self) -> BackendKind {
        BackendKind::RemoteFilesystem
    }

    /// As the other side said when it was last connected; before that everything.
    fn capabilities(&self) -> Capabilities {
        self.shared.capabilities()
    }

    fn root_dir(&self) -> &[u8] {
        &self.root_dir
    }

    fn rooted(&self, scope: &RelPath) -> Arc<dyn Backend> {
        Arc::new(self.below(scope))
    }

    fn bounded(&self, _max_bytes: u64) -> Result<Arc<dyn Backend>> {
        Err(Error::new(
            ErrorCode::NotImplemented,
            "maxBytes: only the daemon can bound what is on its disk; start it with --max-bytes",
        ))
    }

    /// Rules are judged here by the path that the other side says it really is, asked for before each operation, which
    /// costs a round trip and leaves a moment between the answer and the use. Rules that must hold against whoever
    /// works there belong to the daemon (`--policy-file`).
    fn guarded(&self, guard: Arc<dyn Guard>) -> Arc<dyn Backend> {
        Arc::new(Self {
            guard: Some(guard),
            ..self.clone()
        })
    }

    fn status(&self) -> Status {
        self.shared.connector.status()
    }

    fn read(&self, path: &RelPath, options: ReadOptions) -> Call<ReadOutcome> {
        let at = path.clone();
        self.judged(path, Access::Read, true, move |backend| {
            let operation = Operation::Read {
                path: at.clone(),
                options,
            };
            backend.repeatable(&at, operation, |answer| match answer {
                Answer::Read { outcome, .. } => Some(outcome),
                _ => None,
            })
        })
    }

    fn write(&self, path: &RelPath, content: Content, options: WriteOptions) -> Call<WriteOutcome> {
        let at = path.clone();
        if content.is_shared() && content.len() > LARGE_COPY {
            let backend = self.clone();
            let owned = Call::blocking(move || Ok(Content::owned(content.into_owned())));
            return owned.and_then(move |content| backend.write(&at, content, options));
        }
        self.judged(path, Access::Write, true, move |backend| {
            backend.write_owned(&at, content, options)
        })
    }

    fn stat(&self, path: &RelPath, follow: bool) -> Call<FileStat> {
        let at = path.clone();
        // What it is nobody knows before it is asked: as a directory less of it is told.
        let access = Access::Stat { directory: true };
        self.judged(path, access, follow, move |backend| {
            let operation = Operation::Stat {
                path: at.clone(),
                follow,
            };
            backend.repeatable(&at, operation, |answer| match answer {
                Answer::Stat(stat) => Some(stat),
                _ => None,
            })
        })
    }

    fn real_path(&self, path: &RelPath) -> Call<RelPath> {
        let operation = Operation::RealPath { path: path.clone() };
        self.repeatable(path, operation, |answer| match answer {
            Answer::RealPath(path) => Some(path),
            _ => None,
        })
    }

    fn list(&self, path: &RelPath, options: ListOptions) -> Call<Vec<DirEntry>> {
        if self.guard.is_some() {
            return guarding::list(self, path, options);
        }
        self.list_all(path, options)
    }

    fn create_dir(&self, path: &RelPath, recursive: bool) -> Call<()> {
        let at = path.clone();
        self.judged(path, Access::Write, true, move |backend| {
            let path = at.clone();
            backend.done(&at, Operation::CreateDir { path, recursive })
        })
    }

    fn remove(&self, path: &RelPath, options: RemoveOptions) -> Call<()> {
        let operation = Operation::Remove {
            path: path.clone(),
            options,
        };
        if self.guard.is_none() {
            return self.done(path, operation);
        }
        let (backend, path) = (self.clone(), path.clone());
        Call::pending(async move {
            guarding::check_removal(&backend, &path, options.recursive).await?;
            backend.done(&path, operation).await
        })
    }

    fn rename(&self, from: &RelPath, to: &RelPath, options: RenameOptions) -> Call<()> {
        let operation = Operation::Rename {
            from: from.clone(),
            to: to.clone(),
            options,
        };
        if self.guard.is_none() {
            return self.done(from, operation);
        }
        let (backend, from, to) = (self.clone(), from.clone(), to.clone());
        Call::pending(async move {
            guarding::check_rename(&backend, &from, &to).await?;
            backend.done(&from, operation).await
        })
    }

    fn touch(&self, path: &RelPath) -> Call<()> {
        let at = path.clone();
        self.judged(path, Access::Write, true, move |backend| {
            backend.done(&at, Operation::Touch { path: at.clone() })
        })
    }

    fn open(&self, path: &RelPath, options: OpenOptions) -> Call<Arc<dyn OpenFile>> {
        let at = path.clone();
        let writes = options.write || options.append || options.create || options.truncate;
        let access = if writes { Access::Write } else { Access::Read };
        self.judged(path, access, true, move |backend| {
            backend.on_link(&at.clone(), move |link, scope| {
                link.open(scope, &at, options)
            })
        })
    }

    fn stage(&self, path: &RelPath, options: WriteOptions) -> Call<Arc<dyn StagedWrite>> {
        let at = path.clone();
        self.judged(path, Access::Write, true, move |backend| {
            backend.on_link(&at.clone(), move |link, scope| {
                link.stage(scope, &at, options)
            })
        })
    }

    fn set_attributes(&self, path: &RelPath, follow: bool, attributes: Attributes) -> Call<()> {
        let at = path.clone();
        self.judged(path, Access::Write, follow, move |backend| {
            let operation = Operation::SetAttributes {
                path: at.clone(),
                follow,
                attributes,
            };
            backend.done(&at, operation)
        })
    }

    fn read_link(&self, path: &RelPath) -> Call<Vec<u8>> {
        let at = path.clone();
        let access = Access::Stat { directory: false };
        self.judged(path, access, false, move |backend| {
            let operation = Operation::ReadLink { path: at.clone() };
            backend.repeatable(&at, operation, |answer| match answer {
                Answer::Link(text) => Some(text),
                _ => None,
            })
        })
    }

    fn symlink(&self, path: &RelPath, target: &[u8]) -> Call<()> {
        let (at, target) = (path.clone(), target.to_vec());
        self.judged(path, Access::Write, false, move |backend| {
            let path = at.clone();
            backend.done(&at, Operation::Symlink { path, target })
        })
    }

    fn space(&self) -> Call<Space> {
        self.repeatable(&RelPath::root(), Operation::Space, |answer| match answer {
            Answer::Space(space) => Some(space),
            _ => None,
        })
    }

    fn search(&self, request: SearchRequest) -> Call<SearchOutcome> {
        if self.guard.is_some() {
            return guarding::search(self, request);
        }
        self.search_all(request)
    }

    fn edit(
        &self,
        path: &RelPath,
        edits: &[Edit],
        options: &EditOptions,
    ) -> Option<Call<EditOutcome>> {
        // Both the reading and the writing would have to be judged.
        match self.guard {
            Some(_) => None,
            None => self.edit_there(path, edits, options),
        }
    }

    fn batch(
        &self,
        operations: Vec<BatchOperation<RelPath>>,
    ) -> Option<Call<Vec<Result<BatchOutcome>>>> {
        // Each path would have to be asked for before.
        if self.guard.is_some() {
            return None;
        }
        Some(self.batch_all(operations))
    }

    fn spawn(&self, command: CommandSpec) -> Call<Process> {
        let cwd = command.cwd.clone();
        if let Some(refused) = guarding::refuses_commands(self) {
            return Call::err(refused);
        }
        self.judged(&cwd, Access::Exec, true, move |backend| {
            backend.start(command)
        })
    }

    fn close(&self) -> Call<()> {
        if self.owns_connection {
            let closing = self.shared.connector.close();
            return Call::pending(async move {
                closing.await;
                Ok(())
            });
        }
        self.end_commands()
    }
}
