//! Workspaces to serve, and a client that sees every message.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_backend::backend::local::command::{CommandOptions, Isolation};
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::backend::memory::{MemoryBackend, MemoryOptions};
use agent_backend::call::BoxFuture;
use agent_backend::mcp::protocol::{Outbox, Session};
use agent_backend::mcp::{ToolResult, ToolServer};
use agent_backend::pool;
use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// A local workspace in a directory of its own.
pub struct Local {
    pub directory: tempfile::TempDir,
    pub workspace: Workspace,
}

impl Local {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let backend = LocalBackend::open(LocalOptions {
            root_dir: directory.path().join("root"),
            state_dir: Some(directory.path().join("state")),
            command: CommandOptions {
                isolation: Isolation::None,
                ..CommandOptions::default()
            },
            ..LocalOptions::default()
        })
        .unwrap();
        Self {
            directory,
            workspace: workspace(backend),
        }
    }

    pub fn server(&self) -> ToolServer {
        ToolServer::new(self.workspace.clone())
    }

    pub fn root(&self) -> std::path::PathBuf {
        self.directory.path().join("root")
    }
}

pub fn memory() -> Workspace {
    workspace(MemoryBackend::new(MemoryOptions::default()).unwrap())
}

fn workspace(backend: Arc<dyn agent_backend::backend::Backend>) -> Workspace {
    Workspace::new(
        backend,
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    )
}

/// Calls a tool without a protocol.
pub fn call(server: &ToolServer, name: &str, arguments: Value) -> ToolResult {
    call_until(server, name, arguments, CancellationToken::new())
}

pub fn call_until(
    server: &ToolServer,
    name: &str,
    arguments: Value,
    cancel: CancellationToken,
) -> ToolResult {
    let Value::Object(arguments) = arguments else {
        panic!("arguments are an object");
    };
    pool::runtime()
        .block_on(server.call(name, arguments, cancel))
        .unwrap()
}

/// The text of a result, and whether it is a failure.
pub fn told(result: &ToolResult) -> (String, bool) {
    let text = String::from_utf8(result.first_text().to_vec()).unwrap();
    (text, result.is_error)
}

/// A session with everything that the server has sent.
pub struct Client {
    pub session: Session,
    messages: Mutex<mpsc::UnboundedReceiver<Value>>,
}

struct Inbox {
    messages: mpsc::UnboundedSender<Value>,
    /// How long the server waits after the client has a message, before it learns that it was sent.
    lag: Duration,
}

impl Outbox for Inbox {
    fn send(&self, json: Vec<u8>) -> BoxFuture<std::io::Result<()>> {
        let message = serde_json::from_slice(&json).unwrap();
        self.messages.send(message).unwrap();
        let lag = self.lag;
        Box::pin(async move {
            tokio::time::sleep(lag).await;
            Ok(())
        })
    }
}

impl Client {
    pub fn new(server: ToolServer) -> Self {
        Self::lagging(server, Duration::ZERO)
    }

    /// One that has each message this long before the server knows.
    pub fn lagging(server: ToolServer, lag: Duration) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let inbox = Inbox {
            messages: sender,
            lag,
        };
        Self {
            session: Session::start(server, Arc::new(inbox)).unwrap(),
            messages: Mutex::new(receiver),
        }
    }

    /// With the handshake done.
    pub fn initialised(server: ToolServer) -> Self {
        let client = Self::new(server);
        client.send(&initialize("2025-06-18"));
        assert!(client.next()["result"].is_object());
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
        client
    }

    pub fn send(&self, message: &Value) {
        self.send_text(&message.to_string());
    }

    pub fn send_text(&self, text: &str) {
        self.session.receive(text.as_bytes().to_vec()).unwrap();
    }

    /// The next message; the test fails where none comes.
    pub fn next(&self) -> Value {
        self.next_within(Duration::from_secs(20))
            .expect("the server answers")
    }

    pub fn next_within(&self, time: Duration) -> Option<Value> {
        let mut messages = self.messages.lock().unwrap();
        pool::runtime().block_on(async {
            tokio::time::timeout(time, messages.recv())
                .await
                .ok()
                .flatten()
        })
    }

    /// Sends a request and gives the answer.
    pub fn ask(&self, id: i64, method: &str, params: Value) -> Value {
        self.send(&request(id, method, params));
        let answer = self.next();
        assert_eq!(answer["id"], id, "{answer}");
        answer
    }
}

pub fn request(id: i64, method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

pub fn initialize(version: &str) -> Value {
    let params = json!({
        "protocolVersion": version,
        "capabilities": {},
        "clientInfo": { "name": "test", "version": "1" }
    });
    request(0, "initialize", params)
}

/// Waits until something holds.
pub fn eventually(mut holds: impl FnMut() -> bool) {
    for _ in 0..500 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("it did not come true in time");
}

/// Whether a process is there and not merely unreaped.
pub fn is_alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.contains(") Z "))
}
