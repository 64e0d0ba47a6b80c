//! Heads of requests: what is served, what is refused, and that the server sees what was judged.

use super::*;

fn parse(head: &str) -> Result<Request, Malformed> {
    Request::parse(head.as_bytes())
}

fn refused(head: &str) -> Reason {
    match parse(head) {
        Ok(request) => panic!("{head:?} passed as {request:?}"),
        Err(malformed) => malformed.reason,
    }
}

#[test]
fn a_whole_url_is_split_into_host_port_and_path() {
    for (target, host, port, path) in [
        ("http://a.example/x?y=1", "a.example", 80, "/x?y=1"),
        ("HTTP://A.Example.:8080/", "a.example", 8080, "/"),
        ("http://a.example", "a.example", 80, "/"),
        ("http://a.example?x=/", "a.example", 80, "/?x=/"),
        (
            "http://a.example/http://b.example/",
            "a.example",
            80,
            "/http://b.example/",
        ),
        (
            "http://a.example/@b.example",
            "a.example",
            80,
            "/@b.example",
        ),
        ("http://[2606:2800::1]:81/", "[2606:2800::1]", 81, "/"),
    ] {
        let named = target.split('/').nth(2).unwrap().split('?').next().unwrap();
        let head = format!("GET {target} HTTP/1.1\r\nHost: {named}\r\n\r\n");
        let request = parse(&head).unwrap();
        assert_eq!(request.wish.host.to_string(), host, "{target}");
        assert_eq!(
            (request.wish.port, request.path.as_str()),
            (port, path),
            "{target}"
        );
    }
}

#[test]
fn a_tunnel_names_host_and_port() {
    for head in [
        "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\nHost: A.EXAMPLE\r\nProxy-Connection: keep-alive\r\n\r\n",
        "CONNECT A.example.:443 HTTP/1.0\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    ] {
        let request = parse(head).unwrap();
        assert_eq!(
            request.wish.host.with_port(request.wish.port),
            "a.example:443"
        );
        assert_eq!(request.wish.protocol, Protocol::Connect);
    }
    for head in [
        "CONNECT a.example:443 HTTP/1.1\r\nHost: b.example:443\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:444\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\nContent-Length: 3\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "connect a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n",
    ] {
        assert!(
            matches!(refused(head), Reason::InvalidRequest(_)),
            "{head:?}"
        );
    }
    for target in [
        "a.example",
        "http://a.example:443",
        "/",
        "*",
        "a.example:443/x",
        "u@a.example:443",
        "a%00.example:443",
    ] {
        let reason = refused(&format!("CONNECT {target} HTTP/1.1\r\n\r\n"));
        assert!(
            matches!(reason, Reason::InvalidHost(_)),
            "{target}: {reason:?}"
        );
    }
    for target in [
        "127.1:443",
        "0x7f000001:80",
        "2130706433:80",
        "017700000001:80",
        "[0::1]:80",
    ] {
        let reason = refused(&format!("CONNECT {target} HTTP/1.1\r\n\r\n"));
        assert_eq!(reason, Reason::NumericSpelling, "{target}");
    }
}

