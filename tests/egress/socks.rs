//! SOCKS: what is spoken, what is refused, and with which code.

use std::io::{Read, Write};

use agent_backend::egress::{Reason, Verdict};

use crate::support::{World, echo, read_all};

fn request(command: u8, kind: u8, rest: &[u8]) -> Vec<u8> {
    [&[5, 1, 0, 5, command, 0, kind], rest].concat()
}

const NAME: &[u8] = b"\x09a.example\x01\xbb";

#[test]
fn a_tunnel_carries_what_was_sent_with_the_request() {
    let world = World::new(&["a.example"]).leads_to(echo());
    let mut stream = world.connect();
    let mut bytes = request(1, 3, NAME);
    bytes.extend_from_slice(b"early ");
    stream.write_all(&bytes).unwrap();
    stream.write_all(b"and late").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer[..12], [5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(&answer[12..], b"early and late");
}

#[test]
fn a_handshake_may_come_byte_by_byte() {
    let world = World::new(&["a.example"]).leads_to(echo());
    let mut stream = world.connect();
    for byte in request(1, 3, NAME) {
        stream.write_all(&[byte]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    let mut reply = [0; 12];
    stream.read_exact(&mut reply).unwrap();
    assert_eq!(reply[..4], [5, 0, 5, 0]);
}

#[test]
fn what_is_not_a_plain_connect_is_refused_with_its_own_code() {
    let world = World::new(&["a.example"]).leads_to(echo());
    for (what, bytes, reply) in [
        ("BIND", request(2, 3, NAME), &[5, 0, 5, 7][..]),
        ("UDP ASSOCIATE", request(3, 1, &[0; 6]), &[5, 0, 5, 7]),
        ("another command", request(9, 3, NAME), &[5, 0, 5, 7]),
        (
            "another kind of address",
            request(1, 2, NAME),
            &[5, 0, 5, 8],
        ),
        (
            "a reserved byte",
            [&[5, 1, 0, 5, 1, 1, 3], NAME].concat(),
            &[5, 0, 5, 1],
        ),
        (
            "another version inside",
            [&[5, 1, 0, 4, 1, 0, 3], NAME].concat(),
            &[5, 0, 5, 1],
        ),
        ("an empty name", request(1, 3, &[0, 1, 187]), &[5, 0, 5, 2]),
        ("port 0", request(1, 3, b"\x09a.example\0\0"), &[5, 0, 5, 2]),
        (
            "a name that is not listed",
            request(1, 3, b"\x09b.example\x01\xbb"),
            &[5, 0, 5, 2],
        ),
        (
            "the loopback",
            request(1, 1, &[127, 0, 0, 1, 0, 80]),
            &[5, 0, 5, 2],
        ),
        (
            "the loopback in IPv6",
            request(
                1,
                4,
                &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80],
            ),
            &[5, 0, 5, 2],
        ),
        (
            "a mapped address",
            request(
                1,
                4,
                &[
                    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 93, 184, 215, 14, 0, 80,
                ],
            ),
            &[5, 0, 5, 2],
        ),
        ("a password", vec![5, 1, 2], &[5, 0xff]),
        ("no method", vec![5, 0], &[5, 0xff]),
        (
            "SOCKS 4",
            vec![4, 1, 0, 80, 93, 184, 215, 14, 0],
            &[0, 0x5b],
        ),
        (
            "SOCKS 4a",
            b"\x04\x01\x00\x50\x00\x00\x00\x01\x00a.example\x00".to_vec(),
            &[0, 0x5b],
        ),
    ] {
        let before = world.decisions().len();
        let mut stream = world.connect();
        stream.write_all(&bytes).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer.get(..reply.len()), Some(reply), "{what}: {answer:?}");
        let verdict = world.verdict(before + 1);
        assert!(matches!(verdict, Verdict::Denied(_)), "{what}: {verdict:?}");
    }
    assert_eq!(world.dialled(), []);
    assert_eq!(world.lookups(), 0);
}

#[test]
fn what_is_neither_http_nor_socks_is_closed() {
    let world = World::new(&["a.example"]);
    for (number, bytes) in [
        &b"\x16\x03\x01\x00\x05hello"[..],
        b"\0\0\0",
        b"\xff\xfe",
        b" GET",
        b"\r\n\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let mut stream = world.connect();
        stream.write_all(bytes).unwrap();
        assert_eq!(read_all(&mut stream), "", "{bytes:?}");
        let verdict = world.verdict(number + 1);
        assert!(
            matches!(verdict, Verdict::Denied(Reason::Unsupported(_))),
            "{verdict:?}"
        );
    }
}
