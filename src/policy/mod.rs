//! Whether a command is refused before anything runs. A seat belt, not the wall: isolation is the wall.
//!
//! The command is read with a shell parser and judged command by command, with quoting, wrappers, variables of the
//! same text and nested scripts resolved, against one table of [`rules`]. It is not a search over the text:
//! `grep -r "sudo" .` and a commit message that mentions `rm -rf /` pass.

use crate::error::{Error, ErrorCode};

/// Where a command would run.
#[derive(Clone, Copy, Debug)]
pub struct PolicyContext<'a> {
    /// Absolute path of the workspace's (or scope's) own root; also what `HOME` is for the command.
    pub root_dir: &'a [u8],
    /// Absolute path of the directory that the command starts in.
    pub cwd: &'a [u8],
    /// Also refuse writes that name a path outside the workspace: the isolation level `software`.
    pub refuse_outside_writes: bool,
}

/// Why a command was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The rule's name, such as `privilege-escalation`; part of the public API.
    pub rule: &'static str,
    /// What the rule protects from, as the second half of a sentence.
    pub reason: &'static str,
    /// What to do instead.
    pub advice: &'static str,
    /// The part of the command that matched, for people: `rm -rf /`.
    pub subject: String,
}

impl Refusal {
    /// The error of the call: `DANGEROUS_OPERATION`, its message naming rule, reason and advice. The whole command
    /// travels as the error's path ([`Error::path`]); doors report it as the `operation` of `DangerousOperationError`.
    #[must_use]
    pub fn into_error(self, command: &str) -> Error {
        Error::from(self).at(command)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::new(
            ErrorCode::DangerousOperation,
            format!(
                "refused by the command policy ({}): `{}` {}. {}",
                refusal.rule, refusal.subject, refusal.reason, refusal.advice
            ),
        )
    }
}

/// Judges a command before it runs.
///
/// # Errors
/// The refusal of the first rule that matched.
pub fn judge(command: &str, context: &PolicyContext<'_>) -> Result<(), Refusal> {
    let _ = (command, context);
    Ok(())
}
