//! Sessions: every version of the protocol, and everything that a client may send.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, Local, eventually, initialize, is_alive, memory, request};
use agent_backend::mcp::ToolServer;

#[test]
fn every_version_with_a_handshake_is_spoken() {
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let client = Client::new(ToolServer::new(memory()));
        client.send(&initialize(version));
        let result = client.next()["result"].clone();
        assert_eq!(result["protocolVersion"], version);
        assert_eq!(result["serverInfo"]["name"], "agent-backend");
        let listed = client.ask(1, "tools/list", json!({}));
        assert_eq!(
            listed["result"],
            *ToolServer::new(memory()).list(),
            "{version}"
        );
        let arguments = json!({ "path": "a", "content": "b" });
        let called = client.ask(
            2,
            "tools/call",
            json!({ "name": "write_file", "arguments": arguments }),
        );
        assert_eq!(
            called["result"]["content"][0]["text"],
            "Successfully wrote to a"
        );
        assert_eq!(client.ask(3, "ping", json!({}))["result"], json!({}));
    }
}

#[test]
fn the_version_without_a_handshake_is_spoken() {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "test", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": {}
    });
    let client = Client::new(ToolServer::new(memory()));
    let found = client.ask(1, "server/discover", json!({ "_meta": meta }));
    let versions = found["result"]["supportedVersions"].as_array().unwrap();
    assert!(versions.contains(&json!("2026-07-28")), "{found}");
    let listed = client.ask(2, "tools/list", json!({ "_meta": meta }));
    assert_eq!(
        listed["result"]["tools"],
        ToolServer::new(memory()).list()["tools"]
    );
    assert_eq!(listed["result"]["resultType"], "complete");
    let arguments = json!({ "path": "none" });
    let called = client.ask(
        3,
        "tools/call",
        json!({ "name": "read_text_file", "arguments": arguments, "_meta": meta }),
    );
    assert_eq!(called["result"]["isError"], true);
    assert_eq!(called["result"]["resultType"], "complete");
}

#[test]
fn an_unknown_version_is_answered_with_one_that_is_spoken() {
    let client = Client::new(ToolServer::new(memory()));
    client.send(&initialize("1999-01-01"));
    assert_eq!(client.next()["result"]["protocolVersion"], "2025-11-25");
}

