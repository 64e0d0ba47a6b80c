//! Thousands of garbled connections: the proxy stays up, takes bounded time, and never connects where it should not.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use agent_backend::egress::{Limits, Verdict};

use crate::support::{World, echo, random};

/// Beginnings of each protocol. The only host on the list is one that no change of a few bytes makes of theirs.
const SEEDS: &[&[u8]] = &[
    b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
    b"GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc",
    b"POST http://a.example:80/ HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"\x05\x01\x00\x05\x01\x00\x03\x09a.example\x01\xbb",
    b"\x05\x02\x00\x02\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50",
    b"\x05\x01\x00\x05\x01\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50",
    b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00",
    b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
];

#[test]
fn garbled_connections_never_lead_anywhere() {
    let limits = Limits {
        header_time: Duration::from_millis(500),
        ..Limits::default()
    };
    let world =
        World::with_limits(&["only-this-host-is-on-the-list.example"], limits).leads_to(echo());
    let mut next = random(0x5851_f42d_4c95_7f2d);
    let began = Instant::now();
    for round in 0..3000 {
        let mut bytes = SEEDS[round % SEEDS.len()].to_vec();
        for _ in 0..next(6) {
            let at = next(bytes.len());
            match next(5) {
                0 => bytes[at] = u8::try_from(next(256)).unwrap(),
                1 => bytes.insert(at, u8::try_from(next(256)).unwrap()),
                2 if bytes.len() > 1 => drop(bytes.remove(at)),
                3 => bytes.truncate(at.max(1)),
                _ => {
                    let copy = bytes[at..].to_vec();
                    bytes.extend(copy);
                }
            }
        }
        let mut stream = world.connect();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let asked = Instant::now();
        let _ = stream.read_to_end(&mut Vec::new());
        assert!(asked.elapsed() < Duration::from_secs(10), "{bytes:?}");
    }
    assert_eq!(world.dialled(), []);
    assert_eq!(world.lookups(), 0);
    let decisions = world.decisions();
    assert!(decisions.len() > 1000, "{}", decisions.len());
    for decision in decisions {
        assert!(matches!(decision.verdict, Verdict::Denied(_)), "{decision}");
        let line = decision.to_string();
        assert!(line.chars().all(|c| !c.is_control()), "{line:?}");
        assert!(line.len() < 400, "{line}");
    }
    assert!(
        began.elapsed() < Duration::from_secs(120),
        "{:?}",
        began.elapsed()
    );
    // It still works.
    drop(world.tunnel("only-this-host-is-on-the-list.example:443"));
}

#[test]
fn garbled_tunnels_pass_nothing_that_begins_as_tls() {
    let world = World::with_limits(
        &["a.example:443"],
        Limits {
            header_time: Duration::from_millis(500),
            ..Limits::default()
        },
    )
    .leads_to(echo());
    let mut next = random(0x1234_5678_9abc_def1);
    for _ in 0..300 {
        let mut bytes = vec![22, 3, 1];
        bytes.extend((0..next(80)).map(|_| u8::try_from(next(256)).unwrap()));
        let mut stream = world.tunnel("a.example:443");
        stream.write_all(&bytes).unwrap();
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut back = Vec::new();
        let _ = stream.read_to_end(&mut back);
        assert!(
            back.is_empty() || back == [21, 3, 1, 0, 2, 2, 49],
            "{bytes:?} came back as {back:?}"
        );
    }
}
