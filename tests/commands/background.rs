//! Commands that outlive the call that started them, and their end with their workspace.

use std::sync::Arc;

use agent_backend::error::ErrorCode;
use agent_backend::workspace::{
    CommandStatus, MAX_BACKGROUND, RunOptions, ScopeOptions, Workspace,
};
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

/// A new object for a scope, as a door makes one for each request.
fn scope(parent: &Workspace, path: &str, principal: &str) -> Workspace {
    let options = ScopeOptions {
        principal: Some(Arc::from(principal)),
        ..ScopeOptions::default()
    };
    parent.scope(path, options).unwrap()
}

#[test]
fn a_background_command_is_found_by_its_principal_in_its_scope_and_by_nobody_else() {
    let fixture = open();
    let root = &fixture.workspace;
    let started = wait(scope(root, "a/b", "one").spawn("cat", RunOptions::default())).unwrap();
    let same = scope(&scope(root, "a", "two"), "b", "one");
    let found = same.background_command(started.id()).unwrap();
    wait(found.write_stdin(Bytes::from_static(b"hello"))).unwrap();
    found.close_stdin();
    assert_eq!(wait(started.wait()).unwrap().stdout, b"hello");
    assert_eq!(same.background_commands().len(), 1);
    for other in [
        root.clone(),
        scope(root, "a/b", ""),
        scope(root, "a/b", "two"),
        scope(root, "a", "one"),
        scope(root, "a/c", "one"),
        scope(root, "a/b/c", "one"),
    ] {
        assert!(other.background_command(started.id()).is_none());
        assert!(other.background_commands().is_empty());
    }
}

#[test]
fn the_bound_on_background_commands_is_each_principals_own_in_each_scope() {
    let fixture = open();
    let start = |path: &str, principal: &str| {
        let scope = scope(&fixture.workspace, path, principal);
        wait(scope.spawn("sleep 60", RunOptions::default()))
    };
    for _ in 0..MAX_BACKGROUND {
        start("a", "one").unwrap();
    }
    let more = start("a", "one").unwrap_err();
    assert_eq!(more.code(), ErrorCode::LimitExceeded);
    start("a", "two").unwrap();
    start("b", "one").unwrap();
    wait(fixture.workspace.destroy()).unwrap();
}

#[test]
fn destroying_the_root_ends_what_was_started_through_scopes_that_are_forgotten() {
    let fixture = open();
    let forgotten = scope(&fixture.workspace, "a", "one");
    let command = wait(forgotten.spawn("sleep 60", RunOptions::default())).unwrap();
    drop(forgotten);
    assert!(matches!(command.status(), CommandStatus::Running));
    wait(fixture.workspace.destroy()).unwrap();
    let error = wait(command.wait()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Destroyed);
}

#[test]
fn new_output_goes_on_where_the_last_look_stopped() {
    let fixture = open();
    let text = "printf 'a\\303'; echo e >&2; read go; printf '\\244b'; read go; printf '\\303'";
    let command = wait(fixture.workspace.spawn(text, RunOptions::default())).unwrap();
    eventually("both have come", || {
        command.output().stdout.len() == 2 && command.output().stderr.len() == 2
    });
    let first = command.output_since(0, 0);
    assert_eq!((first.stdout.as_slice(), first.stdout_to), (&b"a"[..], 1));
    assert_eq!((first.stderr.as_slice(), first.stderr_to), (&b"e\n"[..], 2));
    wait(command.write_stdin(Bytes::from_static(b"\n"))).unwrap();
    eventually("more has come", || command.output().stdout.len() == 4);
    let second = command.output_since(first.stdout_to, first.stderr_to);
    assert_eq!(
        (second.stdout.as_slice(), second.stdout_to),
        ("äb".as_bytes(), 4)
    );
    assert!(second.stderr.is_empty());
    wait(command.write_stdin(Bytes::from_static(b"\n"))).unwrap();
    wait(command.wait()).unwrap();
    let last = command.output_since(second.stdout_to, second.stderr_to);
    assert_eq!((last.stdout.as_slice(), last.stdout_to), (&b"\xc3"[..], 5));
    assert_eq!((last.stdout_missed, last.stderr_missed), (0, 0));
}

#[test]
fn new_output_says_what_is_not_kept_any_more() {
    let fixture = open();
    let options = RunOptions {
        max_output_bytes: Some(10),
        ..RunOptions::default()
    };
    let command = wait(fixture.workspace.spawn("printf %0100d 7", options)).unwrap();
    wait(command.wait()).unwrap();
    let output = command.output_since(0, 0);
    assert_eq!(output.stdout, b"0000000007");
    assert_eq!(
        (output.stdout_to, output.stdout_missed, output.stdout_gap),
        (100, 90, 5)
    );
    let rest = command.output_since(98, 0);
    assert_eq!(
        (rest.stdout.as_slice(), rest.stdout_missed),
        (&b"07"[..], 0)
    );
}
