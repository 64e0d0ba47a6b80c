//! Requests about what is open.

use bytes::Bytes;

use super::Door;
use super::handles::{InOrder, Open};
use crate::backend::{OpenFile as _, OpenOptions};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::wire::sftp::{FileAttributes, MAX_DATA, OpenFlags, Response, StatusCode};

/// What no client's file gets, whatever it asks for: the usual umask.
const UMASK: u32 = 0o022;

/// The permission bits that something new gets for those that a client asks for.
pub(super) fn permissions_of_new(attributes: &FileAttributes) -> Option<u32> {
    attributes.permissions.map(|bits| bits & 0o777 & !UMASK)
}

impl Door {
    /// Opens a file.
    pub(super) fn open_file(
        &self,
        path: &[u8],
        flags: OpenFlags,
        attributes: &FileAttributes,
    ) -> Call<Response> {
        let slot = match self.table.reserve() {
            Ok(slot) => slot,
            Err(error) => return Call::err(error),
        };
        let write = flags.write || flags.append;
        let options = OpenOptions {
            // As OpenSSH's server has it, what is opened for nothing is opened for reading.
            read: flags.read || !write,
            write,
            append: flags.append,
            create: flags.create,
            create_new: flags.create && flags.exclusive,
            truncate: flags.truncate && write,
            permissions: permissions_of_new(attributes),
        };
        self.workspace.open(path, options).then(move |file| {
            let handle = slot.fill(Open::File(InOrder::new(file?).into()))?;
            Ok(Response::Handle(handle))
        })
    }

    /// Closes a file or directory, behind what was asked about it before.
    pub(super) fn close(&self, handle: &[u8]) -> Call<Response> {
        match self.table.remove(handle) {
            Ok(Open::File(file)) => file.finished().map(|()| Response::ok()),
            Ok(Open::Stage(_) | Open::Directory(_)) => Call::ok(Response::ok()),
            Err(error) => Call::err(error),
        }
    }

    /// Reads; fewer bytes than asked for only at the end of the file, or where that is more than [`MAX_DATA`].
    pub(super) fn read(&self, handle: &[u8], offset: u64, length: u32) -> Call<Response> {
        let length = usize::try_from(length).map_or(MAX_DATA, |length| length.min(MAX_DATA));
        self.with_file(handle, |file| {
            file.read_at(offset, length).map(|bytes| {
                if bytes.is_empty() {
                    Response::status(StatusCode::Eof, "end of file")
                } else {
                    Response::Data(bytes)
                }
            })
        })
    }

    /// Writes to a file, or adds a piece to a write in pieces.
    pub(super) fn write(&self, handle: &[u8], offset: u64, data: Bytes) -> Call<Response> {
        let call = match self.table.get(handle) {
            Ok(Open::File(file)) => file.write_at(offset, data),
            Ok(Open::Stage(stage)) => stage.write_at(offset, data),
            Ok(Open::Directory(_)) => Call::err(Error::new(
                ErrorCode::IsADirectory,
                "a directory cannot be written",
            )),
            Err(error) => Call::err(error),
        };
        call.map(|()| Response::ok())
    }

    /// What is open, or under the path of a directory that is.
    pub(super) fn stat_open(&self, handle: &[u8]) -> Call<Response> {
        let call = match self.table.get(handle) {
            Ok(Open::File(file)) => file.stat(),
            Ok(Open::Directory(listing)) => self.workspace.stat(listing.path()),
            Ok(Open::Stage(_)) => Call::err(Error::new(
                ErrorCode::InvalidPath,
                "a write in pieces is no file yet",
            )),
            Err(error) => Call::err(error),
        };
        call.map(|stat| Response::Attributes((&stat).into()))
    }

    /// Changes attributes of what is open.
    pub(super) fn set_open(&self, handle: &[u8], attributes: &FileAttributes) -> Call<Response> {
        if let Err(error) = check_owner(attributes) {
            return Call::err(error);
        }
        let changes = attributes.changes();
        let call = match self.table.get(handle) {
            Ok(Open::File(file)) => file.set_attributes(changes),
            Ok(Open::Directory(listing)) => {
                self.workspace.set_attributes(listing.path(), true, changes)
            }
            Ok(Open::Stage(_)) => Call::err(Error::new(
                ErrorCode::InvalidPath,
                "a write in pieces is no file yet",
            )),
            Err(error) => Call::err(error),
        };
        call.map(|()| Response::ok())
    }

    /// The next entries of a directory.
    pub(super) fn read_directory(&self, handle: &[u8]) -> Call<Response> {
        match self.table.get(handle) {
            Ok(Open::Directory(listing)) => Call::ok(listing.page()),
            Ok(Open::File(_) | Open::Stage(_)) => Call::err(Error::new(
                ErrorCode::NotADirectory,
                "the handle is none of a directory",
            )),
            Err(error) => Call::err(error),
        }
    }

    /// Does something with an open file.
    pub(super) fn with_file<T: Send + 'static>(
        &self,
        handle: &[u8],
        act: impl FnOnce(&InOrder) -> Call<T>,
    ) -> Call<T> {
        match self.table.opened_file(handle) {
            Ok(file) => act(&file),
            Err(error) => Call::err(error),
        }
    }
}

/// Owners are the workspace's to decide: a request that is about nothing else is refused. Beside other attributes, which
/// copying programs send as they found them, an owner is passed over.
pub(super) fn check_owner(attributes: &FileAttributes) -> Result<()> {
    let is_all = FileAttributes {
        owner: attributes.owner,
        ..FileAttributes::default()
    };
    if attributes.owner.is_none() || *attributes != is_all {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::NotImplemented,
        "owners cannot be changed",
    ))
}
