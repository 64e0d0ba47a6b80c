//! Servers that cannot be reached: told apart from those that may not be, and passed over where there are others.

use std::time::Duration;

use agent_backend::egress::{Failure, Limits, Verdict};

use crate::support::{PUBLIC, World, echo};

#[test]
fn a_server_that_cannot_be_reached_is_told_apart_from_one_that_may_not_be() {
    let limits = Limits {
        resolve_time: Duration::from_millis(200),
        connect_time: Duration::from_millis(300),
        ..Limits::default()
    };
    let status =
        |world: &World| world.ask("CONNECT a.example:443 HTTP/1.1\r\n\r\n")[9..12].to_owned();
    let socks = |world: &World| {
        world
            .ask(b"\x05\x01\x00\x05\x01\x00\x03\x09a.example\x01\xbb")
            .as_bytes()[3]
    };
    let unreachable = World::with_limits(&["a.example"], limits);
    assert_eq!(
        (status(&unreachable).as_str(), socks(&unreachable)),
        ("502", 3)
    );
    assert_eq!(
        unreachable.verdict(2),
        Verdict::Failed(Failure::Unreachable)
    );

    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let refusing = World::with_limits(&["a.example"], limits).leads_to(closed);
    assert_eq!((status(&refusing).as_str(), socks(&refusing)), ("502", 5));
    assert_eq!(
        refusing.verdict(2),
        Verdict::Failed(Failure::ConnectionRefused)
    );

    let silent = World::with_limits(&["a.example"], limits);
    silent
        .wires
        .silent
        .lock()
        .unwrap()
        .push(PUBLIC.parse().unwrap());
    assert_eq!((status(&silent).as_str(), socks(&silent)), ("504", 6));
    assert_eq!(silent.verdict(2), Verdict::Failed(Failure::ConnectTimeout));

    let nameless = World::with_limits(&["a.example"], limits);
    nameless.names.set("a.example", &[&[]]);
    assert_eq!((status(&nameless).as_str(), socks(&nameless)), ("502", 4));
    assert_eq!(nameless.verdict(2), Verdict::Failed(Failure::NameNotFound));

    let slow = World::with_limits(&["a.example"], limits);
    *slow.names.delay.lock().unwrap() = Duration::from_secs(60);
    assert_eq!((status(&slow).as_str(), socks(&slow)), ("504", 6));
    assert_eq!(slow.verdict(2), Verdict::Failed(Failure::ResolveTimeout));
}

#[test]
fn of_several_addresses_one_that_does_not_answer_is_passed_over() {
    let limits = Limits {
        connect_time: Duration::from_secs(3),
        ..Limits::default()
    };
    let world = World::with_limits(&["a.example"], limits).leads_to(echo());
    world.names.set("a.example", &[&["93.184.215.15", PUBLIC]]);
    world
        .wires
        .silent
        .lock()
        .unwrap()
        .push("93.184.215.15".parse().unwrap());
    drop(world.tunnel("a.example:443"));
    let decision = world.decisions().pop().unwrap();
    assert_eq!(decision.address, Some(PUBLIC.parse().unwrap()));
}
