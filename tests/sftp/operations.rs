//! Our own operations in extended requests: what the server adds to them, which is handles, order and cancelling. What
//! each does is tried where both sides of them are.

use std::sync::Arc;
use std::time::Duration;

use agent_backend::access::{AccessHook, AccessRequest, Decision};
use agent_backend::backend::{ReadOptions, WriteOptions};
use agent_backend::call::BoxFuture;
use agent_backend::error::{ErrorCode, Result};
use agent_backend::path::RelPath;
use agent_backend::wire::operations::{
    Answer, INLINE_BYTES, NAME, Operation, Reply, Request as OurRequest, VERSION, decode_hello,
    decode_reply, encode_request,
};
use agent_backend::wire::sftp::{Extended, Request, Response, StatusCode, version_extension};
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt as _;

use super::client::{Client, data, status};
use super::world::{DEPTHS, World, run};

pub(super) fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes(), b"/").unwrap()
}

pub(super) fn request(operation: Operation) -> Request {
    let request = OurRequest {
        scope: RelPath::root(),
        operation,
    };
    let encoded = encode_request(&request).unwrap();
    let mut data = encoded.head;
    encoded
        .tail
        .iter()
        .for_each(|part| data.extend_from_slice(part));
    Extended::Operation(data.into()).into_request()
}

fn answer(response: Response) -> Result<Answer> {
    let Response::ExtendedReply(data) = response else {
        panic!("{response:?}");
    };
    match decode_reply(&data).unwrap() {
        Reply::Answer(answer) => answer,
        Reply::Spilled { .. } => panic!("it fits"),
    }
}

pub(super) async fn ask(client: &mut Client, operation: Operation) -> Result<Answer> {
    answer(client.ask(request(operation)).await)
}

async fn stage(client: &mut Client, name: &str) -> Bytes {
    let operation = Operation::Stage {
        path: path(name),
        options: WriteOptions::default(),
    };
    match ask(client, operation).await {
        Ok(Answer::Staged { handle }) => handle,
        other => panic!("{other:?}"),
    }
}

fn piece(handle: &Bytes, offset: usize, data: &[u8]) -> Request {
    Request::Write {
        handle: handle.clone(),
        offset: offset as u64,
        data: Bytes::copy_from_slice(data),
    }
}

#[test]
fn the_greeting_says_where_the_session_is() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            let client = Client::connect(world.session.clone()).await;
            let data = version_extension(&client.extensions, NAME.as_bytes()).unwrap();
            let hello = decode_hello(data).unwrap();
            assert_eq!(hello.version, VERSION);
            assert_eq!(hello.session_root, world.root.to_str().unwrap().as_bytes());
            assert_eq!(hello.served_root, world.session.served_root);
        });
    }
}

#[test]
fn an_operation_is_one_request_and_one_answer_and_errors_travel_inside() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            let mut client = Client::connect(world.session.clone()).await;
            let write = Operation::Write {
                path: path("a/b"),
                content: Bytes::from_static(b"content"),
                options: WriteOptions::default(),
            };
            assert!(matches!(
                ask(&mut client, write).await,
                Ok(Answer::Written(_))
            ));
            assert_eq!(world.get("a/b"), b"content");
            let missing = Operation::Stat {
                path: path("none"),
                follow: true,
            };
            let error = ask(&mut client, missing).await.expect_err("it is missing");
            assert_eq!(error.code(), ErrorCode::NotFound);
            let garbage = Extended::Operation(Bytes::from_static(b"\xff\xff\xff"));
            assert!(answer(client.extended(garbage).await).is_err());
        });
    }
}

#[test]
fn the_rest_of_a_large_file_is_read_from_a_handle() {
    run(async {
        let world = World::new(1);
        let content: Vec<u8> = (0..3 * INLINE_BYTES).map(|at| (at / 1000) as u8).collect();
        world.put("large", &content);
        let mut client = Client::connect(world.session.clone()).await;
        let read = Operation::Read {
            path: path("large"),
            options: ReadOptions::default(),
        };
        let Ok(Answer::Read {
            outcome,
            rest: Some(rest),
        }) = ask(&mut client, read).await
        else {
            panic!("there is more");
        };
        assert_eq!(outcome.bytes, &content[..INLINE_BYTES]);
        let mut all = outcome.bytes.to_vec();
        while all.len() < content.len() {
            let more = client.read(&rest.0, all.len() as u64, 1 << 20).await;
            all.extend_from_slice(&data(more));
        }
        assert!(all == content);
        assert_eq!(client.close(rest.0).await, StatusCode::Ok);
    });
}

#[test]
fn a_file_in_pieces_is_there_as_a_whole_when_it_is_committed_and_not_before() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            world.put("f", "old");
            let mut client = Client::connect(world.session.clone()).await;
            let handle = stage(&mut client, "f").await;
            let content: Vec<u8> = (0..100 * 30_000).map(|at| (at / 7) as u8).collect();
            // Everything is sent without waiting for anything, the commit too.
            let mut out = BytesMut::new();
            for (number, part) in content.chunks(30_000).enumerate() {
                client.encode(&piece(&handle, number * 30_000, part), &mut out);
            }
            let commit = Operation::Commit { handle };
            let commit = client.encode(&request(commit), &mut out);
            assert_eq!(world.get("f"), b"old");
            let (mut reader, mut writer) = tokio::io::split(&mut client.stream);
            let mut splitter = agent_backend::wire::sftp::Splitter::default();
            let receive = async {
                let mut missing = 101;
                while missing > 0 {
                    use agent_backend::wire::sftp::FromServer;
                    while let Some(packet) = splitter.next_packet().unwrap() {
                        let Ok(FromServer::Response { id, response }) = FromServer::decode(packet)
                        else {
                            panic!("it is an answer");
                        };
                        if id == commit {
                            assert!(matches!(answer(response), Ok(Answer::Written(_))));
                        } else {
                            assert_eq!(status(&response), Some(StatusCode::Ok));
                        }
                        missing -= 1;
                    }
                    if missing > 0 {
                        tokio::io::AsyncReadExt::read_buf(&mut reader, splitter.buffer())
                            .await
                            .unwrap();
                    }
                }
            };
            let (sent, ()) = tokio::join!(writer.write_all(&out), receive);
            sent.unwrap();
            assert!(world.get("f") == content);
        });
    }
}

