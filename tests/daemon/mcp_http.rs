//! MCP over HTTP: every version, both forms of answer, cancellation, and the same tools as over standard streams.

use std::io::{BufRead as _, BufReader, Write as _};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::served::{Daemon, TOKEN, mcp_request, read_answer, tool_call};

const VERSIONS: [&str; 5] = [
    "2024-11-05",
    "2025-03-26",
    "2025-06-18",
    "2025-11-25",
    "2026-07-28",
];

fn bearer() -> &'static str {
    static BEARER: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    BEARER.get_or_init(|| format!("Bearer {TOKEN}"))
}

fn initialize(version: &str) -> Value {
    json!({
        "jsonrpc": "2.0", "id": 1, "method": "initialize",
        "params": {
            "protocolVersion": version, "capabilities": {},
            "clientInfo": { "name": "test", "version": "1" }
        }
    })
}

#[test]
fn every_version_can_be_agreed_on() {
    let daemon = Daemon::with_token(&[]);
    for version in VERSIONS {
        let answer = daemon.post(&initialize(version), &[("Authorization", bearer())]);
        assert_eq!(answer.status, 200, "{version}: {answer:?}");
        let result = answer.json()["result"].clone();
        // The handshake exists only before the last.
        let agreed = result["protocolVersion"].as_str().unwrap();
        assert!(VERSIONS.contains(&agreed), "{result}");
        if version != "2026-07-28" {
            assert_eq!(agreed, version);
        }
        assert_eq!(result["serverInfo"]["name"], "agent-backend");
        assert!(answer.header("mcp-session-id").is_none());
    }
    let noted = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
    assert_eq!(
        daemon.post(&noted, &[("Authorization", bearer())]).status,
        202
    );
}

#[test]
fn the_newest_version_needs_no_handshake() {
    let daemon = Daemon::with_token(&[]);
    let mut call = tool_call(7, "list_directory", json!({ "path": "." }));
    call["params"]["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let answer = daemon.post(
        &call,
        &[
            ("Authorization", bearer()),
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", "list_directory"),
        ],
    );
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["id"], 7);
    assert!(answer.json()["result"]["content"].is_array());
}

#[test]
fn the_tools_are_those_of_the_standard_streams() {
    let mut server = crate::stdio::Server::initialised(&["--isolation", "none"]);
    let listed =
        server.ask(&json!({ "jsonrpc": "2.0", "id": 5, "method": "tools/list" }).to_string());
    server.finish();
    let daemon = Daemon::with_token(&[]);
    let list = json!({ "jsonrpc": "2.0", "id": "x\"tools\":[]", "method": "tools/list" });
    for accept in [
        "application/json, text/event-stream",
        "application/json",
        "text/event-stream",
    ] {
        let answer = daemon.post(&list, &[("Authorization", bearer()), ("Accept", accept)]);
        assert_eq!(answer.status, 200, "{answer:?}");
        let told = if accept == "text/event-stream" {
            assert_eq!(answer.header("content-type"), Some("text/event-stream"));
            event(&answer.text())
        } else {
            assert_eq!(answer.header("content-type"), Some("application/json"));
            answer.json()
        };
        assert_eq!(told["id"], "x\"tools\":[]");
        assert_eq!(told["result"]["tools"], listed["result"]["tools"]);
        assert!(told["result"]["tools"].as_array().unwrap().len() > 10);
    }
}

/// The message of the only event that has one.
fn event(text: &str) -> Value {
    let mut data = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(str::trim)
        .filter(|data| !data.is_empty());
    let message = data.next().unwrap_or_else(|| panic!("no event: {text}"));
    serde_json::from_str(message).unwrap()
}

#[test]
fn only_post_with_json_is_taken() {
    let daemon = Daemon::with_token(&[]);
    let bearer = bearer();
    for method in ["GET", "DELETE", "PUT"] {
        let request = crate::served::head(method, "/mcp", &[("Authorization", bearer)], None);
        let answer = daemon.raw(request.as_bytes());
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
    let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list" });
    let refused = daemon.post(&list, &[("Authorization", bearer), ("Accept", "text/html")]);
    assert_eq!(refused.status, 406);
    let version = [
        ("Authorization", bearer),
        ("MCP-Protocol-Version", "1999-01-01"),
    ];
    assert_eq!(daemon.post(&list, &version).status, 400);
    for (body, status) in [
        ("", 400),
        ("{", 400),
        ("[]", 400),
        ("null", 400),
        ("{}", 400),
    ] {
        let mut request = crate::served::head(
            "POST",
            "/mcp",
            &[
                ("Authorization", bearer),
                ("Content-Type", "application/json"),
            ],
            Some(body.len()),
        );
        request.push_str(body);
        let answer = daemon.raw(request.as_bytes());
        assert_eq!(answer.status, status, "{body:?}: {answer:?}");
        assert!(answer.json()["error"]["code"].is_i64());
    }
    let mut request = crate::served::head(
        "POST",
        "/mcp",
        &[("Authorization", bearer), ("Content-Type", "text/plain")],
        Some(2),
    );
    request.push_str("{}");
    assert_eq!(daemon.raw(request.as_bytes()).status, 415);
}

#[test]
fn half_a_character_does_not_lose_a_message() {
    let daemon = Daemon::with_token(&[]);
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"write_file","arguments":{"path":"a","content":"x\ud83dy"}}}"#;
    let mut request = crate::served::head(
        "POST",
        "/mcp",
        &[
            ("Authorization", bearer()),
            ("Content-Type", "application/json"),
        ],
        Some(body.len()),
    );
    request.push_str(body);
    assert_eq!(daemon.raw(request.as_bytes()).status, 200);
    let written = std::fs::read_to_string(daemon.base.path().join("root/a")).unwrap();
    assert_eq!(written, "x\u{fffd}y");
}

