//! Every packet there and back, byte for byte where the draft or OpenSSH fixes the bytes.

use bytes::{Bytes, BytesMut};

use super::*;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn all_attributes() -> FileAttributes {
    FileAttributes {
        size: Some(1 << 40),
        owner: Some((7, 8)),
        permissions: Some(0o100_640),
        times: Some((1, u32::MAX)),
    }
}

pub(super) fn requests() -> Vec<Request> {
    let (path, handle, attributes) = (bytes("a/é"), bytes("\u{1}h"), all_attributes());
    let mut requests = vec![
        Request::Open {
            path: path.clone(),
            flags: OpenFlags {
                read: true,
                create: true,
                exclusive: true,
                ..OpenFlags::default()
            },
            attributes,
        },
        Request::Close {
            handle: handle.clone(),
        },
        Request::Read {
            handle: handle.clone(),
            offset: u64::MAX,
            length: 32_768,
        },
        Request::Write {
            handle: handle.clone(),
            offset: 3,
            data: bytes("content"),
        },
        Request::Lstat { path: path.clone() },
        Request::Fstat {
            handle: handle.clone(),
        },
        Request::SetStat {
            path: path.clone(),
            attributes,
        },
        Request::FsetStat {
            handle: handle.clone(),
            attributes: FileAttributes::default(),
        },
        Request::OpenDir { path: path.clone() },
        Request::ReadDir {
            handle: handle.clone(),
        },
        Request::Remove { path: path.clone() },
        Request::MakeDir {
            path: path.clone(),
            attributes,
        },
        Request::RemoveDir { path: path.clone() },
        Request::RealPath { path: bytes("") },
        Request::Stat { path: path.clone() },
        Request::Rename {
            from: path.clone(),
            to: bytes("b"),
        },
        Request::ReadLink { path: path.clone() },
        Request::Symlink {
            target: bytes("../t"),
            link: path.clone(),
        },
    ];
    requests.extend(extended().into_iter().map(Extended::into_request));
    requests
}

fn extended() -> Vec<Extended> {
    let (path, handle) = (bytes("p"), bytes("h"));
    vec![
        Extended::PosixRename {
            from: path.clone(),
            to: bytes("q"),
        },
        Extended::StatVfs { path: path.clone() },
        Extended::FstatVfs {
            handle: handle.clone(),
        },
        Extended::HardLink {
            from: path.clone(),
            to: bytes("q"),
        },
        Extended::Fsync { handle },
        Extended::LsetStat {
            path: path.clone(),
            attributes: all_attributes(),
        },
        Extended::Limits,
        Extended::ExpandPath { path },
        Extended::HomeDirectory { user: bytes("me") },
        Extended::Operation(bytes("anything")),
        Extended::Cancel { id: 77 },
    ]
}

pub(super) fn responses() -> Vec<Response> {
    let entry = |name: &'static str| Entry {
        name: bytes(name),
        long_name: bytes("-rw-r--r--    1 0        0               0 Jan  1  1970 a"),
        attributes: all_attributes(),
    };
    vec![
        Response::ok(),
        Response::status(StatusCode::NoSuchFile, "nothing there"),
        Response::Handle(bytes("h")),
        Response::Data(bytes("content")),
        Response::Names(vec![entry("a"), entry("b")]),
        Response::Names(Vec::new()),
        Response::Attributes(FileAttributes::default()),
        Response::ExtendedReply(bytes("x")),
    ]
}

/// The packets in what would be sent.
fn split(sent: &[u8]) -> Vec<Bytes> {
    let mut splitter = Splitter::default();
    splitter.buffer().extend_from_slice(sent);
    let mut packets = Vec::new();
    while let Some(packet) = splitter.next_packet().expect("none is too long") {
        packets.push(packet);
    }
    assert_eq!(splitter.pending(), 0);
    packets
}

#[test]
fn every_request_comes_back_as_it_was() {
    for request in requests() {
        let mut sent = BytesMut::new();
        request.encode(42, &mut sent);
        let packets = split(&sent);
        assert_eq!(packets.len(), 1, "{request:?}");
        let read = FromClient::decode(packets[0].clone());
        assert_eq!(read, Ok(FromClient::Request { id: 42, request }));
    }
}

#[test]
fn every_answer_comes_back_as_it_was() {
    for response in responses() {
        let mut sent = BytesMut::new();
        response.encode(42, &mut sent);
        let read = FromServer::decode(split(&sent)[0].clone());
        assert_eq!(read, Ok(FromServer::Response { id: 42, response }));
    }
}

#[test]
fn every_extended_request_comes_back_as_it_was() {
    for expected in extended() {
        let Request::Extended { name, data } = expected.clone().into_request() else {
            panic!("{expected:?} is no extended request");
        };
        assert_eq!(Extended::decode(&name, data), Ok(expected));
    }
    assert_eq!(
        Extended::decode(b"other", Bytes::new()),
        Ok(Extended::Unknown)
    );
}

