//! The states of a connection, and who hears of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_backend::backend::ReadOptions;
use agent_backend::backend::remote::Connector;
use agent_backend::backend::remote::options::{Reconnection, Secret, SshAuth, Transport};
use agent_backend::error::ErrorCode;
use agent_backend::status::Status;

use crate::proxy::Proxy;
use crate::served::Daemon;
use crate::world::{client, is_loss, options, spawn, wait, wait_for};

#[test]
fn a_hundred_first_calls_make_one_connection() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let client = client(options(&daemon, proxy.port));
    assert_eq!(client.connection.status(), Status::Disconnected);
    assert_eq!(
        proxy.connections(),
        0,
        "nothing is done before it is needed"
    );
    let calls: Vec<_> = (0..100)
        .map(|_| {
            let workspace = client.workspace.clone();
            std::thread::spawn(move || wait(workspace.exists("a")))
        })
        .collect();
    for call in calls {
        assert!(!call.join().unwrap().unwrap());
    }
    assert_eq!(proxy.connections(), 1);
    client.connect().unwrap();
    assert_eq!(proxy.connections(), 1);
    client.destroy();
}

#[test]
fn what_is_no_daemon_is_told_with_its_address_and_what_to_look_at() {
    use std::io::{Read as _, Write as _};
    let daemon = Daemon::with_token(&[]);
    let says = |greeting: &'static [u8]| {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(greeting);
        });
        port
    };
    let (mail, web) = (
        says(b"220 mail ESMTP\r\n"),
        says(b"HTTP/1.1 400 Bad\r\n\r\n"),
    );
    let mut over_ssh = options(&daemon, web);
    over_ssh.transport = Transport::Ssh;
    over_ssh.auth_token = None;
    over_ssh.ssh_auth = Some(SshAuth::Password {
        user: "a".to_owned(),
        password: Secret::new("b"),
    });
    let mut without_token = options(&daemon, daemon.port);
    without_token.auth_token = None;
    for (options, port, expected) in [
        (
            options(&daemon, mail),
            mail,
            "what answers there is no daemon",
        ),
        (over_ssh, web, "is that the port of an SSH server?"),
        (without_token, daemon.port, "give it as `authToken`"),
    ] {
        let client = client(options);
        let error = client.connect().unwrap_err();
        let message = error.message();
        assert!(
            message.starts_with(&format!("127.0.0.1:{port}: ")),
            "{error}"
        );
        assert!(message.contains(expected), "{error}");
        assert!(
            !message.contains("httparse") && !message.contains('{'),
            "{error}"
        );
        client.destroy();
    }
}

#[test]
fn every_step_is_told_in_order() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let client = client(options(&daemon, proxy.port));
    let mut steps = client.connection.subscribe();
    client.connect().unwrap();
    proxy.cut();
    client.reaches(Status::Reconnecting);
    client.reaches(Status::Connected);
    client.destroy();
    let mut told = Vec::new();
    while let Some(step) = wait_for(steps.recv()) {
        told.push((step.from, step.to, step.error.map(|error| error.code())));
    }
    use Status::{Connected, Connecting, Destroyed, Disconnected, Reconnecting};
    let lost = Some(ErrorCode::ConnectionClosed);
    assert_eq!(
        told,
        [
            (Disconnected, Connecting, None),
            (Connecting, Connected, None),
            (Connected, Reconnecting, lost),
            (Reconnecting, Connected, None),
            (Connected, Destroyed, None),
        ]
    );
}

#[test]
fn a_wrong_token_is_tried_again_only_when_asked_for_by_name() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let mut options = options(&daemon, proxy.port);
    options.auth_token = Some(Secret::new("wrong"));
    let client = client(options);
    for _ in 0..3 {
        let error = client.get("a").unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unauthorized, "{error}");
        assert!(!error.to_string().contains("wrong"), "{error}");
    }
    assert_eq!(proxy.connections(), 1);
    assert_eq!(client.connection.status(), Status::Disconnected);
    let error = client.connect().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unauthorized);
    assert_eq!(proxy.connections(), 2);
}

