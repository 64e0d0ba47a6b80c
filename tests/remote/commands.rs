//! Commands over the channel that they share: exact, each with room of its own, and none outlives its connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use agent_backend::backend::process::{ProcessEvent, Stdin};
use agent_backend::error::ErrorCode;
use agent_backend::pool;
use agent_backend::workspace::{RunOptions, ScopeOptions, StartOptions, Workspace};
use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use crate::memory::resident;
use crate::world::{World, put, until, wait};

fn run(workspace: &Workspace, command: &str) -> (Vec<u8>, Vec<u8>, Option<i32>) {
    let output = wait(workspace.run(command, RunOptions::default())).unwrap();
    (output.stdout, output.stderr, output.exit_code)
}

/// Whether a process is there, and no corpse.
fn is_alive(pid: &str) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    status.is_ok_and(|text| !text.contains(") Z"))
}

#[test]
fn output_and_end_of_a_command_are_exact() {
    let world = World::new();
    let (client, _connector) = world.client();
    assert_eq!(
        run(&client, r"printf 'a\0\377b'; printf err >&2; exit 7"),
        (b"a\0\xffb".to_vec(), b"err".to_vec(), Some(7))
    );
    put(&client, "d/f", "text").unwrap();
    let options = RunOptions {
        cwd: Some(b"d".to_vec()),
        env: vec![("A".into(), Some("ä\n\u{1}".into()))],
        ..RunOptions::default()
    };
    let output = wait(client.run("cat f; printf '%s' \"$A\"; pwd", options)).unwrap();
    let expected = format!("textä\n\u{1}{}/d\n", world.root().display());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    let killed = wait(client.run("kill -TERM $$", RunOptions::default())).unwrap();
    assert_eq!((killed.exit_code, killed.signal), (None, Some("SIGTERM")));
    let failed = wait(client.exec("echo no >&2; exit 3", RunOptions::default())).unwrap_err();
    assert_eq!(failed.code(), ErrorCode::ExecFailed);
    assert_eq!(failed.failure().unwrap().exit_code, Some(3));
    let options = RunOptions {
        cwd: Some(b"missing".to_vec()),
        ..RunOptions::default()
    };
    let missing = wait(client.run("true", options)).unwrap_err();
    assert_eq!(
        (missing.code(), missing.path()),
        (ErrorCode::NotFound, Some("missing"))
    );
}

#[test]
fn standard_input_of_any_length_arrives_as_it_was() {
    let world = World::new();
    let (client, _connector) = world.client();
    for length in [0_usize, 1, 32_768, 200_000, 300_000, 5_000_000] {
        let input: Vec<u8> = (0..length).map(|at| (at % 251).to_le_bytes()[0]).collect();
        let options = RunOptions {
            stdin: Some(input.clone().into()),
            ..RunOptions::default()
        };
        let output = wait(client.run("cat", options)).unwrap();
        assert!(output.stdout == input, "{length}: {}", output.stdout.len());
    }
}

#[test]
fn a_command_is_fed_while_it_runs_and_told_of_signals() {
    let world = World::new();
    let (client, _connector) = world.client();
    let command = client.spawn(
        "while read line; do echo \"<$line>\"; done",
        RunOptions::default(),
    );
    let command = wait(command).unwrap();
    assert!(command.pid() > 0 && is_alive(&command.pid().to_string()));
    wait(command.write_stdin(Bytes::from_static(b"one\n"))).unwrap();
    until("it answers", || command.output().stdout == b"<one>\n");
    let many = "x\n".repeat(300_000);
    wait(command.write_stdin(many.into())).unwrap();
    command.close_stdin();
    let output = wait(command.wait()).unwrap();
    assert_eq!(output.exit_code, Some(0));
    assert_eq!(output.stdout.len(), 6 + 4 * 300_000);
    let late = wait(command.write_stdin(Bytes::from_static(b"late\n")));
    assert!(late.is_err());

    let sleeping = wait(client.spawn("exec sleep 100", RunOptions::default())).unwrap();
    sleeping.kill(15);
    assert_eq!(wait(sleeping.wait()).unwrap().signal, Some("SIGTERM"));
}

#[test]
fn a_command_ends_in_time_when_aborted_and_when_its_connection_ends() {
    let world = World::new();
    let (client, connector) = world.client();
    let options = RunOptions {
        timeout_ms: Some(300),
        ..RunOptions::default()
    };
    let text = "echo $$ > pid; echo begun; exec sleep 100";
    let error = wait(client.run(text, options)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Timeout);
    assert_eq!(error.failure().unwrap().stdout, b"begun\n");
    assert!(!is_alive(&world.get("pid")));

    let cancel = CancellationToken::new();
    let options = RunOptions {
        cancel: cancel.clone(),
        ..RunOptions::default()
    };
    let running = client.run("echo $$ > pid2; exec sleep 100", options);
    let running = pool::runtime().spawn(async move { running.await.map(|_| ()) });
    until("it runs", || {
        world.root().join("pid2").exists() && !world.get("pid2").is_empty()
    });
    cancel.cancel();
    let error = pool::runtime().block_on(running).unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Aborted);
    // Where the call was aborted before it knew of the start, it does not wait for the end.
    until("it has ended", || !is_alive(&world.get("pid2")));

    let running = client.run("echo $$ > pid3; exec sleep 100", RunOptions::default());
    let running = pool::runtime().spawn(async move { running.await.map(|_| ()) });
    until("it runs", || {
        world.root().join("pid3").exists() && !world.get("pid3").is_empty()
    });
    let pid = world.get("pid3");
    assert!(is_alive(&pid));
    connector.cut();
    let error = pool::runtime().block_on(running).unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConnectionClosed);
    until("it has ended", || !is_alive(&pid));
    // It was started once, and not again on the next connection.
    assert_eq!(run(&client, "cat pid3").0, pid.as_bytes());
    assert_eq!(connector.connections(), 2);
}

