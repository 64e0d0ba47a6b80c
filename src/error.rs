//! The one error of the project. A code names the cause, never the verb; the door that reports it adds the verb.

mod limit;
mod system;

use std::fmt;
use std::sync::Arc;

pub use limit::Limit;

/// What every fallible call of the core returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident => $text:literal,)*) => {
        /// Why an operation failed. The text form is part of the public API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$variant,)*];

            /// The code as callers of every door see it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(ErrorCode::$variant => $text,)*
                }
            }
        }
    };
}

codes! {
    /// Nothing exists under this path.
    NotFound => "NOT_FOUND",
    /// Something exists where the call wanted to create.
    AlreadyExists => "ALREADY_EXISTS",
    /// A directory was needed, something else is there.
    NotADirectory => "NOT_A_DIRECTORY",
    /// A file was needed, a directory is there.
    IsADirectory => "IS_A_DIRECTORY",
    /// The directory still has entries.
    NotEmpty => "NOT_EMPTY",
    /// The operating system refuses access.
    PermissionDenied => "PERMISSION_DENIED",
    /// The path, or a link on its way, leaves the workspace.
    PathEscapeAttempt => "PATH_ESCAPE_ATTEMPT",
    /// The text is no path, or names something that is no file (a device, a socket, a FIFO).
    InvalidPath => "INVALID_PATH",
    /// An option has the wrong type or value; the message names it.
    InvalidConfiguration => "INVALID_CONFIGURATION",
    /// This kind of backend cannot do it.
    NotImplemented => "NOT_IMPLEMENTED",
    /// The command policy refuses the command.
    DangerousOperation => "DANGEROUS_OPERATION",
    /// The access policy refuses the operation.
    PolicyDenied => "POLICY_DENIED",
    /// Somebody else changed the file meanwhile.
    Conflict => "CONFLICT",
    /// The text that an edit replaces is not in the file.
    EditNotFound => "EDIT_NOT_FOUND",
    /// The text that an edit replaces is in the file more than once.
    EditNotUnique => "EDIT_NOT_UNIQUE",
    /// The command is empty.
    EmptyCommand => "EMPTY_COMMAND",
    /// The command ran and ended with an exit code other than 0, or by a signal.
    ExecFailed => "EXEC_FAILED",
    /// The command could not be started.
    ExecError => "EXEC_ERROR",
    /// A program or kernel feature that was asked for is missing.
    MissingUtilities => "MISSING_UTILITIES",
    /// A resource limit ended the operation.
    LimitExceeded => "LIMIT_EXCEEDED",
    /// The workspace's quota is used up.
    QuotaExceeded => "QUOTA_EXCEEDED",
    /// The disk is full.
    NoSpace => "NO_SPACE",
    /// The content is larger than the call can take or give.
    TooLarge => "TOO_LARGE",
    /// The time limit passed.
    Timeout => "TIMEOUT",
    /// The caller cancelled the operation.
    Aborted => "ABORTED",
    /// The other side could not be reached.
    ConnectionFailed => "CONNECTION_FAILED",
    /// The connection ended before the answer came.
    ConnectionClosed => "CONNECTION_CLOSED",
    /// Credentials are missing or wrong.
    Unauthorized => "UNAUTHORIZED",
    /// The other side is not who it was before.
    HostKeyChanged => "HOST_KEY_CHANGED",
    /// The backend was destroyed.
    Destroyed => "DESTROYED",
    /// Any other failure of the operating system.
    IoError => "IO_ERROR",
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a command had printed when it failed; carried by [`ErrorCode::ExecFailed`], and by timeouts and aborts.
#[derive(Clone, Debug, Default)]
pub struct CommandFailure {
    /// `None` when a signal ended the command.
    pub exit_code: Option<i32>,
    /// The signal's name, such as `SIGKILL`.
    pub signal: Option<&'static str>,
    /// Captured standard output, bounded by `maxOutputLength`.
    pub stdout: Vec<u8>,
    /// Captured standard error, bounded likewise.
    pub stderr: Vec<u8>,
}

/// A failed operation. Small to move: everything but the code is behind one pointer.
#[derive(Clone)]
pub struct Error {
    code: ErrorCode,
    inner: Arc<Inner>,
}

#[derive(Clone, Default)]
struct Inner {
    message: String,
    operation: Option<&'static str>,
    path: Option<String>,
    failure: Option<CommandFailure>,
    limit: Option<Limit>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error with a message that says what failed and what to do about it; the path is added by [`Error::at`].
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            inner: Arc::new(Inner {
                message: message.into(),
                ..Inner::default()
            }),
        }
    }

    /// The cause as a code.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// What failed, without the path.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The verb that the caller used (`read`, `exec`), or for a refused command the command itself.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.inner.operation
    }

    /// The path as the caller wrote it.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.inner.path.as_deref()
    }

    /// Exit code and output of a failed command.
    #[must_use]
    pub fn failure(&self) -> Option<&CommandFailure> {
        self.inner.failure.as_ref()
    }

    /// Which limit ended the operation, for [`ErrorCode::LimitExceeded`]; `None` where it is none of those that have a
    /// name, such as a count of calls.
    #[must_use]
    pub fn limit(&self) -> Option<Limit> {
        self.inner.limit
    }

    /// Names the limit.
    #[must_use]
    pub fn with_limit(mut self, limit: Limit) -> Self {
        Arc::make_mut(&mut self.inner).limit = Some(limit);
        self
    }

    /// Names the path, unless an inner layer already did.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>) -> Self {
        if self.inner.path.is_none() {
            Arc::make_mut(&mut self.inner).path = Some(path.into());
        }
        self
    }

    /// Names the operation, unless an inner layer already did.
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Self {
        if self.inner.operation.is_none() {
            Arc::make_mut(&mut self.inner).operation = Some(operation);
        }
        self
    }

    /// Attaches what the command had printed.
    #[must_use]
    pub fn with_failure(mut self, failure: CommandFailure) -> Self {
        Arc::make_mut(&mut self.inner).failure = Some(failure);
        self
    }

    /// Attaches the lower error that caused this one.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.inner).source = Some(Arc::new(source));
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = self.inner.operation {
            write!(f, "{operation}")?;
            if let Some(path) = &self.inner.path {
                write!(f, " '{}'", ShownPath(path))?;
            }
            f.write_str(": ")?;
        } else if let Some(path) = &self.inner.path {
            write!(f, "'{}': ", ShownPath(path))?;
        }
        write!(f, "{}", Printable(&self.inner.message))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({self})", self.code)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}

