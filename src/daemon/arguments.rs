//! The arguments of `agent-backend daemon`. A wrong one is answered in one line that names the flag and what is allowed:
//! whoever starts a daemon for an agent sees nothing else of it.

mod given;
mod help;
mod options;
mod values;

use std::ffi::OsString;

use lexopt::{Arg, Parser};

use crate::error::{Error, Result};
use given::{FLAGS, Given};
pub use help::HELP;
pub use options::{
    CommandFlags, DaemonOptions, ListenOptions, LogFormat, LogOptions, NetworkFlag, Secret,
    ServedBackend, SshOptions,
};
use values::wrong;

/// How alike a suggestion must be, where 1 is the same.
const ALIKE: f32 = 0.7;

/// What the arguments ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// [`HELP`].
    Help,
    /// To serve.
    Serve(Box<DaemonOptions>),
}

/// Reads the arguments that follow the word `daemon`, and of the environment what is a secret.
///
/// # Errors
/// `INVALID_CONFIGURATION` with a message of one line.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request> {
    parse_with(arguments, &|name| std::env::var(name).ok())
}

/// [`parse`] with this environment.
fn parse_with(
    arguments: impl IntoIterator<Item = OsString>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Request> {
    let mut parser = Parser::from_args(arguments);
    let mut given = Given::default();
    while let Some(argument) = parser.next().map_err(|error| unexpected_value(&error))? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Help),
            Arg::Long(name) => {
                let name = name.to_owned();
                given.take(&name, &mut parser)?;
            }
            Arg::Short(letter) => return Err(unknown(&format!("-{letter}"), "")),
            Arg::Value(value) => {
                return Err(wrong(format!(
                    "unexpected argument {value:?}; a directory is named by --rootDir"
                )));
            }
        }
    }
    given
        .options(variable)
        .map(|options| Request::Serve(Box::new(options)))
}

/// Reads arguments that begin with a flag, without the word `daemon`: clients of agent-backend 0.13 start a memory
/// backend so, and mean standard input and output.
///
/// # Errors
/// As [`parse`]; other backends need the word.
pub fn parse_without_word(arguments: impl IntoIterator<Item = OsString>) -> Result<Request> {
    match parse(arguments)? {
        Request::Serve(options) if options.backend_kind == ServedBackend::Local => Err(wrong(
            "these flags belong to the daemon: write `agent-backend daemon` before them",
        )),
        Request::Serve(mut options) => {
            options.local_only = true;
            Ok(Request::Serve(options))
        }
        Request::Help => Ok(Request::Help),
    }
}

fn unknown(shown: &str, name: &str) -> Error {
    let shown = shown.escape_debug();
    wrong(match nearest(name) {
        Some(near) => format!("unknown flag {shown}; did you mean --{near}?"),
        None => format!("unknown flag {shown}; see agent-backend daemon --help"),
    })
}

/// The flag that a name was probably meant to be. Neither case nor dashes tell names apart.
fn nearest(name: &str) -> Option<&'static str> {
    let plain = |name: &str| name.to_lowercase().replace(['-', '_'], "");
    let plain_flags: Vec<String> = FLAGS.iter().map(|flag| plain(flag)).collect();
    let candidates: Vec<&str> = plain_flags.iter().map(String::as_str).collect();
    let near = similar::get_close_matches(plain(name).as_str(), &candidates, 1, ALIKE);
    let at = candidates
        .iter()
        .position(|flag| near.first() == Some(flag))?;
    FLAGS.get(at).copied()
}

fn unexpected_value(error: &lexopt::Error) -> Error {
    match error {
        lexopt::Error::UnexpectedValue { option, .. } => wrong(format!("{option} takes no value")),
        other => wrong(other.to_string()),
    }
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;
