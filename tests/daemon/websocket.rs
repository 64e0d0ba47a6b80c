//! `WS /ssh` below SSH: the handshake, frames of every kind, and how it is closed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::served::{Daemon, TOKEN, head};

const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "keep-alive, Upgrade"),
    ("Upgrade", "WebSocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

/// A WebSocket that is open, with what came in the handshake.
fn open(daemon: &Daemon, more: &[(&str, &str)]) -> (TcpStream, String) {
    let bearer = bearer();
    let headers = [&UPGRADE[..], &[("Authorization", &*bearer)], more].concat();
    let mut stream = daemon.connect();
    stream
        .write_all(head("GET", "/ssh", &headers, None).as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    (stream, String::from_utf8(answer).unwrap())
}

/// A frame as a client masks it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | u8::try_from(length).unwrap()),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let mask = [1, 2, 3, 4];
    frame.extend_from_slice(&mask);
    frame.extend(
        payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

/// The code of the close frame that comes at last, and everything in binary messages before it.
fn until_close(stream: &mut TcpStream) -> (Option<u16>, Vec<u8>) {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    let mut content = Vec::new();
    let mut at = 0;
    while at + 2 <= all.len() {
        let mut length = usize::from(all[at + 1] & 0x7f);
        let mut start = at + 2;
        if length == 126 {
            length = usize::from(u16::from_be_bytes([all[at + 2], all[at + 3]]));
            start += 2;
        }
        let payload = &all[start..(start + length).min(all.len())];
        match all[at] & 0x0f {
            8 => {
                let code = payload
                    .get(..2)
                    .map(|code| u16::from_be_bytes([code[0], code[1]]));
                return (code, content);
            }
            2 => content.extend_from_slice(payload),
            _ => {}
        }
        at = start + length;
    }
    (None, content)
}

#[test]
fn the_handshake_is_that_of_the_standard_without_extensions() {
    let daemon = Daemon::with_token(&[]);
    let (_stream, answer) = open(
        &daemon,
        &[(
            "Sec-WebSocket-Extensions",
            "permessage-deflate; client_max_window_bits",
        )],
    );
    let lower = answer.to_ascii_lowercase();
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(
        lower.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{answer}"
    );
    assert!(!lower.contains("sec-websocket-extensions"), "{answer}");
}

#[test]
fn what_is_no_handshake_is_refused() {
    let daemon = Daemon::with_token(&[]);
    let bearer = bearer();
    for (name, value, status) in [
        ("Connection", "keep-alive", 426),
        ("Upgrade", "h2c", 426),
        ("Sec-WebSocket-Version", "8", 426),
        ("Sec-WebSocket-Key", "short", 400),
    ] {
        let mut headers: Vec<(&str, &str)> = UPGRADE.to_vec();
        for header in &mut headers {
            if header.0 == name {
                header.1 = value;
            }
        }
        headers.push(("Authorization", &bearer));
        assert_eq!(daemon.get("/ssh", &headers).status, status, "{name}");
    }
    let scoped = [
        &UPGRADE[..],
        &[("Authorization", &*bearer), ("X-Scope-Path", "../x")],
    ]
    .concat();
    assert_eq!(daemon.get("/ssh", &scoped).status, 400);
    let off = Daemon::with_token(&["--disable-ssh-ws"]);
    let headers = [&UPGRADE[..], &[("Authorization", &*bearer)]].concat();
    assert_eq!(off.get("/ssh", &headers).status, 404);
}

/// As at every endpoint: also where the header comes twice, however it is spelt.
#[test]
fn a_scope_that_is_malformed_or_comes_twice_is_refused_at_the_upgrade() {
    let daemon = Daemon::with_token(&[]);
    for scope in [
        "", "/etc", "..", "a/../b", "a//b", "%2e%2e/x", "a\\b", "a\tb",
    ] {
        let (_, head) = open(&daemon, &[("X-Scope-Path", scope)]);
        assert!(head.starts_with("HTTP/1.1 400"), "{scope:?}: {head}");
    }
    for (one, two) in [
        ("X-Scope-Path", "X-Scope-Path"),
        ("x-SCOPE-path", "X-Scope-Path"),
    ] {
        for (first, second) in [("a", "a"), ("a", "b"), ("a", "")] {
            let (_, head) = open(&daemon, &[(one, first), (two, second)]);
            assert!(head.starts_with("HTTP/1.1 400"), "{one}, {two}: {head}");
        }
    }
    let root = daemon.base.path().join("root");
    assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
    // The canary: one that is well-formed is taken.
    let (_, head) = open(&daemon, &[("x-SCOPE-path", "a b")]);
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
}

#[test]
fn it_speaks_ssh() {
    let daemon = Daemon::with_token(&[]);
    let (mut stream, _) = open(&daemon, &[]);
    let mut got = [0; 10];
    stream.read_exact(&mut got).unwrap();
    assert_eq!(got[0], 0x82);
    assert_eq!(&got[2..], b"SSH-2.0-");
}

#[test]
fn frames_that_are_wrong_are_closed_with_their_own_code() {
    let daemon = Daemon::with_token(&[]);
    for (sent, code) in [
        (frame(0x81, b"text"), 1003),
        (frame(0x82, &vec![0; (1 << 20) + 1]), 1009),
        // Not masked.
        (vec![0x82, 0x01, 0x00], 1002),
        // A reserved bit, and a reserved code.
        (frame(0xc2, b"x"), 1002),
        (frame(0x83, b"x"), 1002),
        // A continuation of nothing; a control frame in pieces.
        (frame(0x80, b"x"), 1002),
        (frame(0x09, b"x"), 1002),
    ] {
        let (mut stream, _) = open(&daemon, &[]);
        let _ = stream.write_all(&sent);
        let (got, _) = until_close(&mut stream);
        assert_eq!(got, Some(code), "{:?}", &sent[..3]);
    }
}

#[test]
fn a_daemon_that_ends_closes_it_with_1000() {
    let mut daemon = Daemon::with_token(&[]);
    let (mut stream, _) = open(&daemon, &[]);
    std::thread::sleep(Duration::from_millis(300));
    daemon.signal(15);
    let (code, content) = until_close(&mut stream);
    assert_eq!(code, Some(1000));
    assert!(content.starts_with(b"SSH-2.0-"), "{content:?}");
    assert_eq!(daemon.end(), Some(0));
}

#[test]
fn a_token_that_is_revoked_closes_it_with_1008() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, TOKEN).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let daemon = Daemon::start(&["--auth-token-file", file.to_str().unwrap()]);
    let (mut stream, _) = open(&daemon, &[]);
    std::thread::sleep(Duration::from_millis(300));
    std::fs::write(&file, "another-token-another-token").unwrap();
    daemon.signal(1);
    assert_eq!(until_close(&mut stream).0, Some(1008));
    assert_eq!(
        daemon.get("/mcp", &[("Authorization", &bearer())]).status,
        401
    );
}

#[test]
fn frames_of_garbage_leave_it_well() {
    let daemon = Daemon::with_token(&["--max-connections", "64"]);
    let mut seed = 0x1234_5678_9abc_def1u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..400 {
        let (mut stream, _) = open(&daemon, &[]);
        for _ in 0..6 {
            let length = usize::try_from(random() % 300).unwrap();
            let payload: Vec<u8> = (0..length).map(|_| (random() % 256) as u8).collect();
            let first = match random() % 3 {
                0 => 0x82,
                1 => (random() % 256) as u8,
                _ => 0x89,
            };
            let mut sent = frame(first, &payload[..payload.len().min(125)]);
            if random() % 4 == 0 {
                let at = usize::try_from(random()).unwrap_or(0) % sent.len();
                sent[at] = (random() % 256) as u8;
            }
            if stream.write_all(&sent).is_err() {
                break;
            }
        }
        let _ = stream.shutdown(std::net::Shutdown::Both);
    }
    std::thread::sleep(Duration::from_secs(1));
    let text = daemon
        .get("/metrics", &[("Authorization", &bearer())])
        .text();
    let open = text
        .lines()
        .find(|line| line.starts_with("agent_backend_connections_open"));
    assert_eq!(open, Some("agent_backend_connections_open 1"), "{text}");
}
