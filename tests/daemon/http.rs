//! The endpoints over raw HTTP: what is answered, and every way to be refused.

use std::io::{BufReader, Read as _, Write as _};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::complaint;
use crate::served::{Daemon, PATIENCE, TOKEN, head, mcp_request, read_answer};

#[test]
fn health_says_that_it_is_well_and_nothing_else_to_strangers() {
    let daemon = Daemon::with_token(&[]);
    let answer = daemon.get("/health", &[]);
    assert_eq!(answer.status, 200);
    let told = answer.json();
    assert_eq!(told["status"], "ok");
    assert_eq!(told["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(told.as_object().unwrap().len(), 2, "{told}");
    let bearer = format!("Bearer {TOKEN}");
    let known = daemon.get("/health", &[("Authorization", &bearer)]).json();
    assert!(known["uptimeSeconds"].is_u64(), "{known}");
    assert_eq!(
        daemon
            .raw(b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .status,
        200
    );
    let posted = daemon.raw(head("POST", "/health", &[], Some(0)).as_bytes());
    assert_eq!(posted.status, 405);
    assert_eq!(posted.header("allow"), Some("GET, HEAD"));
}

#[test]
fn metrics_need_the_token_and_have_no_label_of_a_request() {
    let daemon = Daemon::with_token(&[]);
    assert_eq!(daemon.get("/metrics", &[]).status, 401);
    daemon.get("/canary-path", &[]);
    daemon.call("list_directory", json!({ "path": "." }), &[]);
    let bearer = format!("Bearer {TOKEN}");
    let text = daemon.get("/metrics", &[("Authorization", &bearer)]).text();
    for expected in [
        "agent_backend_requests_total{endpoint=\"other\",status=\"4xx\"} 1\n",
        "agent_backend_requests_total{endpoint=\"mcp\",status=\"2xx\"} 1\n",
        "agent_backend_unauthorized_total 1\n",
        "agent_backend_commands_running 0\n",
        "outcome=\"ok\"} ",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("canary"));
}

#[test]
fn what_is_not_there_is_404_and_what_is_not_for_us_is_refused_everywhere() {
    let daemon = Daemon::with_token(&[]);
    assert_eq!(daemon.get("/", &[]).status, 404);
    assert_eq!(daemon.get("/health/", &[]).status, 404);
    let bearer = format!("Bearer {TOKEN}");
    for path in ["/health", "/metrics", "/mcp", "/ssh", "/nowhere"] {
        let with = |name, value| daemon.get(path, &[("Authorization", &bearer), (name, value)]);
        assert_eq!(with("Host", "evil.example").status, 403, "{path}");
        assert_eq!(with("Host", "localhost@evil.example").status, 400, "{path}");
        assert_eq!(with("Origin", "http://evil.example").status, 403, "{path}");
        assert_eq!(with("Origin", "null").status, 403, "{path}");
        let two = daemon.get(path, &[("Host", "localhost"), ("host", "localhost")]);
        assert_eq!(two.status, 400, "{path}");
        let none = daemon.raw(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes());
        assert_eq!(none.status, 400, "{path}");
    }
}

#[test]
fn names_and_origins_can_be_allowed() {
    let daemon = Daemon::start(&[
        "--allowed-host",
        "box.example",
        "--allowed-origin",
        "https://app.example",
    ]);
    let headers = [
        ("Host", "Box.example:80"),
        ("Origin", "https://app.example"),
    ];
    assert_eq!(daemon.get("/health", &headers).status, 200);
}

#[test]
fn heads_that_are_too_large_or_no_http_are_refused() {
    let daemon = Daemon::with_token(&[]);
    let long = "x".repeat(70_000);
    let answer = daemon.get("/health", &[("X-Long", &long)]);
    assert!(matches!(answer.status, 431 | 400), "{}", answer.status);
    let many: Vec<(String, String)> = (0..200).map(|n| (format!("X-{n}"), "y".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (&**n, &**v)).collect();
    assert_eq!(daemon.get("/health", &many).status, 431);
    for garbage in [
        &b"\x16\x03\x01\x02\x00\x01\x00"[..],
        b"SSH-2.0-client\r\n",
        b"GET\r\n\r\n",
        b"GET /health HTTP/3.0\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost localhost\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let answer = daemon.raw(garbage);
        assert!(matches!(answer.status, 0 | 400), "{garbage:?}: {answer:?}");
    }
    assert_eq!(daemon.get("/health", &[]).status, 200);
}

#[test]
fn a_body_that_is_too_long_is_refused_before_it_is_sent() {
    let daemon = Daemon::with_token(&[]);
    let bearer = format!("Bearer {TOKEN}");
    let head = head(
        "POST",
        "/mcp",
        &[
            ("Authorization", &bearer),
            ("Content-Type", "application/json"),
        ],
        Some(100 << 20),
    );
    let answer = daemon.raw(head.as_bytes());
    assert_eq!(answer.status, 413);
    assert_eq!(answer.header("connection"), Some("close"));
}

#[test]
fn who_sends_nothing_or_dribbles_is_cut_off_and_who_does_not_read_too() {
    let daemon = Daemon::with_token(&["--idle-timeout", "1s"]);
    let bearer = format!("Bearer {TOKEN}");
    // Nothing at all, half a head, half a body.
    let half_body = head(
        "POST",
        "/mcp",
        &[
            ("Authorization", &bearer),
            ("Content-Type", "application/json"),
        ],
        Some(100),
    ) + "{";
    for (sent, status) in [("", 0), ("GET /health HT", 0), (&half_body, 408)] {
        let begun = Instant::now();
        let mut stream = daemon.connect();
        stream.write_all(sent.as_bytes()).unwrap();
        let answer = read_answer(&mut BufReader::new(stream));
        assert!(
            matches!(answer.status, found if found == status || found == 408),
            "{answer:?}"
        );
        assert!(begun.elapsed() < Duration::from_secs(10), "{sent}");
    }
    // A head that comes byte by byte has no longer than one that does not come.
    let begun = Instant::now();
    let mut stream = daemon.connect();
    let mut cut = false;
    for byte in b"GET /health HTTP/1.1\r\nX-Slow: "
        .iter()
        .chain([b'x'; 200].iter())
    {
        if stream.write_all(&[*byte]).is_err() {
            cut = true;
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(cut && begun.elapsed() < Duration::from_secs(8));
}

#[test]
fn an_answer_that_nobody_reads_is_dropped_and_the_daemon_goes_on() {
    let daemon = Daemon::with_token(&["--idle-timeout", "1s"]);
    let file = daemon.base.path().join("root/large.txt");
    std::fs::write(&file, vec![b'a'; 8 << 20]).unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let call = crate::served::tool_call(1, "read_text_file", json!({ "path": "large.txt" }));
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = daemon.connect();
        let request = mcp_request(&call, &[("Authorization", &bearer)]);
        stream.write_all(&request).unwrap();
        streams.push(stream);
    }
    let is_alone = || {
        let text = daemon.get("/metrics", &[("Authorization", &bearer)]).text();
        text.contains("agent_backend_connections_open 1\n")
    };
    let until = Instant::now() + Duration::from_secs(60);
    // They are being answered before they are cut off.
    std::thread::sleep(Duration::from_secs(1));
    while !is_alone() {
        assert!(Instant::now() < until, "they are still open");
        std::thread::sleep(Duration::from_millis(200));
    }
    for mut stream in streams {
        let mut got = Vec::new();
        // Whatever was on its way; not the whole.
        let _ = stream.read_to_end(&mut got);
        assert!(got.len() < 16 << 20, "{}", got.len());
    }
}

#[test]
fn more_connections_than_allowed_are_closed_and_there_is_room_again_later() {
    let daemon = Daemon::with_token(&["--max-connections", "3"]);
    let bearer = format!("Bearer {TOKEN}");
    // Those that have said who they are: others would make way.
    let known = |_| {
        let mut stream = daemon.connect();
        let request = head("GET", "/mcp", &[("Authorization", &bearer)], None);
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_exact(&mut [0; 12]).unwrap();
        stream
    };
    let mut held: Vec<_> = (0..3).map(known).collect();
    assert_eq!(daemon.get("/health", &[]).status, 0);
    held.clear();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(daemon.get("/health", &[]).status, 200);
}

#[test]
fn a_thousand_idle_connections_cost_little_and_leave_nothing() {
    let daemon = Daemon::with_token(&["--max-connections", "1100"]);
    daemon.get("/health", &[]);
    let before = daemon.anonymous_kib();
    let mut sizes = Vec::new();
    for _ in 0..4 {
        let held: Vec<_> = (0..1_000).map(|_| daemon.connect()).collect();
        let asked = Instant::now();
        assert_eq!(daemon.get("/health", &[]).status, 200);
        assert!(asked.elapsed() < Duration::from_secs(5));
        let peak = daemon.anonymous_kib();
        assert!(peak > before + 4_096, "no more than {peak} KiB at a peak");
        assert!(peak < 64 << 10, "{peak} KiB");
        drop(held);
        // Given back once it is quiet, to what it was and not to what the round before left.
        let until = Instant::now() + PATIENCE;
        while daemon.anonymous_kib() > before + 4_096 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(100));
        }
        sizes.push(daemon.anonymous_kib());
    }
    println!("{before} KiB, and after each thousand: {sizes:?}");
    assert!(
        sizes.iter().all(|size| *size <= before + 4_096),
        "{before}: {sizes:?}"
    );
}

#[test]
fn requests_share_a_connection() {
    let daemon = Daemon::with_token(&[]);
    let mut stream = daemon.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    for _ in 0..50 {
        stream
            .write_all(head("GET", "/health", &[], None).as_bytes())
            .unwrap();
        assert_eq!(read_answer(&mut reader).status, 200);
    }
}

#[test]
fn garbage_of_every_kind_leaves_it_well() {
    let daemon = Daemon::with_token(&[]);
    let bearer = format!("Bearer {TOKEN}");
    let message = crate::served::tool_call(1, "list_directory", json!({ "path": "." }));
    let whole = mcp_request(&message, &[("Authorization", &bearer)]);
    let mut seed = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % (1 << 31)).unwrap()
    };
    for _ in 0..2_000 {
        let mut request = whole.clone();
        for _ in 0..1 + random() % 4 {
            let at = random() % request.len();
            match random() % 4 {
                0 => request[at] = u8::try_from(random() % 256).unwrap(),
                1 => request.truncate(at.max(1)),
                2 => request.insert(at, b"\r\n\0:% "[random() % 6]),
                _ => {
                    let end = at + random() % (request.len() - at);
                    let piece = request[at..end].to_vec();
                    request.splice(at..at, piece);
                }
            }
        }
        let mut stream = daemon.connect();
        let _ = stream.write_all(&request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
    }
    assert_eq!(daemon.get("/health", &[]).status, 200);
}

#[test]
fn what_keeps_it_from_beginning_is_one_line() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("root");
    let root = root.to_str().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let missing = base.path().join("missing");
    let missing = missing.to_str().unwrap();
    for (flags, expected) in [
        (&["--port", &port][..], "the port is in use"),
        (
            &["--host", "0.0.0.0"],
            "without a token a daemon listens on loopback only",
        ),
        (
            &["--host", "no.such.host.invalid"],
            "cannot listen on no.such.host.invalid",
        ),
        (&["--auth-token-file", missing], "no such file"),
        (&["--tokens-file", missing], "no such file"),
        (&["--auth-token", "with space"], "printable ASCII"),
        (
            &["--tls-cert", missing, "--tls-key", missing],
            "no such file",
        ),
        (&["--network", "http://x"], "http://x"),
    ] {
        let said = complaint(&[&["daemon", "--rootDir", root][..], flags].concat());
        assert!(said.contains(expected), "{flags:?}: {said}");
        assert!(!said.contains("with space"), "{said}");
    }
    assert!(!std::path::Path::new(root).exists(), "nothing was made");
}
