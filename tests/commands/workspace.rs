//! Commands through the front that every door passes: `run`, `exec` and `spawn` of a workspace over a local directory.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agent_backend::backend::local::command::{CommandOptions, Isolation};
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::backend::{Content, WriteOptions};
use agent_backend::call::Call;
use agent_backend::error::{Error, ErrorCode};
use agent_backend::pool;
use agent_backend::workspace::{
    CommandOutput, Observer, OperationRecord, OutputStream, RunOptions, ScopeOptions, Workspace,
    WorkspaceOptions,
};
use bytes::Bytes;

use super::support::{eventually, is_alive, read_number};

#[derive(Debug, Default)]
pub struct Log {
    pub lines: Mutex<Vec<String>>,
    refused: Mutex<Vec<String>>,
}

impl Observer for Log {
    fn operation(&self, record: &OperationRecord<'_>) {
        let code = record.error.map(|error| error.code().as_str());
        let printed = record
            .output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let line = format!(
            "{} {} {code:?} {printed:?}",
            record.operation, record.target
        );
        self.lines.lock().unwrap().push(line);
    }

    fn dangerous(&self, command: &str) {
        self.refused.lock().unwrap().push(command.to_owned());
    }
}

pub struct Fixture {
    pub base: tempfile::TempDir,
    pub workspace: Workspace,
    pub log: Arc<Log>,
}

fn fixture(isolation: Isolation) -> Fixture {
    with(isolation, WorkspaceOptions::default())
}

pub fn with(isolation: Isolation, options: WorkspaceOptions) -> Fixture {
    let base = tempfile::tempdir().unwrap();
    let backend = LocalBackend::open(LocalOptions {
        root_dir: base.path().join("root"),
        state_dir: Some(base.path().join("state")),
        command: CommandOptions {
            isolation,
            ..CommandOptions::default()
        },
        ..LocalOptions::default()
    });
    let log = Arc::new(Log::default());
    let scope = ScopeOptions {
        env: vec![("LEVEL".into(), "root".into())],
        observer: Some(Arc::clone(&log) as Arc<dyn Observer>),
        ..ScopeOptions::default()
    };
    Fixture {
        workspace: Workspace::new(backend.unwrap(), options, scope),
        base,
        log,
    }
}

pub fn open() -> Fixture {
    fixture(Isolation::None)
}

pub fn wait<T: Send + 'static>(call: Call<T>) -> Result<T, Error> {
    pool::runtime().block_on(call)
}

fn run(workspace: &Workspace, command: &str) -> CommandOutput {
    wait(workspace.run(command, RunOptions::default())).unwrap()
}

#[test]
fn exec_gives_output_or_an_error_with_exit_code_and_output() {
    let fixture = open();
    let ok = wait(
        fixture
            .workspace
            .exec("echo out; echo err >&2", RunOptions::default()),
    )
    .unwrap();
    assert_eq!(
        (ok.stdout.as_slice(), ok.stderr.as_slice()),
        (&b"out\n"[..], &b"err\n"[..])
    );
    let error = wait(
        fixture
            .workspace
            .exec("echo part; echo why >&2; exit 3", RunOptions::default()),
    )
    .unwrap_err();
    assert_eq!(
        (error.code(), error.operation()),
        (ErrorCode::ExecFailed, Some("exec"))
    );
    assert!(error.message().contains("exit code 3: why"), "{error}");
    let failure = error.failure().unwrap();
    assert_eq!(
        (failure.exit_code, failure.stdout.as_slice()),
        (Some(3), &b"part\n"[..])
    );
}

#[test]
fn run_does_not_fail_for_an_exit_code_or_a_signal() {
    let fixture = open();
    assert_eq!(run(&fixture.workspace, "exit 3").exit_code, Some(3));
    let ended = run(&fixture.workspace, "kill -KILL $$");
    assert_eq!((ended.exit_code, ended.signal), (None, Some("SIGKILL")));
}

