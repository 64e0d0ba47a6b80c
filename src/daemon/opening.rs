//! From flags to a workspace: its backend, its rules and its bounds.

use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::Arc;

use super::arguments::{CommandFlags, DaemonOptions, NetworkFlag, ServedBackend};
use super::policy;
use crate::backend::Backend;
use crate::backend::limits::Limits;
use crate::backend::local::command::{
    CommandOptions, DEFAULT_SCOPE_UID, DEFAULT_TMP_BYTES, Network,
};
use crate::backend::local::{LocalBackend, LocalOptions};
use crate::backend::memory::{MemoryBackend, MemoryOptions};
use crate::egress::Allowlist;
use crate::error::Result;
use crate::sys::linux::descriptors;
use crate::workspace::{Observer, ScopeOptions, Workspace, WorkspaceOptions};

/// Of each command, unless flags say otherwise.
const DEFAULT_PROCESSES: u64 = 512;
const DEFAULT_OPEN_FILES: u64 = 4_096;
/// At a time, unless flags say otherwise.
const DEFAULT_MAX_COMMANDS: usize = 256;
/// Answers, listings and input that wait in memory for whoever asked for them.
const MAX_WAITING_BYTES: usize = 512 << 20;

/// What is served.
#[derive(Debug)]
pub(super) struct Opened {
    /// With the scope of `--scopePath`.
    pub(super) workspace: Workspace,
    /// What is below it, where that is a directory.
    pub(super) local: Option<Arc<LocalBackend>>,
}

/// Opens what these options describe. `network` is what commands reach.
///
/// # Errors
/// Those of opening the backend, of the policy file and of the scope.
pub(super) fn open(
    options: DaemonOptions,
    network: Network,
    observer: Option<Arc<dyn Observer>>,
) -> Result<Opened> {
    let scope_path = options.scope_path.clone();
    let access = match &options.policy_file {
        Some(file) => Some(
            policy::read(file, on_disk(&options)).map_err(|error| error.during("--policy-file"))?,
        ),
        None => None,
    };
    let workspace_options = WorkspaceOptions {
        access,
        command_timeout_ms: (options.commands.timeout)
            .map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)),
        ..bounds(&options, descriptors::limit())
    };
    let (backend, local): (Arc<dyn Backend>, _) = match options.backend_kind {
        ServedBackend::Memory => {
            let backend = MemoryBackend::new(MemoryOptions {
                root_dir: options.root_dir.into_os_string().into_vec(),
                ..MemoryOptions::default()
            })?;
            (backend, None)
        }
        ServedBackend::Local => {
            let backend = LocalBackend::open(local_options(options, network))?;
            (Arc::clone(&backend) as _, Some(backend))
        }
    };
    let workspace = confined(backend, scope_path, workspace_options, observer)?;
    Ok(Opened { workspace, local })
}

/// How much may be held at a time, by all and, where there may be several, by one of them: nobody can take all of it from
/// the others. Half of the descriptors are for connections and for what is done at once.
fn bounds(options: &DaemonOptions, descriptors: usize) -> WorkspaceOptions {
    let max_commands = (options.commands.max_commands).unwrap_or(DEFAULT_MAX_COMMANDS);
    let max_open_files = descriptors / 2;
    let are_several = options.listen.tokens_file.is_some() || options.ssh.conventional;
    let part = |all: usize| are_several.then(|| all.div_ceil(2));
    WorkspaceOptions {
        max_commands: Some(max_commands),
        max_commands_per_principal: part(max_commands),
        max_open_files: Some(max_open_files),
        max_open_files_per_principal: part(max_open_files),
        max_waiting_bytes: Some(MAX_WAITING_BYTES),
        max_waiting_bytes_per_principal: part(MAX_WAITING_BYTES),
        ..WorkspaceOptions::default()
    }
}

/// The directory that nothing which decides may lie in.
fn on_disk(options: &DaemonOptions) -> Option<&Path> {
    (options.backend_kind == ServedBackend::Local).then_some(options.root_dir.as_path())
}

/// Whoever asks for commands is an agent somewhere: it gets neither the secrets nor, unless told, the tools of whoever
/// started this.
pub(super) fn local_options(options: DaemonOptions, network: Network) -> LocalOptions {
    let flags = options.commands;
    LocalOptions {
        root_dir: options.root_dir,
        state_dir: options.state_dir,
        scope_uid: flags.scope_uid,
        // What root owns runs its commands as root, and a daemon for several tenants refuses that.
        gives_root_away: true,
        max_bytes: flags.max_bytes,
        command: CommandOptions {
            isolation: flags.isolation,
            shell: flags.shell,
            inherit_env: false,
            host_tools: flags.host_tools,
            require_wall: true,
            network,
            limits: limits(&flags),
            scope_limits: flags.scope_limits,
            tmp_bytes: match flags.tmp_bytes {
                None => Some(DEFAULT_TMP_BYTES),
                Some(0) => None,
                some => some,
            },
            scope_uid: flags.scope_uid.unwrap_or(DEFAULT_SCOPE_UID),
            ..CommandOptions::default()
        },
        ..LocalOptions::default()
    }
}

fn limits(flags: &CommandFlags) -> Limits {
    let own = flags.limits;
    if flags.no_default_limits {
        return own;
    }
    Limits {
        processes: own.processes.or(Some(DEFAULT_PROCESSES)),
        open_files: own.open_files.or(Some(DEFAULT_OPEN_FILES)),
        ..own
    }
}

/// What the flag says of the network.
///
/// # Errors
/// `INVALID_CONFIGURATION` for a list that is none.
pub(super) fn network(flag: &NetworkFlag) -> Result<Network> {
    Ok(match flag {
        NetworkFlag::Host => Network::Host,
        NetworkFlag::None => Network::None,
        NetworkFlag::Allow(hosts) => Network::Allow(Arc::new(Allowlist::parse(hosts)?)),
    })
}

/// The root, or the scope below it, whose directory the first write makes.
pub(super) fn confined(
    backend: Arc<dyn Backend>,
    scope_path: Option<Vec<u8>>,
    options: WorkspaceOptions,
    observer: Option<Arc<dyn Observer>>,
) -> Result<Workspace> {
    let root_options = ScopeOptions {
        observer,
        ..ScopeOptions::default()
    };
    let root = Workspace::new(backend, options, root_options);
    match scope_path {
        Some(path) => root.scope(path, ScopeOptions::default()),
        None => Ok(root),
    }
}

#[cfg(test)]
#[path = "opening_tests.rs"]
mod tests;