#[test]
fn what_nobody_reads_holds_one_command_and_nothing_else() {
    let world = World::new();
    let (client, _connector) = world.client();
    put(&client, "a", "1").unwrap();
    let flood = |workspace: &Workspace| {
        let options = StartOptions {
            stdin: Stdin::Null,
            ..StartOptions::default()
        };
        wait(workspace.start("exec yes", options)).unwrap()
    };
    let before = resident();
    let unread: Vec<_> = (0..8).map(|_| flood(&client)).collect();
    std::thread::sleep(Duration::from_millis(500));
    let begun = Instant::now();
    for _ in 0..20 {
        assert_eq!(run(&client, "echo x").0, b"x\n");
        wait(client.stat("a")).unwrap();
    }
    println!(
        "20 commands and stats beside 8 floods: {:?}",
        begun.elapsed()
    );
    let grown = resident().saturating_sub(before);
    // Other tests of this process run at the same time.
    assert!(grown < 256 << 20, "{grown} bytes");
    drop(unread);
    // Dropping the hand on them ended them.
    until("they have ended", || {
        let found = run(&client, "pgrep -x yes -P $PPID | wc -l").0;
        String::from_utf8(found).unwrap().trim() == "0"
    });
}

#[test]
fn a_gibibyte_of_output_passes_while_stats_are_answered_and_memory_stays() {
    const LENGTH: u64 = 1 << 30;
    let world = World::new();
    let (client, _connector) = world.client();
    put(&client, "a", "1").unwrap();
    let options = StartOptions {
        stdin: Stdin::Null,
        ..StartOptions::default()
    };
    let command = format!("head -c {LENGTH} /dev/zero");
    let mut process = wait(client.start(&command, options)).unwrap();
    let passed = Arc::new(AtomicU64::new(0));
    let (before, begun) = (resident(), Instant::now());
    let reading = pool::runtime().spawn({
        let passed = Arc::clone(&passed);
        async move {
            loop {
                match process.events.recv().await.unwrap() {
                    ProcessEvent::Stdout(bytes) => {
                        passed.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                    }
                    ProcessEvent::Exit(status) => return status.code,
                    other => panic!("{other:?}"),
                }
            }
        }
    });
    let (mut slowest, mut stats, mut most) = (Duration::ZERO, 0, 0);
    while !reading.is_finished() {
        let asked = Instant::now();
        wait(client.stat("a")).unwrap();
        slowest = slowest.max(asked.elapsed());
        stats += 1;
        most = most.max(resident().saturating_sub(before));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(pool::runtime().block_on(reading).unwrap(), Some(0));
    assert_eq!(passed.load(Ordering::Relaxed), LENGTH);
    println!(
        "1 GiB in {:?}; {stats} stats meanwhile, the slowest {slowest:?}; {most} bytes more at the most",
        begun.elapsed()
    );
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    // Other tests of this process run at the same time.
    assert!(most < 256 << 20, "{most} bytes");
}

#[test]
fn destroying_a_scope_ends_its_commands_and_no_other() {
    let world = World::new();
    let (client, _connector) = world.client();
    let scope = |path: &str| {
        put(&client, &format!("{path}/x"), "1").unwrap();
        client.scope(path, ScopeOptions::default()).unwrap()
    };
    let (one, two) = (scope("s/1"), scope("s/2"));
    let start = |workspace: &Workspace| {
        let started = workspace.start("exec sleep 100", StartOptions::default());
        wait(started).unwrap()
    };
    let (in_one, in_two) = (start(&one), start(&two));
    let pid =
        |process: &agent_backend::backend::process::Process| process.control.pid().to_string();
    let (one_pid, two_pid) = (pid(&in_one), pid(&in_two));
    assert!(is_alive(&one_pid) && is_alive(&two_pid));
    wait(one.destroy()).unwrap();
    until("it has ended", || !is_alive(&one_pid));
    assert!(is_alive(&two_pid));
    assert_eq!(run(&two, "cat x").0, b"1");
    drop(in_two);
    until("it has ended", || !is_alive(&two_pid));
}

#[test]
fn a_hundred_commands_at_once_get_their_own_output() {
    let world = World::new();
    let (client, _connector) = world.client();
    let calls: Vec<_> = (0..100)
        .map(|number| {
            client.run(
                &format!("echo {number}; exit {}", number % 5),
                RunOptions::default(),
            )
        })
        .collect();
    let mut refused = 0;
    for (number, call) in calls.into_iter().enumerate() {
        match wait(call) {
            Ok(output) => {
                assert_eq!(output.stdout, format!("{number}\n").as_bytes());
                assert_eq!(output.exit_code, Some(i32::try_from(number % 5).unwrap()));
            }
            // A bound of either side.
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::LimitExceeded);
                refused += 1;
            }
        }
    }
    println!("{refused} of 100 were refused");
    assert!(refused < 90);
}
