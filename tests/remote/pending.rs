//! Calls that wait: they end with the connection, and nobody's answer is another's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_backend::backend::process::CommandSpec;
use agent_backend::backend::remote::Ours;
use agent_backend::backend::remote::link::Link;
use agent_backend::backend::remote::progress::Progress;
use agent_backend::backend::{Content, OpenOptions, ReadOptions, WriteOptions};
use agent_backend::daemon::sftp::{self, SymlinkOrder};
use agent_backend::error::ErrorCode;
use agent_backend::path::RelPath;
use agent_backend::pool;
use agent_backend::status::Status;
use agent_backend::wire::operations::{Answer, Hello, Operation, Request, VERSION, encode_hello};
use agent_backend::wire::sftp::{encode_version, name};
use agent_backend::workspace::SearchOptions;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_util::sync::CancellationToken;

use crate::world::{World, get, put, until, wait};

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes(), b"/").unwrap()
}

fn hello(version: u32) -> Vec<u8> {
    encode_hello(&Hello {
        version,
        served_root: b"/w".to_vec(),
        session_root: b"/w".to_vec(),
        capabilities: Default::default(),
    })
    .unwrap()
}

/// A server that greets, and then never answers.
async fn silent(extension: &[u8], data: &[u8]) -> (DuplexStream, DuplexStream) {
    let (near, mut far) = tokio::io::duplex(1 << 20);
    let mut version = BytesMut::new();
    encode_version([(extension, data)], &mut version);
    far.write_all(&version).await.unwrap();
    (near, far)
}

fn write(name: &str) -> Request {
    Request {
        scope: RelPath::root(),
        operation: Operation::Write {
            path: path(name),
            content: bytes::Bytes::from_static(b"x"),
            options: WriteOptions::default(),
        },
    }
}

fn stat(name: &str) -> Request {
    Request {
        scope: RelPath::root(),
        operation: Operation::Stat {
            path: path(name),
            follow: true,
        },
    }
}

#[test]
fn all_calls_that_wait_fail_when_the_connection_ends_and_so_do_later_ones() {
    pool::runtime().block_on(async {
        let (near, far) = silent(name::OPERATION, &hello(VERSION)).await;
        let (near_commands, _far_commands) = tokio::io::duplex(1024);
        let link = Ours::open(near, near_commands, CancellationToken::new());
        let link = link.await.unwrap();
        let calls: Vec<_> = (0..1_000)
            .map(|_| link.request(stat("a"), Progress::default()))
            .collect();
        let begun = Instant::now();
        drop(far);
        for call in calls {
            let error = call.await.unwrap_err();
            assert_eq!(error.code(), ErrorCode::ConnectionClosed);
            // Whoever looks for another connection finds that this one is none.
            assert!(link.closed().is_cancelled());
        }
        let error = link
            .request(stat("a"), Progress::default())
            .await
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConnectionClosed);
        assert!(begun.elapsed() < Duration::from_secs(5));
    });
}

#[test]
fn the_end_of_either_stream_ends_the_link() {
    let world = World::new();
    for end in 0..4 {
        let (near, far) = tokio::io::duplex(64 << 10);
        let (near_commands, far_commands) = tokio::io::duplex(1024);
        let runtime = pool::runtime();
        let link = runtime.block_on(async {
            let served = tokio::spawn(sftp::serve(world.session(), SymlinkOrder::default(), far));
            let link = Ours::open(near, near_commands, CancellationToken::new()).await;
            let link = link.unwrap();
            assert!(link.request(write("a"), Progress::default()).await.is_ok());
            match end {
                0 => served.abort(),
                1 => drop(far_commands),
                2 => link.closed().cancel(),
                _ => link.close(bytes::Bytes::new()),
            }
            link
        });
        until("it is closed", || link.closed().is_cancelled());
        // From then on, at once.
        let error = runtime
            .block_on(link.request(write("b"), Progress::default()))
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConnectionClosed);
        let spawned = link.spawn(&RelPath::root(), CommandSpec::default());
        let error = runtime.block_on(spawned).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConnectionClosed);
        assert!(!world.root().join("b").exists());
    }
}

