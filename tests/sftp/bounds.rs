//! What one connection can have, and what is left of it when it ends.

use std::time::Duration;

use agent_backend::wire::sftp::{Extended, Request, Response, ServerLimits, StatusCode};
use bytes::BytesMut;
use tokio::io::AsyncWriteExt as _;

use super::client::{Client, READ, WRITE, handle, open, status};
use super::world::{World, in_memory, run};

/// Files that this process has open below a directory.
fn open_below(directory: &std::path::Path) -> usize {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .filter(|target| target.starts_with(directory) && target != directory)
        .count()
}

#[test]
fn a_connection_has_at_most_so_many_handles_and_gets_them_back() {
    run(async {
        let world = World::new(0);
        world.put("f", "x");
        let mut client = Client::connect(world.session.clone()).await;
        let limits = match client.extended(Extended::Limits).await {
            Response::ExtendedReply(data) => ServerLimits::decode(data).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(limits.max_handles, 256);
        assert!(limits.max_packet > limits.max_read && limits.max_read == limits.max_write);
        let mut handles = Vec::new();
        for number in 0..10_000 {
            let request = if number % 2 == 0 {
                open("f", READ)
            } else {
                Request::OpenDir { path: "".into() }
            };
            match client.ask(request).await {
                Response::Handle(handle) => handles.push(handle),
                other => assert_eq!(status(&other), Some(StatusCode::Failure)),
            }
        }
        assert_eq!(handles.len(), 256);
        assert_eq!(open_below(&world.root), 128);
        let first = handles.remove(0);
        assert_eq!(client.close(first.clone()).await, StatusCode::Ok);
        let again = handle(client.ask(open("f", READ)).await);
        assert!(
            again != first && !handles.contains(&again),
            "none is given twice"
        );
        let end = client.ask(open("f", READ)).await;
        assert_eq!(status(&end), Some(StatusCode::Failure));
        assert!(client.end().await.is_ok());
        assert_eq!(open_below(&world.root), 0);
    });
}

#[test]
fn handles_that_are_asked_for_all_at_once_are_counted_too() {
    run(async {
        let world = World::new(0);
        world.put("f", "x");
        let mut client = Client::connect(world.session.clone()).await;
        let mut out = BytesMut::new();
        for _ in 0..1000 {
            client.encode(&open("f", READ), &mut out);
        }
        client.stream.write_all(&out).await.unwrap();
        let mut opened = 0;
        for _ in 0..1000 {
            if let (_, Response::Handle(_)) = client.receive().await {
                opened += 1;
            }
        }
        assert_eq!(opened, 256);
    });
}

#[test]
fn a_session_that_is_closed_ends_at_once_with_all_that_it_had_open() {
    run(async {
        let world = World::new(0);
        let mut client = Client::connect(world.session.clone()).await;
        let file = client.open("f", WRITE).await;
        client.write(&file, 0, b"x").await;
        assert_eq!(open_below(&world.root), 1);
        world.session.closed.cancel();
        assert!(client.packet().await.is_none());
        assert!(client.server.await.unwrap().is_ok());
        assert_eq!(open_below(&world.root), 0);
    });
}

#[test]
fn a_client_that_has_sent_its_last_still_gets_its_answers() {
    run(async {
        let world = World::new(0);
        world.put("f", "content");
        let mut client = Client::connect(world.session.clone()).await;
        let file = client.open("f", READ).await;
        let request = Request::Read {
            handle: file,
            offset: 0,
            length: 100,
        };
        client.send(&request).await;
        client.stream.shutdown().await.unwrap();
        let (_, response) = client.receive().await;
        assert!(matches!(response, Response::Data(_)));
        assert!(client.packet().await.is_none());
        assert!(client.server.await.unwrap().is_ok());
    });
}

#[test]
fn what_does_not_begin_as_sftp_is_ended() {
    for first in [
        &b"\0\0\0\x05\x05\0\0\0\x01"[..],
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\0\0\0\x02\x01\0",
        b"\0\0\0\x05\x02\0\0\0\x03",
    ] {
        run(async {
            let mut client = Client::silent(in_memory());
            client.stream.write_all(first).await.unwrap();
            let end = tokio::time::timeout(Duration::from_secs(5), client.packet()).await;
            assert!(end.expect("it ends").is_none(), "{first:?}");
            let error = client.server.await.unwrap().expect_err("it is no SFTP");
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        });
    }
}
