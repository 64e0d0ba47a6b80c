//! Who gets in.

use std::time::{Duration, Instant};

use agent_backend::backend::local::command::Isolation;
use agent_backend::daemon::ssh::{Entry, ServerOptions};
use russh::client;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::peer::{PATIENCE, Peer};
use crate::server::{Fixture, has_openssh, text};

fn quick() -> ServerOptions {
    ServerOptions {
        refusal_delay: Duration::from_millis(10),
        ..ServerOptions::default()
    }
}

#[test]
fn a_password_or_a_key_lets_its_user_in_and_nobody_else() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::with(quick(), Isolation::None);
    for (user, password, works) in [
        ("agent", "secret", true),
        ("reader", "page", true),
        ("agent", "page", false),
        ("agent", "wrong", false),
        ("root", "agents", false),
        ("nobody", "secret", false),
    ] {
        let mut command = fixture.by_password(user, password);
        let done = command.arg("echo in").output().unwrap();
        let is_in = text(&done.stdout) == "in\n" || text(&done.stderr).contains("agent-backend: ");
        assert_eq!(is_in, works, "{user}:{password}: {}", text(&done.stderr));
    }
    assert_eq!(text(&fixture.run("echo in").stdout), "in\n");
    let other = fixture.ssh("root", &[]).arg("echo in").output().unwrap();
    assert!(
        !other.status.success(),
        "a key is for the users that are named"
    );
}

#[test]
fn the_third_wrong_password_is_the_last() {
    let fixture = Fixture::with(quick(), Isolation::None);
    fixture.runtime().block_on(async {
        let stream = TcpStream::connect(fixture.address).await.unwrap();
        let mut peer = Peer::over(stream, client::Config::default()).await;
        for attempt in 1..=2 {
            let wrong = peer
                .handle
                .authenticate_password("agent", "wrong")
                .await
                .unwrap();
            let client::AuthResult::Failure {
                remaining_methods, ..
            } = wrong
            else {
                panic!("it is wrong");
            };
            assert!(!remaining_methods.is_empty(), "{attempt}");
        }
        let third = peer
            .handle
            .authenticate_password("agent", "wrong")
            .await
            .unwrap();
        let client::AuthResult::Failure {
            remaining_methods, ..
        } = third
        else {
            panic!("it is wrong");
        };
        assert!(remaining_methods.is_empty(), "{remaining_methods:?}");
        // Also the right one comes too late.
        let fourth = tokio::time::timeout(
            PATIENCE,
            peer.handle.authenticate_password("agent", "secret"),
        );
        assert!(!fourth.await.unwrap().is_ok_and(|result| result.success()));
    });
}

#[test]
fn a_wrong_password_is_answered_late_and_a_probe_at_once() {
    let fixture = Fixture::with(
        ServerOptions {
            refusal_delay: Duration::from_millis(1_500),
            ..ServerOptions::default()
        },
        Isolation::None,
    );
    fixture.runtime().block_on(async {
        let stream = TcpStream::connect(fixture.address).await.unwrap();
        let mut peer = Peer::over(stream, client::Config::default()).await;
        let started = Instant::now();
        assert!(
            !peer
                .handle
                .authenticate_none("agent")
                .await
                .unwrap()
                .success()
        );
        assert!(started.elapsed() < Duration::from_millis(1_000));
        for user in ["agent", "nobody"] {
            let started = Instant::now();
            let refused = peer
                .handle
                .authenticate_password(user, "wrong")
                .await
                .unwrap();
            assert!(!refused.success());
            assert!(started.elapsed() >= Duration::from_millis(1_500), "{user}");
        }
        let right = peer.handle.authenticate_password("agent", "secret").await;
        assert!(right.unwrap().success());
    });
}

#[test]
fn whoever_guesses_waits_longer_each_time_also_on_new_connections() {
    let fixture = Fixture::with(quick(), Isolation::None);
    fixture.runtime().block_on(async {
        let timed = async |password: &'static str| {
            let stream = TcpStream::connect(fixture.address).await.unwrap();
            let mut peer = Peer::over(stream, client::Config::default()).await;
            let started = Instant::now();
            let answer = peer.handle.authenticate_password("agent", password).await;
            (answer.unwrap().success(), started.elapsed())
        };
        for least in [100, 200, 400, 800] {
            let (is_in, took) = timed("wrong").await;
            assert!(!is_in);
            assert!(took >= Duration::from_millis(least), "{took:?} of {least}");
        }
        // Whoever is right is not held up, and begins anew.
        for (password, right) in [("secret", true), ("wrong", false)] {
            let (is_in, took) = timed(password).await;
            assert_eq!(is_in, right);
            assert!(took < Duration::from_millis(800), "{password}: {took:?}");
        }
    });
}

