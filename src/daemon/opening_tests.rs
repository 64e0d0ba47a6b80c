//! What is served, as flags describe it.

use std::fs;

use super::*;
use crate::backend::local::command::{Isolation, Shell};
use crate::backend::{Content, WriteOptions};
use crate::error::ErrorCode;
use crate::pool;
use crate::workspace::RunOptions;

fn options(root_dir: impl Into<std::path::PathBuf>) -> DaemonOptions {
    DaemonOptions {
        root_dir: root_dir.into(),
        commands: CommandFlags {
            isolation: Isolation::None,
            shell: Shell::Sh,
            ..CommandFlags::default()
        },
        local_only: true,
        ..DaemonOptions::default()
    }
}

/// With its network, and nobody who watches.
fn open(options: DaemonOptions) -> Result<Workspace> {
    super::open(options, Network::Host, None).map(|opened| opened.workspace)
}

/// As `open` does, with its state in a directory of the test.
fn open_local(base: &tempfile::TempDir, scope_path: Option<&[u8]>) -> Workspace {
    let local = LocalOptions {
        state_dir: Some(base.path().join("state")),
        ..local_options(options(base.path().join("root")), Network::Host)
    };
    let backend = LocalBackend::open(local).unwrap();
    let options = WorkspaceOptions::default();
    confined(backend, scope_path.map(<[u8]>::to_vec), options, None).unwrap()
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
    fs::write(&file, r#"{"rules":[{"match":"a/secret","allow":"none"}]}"#).unwrap();
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
    fs::create_dir(&root).unwrap();
    let file = root.join("policy.json");
    fs::write(&file, r#"{"rules":[]}"#).unwrap();
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
fn of_several_nobody_can_take_all_that_may_be_held() {
    let one = bounds(&options("d"), 1_024);
    assert_eq!(
        (one.max_commands, one.max_commands_per_principal),
        (Some(256), None)
    );
    assert_eq!(
        (one.max_open_files, one.max_open_files_per_principal),
        (Some(512), None)
    );
    let mut several = options("d");
    several.commands.max_commands = Some(5);
    several.listen.tokens_file = Some("f".into());
    let several = bounds(&several, 1_024);
    assert_eq!(
        (several.max_commands, several.max_commands_per_principal),
        (Some(5), Some(3))
    );
    assert_eq!(several.max_open_files_per_principal, Some(256));
    let mut users = options("d");
    users.ssh.conventional = true;
    assert_eq!(bounds(&users, 64).max_commands_per_principal, Some(128));
}
