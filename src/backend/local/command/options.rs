//! How commands are run: what the caller chooses, and what a choice is called.

use std::path::PathBuf;
use std::sync::Arc;

use crate::backend::limits::{Limits, ScopeLimits};
use crate::egress::Allowlist;
use crate::error::{Error, ErrorCode, Result};

/// The uid that owns the directories which we create for scopes when we run as root.
pub const DEFAULT_SCOPE_UID: u32 = 60600;

/// Bytes that the private `/tmp` and the caches of a scope may take, where nothing else is said.
pub const DEFAULT_TMP_BYTES: u64 = 4 << 30;

/// The wall around a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// The best level that works here, found out by running a command in it.
    #[default]
    Auto,
    /// Namespaces by bubblewrap: only the scope's directory is visible and writable.
    Bwrap,
    /// Rules of the kernel for files, without namespaces and without another program: nothing outside the scope's
    /// directory can be read, written or named anew, but more of the host can be seen than at `Bwrap`.
    Landlock,
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
            Isolation::Landlock => "landlock",
            Isolation::Software => "software",
            Isolation::None => "none",
        }
    }

    /// Reads the text form.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Auto,
            Self::Bwrap,
            Self::Landlock,
            Self::Software,
            Self::None,
        ]
        .into_iter()
        .find(|level| level.as_str() == name)
    }

    /// Whether the kernel keeps commands inside.
    #[must_use]
    pub const fn is_kernel_wall(self) -> bool {
        matches!(self, Isolation::Bwrap | Isolation::Landlock)
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
#[derive(Clone, Debug, Default)]
pub enum Network {
    /// All that the host reaches, its loopback included.
    #[default]
    Host,
    /// No network: at `bwrap` a loopback of its own and nothing else, at `landlock` no sockets. Needs one of these.
    None,
    /// These hosts, through a proxy of the command's own. Needs `bwrap`.
    Allow(Arc<Allowlist>),
}

impl Network {
    /// Whether commands are in the network of the host.
    #[must_use]
    pub const fn is_host(&self) -> bool {
        matches!(self, Network::Host)
    }

    /// Whether they have a way out that only a namespace can keep to.
    #[must_use]
    pub const fn is_filtered(&self) -> bool {
        matches!(self, Network::Allow(_))
    }
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
    /// Refuse commands that would run as root behind a kernel wall, since root owns the directory of their scope: for
    /// whoever serves several tenants. Default: false.
    pub refuse_root: bool,
    /// An absolute path to bubblewrap, instead of the fixed list. Default: none.
    pub launcher_path: Option<PathBuf>,
    /// The network. Default: `Host`.
    pub network: Network,
    /// More of the host that commands see read-only behind a kernel wall, at its own path; absolute. Default: none.
    pub read_only_paths: Vec<PathBuf>,
    /// More of the host that commands see read-write. What they may write there is up to its owner and modes.
    /// Default: none.
    pub read_write_paths: Vec<PathBuf>,
    /// What is hidden from commands of what they would see, by an empty directory or file. Needs `bwrap`. Default:
    /// none.
    pub hidden_paths: Vec<PathBuf>,
    /// The root that commands run in or below: nothing that lies in it is started outside a sandbox. Set by
    /// [`crate::backend::local::LocalBackend::open`]. Default: unknown.
    pub root_dir: Option<PathBuf>,
    /// What each command may use; its own limits can only be lower. Default: no limits.
    pub limits: Limits,
    /// Bytes that the private `/tmp` and the caches of a scope may take of the disk together. Default: 4 GiB; `None`: no
    /// bound.
    pub tmp_bytes: Option<u64>,
    /// What all commands of a scope (or of the root) may use together. Default: no limits.
    pub scope_limits: ScopeLimits,
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
            refuse_root: false,
            launcher_path: None,
            network: Network::default(),
            read_only_paths: Vec::new(),
            read_write_paths: Vec::new(),
            hidden_paths: Vec::new(),
            root_dir: None,
            limits: Limits::default(),
            tmp_bytes: Some(DEFAULT_TMP_BYTES),
            scope_limits: ScopeLimits::default(),
        }
    }
}

impl CommandOptions {
    /// Whether something is asked for that only namespaces can give.
    pub(super) fn need_namespaces(&self) -> bool {
        !self.hidden_paths.is_empty() || self.network.is_filtered()
    }

    /// Refuses options that contradict each other or name no absolute path.
    pub(super) fn check(&self) -> Result<()> {
        let single = [
            ("stateDir", self.state_dir.as_slice()),
            ("launcherPath", self.launcher_path.as_slice()),
        ];
        let lists = [
            ("readOnlyPaths", &self.read_only_paths[..]),
            ("readWritePaths", &self.read_write_paths[..]),
            ("hiddenPaths", &self.hidden_paths[..]),
        ];
        for (name, paths) in single.into_iter().chain(lists) {
            if let Some(relative) = paths.iter().find(|path| !path.is_absolute()) {
                let shown = relative.display();
                return invalid(format!("{name} must name absolute paths, not '{shown}'"));
            }
        }
        for (name, paths) in [lists[0], lists[1]] {
            for (what, kept) in [
                ("workspace", &self.root_dir),
                ("state directory", &self.state_dir),
            ] {
                let Some(kept) = kept else { continue };
                if let Some(around) = paths.iter().find(|path| kept.starts_with(path)) {
                    let shown = around.display();
                    return invalid(format!(
                        "{name}: the {what} lies in '{shown}', so that every tenant would see those of all others; name what is beside it"
                    ));
                }
            }
        }
        self.limits.check()?;
        self.scope_limits.check()?;
        let walled = self.isolation == Isolation::Auto || self.isolation.is_kernel_wall();
        if !self.network.is_host() && !walled {
            return invalid("network 'none' needs isolation 'bwrap' or 'landlock'");
        }
        let namespaces = matches!(self.isolation, Isolation::Auto | Isolation::Bwrap);
        if !self.hidden_paths.is_empty() && !namespaces {
            return invalid("hiddenPaths needs isolation 'bwrap': Landlock only grants");
        }
        if self.network.is_filtered() && !namespaces {
            return invalid("a list of hosts as network needs isolation 'bwrap'");
        }
        Ok(())
    }
}

fn invalid(message: impl Into<String>) -> Result<()> {
    Err(Error::new(ErrorCode::InvalidConfiguration, message))
}
