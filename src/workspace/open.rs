//! Files that stay open, whole files that arrive in pieces, attributes and links. What stays open is asked for again at
//! every call: rights, rules and the workspace itself may have gone since it was opened.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bytes::Bytes;

use super::Workspace;
use super::files::check_file;
use super::permission::{LOOK, Question};
use super::slots::{Bounds, Slot};
use crate::access::Access;
use crate::backend::{
    Attributes, FileStat, OpenFile, OpenOptions, Space, StagedWrite, WriteOptions, WriteOutcome,
};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

impl Workspace {
    /// Opens a file and keeps it open. The access policy's hook is asked once, about `read`, `write` or both; what is
    /// done with the file is not logged.
    ///
    /// Errors: see [`crate::backend::Backend::open`]. Every call on the file fails with `DESTROYED` after
    /// [`Workspace::destroy`], and with `POLICY_DENIED` where the rules say no of the path that was opened.
    pub fn open(&self, path: impl AsRef<[u8]>, options: OpenOptions) -> Call<Arc<dyn OpenFile>> {
        let raw = path.as_ref();
        let has_slash = raw.ends_with(b"/");
        let (workspace, name) = (self.clone(), Arc::from(String::from_utf8_lossy(raw)));
        self.operate_asking(about_open(options), raw, move |backend, path| {
            let usable = options
                .check()
                .and_then(|()| check_file(has_slash, &path))
                .and_then(|()| workspace.take_file());
            let slot = match usable {
                Ok(slot) => slot,
                Err(refused) => return Call::err(refused),
            };
            let opened = backend.open(&path, options);
            opened.map(move |file| {
                Arc::new(Opened {
                    from: Origin {
                        workspace,
                        path,
                        name,
                    },
                    options,
                    file,
                    _slot: slot,
                }) as Arc<dyn OpenFile>
            })
        })
    }

    /// Begins a write whose content arrives in pieces; nothing is seen of it before its commit, and the log has it as
    /// one `write`, then.
    ///
    /// Errors: see [`crate::backend::Backend::stage`]; `LIMIT_EXCEEDED` where too much is on its way already.
    pub fn stage(
        &self,
        path: impl AsRef<[u8]>,
        options: WriteOptions,
    ) -> Call<Arc<dyn StagedWrite>> {
        let raw = path.as_ref();
        let started = self.inner.observer.as_ref().map(|_| Instant::now());
        let parsed = self.parse(WRITE, raw).and_then(|path| {
            check_file(raw.ends_with(b"/"), &path)?;
            Ok(path)
        });
        let from = Origin {
            workspace: self.clone(),
            path: parsed.as_ref().cloned().unwrap_or_default(),
            name: Arc::from(String::from_utf8_lossy(raw)),
        };
        let question = Question::followed(WRITE, Access::Write);
        let workspace = self.clone();
        let staged = self.permitted(question, parsed, move |backend, path| {
            match path.and_then(|path| Ok((path, workspace.take_file()?))) {
                Ok((path, slot)) => (backend.stage(&path, options)).map(|staged| (staged, slot)),
                Err(error) => Call::err(error),
            }
        });
        staged.then(move |staged| match staged {
            Ok((staged, slot)) => Ok(Arc::new(Staged {
                from,
                started,
                staged,
                _slot: slot,
                committed: AtomicBool::new(false),
            }) as Arc<dyn StagedWrite>),
            Err(error) => Err(from.failed(WRITE, started, error)),
        })
    }

    /// Changes attributes; a final link is followed where `follow` is set. A change of size is a `write` to the access
    /// policy's hook. Errors: see [`crate::backend::Backend::set_attributes`].
    pub fn set_attributes(
        &self,
        path: impl AsRef<[u8]>,
        follow: bool,
        attributes: Attributes,
    ) -> Call<()> {
        let asked_as: &[&str] = match attributes.size {
            Some(_) => &[WRITE],
            None => &[],
        };
        let question = Question {
            asked_as,
            follows: follow,
            ..Question::followed("setstat", Access::Write)
        };
        self.operate_asking(question, path.as_ref(), move |backend, path| {
            if path.is_root() && attributes.permissions.is_some() {
                return Call::err(Error::new(
                    ErrorCode::InvalidPath,
                    "the workspace's root keeps its permissions",
                ));
            }
            backend.set_attributes(&path, follow, attributes)
        })
    }

    /// The text of a symbolic link. Errors: see [`crate::backend::Backend::read_link`].
    pub fn read_link(&self, path: impl AsRef<[u8]>) -> Call<Vec<u8>> {
        let look = Access::Stat { directory: false };
        self.operate_named("readlink", look, path.as_ref(), |backend, path| {
            backend.read_link(&path)
        })
    }

