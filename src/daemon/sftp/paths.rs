//! Requests about paths.

use bytes::Bytes;

use super::directories::printable;
use super::files::{check_owner, permissions_of_new};
use super::{Door, SymlinkOrder};
use crate::backend::{Attributes, FileStat, Removable, RemoveOptions, RenameOptions};
use crate::call::Call;
use crate::error::{Error, ErrorCode};
use crate::path::RelPath;
use crate::wire::sftp::{Entry, FileAttributes, Request, Response};

/// What a new directory has anyway.
const NEW_DIRECTORY: u32 = 0o755;

impl Door {
    /// Answers a request that is not an extended one.
    pub(super) fn answer(&self, request: Request) -> Call<Response> {
        let workspace = &self.workspace;
        match request {
            Request::Open {
                path,
                flags,
                attributes,
            } => self.open_file(&path, flags, &attributes),
            Request::Close { handle } => self.close(&handle),
            Request::Read {
                handle,
                offset,
                length,
            } => self.read(&handle, offset, length),
            Request::Write {
                handle,
                offset,
                data,
            } => self.write(&handle, offset, data),
            Request::Fstat { handle } => self.stat_open(&handle),
            Request::FsetStat { handle, attributes } => self.set_open(&handle, &attributes),
            Request::OpenDir { path } => self.open_directory(&path),
            Request::ReadDir { handle } => self.read_directory(&handle),
            Request::Lstat { path } => told(workspace.lstat(&path)),
            Request::Stat { path } => told(workspace.stat(&path)),
            Request::SetStat { path, attributes } => self.set(&path, true, &attributes),
            Request::Remove { path } => self.remove(&path, Removable::File),
            Request::RemoveDir { path } => self.remove(&path, Removable::Directory),
            Request::MakeDir { path, attributes } => self.make_directory(path, &attributes),
            Request::RealPath { path } => self.real_path(&path),
            Request::Rename { from, to } => self.rename(&from, &to, true),
            Request::ReadLink { path } => workspace.read_link(&path).map(one_name),
            Request::Symlink { target, link } => match self.symlinks {
                SymlinkOrder::TargetFirst => done(workspace.symlink(&link, &target)),
                SymlinkOrder::LinkFirst => done(workspace.symlink(&target, &link)),
            },
            Request::Extended { .. } => Call::err(Error::new(
                ErrorCode::NotImplemented,
                "the server does not know this extension",
            )),
        }
    }

    /// Changes attributes of what is under a path.
    pub(super) fn set(
        &self,
        path: &[u8],
        follow: bool,
        attributes: &FileAttributes,
    ) -> Call<Response> {
        if let Err(error) = check_owner(attributes) {
            return Call::err(error);
        }
        done((self.workspace).set_attributes(path, follow, attributes.changes()))
    }

    /// Renames; the protocol's own request never replaces, OpenSSH's does as `rename(2)`.
    pub(super) fn rename(&self, from: &[u8], to: &[u8], keep_existing: bool) -> Call<Response> {
        let options = RenameOptions {
            keep_existing,
            existing_parent: true,
        };
        done(self.workspace.rename(from, to, options))
    }

    /// The absolute path, as commands see it, without links. Of what is not there the last part stays as it is. Whoever
    /// may not read is told no more than they said, links and all: SFTP programs ask for the path of `.` before they do
    /// anything, writing too.
    pub(super) fn real_path(&self, path: &[u8]) -> Call<Response> {
        let root = self.workspace.root_dir().to_vec();
        let real = match self.workspace.rights().read {
            true => self.workspace.real_path(path),
            false => RelPath::parse(path, &root).into(),
        };
        real.map(move |path| one_name(path.beneath(&root)))
    }

    /// Removes what is under a path, if it is of the right kind.
    fn remove(&self, path: &[u8], only: Removable) -> Call<Response> {
        let options = RemoveOptions {
            only,
            ..RemoveOptions::default()
        };
        done(self.workspace.remove(path, options))
    }

    /// Creates a directory, less permissive than asked for by the usual umask.
    fn make_directory(&self, path: Bytes, attributes: &FileAttributes) -> Call<Response> {
        let created = self.workspace.create_dir(&path, false);
        let permissions = permissions_of_new(attributes).filter(|bits| *bits != NEW_DIRECTORY);
        let Some(permissions) = permissions else {
            return done(created);
        };
        let workspace = self.workspace.clone();
        let call = created.and_then(move |()| {
            let attributes = Attributes {
                permissions: Some(permissions),
                ..Attributes::default()
            };
            // It is there, whatever becomes of its permissions where a backend has none.
            (workspace.set_attributes(&path, false, attributes)).then(|set| match set {
                Err(error) if error.code() != ErrorCode::NotImplemented => Err(error),
                _ => Ok(()),
            })
        });
        done(call)
    }
}

/// The answer to what gives nothing back.
pub(super) fn done(call: Call<()>) -> Call<Response> {
    call.map(|()| Response::ok())
}

fn told(call: Call<FileStat>) -> Call<Response> {
    call.map(|stat| Response::Attributes((&stat).into()))
}

/// The answer to `REALPATH` and `READLINK`.
pub(super) fn one_name(name: Vec<u8>) -> Response {
    Response::Names(vec![Entry {
        long_name: printable(&name).into(),
        name: name.into(),
        attributes: FileAttributes::default(),
    }])
}
