//! The programs that we start ourselves, outside every sandbox: by absolute path from fixed lists, never through
//! `PATH`, where a workspace could have put one of the same name first.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::options::{CommandOptions, Shell};
use crate::backend::process::CommandSpec;
use crate::error::{Error, ErrorCode, Result};

const BASH: &[&str] = &["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"];
const SH: &[&str] = &["/bin/sh", "/usr/bin/sh"];
const BWRAP: &[&str] = &["/usr/bin/bwrap", "/bin/bwrap", "/usr/local/bin/bwrap"];

/// What was found once; every start checks again that it can still be trusted.
#[derive(Debug)]
pub(super) struct Programs {
    shell: Result<ShellProgram>,
    launcher: Option<PathBuf>,
}

/// The shell and how it is told not to read files of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShellProgram {
    pub(super) path: &'static str,
    is_bash: bool,
}

impl ShellProgram {
    /// The argument vector that runs a text, or is a login shell. `--` keeps a text that begins with a dash from being
    /// an option.
    pub(super) fn arguments(&self, spec: &CommandSpec) -> Result<Vec<CString>> {
        let interactive = spec.terminal.is_some();
        let options: &[&str] = match (self.is_bash, spec.login_shell) {
            (true, false) => &["bash", "--noprofile", "--norc", "-c", "--"],
            (true, true) if interactive => &["bash", "--noprofile", "--norc", "-il"],
            (true, true) => &["bash", "--noprofile", "--norc", "-l"],
            (false, false) => &["sh", "-c", "--"],
            (false, true) if interactive => &["sh", "-i"],
            (false, true) => &["sh"],
        };
        let text = (!spec.login_shell).then_some(spec.command.as_str());
        options
            .iter()
            .copied()
            .chain(text)
            .map(|text| {
                CString::new(text).map_err(|_| {
                    Error::new(
                        ErrorCode::InvalidConfiguration,
                        "the command contains a NUL character",
                    )
                })
            })
            .collect()
    }
}

impl ShellProgram {
    /// What an interactive shell is told beside: a prompt that says where one is, since no file of the workspace may
    /// say anything, and no file for what was typed, which would lie in the workspace.
    pub(super) fn variables(&self, spec: &CommandSpec) -> &'static [(&'static str, &'static str)] {
        match spec.login_shell && spec.terminal.is_some() && self.is_bash {
            true => &[("PS1", r"\w\$ "), ("HISTFILE", "")],
            false => &[],
        }
    }
}

impl Programs {
    pub(super) fn find(options: &CommandOptions) -> Self {
        Self {
            shell: find_shell(options.shell),
            launcher: match &options.launcher_path {
                Some(chosen) => Some(chosen.clone()),
                None => first(BWRAP).map(PathBuf::from),
            },
        }
    }

    pub(super) fn shell(&self) -> Result<&ShellProgram> {
        self.shell.as_ref().map_err(Clone::clone)
    }

    /// bubblewrap, if it can be trusted with a command of a scope at `scope`.
    pub(super) fn launcher(&self, scope: &[u8]) -> Result<&Path> {
        trusted(self.launcher.as_deref(), "bubblewrap (bwrap)", BWRAP, scope)
    }
}

fn first(candidates: &[&'static str]) -> Option<&'static str> {
    candidates
        .iter()
        .find(|path| Path::new(path).is_file())
        .copied()
}

fn find_shell(wanted: Shell) -> Result<ShellProgram> {
    let bash = || {
        first(BASH).map(|path| ShellProgram {
            path,
            is_bash: true,
        })
    };
    let sh = || {
        first(SH).map(|path| ShellProgram {
            path,
            is_bash: false,
        })
    };
    let found = match wanted {
        Shell::Auto => bash().or_else(sh),
        Shell::Bash => bash(),
        Shell::Sh => sh(),
    };
    found.ok_or_else(|| {
        Error::new(
            ErrorCode::MissingUtilities,
            format!(
                "no shell to run commands with: looked for {}; install it, or choose another `shell`",
                if wanted == Shell::Bash { BASH.join(", ") } else { SH.join(", ") }
            ),
        )
    })
}

fn trusted<'a>(
    path: Option<&'a Path>,
    name: &str,
    list: &[&str],
    scope: &[u8],
) -> Result<&'a Path> {
    let missing = |why: String| Err(Error::new(ErrorCode::MissingUtilities, why));
    let Some(path) = path else {
        return missing(format!(
            "{name} is not installed: looked for {}",
            list.join(", ")
        ));
    };
    match problem(path, scope) {
        None => Ok(path),
        Some(why) => missing(format!("{name} at {} is not run: {why}", path.display())),
    }
}

/// Why a program must not be started outside the sandbox: somebody but root, a command among them, could have put it
/// there. The path with its links resolved is what counts, and every directory on its way.
pub(super) fn problem(path: &Path, scope: &[u8]) -> Option<String> {
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) => return Some(error.to_string()),
    };
    let inside =
        |path: &Path| crate::path::strip_root(path.as_os_str().as_bytes(), scope).is_some();
    if scope != b"/" && (inside(path) || inside(&real)) {
        return Some("it lies inside the workspace".to_owned());
    }
    for part in real.ancestors() {
        let metadata = match std::fs::symlink_metadata(part) {
            Ok(metadata) => metadata,
            Err(error) => return Some(error.to_string()),
        };
        let is_program = part == real;
        if metadata.uid() != 0 {
            return Some(format!("{} does not belong to root", part.display()));
        }
        // A sticky directory such as /tmp lets nobody replace what is another's.
        let sticky = !is_program && metadata.mode() & 0o1000 != 0;
        if metadata.mode() & 0o022 != 0 && !sticky {
            return Some(format!(
                "{} can be written by others than root",
                part.display()
            ));
        }
        if is_program && (!metadata.is_file() || metadata.mode() & 0o111 == 0) {
            return Some("it is no executable file".to_owned());
        }
    }
    None
}

/// A path as an argument.
pub(super) fn c_path(path: &Path) -> Result<CString> {
    c_string(path.as_os_str())
}

pub(super) fn c_string(text: impl AsRef<OsStr>) -> Result<CString> {
    CString::new(text.as_ref().as_bytes()).map_err(|_| {
        Error::new(
            ErrorCode::InvalidPath,
            "a path cannot contain a NUL character",
        )
    })
}
