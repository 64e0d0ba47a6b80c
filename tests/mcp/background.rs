//! Commands that go on, as clients see them whose every request may come by another connection.

use std::sync::Arc;

use agent_backend::mcp::ToolServer;
use agent_backend::workspace::ScopeOptions;
use serde_json::{Value, json};

use crate::client::{Local, call, eventually, is_alive, told};

fn start(server: &ToolServer, command: &str) -> String {
    let started = call(server, "exec_start", json!({ "command": command }));
    assert!(!started.is_error, "{:?}", told(&started));
    let value = started.structured_json().unwrap();
    value["id"].as_str().unwrap().to_owned()
}

fn output(server: &ToolServer, arguments: Value) -> Value {
    let result = call(server, "exec_output", arguments);
    assert!(!result.is_error, "{:?}", told(&result));
    result.structured_json().unwrap()
}

#[test]
fn output_is_read_piece_by_piece_until_the_end() {
    let local = Local::new();
    let server = local.server();
    let id = start(
        &server,
        "echo one; while ! test -e go; do sleep 0.02; done; echo two; echo three >&2; exit 4",
    );
    let first = output(&server, json!({ "id": id, "waitMs": 10_000 }));
    assert_eq!(
        (&first["stdout"], &first["running"]),
        (&json!("one"), &json!(true))
    );
    assert_eq!(first["exitCode"], Value::Null);
    std::fs::write(local.root().join("go"), "").unwrap();
    let (mut stdout, mut stderr) = (first["stdoutNext"].clone(), first["stderrNext"].clone());
    let (mut out, mut err) = (String::new(), String::new());
    let last = loop {
        let next = output(
            &server,
            json!({ "id": id, "stdoutFrom": stdout, "stderrFrom": stderr, "waitMs": 10_000 }),
        );
        out += next["stdout"].as_str().unwrap();
        err += next["stderr"].as_str().unwrap();
        (stdout, stderr) = (next["stdoutNext"].clone(), next["stderrNext"].clone());
        if next["running"] == false {
            break next;
        }
    };
    assert_eq!((out.as_str(), err.as_str()), ("two", "three"));
    assert_eq!(last["exitCode"], 4);
    // It is still known, from the beginning.
    assert_eq!(output(&server, json!({ "id": id }))["stdout"], "one\ntwo");
}

#[test]
fn stopping_ends_all_that_was_started_also_what_will_not_listen() {
    let local = Local::new();
    let server = local.server();
    let id = start(
        &server,
        "trap '' TERM; sleep 100 & echo $! > pid.new; mv pid.new pid; echo up; wait",
    );
    eventually(|| local.root().join("pid").exists());
    let pid = std::fs::read_to_string(local.root().join("pid")).unwrap();
    let stopped = call(&server, "exec_stop", json!({ "id": id }));
    assert!(!stopped.is_error);
    let value = stopped.structured_json().unwrap();
    assert_eq!(
        (&value["running"], &value["stdout"]),
        (&json!(false), &json!("up"))
    );
    eventually(|| !is_alive(&pid));
    // Once more is fine.
    assert!(!call(&server, "exec_stop", json!({ "id": id })).is_error);
}

#[test]
fn a_command_is_found_through_any_connection_of_its_principal_and_scope_and_no_other() {
    let local = Local::new();
    let server = |scope: &str, principal: &str| {
        let options = ScopeOptions {
            principal: Some(Arc::from(principal)),
            ..ScopeOptions::default()
        };
        ToolServer::new(local.workspace.scope(scope, options).unwrap())
    };
    let id = start(&server("a", "ada"), "echo hello; sleep 100");
    let found = output(&server("a", "ada"), json!({ "id": id, "waitMs": 10_000 }));
    assert_eq!(found["stdout"], "hello");
    for other in [
        server("a", "ben"),
        server("b", "ada"),
        server("a/b", "ada"),
        server("", "ada"),
        local.server(),
    ] {
        for tool in ["exec_output", "exec_stop"] {
            let (text, failed) = told(&call(&other, tool, json!({ "id": id })));
            assert!(failed && text.starts_with("NOT_FOUND: "), "{text}");
        }
    }
    assert_eq!(
        output(&server("a", "ada"), json!({ "id": id }))["running"],
        true
    );
    assert!(!call(&server("a", "ada"), "exec_stop", json!({ "id": id })).is_error);
}

#[test]
fn the_end_of_the_workspace_ends_its_commands() {
    let local = Local::new();
    start(
        &local.server(),
        "echo $$ > pid.new; mv pid.new pid; sleep 100",
    );
    eventually(|| local.root().join("pid").exists());
    let pid = std::fs::read_to_string(local.root().join("pid")).unwrap();
    assert!(is_alive(&pid));
    agent_backend::pool::runtime()
        .block_on(local.workspace.destroy())
        .unwrap();
    eventually(|| !is_alive(&pid));
}

#[test]
fn too_many_at_a_time_are_refused() {
    let local = Local::new();
    let server = local.server();
    let ids: Vec<String> = (0..64).map(|_| start(&server, "sleep 100")).collect();
    let (text, failed) = told(&call(
        &server,
        "exec_start",
        json!({ "command": "sleep 100" }),
    ));
    assert!(failed && text.starts_with("LIMIT_EXCEEDED: "), "{text}");
    assert!(!call(&server, "exec_stop", json!({ "id": ids[0] })).is_error);
    start(&server, "true");
}
