//! How to open a directory as a workspace.

use std::path::PathBuf;

use super::Resolver;
use super::command::CommandOptions;

/// What [`super::LocalBackend::open`] needs to know.
#[derive(Clone, Debug, Default)]
pub struct LocalOptions {
    /// The directory; created if missing. A relative path is below the process's working directory.
    pub root_dir: PathBuf,
    /// Where what must outlive a call is kept: journals of unfinished writes, private `/tmp` and caches of commands.
    /// Default: `AGENT_BACKEND_STATE_DIR`, else `/var/lib/agent-backend` as root, else
    /// `$XDG_STATE_HOME/agent-backend` or `~/.local/state/agent-backend`.
    pub state_dir: Option<PathBuf>,
    /// As root: the user and group that directories created for scopes belong to. Default: 60600, or
    /// root where the level of isolation is named `none` or `software`, since commands run as root there; 0 leaves
    /// them to root.
    pub scope_uid: Option<u32>,
    /// Whether a root that is not there yet is made for that user too, and not for root. Default: false.
    pub gives_root_away: bool,
    /// How commands are run. Its `state_dir` and `scope_uid` are taken from the fields above.
    pub command: CommandOptions,
    /// Bytes that everything below the root may take of the disk: allocated blocks, and 512 for each inode. Checked
    /// before our own writes, and watched while commands run. Default: no bound.
    pub max_bytes: Option<u64>,
    /// Who follows paths; the default is right except for tests of hosts without `openat2`.
    pub resolver: Resolver,
}
