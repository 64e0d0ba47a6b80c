//! What errors of the operating system mean.

use rustix::io::Errno;

use super::{Error, ErrorCode, Limit};

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        let (code, message) = classify(&error);
        let limit = match Errno::from_io_error(&error) {
            Some(Errno::MFILE | Errno::NFILE) => Some(Limit::Files),
            Some(Errno::NOMEM) => Some(Limit::Memory),
            _ => None,
        };
        let classified = Error::new(code, message).with_source(error);
        match limit {
            Some(limit) => classified.with_limit(limit),
            None => classified,
        }
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        std::io::Error::from(errno).into()
    }
}

/// The cause and the words for an error of the operating system.
fn classify(error: &std::io::Error) -> (ErrorCode, String) {
    let Some(errno) = Errno::from_io_error(error) else {
        return (ErrorCode::IoError, error.to_string());
    };
    let (code, text) = match errno {
        Errno::NOENT => (ErrorCode::NotFound, "no such file or directory"),
        Errno::EXIST => (ErrorCode::AlreadyExists, "it already exists"),
        Errno::NOTDIR => (
            ErrorCode::NotADirectory,
            "a part of the path is not a directory",
        ),
        Errno::ISDIR => (ErrorCode::IsADirectory, "it is a directory, not a file"),
        Errno::NOTEMPTY => (
            ErrorCode::NotEmpty,
            "the directory is not empty; pass `recursive` to remove what is in it",
        ),
        Errno::ACCESS | Errno::PERM => (
            ErrorCode::PermissionDenied,
            "the operating system denies access",
        ),
        Errno::ROFS => (ErrorCode::PermissionDenied, "the file system is read-only"),
        Errno::XDEV => (
            ErrorCode::PathEscapeAttempt,
            "a symbolic link on the path leads out of the workspace, or the scope's own path has one",
        ),
        Errno::LOOP => (ErrorCode::InvalidPath, "too many symbolic links on the way"),
        Errno::NAMETOOLONG => (
            ErrorCode::InvalidPath,
            "the path, or a part of it, is too long (a name has at most 255 bytes)",
        ),
        Errno::INVAL => (
            ErrorCode::InvalidPath,
            "the operating system does not accept this path or option",
        ),
        Errno::NOSPC => (ErrorCode::NoSpace, "no space left on the device"),
        Errno::DQUOT => (ErrorCode::QuotaExceeded, "the disk quota is used up"),
        Errno::FBIG => (
            ErrorCode::TooLarge,
            "the file would be larger than the file system or a limit allows",
        ),
        Errno::MFILE | Errno::NFILE => (ErrorCode::LimitExceeded, "too many open files"),
        Errno::NOMEM => (ErrorCode::LimitExceeded, "not enough memory"),
        Errno::TIMEDOUT => (ErrorCode::Timeout, "the operation took too long"),
        _ => return (ErrorCode::IoError, std::io::Error::from(errno).to_string()),
    };
    (code, text.to_owned())
}
