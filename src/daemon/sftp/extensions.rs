//! The extensions of OpenSSH that SFTP programs use.

use bytes::Bytes;

use super::Door;
use super::handles::MAX_OPEN;
use super::paths::{done, one_name};
use crate::backend::OpenFile as _;
use crate::call::Call;
use crate::error::{Error, ErrorCode};
use crate::wire::sftp::{
    Extended, MAX_DATA, MAX_PACKET, Response, ServerLimits, VfsStatistics, name,
};

/// What `SSH_FXP_VERSION` names besides our own operations. Hard links are not among them: a second name of a file would
/// go around rules of access that go by name.
pub(super) const ANNOUNCED: [(&[u8], &[u8]); 8] = [
    (name::POSIX_RENAME, b"1"),
    (name::STATVFS, b"2"),
    (name::FSTATVFS, b"2"),
    (name::FSYNC, b"1"),
    (name::LSETSTAT, b"1"),
    (name::LIMITS, b"1"),
    (name::EXPAND_PATH, b"1"),
    (name::HOME_DIRECTORY, b"1"),
];

impl Door {
    /// Answers an extended request that is not of our own.
    pub(super) fn answer_extended(&self, request: Extended) -> Call<Response> {
        match request {
            Extended::PosixRename { from, to } => self.rename(&from, &to, false),
            Extended::StatVfs { path } => {
                let door = self.clone();
                // What is not there, or may not be named, is on no file system.
                (self.workspace.stat(&path)).and_then(move |_| door.space())
            }
            Extended::FstatVfs { handle } => match self.table.get(&handle) {
                Ok(_) => self.space(),
                Err(error) => Call::err(error),
            },
            Extended::Fsync { handle } => done(self.with_file(&handle, |file| file.sync())),
            Extended::LsetStat { path, attributes } => self.set(&path, false, &attributes),
            Extended::Limits => Call::ok(Response::ExtendedReply(limits())),
            Extended::ExpandPath { path } => self.expand_path(&path),
            // Whoever it is, home is the root.
            Extended::HomeDirectory { .. } => {
                Call::ok(one_name(self.workspace.root_dir().to_vec()))
            }
            Extended::HardLink { .. } => unsupported("hard links cannot be made"),
            Extended::Operation(_) | Extended::Cancel { .. } | Extended::Unknown => {
                unsupported("the server does not know this extension")
            }
        }
    }

    fn space(&self) -> Call<Response> {
        let call = self.workspace.space();
        call.map(|space| Response::ExtendedReply(VfsStatistics(space).encode()))
    }

    /// `~` is the root; another's home is not here.
    fn expand_path(&self, path: &[u8]) -> Call<Response> {
        match path.strip_prefix(b"~") {
            Some(b"") => self.real_path(b""),
            Some([b'/', rest @ ..]) => {
                let start = rest.iter().position(|byte| *byte != b'/');
                self.real_path(start.map_or(b"", |start| &rest[start..]))
            }
            Some(_) => Call::err(Error::new(
                ErrorCode::NotFound,
                "nobody else is at home here",
            )),
            None => self.real_path(path),
        }
    }
}

fn limits() -> Bytes {
    let bytes = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    ServerLimits {
        max_packet: bytes(MAX_PACKET),
        // With its header an answer of more is longer than the 256 KiB that ssh2 takes, which then waits for ever.
        max_read: bytes(MAX_DATA - 1024),
        max_write: bytes(MAX_DATA - 1024),
        max_handles: bytes(MAX_OPEN),
    }
    .encode()
}

fn unsupported(message: &str) -> Call<Response> {
    Call::err(Error::new(ErrorCode::NotImplemented, message))
}
