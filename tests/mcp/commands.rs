//! Running commands through the tools.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::client::{Local, call, call_until, eventually, is_alive, told};

#[test]
fn output_and_exit_code_are_in_the_text_and_in_the_structured_content() {
    let local = Local::new();
    let server = local.server();
    let good = call(&server, "exec", json!({ "command": "echo out" }));
    assert_eq!(told(&good), ("out".into(), false));
    let value = good.structured_json().unwrap();
    assert_eq!(
        (&value["stdout"], &value["exitCode"]),
        (&json!("out"), &json!(0))
    );
    let bad = call(
        &server,
        "exec",
        json!({ "command": "echo out; echo err >&2; exit 3" }),
    );
    assert_eq!(
        told(&bad),
        ("out\n\nstderr:\nerr\n\nExit code: 3".into(), true)
    );
    let value = bad.structured_json().unwrap();
    assert_eq!(value["stderr"], "err");
    assert_eq!(value["exitCode"], 3);
    let killed = call(&server, "exec", json!({ "command": "kill -9 $$" }));
    assert!(told(&killed).0.contains("SIGKILL"), "{killed:?}");
}

#[test]
fn environment_directory_and_time_limit_are_taken() {
    let local = Local::new();
    std::fs::create_dir(local.root().join("sub")).unwrap();
    let server = local.server();
    let command = "echo $NAME; basename $(pwd); cat; sleep 60";
    let arguments = json!({
        "command": command, "env": { "NAME": "a value" }, "cwd": "sub", "timeout": 300
    });
    let started = Instant::now();
    let (text, failed) = told(&call(&server, "exec", arguments));
    assert!(failed && started.elapsed() < Duration::from_secs(10));
    assert!(text.starts_with("a value\nsub\n\nTIMEOUT: "), "{text}");
    for (arguments, problem) in [
        (json!({ "command": "" }), "EMPTY_COMMAND: "),
        (
            json!({ "command": "pwd", "cwd": "../.." }),
            "PATH_ESCAPE_ATTEMPT: ",
        ),
        (json!({ "command": "pwd", "cwd": "none" }), "NOT_FOUND: "),
        (
            json!({ "command": "true", "env": { "A=B": "" } }),
            "INVALID_CONFIGURATION: env: ",
        ),
        (
            json!({ "command": "true", "timeout": -1 }),
            "MCP error -32602: ",
        ),
        (json!({ "command": ["true"] }), "MCP error -32602: "),
    ] {
        let (text, failed) = told(&call(&server, "exec", arguments));
        assert!(failed && text.starts_with(problem), "{text}");
    }
}

#[test]
fn a_dangerous_command_is_refused_and_nothing_starts() {
    let local = Local::new();
    // First something harmless that the policy must refuse too.
    let (text, failed) = told(&call(
        &local.server(),
        "exec",
        json!({ "command": "touch started; sudo true" }),
    ));
    assert!(
        failed && text.starts_with("DANGEROUS_OPERATION: "),
        "{text}"
    );
    assert!(!local.root().join("started").exists());
}

#[test]
fn of_long_output_the_ends_are_shown_and_the_whole_is_kept() {
    let local = Local::new();
    let server = local.server();
    let result = call(
        &server,
        "exec",
        json!({ "command": "seq 1 50000; echo problem >&2" }),
    );
    let (text, failed) = told(&result);
    assert!(!failed && text.len() < 40_000);
    assert!(text.starts_with("1\n2\n") && text.ends_with("50000\n\nstderr:\nproblem"));
    let value = result.structured_json().unwrap();
    assert_eq!(value["truncated"], true);
    let file = value["stdoutFile"].as_str().unwrap();
    assert!(text.contains(file), "the text names the file");
    let whole: String = (1..50_001).map(|n| format!("{n}\n")).collect();
    let kept = std::fs::read_to_string(local.root().join(file)).unwrap();
    assert_eq!(kept, whole.trim_end());
    // It is there for the other tools, and out of sight of git.
    let (found, _) = told(&call(
        &server,
        "read_text_file",
        json!({ "path": file, "tail": 1 }),
    ));
    assert_eq!(found, "50000");
    assert_eq!(
        std::fs::read_to_string(local.root().join(".agent-backend/.gitignore")).unwrap(),
        "*\n"
    );
}

#[test]
fn kept_outputs_do_not_grow_in_number() {
    let local = Local::new();
    let server = local.server();
    let beside = local.root().join(".agent-backend/output/notes.txt");
    std::fs::create_dir_all(beside.parent().unwrap()).unwrap();
    std::fs::write(&beside, "of somebody else").unwrap();
    for _ in 0..70 {
        call(
            &server,
            "exec",
            json!({ "command": "head -c 40000 /dev/zero | tr '\\0' x" }),
        );
    }
    let kept = std::fs::read_dir(local.root().join(".agent-backend/output")).unwrap();
    assert_eq!(kept.count(), 64 + 1);
    assert!(beside.exists());
}

#[test]
fn a_cancelled_command_dies() {
    let local = Local::new();
    let server = local.server();
    let cancel = CancellationToken::new();
    let pid_file = local.root().join("pid");
    std::thread::scope(|threads| {
        let running = threads.spawn({
            let cancel = cancel.clone();
            move || {
                let command = "echo $$ > pid.new; mv pid.new pid; sleep 100";
                call_until(&server, "exec", json!({ "command": command }), cancel)
            }
        });
        eventually(|| pid_file.exists());
        let pid = std::fs::read_to_string(&pid_file).unwrap();
        assert!(is_alive(&pid));
        cancel.cancel();
        let (text, failed) = told(&running.join().unwrap());
        assert!(failed && text.contains("ABORTED: "), "{text}");
        eventually(|| !is_alive(&pid));
    });
}