#[test]
fn inside_a_stream_that_is_authenticated_every_way_to_say_who_one_is_works() {
    let fixture = Fixture::new();
    fixture.runtime().block_on(async {
        for method in ["none", "password", "key", "interactive"] {
            let (near, far) = tokio::io::duplex(1 << 16);
            let entry = Entry::Authenticated(fixture.session.clone());
            let serving = tokio::spawn(fixture.server.serve(far, entry, None));
            let mut peer = Peer::over(near, client::Config::default()).await;
            let accepted = match method {
                "none" => peer
                    .handle
                    .authenticate_none("anybody")
                    .await
                    .unwrap()
                    .success(),
                "password" => (peer
                    .handle
                    .authenticate_password("root", "whatever")
                    .await
                    .unwrap())
                .success(),
                "key" => {
                    let key =
                        russh::keys::PrivateKey::read_openssh_file(fixture.base.path().join("key"));
                    let key = russh::keys::PrivateKeyWithHashAlg::new(key.unwrap().into(), None);
                    (peer.handle.authenticate_publickey("x", key).await.unwrap()).success()
                }
                _ => {
                    let started = peer
                        .handle
                        .authenticate_keyboard_interactive_start("x", None)
                        .await;
                    matches!(
                        started.unwrap(),
                        client::KeyboardInteractiveAuthResponse::Success
                    )
                }
            };
            assert!(accepted, "{method}");
            assert_eq!(peer.run("echo in").await.stdout, b"in\n", "{method}");
            drop(peer);
            serving.await.unwrap().ok();
        }
    });
}

#[test]
fn a_client_that_never_says_who_it_is_is_cut_off() {
    let fixture = Fixture::with(
        ServerOptions {
            authenticate_within: Duration::from_millis(500),
            ..ServerOptions::default()
        },
        Isolation::None,
    );
    fixture.runtime().block_on(async {
        // Silent from the start, after its banner, and after the keys are agreed on.
        for stage in 0..3 {
            let started = Instant::now();
            let mut stream = TcpStream::connect(fixture.address).await.unwrap();
            if stage == 1 {
                stream.write_all(b"SSH-2.0-slow\r\n").await.unwrap();
            }
            if stage < 2 {
                ends(&mut stream).await;
            } else {
                let peer = Peer::over(stream, client::Config::default()).await;
                let ended = async {
                    while !peer.handle.is_closed() {
                        tokio::time::sleep(Duration::from_millis(10)).await;
                    }
                };
                tokio::time::timeout(PATIENCE, ended).await.unwrap();
            }
            let took = started.elapsed();
            assert!(took >= Duration::from_millis(450), "{stage}: {took:?}");
            assert!(took < Duration::from_secs(20), "{stage}: {took:?}");
        }
    });
}

#[test]
fn those_who_stay_silent_keep_nobody_out() {
    let fixture = Fixture::with(
        ServerOptions {
            max_unauthenticated: 50,
            ..ServerOptions::default()
        },
        Isolation::None,
    );
    fixture.runtime().block_on(async {
        let mut silent = Vec::new();
        for _ in 0..200 {
            silent.push(TcpStream::connect(fixture.address).await.unwrap());
        }
        let peer = Peer::connect(&fixture).await;
        assert_eq!(peer.run("echo in").await.stdout, b"in\n");
        // The oldest were cut off.
        ends(&mut silent[0]).await;
    });
}

#[test]
fn a_session_that_is_closed_ends_its_connection() {
    let fixture = Fixture::new();
    fixture.runtime().block_on(async {
        let (near, far) = tokio::io::duplex(1 << 16);
        let mut session = fixture.session.clone();
        session.closed = session.closed.child_token();
        let closed = session.closed.clone();
        let serving = tokio::spawn(
            fixture
                .server
                .serve(far, Entry::Authenticated(session), None),
        );
        let mut peer = Peer::over(near, client::Config::default()).await;
        assert!(peer.handle.authenticate_none("x").await.unwrap().success());
        let mut channel = peer.session().await;
        channel
            .exec(true, "echo $$; exec sleep 1000")
            .await
            .unwrap();
        crate::peer::until(&mut channel, "\n").await;
        closed.cancel();
        let done = crate::peer::rest(&mut channel).await;
        assert_eq!(done.status, None);
        tokio::time::timeout(PATIENCE, serving)
            .await
            .unwrap()
            .unwrap()
            .ok();
        assert!(peer.handle.is_closed());
    });
}

/// Waits until the server hangs up.
async fn ends(stream: &mut TcpStream) {
    let mut said = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said));
    ended.await.unwrap().ok();
}
