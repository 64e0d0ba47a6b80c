//! What a server says of a request that gives nothing back, or failed.

use crate::error::{Error, ErrorCode};

/// The codes of version 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum StatusCode {
    /// It is done.
    Ok = 0,
    /// Nothing is left to read, of a file or of a directory.
    Eof = 1,
    /// Nothing is under this path.
    NoSuchFile = 2,
    /// It may not be done.
    PermissionDenied = 3,
    /// Anything else went wrong; the message says what.
    Failure = 4,
    /// The packet is none.
    BadMessage = 5,
    /// A client's own: there is no connection.
    NoConnection = 6,
    /// A client's own: the connection ended.
    ConnectionLost = 7,
    /// The server cannot do that.
    OpUnsupported = 8,
}

impl StatusCode {
    /// The code of a number; one that version 3 does not have is a [`StatusCode::Failure`].
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            0 => Self::Ok,
            1 => Self::Eof,
            2 => Self::NoSuchFile,
            3 => Self::PermissionDenied,
            5 => Self::BadMessage,
            6 => Self::NoConnection,
            7 => Self::ConnectionLost,
            8 => Self::OpUnsupported,
            _ => Self::Failure,
        }
    }

    /// The number of the code.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }

    /// How an error of a workspace is told.
    #[must_use]
    pub const fn of(code: ErrorCode) -> Self {
        match code {
            ErrorCode::NotFound => Self::NoSuchFile,
            ErrorCode::PermissionDenied
            | ErrorCode::PolicyDenied
            | ErrorCode::PathEscapeAttempt => Self::PermissionDenied,
            ErrorCode::NotImplemented => Self::OpUnsupported,
            _ => Self::Failure,
        }
    }
}

/// The text that goes with a status: code and message, without path, on one line and without control characters, since
/// clients print it to terminals.
#[must_use]
pub fn status_message(error: &Error) -> String {
    let printable = crate::error::Printable(error.message()).to_string();
    format!("{}: {}", error.code(), printable.replace('\n', " "))
}
