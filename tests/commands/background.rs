//! Commands that outlive the call that started them, and their end with their workspace.

use agent_backend::error::ErrorCode;
use agent_backend::workspace::{CommandStatus, MAX_BACKGROUND, RunOptions, ScopeOptions};
use bytes::Bytes;

use super::support::{eventually, is_alive, read_number};
use super::workspace::{open, wait};

#[test]
fn destroy_ends_commands_and_later_ones_are_refused() {
    let fixture = open();
    let command = wait(
        fixture
            .workspace
            .spawn("echo $$ > pid; sleep 60", RunOptions::default()),
    )
    .unwrap();
    let running = fixture
        .workspace
        .run("echo $$ > pid2; sleep 60", RunOptions::default());
    let path = |name: &str| fixture.base.path().join("root").join(name);
    for name in ["pid", "pid2"] {
        eventually("it runs", || read_number(&path(name)).is_some());
    }
    wait(fixture.workspace.destroy()).unwrap();
    assert!(
        !is_alive(read_number(&path("pid")).unwrap())
            && !is_alive(read_number(&path("pid2")).unwrap())
    );
    assert_eq!(wait(running).unwrap_err().code(), ErrorCode::Destroyed);
    assert_eq!(
        wait(command.wait()).unwrap_err().code(),
        ErrorCode::Destroyed
    );
    let later = wait(fixture.workspace.exec("true", RunOptions::default()));
    assert_eq!(later.unwrap_err().code(), ErrorCode::Destroyed);
}

#[test]
fn destroying_a_scope_leaves_its_parents_commands() {
    let fixture = open();
    let scope = fixture
        .workspace
        .scope("one", ScopeOptions::default())
        .unwrap();
    let inner = wait(scope.spawn("sleep 60", RunOptions::default())).unwrap();
    let outer = wait(fixture.workspace.spawn("sleep 60", RunOptions::default())).unwrap();
    wait(scope.destroy()).unwrap();
    assert_eq!(wait(inner.wait()).unwrap_err().code(), ErrorCode::Destroyed);
    assert!(matches!(outer.status(), CommandStatus::Running));
    outer.kill(9);
    assert_eq!(wait(outer.wait()).unwrap().signal, Some("SIGKILL"));
}

#[test]
fn a_background_command_is_fed_read_and_found_by_its_id() {
    let fixture = open();
    let command = wait(fixture.workspace.spawn(
        "while read line; do echo got $line; done; exit 6",
        RunOptions::default(),
    ))
    .unwrap();
    assert_eq!(command.id().len(), 32);
    wait(command.write_stdin(Bytes::from_static(b"one\n"))).unwrap();
    eventually("it answers", || command.output().stdout == b"got one\n");
    let found = fixture.workspace.background_command(command.id()).unwrap();
    found.close_stdin();
    let output = wait(command.wait()).unwrap();
    assert_eq!(
        (output.exit_code, output.stdout.as_slice()),
        (Some(6), &b"got one\n"[..])
    );
    assert!(matches!(command.status(), CommandStatus::Exited(status) if status.code == Some(6)));
    assert!(fixture.workspace.background_command("0").is_none());
}

#[test]
fn only_so_many_background_commands_run_at_a_time() {
    let fixture = open();
    let start = || wait(fixture.workspace.spawn("sleep 60", RunOptions::default()));
    let commands: Vec<_> = (0..MAX_BACKGROUND).map(|_| start().unwrap()).collect();
    assert_eq!(start().unwrap_err().code(), ErrorCode::LimitExceeded);
    commands[0].kill(9);
    wait(commands[0].wait()).unwrap();
    start().unwrap();
    wait(fixture.workspace.destroy()).unwrap();
}