#[test]
fn an_empty_command_and_bad_options_are_refused_by_name() {
    let fixture = open();
    let code = |command: &str, options: RunOptions| {
        wait(fixture.workspace.run(command, options))
            .unwrap_err()
            .code()
    };
    assert_eq!(
        code(" \n\t", RunOptions::default()),
        ErrorCode::EmptyCommand
    );
    assert_eq!(
        code("echo \0", RunOptions::default()),
        ErrorCode::InvalidConfiguration
    );
    for (name, value) in [("A=B", "x"), ("", "x"), ("A", "x\0")] {
        let options = RunOptions {
            env: vec![(name.into(), Some(value.into()))],
            ..RunOptions::default()
        };
        assert_eq!(code("true", options), ErrorCode::InvalidConfiguration);
    }
    let cwd = |path: &str| RunOptions {
        cwd: Some(path.into()),
        ..RunOptions::default()
    };
    assert_eq!(code("true", cwd("../x")), ErrorCode::PathEscapeAttempt);
    assert_eq!(code("true", cwd("missing")), ErrorCode::NotFound);
    wait(
        fixture
            .workspace
            .write("file", Content::owned("x"), WriteOptions::default()),
    )
    .unwrap();
    assert_eq!(code("true", cwd("file")), ErrorCode::NotADirectory);
    std::os::unix::fs::symlink("/etc", fixture.base.path().join("root/out")).unwrap();
    assert_eq!(code("true", cwd("out")), ErrorCode::PathEscapeAttempt);
}

#[test]
fn the_working_directory_and_the_environment_come_from_scope_and_call() {
    let fixture = open();
    let scope = fixture.workspace.scope(
        "users/1",
        ScopeOptions {
            env: vec![("TENANT".into(), "one".into())],
            ..ScopeOptions::default()
        },
    );
    let scope = scope.unwrap();
    assert_eq!(
        run(&scope, "pwd").stdout,
        [scope.root_dir(), b"\n"].concat()
    );
    wait(scope.create_dir("sub", false)).unwrap();
    let options = RunOptions {
        cwd: Some(b"sub".to_vec()),
        env: vec![
            ("TENANT".into(), Some("two".into())),
            ("LEVEL".into(), None),
        ],
        ..RunOptions::default()
    };
    let output =
        wait(scope.run("basename $PWD; echo $TENANT ${LEVEL-unset} $HOME", options)).unwrap();
    let home = String::from_utf8_lossy(scope.root_dir()).into_owned();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("sub\ntwo unset {home}\n")
    );
    assert_eq!(run(&scope, "echo $TENANT $LEVEL").stdout, b"one root\n");
}

#[test]
fn a_hundred_megabytes_are_bounded_with_head_and_tail_while_they_are_read() {
    let fixture = open();
    let options = RunOptions {
        max_output_bytes: Some(1000),
        ..RunOptions::default()
    };
    let script = "echo first; head -c 100000000 /dev/zero | tr '\\0' x; echo last";
    let output = wait(fixture.workspace.run(script, options)).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.truncated && text.starts_with("first\nxxx") && text.ends_with("xxxlast\n"));
    assert!(text.contains("99999011 bytes left out"), "{text}");
    assert!(text.len() < 1200);
}

#[test]
fn output_is_told_as_it_comes_and_binary_output_is_exact() {
    let fixture = open();
    let pieces: Arc<Mutex<Vec<(OutputStream, Bytes, Instant)>>> = Arc::default();
    let sink = Arc::clone(&pieces);
    let options = RunOptions {
        on_output: Some(Arc::new(move |stream, bytes| {
            sink.lock().unwrap().push((stream, bytes, Instant::now()))
        })),
        ..RunOptions::default()
    };
    let script = "printf '\\x00\\xff\\n\\n'; sleep 0.3; echo late >&2";
    let output = wait(fixture.workspace.run(script, options)).unwrap();
    assert_eq!(output.stdout, b"\x00\xff\n\n");
    let pieces = pieces.lock().unwrap();
    let first = |wanted| {
        let found = pieces.iter().find(|(stream, ..)| *stream == wanted);
        found.unwrap().2
    };
    let apart = first(OutputStream::Stderr) - first(OutputStream::Stdout);
    assert!(
        apart > Duration::from_millis(200),
        "they came {apart:?} apart"
    );
}

#[test]
fn a_timeout_ends_everything_and_tells_what_was_printed() {
    for isolation in [Isolation::None, Isolation::Auto] {
        let fixture = fixture(isolation);
        let options = RunOptions {
            timeout_ms: Some(700),
            ..RunOptions::default()
        };
        let script = "echo before; echo $$ > pid; setsid sleep 60 & sleep 60";
        let begun = Instant::now();
        let error = wait(fixture.workspace.exec(script, options)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Timeout);
        assert!(error.message().contains("700 ms"), "{error}");
        assert_eq!(error.failure().unwrap().stdout, b"before\n");
        assert!(begun.elapsed() < Duration::from_secs(8));
        if isolation == Isolation::None {
            let pid = read_number(&fixture.base.path().join("root/pid")).unwrap();
            assert!(!is_alive(pid));
        }
    }
}

