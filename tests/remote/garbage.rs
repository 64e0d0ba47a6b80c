//! What decoders make of what somebody sends: an error, at the cost of little more memory than it takes to hold. The
//! inputs are always the same, so that a failure can be repeated.

use agent_backend::backend::memory::{MemoryBackend, MemoryOptions};
use agent_backend::backend::remote::Ours;
use agent_backend::backend::search::{Query, SearchLimits, SearchRequest};
use agent_backend::backend::{
    DirEntry, FileKind, FileStat, ListOptions, ReadOptions, ReadOutcome, WriteOptions,
};
use agent_backend::daemon::command_channel;
use agent_backend::daemon::session::Session;
use agent_backend::daemon::sftp::{self, SymlinkOrder};
use agent_backend::error::{Error, ErrorCode};
use agent_backend::path::RelPath;
use agent_backend::pool;
use agent_backend::wire::commands::{Frames, FromClient, FromServer, Start, StdinKind};
use agent_backend::wire::operations::{
    Answer, Encoded, Operation, Request, decode_hello, decode_reply, decode_request, encode_reply,
    encode_request,
};
use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;

use crate::memory::peak;
use crate::world::World;

/// Of each kind.
const INPUTS: usize = 20_000;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }

    /// A message with a few bytes changed, cut, doubled or put in; or no message at all.
    fn garble(&mut self, messages: &[Vec<u8>]) -> Vec<u8> {
        if self.below(8) == 0 {
            let length = self.below(600);
            return (0..length).map(|_| self.byte()).collect();
        }
        let mut bytes = messages[self.below(messages.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len().max(1));
            let byte = self.byte();
            match self.below(6) {
                _ if bytes.is_empty() => bytes.push(byte),
                0 => bytes.truncate(at),
                1 => bytes.insert(at, byte),
                2 => bytes.extend_from_within(at..),
                // What begins a large number.
                3 => {
                    bytes.splice(at..at, [0xff, 0xff, 0xff, 0x7f]);
                }
                _ => bytes[at] = byte,
            }
        }
        bytes
    }

    fn byte(&mut self) -> u8 {
        const TELLING: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xff, b'/', b'.'];
        match self.below(2) {
            0 => TELLING[self.below(TELLING.len())],
            _ => self.below(256).to_le_bytes()[0],
        }
    }
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes(), b"/").unwrap()
}

fn whole(encoded: Encoded) -> Vec<u8> {
    let mut whole = encoded.head;
    for piece in encoded.tail {
        whole.extend_from_slice(&piece);
    }
    whole
}

fn operations() -> Vec<Operation> {
    vec![
        Operation::Read {
            path: path("a/b"),
            options: ReadOptions::default(),
        },
        Operation::Write {
            path: path("a/b"),
            content: Bytes::from_static(b"some content"),
            options: WriteOptions::default(),
        },
        Operation::List {
            path: path("a"),
            options: ListOptions { with_stat: true },
        },
        Operation::Symlink {
            path: path("a"),
            target: b"../b".to_vec(),
        },
        Operation::Space,
        Operation::Search(Box::new(SearchRequest {
            base: path("a"),
            query: Query::Glob {
                pattern: "**/*.rs".to_owned(),
                directories: true,
            },
            exclude: vec!["x".to_owned(), "y".to_owned()],
            respect_gitignore: true,
            hidden: true,
            names_only: false,
            limits: SearchLimits::default(),
            cancel: CancellationToken::new(),
        })),
    ]
}

fn requests() -> Vec<Vec<u8>> {
    let mut all = operations();
    all.push(Operation::Batch(operations()));
    all.into_iter()
        .map(|operation| {
            let scope = path("tenants/1");
            whole(encode_request(&Request { scope, operation }).unwrap())
        })
        .collect()
}

fn stat() -> FileStat {
    FileStat {
        kind: FileKind::File,
        mode: 0o100_644,
        size: 12,
        dev: 1,
        ino: 2,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        blocks: 8,
        atime_ns: -1,
        mtime_ns: 1_700_000_000_000_000_000,
        ctime_ns: 0,
        birthtime_ns: 0,
    }
}

fn answers() -> Vec<Vec<u8>> {
    let entry = |name: &str| DirEntry {
        name: name.as_bytes().to_vec(),
        kind: FileKind::File,
        stat: Some(stat()),
    };
    let read = Answer::Read {
        outcome: ReadOutcome {
            bytes: Bytes::from_static(b"some content"),
            stat: stat(),
        },
        rest: None,
    };
    let refused = || {
        Err(Error::new(ErrorCode::NotFound, "none")
            .at("a/b")
            .during("read"))
    };
    let all = [
        Ok(read.clone()),
        Ok(Answer::List(vec![entry("a"), entry("b"), entry("c")])),
        Ok(Answer::Done),
        refused(),
        Ok(Answer::Batch(vec![Ok(read), refused(), Ok(Answer::Done)])),
    ];
    all.iter()
        .map(|answer| whole(encode_reply(answer).unwrap()))
        .collect()
}

