//! Clients that take their time or take too much.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use agent_backend::egress::{Limits, Reason, Verdict};

use crate::support::{World, echo, read_all, read_head, web};

fn hurried() -> Limits {
    Limits {
        header_time: Duration::from_millis(400),
        ..Limits::default()
    }
}

#[test]
fn a_head_that_trickles_in_is_cut_off() {
    for first in [
        &b"GET http://a.example/ HTTP/1.1\r\n"[..],
        b"\x05\x01\x00\x05\x01",
    ] {
        let world = World::with_limits(&["a.example"], hurried()).leads_to(echo());
        let mut stream = world.connect();
        stream.write_all(first).unwrap();
        let began = Instant::now();
        let mut writer = stream.try_clone().unwrap();
        let trickle = thread::spawn(move || {
            while writer.write_all(b"\0").is_ok() && began.elapsed() < Duration::from_secs(10) {
                thread::sleep(Duration::from_millis(50));
            }
        });
        let answer = read_all(&mut stream);
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "{:?}",
            began.elapsed()
        );
        if first.starts_with(b"GET") {
            assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
        }
        drop(stream);
        trickle.join().unwrap();
        assert!(matches!(world.verdict(1), Verdict::Denied(_)));
        assert_eq!(world.dialled(), []);
    }
}

#[test]
fn a_client_that_says_nothing_is_cut_off() {
    let world = World::with_limits(&["a.example"], hurried());
    let began = Instant::now();
    assert_eq!(read_all(&mut world.connect()), "");
    assert!(began.elapsed() < Duration::from_secs(5));
    assert_eq!(world.verdict(1), Verdict::Denied(Reason::HeaderTooSlow));
}

#[test]
fn a_head_that_is_too_long_is_refused_without_keeping_it() {
    let world = World::new(&["a.example"]);
    let long = format!("GET http://a.example/{} HTTP/1.1\r\n", "x".repeat(40_000));
    assert!(world.ask(long).starts_with("HTTP/1.1 431 "));
    assert_eq!(world.verdict(1), Verdict::Denied(Reason::HeaderTooLarge));
    // Far more than any buffer, without a line end.
    let mut stream = world.connect();
    let block = vec![b'A'; 1 << 20];
    for _ in 0..64 {
        if stream.write_all(&block).is_err() {
            break;
        }
    }
    world.verdict(2);
}

#[test]
fn a_hello_that_trickles_in_or_never_ends_is_cut_off() {
    let world = World::with_limits(&["a.example"], hurried()).leads_to(echo());
    let mut stream = world.tunnel("a.example:443");
    stream.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    let mut alert = Vec::new();
    let _ = stream.read_to_end(&mut alert);
    assert_eq!(alert, [21, 3, 1, 0, 2, 2, 49]);
    assert_eq!(world.verdict(2), Verdict::Denied(Reason::HeaderTooSlow));
    let mut stream = world.tunnel("a.example:443");
    // Its length says 16 MiB.
    stream
        .write_all(&[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff])
        .unwrap();
    let _ = stream.read_to_end(&mut alert);
    assert!(matches!(
        world.verdict(4),
        Verdict::Denied(Reason::InvalidHello(_))
    ));
}

#[test]
fn more_connections_than_allowed_wait_their_turn() {
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let world = World::with_limits(&["a.example:7"], limits).leads_to(echo());
    let first = world.tunnel("a.example:7");
    let _second = world.tunnel("a.example:7");
    let mut third = world.connect();
    third
        .write_all(b"CONNECT a.example:7 HTTP/1.1\r\n\r\n")
        .unwrap();
    third
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    assert!(third.read(&mut [0]).is_err(), "it has to wait");
    assert_eq!(world.decisions().len(), 2);
    drop(first);
    third
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    assert!(read_head(&mut third).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_kept_connection_without_a_next_request_ends() {
    let (address, _) = web("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let limits = Limits {
        idle_time: Duration::from_millis(300),
        ..hurried()
    };
    let world = World::with_limits(&["a.example"], limits).leads_to(address);
    let mut stream = world.connect();
    stream
        .write_all(b"GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n")
        .unwrap();
    read_head(&mut stream);
    let began = Instant::now();
    assert_eq!(read_all(&mut stream), "");
    assert!(began.elapsed() < Duration::from_secs(5));
}
