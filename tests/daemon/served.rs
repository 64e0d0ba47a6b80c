//! A daemon on the network as a process, and raw HTTP to speak to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A token that nobody guesses.
pub const TOKEN: &str = "correct-horse-battery-staple";
/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A daemon that listens; killed when it is dropped.
pub struct Daemon {
    pub base: tempfile::TempDir,
    pub child: Child,
    pub port: u16,
    /// Locked only so that threads may share the whole.
    log: Mutex<Receiver<String>>,
    /// What it logged and was read.
    pub lines: Vec<String>,
}

/// An answer, as it came.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Daemon {
    /// With no wall around commands, since most tests run none.
    pub fn start(flags: &[&str]) -> Self {
        Self::with(flags, |_| {})
    }

    /// With the one token, from the environment.
    pub fn with_token(flags: &[&str]) -> Self {
        Self::with(flags, |command| {
            command.env("AGENT_BACKEND_AUTH_TOKEN", TOKEN);
        })
    }

    pub fn with(flags: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        Self::in_directory(tempfile::tempdir().unwrap(), flags, prepare)
    }

    pub fn in_directory(
        base: tempfile::TempDir,
        flags: &[&str],
        prepare: impl FnOnce(&mut Command),
    ) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agent-backend"));
        command
            .args(["daemon", "--port", "0", "--rootDir"])
            .arg(base.path().join("root"))
            .args(flags)
            .env_remove("AUTH_TOKEN")
            .env_remove("AGENT_BACKEND_AUTH_TOKEN")
            .env("AGENT_BACKEND_STATE_DIR", base.path().join("state"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if !flags.contains(&"--isolation") {
            command.args(["--isolation", "none", "--allow-weak-isolation"]);
        }
        if !flags.contains(&"--host") {
            command.args(["--host", "127.0.0.1"]);
        }
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let log = follow(child.stderr.take().unwrap());
        let mut daemon = Self {
            base,
            child,
            port: 0,
            log: Mutex::new(log),
            lines: Vec::new(),
        };
        let line = daemon.wait_for("listening");
        let address = line.split("://").nth(1).unwrap();
        let address = address.split([' ', '"']).next().unwrap();
        let digits = address.rsplit(':').next().unwrap();
        daemon.port = digits.parse().unwrap();
        daemon
    }

    /// The next line of the log with this in it.
    pub fn wait_for(&mut self, text: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let next = self.log.lock().unwrap().recv_timeout(left);
            match next {
                Ok(line) => {
                    self.lines.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("no line with {text:?} in {:#?}", self.lines),
            }
        }
    }

    /// Everything that it logged until it ended.
    pub fn rest_of_log(&mut self) -> String {
        while let Ok(line) = self.log.get_mut().unwrap().recv_timeout(PATIENCE) {
            self.lines.push(line);
        }
        self.lines.join("\n")
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// Sends a request as it stands, on a connection of its own; gives the answer.
    pub fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        // One that is refused early may be cut off in the middle.
        let _ = stream.write_all(request);
        if request.starts_with(b"HEAD ") {
            let mut status = [0; 12];
            stream.read_exact(&mut status).unwrap();
            let head = String::from_utf8_lossy(&status).into_owned();
            let status = head[9..].parse().unwrap();
            return Answer {
                status,
                head,
                body: Vec::new(),
            };
        }
        read_answer(&mut BufReader::new(stream))
    }

    /// `GET` with these headers.
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.raw(head("GET", path, headers, None).as_bytes())
    }

    /// `POST /mcp` with these headers besides those that are needed.
    pub fn post(&self, message: &Value, headers: &[(&str, &str)]) -> Answer {
        self.raw(&mcp_request(message, headers))
    }

    /// The result of a tool, with the token.
    pub fn call(&self, tool: &str, arguments: Value, headers: &[(&str, &str)]) -> Value {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [headers, &[("Authorization", &bearer)]].concat();
        let answer = self.post(&tool_call(1, tool, arguments), &headers);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["result"].clone()
    }

    pub fn signal(&self, signal: i32) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let signal = rustix::process::Signal::from_named_raw(signal).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Its exit status, once it has ended.
    pub fn end(&mut self) -> Option<i32> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end: {:#?}", self.lines);
    }

    /// Kibibytes of memory that it has touched.
    pub fn resident_kib(&self) -> u64 {
        self.kib("VmRSS:")
    }

    /// Of those, what is not of a file: the heap and the stacks.
    pub fn anonymous_kib(&self) -> u64 {
        self.kib("RssAnon:")
    }

    fn kib(&self, name: &str) -> u64 {
        kib_of(self.child.id(), name)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(stderr: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The head of a request; `Host` is ours unless one is given.
pub fn head(method: &str, path: &str, headers: &[(&str, &str)], length: Option<usize>) -> String {
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        head.push_str("Host: localhost\r\n");
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(length) = length {
        head.push_str(&format!("Content-Length: {length}\r\n"));
    }
    head.push_str("\r\n");
    head
}

pub fn mcp_request(message: &Value, headers: &[(&str, &str)]) -> Vec<u8> {
    let body = message.to_string();
    let mut all = vec![("Content-Type", "application/json")];
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("accept"))
    {
        all.push(("Accept", "application/json, text/event-stream"));
    }
    all.extend_from_slice(headers);
    let mut request = head("POST", "/mcp", &all, Some(body.len())).into_bytes();
    request.extend_from_slice(body.as_bytes());
    request
}

pub fn tool_call(id: u64, tool: &str, arguments: Value) -> Value {
    json!({
        "jsonrpc": "2.0", "id": id, "method": "tools/call",
        "params": { "name": tool, "arguments": arguments }
    })
}

/// Reads one answer, of known length, in chunks, or to the end of the connection.
pub fn read_answer(reader: &mut BufReader<TcpStream>) -> Answer {
    let mut head = String::new();
    loop {
        let mut line = String::new();
        match reader.read_line(&mut line) {
            Ok(0) | Err(_) => break,
            Ok(_) if line == "\r\n" => break,
            Ok(_) => head.push_str(&line),
        }
    }
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let mut answer = Answer {
        status: status.unwrap_or(0),
        head,
        body: Vec::new(),
    };
    if let Some(length) = answer.header("content-length") {
        let length: u64 = length.parse().unwrap();
        let mut body = Vec::new();
        reader.take(length).read_to_end(&mut body).unwrap();
        answer.body = body;
    } else if answer.header("transfer-encoding").is_some() {
        answer.body = read_chunks(reader);
    }
    answer
}

fn read_chunks(reader: &mut BufReader<TcpStream>) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return body;
        }
        let length = u64::from_str_radix(line.trim(), 16).unwrap();
        let mut chunk = Vec::new();
        reader.take(length + 2).read_to_end(&mut chunk).unwrap();
        chunk.truncate(usize::try_from(length).unwrap());
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&chunk);
    }
}

/// A number of `/proc/<pid>/status`, such as `VmRSS:`.
pub fn kib_of(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name));
    let digits = line.unwrap().split_ascii_whitespace().nth(1).unwrap();
    digits.parse().unwrap()
}