#[test]
fn who_is_no_daemon_of_ours_or_of_another_version_is_told_apart() {
    pool::runtime().block_on(async {
        for (extension, data) in [
            (name::POSIX_RENAME, b"1".to_vec()),
            (name::OPERATION, hello(VERSION + 1)),
        ] {
            let (near, _far) = silent(extension, &data).await;
            let (near_commands, _far_commands) = tokio::io::duplex(1024);
            let opened = Ours::open(near, near_commands, CancellationToken::new()).await;
            assert_eq!(opened.unwrap_err().code(), ErrorCode::NotImplemented);
        }
    });
}

#[test]
fn a_call_that_nobody_waits_for_any_more_leaves_the_others_their_answers() {
    let world = World::new();
    for number in 0..50 {
        world.put(&format!("f{number}"), &number.to_string());
    }
    let (client, connector) = world.client();
    pool::runtime().block_on(async {
        for round in 0..20 {
            let mut kept = Vec::new();
            for number in 0..50 {
                let call = client.read(format!("f{number}"), ReadOptions::default());
                // What is dropped was sent already.
                if (number + round) % 3 != 0 {
                    kept.push((number, call));
                }
            }
            for (number, call) in kept {
                let bytes = call.await.unwrap().bytes;
                assert_eq!(bytes, number.to_string().as_bytes());
            }
        }
    });
    assert_eq!(connector.connections(), 1);
}

#[test]
fn what_a_forgotten_call_opened_is_closed() {
    let world = World::new();
    world.put("a", "1");
    let (client, connector) = world.client();
    put(&client, "b", "2").unwrap();
    let for_reading = OpenOptions {
        read: true,
        ..OpenOptions::default()
    };
    // Far more than one connection may have open.
    for round in 0..40 {
        let open: Vec<_> = (0..25).map(|_| client.open("a", for_reading)).collect();
        let staged: Vec<_> = (0..25)
            .map(|_| client.stage("c", WriteOptions::default()))
            .collect();
        if round % 2 == 0 {
            // The answers are there, and nobody has looked at them.
            std::thread::sleep(Duration::from_millis(10));
        }
        drop((open, staged));
        // Behind them, so that they have been answered.
        assert_eq!(get(&client, "b").unwrap(), "2");
    }
    let mut files = Vec::new();
    until("all are closed", || {
        let opened = (0..200).map(|_| wait(client.open("a", for_reading)));
        match opened.collect::<Result<Vec<_>, _>>() {
            Ok(opened) => files = opened,
            Err(error) => assert_eq!(error.code(), ErrorCode::LimitExceeded),
        }
        !files.is_empty()
    });
    assert_eq!(wait(files[0].read_at(0, 10)).unwrap(), b"1"[..]);
    assert_eq!(connector.connections(), 1);
}

#[test]
fn a_read_is_asked_again_on_another_connection_and_a_write_is_not() {
    let world = World::new();
    world.put("a", "1");
    let (client, connector) = world.client();
    assert_eq!(get(&client, "a").unwrap(), "1");
    for round in 2..12 {
        let runtime = pool::runtime();
        let read = client.read("a", ReadOptions::default());
        // The answer may be there already; then there is nothing to ask again.
        connector.cut();
        let outcome = runtime.block_on(read).unwrap();
        assert_eq!(outcome.bytes, b"1"[..]);
        let write = client.write(
            "b",
            Content::owned(format!("{round}").into_bytes()),
            WriteOptions::default(),
        );
        connector.cut();
        match runtime.block_on(write) {
            Ok(_) => assert_eq!(world.get("b"), round.to_string()),
            Err(error) => assert_eq!(error.code(), ErrorCode::ConnectionClosed),
        }
    }
    assert!(connector.connections() > 10);
    wait(client.destroy()).unwrap();
    assert_eq!(client.status(), Status::Destroyed);
}

