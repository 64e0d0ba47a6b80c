//! The arguments of `agent-backend daemon`. A wrong one is answered in one line that names the flag and what is allowed:
//! whoever starts a daemon for an agent sees nothing else of it.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use lexopt::{Arg, Parser};

use crate::backend::local::command::{Isolation, Shell};
use crate::error::{Error, ErrorCode, Result};

/// What `agent-backend daemon --help` prints.
pub const HELP: &str = "\
Serves a workspace as MCP tools over standard input and output.

Usage: agent-backend daemon --rootDir DIR --local-only [options]

Options:
      --rootDir DIR      The directory to serve, created if missing; with --backend memory an absolute path that only
                         names the root
      --local-only       Serve standard input and output: needed, because this version serves nothing else
      --scopePath PATH   Confine everything to this directory below --rootDir; it is created by the first write
      --isolation LEVEL  The wall around commands: auto, bwrap, landlock, software or none (default: auto, which
                         is bwrap or no commands)
      --policy-file FILE Rules of access, as JSON: { \"rules\": [{ \"match\": GLOB, \"allow\": \"none\" | \"read\" | \"write\" }] };
                         outside --rootDir, and not writable by others
      --shell SHELL      Who reads commands: auto, bash or sh (default: auto)
      --backend KIND     local: files of this machine; memory: files that end with the daemon (default: local)
  -h, --help             Print this help

--root-dir, --scope-path and --policyFile are the same as --rootDir, --scopePath and --policy-file. A memory backend is also served by
`agent-backend --backend memory --rootDir PATH`, as clients of agent-backend 0.13 start it.";

/// How each flag is written, for suggestions.
const FLAGS: &[&str] = &[
    "rootDir",
    "local-only",
    "scopePath",
    "isolation",
    "policy-file",
    "shell",
    "backend",
    "help",
];

/// Flags of the daemon that listens on the network, which is not part of this version.
const NETWORK_FLAGS: &[&str] = &[
    "port",
    "auth-token",
    "disable-ssh-ws",
    "conventional-ssh",
    "ssh-port",
    "ssh-host-key",
    "ssh-users",
    "ssh-public-key",
    "ssh-authorized-keys",
];

/// How alike a suggestion must be, where 1 is the same.
const ALIKE: f32 = 0.7;

/// Where the files of the workspace are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServedBackend {
    /// In a directory of this machine.
    #[default]
    Local,
    /// In the memory of the daemon.
    Memory,
}

/// What to serve and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonOptions {
    /// The root of the workspace; of a memory backend its name.
    pub root_dir: PathBuf,
    /// A directory below the root that everything is confined to: relative, without `..`.
    pub scope_path: Option<Vec<u8>>,
    /// A file with rules of access.
    pub policy_file: Option<PathBuf>,
    /// The wall around commands.
    pub isolation: Isolation,
    /// Who reads commands.
    pub shell: Shell,
    /// Where the files are.
    pub backend_kind: ServedBackend,
    /// Whether to serve standard input and output instead of the network.
    pub local_only: bool,
}

/// What the arguments ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// [`HELP`].
    Help,
    /// To serve.
    Serve(DaemonOptions),
}

/// Reads the arguments that follow the word `daemon`.
///
/// # Errors
/// `INVALID_CONFIGURATION` with a message of one line.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Request> {
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
    given.options().map(Request::Serve)
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
        Request::Serve(options) => Ok(Request::Serve(DaemonOptions {
            local_only: true,
            ..options
        })),
        Request::Help => Ok(Request::Help),
    }
}

/// The flags so far.
#[derive(Debug, Default)]
struct Given {
    root_dir: Option<PathBuf>,
    scope_path: Option<Vec<u8>>,
    policy_file: Option<PathBuf>,
    isolation: Option<Isolation>,
    shell: Option<Shell>,
    backend_kind: Option<ServedBackend>,
    local_only: Option<()>,
}