/// A path in a message: on one line, so that no name forges a line of a log, and of a long one its two ends.
struct ShownPath<'a>(&'a str);

impl fmt::Display for ShownPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_CHARS: usize = 150;
        let mut ends = (self.0, "");
        if let (Some((head, _)), Some((tail, _))) = (
            self.0.char_indices().nth(SHOWN_CHARS),
            self.0.char_indices().nth_back(SHOWN_CHARS - 1),
        ) && head < tail
        {
            ends = (&self.0[..head], &self.0[tail..]);
        }
        let shown = if ends.1.is_empty() {
            ends.0.to_owned()
        } else {
            format!("{}…{}", ends.0, ends.1)
        };
        for (number, line) in shown.split('\n').enumerate() {
            if number > 0 {
                f.write_str("\\u{a}")?;
            }
            write!(f, "{}", Printable(line))?;
        }
        Ok(())
    }
}

/// Text from outside, safe to show on a terminal or in a log: C0, C1, ESC and bidi controls are escaped.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for c in self.0.chars() {
            let bidi = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{061c}');
            if c == '\n' || !(c.is_control() || bidi) {
                f.write_char(c)?;
            } else {
                write!(f, "\\u{{{:x}}}", c as u32)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_says_what_failed_on_which_path() {
        let error = Error::from(rustix::io::Errno::NOENT)
            .at("a/b")
            .during("read");
        assert_eq!(error.to_string(), "read 'a/b': no such file or directory");
        assert_eq!(error.code().as_str(), "NOT_FOUND");
    }

    #[test]
    fn the_innermost_path_wins() {
        let error = Error::new(ErrorCode::NotFound, "gone")
            .at("inner")
            .at("outer");
        assert_eq!(error.path(), Some("inner"));
    }

    #[test]
    fn a_path_stays_on_one_line_of_bounded_length() {
        let forged = Error::new(ErrorCode::NotFound, "x").at("a\nERROR all is lost");
        assert_eq!(forged.to_string(), "'a\\u{a}ERROR all is lost': x");
        let long = Error::new(ErrorCode::NotFound, "x").at("é".repeat(4000));
        assert_eq!(
            long.to_string(),
            format!("'{}…{}': x", "é".repeat(150), "é".repeat(150))
        );
        let fits = Error::new(ErrorCode::NotFound, "x").at("é".repeat(300));
        assert_eq!(fits.to_string(), format!("'{}': x", "é".repeat(300)));
    }

    #[test]
    fn control_and_bidi_characters_never_reach_a_terminal() {
        let error = Error::new(ErrorCode::NotFound, "x").at("a\u{1b}[31m\u{202e}b");
        assert_eq!(error.to_string(), "'a\\u{1b}[31m\\u{202e}b': x");
    }
}
