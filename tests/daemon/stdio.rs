//! The command as an MCP server over its standard streams.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::served::{PATIENCE, kib_of};

pub struct Server {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    pub base: tempfile::TempDir,
}

impl Server {
    fn start(more: &[&str]) -> Self {
        let base = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_agent-backend"))
            .arg("daemon")
            .arg("--rootDir")
            .arg(base.path().join("root"))
            .arg("--local-only")
            .args(more)
            .env("AGENT_BACKEND_STATE_DIR", base.path().join("state"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            base,
        }
    }

    pub fn initialised(more: &[&str]) -> Self {
        let mut server = Self::start(more);
        let answer = server.ask(&request(0, "initialize", initialize()));
        assert_eq!(answer["result"]["serverInfo"]["name"], "agent-backend");
        server
            .send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string());
        server
    }

    fn send(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_bytes()).unwrap();
        input.write_all(b"\n").unwrap();
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    pub fn ask(&mut self, line: &str) -> Value {
        self.send(line);
        self.next()
    }

    pub fn call(&mut self, id: i64, tool: &str, arguments: &Value) -> Value {
        self.ask(&request(
            id,
            "tools/call",
            json!({ "name": tool, "arguments": arguments }),
        ))
    }

    /// Ends the input and gives what else was printed, after an end that was a success and said nothing else.
    pub fn finish(mut self) -> Vec<Value> {
        drop(self.input.take());
        let rest = (&mut self.output).lines();
        let messages = rest.map(|line| serde_json::from_str(&line.unwrap()).unwrap());
        let messages = messages.collect();
        self.expect_success();
        messages
    }

