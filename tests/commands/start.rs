//! The streaming form of a command, which the doors for other programs use: it is fed, it streams, it ends in time, and
//! however much it prints nothing is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_backend::backend::local::command::Isolation;
use agent_backend::backend::process::{Process, ProcessEvent, Stdin, Terminal};
use agent_backend::error::{ErrorCode, Result};
use agent_backend::pool;
use agent_backend::workspace::{
    RunOptions, ScopeOptions, StartOptions, Workspace, WorkspaceOptions,
};
use bytes::Bytes;

use super::support::{eventually, is_alive, read_number};
use super::workspace::{Fixture, open, wait, with};

fn start(workspace: &Workspace, command: &str, options: StartOptions) -> Result<Process> {
    wait(workspace.start(command, options))
}

/// What the operation log was told so far.
fn logged(fixture: &Fixture) -> Vec<String> {
    fixture.log.lines.lock().unwrap().clone()
}

fn next(process: &mut Process) -> Option<ProcessEvent> {
    pool::runtime().block_on(process.events.recv())
}

/// All that it prints, and its end.
fn read(process: &mut Process) -> (Vec<u8>, ProcessEvent) {
    let mut printed = Vec::new();
    loop {
        match next(process).unwrap() {
            ProcessEvent::Stdout(bytes) | ProcessEvent::Stderr(bytes) => {
                printed.extend_from_slice(&bytes);
            }
            end => return (printed, end),
        }
    }
}

fn exit_code(end: &ProcessEvent) -> Option<i32> {
    match end {
        ProcessEvent::Exit(status) => status.code,
        other => panic!("not an exit: {other:?}"),
    }
}

fn failure(end: &ProcessEvent) -> ErrorCode {
    match end {
        ProcessEvent::Failed(error) => error.code(),
        other => panic!("not a failure: {other:?}"),
    }
}

fn timeout(timeout_ms: u64) -> StartOptions {
    StartOptions {
        timeout_ms: Some(timeout_ms),
        ..StartOptions::default()
    }
}

/// Bytes of this process that are in memory.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}

#[test]
fn a_command_is_fed_and_streams_and_is_logged_once_at_its_end() {
    let fixture = open();
    let options = StartOptions {
        stdin: Stdin::Pipe,
        env: vec![("WHO".into(), Some("you".into()))],
        ..StartOptions::default()
    };
    let command = "read line; echo $line $WHO $LEVEL; cat; exit 6";
    let mut process = start(&fixture.workspace, command, options).unwrap();
    wait(process.control.write_stdin(Bytes::from_static(b"hello\n"))).unwrap();
    assert!(
        matches!(next(&mut process), Some(ProcessEvent::Stdout(bytes)) if bytes == "hello you root\n")
    );
    assert!(logged(&fixture).is_empty());
    wait(process.control.write_stdin(Bytes::from_static(b"rest"))).unwrap();
    process.control.close_stdin();
    let (printed, end) = read(&mut process);
    assert_eq!(
        (printed.as_slice(), exit_code(&end)),
        (&b"rest"[..], Some(6))
    );
    assert!(next(&mut process).is_none());
    assert_eq!(
        logged(&fixture),
        [format!(
            "start {command} None Some(\"hello you root\\nrest\")"
        )]
    );
}

#[test]
fn a_time_limit_ends_it_with_all_that_it_started() {
    let fixture = open();
    let command = "setsid sleep 60 & echo $! > pid; echo before; sleep 60";
    let begun = Instant::now();
    let mut process = start(&fixture.workspace, command, timeout(400)).unwrap();
    let (printed, end) = read(&mut process);
    assert_eq!(failure(&end), ErrorCode::Timeout);
    assert_eq!(printed, b"before\n");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let left = read_number(&fixture.base.path().join("root/pid")).unwrap();
    assert!(!is_alive(left));
    let logged = logged(&fixture);
    assert!(
        matches!(&logged[..], [line] if line.contains("TIMEOUT") && line.contains("before")),
        "{logged:?}"
    );
}