/// Starts a command that would leave a file after a while; gives how long its answer took, and what it was.
fn sleeping(daemon: &Daemon, id: u64, headers: &[(&str, &str)]) -> (Duration, Value) {
    let begun = Instant::now();
    let command = json!({ "command": "sleep 8; touch late" });
    let headers = [headers, &[("Authorization", bearer())]].concat();
    let answer = daemon.post(&tool_call(id, "exec", command), &headers);
    (begun.elapsed(), answer.json())
}

fn cancel(daemon: &Daemon, id: u64, headers: &[(&str, &str)]) {
    let notification = json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": id }
    });
    let headers = [headers, &[("Authorization", bearer())]].concat();
    assert_eq!(daemon.post(&notification, &headers).status, 202);
}

#[test]
fn a_second_request_of_the_same_scope_cancels_a_call() {
    let daemon = Daemon::with_token(&[]);
    std::fs::create_dir_all(daemon.base.path().join("root/a")).unwrap();
    std::thread::scope(|scope| {
        let call = scope.spawn(|| sleeping(&daemon, 7, &[("X-Scope-Path", "a")]));
        std::thread::sleep(Duration::from_millis(700));
        // Neither another scope's nor another id is it.
        cancel(&daemon, 7, &[]);
        cancel(&daemon, 7, &[("X-Scope-Path", "b")]);
        cancel(&daemon, 8, &[("X-Scope-Path", "a")]);
        std::thread::sleep(Duration::from_millis(300));
        assert!(!call.is_finished());
        cancel(&daemon, 7, &[("X-Scope-Path", "a")]);
        let (took, answer) = call.join().unwrap();
        assert!(took < Duration::from_secs(6), "{took:?}");
        assert!(answer.to_string().contains("ABORTED"), "{answer}");
    });
    std::thread::sleep(Duration::from_secs(8));
    assert!(!daemon.base.path().join("root/a/late").exists());
}

#[test]
fn two_clients_that_use_the_same_id_both_work_and_neither_is_cancelled_by_mistake() {
    let daemon = Daemon::with_token(&[]);
    std::thread::scope(|scope| {
        let calls = [(); 2].map(|()| {
            scope.spawn(|| {
                let command = json!({ "command": "sleep 2; echo done" });
                let answer = daemon.post(
                    &tool_call(7, "exec", command),
                    &[("Authorization", bearer())],
                );
                answer.text()
            })
        });
        std::thread::sleep(Duration::from_millis(700));
        cancel(&daemon, 7, &[]);
        for call in calls {
            let text = call.join().unwrap();
            assert!(text.contains("done"), "{text}");
        }
    });
}

#[test]
fn closing_the_connection_cancels_a_call_in_both_forms() {
    for accept in ["application/json", "text/event-stream"] {
        let daemon = Daemon::with_token(&[]);
        let command = json!({ "command": "touch began; sleep 4; touch late" });
        let headers = [("Authorization", bearer()), ("Accept", accept)];
        let request = mcp_request(&tool_call(1, "exec", command), &headers);
        let mut stream = daemon.connect();
        stream.write_all(&request).unwrap();
        let began = daemon.base.path().join("root/began");
        let until = Instant::now() + Duration::from_secs(10);
        while !began.exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(began.exists());
        drop(stream);
        std::thread::sleep(Duration::from_secs(6));
        assert!(!daemon.base.path().join("root/late").exists(), "{accept}");
    }
}

#[test]
fn ten_thousand_calls_leave_memory_as_it_was() {
    let daemon = Daemon::with_token(&[]);
    let bearer = bearer();
    let call = tool_call(1, "list_directory", json!({ "path": "." }));
    let request = mcp_request(&call, &[("Authorization", bearer), ("X-Scope-Path", "a/b")]);
    let round = |count: usize| {
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut stream = daemon.connect();
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    for _ in 0..count / 4 {
                        stream.write_all(&request).unwrap();
                        assert_eq!(read_answer(&mut reader).status, 200);
                    }
                });
            }
        });
    };
    round(2_000);
    let before = daemon.resident_kib();
    let begun = Instant::now();
    round(8_000);
    let rate = 8_000.0 / begun.elapsed().as_secs_f64();
    let after = daemon.resident_kib();
    println!("{rate:.0} calls/s in this profile; {before} KiB, then {after} KiB");
    assert!(after < before + 2_048, "{before} KiB, then {after} KiB");
}

#[test]
fn events_come_as_they_are_made() {
    let daemon = Daemon::with_token(&[]);
    let list = tool_call(3, "list_directory", json!({ "path": "." }));
    let headers = [("Authorization", bearer()), ("Accept", "text/event-stream")];
    let mut stream = daemon.connect();
    stream.write_all(&mcp_request(&list, &headers)).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
}