#[test]
fn a_request_that_two_readers_could_read_differently_is_refused() {
    let get = "GET http://a.example/ HTTP/1.1\r\n";
    for fields in [
        "",
        "Host: b.example\r\n",
        "Host: a.example:81\r\n",
        "Host: a.example\r\nHost: a.example\r\n",
        "Host: a.example\r\nHOST: b.example\r\n",
        "Host: a.example, b.example\r\n",
        "Host:\r\n",
        "Host : a.example\r\n",
        "Host\r\n",
        "Host: a.example\r\n X: folded\r\n",
        "Host: a.example\r\n\tfolded\r\n",
        " Host: a.example\r\n",
        "Host: a.example\r\n: nameless\r\n",
        "Host: a.example\r\nX Y: z\r\n",
        "Host: a.example\r\nX: a\0b\r\n",
        "Host: a.example\r\nX: a\rb\r\n",
        "Host: a.example\r\nX: a\nY: b\r\n",
        "Host: a.example\r\nX: a\u{1}b\r\n",
        "Host: a.example\r\nX: a\u{7f}b\r\n",
        "Host: a.example\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
        "Host: a.example\r\nContent-Length: 1\r\ncontent-length: 2\r\n",
        "Host: a.example\r\nContent-Length: 1, 1\r\n",
        "Host: a.example\r\nContent-Length: +1\r\n",
        "Host: a.example\r\nContent-Length: -1\r\n",
        "Host: a.example\r\nContent-Length: 0x1\r\n",
        "Host: a.example\r\nContent-Length: 1 1\r\n",
        "Host: a.example\r\nContent-Length:\r\n",
        "Host: a.example\r\nContent-Length: 99999999999999999999\r\n",
        "Host: a.example\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Host: a.example\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Host: a.example\r\nTransfer-Encoding: gzip, chunked\r\n",
        "Host: a.example\r\nTransfer-Encoding: chunked, identity\r\n",
        "Host: a.example\r\nTransfer-Encoding: xchunked\r\n",
        "Host: a.example\r\nTransfer-Encoding: \u{b}chunked\r\n",
        "Host: a.example\r\nTransfer-Encoding:\r\n",
    ] {
        let reason = refused(&format!("{get}{fields}\r\n"));
        assert!(
            matches!(reason, Reason::InvalidRequest(_)),
            "{fields:?}: {reason:?}"
        );
    }
    let old = "POST http://a.example/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert!(matches!(refused(old), Reason::InvalidRequest(_)));
}

#[test]
fn a_first_line_has_three_words_and_a_whole_url() {
    for line in [
        "GET  http://a.example/ HTTP/1.1",
        " GET http://a.example/ HTTP/1.1",
        "GET http://a.example/ HTTP/1.1 ",
        "GET\thttp://a.example/\tHTTP/1.1",
        "GET http://a.example/a b HTTP/1.1",
        "GET http://a.example/",
        "G(T http://a.example/ HTTP/1.1",
        "GET /index.html HTTP/1.1",
        "GET //a.example/ HTTP/1.1",
        "GET a.example HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET http:/a.example/ HTTP/1.1",
        "GET http://a.example/\u{1} HTTP/1.1",
        "GET http://a.example/é HTTP/1.1",
        "GET http://a.example/x#y HTTP/1.1",
        "GET http://a.example#@b.example/ HTTP/1.1",
    ] {
        let reason = refused(&format!("{line}\r\nHost: a.example\r\n\r\n"));
        assert!(
            matches!(reason, Reason::InvalidRequest(_)),
            "{line:?}: {reason:?}"
        );
    }
    for line in [
        "GET https://a.example/ HTTP/1.1",
        "GET ftp://a.example/ HTTP/1.1",
        "GET ws://a.example/ HTTP/1.1",
        "GET http://a.example/ HTTP/2.0",
        "GET http://a.example/ HTTP/1.2",
        "GET http://a.example/ http/1.1",
        "PRI * HTTP/2.0",
    ] {
        let reason = refused(&format!("{line}\r\nHost: a.example\r\n\r\n"));
        assert!(
            matches!(reason, Reason::Unsupported(_)),
            "{line:?}: {reason:?}"
        );
    }
    for authority in [
        "u@a.example",
        "u:p@a.example",
        "a.example:80:80",
        "",
        ":80",
        "a.example:",
        "a%2eexample",
        "a.example\\@b.example",
        "a..example",
    ] {
        let head = format!("GET http://{authority}/ HTTP/1.1\r\nHost: a.example\r\n\r\n");
        let reason = refused(&head);
        assert!(
            matches!(reason, Reason::InvalidHost(_)),
            "{authority}: {reason:?}"
        );
    }
}