#[test]
fn what_is_malformed_is_answered_and_the_session_goes_on() {
    let client = Client::initialised(ToolServer::new(memory()));
    for (text, code, id) in [
        ("{nope", -32700, Value::Null),
        ("\"text\"", -32600, Value::Null),
        ("[]", -32600, Value::Null),
        ("{\"jsonrpc\":\"2.0\",\"id\":7}", -32600, json!(7)),
        (
            "{\"jsonrpc\":\"1.0\",\"id\":\"x\",\"method\":\"ping\"}",
            -32600,
            json!("x"),
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":9}",
            -32600,
            json!(8),
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"no/such\"}",
            -32601,
            json!(9),
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":10,\"method\":\"tools/call\"}",
            -32602,
            json!(10),
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":11,\"method\":\"tools/call\",\"params\":{\"name\":1}}",
            -32602,
            json!(11),
        ),
        (
            "{\"jsonrpc\":\"2.0\",\"id\":12,\"method\":\"tools/call\",\"params\":{\"name\":\"exec\",\"arguments\":[]}}",
            -32602,
            json!(12),
        ),
    ] {
        client.send_text(text);
        let answer = client.next();
        assert_eq!(answer["error"]["code"], code, "{text}: {answer}");
        assert_eq!(answer["id"], id, "{text}: {answer}");
    }
    // Nothing answers what needs no answer.
    for text in [
        "",
        "  \r",
        "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/unknown\"}",
        "{\"jsonrpc\":\"2.0\",\"id\":5,\"result\":{}}",
    ] {
        client.send_text(text);
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    client.send_text(&deep);
    assert_eq!(client.next()["error"]["code"], -32700);
    let arguments = json!({ "path": "a", "content": deep.replace(']', "") });
    let called = client.ask(
        13,
        "tools/call",
        json!({ "name": "write_file", "arguments": arguments }),
    );
    assert_eq!(
        called["result"]["content"][0]["text"],
        "Successfully wrote to a"
    );
}

#[test]
fn a_session_that_begins_wrong_may_begin_again() {
    let client = Client::new(ToolServer::new(memory()));
    client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    client.send(&json!({ "jsonrpc": "2.0", "id": 4, "result": {} }));
    let early = client.ask(1, "tools/list", json!({}));
    assert!(early["error"]["code"].is_number(), "{early}");
    client.send(&request(2, "initialize", json!({ "protocolVersion": 5 })));
    assert!(client.next()["error"]["code"].is_number());
    client.send(&initialize("2025-06-18"));
    assert_eq!(client.next()["result"]["protocolVersion"], "2025-06-18");
    assert!(client.ask(3, "tools/list", json!({}))["result"]["tools"].is_array());
}

#[test]
fn a_cancelled_call_ends_its_command_and_has_no_answer() {
    let local = Local::new();
    let client = Client::initialised(local.server());
    let command = "echo $$ > pid.new; mv pid.new pid; sleep 100";
    client.send(&request(
        7,
        "tools/call",
        json!({ "name": "exec", "arguments": { "command": command } }),
    ));
    eventually(|| local.root().join("pid").exists());
    let pid = std::fs::read_to_string(local.root().join("pid")).unwrap();
    client.send(&json!({
        "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 }
    }));
    eventually(|| !is_alive(&pid));
    assert_eq!(client.next_within(Duration::from_millis(200)), None);
    assert_eq!(client.ask(8, "ping", json!({}))["result"], json!({}));
    // The id is free again.
    assert_eq!(client.ask(7, "ping", json!({}))["result"], json!({}));
}

#[test]
fn closing_the_session_ends_its_calls_and_leaves_the_workspace_alive() {
    let local = Local::new();
    let client = Client::initialised(local.server());
    let command = "echo $$ > pid.new; mv pid.new pid; sleep 100";
    client.send(&request(
        1,
        "tools/call",
        json!({ "name": "exec", "arguments": { "command": command } }),
    ));
    eventually(|| local.root().join("pid").exists());
    let pid = std::fs::read_to_string(local.root().join("pid")).unwrap();
    client.session.close();
    eventually(|| !is_alive(&pid));
    agent_backend::pool::runtime().block_on(client.session.ended());
    assert!(client.session.receive(b"{}".to_vec()).is_err());
    let again = Client::initialised(local.server());
    assert_eq!(again.ask(1, "ping", json!({}))["result"], json!({}));
}

#[test]
fn destroying_the_workspace_ends_its_sessions() {
    let local = Local::new();
    let client = Client::initialised(local.server());
    agent_backend::pool::runtime().block_on(async {
        local.workspace.destroy().await.unwrap();
        client.session.ended().await;
    });
}

#[test]
fn a_second_request_with_an_id_in_flight_is_refused() {
    let local = Local::new();
    let client = Client::initialised(local.server());
    let sleep = json!({ "name": "exec", "arguments": { "command": "touch started; sleep 0.5" } });
    client.send(&request(1, "tools/call", sleep));
    eventually(|| local.root().join("started").exists());
    client.send(&request(1, "ping", json!({})));
    let refused = client.next();
    assert_eq!(
        (&refused["id"], &refused["error"]["code"]),
        (&json!(1), &json!(-32600))
    );
    assert_eq!(client.next()["result"]["isError"], Value::Null);
}

#[test]
fn an_id_is_free_as_soon_as_its_answer_can_be_seen() {
    let client = Client::lagging(ToolServer::new(memory()), Duration::from_millis(20));
    client.send(&initialize("2025-06-18"));
    client.next();
    for _ in 0..20 {
        assert_eq!(client.ask(1, "ping", json!({}))["result"], json!({}));
    }
    agent_backend::pool::runtime().block_on(client.session.idle());
}

#[test]
fn a_hundred_calls_at_once_are_all_answered() {
    let client = Client::initialised(ToolServer::new(memory()));
    for id in 1..=100 {
        let arguments = json!({ "path": format!("f{id}"), "content": format!("{id}") });
        client.send(&request(
            id,
            "tools/call",
            json!({ "name": "write_file", "arguments": arguments }),
        ));
    }
    let mut ids: Vec<i64> = (0..100)
        .map(|_| {
            let answer = client.next();
            assert_eq!(answer["result"]["isError"], Value::Null, "{answer}");
            answer["id"].as_i64().unwrap()
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=100).collect::<Vec<_>>());
}

#[test]
fn a_session_is_idle_when_all_is_answered() {
    let client = Client::initialised(ToolServer::new(memory()));
    client.send(&request(1, "tools/list", json!({})));
    agent_backend::pool::runtime().block_on(client.session.idle());
    assert!(client.next_within(Duration::from_millis(1)).is_some());
}

/// Messages with a few bytes changed, cut or doubled: whatever comes, the next honest request is answered.
#[test]
fn garbled_messages_end_neither_the_session_nor_the_process() {
    let client = Client::initialised(ToolServer::new(memory()));
    let arguments =
        json!({ "path": "a/b", "edits": [{ "oldText": "x", "newText": "y" }], "dryRun": true });
    let originals = [
        request(1, "tools/call", json!({ "name": "edit_file", "arguments": arguments })).to_string(),
        request(1, "tools/list", json!({ "cursor": "x" })).to_string(),
        initialize("2025-06-18").to_string(),
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } }).to_string(),
    ];
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for round in 0..2_000i64 {
        let mut bytes = originals[random.below(originals.len())]
            .clone()
            .into_bytes();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len());
            match random.below(4) {
                0 => bytes[at] = b"\"{}[]:,0x\\\0\xff\n"[random.below(13)],
                1 => bytes.truncate(at.max(1)),
                2 => drop(bytes.remove(at)),
                _ => bytes.extend_from_within(at..),
            }
            if bytes.is_empty() {
                bytes.push(b' ');
            }
        }
        client.session.receive(bytes).unwrap();
        if round % 100 == 0 {
            let id = 1_000_000 + round;
            client.send(&request(id, "ping", json!({})));
            while client.next()["id"] != id {}
        }
    }
}

/// A small generator, so that a failure comes back.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}
