//! Connections that break in the middle, stall, and servers that are killed.

use std::time::{Duration, Instant};

use agent_backend::backend::ReadOptions;
use agent_backend::backend::remote::Connector;
use agent_backend::error::ErrorCode;
use agent_backend::status::Status;
use agent_backend::workspace::RunOptions;

use crate::proxy::Proxy;
use crate::served::{Daemon, TOKEN};
use crate::world::{client, is_loss, options, wait};

/// Numbers by a generator of our own, so that a failure comes again.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Two contents of one file, told apart by every byte.
fn content(number: u64) -> String {
    let letter = char::from(b'a' + u8::try_from(number % 26).unwrap());
    letter.to_string().repeat(20_000)
}

#[test]
fn cut_at_any_byte_nothing_is_torn_and_nothing_is_told_that_did_not_happen() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let client = client(options(&daemon, proxy.port));
    client.put("file", &content(0)).unwrap();
    let on_disk = daemon.base.path().join("root/file");
    let mut chance = Chance(0x5eed);
    let mut last = content(0);
    let mut failures = 0;
    for round in 1..=200_u64 {
        // A third of the cuts hit the handshakes of the next connection.
        proxy.cut_after(match chance.below(3) {
            0 => chance.below(6_000),
            _ => chance.below(45_000),
        });
        let next = content(round);
        let written = client.put("file", &next);
        let found = std::fs::read_to_string(&on_disk).unwrap();
        match &written {
            Ok(()) => assert!(found == next, "round {round}: told, but not done"),
            Err(error) => {
                failures += 1;
                assert!(is_loss(error.code()), "round {round}: {error}");
                assert!(found == last || found == next, "round {round}: torn");
            }
        }
        last = found;
        if let Ok(read) = client.get("file") {
            assert!(read == last, "round {round}: another content");
        }
        proxy.pass_all();
        assert!(client.get("file").unwrap() == last, "round {round}");
    }
    assert!(failures > 20, "the cuts hit nothing: {failures}");
    let names: Vec<_> = std::fs::read_dir(daemon.base.path().join("root"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["file"], "something is left over");
    client.destroy();
}

#[test]
fn a_connection_that_ends_while_it_is_made_was_lost_and_not_refused() {
    let daemon = Daemon::with_token(&[]);
    let mut lost = 0;
    let made = (0..20_000).step_by(16).any(|bytes| {
        // One for each: what is left of the last must not count.
        let proxy = Proxy::to(daemon.port);
        proxy.cut_after(bytes);
        let client = client(options(&daemon, proxy.port));
        let connected = client.connect();
        client.destroy();
        if let Err(error) = &connected {
            lost += 1;
            // Of a refusal it would not come back by itself.
            assert!(is_loss(error.code()), "after {bytes} bytes: {error}");
        }
        connected.is_ok()
    });
    assert!(made && lost > 50, "{lost}");
}

#[test]
fn a_stall_is_noticed_by_the_keepalive() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let mut options = options(&daemon, proxy.port);
    options.keepalive_interval_ms = 50;
    options.keepalive_count_max = 3;
    let client = client(options);
    client.put("a", "1").unwrap();
    // Quiet, but there: nothing is cut.
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(client.connection.status(), Status::Connected);
    assert_eq!(proxy.connections(), 1);
    proxy.stall();
    let begin = Instant::now();
    let error = client.put("a", "2").unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConnectionClosed, "{error}");
    assert!(begin.elapsed() < Duration::from_secs(10));
    proxy.cut();
    proxy.pass_all();
    assert_eq!(client.get("a").unwrap(), "1");
    client.destroy();
}

#[test]
fn a_stall_in_the_middle_of_a_large_write_is_noticed_too() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let mut options = options(&daemon, proxy.port);
    options.keepalive_interval_ms = 50;
    let client = client(options);
    client.put("a", "1").unwrap();
    proxy.stall();
    let error = client.put("a", &"x".repeat(32 << 20)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConnectionClosed, "{error}");
    proxy.cut();
    proxy.pass_all();
    assert_eq!(client.get("a").unwrap(), "1");
    client.destroy();
}

#[test]
fn a_command_whose_connection_breaks_fails_and_does_not_succeed_with_nothing() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let client = client(options(&daemon, proxy.port));
    client.connect().unwrap();
    let workspace = client.workspace.clone();
    let running =
        std::thread::spawn(move || wait(workspace.run("echo on; sleep 60", RunOptions::default())));
    std::thread::sleep(Duration::from_millis(300));
    proxy.cut();
    let error = running.join().unwrap().unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConnectionClosed, "{error}");
    client.destroy();
}

#[test]
fn a_daemon_that_is_killed_and_comes_back_is_found_again() {
    let mut daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let client = client(options(&daemon, proxy.port));
    client.put("a", "0").unwrap();
    for round in 1..=5 {
        let workspace = client.workspace.clone();
        let reads = std::thread::spawn(move || {
            let mut outcomes = Vec::new();
            for _ in 0..50 {
                outcomes.push(wait(workspace.read("a", ReadOptions::default())));
            }
            outcomes
        });
        std::thread::sleep(Duration::from_millis(round * 3));
        daemon.child.kill().unwrap();
        daemon.child.wait().unwrap();
        client.reaches(Status::Reconnecting);
        let base = std::mem::replace(&mut daemon.base, tempfile::tempdir().unwrap());
        daemon = Daemon::in_directory(base, &[], |command| {
            command.env("AGENT_BACKEND_AUTH_TOKEN", TOKEN);
        });
        proxy.retarget(daemon.port);
        client.reaches(Status::Connected);
        for outcome in reads.join().unwrap() {
            match outcome {
                Ok(read) => assert_eq!(read.bytes, (round - 1).to_string()),
                Err(error) => assert!(is_loss(error.code()), "{error}"),
            }
        }
        assert_eq!(client.get("a").unwrap(), (round - 1).to_string());
        client.put("a", &round.to_string()).unwrap();
    }
    client.destroy();
}