impl Given {
    fn take(&mut self, name: &str, parser: &mut Parser) -> Result<()> {
        match name {
            "rootDir" | "root-dir" => {
                let directory = value(parser, name, "a directory")?;
                once(&mut self.root_dir, directory.into(), name)
            }
            "scopePath" | "scope-path" => {
                let path = value(parser, name, "a directory below --rootDir")?.into_vec();
                once(&mut self.scope_path, below_root(path, name)?, name)
            }
            "policy-file" | "policyFile" => {
                let file = value(parser, name, "a file of rules")?;
                once(&mut self.policy_file, file.into(), name)
            }
            "isolation" => {
                let allowed = "auto, bwrap, landlock, software or none";
                let level = choice(parser, name, Isolation::from_name, allowed)?;
                once(&mut self.isolation, level, name)
            }
            "shell" => {
                let shell = choice(parser, name, Shell::from_name, "auto, bash or sh")?;
                once(&mut self.shell, shell, name)
            }
            "backend" => {
                let kind = choice(parser, name, ServedBackend::from_name, "local or memory")?;
                once(&mut self.backend_kind, kind, name)
            }
            "local-only" => once(&mut self.local_only, (), name),
            _ if NETWORK_FLAGS.contains(&name) => Err(wrong(format!(
                "--{name} is for serving over the network, which this version does not do; it serves --local-only \
                 (MCP over standard input and output)"
            ))),
            _ => Err(unknown(&format!("--{name}"), name)),
        }
    }

    fn options(self) -> Result<DaemonOptions> {
        Ok(DaemonOptions {
            root_dir: self.root_dir.ok_or_else(|| {
                wrong("--rootDir is missing; it names the directory to serve, as in --rootDir ./workspace")
            })?,
            scope_path: self.scope_path,
            policy_file: self.policy_file,
            isolation: self.isolation.unwrap_or_default(),
            shell: self.shell.unwrap_or_default(),
            backend_kind: self.backend_kind.unwrap_or_default(),
            local_only: self.local_only.is_some(),
        })
    }
}

impl ServedBackend {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "local" => Some(Self::Local),
            "memory" => Some(Self::Memory),
            _ => None,
        }
    }
}

/// The value of a flag, after `=` or as the next argument. One that begins with `-` is more likely the next flag.
fn value(parser: &mut Parser, name: &str, what: &str) -> Result<OsString> {
    let value = parser.optional_value().or_else(|| {
        parser
            .try_raw_args()?
            .next_if(|next| !next.as_bytes().starts_with(b"-"))
    });
    match value {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(wrong(format!(
            "--{name} needs a value, {what}; one that begins with - is written --{name}=VALUE"
        ))),
    }
}

/// A value out of a few.
fn choice<T>(
    parser: &mut Parser,
    name: &str,
    read: impl Fn(&str) -> Option<T>,
    allowed: &str,
) -> Result<T> {
    let value = value(parser, name, allowed)?;
    value.to_str().and_then(read).ok_or_else(|| {
        // {:?} escapes control characters: what was typed or pasted never steers the terminal.
        wrong(format!("--{name} must be {allowed}, not {value:?}"))
    })
}

fn below_root(path: Vec<u8>, name: &str) -> Result<Vec<u8>> {
    if path.starts_with(b"/") {
        return Err(wrong(format!(
            "--{name} must be relative to --rootDir, without a leading slash"
        )));
    }
    if path.split(|&byte| byte == b'/').any(|part| part == b"..") {
        return Err(wrong(format!("--{name} must not contain `..`")));
    }
    Ok(path)
}

/// A flag given twice would leave open which of the two holds.
fn once<T>(slot: &mut Option<T>, value: T, name: &str) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(wrong(format!("--{name} is given twice; give it once")));
    }
    Ok(())
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

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidConfiguration, message)
}

#[cfg(test)]
#[path = "arguments_tests.rs"]
mod tests;
