//! The native command as a server: opens a workspace and serves it. It is a door like any other: every check is behind
//! [`Workspace`], and what it adds is how a process that has nothing but its arguments speaks of what went wrong.

pub mod arguments;
pub mod command_channel;
pub mod operations;
mod policy;
pub mod session;
pub mod sftp;
pub mod ssh;
mod stdio;

use std::io::{self, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::process::ExitCode;
use std::sync::Arc;

pub use arguments::{DaemonOptions, ServedBackend};

use crate::access::AccessPolicy;
use crate::backend::Backend;
use crate::backend::local::command::CommandOptions;
use crate::backend::local::{LocalBackend, LocalOptions};
use crate::backend::memory::{MemoryBackend, MemoryOptions};
use crate::error::{Error, ErrorCode, Result};
use crate::workspace::{ScopeOptions, Workspace, WorkspaceOptions};

/// Serves until the client ends. Fails with one line on standard error where it cannot.
#[must_use]
pub fn run(options: DaemonOptions) -> ExitCode {
    match open(options).and_then(stdio::serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

/// Says what is wrong, in one line on standard error, and gives the exit status of a command that failed.
#[must_use]
pub fn failed(error: &Error) -> ExitCode {
    let text = error.to_string().replace('\n', " ");
    // Nothing is left to be done where standard error is closed.
    let _ = writeln!(io::stderr(), "agent-backend: {text}");
    ExitCode::FAILURE
}

/// The workspace that these options describe.
fn open(options: DaemonOptions) -> Result<Workspace> {
    if !options.local_only {
        return Err(Error::new(
            ErrorCode::NotImplemented,
            "this version serves only --local-only (MCP over standard input and output); add that flag",
        ));
    }
    let scope_path = options.scope_path.clone();
    let access = match &options.policy_file {
        Some(file) => {
            let on_disk = options.backend_kind == ServedBackend::Local;
            let root_dir = on_disk.then_some(options.root_dir.as_path());
            Some(policy::read(file, root_dir)?)
        }
        None => None,
    };
    let backend: Arc<dyn Backend> = match options.backend_kind {
        ServedBackend::Memory => MemoryBackend::new(MemoryOptions {
            root_dir: options.root_dir.into_os_string().into_vec(),
            ..MemoryOptions::default()
        })?,
        ServedBackend::Local => LocalBackend::open(local_options(options))?,
    };
    confined(backend, scope_path, access)
}

/// Whoever asks for commands is an agent somewhere: it gets neither the secrets nor the tools of whoever started this.
fn local_options(options: DaemonOptions) -> LocalOptions {
    LocalOptions {
        root_dir: options.root_dir,
        command: CommandOptions {
            isolation: options.isolation,
            shell: options.shell,
            inherit_env: false,
            host_tools: false,
            require_wall: true,
            ..CommandOptions::default()
        },
        ..LocalOptions::default()
    }
}

/// The root, or the scope below it, whose directory the first write makes.
fn confined(
    backend: Arc<dyn Backend>,
    scope_path: Option<Vec<u8>>,
    access: Option<AccessPolicy>,
) -> Result<Workspace> {
    let root = Workspace::new(
        backend,
        WorkspaceOptions {
            access,
            ..WorkspaceOptions::default()
        },
        ScopeOptions::default(),
    );
    match scope_path {
        Some(path) => root.scope(path, ScopeOptions::default()),
        None => Ok(root),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::local::command::{Isolation, Shell};
    use crate::backend::{Content, WriteOptions};
    use crate::pool;
    use crate::workspace::RunOptions;

    fn options(root_dir: impl Into<std::path::PathBuf>) -> DaemonOptions {
        DaemonOptions {
            root_dir: root_dir.into(),
            scope_path: None,
            policy_file: None,
            isolation: Isolation::None,
            shell: Shell::Sh,
            backend_kind: ServedBackend::Local,
            local_only: true,
        }
    }

    /// As `open` does, with its state in a directory of the test.
    fn open_local(base: &tempfile::TempDir, scope_path: Option<&[u8]>) -> Workspace {
        let local = LocalOptions {
            state_dir: Some(base.path().join("state")),
            ..local_options(options(base.path().join("root")))
        };
        let backend = LocalBackend::open(local).unwrap();
        confined(backend, scope_path.map(<[u8]>::to_vec), None).unwrap()
    }

    fn write(workspace: &Workspace, path: &str) -> Result<()> {
        let text = Content::owned(b"text".to_vec());
        let written = workspace.write(path, text, WriteOptions::default());
        pool::runtime().block_on(written.into_future()).map(|_| ())
    }

    #[test]
    fn the_directory_of_a_scope_is_made_by_the_first_write() {
        let base = tempfile::tempdir().unwrap();
        let workspace = open_local(&base, Some(b"users/1"));
        let directory = base.path().join("root/users/1");
        assert!(!directory.exists());
        write(&workspace, "a.txt").unwrap();
        assert!(directory.join("a.txt").exists());
    }

    #[test]
    fn a_scope_is_confined() {
        let base = tempfile::tempdir().unwrap();
        let workspace = open_local(&base, Some(b"users/1"));
        let refused = write(&workspace, "../2/a.txt").unwrap_err();
        assert_eq!(refused.code(), ErrorCode::PathEscapeAttempt);
    }

    #[test]
    fn commands_get_no_variable_of_whoever_started_the_daemon() {
        // The canary: the test's own environment has one.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let base = tempfile::tempdir().unwrap();
        let run = open_local(&base, None).exec("env", RunOptions::default());
        let output = pool::runtime().block_on(run.into_future()).unwrap();
        let printed = String::from_utf8(output.stdout.to_vec()).unwrap();
        assert!(printed.contains("HOME="), "{printed}");
        assert!(!printed.contains("CARGO_MANIFEST_DIR"), "{printed}");
    }

    #[test]
    fn a_memory_backend_is_a_namespace_below_its_root() {
        let workspace = open(DaemonOptions {
            scope_path: Some(b"a".to_vec()),
            backend_kind: ServedBackend::Memory,
            ..options("/memory")
        });
        let workspace = workspace.unwrap();
        assert_eq!(workspace.root_dir(), b"/memory/a");
        assert!(!workspace.capabilities().exec);
        write(&workspace, "/memory/a/b.txt").unwrap();
    }

    #[test]
    fn the_rules_of_a_policy_file_hold_in_the_scope_that_is_served() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("policy.json");
        std::fs::write(&file, r#"{"rules":[{"match":"a/secret","allow":"none"}]}"#).unwrap();
        let workspace = open(DaemonOptions {
            scope_path: Some(b"a".to_vec()),
            policy_file: Some(file.clone()),
            backend_kind: ServedBackend::Memory,
            ..options("/memory")
        });
        let workspace = workspace.unwrap();
        write(&workspace, "b").unwrap();
        let refused = write(&workspace, "secret/b").unwrap_err();
        assert_eq!(refused.code(), ErrorCode::PolicyDenied);
    }

    #[test]
    fn a_policy_file_in_the_root_is_refused_before_anything_is_opened() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let file = root.join("policy.json");
        std::fs::write(&file, r#"{"rules":[]}"#).unwrap();
        for (policy_file, expected) in [
            (file, "lies in the workspace"),
            (base.path().join("none"), "no such file"),
        ] {
            let refused = open(DaemonOptions {
                policy_file: Some(policy_file.clone()),
                ..options(&root)
            });
            let text = refused.unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
            assert!(text.contains(&*policy_file.to_string_lossy()), "{text}");
        }
    }

    #[test]
    fn serving_the_network_is_refused_before_anything_is_opened() {
        let base = tempfile::tempdir().unwrap();
        let root = base.path().join("root");
        let refused = open(DaemonOptions {
            local_only: false,
            ..options(&root)
        });
        assert!(refused.unwrap_err().message().contains("--local-only"));
        assert!(!root.exists());
    }
}
