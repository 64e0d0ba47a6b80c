//! Clients that want more than there is: what they send without reading, and what they ask for without a right to it,
//! takes no more than its bound.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agent_backend::backend::process::CommandSpec;
use agent_backend::backend::remote::Ours;
use agent_backend::backend::{OpenFile, OpenOptions, ReadOptions, StagedWrite, WriteOptions};
use agent_backend::daemon::operations::{Handles, Operations};
use agent_backend::daemon::session::Session;
use agent_backend::daemon::{command_channel, sftp};
use agent_backend::error::{Error, ErrorCode, Limit, Result};
use agent_backend::path::RelPath;
use agent_backend::pool;
use agent_backend::wire::commands::{Frames, FromClient, FromServer, Start, StdinKind};
use agent_backend::wire::operations::{
    INLINE_BYTES, Operation, Reply, Request, decode_reply, encode_request,
};
use agent_backend::workspace::{Rights, RunOptions, ScopeOptions, Workspace, WorkspaceOptions};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::in_process::InProcess;
use crate::world::{World, until, wait};

fn start(command: &str, stdin: StdinKind) -> FromClient {
    FromClient::Start(Box::new(Start {
        scope: RelPath::root(),
        command: command.to_owned(),
        cwd: RelPath::root(),
        env: Vec::new(),
        stdin,
        terminal: None,
        login_shell: false,
        limits: Default::default(),
    }))
}

fn frame(id: u32, message: FromClient) -> BytesMut {
    let mut frame = BytesMut::new();
    let payload = message.encode(id, &mut frame).unwrap();
    frame.extend_from_slice(&payload);
    frame
}

fn without_commands(world: &World) -> Session {
    let rights = Rights {
        exec: false,
        ..Rights::ALL
    };
    let options = ScopeOptions {
        rights,
        ..ScopeOptions::default()
    };
    Session {
        workspace: world.served.scope(".", options).unwrap(),
        ..world.session()
    }
}

#[test]
fn a_client_that_reads_no_answers_is_not_read_for_ever_either() {
    const MOST: u32 = 400_000;
    let world = World::new();
    pool::runtime().block_on(async {
        let (mut near, far) = tokio::io::duplex(64 << 10);
        let serving = tokio::spawn(command_channel::serve(without_commands(&world), far));
        let mut asked = 0;
        while asked < MOST {
            let mut sent = BytesMut::new();
            for id in asked..asked + 1_000 {
                // Each is refused in far more bytes than it has.
                sent.extend_from_slice(&frame(id, start("true", StdinKind::Null)));
            }
            match timeout(Duration::from_secs(5), near.write_all(&sent)).await {
                Ok(written) => written.unwrap(),
                Err(_) => break,
            }
            asked += 1_000;
        }
        assert!(!serving.is_finished());
        serving.abort();
        assert!((1_000..MOST).contains(&asked), "{asked}");
    });
}

#[test]
fn whoever_may_not_run_commands_feeds_none() {
    let world = World::new();
    pool::runtime().block_on(async {
        let (mut near, far) = tokio::io::duplex(64 << 10);
        let serving = tokio::spawn(command_channel::serve(without_commands(&world), far));
        near.write_all(&frame(1, start("cat", StdinKind::Bytes)))
            .await
            .unwrap();
        let answer = timeout(Duration::from_secs(5), next(&mut near)).await;
        let FromServer::Failed(error) = answer.expect("it is refused before its input comes")
        else {
            panic!("it is refused");
        };
        assert_eq!(error.code(), ErrorCode::PolicyDenied);
        serving.abort();
    });
}

async fn next(stream: &mut DuplexStream) -> FromServer {
    let mut frames = Frames::default();
    loop {
        if let Some(frame) = frames.next_frame().unwrap() {
            return FromServer::decode(frame).unwrap().1;
        }
        assert!(stream.read_buf(frames.buffer()).await.unwrap() > 0);
    }
}

#[test]
fn input_of_commands_that_have_not_started_is_bounded_together() {
    const EACH: usize = 48 << 20;
    let world = World::new();
    pool::runtime().block_on(async {
        let (mut client, far) = tokio::io::duplex(1 << 20);
        let serving = tokio::spawn(command_channel::serve(world.session(), far));
        let refused = fill(&mut client, 6, EACH).await;
        assert_eq!(refused.code(), ErrorCode::LimitExceeded, "{refused}");
        serving.abort();
    });
}

/// Feeds so many commands, so much each, and never ends the input of any; gives the first refusal.
async fn fill(stream: &mut DuplexStream, commands: u32, each: usize) -> Error {
    const PIECE: usize = 32 << 10;
    let mut frames = Frames::default();
    let piece = Bytes::from(vec![0; PIECE]);
    for id in 0..commands {
        stream
            .write_all(&frame(id, start("cat", StdinKind::Bytes)))
            .await
            .unwrap();
        let (mut credit, mut sent) = (256 << 10, 0);
        while sent < each {
            if credit >= PIECE + 64 {
                stream
                    .write_all(&frame(id, FromClient::Stdin(piece.clone())))
                    .await
                    .unwrap();
                credit -= PIECE + 64;
                sent += PIECE;
                continue;
            }
            while let Some(frame) = frames.next_frame().unwrap() {
                match FromServer::decode(frame).unwrap() {
                    (_, FromServer::Failed(error)) => return error,
                    (of, FromServer::Credit(more)) if of == id => credit += more as usize,
                    _ => {}
                }
            }
            if credit < PIECE + 64 {
                let read = stream.read_buf(frames.buffer());
                assert!(
                    timeout(Duration::from_secs(10), read)
                        .await
                        .unwrap()
                        .unwrap()
                        > 0
                );
            }
        }
    }
    panic!("all of it was taken");
}

