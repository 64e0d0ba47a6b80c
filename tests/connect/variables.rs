//! Variables of commands are what the caller says, byte for byte: at a daemon, and at a server that is not ours.

use agent_backend::backend::process::Variables;
use agent_backend::workspace::{RunOptions, ScopeOptions, Workspace};

use crate::foreign_files;
use crate::served::Daemon;
use crate::world::{client, options, wait};

/// All bytes that a value may have, and such as a name may have.
fn variables() -> Variables {
    let value: Vec<u8> = (1..=255).collect();
    let name: Vec<u8> = (1..=255).filter(|byte| *byte != b'=').collect();
    vec![
        (b"EVERY".to_vec(), Some(value)),
        (b"\xff\xfe".to_vec(), Some(b"\xc3\x28".to_vec())),
        (name, Some(b"\n=".to_vec())),
        (b"EMPTY".to_vec(), Some(Vec::new())),
    ]
}

/// What the shell was started with, as the kernel tells it.
fn environment(workspace: &Workspace, env: Variables) -> Vec<Vec<u8>> {
    let options = RunOptions {
        env,
        ..RunOptions::default()
    };
    let ran = wait(workspace.run("cat /proc/$$/environ; true", options)).unwrap();
    ran.stdout
        .split(|byte| *byte == 0)
        .map(<[u8]>::to_vec)
        .collect()
}

fn every_byte_arrives(workspace: &Workspace) {
    let env = variables();
    let of_scope = ScopeOptions {
        env: vec![(b"SCOPE".to_vec(), b"\x80\x81".to_vec())],
        ..ScopeOptions::default()
    };
    let scope = workspace.scope("s", of_scope).unwrap();
    let found = environment(&scope, env.clone());
    for (name, value) in env {
        let line = [&name, &b"="[..], &value.unwrap()].concat();
        let count = found.iter().filter(|found| **found == line).count();
        assert_eq!(count, 1, "{}", String::from_utf8_lossy(&name));
    }
    assert!(found.iter().any(|line| line == b"SCOPE=\x80\x81"));
    let options = RunOptions {
        env: variables(),
        ..RunOptions::default()
    };
    let ran = wait(scope.run("printf %s \"$EVERY\"", options)).unwrap();
    assert!(ran.stdout.iter().copied().eq(1..=255), "{:?}", ran.stdout);
}

#[test]
fn every_byte_of_a_variable_arrives_at_a_daemon() {
    // Without a wall, and behind the best that there is here.
    for level in ["none", "auto"] {
        let daemon = Daemon::with_token(&["--isolation", level, "--allow-weak-isolation"]);
        let client = client(options(&daemon, daemon.port));
        every_byte_arrives(&client.workspace);
        client.destroy();
    }
}

#[test]
fn every_byte_of_a_variable_arrives_at_a_foreign_server() {
    let Some(server) = foreign_files::server() else {
        return;
    };
    every_byte_arrives(&foreign_files::workspace(&server));
}
