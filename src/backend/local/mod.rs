//! Files in a directory of this machine, confined by the kernel.

mod calls;
pub mod command;
mod commands;
mod guarding;
mod masks;
mod open;
mod options;
mod place;
mod quota;
mod real_path;
mod root;
mod search;
mod space;
mod stage;

use std::os::fd::OwnedFd;
use std::sync::Arc;

pub use options::LocalOptions;
use place::{Effect, Place};
use root::Root;
pub use stage::MAX_STAGED_BYTES;

use super::process::{CommandSpec, Process};
use super::search::{SearchOutcome, SearchRequest};
use super::{
    Attributes, Backend, BackendKind, Capabilities, Content, DirEntry, FileStat, ListOptions,
    OpenFile, OpenOptions, ReadOptions, ReadOutcome, Removable, RemoveOptions, RenameOptions,
    Space, StagedWrite, WriteMode, WriteOptions, WriteOutcome,
};
use crate::access::Guard;
use crate::call::Call;
use crate::error::{ErrorCode, Result};
use crate::path::RelPath;
use crate::status::Status;
pub use crate::sys::linux::beneath::Resolver;
use crate::sys::linux::beneath::{Boundary, How};
use crate::sys::linux::halt::Halt;

/// A directory of this machine as a workspace. The root and all scopes below it share one directory handle.
#[derive(Debug)]
pub struct LocalBackend {
    place: Arc<Place>,
}

impl LocalBackend {
    /// Opens a directory as a root, creating it if missing.
    ///
    /// # Errors
    /// `NOT_A_DIRECTORY` where the path is a file, `PERMISSION_DENIED`, `INVALID_CONFIGURATION` for an empty path.
    pub fn open(options: LocalOptions) -> Result<Arc<Self>> {
        let max_bytes = options.max_bytes;
        let place = Place::new(Root::open(options)?, RelPath::root());
        let place = match max_bytes {
            Some(max_bytes) => place.bounded(max_bytes),
            None => place,
        };
        Ok(Arc::new(Self {
            place: Arc::new(place),
        }))
    }

    /// A handle for reading the entries of a directory (`O_RDONLY | O_DIRECTORY`), opened beneath the scope. May
    /// block: call it on the pool.
    ///
    /// # Errors
    /// `NOT_FOUND`, `NOT_A_DIRECTORY`, `PATH_ESCAPE_ATTEMPT`.
    pub fn open_directory(&self, path: &RelPath) -> Result<OwnedFd> {
        self.place.open_directory(path)
    }

    /// As whom commands of a scope run, which for one whose directory is not there yet is as whom they will. Blocks.
    ///
    /// # Errors
    /// Those of [`command::Launcher::isolation`] and of opening the directory.
    pub fn runs_as(&self, scope: &RelPath) -> Result<command::RunsAs> {
        let mut at = scope.clone();
        loop {
            match self.place.open_directory(&at) {
                Ok(directory) if at == *scope => return self.launcher().runs_as(directory),
                Ok(parent) => return self.launcher().will_run_as(parent),
                Err(error) if error.code() != ErrorCode::NotFound => return Err(error),
                Err(error) => at = at.split_last().ok_or(error)?.0,
            }
        }
    }

    /// Whether commands of several tenants, each in one of these scopes, can run in this root; for a daemon to ask before
    /// it serves. Blocks.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION`, in one line with what to do: the isolation is weaker than `bwrap` (unless `allow_weak`),
    /// or commands of a scope would run as root. Those of [`LocalBackend::runs_as`].
    pub fn serves_several(&self, scopes: &[RelPath], allow_weak: bool) -> Result<()> {
        if self.launcher().isolation().is_err() {
            return Ok(());
        }
        let paths: Vec<Vec<u8>> =
            (scopes.iter().map(|scope| scope.beneath(self.place.path()))).collect();
        let users = scopes.iter().map(|scope| self.runs_as(scope));
        let users = users.collect::<Result<Vec<_>>>()?;
        let scopes: Vec<_> = users
            .into_iter()
            .zip(paths.iter().map(Vec::as_slice))
            .collect();
        self.launcher().serves_several(&scopes, allow_weak)
    }

    /// Asks the access policy about a change before commands are ended for it; where none holds, nothing.
    fn judged(
        &self,
        path: &RelPath,
        judge: impl Fn(&Boundary<'_>, &RelPath, How) -> Result<(), Halt> + Send + Sync + 'static,
    ) -> Call<()> {
        if self.place.guard().is_none() || self.place.launcher().running_count() == 0 {
            return Call::ok(());
        }
        let path = path.clone();
        let inline = self.place.inline_change();
        let work = move |boundary: &Boundary<'_>, how| judge(boundary, &path, how);
        self.place.call(Effect::Reads, inline, work)
    }

    /// Who starts this root's commands; tells the isolation that works here.
    #[must_use]
    pub fn launcher(&self) -> &Arc<command::Launcher> {
        self.place.launcher()
    }
}

impl Backend for LocalBackend {
    fn kind(&self) -> BackendKind {
        BackendKind::LocalFilesystem
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            exec: true,
            posix: true,
        }
    }

    fn root_dir(&self) -> &[u8] {
        self.place.path()
    }

    fn rooted(&self, scope: &RelPath) -> Arc<dyn Backend> {
        Arc::new(Self {
            place: Arc::new(self.place.below(scope)),
        })
    }