#[test]
fn the_caller_and_destroy_end_it() {
    let fixture = open();
    let options = StartOptions::default();
    let cancel = options.cancel.clone();
    let mut process = start(&fixture.workspace, "sleep 60", options).unwrap();
    cancel.cancel();
    assert_eq!(failure(&read(&mut process).1), ErrorCode::Aborted);

    let scope = fixture
        .workspace
        .scope("one", ScopeOptions::default())
        .unwrap();
    let mut inner = start(&scope, "sleep 60", StartOptions::default()).unwrap();
    let outer = start(&fixture.workspace, "sleep 60", StartOptions::default()).unwrap();
    wait(scope.destroy()).unwrap();
    assert_eq!(failure(&read(&mut inner).1), ErrorCode::Destroyed);
    assert!(is_alive(i32::try_from(outer.control.pid()).unwrap()));
    let late = start(&scope, "true", StartOptions::default());
    assert_eq!(late.unwrap_err().code(), ErrorCode::Destroyed);
}

#[test]
fn dropping_what_it_gave_ends_it() {
    let fixture = open();
    let command = "echo $$ > pid; exec sleep 60";
    let process = start(&fixture.workspace, command, StartOptions::default()).unwrap();
    let path = fixture.base.path().join("root/pid");
    eventually("it runs", || read_number(&path).is_some());
    let pid = read_number(&path).unwrap();
    assert!(is_alive(pid));
    drop(process);
    eventually("it ends", || !is_alive(pid));
    eventually("it is logged", || logged(&fixture).len() == 1);
}

#[test]
fn what_may_not_start_does_not() {
    let fixture = open();
    let refused = |command: &str, options| start(&fixture.workspace, command, options).unwrap_err();
    // Said and not run: the policy refuses it.
    let policy = refused("sudo true", StartOptions::default());
    assert_eq!(policy.code(), ErrorCode::DangerousOperation);
    assert_eq!(
        refused(" ", StartOptions::default()).code(),
        ErrorCode::EmptyCommand
    );
    let nowhere = StartOptions {
        cwd: Some(b"../up".to_vec()),
        ..StartOptions::default()
    };
    assert_eq!(
        refused("true", nowhere).code(),
        ErrorCode::PathEscapeAttempt
    );
    let terminal = StartOptions {
        terminal: Some(Terminal {
            name: "../../etc/x".to_owned(),
            ..Terminal::default()
        }),
        ..StartOptions::default()
    };
    assert_eq!(
        refused("true", terminal).code(),
        ErrorCode::InvalidConfiguration
    );
    assert_eq!(logged(&fixture).len(), 4);
}

#[test]
fn a_gibibyte_streams_through_in_little_memory() {
    const TOTAL: usize = 1 << 30;
    let fixture = open();
    let command = format!("head -c {TOTAL} /dev/zero");
    let mut process = start(&fixture.workspace, &command, StartOptions::default()).unwrap();
    let (mut passed, mut most) = (0, 0);
    let before = resident();
    loop {
        match next(&mut process).unwrap() {
            ProcessEvent::Stdout(bytes) => passed += bytes.len(),
            ProcessEvent::Stderr(bytes) => panic!("{bytes:?}"),
            end => {
                assert_eq!(exit_code(&end), Some(0));
                break;
            }
        }
        most = most.max(resident().saturating_sub(before));
    }
    assert_eq!(passed, TOTAL);
    assert!(most < 256 << 20, "{most} bytes more than before");
}

#[test]
fn a_reader_that_stops_holds_the_command_and_not_the_memory() {
    let fixture = open();
    let command = "i=0; while :; do head -c 65536 /dev/zero; i=$((i+1)); echo $i > written; done";
    let mut process = start(&fixture.workspace, command, timeout(4_000)).unwrap();
    let path = fixture.base.path().join("root/written");
    let written = || read_number(&path).unwrap_or(0);
    eventually("it writes", || written() > 0);
    std::thread::sleep(Duration::from_millis(700));
    let stopped = written();
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(written(), stopped);
    // 16 pieces of 64 KiB in the backend, four here, one in the pipe, and those on the way.
    assert!(stopped < 40, "{stopped} pieces are somewhere");
    for _ in 0..30 {
        assert!(matches!(next(&mut process), Some(ProcessEvent::Stdout(_))));
    }
    eventually("it goes on", || written() > stopped);
    // The limit ends it although nobody reads, and the log knows.
    eventually("it is logged", || logged(&fixture).len() == 1);
    assert_eq!(failure(&read(&mut process).1), ErrorCode::Timeout);
}

