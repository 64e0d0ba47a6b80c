//! How commands are run: what the caller chooses, and what a choice is called.

use std::path::PathBuf;

/// The uid that owns the directories which we create for scopes when we run as root.
pub const DEFAULT_SCOPE_UID: u32 = 60600;

/// The wall around a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// The best level that works here, found out by running a command in it.
    #[default]
    Auto,
    /// Namespaces by bubblewrap: only the scope's directory is visible and writable.
    Bwrap,
    /// No kernel wall; the command policy also refuses writes that name a path outside the workspace.
    Software,
    /// No wall at all, for trusted use.
    None,
}

impl Isolation {
    /// The text form of the public API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Isolation::Auto => "auto",
            Isolation::Bwrap => "bwrap",
            Isolation::Software => "software",
            Isolation::None => "none",
        }
    }

    /// Reads the text form.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Auto, Self::Bwrap, Self::Software, Self::None]
            .into_iter()
            .find(|level| level.as_str() == name)
    }
}

/// The program that reads the command's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Shell {
    /// bash where it is installed, else sh.
    #[default]
    Auto,
    /// `/bin/bash`; missing, it is `MISSING_UTILITIES`.
    Bash,
    /// `/bin/sh`.
    Sh,
}

impl Shell {
    /// Reads the text form of the public API.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "bash" => Some(Self::Bash),
            "sh" => Some(Self::Sh),
            _ => None,
        }
    }
}

/// What a command reaches of the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// All that the host reaches, its loopback included.
    #[default]
    Host,
    /// A loopback of its own and nothing else. Needs `bwrap`.
    None,
}

/// How commands are run.
#[derive(Clone, Debug)]
pub struct CommandOptions {
    /// The wall. Default: `Auto`.
    pub isolation: Isolation,
    /// Let `Auto` take nothing weaker than `bwrap`: where that does not work, commands are `MISSING_UTILITIES`. A level
    /// that is named is taken all the same. Default: false.
    pub require_wall: bool,
    /// Who reads the command's text. Default: `Auto`.
    pub shell: Shell,
    /// Give commands the environment of this process, its secrets included. `LD_*`, `BASH_ENV` and their like are
    /// left out even so. Default: false.
    pub inherit_env: bool,
    /// Let programs run that `PATH` finds outside the system directories (node under nvm, python under pyenv,
    /// cargo), by mounting their prefixes read-only. Default: true.
    pub host_tools: bool,
    /// Where private `/tmp` and caches are kept, outside every workspace; absolute. `None`: see
    /// [`crate::backend::local::command::default_state_dir`].
    pub state_dir: Option<PathBuf>,
    /// Owner of the scope directories that are created as root. Default: [`DEFAULT_SCOPE_UID`].
    pub scope_uid: u32,
    /// An absolute path to bubblewrap, instead of the fixed list. Default: none.
    pub launcher_path: Option<PathBuf>,
    /// The network. Default: `Host`.
    pub network: Network,
}

impl Default for CommandOptions {
    fn default() -> Self {
        Self {
            isolation: Isolation::default(),
            require_wall: false,
            shell: Shell::default(),
            inherit_env: false,
            host_tools: true,
            state_dir: None,
            scope_uid: DEFAULT_SCOPE_UID,
            launcher_path: None,
            network: Network::default(),
        }
    }
}