#[test]
fn where_nothing_listens_each_call_tries_anew() {
    let daemon = Daemon::with_token(&[]);
    let dead = Proxy::to(1);
    let client = client(options(&daemon, dead.port));
    let first = client.get("a").unwrap_err();
    assert_eq!(first.code(), ErrorCode::ConnectionFailed, "{first}");
    assert_eq!(client.connection.status(), Status::Disconnected);
    dead.retarget(daemon.port);
    client.put("a", "1").unwrap();
    assert_eq!(client.get("a").unwrap(), "1");
    client.destroy();
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    proxy.stall();
    let mut options = options(&daemon, proxy.port);
    options.connect_timeout_ms = 200;
    let client = client(options);
    let begin = Instant::now();
    let error = client.connect().unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConnectionFailed, "{error}");
    assert!(error.message().contains("200 ms"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[test]
fn after_the_last_attempt_it_is_disconnected_and_the_next_call_tries_anew() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let mut options = options(&daemon, proxy.port);
    options.reconnection = Reconnection {
        max_retries: 3,
        initial_delay_ms: 1,
        max_delay_ms: 5,
        ..Reconnection::default()
    };
    let client = client(options);
    let mut steps = client.connection.subscribe();
    client.connect().unwrap();
    proxy.retarget(1);
    proxy.cut();
    let last = loop {
        let step = wait_for(steps.recv()).unwrap();
        if step.to == Status::Disconnected {
            break step;
        }
    };
    assert_eq!(last.from, Status::Reconnecting);
    assert!(last.error.unwrap().message().contains("3 attempts"));
    assert_eq!(proxy.connections(), 1 + 3);
    proxy.retarget(daemon.port);
    client.put("a", "1").unwrap();
    client.destroy();
}

#[test]
fn without_reconnection_a_loss_is_the_end_until_the_next_call() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let mut options = options(&daemon, proxy.port);
    options.reconnection.enabled = false;
    let client = client(options);
    client.connect().unwrap();
    proxy.cut();
    client.reaches(Status::Disconnected);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(proxy.connections(), 1);
    client.put("a", "1").unwrap();
    assert_eq!(proxy.connections(), 2);
    client.destroy();
}

#[test]
fn calls_made_while_it_comes_back_wait_for_it() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let client = client(options(&daemon, proxy.port));
    client.put("a", "1").unwrap();
    proxy.retarget(1);
    proxy.cut();
    client.reaches(Status::Reconnecting);
    let workspace = client.workspace.clone();
    let read = std::thread::spawn(move || wait(workspace.read("a", ReadOptions::default())));
    std::thread::sleep(Duration::from_millis(50));
    assert!(!read.is_finished());
    proxy.retarget(daemon.port);
    assert_eq!(&read.join().unwrap().unwrap().bytes[..], b"1");
    client.destroy();
}

#[test]
fn an_explicit_connect_ends_the_wait_between_two_attempts() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let mut options = options(&daemon, proxy.port);
    options.reconnection = Reconnection {
        initial_delay_ms: 600_000,
        max_delay_ms: 600_000,
        ..Reconnection::default()
    };
    let client = client(options);
    client.connect().unwrap();
    proxy.cut();
    client.reaches(Status::Reconnecting);
    let begin = Instant::now();
    client.connect().unwrap();
    assert!(begin.elapsed() < Duration::from_secs(20));
    client.destroy();
}

#[test]
fn what_is_destroyed_in_any_state_fails_its_calls_and_leaves_nothing() {
    let daemon = Daemon::with_token(&[]);
    for round in 0..40_u64 {
        let proxy = Proxy::to(daemon.port);
        let client = client(options(&daemon, proxy.port));
        if round % 4 == 1 {
            proxy.stall();
        }
        let link = spawn(client.connection.link());
        if round % 4 == 2 {
            client.connect().unwrap();
            proxy.retarget(1);
            proxy.cut();
        }
        std::thread::sleep(Duration::from_micros(round * 700));
        let begin = Instant::now();
        client.destroy();
        assert!(begin.elapsed() < Duration::from_secs(2), "round {round}");
        if let Err(error) = wait_for(link).unwrap() {
            let code = error.code();
            assert!(code == ErrorCode::Destroyed || is_loss(code), "{error}");
        }
        assert_eq!(client.connection.status(), Status::Destroyed);
        assert_eq!(client.connect().unwrap_err().code(), ErrorCode::Destroyed);
    }
}

#[test]
fn a_connection_that_is_dropped_ends() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let client = client(options(&daemon, proxy.port));
    client.connect().unwrap();
    let link = wait_for(client.connection.link()).unwrap();
    let closed = link.closed().clone();
    drop(link);
    let kept = Arc::downgrade(&client.connection);
    drop(client);
    wait_for(closed.cancelled());
    assert!(kept.upgrade().is_none());
}
