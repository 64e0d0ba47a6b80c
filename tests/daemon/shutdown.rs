//! The end of a daemon: by a signal with grace, by a second one at once, by -9, and what is left of its commands.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::served::{Answer, Daemon, TOKEN, tool_call};

fn exec(daemon: &Daemon, command: &str) -> Answer {
    let bearer = format!("Bearer {TOKEN}");
    daemon.post(
        &tool_call(1, "exec", json!({ "command": command })),
        &[("Authorization", &bearer)],
    )
}

fn wait_for(path: &Path) {
    let until = Instant::now() + Duration::from_secs(15);
    while !path.exists() {
        assert!(Instant::now() < until, "{}", path.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether any process has this in its arguments.
fn runs(marker: &str) -> bool {
    std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        let arguments = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&arguments).contains(marker)
    })
}

#[test]
fn a_signal_ends_an_idle_daemon_at_once_with_success() {
    for signal in [15, 2] {
        let mut daemon = Daemon::with_token(&[]);
        let idle = daemon.connect();
        let begun = Instant::now();
        daemon.signal(signal);
        assert_eq!(daemon.end(), Some(0));
        assert!(
            begun.elapsed() < Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
        assert!(daemon.rest_of_log().contains("ended"));
        drop(idle);
    }
}

#[test]
fn what_is_being_answered_comes_to_its_end_and_nothing_new_begins() {
    let mut daemon = Daemon::with_token(&["--grace", "20s"]);
    let began = daemon.base.path().join("root/began");
    let port = daemon.port;
    let answer = std::thread::scope(|scope| {
        let running = scope.spawn(|| exec(&daemon, "touch began; sleep 2; echo done"));
        wait_for(&began);
        daemon.signal(15);
        std::thread::sleep(Duration::from_millis(300));
        let late = std::net::TcpStream::connect(("127.0.0.1", port));
        if let Ok(mut late) = late {
            // It may still be taken by the system, but nobody answers.
            use std::io::{Read as _, Write as _};
            let _ = late.set_read_timeout(Some(Duration::from_secs(1)));
            let _ = late.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
            let mut got = [0; 1];
            assert!(!matches!(late.read(&mut got), Ok(1)));
        }
        running.join().unwrap()
    });
    assert!(answer.text().contains("done"), "{answer:?}");
    assert_eq!(daemon.end(), Some(0));
}

#[test]
fn what_lasts_longer_than_the_grace_period_is_ended() {
    let mut daemon = Daemon::with_token(&["--grace", "1s"]);
    let began = daemon.base.path().join("root/began");
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| exec(&daemon, "touch began; sleep 31.4151; touch late"));
        wait_for(&began);
        daemon.signal(15);
    });
    assert_eq!(daemon.end(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    assert!(!runs("31.4151"));
}

#[test]
fn a_second_signal_does_not_wait() {
    let mut daemon = Daemon::with_token(&["--grace", "60s"]);
    let root = daemon.base.path().join("root");
    let begun = Instant::now();
    let answers = std::thread::scope(|scope| {
        let daemon = &daemon;
        let running: Vec<_> = (0..8)
            .map(|nth| scope.spawn(move || exec(daemon, &format!("touch {nth}; sleep 31.4152"))))
            .collect();
        (0..8).for_each(|nth| wait_for(&root.join(nth.to_string())));
        daemon.signal(15);
        std::thread::sleep(Duration::from_millis(500));
        daemon.signal(2);
        running
            .into_iter()
            .map(|call| call.join().unwrap())
            .collect::<Vec<_>>()
    });
    // Neither as if the token were wrong nor as if a handler had failed.
    for answer in answers {
        assert_eq!(answer.status, 503, "{answer:?}");
    }
    assert_eq!(daemon.end(), Some(0));
    assert!(
        begun.elapsed() < Duration::from_secs(15),
        "{:?}",
        begun.elapsed()
    );
    assert!(!runs("31.4152"));
}

#[test]
fn commands_end_with_a_daemon_that_is_killed() {
    let mut daemon = Daemon::with_token(&["--isolation", "auto"]);
    let began = daemon.base.path().join("root/began");
    let probe = exec(&daemon, "true");
    if probe.text().contains("MISSING_UTILITIES") {
        crate::skip::skip("no wall works here");
        return;
    }
    std::thread::scope(|scope| {
        scope.spawn(|| exec(&daemon, "touch began; sleep 31.4153 & sleep 31.4153"));
        wait_for(&began);
        assert!(runs("31.4153"));
        daemon.signal(9);
    });
    assert_eq!(daemon.end(), None);
    let until = Instant::now() + Duration::from_secs(10);
    while runs("31.4153") {
        assert!(Instant::now() < until, "a command is left");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_command_reaches_a_daemon_without_a_token_only_through_the_network_of_the_host() {
    // Said at the start, and in the docs: neither Host nor Origin tells a command from a client of this machine.
    let ask = |daemon: &Daemon| {
        let command = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{} && printf 'GET /health HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && cat <&3",
            daemon.port
        );
        let call = tool_call(1, "exec", json!({ "command": command }));
        daemon.post(&call, &[]).text()
    };
    let mut open = Daemon::start(&[
        "--isolation",
        "auto",
        "--network",
        "host",
        "--shell",
        "bash",
    ]);
    let reached = ask(&open);
    if reached.contains("MISSING_UTILITIES") {
        crate::skip::skip("no wall works here");
        return;
    }
    assert!(reached.contains("200 OK"), "{reached}");
    open.signal(15);
    assert!(open.rest_of_log().contains("open-to-commands"));
    let mut closed = Daemon::start(&[
        "--isolation",
        "auto",
        "--network",
        "none",
        "--shell",
        "bash",
    ]);
    let refused = ask(&closed);
    assert!(!refused.contains("200 OK"), "{refused}");
    closed.signal(15);
    assert!(!closed.rest_of_log().contains("open-to-commands"));
}

#[test]
fn the_log_has_one_line_for_each_request_without_control_characters() {
    let mut daemon = Daemon::with_token(&["--log-format", "json"]);
    daemon.raw(b"GET /a\x1b[2Jb?token=x HTTP/1.1\r\nHost: localhost\r\n\r\n");
    daemon.get("/c%0ad?token=secret-in-query", &[]);
    let bearer = format!("Bearer {TOKEN}");
    daemon.get("/mcp", &[("Authorization", &bearer)]);
    daemon.signal(15);
    let log = daemon.rest_of_log();
    assert!(
        !log.contains("secret-in-query") && !log.contains(TOKEN),
        "{log}"
    );
    let mut requests = Vec::new();
    for line in log.lines() {
        assert!(!line.chars().any(char::is_control), "{line:?}");
        let told: serde_json::Value = serde_json::from_str(line).unwrap();
        if told["message"] == "request" {
            requests.push(told);
        }
    }
    let last = requests.last().unwrap();
    assert_eq!(last["path"], "/mcp");
    assert_eq!(last["status"], 405);
    assert_eq!(last["method"], "GET");
    assert_eq!(last["principal"], "token");
    assert!(last["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(requests.iter().any(|told| told["path"] == "/c%0ad"));
}

#[test]
fn what_an_operator_should_know_is_said_by_name() {
    let mut daemon = Daemon::with(&["--auth-token", "short"], |_| {});
    daemon.wait_for("short-token");
    daemon.wait_for("no-wall");
    let mut wide = Daemon::with(&["--host", "0.0.0.0", "--auth-token", TOKEN], |_| {});
    wide.wait_for("no-tls");
}
