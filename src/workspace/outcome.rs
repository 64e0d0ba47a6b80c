//! From what a command did to what its caller gets.

use std::time::Duration;

use bytes::Bytes;

use super::background::NewOutput;
use super::capture::Capture;
use super::commands::OutputStream;
use super::destroyed;
use super::observer::CommandOutput;
use crate::backend::process::ExitStatus;
use crate::error::{CommandFailure, Error, ErrorCode, Printable, Result};

/// Characters of standard error that the message of a failed command repeats.
const STDERR_IN_MESSAGE: usize = 2_000;

/// What is kept of both streams.
#[derive(Debug)]
pub(super) struct Kept {
    stdout: Capture,
    stderr: Capture,
}

impl Kept {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            stdout: Capture::new(limit),
            stderr: Capture::new(limit),
        }
    }

    pub(super) fn push(&mut self, stream: OutputStream, bytes: &Bytes) {
        match stream {
            OutputStream::Stdout => self.stdout.push(bytes),
            OutputStream::Stderr => self.stderr.push(bytes),
        }
    }

    /// The output with how it ended; `None` while it has not.
    pub(super) fn output(&self, status: Option<ExitStatus>, duration: Duration) -> CommandOutput {
        CommandOutput {
            stdout: self.stdout.to_bytes(),
            stderr: self.stderr.to_bytes(),
            exit_code: status.and_then(|status| status.code),
            signal: status.and_then(|status| status.signal).map(signal_name),
            truncated: self.stdout.is_truncated() || self.stderr.is_truncated(),
            duration,
        }
    }

    /// Bytes kept of both.
    pub(super) fn len(&self) -> usize {
        self.stdout.len() + self.stderr.len()
    }

    /// What came after these places in the two streams.
    pub(super) fn since(&self, stdout: u64, stderr: u64, is_complete: bool) -> NewOutput {
        let stdout = self.stdout.since(stdout, is_complete);
        let stderr = self.stderr.since(stderr, is_complete);
        NewOutput {
            stdout: stdout.bytes,
            stderr: stderr.bytes,
            stdout_to: stdout.to,
            stderr_to: stderr.to,
            stdout_missed: stdout.missed,
            stderr_missed: stderr.missed,
            stdout_gap: stdout.gap,
            stderr_gap: stderr.gap,
        }
    }

    /// The output, or the error with what had been printed until then.
    pub(super) fn outcome(
        &self,
        ended: Result<ExitStatus>,
        duration: Duration,
    ) -> Result<CommandOutput> {
        match ended {
            Ok(status) => Ok(self.output(Some(status), duration)),
            Err(error) => Err(error.with_failure(failure(self.output(None, duration)))),
        }
    }
}

fn failure(output: CommandOutput) -> CommandFailure {
    CommandFailure {
        exit_code: output.exit_code,
        signal: output.signal,
        stdout: output.stdout,
        stderr: output.stderr,
    }
}

/// `EXEC_FAILED` for a command that ran and did not succeed; the message ends with the end of its standard error.
pub(super) fn failed(output: CommandOutput) -> Error {
    let how = match (output.exit_code, output.signal) {
        (Some(code), _) => format!("the command ended with exit code {code}"),
        (None, Some(signal)) => format!("the command was ended by {signal}"),
        (None, None) => "the command ended in an unknown way".to_owned(),
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    let stderr = stderr.trim();
    let skip = stderr.chars().count().saturating_sub(STDERR_IN_MESSAGE);
    let shown: String = stderr.chars().skip(skip).collect();
    let message = if shown.is_empty() {
        how
    } else {
        format!("{how}: {}", Printable(&shown))
    };
    Error::new(ErrorCode::ExecFailed, message).with_failure(failure(output))
}

/// Why a call ends before its command does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Interruption {
    /// The workspace was destroyed.
    Destroyed,
    /// The caller cancelled.
    Aborted,
    /// This many milliseconds have passed.
    TimedOut(u64),
}

impl From<Interruption> for Error {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Destroyed => destroyed(),
            Interruption::Aborted => {
                Error::new(ErrorCode::Aborted, "the caller cancelled the command")
            }
            Interruption::TimedOut(limit) => Error::new(
                ErrorCode::Timeout,
                format!(
                    "the command was ended after {limit} ms; raise `timeoutMs` or run it in the background with `spawn`"
                ),
            ),
        }
    }
}

/// What is left to say when a backend stops reporting.
pub(super) fn lost() -> Error {
    Error::new(
        ErrorCode::ExecError,
        "how the command ended is unknown: its backend stopped reporting",
    )
}

/// Text without its last line's end, as `exec` gives it; one `\n` or `\r\n`, no more.
#[must_use]
pub fn trim_trailing_newline(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    text.strip_suffix(b"\r").unwrap_or(text)
}

/// The name of a signal as POSIX writes it; `SIGRT` for the real-time ones.
#[must_use]
pub fn signal_name(number: i32) -> &'static str {
    // The numbers that all architectures of Linux which we build for share.
    const NAMES: [&str; 31] = [
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    usize::try_from(number - 1)
        .ok()
        .and_then(|index| NAMES.get(index).copied())
        .unwrap_or("SIGRT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_newline_is_trimmed() {
        for (text, expected) in [
            ("a\n", "a"),
            ("a\n\n", "a\n"),
            ("a\r\n", "a"),
            ("", ""),
            (" a ", " a "),
        ] {
            assert_eq!(trim_trailing_newline(text.as_bytes()), expected.as_bytes());
        }
    }

    #[test]
    fn signals_have_their_names() {
        assert_eq!(signal_name(9), "SIGKILL");
        assert_eq!(signal_name(15), "SIGTERM");
        assert_eq!(signal_name(31), "SIGSYS");
        assert_eq!(signal_name(40), "SIGRT");
    }

    #[test]
    fn a_failed_command_says_why_without_control_characters() {
        let error = failed(CommandOutput {
            stderr: b"\x1b[31mno such thing\n".to_vec(),
            exit_code: Some(2),
            ..CommandOutput::default()
        });
        assert_eq!(error.code(), ErrorCode::ExecFailed);
        assert_eq!(
            error.message(),
            "the command ended with exit code 2: \\u{1b}[31mno such thing"
        );
        assert_eq!(error.failure().unwrap().exit_code, Some(2));
    }
}
