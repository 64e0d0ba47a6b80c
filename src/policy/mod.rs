//! Whether a command is refused before anything runs. A seat belt, not the wall: isolation is the wall.
//!
//! The command is read with a shell parser and judged command by command, with quoting, wrappers, variables of the
//! same text and nested scripts resolved, against one table of [`rules`]. It is not a search over the text:
//! `grep -r "sudo" .` and a commit message that mentions `rm -rf /` pass.

mod bounded;
mod expand;
mod fanout;
mod field;
mod follow;
mod forks;
mod glance;
mod launch;
mod paths;
mod programs;
mod reader;
mod redirects;
mod rules;
mod shell;
mod skip;
mod syntax;
mod text;
mod tree;

use crate::error::{Error, ErrorCode};

/// The deepest nesting that is judged; a command that needs to be read and nests deeper is refused.
const MAX_NESTING: usize = 16;
/// The longest text, in bytes, that the parser reads; a longer one is judged by its tokens.
const MAX_PARSED: usize = 64 << 10;
/// The longest text, in bytes, that is judged; a longer one that needs to be read is refused. The kernel takes no
/// argument over 128 KiB.
const MAX_JUDGED: usize = 1 << 20;

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

/// Judges a command before it runs. Nothing is executed and no file is looked at.
///
/// Most commands pass after one look at their bytes ([`is_harmless`]: a microsecond). Any other is read on a thread
/// of its own while the caller waits: typically a fraction of a millisecond, never over 50 ms of work, whatever the
/// text; so on a thread that must not wait, ask [`is_harmless`] first and judge the rest on the pool.
///
/// # Errors
/// The refusal of the first rule that matched.
pub fn judge(command: &str, context: &PolicyContext<'_>) -> Result<(), Refusal> {
    if is_harmless(command, context) {
        return Ok(());
    }
    if command.len() > MAX_JUDGED {
        return Err(rules::too_deep(command));
    }
    bounded::judge(command, context)
}

/// Whether a command passes at a glance: `true` means that [`judge`] lets it through. Never waits; linear in the
/// command's length.
#[must_use]
pub fn is_harmless(command: &str, context: &PolicyContext<'_>) -> bool {
    glance::is_harmless(command, context.root_dir)
}

#[cfg(test)]
mod tests;
