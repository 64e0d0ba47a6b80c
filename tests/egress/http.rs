//! Plain HTTP: requests on a kept connection, bodies both ways, and what the server gets to see.

use std::io::{Read, Write};
use std::time::Duration;

use agent_backend::egress::{Failure, Limits, Reason, Verdict};

use crate::support::{World, echo, read_all, read_head, server, web};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Server: yes\r\n\r\nok";

fn get(host: &str) -> String {
    format!("GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

fn read_ok(stream: &mut std::net::TcpStream) -> String {
    let head = read_head(stream);
    let mut body = [0; 2];
    stream.read_exact(&mut body).unwrap();
    assert_eq!(&body, b"ok");
    head
}

#[test]
fn each_request_on_a_kept_connection_is_judged_anew() {
    let (address, requests) = web(OK);
    let world = World::new(&["a.example", "b.example"]).leads_to(address);
    let mut stream = world.connect();
    for host in ["a.example", "b.example"] {
        stream.write_all(get(host).as_bytes()).unwrap();
        let head = read_ok(&mut stream);
        assert!(head.contains("Connection: keep-alive\r\n"), "{head}");
    }
    stream.write_all(get("evil.example").as_bytes()).unwrap();
    let answer = read_all(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(world.verdict(3), Verdict::Denied(Reason::NotListed));
    assert_eq!(requests.lock().unwrap().len(), 2);
}

#[test]
fn a_request_that_was_sent_too_early_is_judged_as_well() {
    let (address, requests) = web(OK);
    let world = World::new(&["a.example"]).leads_to(address);
    let answer = world.ask(get("a.example") + &get("evil.example") + &get("a.example"));
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(
        answer.contains("ok\nHTTP/1.1 403 ") || answer.contains("okHTTP/1.1 403 "),
        "{answer}"
    );
    assert_eq!(requests.lock().unwrap().len(), 1);
}

#[test]
fn a_tunnel_on_a_kept_connection_is_judged_too() {
    let (address, _) = web(OK);
    let world = World::new(&["a.example"]).leads_to(address);
    let mut stream = world.connect();
    stream.write_all(get("a.example").as_bytes()).unwrap();
    read_ok(&mut stream);
    stream
        .write_all(b"CONNECT evil.example:443 HTTP/1.1\r\n\r\n")
        .unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 403 "));
}

#[test]
fn the_server_gets_the_request_that_was_judged() {
    let (address, requests) = web(OK);
    let world = World::new(&["a.example:8080"]).leads_to(address);
    let answer = world.ask(
        "POST http://A.Example:8080/x?y HTTP/1.1\r\nHost: a.example.:8080\r\nProxy-Authorization: Basic c2VjcmV0\r\nConnection: \
         close, X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\nContent-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n\r\n",
    );
    assert!(answer.contains("x-server: yes\r\n"), "{answer}");
    assert!(answer.contains("Connection: close\r\n"), "{answer}");
    let requests = requests.lock().unwrap();
    assert_eq!(
        requests.as_slice(),
        [
            "POST /x?y HTTP/1.1\r\nHost: a.example:8080\r\nx-end: 2\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
        ]
    );
}

#[test]
fn nothing_follows_a_body_to_the_server() {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = std::sync::Arc::clone(&seen);
    // Reads for a while, whatever the framing says.
    let address = server(move |mut stream| {
        stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        kept.lock().unwrap().push(String::from_utf8(bytes).unwrap());
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let world = World::new(&["a.example"]).leads_to(address);
    let hidden = "GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    let chunked = "POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nX: y\r\n\r\n";
    let counted =
        "POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc";
    for request in [chunked, counted] {
        let answer = world.ask(format!("{request}{hidden}"));
        assert!(
            answer.contains("ok") && answer.contains("HTTP/1.1 403 "),
            "{answer}"
        );
    }
    let seen = seen.lock().unwrap();
    assert!(
        seen[0].ends_with("\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        "{}",
        seen[0]
    );
    assert!(seen[1].ends_with("\r\n\r\nabc"), "{}", seen[1]);
}

#[test]
fn malformed_requests_are_answered_400_and_never_dialled() {
    let world = World::new(&["a.example"]).leads_to(echo());
    let line = "GET http://a.example/ HTTP/1.1\r\n";
    let requests = [
        "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".to_owned(),
        format!("{line}Host: a.example\r\nHost: a.example\r\n\r\n"),
        format!("{line}Host: evil.example\r\n\r\n"),
        format!("{line}\r\n"),
        format!("{line}Host: a.example\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"),
        format!("{line}Host: a.example\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        format!("{line}Host: a.example\r\nX: a\r\n b\r\n\r\n"),
        format!("{line}Host: a.example\r\nX: a\rb\r\n\r\n"),
        format!("{line}Host: a.example\r\nX: a\0b\r\n\r\n"),
        format!("{line}Host: a.example\nX: y\r\n\r\n"),
        "GET http://a.example/ HTTP/1.1\nHost: a.example\n\n".to_owned(),
        "GET https://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "CONNECT a.example:443 HTTP/1.1\r\nHost: b.example\r\n\r\n".to_owned(),
        "CONNECT a.example:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
    ];
    for (number, request) in requests.iter().enumerate() {
        let answer = world.ask(request);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request:?}: {answer}");
        assert!(matches!(world.verdict(number + 1), Verdict::Denied(_)));
    }
    assert_eq!(world.dialled(), []);
}

#[test]
fn a_malformed_chunk_ends_the_request_and_is_logged() {
    let (address, _) = web(OK);
    let world = World::new(&["a.example"]).leads_to(address);
    let head =
        "POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = world.ask(format!("{head}3\nabc\r\n0\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(matches!(
        world.verdict(2),
        Verdict::Denied(Reason::InvalidRequest(_))
    ));
}

#[test]
fn answers_of_every_framing_come_back_whole() {
    for (answer, old, new) in [
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc",
            "abc",
            "abc",
        ),
        ("HTTP/1.0 200 OK\r\n\r\nabc", "abc", "abc"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\nT: x\r\n\r\n",
            "abc",
            "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
        ),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
            "",
            "",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", ""),
    ] {
        let (address, _) = web(answer);
        let world = World::new(&["a.example"]).leads_to(address);
        let got = world.ask("GET http://a.example/ HTTP/1.0\r\n\r\n");
        assert_eq!(
            got.rsplit("\r\n\r\n").next(),
            Some(old),
            "{answer:?}: {got}"
        );
        let got = world
            .ask("GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
        assert!(
            got.ends_with(&format!("\r\n\r\n{new}")),
            "{answer:?}: {got}"
        );
        assert!(!got.to_ascii_lowercase().contains("trailer"), "{got}");
    }
}

#[test]
fn an_answer_to_head_has_a_length_and_no_body() {
    let (address, _) = web("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    let world = World::new(&["a.example"]).leads_to(address);
    let mut stream = world.connect();
    for _ in 0..2 {
        stream
            .write_all(b"HEAD http://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n")
            .unwrap();
        let head = read_head(&mut stream);
        assert!(head.contains("Content-Length: 1000\r\n"), "{head}");
    }
}

#[test]
fn a_client_that_waits_for_100_gets_it() {
    let address = server(|mut stream| {
        let head = read_head(&mut stream);
        assert!(head.contains("expect: 100-continue"), "{head}");
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap();
        let mut body = [0; 5];
        stream.read_exact(&mut body).unwrap();
        stream.write_all(OK.as_bytes()).unwrap();
    });
    let world = World::new(&["a.example"]).leads_to(address);
    let mut stream = world.connect();
    stream
        .write_all(b"PUT http://a.example/ HTTP/1.1\r\nHost: a.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .unwrap();
    assert!(read_head(&mut stream).starts_with("HTTP/1.1 100 "));
    stream.write_all(b"hello").unwrap();
    assert!(read_ok(&mut stream).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_server_may_answer_before_it_has_read_everything() {
    let address = server(|mut stream| {
        read_head(&mut stream);
        stream
            .write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
            .unwrap();
    });
    let world = World::new(&["a.example"]).leads_to(address);
    let mut stream = world.connect();
    stream
        .write_all(
            b"PUT http://a.example/ HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000\r\n\r\n",
        )
        .unwrap();
    stream.write_all(&[b'x'; 50_000]).unwrap();
    let answer = read_all(&mut stream);
    assert!(
        answer.starts_with("HTTP/1.1 413 ") && answer.ends_with("no"),
        "{answer}"
    );
}

#[test]
fn an_answer_that_is_not_http_is_a_bad_gateway() {
    for answer in [
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\nab",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 1\n\na",
        "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
        "",
    ] {
        let (address, _) = web(answer);
        let world = World::new(&["a.example"]).leads_to(address);
        let got = world.ask(get("a.example"));
        assert!(got.starts_with("HTTP/1.1 502 "), "{answer:?}: {got}");
        assert!(matches!(
            world.verdict(2),
            Verdict::Failed(Failure::InvalidResponse(_))
        ));
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up() {
    let address = server(|mut stream| drop(read_all(&mut stream)));
    let limits = Limits {
        idle_time: Duration::from_millis(300),
        ..Limits::default()
    };
    let world = World::with_limits(&["a.example"], limits).leads_to(address);
    assert!(world.ask(get("a.example")).starts_with("HTTP/1.1 504 "));
    assert_eq!(world.verdict(2), Verdict::Failed(Failure::ResponseTimeout));
}