#[test]
fn a_search_that_is_given_up_stops_on_the_other_side_and_others_go_on() {
    let world = World::new();
    let text = "a line that is none of those\n".repeat(20_000);
    for number in 0..200 {
        world.put(&format!("d/{number}"), &text);
    }
    let (client, _connector) = world.client();
    let query = agent_backend::backend::search::GrepQuery {
        pattern: "(a|b|c|l)+x{2,30}never".to_owned(),
        ..Default::default()
    };
    let cancel = CancellationToken::new();
    let options = SearchOptions {
        cancel: Some(cancel.clone()),
        ..SearchOptions::default()
    };
    let searching = client.grep("d", query, options);
    let begun = Instant::now();
    let runtime = pool::runtime();
    let searching = runtime.spawn(async move { searching.await.map(|_| ()) });
    std::thread::sleep(Duration::from_millis(20));
    cancel.cancel();
    let ended = runtime.block_on(searching).unwrap();
    if let Err(error) = ended {
        assert_eq!(error.code(), ErrorCode::Aborted);
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    put(&client, "x", "1").unwrap();
}

#[test]
fn a_call_may_take_no_longer_than_it_is_told() {
    use agent_backend::backend::Backend as _;
    use agent_backend::backend::remote::{Connector, RemoteBackend, RootOptions};

    /// Never connects.
    #[derive(Debug)]
    struct Never;

    impl Connector for Never {
        fn link(
            &self,
        ) -> agent_backend::call::BoxFuture<agent_backend::error::Result<Arc<dyn Link>>> {
            Box::pin(std::future::pending())
        }

        fn status(&self) -> Status {
            Status::Connecting
        }

        fn close(&self) -> agent_backend::call::BoxFuture<()> {
            Box::pin(std::future::ready(()))
        }
    }

    let options = RootOptions {
        root_dir: b"/w/".to_vec(),
        operation_timeout: Some(Duration::from_millis(50)),
    };
    let backend = RemoteBackend::new(Arc::new(Never), options).unwrap();
    assert_eq!(backend.root_dir(), b"/w");
    let error = wait(backend.stat(&path("a"), true)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Timeout);
    let refused = backend.bounded(1).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::NotImplemented);
    assert!(refused.message().contains("--max-bytes"), "{refused}");
}

#[test]
fn a_root_that_the_daemon_does_not_serve_is_refused_and_one_below_is_a_part() {
    use agent_backend::backend::remote::{RemoteBackend, RootOptions};
    use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};

    let world = World::new();
    world.put("sub/dir/a", "1");
    let root = String::from_utf8(world.served.root_dir().to_vec()).unwrap();
    let (_, connector) = world.client();
    let over = |root_dir: &str| {
        let options = RootOptions {
            root_dir: root_dir.as_bytes().to_vec(),
            operation_timeout: None,
        };
        let backend = RemoteBackend::new(Arc::clone(&connector) as _, options).unwrap();
        let scope = ScopeOptions::default();
        Workspace::new(backend, WorkspaceOptions::default(), scope)
    };
    assert_eq!(get(&over(&format!("{root}/sub")), "dir/a").unwrap(), "1");
    let below = over(&format!("{root}/sub/dir/"));
    assert_eq!(get(&below, &format!("{root}/sub/dir/a")).unwrap(), "1");
    let out = get(&below, "../../../x").unwrap_err();
    assert_eq!(out.code(), ErrorCode::PathEscapeAttempt);
    for other in ["/elsewhere", &format!("{root}-evil"), "/"] {
        let error = get(&over(other), "a").unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{other}");
        assert!(error.message().contains(other) && error.message().contains(&root));
    }
    let relative = RootOptions {
        root_dir: b"relative".to_vec(),
        operation_timeout: None,
    };
    let refused = RemoteBackend::new(connector as _, relative).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidConfiguration);
}

#[test]
fn a_daemon_that_sends_the_wrong_answer_is_not_believed() {
    pool::runtime().block_on(async {
        let (near, mut far) = silent(name::OPERATION, &hello(VERSION)).await;
        let (near_commands, _far_commands) = tokio::io::duplex(1024);
        let link = Ours::open(near, near_commands, CancellationToken::new());
        let link = link.await.unwrap();
        let call = link.request(stat("a"), Progress::default());
        let mut greeting = [0; 9];
        far.read_exact(&mut greeting).await.unwrap();
        // A status that says that it is done, without the answer.
        let mut done = BytesMut::new();
        agent_backend::wire::sftp::Response::ok().encode(1, &mut done);
        far.write_all(&done).await.unwrap();
        let answer: Result<Answer, _> = call.await;
        assert_eq!(answer.unwrap_err().code(), ErrorCode::IoError);
    });
}
