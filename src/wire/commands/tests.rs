//! Every message there and back, however its bytes arrive.

use bytes::{Bytes, BytesMut};
use serde_bytes::ByteBuf;

use super::*;
use crate::backend::limits::Limits;
use crate::backend::process::{ExitStatus, Terminal, TerminalSize};
use crate::error::{Error, ErrorCode};
use crate::path::RelPath;

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes(), b"/").unwrap()
}

fn start() -> Start {
    Start {
        scope: path("tenants/1"),
        command: "printf 'ä\\n'".to_owned(),
        cwd: path("src"),
        env: vec![
            (
                ByteBuf::from(b"A".to_vec()),
                Some(ByteBuf::from(vec![0xff, 0x0a])),
            ),
            (ByteBuf::from(b"B".to_vec()), None),
        ],
        stdin: StdinKind::Pipe,
        terminal: Some(Terminal {
            name: "xterm".to_owned(),
            size: TerminalSize {
                columns: 80,
                rows: 24,
                ..TerminalSize::default()
            },
            modes: vec![(53, 0), (1, 3)],
        }),
        login_shell: false,
        limits: Limits {
            cpus: Some(0.5),
            processes: Some(7),
            ..Limits::default()
        },
    }
}

fn of_client() -> Vec<FromClient> {
    vec![
        FromClient::Start(Box::new(start())),
        FromClient::Stdin(Bytes::from_static(b"typed")),
        FromClient::StdinEnd,
        FromClient::Signal(-9),
        FromClient::Resize(TerminalSize::default()),
        FromClient::Credit(u32::MAX),
        FromClient::EndScope(RelPath::root()),
    ]
}

fn of_server() -> Vec<FromServer> {
    vec![
        FromServer::Started { pid: 77 },
        FromServer::Stdout(Bytes::from(vec![1; PIECE])),
        FromServer::Stderr(Bytes::new()),
        FromServer::Exit(ExitStatus {
            code: None,
            signal: Some(9),
        }),
        FromServer::Failed(Error::new(ErrorCode::Timeout, "late")),
        FromServer::Credit(1),
        FromServer::ScopeEnded,
    ]
}

/// The frames in bytes that arrive so many at a time.
fn frames(sent: &[u8], step: usize) -> Vec<Frame> {
    let mut frames = Frames::default();
    let mut found = Vec::new();
    for piece in sent.chunks(step) {
        frames.buffer().extend_from_slice(piece);
        while let Some(frame) = frames.next_frame().unwrap() {
            found.push(frame);
        }
    }
    found
}

#[test]
fn every_message_comes_back_as_it_was_however_its_bytes_arrive() {
    let mut sent = BytesMut::new();
    for (id, message) in (0..).zip(of_client()) {
        let payload = message.encode(id, &mut sent).unwrap();
        sent.extend_from_slice(&payload);
    }
    for step in [1, 2, 3, 7, 64, 100_000] {
        let read = frames(&sent, step).into_iter().map(FromClient::decode);
        let read: Vec<_> = read.map(Result::unwrap).collect();
        assert_eq!(read, (0..).zip(of_client()).collect::<Vec<_>>());
    }
    sent.clear();
    for (id, message) in (0..).zip(of_server()) {
        let payload = message.encode(id, &mut sent).unwrap();
        sent.extend_from_slice(&payload);
    }
    for step in [1, 5, 100_000] {
        let read = frames(&sent, step).into_iter().map(FromServer::decode);
        let read: Vec<_> = read.map(Result::unwrap).collect();
        let expected: Vec<_> = (0..).zip(of_server()).collect::<Vec<(u32, _)>>();
        assert_eq!(format!("{read:?}"), format!("{expected:?}"));
    }
}

#[test]
fn an_impossible_length_is_refused_at_once() {
    for (length, refused) in [
        (0, true),
        (4, true),
        (5, false),
        (MAX_FRAME, false),
        (MAX_FRAME + 1, true),
    ] {
        let mut frames = Frames::default();
        let announced = u32::try_from(length).unwrap().to_be_bytes();
        frames.buffer().extend_from_slice(&announced);
        assert_eq!(frames.next_frame().is_err(), refused, "{length}");
        assert!(frames.buffer().capacity() <= 256 << 10);
    }
}

#[test]
fn what_is_too_long_is_refused_by_whoever_sends_and_whoever_receives() {
    let long = Start {
        command: "x".repeat(MAX_FRAME),
        ..start()
    };
    let mut out = BytesMut::new();
    let refused = FromClient::Start(Box::new(long)).encode(1, &mut out);
    assert_eq!(refused.unwrap_err().code(), ErrorCode::TooLarge);
    assert!(out.is_empty());
    let piece = Bytes::from(vec![0; PIECE + 1]);
    for kind in [2, 66, 67] {
        let payload = piece.clone();
        let frame = Frame {
            kind,
            id: 1,
            payload,
        };
        assert!(FromClient::decode(frame.clone()).is_err());
        assert!(FromServer::decode(frame).is_err());
    }
}
