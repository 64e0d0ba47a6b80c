//! The vocabulary of commands: what to start, and the handle on what runs.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::limits::Limits;
use crate::access::View;
use crate::call::Call;
use crate::egress::EgressLog;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

/// What a command reads.
#[derive(Clone, Debug, Default)]
pub enum Stdin {
    /// `/dev/null`: the end of file at once.
    #[default]
    Null,
    /// These bytes, then the end of file. Never a socket: bash takes a socket for a remote login.
    Bytes(Bytes),
    /// A pipe that [`ProcessControl::write_stdin`] feeds.
    Pipe,
}

/// The window of a terminal, in characters and (0 where unknown) in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
    /// Width in pixels.
    pub pixel_width: u16,
    /// Height in pixels.
    pub pixel_height: u16,
}

/// A terminal for a command: it is its standard input, output and error, and what it prints comes as standard output.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terminal {
    /// `TERM`.
    pub name: String,
    /// The window at the start.
    pub size: TerminalSize,
    /// Modes at the start, by their numbers in RFC 4254 (section 8), on top of those that a terminal begins with. What the
    /// system does not have is passed over. At most [`MAX_MODES`].
    pub modes: Vec<(u8, u32)>,
}

/// Variables of an environment, in order; a later one wins, and `None` removes the variable. Both are any bytes that
/// POSIX allows: no NUL, and in the name, which is not empty, no `=`.
pub type Variables = Vec<(Vec<u8>, Option<Vec<u8>>)>;

/// The most modes that a terminal is given: there are fewer numbers.
pub const MAX_MODES: usize = 256;

/// A command to start. The command policy has already judged it.
#[derive(Clone, Debug, Default)]
pub struct CommandSpec {
    /// A text for the shell.
    pub command: String,
    /// The directory to run in, below the root.
    pub cwd: RelPath,
    /// On top of the minimal environment.
    pub env: Variables,
    /// What it reads; with a terminal always what [`ProcessControl::write_stdin`] types.
    pub stdin: Stdin,
    /// A terminal of its own, whose session it leads. `None`: pipes.
    pub terminal: Option<Terminal>,
    /// Whether `command` is ignored and an interactive shell runs instead, as a login would; needs a terminal or stdin.
    pub login_shell: bool,
    /// Told of each host that it asks for, where its network is a list of hosts.
    pub egress_log: Option<Arc<dyn EgressLog>>,
    /// What it may use; the backend's own limits for commands hold besides.
    pub limits: Limits,
    /// What of its scope it must not see or change, those that hold others first. Set by the backend that starts it.
    pub masks: Vec<Mask>,
}

/// The most masks of one command.
pub const MAX_MASKS: usize = 4_096;

/// Something in a command's scope that it sees otherwise than what holds it.
#[derive(Clone, Debug)]
pub struct Mask {
    /// Below the scope; the root is the scope itself.
    pub path: RelPath,
    /// What the command may do with it.
    pub view: View,
    /// Whether it is a directory.
    pub directory: bool,
    /// Whether a later mask shows something in what this one hides.
    pub holds_shown: bool,
    /// What is there, where the command sees any of it.
    pub handle: Option<Arc<OwnedFd>>,
}

/// What happens to a running command, in order. After `Exit` or `Failed` the channel ends.
#[derive(Clone, Debug)]
pub enum ProcessEvent {
    /// A piece of standard output.
    Stdout(Bytes),
    /// A piece of standard error.
    Stderr(Bytes),
    /// It ended, and its output is complete.
    Exit(ExitStatus),
    /// It could not be run after all, or what became of it is unknown; in place of `Exit`.
    Failed(Error),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal's number.
    pub signal: Option<i32>,
}

/// A running command. Dropping the events lets its output go by unread; dropping the last control kills it.
#[derive(Debug)]
pub struct Process {
    /// Output and end. Bounded: a reader that stops holds the command, not the memory.
    pub events: mpsc::Receiver<ProcessEvent>,
    /// The hand on it.
    pub control: Arc<dyn ProcessControl>,
}

/// Acts on a running command; works from any thread, and after its end does nothing.
pub trait ProcessControl: fmt::Debug + Send + Sync {
    /// Process id of the outermost process, as the host sees it.
    fn pid(&self) -> u32;

    /// Feeds a [`Stdin::Pipe`]; resolves when the bytes are in the pipe.
    fn write_stdin(&self, bytes: Bytes) -> Call<()>;

    /// Ends a [`Stdin::Pipe`].
    fn close_stdin(&self);

    /// Sends a signal to the command, and with `SIGKILL` ends everything that it started.
    fn signal(&self, signal: i32);

    /// Changes the window of its terminal; without one nothing.
    fn resize(&self, size: TerminalSize) {
        let _ = size;
    }
}

/// The longest name of a terminal, in bytes.
const MAX_TERMINAL_NAME: usize = 64;

/// Checks a terminal as a caller names it: programs make a path of its name.
///
/// # Errors
/// `INVALID_CONFIGURATION`.
pub(crate) fn check_terminal(terminal: Option<&Terminal>) -> Result<()> {
    let Some(terminal) = terminal else {
        return Ok(());
    };
    if terminal.modes.len() > MAX_MODES {
        return Err(Error::new(
            ErrorCode::InvalidConfiguration,
            format!("terminal: more than {MAX_MODES} modes"),
        ));
    }
    let name = terminal.name.as_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(byte);
    if name.len() <= MAX_TERMINAL_NAME && name.iter().all(plain) && name.first() != Some(&b'.') {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::InvalidConfiguration,
        "terminal: its name must be at most 64 letters, digits and '-_.+', such as 'xterm-256color'",
    ))
}

/// Checks one variable as a caller names it.
///
/// # Errors
/// `INVALID_CONFIGURATION`, naming the variable.
pub(crate) fn check_variable(name: &[u8], value: Option<&[u8]>) -> Result<()> {
    let shown = String::from_utf8_lossy(name);
    let problem = if name.is_empty() {
        "a name is empty".to_owned()
    } else if name.contains(&b'=') || name.contains(&0) {
        format!("the name '{shown}' contains '=' or NUL")
    } else if value.is_some_and(|value| value.contains(&0)) {
        format!("the value of '{shown}' contains a NUL character")
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorCode::InvalidConfiguration,
        format!("env: {problem}"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_terminal_is_no_path_and_no_text_and_its_modes_are_bounded() {
        let named = |name: &str| {
            check_terminal(Some(&Terminal {
                name: name.to_owned(),
                ..Terminal::default()
            }))
        };
        for good in ["", "dumb", "xterm-256color", "screen.xterm", "rxvt+pcfkeys"] {
            assert!(named(good).is_ok(), "{good}");
        }
        let modes = |count| {
            check_terminal(Some(&Terminal {
                modes: vec![(53, 0); count],
                ..Terminal::default()
            }))
        };
        assert!(modes(MAX_MODES).is_ok() && modes(MAX_MODES + 1).is_err());
        for bad in ["../x", "a/b", "a b", "a\0", "x\n", "é", &"x".repeat(65)] {
            let error = named(bad).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{bad:?}");
        }
    }

    #[test]
    fn a_name_or_value_that_no_environment_can_hold_is_refused_by_name() {
        for (name, value) in [("", "x"), ("A=B", "x"), ("A\0", "x"), ("A", "x\0")] {
            let value = Some(value.as_bytes());
            let error = check_variable(name.as_bytes(), value).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
            assert!(error.message().starts_with("env: "), "{error}");
        }
    }
}