    fn bounded(&self, max_bytes: u64) -> Result<Arc<dyn Backend>> {
        Ok(Arc::new(Self {
            place: Arc::new(self.place.bounded(max_bytes)),
        }))
    }

    fn guarded(&self, guard: Arc<dyn Guard>) -> Arc<dyn Backend> {
        Arc::new(Self {
            place: Arc::new(self.place.guarded(guard)),
        })
    }

    fn status(&self) -> Status {
        Status::Connected
    }

    fn read(&self, path: &RelPath, options: ReadOptions) -> Call<ReadOutcome> {
        calls::read(&self.place, path, options)
    }

    fn write(&self, path: &RelPath, content: Content, options: WriteOptions) -> Call<WriteOutcome> {
        let change = quota::Change {
            growth: quota::of_file(content.len() as u64),
            replaces: options.mode != WriteMode::Append,
        };
        let place = Arc::clone(&self.place);
        let at = path.clone();
        quota::within(&self.place, path, change, move || {
            calls::write(&place, &at, content, options)
        })
    }

    fn stat(&self, path: &RelPath, follow: bool) -> Call<FileStat> {
        calls::stat(&self.place, path, follow)
    }

    fn real_path(&self, path: &RelPath) -> Call<RelPath> {
        real_path::real_path(&self.place, path)
    }

    fn list(&self, path: &RelPath, options: ListOptions) -> Call<Vec<DirEntry>> {
        calls::list(&self.place, path, options)
    }

    fn create_dir(&self, path: &RelPath, recursive: bool) -> Call<()> {
        let place = Arc::clone(&self.place);
        let at = path.clone();
        quota::within(&self.place, path, quota::DIRECTORY, move || {
            calls::create_dir(&place, &at, recursive)
        })
    }

    fn remove(&self, path: &RelPath, options: RemoveOptions) -> Call<()> {
        let (place, at) = (Arc::clone(&self.place), path.clone());
        let judged = self.judged(path, move |boundary, path, how| {
            guarding::may_remove(boundary, path, options, how)
        });
        let ending = Arc::clone(&self.place);
        let ended = path.clone();
        let remove = move || {
            let removed = at.beneath(place.path());
            let shrunk = place.quotas().to_vec();
            let launcher = Arc::clone(place.launcher());
            calls::remove(&place, &at, options).then(move |outcome| {
                if outcome.is_ok() {
                    launcher.scope_removed(&removed);
                }
                shrunk.iter().for_each(|quota| quota.may_have_shrunk());
                outcome
            })
        };
        judged.and_then(move |()| match options.only {
            // No scope has its directory there.
            Removable::File => remove(),
            _ => commands::after_ending(&ending, &ended, remove),
        })
    }

    fn rename(&self, from: &RelPath, to: &RelPath, options: RenameOptions) -> Call<()> {
        let (place, at, to) = (Arc::clone(&self.place), from.clone(), to.clone());
        let new_name = to.clone();
        let judged = self.judged(from, move |boundary, from, how| {
            guarding::may_rename(boundary, from, &new_name, how)
        });
        let ending = Arc::clone(&self.place);
        let ended = from.clone();
        let rename = move || {
            let moved = at.beneath(place.path());
            let changed = place.quotas().to_vec();
            let launcher = Arc::clone(place.launcher());
            calls::rename(&place, &at, &to, options).then(move |outcome| {
                if outcome.is_ok() {
                    launcher.scope_renamed(&moved);
                }
                changed.iter().for_each(|quota| quota.is_unknown());
                outcome
            })
        };
        judged.and_then(move |()| commands::after_ending(&ending, &ended, rename))
    }

    fn touch(&self, path: &RelPath) -> Call<()> {
        let place = Arc::clone(&self.place);
        let at = path.clone();
        quota::within(&self.place, path, quota::EMPTY_FILE, move || {
            calls::touch(&place, &at)
        })
    }

    fn open(&self, path: &RelPath, options: OpenOptions) -> Call<Arc<dyn OpenFile>> {
        open::open(&self.place, path, options)
    }

    fn stage(&self, path: &RelPath, options: WriteOptions) -> Call<Arc<dyn StagedWrite>> {
        stage::stage(&self.place, path, options)
    }

    fn set_attributes(&self, path: &RelPath, follow: bool, attributes: Attributes) -> Call<()> {
        open::set_attributes(&self.place, path, follow, attributes)
    }

    fn read_link(&self, path: &RelPath) -> Call<Vec<u8>> {
        open::read_link(&self.place, path)
    }

    fn symlink(&self, path: &RelPath, target: &[u8]) -> Call<()> {
        open::symlink(&self.place, path, target)
    }

    fn space(&self) -> Call<Space> {
        space::space(&self.place)
    }

    fn search(&self, request: SearchRequest) -> Call<SearchOutcome> {
        search::search(&self.place, request)
    }

    fn spawn(&self, command: CommandSpec) -> Call<Process> {
        commands::spawn(&self.place, command)
    }

    fn policy_confines(&self) -> bool {
        matches!(
            self.launcher().isolation(),
            Ok(command::Isolation::Software)
        )
    }

    fn close(&self) -> Call<()> {
        self.place.launcher().end_started_by(self.place.lineage())
    }
}

#[cfg(test)]
mod tests;