#[test]
fn the_bytes_are_those_of_the_draft() {
    let mut sent = BytesMut::new();
    FromClient::encode_init(&mut sent);
    assert_eq!(&sent[..], b"\0\0\0\x05\x01\0\0\0\x03");
    sent.clear();
    let request = Request::Read {
        handle: bytes("h"),
        offset: 2,
        length: 3,
    };
    request.encode(9, &mut sent);
    let expected = b"\0\0\0\x16\x05\0\0\0\x09\0\0\0\x01h\0\0\0\0\0\0\0\x02\0\0\0\x03";
    assert_eq!(&sent[..], expected);
    sent.clear();
    Response::status(StatusCode::Eof, "end").encode(9, &mut sent);
    let expected = b"\0\0\0\x16\x65\0\0\0\x09\0\0\0\x01\0\0\0\x03end\0\0\0\x02en";
    assert_eq!(&sent[..], expected);
}

#[test]
fn a_link_has_its_text_first_as_openssh_sends_it() {
    let packet = Bytes::from_static(b"\x14\0\0\0\x01\0\0\0\x04text\0\0\0\x04link");
    let Ok(FromClient::Request { request, .. }) = FromClient::decode(packet) else {
        panic!("it is a request");
    };
    let expected = Request::Symlink {
        target: bytes("text"),
        link: bytes("link"),
    };
    assert_eq!(request, expected);
}

#[test]
fn a_version_tells_its_extensions() {
    let mut sent = BytesMut::new();
    let pairs: [(&[u8], &[u8]); 2] = [(name::POSIX_RENAME, b"1"), (b"x@y", b"")];
    encode_version(pairs, &mut sent);
    let Ok(FromServer::Version {
        version,
        extensions,
    }) = FromServer::decode(split(&sent)[0].clone())
    else {
        panic!("it is a version");
    };
    assert_eq!(version, 3);
    assert_eq!(
        version_extension(&extensions, name::POSIX_RENAME),
        Some(&bytes("1"))
    );
    assert_eq!(version_extension(&extensions, b"x@y"), Some(&Bytes::new()));
    assert_eq!(version_extension(&extensions, b"other"), None);
}

#[test]
fn a_payload_is_neither_copied_when_it_is_read_nor_when_it_is_written() {
    let data = Bytes::from(vec![7; 100_000]);
    let request = Request::Write {
        handle: bytes("h"),
        offset: 0,
        data: data.clone(),
    };
    let mut head = BytesMut::new();
    let payload = request.encode_head(1, &mut head);
    assert_eq!(payload.as_ptr(), data.as_ptr());
    assert!(head.len() < 40);
    let mut sent = BytesMut::new();
    request.encode(1, &mut sent);
    let packet = split(&sent)[0].clone();
    let within = packet.as_ptr_range();
    let Ok(FromClient::Request {
        request: Request::Write { data, .. },
        ..
    }) = FromClient::decode(packet)
    else {
        panic!("it is a write");
    };
    assert!(within.contains(&data.as_ptr()));
}

#[test]
fn packets_are_found_however_the_bytes_arrive() {
    let mut sent = BytesMut::new();
    for (id, request) in (0..).zip(requests()) {
        request.encode(id, &mut sent);
    }
    for step in [1, 2, 3, 5, 7, 64, 1000] {
        let mut splitter = Splitter::default();
        let mut found = Vec::new();
        for piece in sent.chunks(step) {
            splitter.buffer().extend_from_slice(piece);
            while let Some(packet) = splitter.next_packet().expect("none is too long") {
                found.push(packet);
            }
        }
        assert_eq!(found, split(&sent), "{step} bytes at a time");
        assert_eq!(found.len(), requests().len());
    }
}

#[test]
fn a_length_that_is_too_large_is_refused_at_once_and_takes_no_memory() {
    for (length, first, refused) in [
        (0_usize, None, true),
        (MAX_PACKET, Some(kind::WRITE), false),
        (MAX_PACKET + 1, Some(kind::WRITE), true),
        (MAX_EXTENDED_PACKET, Some(kind::EXTENDED), false),
        (MAX_EXTENDED_PACKET + 1, Some(kind::EXTENDED), true),
        (MAX_EXTENDED_PACKET + 1, None, true),
        (u32::MAX as usize, None, true),
    ] {
        let mut splitter = Splitter::default();
        let announced = u32::try_from(length).expect("it fits").to_be_bytes();
        splitter.buffer().extend_from_slice(&announced);
        if let Some(first) = first {
            splitter.buffer().extend_from_slice(&[first]);
        }
        assert_eq!(splitter.next_packet().is_err(), refused, "{length}");
        let room = splitter.buffer().capacity();
        assert!(room <= 256 << 10, "{room} bytes for {length}");
    }
}

#[test]
fn a_wrong_request_is_told_with_its_number_where_it_has_one() {
    let decode = |packet: &'static [u8]| FromClient::decode(Bytes::from_static(packet));
    assert_eq!(decode(b"").expect_err("it is empty").id, None);
    assert_eq!(decode(b"\x05\0\0").expect_err("no number").id, None);
    let short = decode(b"\x05\0\0\0\x09\0\0\0\x05h").expect_err("a short handle");
    assert_eq!(short.id, Some(9));
    let unknown = decode(b"\x63\0\0\0\x09");
    assert_eq!(unknown, Ok(FromClient::Unknown { id: 9, kind: 0x63 }));
}

#[test]
fn more_names_than_the_packet_can_hold_are_refused_before_memory_is_taken() {
    let packet = Bytes::from_static(b"\x68\0\0\0\x09\xff\xff\xff\xff\0\0\0\0");
    let malformed = FromServer::decode(packet).expect_err("there are not so many");
    assert_eq!(malformed.id, Some(9));
}