#[test]
fn a_piece_that_is_missing_spoils_the_file() {
    run(async {
        let world = World::new(0);
        world.put("f", "old");
        let mut client = Client::connect(world.session.clone()).await;
        let handle = stage(&mut client, "f").await;
        assert_eq!(
            client.status(piece(&handle, 0, b"first")).await,
            StatusCode::Ok
        );
        assert_eq!(
            client.status(piece(&handle, 9, b"third")).await,
            StatusCode::Failure
        );
        assert_eq!(
            client.status(piece(&handle, 5, b"late")).await,
            StatusCode::Failure
        );
        let commit = Operation::Commit {
            handle: handle.clone(),
        };
        let error = ask(&mut client, commit.clone())
            .await
            .expect_err("it is spoiled");
        assert_eq!(error.code(), ErrorCode::IoError);
        assert!(
            ask(&mut client, commit).await.is_err(),
            "its handle is gone"
        );
        assert_eq!(world.get("f"), b"old");
    });
}

#[test]
fn what_is_not_committed_leaves_nothing_behind() {
    run(async {
        for ending in 0..3 {
            let world = World::new(1);
            world.put("f", "old");
            let mut client = Client::connect(world.session.clone()).await;
            let handle = stage(&mut client, "f").await;
            let data = vec![1; 200_000];
            assert_eq!(
                client.status(piece(&handle, 0, &data)).await,
                StatusCode::Ok
            );
            match ending {
                0 => {
                    assert_eq!(client.close(handle).await, StatusCode::Ok);
                }
                1 => client.end().await.unwrap(),
                _ => {
                    world.session.closed.cancel();
                    client.server.await.unwrap().unwrap();
                }
            }
            // Discarding may go on elsewhere for a moment.
            let deadline = std::time::Instant::now() + Duration::from_secs(5);
            while world.names() != ["f"] {
                assert!(std::time::Instant::now() < deadline, "{:?}", world.names());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert_eq!(world.get("f"), b"old");
        }
    });
}

/// Somebody who never answers.
#[derive(Debug)]
struct Nobody;

impl AccessHook for Nobody {
    fn ask(&self, request: AccessRequest) -> BoxFuture<Decision> {
        Box::pin(async move {
            if request.path.as_bytes() == b"quick" {
                return Decision::Allow;
            }
            std::future::pending().await
        })
    }
}

#[test]
fn a_slow_request_holds_up_no_other_and_ends_with_the_connection() {
    run(async {
        let world = World::asking(Arc::new(Nobody));
        world.put("quick", "x");
        world.put("slow", "x");
        let stat = |name| Operation::Stat {
            path: path(name),
            follow: true,
        };
        let mut client = Client::connect(world.session.clone()).await;
        let slow = client.send(&request(stat("slow"))).await;
        let plain = Request::Stat {
            path: Bytes::from_static(b"slow"),
        };
        client.send(&plain).await;
        let quick = client.send(&request(stat("quick"))).await;
        let (id, response) = client.receive().await;
        assert_eq!(id, quick);
        assert!(answer(response).is_ok());
        // Cancelling is answered, whether or not it could end anything.
        let cancel = client.extended(Extended::Cancel { id: slow }).await;
        assert_eq!(status(&cancel), Some(StatusCode::Ok));
        let ended = tokio::time::timeout(Duration::from_secs(8), async {
            drop(client.stream);
            client.server.await
        });
        ended.await.expect("it ends").unwrap().unwrap();
    });
}

#[test]
fn a_batch_is_cancelled_by_its_number() {
    run(async {
        let world = World::new(0);
        let mut client = Client::connect(world.session.clone()).await;
        let touch = |number| Operation::Touch {
            path: path(&format!("f{number}")),
        };
        let batch = request(Operation::Batch((0..1000).map(touch).collect()));
        let mut out = BytesMut::new();
        let batch = client.encode(&batch, &mut out);
        let cancel = Extended::Cancel { id: batch }.into_request();
        client.encode(&cancel, &mut out);
        client.stream.write_all(&out).await.unwrap();
        for _ in 0..2 {
            let (id, response) = client.receive().await;
            if id == batch {
                let Ok(Answer::Batch(answers)) = answer(response) else {
                    panic!("it is the answer of a batch");
                };
                assert_eq!(answers.len(), 1000);
                let cancelled = answers.iter().filter(
                    |answer| matches!(answer, Err(error) if error.code() == ErrorCode::Aborted),
                );
                assert!(cancelled.count() > 0, "it was done before it was cancelled");
            } else {
                assert_eq!(status(&response), Some(StatusCode::Ok));
            }
        }
    });
}