#[test]
fn the_log_gets_the_host_of_a_malformed_request_and_no_secret() {
    let asked = |head: &str| {
        let malformed = parse(head).unwrap_err();
        (
            malformed.protocol,
            String::from_utf8(malformed.asked).unwrap(),
        )
    };
    let host = "a.example:81".to_owned();
    for head in [
        "GET http://user:secret@a.example:81/token=secret HTTP/1.1\r\nHost: a.example:81\r\n\r\n",
        "GET http://user:secret@a.example:81?secret HTTP/9\r\n\r\n",
        "GET http://a.example:81/secret HTTP/1.1\r\nX: \0\r\n\r\n",
    ] {
        assert_eq!(asked(head), (Protocol::Http, host.clone()), "{head:?}");
    }
    let tunnel = "CONNECT user:secret@a.example:81 HTTP/1.1\r\n\r\n";
    assert_eq!(asked(tunnel), (Protocol::Connect, host));
}

#[test]
fn fields_for_one_connection_do_not_travel_on() {
    let head = "POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nConnection: X-Secret, close\r\nX-Secret: 1\r\nKeep-Alive: \
                1\r\nProxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\nProxy-Anything: 1\r\nTE: trailers\r\nTrailer: X\r\nUpgrade: \
                websocket\r\nHTTP2-Settings: x\r\nTransfer-Encoding: chunked\r\nAccept: */*\r\nX-Obs: \u{e9}\r\nCookie: a\r\nCookie: b\r\n\r\n";
    let request = parse(head).unwrap();
    let names: Vec<_> = request
        .fields
        .end_to_end()
        .map(|field| field.name.as_str())
        .collect();
    assert_eq!(names, ["accept", "x-obs", "cookie", "cookie"]);
    assert_eq!(request.framing, Framing::Chunked);
    assert!(!request.wants_to_stay());
}

#[test]
fn a_connection_field_cannot_take_host_or_length_away() {
    let head = "POST http://a.example/ HTTP/1.1\r\nHost: a.example\r\nConnection: host, content-length\r\nContent-Length: 4\r\n\r\n";
    let request = parse(head).unwrap();
    assert_eq!(request.framing, Framing::Length(4));
    assert_eq!(request.wish.host.to_string(), "a.example");
}

#[test]
fn too_many_fields_are_refused() {
    let many = format!(
        "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\n{}\r\n",
        "X: y\r\n".repeat(300)
    );
    assert!(matches!(refused(&many), Reason::InvalidRequest(_)));
}

#[test]
fn garbled_requests_never_panic_nor_reach_another_host() {
    let heads = [
        "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n",
        "POST http://a.example/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n",
        "GET http://a.example:80/ HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];
    let pieces = [
        &b"\r\n"[..],
        b"\0",
        b" ",
        b":",
        b"/",
        b"@",
        b"%00",
        b"#",
        b"Host: b\r\n",
        b"\xff",
        b"[",
        b"]",
        b".",
        b"\n",
        b"\r",
    ];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let mut passed = 0;
    for round in 0..150_000 {
        let mut bytes = heads[round % heads.len()].as_bytes().to_vec();
        for _ in 0..=next(3) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] = u8::try_from(next(256)).unwrap(),
                1 => bytes
                    .splice(at..at, pieces[next(pieces.len())].iter().copied())
                    .for_each(drop),
                2 => drop(bytes.remove(at)),
                _ => bytes[at] ^= 0x20,
            }
        }
        if let Ok(request) = Request::parse(&bytes) {
            // Whatever passes has one meaning: its host is in the bytes, as it stands, and so is that of `Host`.
            let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
            let host = request.wish.host.to_string();
            assert!(text.contains(&host), "{text:?}");
            assert!(!host.is_empty() && request.wish.port > 0);
            assert!(request.path.bytes().all(|byte| matches!(byte, 0x21..=0x7e)));
            passed += 1;
        }
    }
    assert!(passed > 1000, "{passed}");
}