#[test]
fn a_command_that_is_killed_while_it_writes_ends_at_once() {
    let fixture = open();
    let mut process = start(&fixture.workspace, "cat /dev/zero", StartOptions::default()).unwrap();
    for _ in 0..20 {
        next(&mut process).unwrap();
    }
    let begun = Instant::now();
    process.control.signal(9);
    let end = read(&mut process).1;
    assert!(matches!(end, ProcessEvent::Exit(status) if status.signal == Some(9)));
    assert!(begun.elapsed() < Duration::from_secs(4));
}

fn of(root: &Workspace, path: &str, principal: &str) -> Workspace {
    let options = ScopeOptions {
        principal: Some(Arc::from(principal)),
        ..ScopeOptions::default()
    };
    root.scope(path, options).unwrap()
}

#[test]
fn only_so_many_commands_of_a_principal_run_at_a_time_whatever_the_call() {
    let fixture = with(
        Isolation::None,
        WorkspaceOptions {
            max_commands: Some(4),
            max_commands_per_principal: Some(2),
            ..WorkspaceOptions::default()
        },
    );
    let root = &fixture.workspace;
    let one = of(root, "a", "one");
    let first = start(&one, "sleep 60", StartOptions::default()).unwrap();
    // Deeper is still the same place of the same principal, also where it is named again.
    let deeper = of(&one, "b/c", "one");
    let second = wait(deeper.spawn("sleep 60", RunOptions::default())).unwrap();
    let refusals = || {
        [
            start(&deeper, "true", StartOptions::default()).map(|_| ()),
            wait(one.run("true", RunOptions::default())).map(|_| ()),
            wait(one.exec("true", RunOptions::default())).map(|_| ()),
            wait(one.spawn("true", RunOptions::default())).map(|_| ()),
        ]
        .map(|refused| refused.unwrap_err().code())
    };
    assert_eq!(refusals(), [ErrorCode::LimitExceeded; 4]);
    // Others have their own, until the root is full.
    let _third = start(&of(root, "a", "two"), "sleep 60", StartOptions::default()).unwrap();
    let _fourth = start(&of(root, "z", "one"), "sleep 60", StartOptions::default()).unwrap();
    let full = wait(root.run("true", RunOptions::default())).unwrap_err();
    assert_eq!(full.code(), ErrorCode::LimitExceeded);
    assert!(full.message().contains("4 commands"), "{full}");
    second.kill(9);
    wait(second.wait()).unwrap();
    wait(one.run("true", RunOptions::default())).unwrap();
    drop(first);
    eventually("there is room again", || {
        let more = [&one, &one].map(|scope| start(scope, "sleep 60", StartOptions::default()));
        more.iter().all(|started| started.is_ok())
    });
    wait(root.destroy()).unwrap();
}

#[test]
fn a_session_with_a_terminal_has_no_time_limit_of_its_own_and_ends_with_its_workspace() {
    let options = WorkspaceOptions {
        command_timeout_ms: Some(300),
        ..WorkspaceOptions::default()
    };
    let fixture = with(Isolation::None, options);
    let session = |timeout_ms| StartOptions {
        terminal: Some(Terminal::default()),
        login_shell: true,
        timeout_ms,
        ..StartOptions::default()
    };
    let plain = &mut start(&fixture.workspace, "sleep 60", StartOptions::default()).unwrap();
    let limited = &mut start(&fixture.workspace, "", session(Some(300))).unwrap();
    let mut shell = start(&fixture.workspace, "", session(None)).unwrap();
    assert_eq!(failure(&read(plain).1), ErrorCode::Timeout);
    assert_eq!(failure(&read(limited).1), ErrorCode::Timeout);
    let typed = Bytes::from_static(b"echo still $((40 + 2))\r");
    wait(shell.control.write_stdin(typed)).unwrap();
    let mut shown = Vec::new();
    while !String::from_utf8_lossy(&shown).contains("still 42") {
        match next(&mut shell).unwrap() {
            ProcessEvent::Stdout(bytes) => shown.extend_from_slice(&bytes),
            other => panic!("{other:?} after {shown:?}"),
        }
    }
    let pid = i32::try_from(shell.control.pid()).unwrap();
    wait(fixture.workspace.destroy()).unwrap();
    assert_eq!(failure(&read(&mut shell).1), ErrorCode::Destroyed);
    assert!(!is_alive(pid));
}