    fn expect_success(&mut self) {
        let until = Instant::now() + Duration::from_secs(20);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < until, "it ends");
            std::thread::sleep(Duration::from_millis(10));
        };
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        std::io::Read::read_to_string(&mut stderr, &mut said).unwrap();
        assert_eq!((status.code(), said.as_str()), (Some(0), ""));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn request(id: i64, method: &str, params: Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

fn initialize() -> Value {
    json!({
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" }
    })
}

#[test]
fn requests_that_come_in_one_go_are_all_answered_before_it_ends() {
    let mut server = Server::start(&["--isolation", "none"]);
    server.send(&request(0, "initialize", initialize()));
    for id in 1..=50 {
        let arguments = json!({ "command": format!("sleep 0.2; echo {id}") });
        server.send(&request(
            id,
            "tools/call",
            json!({ "name": "exec", "arguments": arguments }),
        ));
    }
    let mut ids: Vec<i64> = (server.finish().iter())
        .map(|answer| {
            assert!(answer["result"].is_object(), "{answer}");
            answer["id"].as_i64().unwrap()
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..=50).collect::<Vec<_>>());
}

#[test]
fn a_scope_is_all_that_its_client_sees() {
    let mut server = Server::initialised(&["--scopePath", "users/1", "--isolation", "none"]);
    std::fs::create_dir_all(server.base.path().join("root/users/2")).unwrap();
    std::fs::write(server.base.path().join("root/users/2/secret"), "x").unwrap();
    let written = server.call(
        1,
        "write_file",
        &json!({ "path": "a.txt", "content": "mine" }),
    );
    assert_eq!(written["result"]["isError"], Value::Null);
    let at = server.base.path().join("root/users/1/a.txt");
    assert_eq!(std::fs::read_to_string(at).unwrap(), "mine");
    for path in ["../2/secret", "/../2/secret"] {
        let refused = server.call(2, "read_text_file", &json!({ "path": path }));
        let text = refused["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.starts_with("PATH_ESCAPE_ATTEMPT: "), "{text}");
    }
    let listed = server.call(3, "list_allowed_directories", &json!({}));
    let text = listed["result"]["content"][0]["text"].as_str().unwrap();
    assert!(text.ends_with("root/users/1"), "{text}");
    assert!(server.finish().is_empty());
}

#[test]
fn memory_is_served_without_commands() {
    let mut server = Server::initialised(&["--backend", "memory"]);
    let listed = server.ask(&request(1, "tools/list", json!({})));
    let tools = listed["result"]["tools"].as_array().unwrap();
    assert!(
        tools
            .iter()
            .all(|tool| !tool["name"].as_str().unwrap().starts_with("exec"))
    );
    server.call(2, "write_file", &json!({ "path": "k", "content": "v" }));
    let read = server.call(3, "read_text_file", &json!({ "path": "k" }));
    assert_eq!(read["result"]["content"][0]["text"], "v");
    assert!(!server.base.path().join("root").exists());
    assert!(server.finish().is_empty());
}

#[test]
fn what_is_malformed_or_endless_is_answered_and_the_next_line_is_read() {
    let mut server = Server::initialised(&["--isolation", "none"]);
    assert_eq!(server.ask("{nope")["error"]["code"], -32700);
    // One byte more than a message may have, in pieces; what is too long is never held as a whole.
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..257 {
        server.input.as_mut().unwrap().write_all(&piece).unwrap();
    }
    assert_eq!(server.ask("")["error"]["code"], -32600);
    assert_eq!(
        server.ask(&request(1, "ping", json!({})))["result"],
        json!({})
    );
    assert!(server.finish().is_empty());
}

#[test]
fn a_message_of_a_hundred_mebibytes_goes_through() {
    let mut server = Server::initialised(&["--isolation", "none"]);
    let content = "0123456789abcdef".repeat(100 << 16);
    let written = server.call(
        1,
        "write_file",
        &json!({ "path": "large", "content": content }),
    );
    assert_eq!(written["result"]["isError"], Value::Null);
    let read = server.call(2, "read_text_file", &json!({ "path": "large" }));
    assert!(read["result"]["content"][0]["text"] == content.as_str());
    assert!(server.finish().is_empty());
}

#[test]
fn a_signal_ends_it_with_all_that_it_started() {
    let mut server = Server::initialised(&["--isolation", "none"]);
    let command = "echo $$ > pid.new; mv pid.new pid; sleep 100";
    server.call(1, "exec_start", &json!({ "command": command }));
    let file = server.base.path().join("root/pid");
    let until = Instant::now() + Duration::from_secs(10);
    while !file.exists() {
        assert!(Instant::now() < until);
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = std::fs::read_to_string(&file).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    let is_alive = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    assert!(is_alive());
    let own = i32::try_from(server.child.id()).unwrap();
    let own = rustix::process::Pid::from_raw(own).unwrap();
    rustix::process::kill_process(own, rustix::process::Signal::TERM).unwrap();
    server.expect_success();
    assert!(!is_alive());
}

#[test]
fn a_command_that_goes_on_ends_soon_after_its_client_has_left() {
    let mut server = Server::initialised(&["--isolation", "none"]);
    let arguments = json!({ "command": "echo $$ > pid; exec sleep 300" });
    let call = json!({ "name": "exec", "arguments": arguments });
    server.send(&request(1, "tools/call", call));
    let file = server.base.path().join("root/pid");
    let until = Instant::now() + PATIENCE;
    let pid = loop {
        let written = std::fs::read_to_string(&file).unwrap_or_default();
        if let Ok(pid) = written.trim().parse::<u32>() {
            break pid;
        }
        assert!(Instant::now() < until, "it runs");
        std::thread::sleep(Duration::from_millis(10));
    };
    server.finish();
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    assert!(!line.starts_with(b"sleep"), "it goes on");
}

/// One with a file `f` of so much.
fn with_a_mebibyte_to_read() -> Server {
    let mut server = Server::initialised(&["--isolation", "none"]);
    let content = "y".repeat(1 << 20);
    server.call(1, "write_file", &json!({ "path": "f", "content": content }));
    server
}

#[test]
fn memory_is_given_back_once_nothing_is_asked() {
    let mut server = with_a_mebibyte_to_read();
    for id in 2..20 {
        server.call(id, "read_text_file", &json!({ "path": "f" }));
    }
    let peak = kib_of(server.child.id(), "VmRSS:");
    let until = Instant::now() + PATIENCE;
    // What is mapped at a peak is some megabytes of code alone.
    while kib_of(server.child.id(), "VmRSS:") > peak - 4_096 {
        assert!(Instant::now() < until, "still {peak} KiB");
        std::thread::sleep(Duration::from_millis(100));
    }
    let answer = server.call(20, "read_text_file", &json!({ "path": "f" }));
    assert_eq!(answer["result"]["isError"], Value::Null, "{answer}");
}

#[test]
fn a_client_that_does_not_read_holds_only_itself() {
    let mut server = with_a_mebibyte_to_read();
    for id in 2..200 {
        server.send(&request(
            id,
            "tools/call",
            json!({ "name": "read_text_file", "arguments": { "path": "f" } }),
        ));
    }
    std::thread::sleep(Duration::from_millis(300));
    let kibibytes = kib_of(server.child.id(), "VmRSS:");
    // 198 answers of 2 MiB would be about 400 MiB as text alone.
    assert!(kibibytes < 1 << 20, "{kibibytes} KiB");
    assert_eq!(server.finish().len(), 198);
}