    /// Makes a symbolic link with this text. Errors: see [`crate::backend::Backend::symlink`].
    pub fn symlink(&self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Call<()> {
        let target = target.as_ref().to_vec();
        self.operate_named(
            "symlink",
            Access::Write,
            path.as_ref(),
            move |backend, path| backend.symlink(&path, &target),
        )
    }

    /// The one place where it is counted how many files are open.
    fn take_file(&self) -> Result<Slot> {
        let options = &self.inner.options;
        let bounds = Bounds {
            total: options.max_open_files,
            per_tenant: options.max_open_files_per_principal,
        };
        self.inner.held.files.take(&self.inner.tenant, bounds)
    }

    /// How full it is. `NOT_IMPLEMENTED` where nobody knows.
    pub fn space(&self) -> Call<Space> {
        self.operate("statvfs", LOOK, b"", |backend, _| backend.space())
    }
}

/// The verb of a change of content.
const WRITE: &str = "write";

fn about_open(options: OpenOptions) -> Question {
    let (access, also, asked_as): (_, _, &[&str]) = match (options.read, options.changes()) {
        (true, true) => (Access::Write, Some(Access::Read), &["read", WRITE]),
        (false, true) => (Access::Write, None, &[WRITE]),
        (_, false) => (Access::Read, None, &["read"]),
    };
    Question {
        also,
        asked_as,
        ..Question::followed("open", access)
    }
}

/// Where something that is held came from.
#[derive(Debug)]
struct Origin {
    workspace: Workspace,
    path: RelPath,
    /// As the caller wrote it.
    name: Arc<str>,
}

impl Origin {
    fn name(&self, operation: &'static str, error: Error) -> Error {
        error.at(&*self.name).during(operation)
    }

    fn check(&self, operation: &'static str, access: Access) -> Result<()> {
        let allowed = self.workspace.check_held(&self.path, access);
        allowed.map_err(|error| self.name(operation, error))
    }

    /// Names a failure and logs it.
    fn failed(&self, operation: &'static str, started: Option<Instant>, error: Error) -> Error {
        let error = self.name(operation, error);
        (self.workspace).record(operation, &self.name, started, Some(&error));
        error
    }
}

/// An open file with the rules of its workspace.
#[derive(Debug)]
struct Opened {
    from: Origin,
    options: OpenOptions,
    file: Arc<dyn OpenFile>,
    /// Behind the file, which is closed first.
    _slot: Slot,
}

impl Opened {
    /// One call on the file, if it may still be made.
    fn permitted<T: Send + 'static>(
        &self,
        operation: &'static str,
        access: Access,
        act: impl FnOnce(&dyn OpenFile) -> Call<T>,
    ) -> Call<T> {
        if let Err(refused) = self.from.check(operation, access) {
            return Call::err(refused);
        }
        match act(&*self.file) {
            Call::Ready(done) => {
                Call::Ready(done.map_err(|error| self.from.name(operation, error)))
            }
            pending @ Call::Pending(_) => {
                let name = Arc::clone(&self.from.name);
                pending.map_err(move |error| error.at(&*name).during(operation))
            }
        }
    }

    /// What it was opened for: nothing more is needed to ask what it is.
    fn own_access(&self) -> Access {
        match self.options.read {
            true => Access::Read,
            false => Access::Write,
        }
    }
}

impl OpenFile for Opened {
    fn stat(&self) -> Call<FileStat> {
        self.permitted("stat", self.own_access(), |file| file.stat())
    }

    fn read_at(&self, offset: u64, length: usize) -> Call<Bytes> {
        self.permitted("read", Access::Read, |file| {
            match self.options.check_read() {
                Ok(()) => file.read_at(offset, length),
                Err(refused) => Call::err(refused),
            }
        })
    }

    fn write_at(&self, offset: u64, bytes: Bytes) -> Call<()> {
        self.permitted(WRITE, Access::Write, |file| {
            match self.options.check_write() {
                Ok(()) => file.write_at(offset, bytes),
                Err(refused) => Call::err(refused),
            }
        })
    }

    fn set_attributes(&self, attributes: Attributes) -> Call<()> {
        self.permitted("setstat", Access::Write, |file| {
            match self.options.check_write() {
                Ok(()) => file.set_attributes(attributes),
                Err(refused) => Call::err(refused),
            }
        })
    }

    fn sync(&self) -> Call<()> {
        self.permitted("fsync", self.own_access(), |file| file.sync())
    }
}

/// A write in pieces with the rules of its workspace.
#[derive(Debug)]
struct Staged {
    from: Origin,
    started: Option<Instant>,
    staged: Arc<dyn StagedWrite>,
    _slot: Slot,
    committed: AtomicBool,
}

impl Staged {
    /// Whether it goes on: it may still be written, and was not committed.
    fn check(&self, committed: bool) -> Result<()> {
        self.from.check(WRITE, Access::Write)?;
        match committed {
            false => Ok(()),
            true => Err(Error::new(
                ErrorCode::Conflict,
                "the file was committed already; begin another write",
            )),
        }
    }
}

impl StagedWrite for Staged {
    fn append(&self, bytes: Bytes) -> Call<()> {
        if let Err(refused) = self.check(self.committed.load(Ordering::Acquire)) {
            return Call::err(self.from.name(WRITE, refused));
        }
        let name = Arc::clone(&self.from.name);
        (self.staged.append(bytes)).map_err(move |error| error.at(&*name).during(WRITE))
    }

    fn commit(&self) -> Call<WriteOutcome> {
        let committed = match self.check(self.committed.swap(true, Ordering::AcqRel)) {
            Ok(()) => self.staged.commit(),
            Err(refused) => Call::err(refused),
        };
        let from = Origin {
            workspace: self.from.workspace.clone(),
            path: self.from.path.clone(),
            name: Arc::clone(&self.from.name),
        };
        let started = self.started;
        committed.then(move |outcome| match outcome {
            Ok(outcome) => {
                (from.workspace).record(WRITE, &from.name, started, None);
                Ok(outcome)
            }
            Err(error) => Err(from.failed(WRITE, started, error)),
        })
    }
}