#[test]
fn a_command_that_is_given_up_while_it_starts_leaves_its_place() {
    let world = World::with(WorkspaceOptions {
        max_commands: Some(2),
        ..WorkspaceOptions::default()
    });
    let (near, far) = tokio::io::duplex(1 << 20);
    let (near_commands, far_commands) = tokio::io::duplex(1 << 20);
    let runtime = pool::runtime();
    let link = runtime.block_on(async {
        tokio::spawn(sftp::serve(
            world.session(),
            sftp::SymlinkOrder::default(),
            far,
        ));
        tokio::spawn(command_channel::serve(world.session(), far_commands));
        Ours::open(near, near_commands, CancellationToken::new())
            .await
            .unwrap()
    });
    for _ in 0..2 {
        let spec = CommandSpec {
            // More than anybody may print whose output nobody takes.
            command: "head -c 3000000 /dev/zero; exec sleep 100".to_owned(),
            ..CommandSpec::default()
        };
        let starting = link.spawn(&RelPath::root(), spec);
        // It has started there, and is not known here.
        std::thread::sleep(Duration::from_millis(500));
        drop(starting);
    }
    until("their places are free", || {
        wait(world.served.run("true", RunOptions::default())).is_ok()
    });
}

#[test]
fn only_so_many_files_of_a_principal_are_open_at_a_time_by_whatever_door() {
    let world = World::with(WorkspaceOptions {
        max_open_files: Some(3),
        max_open_files_per_principal: Some(2),
        ..WorkspaceOptions::default()
    });
    world.put("a", "1");
    let of = |principal: &str| {
        let options = ScopeOptions {
            principal: Some(principal.into()),
            ..ScopeOptions::default()
        };
        let served = world.served.scope(".", options).unwrap();
        let connector = InProcess::new(&served);
        Workspace::new(
            connector.backend(),
            WorkspaceOptions::default(),
            ScopeOptions::default(),
        )
    };
    let for_reading = OpenOptions {
        read: true,
        ..OpenOptions::default()
    };
    let (one, two) = (of("one"), of("two"));
    let first = wait(one.open("a", for_reading)).unwrap();
    let staged = wait(one.stage("b", WriteOptions::default())).unwrap();
    for refused in [
        wait(one.open("a", for_reading)).map(|_| ()),
        wait(one.stage("c", WriteOptions::default())).map(|_| ()),
    ] {
        assert_eq!(refused.unwrap_err().code(), ErrorCode::LimitExceeded);
    }
    // Others have their own, until there are no more.
    let _third = wait(two.open("a", for_reading)).unwrap();
    let full = wait(two.open("a", for_reading)).unwrap_err();
    assert!(full.message().contains("3 files"), "{full}");
    wait(staged.commit()).unwrap();
    drop((first, staged));
    until("there is room again", || {
        wait(two.open("a", for_reading)).is_ok()
    });
}

#[test]
fn answers_that_nobody_takes_are_bounded_over_all_connections_of_a_principal() {
    let world = World::with(WorkspaceOptions {
        max_waiting_bytes_per_principal: Some(16 << 20),
        ..WorkspaceOptions::default()
    });
    std::fs::write(world.root().join("a"), vec![1; INLINE_BYTES]).unwrap();
    let read = Operation::Read {
        path: RelPath::parse(b"a", b"/").unwrap(),
        options: ReadOptions::default(),
    };
    // Longer than a message.
    let request = Request {
        scope: RelPath::root(),
        operation: Operation::Batch(vec![read; 5]),
    };
    let data = {
        let encoded = encode_request(&request).unwrap();
        Bytes::from(encoded.head)
    };
    pool::runtime().block_on(async {
        let table: Arc<dyn Handles> = Arc::new(Kept::default());
        let (mut told, mut refused) = (0, 0);
        for _ in 0..6 {
            // Another connection each time, and none takes what it is told.
            let operations = Operations::new(world.session(), Arc::clone(&table));
            let encoded = operations
                .answer(data.clone(), CancellationToken::new())
                .await;
            let mut whole = encoded.head;
            encoded
                .tail
                .iter()
                .for_each(|piece| whole.extend_from_slice(piece));
            match decode_reply(&whole.into()).unwrap() {
                Reply::Spilled { .. } => told += 1,
                Reply::Answer(Err(error)) => {
                    assert_eq!(error.limit(), Some(Limit::Memory), "{error}");
                    refused += 1;
                }
                Reply::Answer(answer) => panic!("{answer:?}"),
            }
        }
        assert_eq!((told, refused), (3, 3));
    });
}

/// Keeps whatever is opened.
#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Arc<dyn OpenFile>>>);

impl Handles for Kept {
    fn keep_file(&self, file: Arc<dyn OpenFile>) -> Result<Bytes> {
        self.0.lock().unwrap().push(file);
        Ok(Bytes::from_static(b"handle"))
    }

    fn keep_stage(&self, _stage: Arc<dyn StagedWrite>) -> Result<Bytes> {
        Err(Error::new(ErrorCode::NotImplemented, "none is begun"))
    }

    fn take_stage(&self, _handle: &[u8]) -> Result<Arc<dyn StagedWrite>> {
        Err(Error::new(ErrorCode::NotImplemented, "none was begun"))
    }

    fn file(&self, _handle: &[u8]) -> Result<Arc<dyn OpenFile>> {
        Err(Error::new(ErrorCode::NotImplemented, "nobody asks"))
    }

    fn close(&self, _handle: &[u8]) {}
}
