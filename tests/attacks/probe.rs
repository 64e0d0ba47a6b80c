//! What is taken where no wall can be had: nothing that was asked for by name is ever replaced by less.

use std::path::Path;
use std::process::{Command, Stdio};

use agent_backend::backend::local::command::{CommandOptions, Isolation, Launcher};
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::error::ErrorCode;
use agent_backend::workspace::{RunOptions, ScopeOptions, Workspace, WorkspaceOptions};

use crate::attack::LEVELS;
use crate::observe::sandboxes_start;
use crate::table::{ORDINARY, for_an_ordinary_user};
use crate::world::{open_to_all, wait};

#[test]
fn without_user_namespaces_a_named_wall_is_missing_and_auto_says_what_it_took() {
    if !rustix::process::geteuid().is_root() {
        return; // Only root makes a namespace that root is known in; it tries both users there.
    }
    if !sandboxes_start() {
        return;
    }
    let base = tempfile::tempdir().unwrap();
    let (program, home) = for_an_ordinary_user(base.path());
    for user in [0, ORDINARY] {
        let run = |limit, test| in_a_namespace(&program, &home, (limit, user), test);
        if !run("-", "probe::with_room_for_namespaces_the_wall_stands") {
            return crate::skip::skip("no sandbox starts in a user namespace of this machine");
        }
        assert!(run("0", "probe::there_is_no_room_for_a_namespace"));
    }
}

fn in_a_namespace(program: &Path, home: &Path, (limit, user): (&str, u32), test: &str) -> bool {
    let mut command = Command::new("/usr/bin/python3");
    command.args([
        "-c",
        include_str!("programs/namespace.py"),
        limit,
        &user.to_string(),
    ]);
    command.arg(program).args(["--exact", test, "--ignored"]);
    command.env_clear().stdin(Stdio::null());
    command.env("HOME", home).current_dir(home);
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    let done = command.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    if !done.status.success() {
        eprintln!("{said}{}", String::from_utf8_lossy(&done.stderr));
    }
    done.status.success() && said.contains("1 passed")
}

fn launcher(isolation: Isolation, base: &tempfile::TempDir) -> std::sync::Arc<Launcher> {
    Launcher::new(CommandOptions {
        isolation,
        state_dir: Some(base.path().join("state")),
        ..CommandOptions::default()
    })
    .unwrap()
}

/// Not a test of its own: the canary of the other one.
#[test]
#[ignore = "started by the test of this file"]
fn with_room_for_namespaces_the_wall_stands() {
    let base = tempfile::tempdir().unwrap();
    assert_eq!(
        launcher(Isolation::Bwrap, &base).isolation().unwrap(),
        Isolation::Bwrap
    );
}

/// Not a test of its own: run where no user namespace can be made.
#[test]
#[ignore = "started by the test of this file"]
fn there_is_no_room_for_a_namespace() {
    let base = tempfile::tempdir().unwrap();
    open_to_all(base.path());
    let named = launcher(Isolation::Bwrap, &base).isolation().unwrap_err();
    assert_eq!(named.code(), ErrorCode::MissingUtilities, "{named}");
    assert!(named.message().contains("namespace"), "{named}");
    let auto = launcher(Isolation::Auto, &base);
    // The next best of those that there are.
    let next = LEVELS
        .iter()
        .find(|level| **level != Isolation::Bwrap)
        .unwrap();
    assert_eq!(auto.isolation().unwrap(), *next);
    assert!(auto.weakness().unwrap().contains(next.as_str()));
    let backend = LocalBackend::open(LocalOptions {
        root_dir: base.path().join("root"),
        state_dir: Some(base.path().join("state")),
        ..LocalOptions::default()
    });
    let workspace = Workspace::new(
        backend.unwrap(),
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    );
    let done = wait(workspace.run("echo works", RunOptions::default())).unwrap();
    assert_eq!(done.stdout, b"works\n");
}