/// Tries all inputs; gives how many were messages after all.
fn fuzz(seed: u64, fixed: usize, messages: &[Vec<u8>], decode: impl Fn(&Bytes) -> bool) -> usize {
    let mut random = Random(seed);
    let mut accepted = 0;
    for number in 0..INPUTS {
        let data = Bytes::from(random.garble(messages));
        let mut is_message = false;
        let bytes = peak(|| is_message = decode(&data));
        accepted += usize::from(is_message);
        // An entry of a listing takes four bytes at least to send, and 240 to hold.
        let most = data.len() * 256 + fixed;
        assert!(
            bytes <= most,
            "input {number}: {bytes} bytes for {}",
            data.len()
        );
    }
    accepted
}

#[test]
fn garbage_is_no_request_and_takes_no_memory() {
    let accepted = fuzz(1, 16 << 10, &requests(), |data| {
        match decode_request(data) {
            Ok(request) => {
                // Whatever is accepted can be said again, and is below the root.
                let again = whole(encode_request(&request).unwrap());
                assert!(decode_request(&again.into()).is_ok());
                assert!(!request.scope.as_bytes().starts_with(b"/"));
                true
            }
            Err(_) => false,
        }
    });
    println!("{accepted} of {INPUTS} garbled requests are requests");
    assert!(accepted > 100, "{accepted}: nothing but refusals was tried");
}

#[test]
fn garbage_is_no_answer_and_takes_no_memory() {
    let accepted = fuzz(2, 16 << 10, &answers(), |data| {
        let _ = decode_hello(data);
        decode_reply(data).is_ok()
    });
    println!("{accepted} of {INPUTS} garbled answers are answers");
    assert!(accepted > 100, "{accepted}: nothing but refusals was tried");
}

fn frames_of_client() -> Vec<Vec<u8>> {
    let start = FromClient::Start(Box::new(Start {
        scope: path("tenants/1"),
        command: "true".to_owned(),
        cwd: path("a"),
        env: vec![(b"A".to_vec().into(), Some(b"1".to_vec().into()))],
        stdin: StdinKind::Pipe,
        terminal: None,
        login_shell: false,
        limits: Default::default(),
    }));
    let all = [
        start,
        FromClient::Stdin(Bytes::from_static(b"typed")),
        FromClient::StdinEnd,
        FromClient::Signal(9),
        FromClient::Credit(100),
        FromClient::EndScope(path("a")),
    ];
    all.into_iter()
        .map(|message| {
            let mut frame = BytesMut::new();
            let payload = message.encode(7, &mut frame).unwrap();
            frame.extend_from_slice(&payload);
            frame.to_vec()
        })
        .collect()
}

/// Reads all frames of an input as messages, up to the first that is none; gives whether all were.
fn read_frames(
    data: &[u8],
    is_message: impl Fn(agent_backend::wire::commands::Frame) -> bool,
) -> bool {
    let mut frames = Frames::default();
    frames.buffer().extend_from_slice(data);
    loop {
        match frames.next_frame() {
            Ok(Some(frame)) if is_message(frame.clone()) => {}
            Ok(None) => return true,
            _ => return false,
        }
    }
}

#[test]
fn garbage_is_no_frame_of_commands_and_takes_no_memory() {
    // Besides, what the buffer takes before anything arrives.
    let buffer = 128 << 10;
    let accepted = fuzz(3, buffer, &frames_of_client(), |data| {
        read_frames(data, |frame| {
            let _ = FromServer::decode(frame.clone());
            FromClient::decode(frame).is_ok()
        })
    });
    println!("{accepted} of {INPUTS} garbled frames are frames");
    assert!(accepted > 100, "{accepted}: nothing but refusals was tried");
}

/// A session of a workspace without commands.
fn in_memory() -> Session {
    let workspace = Workspace::new(
        MemoryBackend::new(MemoryOptions::default()).unwrap(),
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    );
    assert!(!workspace.capabilities().exec);
    Session {
        workspace,
        served_root: b"/".to_vec(),
        closed: CancellationToken::new(),
    }
}

#[test]
fn a_door_that_is_sent_garbage_ends_that_connection_and_nothing_else() {
    let world = World::new();
    world.put("a", "kept");
    let frames = frames_of_client();
    let mut random = Random(4);
    pool::runtime().block_on(async {
        for _ in 0..300 {
            for door in 0..2 {
                let (mut near, far) = tokio::io::duplex(64 << 10);
                let served = match door {
                    // Where no command can be started, whatever the garbled text is.
                    0 => tokio::spawn(command_channel::serve(in_memory(), far)),
                    _ => tokio::spawn(sftp::serve(world.session(), SymlinkOrder::default(), far)),
                };
                let mut sent = random.garble(&frames);
                sent.extend(random.garble(&frames));
                let _ = near.write_all(&sent).await;
                let _ = near.shutdown().await;
                let mut answer = Vec::new();
                let _ = near.read_to_end(&mut answer).await;
                // It ended by itself, and did not panic.
                let _ = served.await.unwrap();
            }
        }
    });
    assert_eq!(world.get("a"), "kept");
}

#[test]
fn a_client_that_is_sent_garbage_fails_and_does_not_wait() {
    let mut random = Random(5);
    let answers = answers();
    pool::runtime().block_on(async {
        for _ in 0..500 {
            let (near, mut far) = tokio::io::duplex(64 << 10);
            let (near_commands, _far_commands) = tokio::io::duplex(1024);
            let _ = far.write_all(&random.garble(&answers)).await;
            let _ = far.shutdown().await;
            let opened = Ours::open(near, near_commands, CancellationToken::new());
            assert!(opened.await.is_err());
        }
    });
}
