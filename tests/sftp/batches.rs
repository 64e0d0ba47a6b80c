//! Many operations in one request: what their answers come to has a bound, and nothing of them stays open untold.

use agent_backend::backend::search::{Query, SearchLimits, SearchRequest};
use agent_backend::backend::{ListOptions, OpenOptions, ReadOptions};
use agent_backend::error::{ErrorCode, Result};
use agent_backend::wire::operations::{Answer, INLINE_BYTES, Operation, Reply, decode_reply};
use agent_backend::wire::sftp::{Request, Response, StatusCode};
use tokio_util::sync::CancellationToken;

use super::client::{Client, data, status};
use super::operations::{ask, path, request};
use super::world::{World, run};

#[test]
fn a_batch_tells_no_more_than_its_bound_whatever_it_asks() {
    run(async {
        let world = World::new(1);
        // Names as long as they may be, so that few files do.
        for number in 0..2_000 {
            let name = format!("d/{number}-{}", "x".repeat(240));
            std::fs::create_dir_all(world.root.join("d")).unwrap();
            std::fs::write(world.root.join(name), "").unwrap();
        }
        let mut client = Client::connect(world.session.clone()).await;
        let list = Operation::List {
            path: path("d"),
            options: ListOptions { with_stat: true },
        };
        let search = Operation::Search(Box::new(SearchRequest {
            base: path("d"),
            query: Query::Tree { max_depth: None },
            exclude: Vec::new(),
            respect_gitignore: false,
            hidden: true,
            names_only: true,
            limits: SearchLimits::default(),
            cancel: CancellationToken::new(),
        }));
        for operation in [list, search] {
            let mut operations = vec![operation; 300];
            operations.push(Operation::Touch { path: path("last") });
            let answers = batch(&mut client, operations).await;
            let told = answers.iter().take_while(|answer| answer.is_ok()).count();
            assert!((10..200).contains(&told), "{told} listings");
            assert!(answers[told..300].iter().all(|answer| {
                answer
                    .as_ref()
                    .is_err_and(|error| error.code() == ErrorCode::TooLarge)
            }));
            // What tells nothing is done all the same.
            assert!(answers[300].is_ok());
        }
    });
}

#[test]
fn what_a_batch_opened_and_did_not_tell_is_closed() {
    run(async {
        let world = World::new(1);
        std::fs::write(world.root.join("large"), vec![1; INLINE_BYTES + 1]).unwrap();
        let mut client = Client::connect(world.session.clone()).await;
        let read = Operation::Read {
            path: path("large"),
            options: ReadOptions::default(),
        };
        // Far more of them than may be open, 64 of which are told.
        for _ in 0..2 {
            let answers = batch(&mut client, vec![read.clone(); 150]).await;
            let mut told = 0;
            for answer in answers.into_iter().flatten() {
                let Answer::Read {
                    rest: Some(rest), ..
                } = answer
                else {
                    panic!("{answer:?}");
                };
                told += 1;
                let closed = client.ask(Request::Close { handle: rest.0 }).await;
                assert_eq!(status(&closed), Some(StatusCode::Ok));
            }
            assert!(told >= 60, "{told}");
        }
        let open = Operation::Open {
            path: path("large"),
            options: OpenOptions {
                read: true,
                ..OpenOptions::default()
            },
        };
        for _ in 0..256 {
            assert!(ask(&mut client, open.clone()).await.is_ok());
        }
    });
}

/// The answers of a batch, also where they are too long for a message.
async fn batch(client: &mut Client, operations: Vec<Operation>) -> Vec<Result<Answer>> {
    let response = client.ask(request(Operation::Batch(operations))).await;
    let Response::ExtendedReply(reply) = response else {
        panic!("{response:?}");
    };
    let answered = match decode_reply(&reply).unwrap() {
        Reply::Answer(answer) => answer,
        Reply::Spilled { handle, length } => {
            let mut whole = Vec::new();
            while (whole.len() as u64) < length {
                let read = Request::Read {
                    handle: handle.clone(),
                    offset: whole.len() as u64,
                    length: 256 << 10,
                };
                whole.extend_from_slice(&data(client.ask(read).await));
            }
            let closed = client.ask(Request::Close { handle }).await;
            assert_eq!(status(&closed), Some(StatusCode::Ok));
            match decode_reply(&whole.into()).unwrap() {
                Reply::Answer(answer) => answer,
                Reply::Spilled { .. } => panic!("it is read"),
            }
        }
    };
    match answered {
        Ok(Answer::Batch(answers)) => answers,
        other => panic!("{other:?}"),
    }
}