#[test]
fn a_cancelled_call_is_aborted_and_one_cancelled_before_starts_nothing() {
    let fixture = open();
    let options = RunOptions::default();
    let cancel = options.cancel.clone();
    let call = fixture
        .workspace
        .run("echo up > up; sleep 60", options.clone());
    let up = fixture.base.path().join("root/up");
    let ended = pool::runtime().block_on(async move {
        let task = pool::runtime().spawn(call);
        while !up.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        cancel.cancel();
        task.await.unwrap()
    });
    assert_eq!(ended.unwrap_err().code(), ErrorCode::Aborted);
    let again = wait(fixture.workspace.run("touch never", options)).unwrap_err();
    assert_eq!(again.code(), ErrorCode::Aborted);
    assert!(!fixture.base.path().join("root/never").exists());
}

#[test]
fn dropping_the_call_ends_the_command() {
    let fixture = open();
    let call = fixture
        .workspace
        .run("echo $$ > pid; sleep 60", RunOptions::default());
    let pid = fixture.base.path().join("root/pid");
    eventually("it runs", || read_number(&pid).is_some());
    drop(call);
    let pid = read_number(&pid).unwrap();
    eventually("it is gone", || !is_alive(pid));
}

#[test]
fn a_dangerous_command_is_refused_before_anything_runs() {
    let fixture = open();
    // Harmless even if it ran: there is nothing at this path, and the policy is what is tested.
    let command = "touch started; sudo true";
    let error = wait(fixture.workspace.exec(command, RunOptions::default())).unwrap_err();
    assert_eq!(
        (error.code(), error.path()),
        (ErrorCode::DangerousOperation, Some(command))
    );
    assert_eq!(*fixture.log.refused.lock().unwrap(), [command]);
    assert!(!fixture.base.path().join("root/started").exists());
}

#[test]
fn every_command_is_in_the_log_with_its_output() {
    let fixture = open();
    run(&fixture.workspace, "echo hi");
    let _ = wait(
        fixture
            .workspace
            .exec("echo no; exit 1", RunOptions::default()),
    );
    let _ = wait(fixture.workspace.exec("", RunOptions::default()));
    let background = wait(fixture.workspace.spawn("echo bg", RunOptions::default())).unwrap();
    wait(background.wait()).unwrap();
    eventually("all four are there", || {
        fixture.log.lines.lock().unwrap().len() == 4
    });
    assert_eq!(
        *fixture.log.lines.lock().unwrap(),
        [
            "run echo hi None Some(\"hi\\n\")",
            "exec echo no; exit 1 Some(\"EXEC_FAILED\") Some(\"no\\n\")",
            "exec  Some(\"EMPTY_COMMAND\") None",
            "spawn echo bg None Some(\"bg\\n\")",
        ]
    );
}

#[test]
fn the_strongest_level_runs_commands_on_what_calls_wrote_and_the_reverse() {
    let fixture = fixture(Isolation::Auto);
    let scope = fixture
        .workspace
        .scope("users/1", ScopeOptions::default())
        .unwrap();
    wait(scope.write(
        "src/file",
        Content::owned("by a call"),
        WriteOptions::default(),
    ))
    .unwrap();
    let output = run(
        &scope,
        "cat src/file; echo more >> src/file; mkdir made; echo 'by a command' > made/file",
    );
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.stdout, b"by a call");
    let read = wait(scope.read("made/file", Default::default())).unwrap();
    assert_eq!(&read.bytes[..], b"by a command\n");
    wait(scope.write(
        "made/file",
        Content::owned("again"),
        WriteOptions::default(),
    ))
    .unwrap();
    assert_eq!(
        run(&scope, "cat made/file; rm -r made && ls").stdout,
        b"againsrc\n"
    );
}

#[test]
fn removing_a_scopes_directory_ends_its_commands_and_drops_its_private_files() {
    let fixture = fixture(Isolation::Auto);
    let scope = fixture
        .workspace
        .scope("users/1", ScopeOptions::default())
        .unwrap();
    run(&scope, "echo x > ${TMPDIR:-/tmp}/file");
    let stored = || {
        std::fs::read_dir(fixture.base.path().join("state/scopes"))
            .unwrap()
            .count()
    };
    assert_eq!(stored(), 1);
    let command = wait(scope.spawn("sleep 60", RunOptions::default())).unwrap();
    let options = agent_backend::backend::RemoveOptions {
        recursive: true,
        force: false,
        ..agent_backend::backend::RemoveOptions::default()
    };
    wait(fixture.workspace.remove("users", options)).unwrap();
    assert!(wait(command.wait()).unwrap().exit_code != Some(0));
    eventually("they are gone", || stored() == 0);
}
