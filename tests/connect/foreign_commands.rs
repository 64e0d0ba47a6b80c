//! Commands over OpenSSH's server.

use std::time::{Duration, Instant};

use agent_backend::backend::limits::Limits;
use agent_backend::error::ErrorCode;
use agent_backend::workspace::{RunOptions, ScopeOptions, Workspace};
use bytes::Bytes;

use crate::foreign_files::{server, workspace};
use crate::world::{eventually, wait};

fn run(workspace: &Workspace, command: &str) -> (String, String, Option<i32>) {
    let output = wait(workspace.run(command, RunOptions::default())).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.exit_code)
}

#[test]
fn output_exit_code_and_directory_are_those_of_the_command() {
    let Some(server) = server() else { return };
    let workspace = workspace(&server);
    let (stdout, stderr, code) = run(&workspace, "echo out; echo err >&2; exit 3");
    assert_eq!(
        (stdout.as_str(), stderr.as_str(), code),
        ("out\n", "err\n", Some(3))
    );
    assert_eq!(run(&workspace, "pwd; echo $HOME").0, {
        let root = server.root().display().to_string();
        format!("{root}\n{root}\n")
    });
    let scope = workspace
        .scope("tenants/it's 1", ScopeOptions::default())
        .unwrap();
    let place = server.root().join("tenants/it's 1").display().to_string();
    assert_eq!(
        run(&scope, "pwd; echo $HOME").0,
        format!("{place}\n{place}\n")
    );
    assert_eq!(run(&workspace, "read line; echo \"<$line>\"").0, "<>\n");
    let (_, _, code) = run(&workspace, "kill -9 $$");
    assert_eq!(code, None);
}

#[test]
fn the_environment_is_exact_and_input_and_output_are_binary() {
    let Some(server) = server() else { return };
    let workspace = workspace(&server);
    let value = "two\nlines 'single' \"double\" $HOME `x` \\ ü";
    let options = RunOptions {
        env: vec![
            ("VALUE".into(), Some(value.into())),
            ("EMPTY".into(), Some(Vec::new())),
            ("LANG".into(), None),
        ],
        ..RunOptions::default()
    };
    let output = wait(workspace.run("printf %s \"$VALUE\"; env | grep -c '^EMPTY=$'; env | grep -c '^SSH_'; env | grep -c '^LANG='; true", options));
    let stdout = String::from_utf8(output.unwrap().stdout.to_vec()).unwrap();
    assert_eq!(stdout, format!("{value}1\n0\n0\n"));
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let options = RunOptions {
        stdin: Some(Bytes::from(bytes.clone())),
        max_output_bytes: Some(1 << 20),
        ..RunOptions::default()
    };
    let output = wait(workspace.run("cat", options)).unwrap();
    assert!(output.stdout == bytes, "{} bytes", output.stdout.len());
}

#[test]
fn what_a_command_started_ends_with_its_time_also_what_left_its_session() {
    let Some(server) = server() else { return };
    let workspace = workspace(&server);
    let begin = Instant::now();
    let options = RunOptions {
        timeout_ms: Some(3_000),
        ..RunOptions::default()
    };
    let command = "sleep 77 & echo $! > one; (setsid sleep 77 & echo $! > two; wait) & sleep 77";
    let error = wait(workspace.run(command, options)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Timeout, "{error}");
    assert!(begin.elapsed() < Duration::from_secs(20));
    for name in ["one", "two"] {
        let pid = std::fs::read_to_string(server.root().join(name)).unwrap();
        let stat = format!("/proc/{}/stat", pid.trim());
        let is_there = || std::fs::read_to_string(&stat).is_ok_and(|line| !line.contains(") Z "));
        eventually(&format!("{name} has ended"), || !is_there());
    }
}

#[test]
fn what_runs_ends_with_the_backend() {
    let Some(server) = server() else { return };
    let client = crate::world::client(server.options());
    let workspace = client.workspace.clone();
    let running = std::thread::spawn(move || {
        let command = "echo $$ > pid; sleep 77; true";
        wait(workspace.run(command, RunOptions::default()))
    });
    let file = server.root().join("pid");
    let pid = || std::fs::read_to_string(&file).unwrap_or_default();
    eventually("it runs", || pid().ends_with('\n'));
    client.destroy();
    let stat = format!("/proc/{}/stat", pid().trim());
    let is_there = || std::fs::read_to_string(&stat).is_ok_and(|line| !line.contains(") Z "));
    eventually("it has ended", || !is_there());
    if let Ok(output) = running.join().unwrap() {
        assert_eq!(output.exit_code, None, "it did not end by itself");
    }
}

#[test]
fn a_grandchild_that_holds_the_output_does_not_hold_the_call() {
    let Some(server) = server() else { return };
    let begin = Instant::now();
    let (stdout, _, code) = run(&workspace(&server), "sleep 4 & echo started");
    assert_eq!((stdout.as_str(), code), ("started\n", Some(0)));
    assert!(
        begin.elapsed() < Duration::from_millis(3_500),
        "{:?}",
        begin.elapsed()
    );
}

#[test]
fn much_output_is_complete_and_does_not_hold_files_up() {
    let Some(server) = server() else { return };
    let workspace = workspace(&server);
    let options = RunOptions {
        max_output_bytes: Some(64 << 20),
        ..RunOptions::default()
    };
    let running = {
        let workspace = workspace.clone();
        std::thread::spawn(move || wait(workspace.run("head -c 30000000 /dev/zero", options)))
    };
    while !running.is_finished() {
        let begin = Instant::now();
        wait(workspace.exists("a")).unwrap();
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(running.join().unwrap().unwrap().stdout.len(), 30_000_000);
}

#[test]
fn thirty_commands_at_once_all_run() {
    let Some(server) = server() else { return };
    let workspace = workspace(&server);
    let running: Vec<_> = (0..30)
        .map(|number| {
            let workspace = workspace.clone();
            std::thread::spawn(move || run(&workspace, &format!("sleep 0.1; echo {number}")).0)
        })
        .collect();
    for (number, thread) in running.into_iter().enumerate() {
        assert_eq!(thread.join().unwrap(), format!("{number}\n"));
    }
}

#[test]
fn what_cannot_be_had_is_said() {
    let Some(server) = server() else { return };
    let workspace = workspace(&server);
    let options = RunOptions {
        cwd: Some(b"missing".to_vec()),
        ..RunOptions::default()
    };
    let error = wait(workspace.run("true", options)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound, "{error}");
    let options = RunOptions {
        limits: Limits {
            processes: Some(3),
            ..Limits::default()
        },
        ..RunOptions::default()
    };
    let error = wait(workspace.run("true", options)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::MissingUtilities, "{error}");
    let error = wait(workspace.run(&format!(": {}", "x".repeat(200_000)), RunOptions::default()));
    let code = error.unwrap_err().code();
    assert!(
        matches!(code, ErrorCode::TooLarge | ErrorCode::DangerousOperation),
        "{code}"
    );
}

#[test]
fn a_user_who_may_only_use_sftp_is_told_that_commands_do_not_run() {
    let Ok(_) = crate::sshd::program() else {
        return;
    };
    let server = crate::sshd::Sshd::start_with("ForceCommand internal-sftp");
    let workspace = workspace(&server);
    assert!(!wait(workspace.exists("a")).unwrap());
    let error = wait(workspace.run(
        "true",
        RunOptions {
            timeout_ms: Some(3_000),
            ..RunOptions::default()
        },
    ))
    .unwrap_err();
    assert!(
        matches!(error.code(), ErrorCode::ExecError | ErrorCode::Timeout),
        "{error}"
    );
}
