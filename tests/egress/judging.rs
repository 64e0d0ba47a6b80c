//! THREATS 12, item by item, each through `CONNECT`, plain HTTP and SOCKS: what is refused is never dialled.

use std::net::SocketAddr;
use std::sync::Arc;

use agent_backend::egress::{
    Allowlist, Protocol, Proxy, ProxyOptions, Reason, SystemDialer, Verdict,
};

use crate::support::{PUBLIC, Recorder, World, echo, web};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The same wish in each protocol. SOCKS takes the host as a name, whatever it is.
fn wishes(host: &str, port: u16) -> [(Protocol, Vec<u8>); 3] {
    let connect = format!("CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n");
    let plain = format!(
        "GET http://{host}:{port}/ HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    );
    let mut socks = vec![5, 1, 0, 5, 1, 0, 3, u8::try_from(host.len()).unwrap()];
    socks.extend_from_slice(host.as_bytes());
    socks.extend_from_slice(&port.to_be_bytes());
    [
        (Protocol::Connect, connect.into_bytes()),
        (Protocol::Http, plain.into_bytes()),
        (Protocol::Socks5, socks),
    ]
}

/// Asks in each protocol, expects a denial with nothing dialled, and gives back the reasons.
fn denials(world: &World, host: &str, port: u16) -> Vec<Reason> {
    wishes(host, port)
        .into_iter()
        .map(|(protocol, bytes)| {
            let before = world.decisions().len();
            let answer = world.ask(&bytes);
            let verdict = world.verdict(before + 1);
            let Verdict::Denied(reason) = verdict else {
                panic!("{host:?} by {protocol}: {verdict:?}");
            };
            if protocol == Protocol::Socks5 {
                let code = if matches!(reason, Reason::InvalidRequest(_)) {
                    1
                } else {
                    2
                };
                assert_eq!(
                    answer.as_bytes()[..4],
                    [5, 0, 5, code],
                    "{host:?}: {answer:?}"
                );
            } else {
                assert!(answer.starts_with("HTTP/1.1 40"), "{host:?}: {answer}");
            }
            assert_eq!(world.dialled(), [], "{host:?} by {protocol}");
            assert_eq!(world.decisions()[before].protocol, protocol, "{host:?}");
            reason
        })
        .collect()
}

#[test]
fn the_canary_a_listed_name_is_reached_in_every_protocol() {
    let (server, requests) = web(OK);
    let world = World::new(&["a.example"]).leads_to(server);
    for (number, (protocol, bytes)) in wishes("a.example", 80).into_iter().enumerate() {
        let mut stream = world.connect();
        std::io::Write::write_all(&mut stream, &bytes).unwrap();
        if protocol != Protocol::Http {
            let request = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
            std::io::Write::write_all(&mut stream, request).unwrap();
        }
        let answer = crate::support::read_all(&mut stream);
        assert!(answer.ends_with("\r\n\r\nok"), "{protocol}: {answer:?}");
        assert_eq!(world.verdict(number + 1), Verdict::Allowed);
        let decision = world.decisions().pop().unwrap();
        assert_eq!(decision.host, "a.example");
        assert_eq!(decision.address, Some(PUBLIC.parse().unwrap()));
        assert_eq!(
            decision.to_string(),
            format!("allowed {protocol} a.example:80 at {PUBLIC} for the test")
        );
    }
    assert_eq!(requests.lock().unwrap().len(), 3);
    assert_eq!(
        world.dialled(),
        [SocketAddr::new(PUBLIC.parse().unwrap(), 80); 3]
    );
}

#[test]
fn what_is_not_on_the_list_is_neither_resolved_nor_dialled() {
    let world = World::new(&["a.example", "*.b.example:443"]).leads_to(echo());
    for (host, port, reason) in [
        ("evil.example", 443, Reason::NotListed),
        ("a.example.evil.net", 443, Reason::NotListed),
        ("xa.example", 443, Reason::NotListed),
        ("sub.a.example", 443, Reason::NotListed),
        ("b.example", 443, Reason::NotListed),
        ("localhost", 80, Reason::NotListed),
        ("metadata.google.internal", 80, Reason::NotListed),
        ("8.8.8.8", 443, Reason::NotListed),
        (PUBLIC, 443, Reason::NotListed),
        ("a.example", 22, Reason::PortNotListed),
        ("x.b.example", 80, Reason::PortNotListed),
    ] {
        assert_eq!(denials(&world, host, port), [reason; 3], "{host}:{port}");
    }
    assert_eq!(world.lookups(), 0);
}

#[test]
fn a_listed_name_that_resolves_to_a_special_address_is_refused() {
    let world = World::new(&["a.example"]).leads_to(echo());
    for (address, kind) in [
        ("127.0.0.1", "loopback"),
        ("127.8.9.10", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("192.168.1.1", "private"),
        ("169.254.169.254", "link-local"),
        ("fe80::1", "link-local"),
        ("fd00:ec2::254", "unique local"),
        ("100.100.100.200", "carrier-grade NAT"),
        ("224.0.0.251", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("240.0.0.1", "reserved"),
        ("198.18.0.1", "benchmark"),
        ("192.0.2.1", "documentation"),
        ("2001:db8::1", "documentation"),
        ("168.63.129.16", "cloud platform"),
        ("::ffff:127.0.0.1", "IPv4-mapped"),
        ("::ffff:93.184.215.14", "IPv4-mapped"),
        ("::127.0.0.1", "IPv4-compatible"),
        ("64:ff9b::7f00:1", "NAT64"),
        ("64:ff9b:1::a00:1", "NAT64"),
        ("2002:7f00:1::", "6to4"),
        ("2002:5db8:d70e::1", "6to4"),
        ("2001:0:5db8:d70e::80ff:fffe", "Teredo"),
    ] {
        for answer in [
            &[address][..],
            &[PUBLIC, address],
            &[address, PUBLIC],
            &[PUBLIC, PUBLIC, "2606:2800:21f::1", address],
        ] {
            world.names.set("a.example", &[answer]);
            let reasons = denials(&world, "a.example", 443);
            assert_eq!(reasons, [Reason::SpecialAddress(kind); 3], "{answer:?}");
        }
        let logged = world.decisions().pop().unwrap();
        assert_eq!(logged.address, Some(address.parse().unwrap()));
    }
}

#[test]
fn no_spelling_of_an_address_passes() {
    let world = World::new(&["a.example", "93.184.215.14:443"]).leads_to(echo());
    for host in [
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0X7F.1",
        "0x7f.0x0.0x0.0x1",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.1.",
        "93.184.55054",
        "1572394766",
        "0x5db8d70e",
        "93.184.215.014",
    ] {
        assert_eq!(
            denials(&world, host, 443),
            [Reason::NumericSpelling; 3],
            "{host}"
        );
    }
    for host in [
        "127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[fe80::1]",
        "[64:ff9b::7f00:1]",
    ] {
        let reasons = denials(&world, host, 443);
        let is_special = |reason: &Reason| matches!(reason, Reason::SpecialAddress(_));
        assert!(reasons.iter().all(is_special), "{host}: {reasons:?}");
    }
    assert_eq!(world.lookups(), 0);
}

#[test]
fn an_address_is_reached_only_where_it_is_listed_itself() {
    let (server, _) = web(OK);
    let world = World::new(&["93.184.215.14:443", "[2606:2800:21f::1]:80"]).leads_to(server);
    for (number, host) in ["93.184.215.14:443", "[2606:2800:21f::1]:80"]
        .into_iter()
        .enumerate()
    {
        drop(world.tunnel(host));
        assert_eq!(world.verdict(number + 1), Verdict::Allowed);
    }
    let by_bytes = [5, 1, 0, 5, 1, 0, 1, 93, 184, 215, 14, 1, 187];
    let mut stream = world.connect();
    std::io::Write::write_all(&mut stream, &by_bytes).unwrap();
    let mut reply = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut reply).unwrap();
    assert_eq!(reply[..4], [5, 0, 5, 0]);
    assert_eq!(world.lookups(), 0);
    let wanted: SocketAddr = "93.184.215.14:443".parse().unwrap();
    assert_eq!(
        world.dialled(),
        [wanted, "[2606:2800:21f::1]:80".parse().unwrap(), wanted]
    );
}

#[test]
fn a_name_is_looked_up_once_and_that_answer_is_dialled() {
    let world = World::new(&["a.example"]).leads_to(echo());
    // A second look at the name would get the loopback.
    world.names.set("a.example", &[&[PUBLIC], &["127.0.0.1"]]);
    drop(world.tunnel("a.example:443"));
    assert_eq!(world.lookups(), 1);
    assert_eq!(
        world.dialled(),
        [SocketAddr::new(PUBLIC.parse().unwrap(), 443)]
    );
    // The next request is judged by the next answer.
    let answer = world.ask("CONNECT a.example:443 HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(
        world.verdict(2),
        Verdict::Denied(Reason::SpecialAddress("loopback"))
    );
    assert_eq!(world.dialled().len(), 1);
}

#[test]
fn nul_controls_case_and_dots_gain_nothing() {
    let world = World::new(&["a.example"]).leads_to(echo());
    for host in [
        "a.example\0.evil.net",
        "evil.net\0a.example",
        "a.example\r\nHost: x",
        "a.example\nx",
        "a.example\t",
        "a.example\u{1b}",
        "a.example..",
        ".a.example",
        "a..example",
        "a%2eexample",
        "a.example%00",
        "x@a.example",
        "a.example@evil.net",
        "a.example#evil.net",
        "a.example/evil.net",
        "a.example\\evil.net",
        "a.example?evil.net",
        "á.example",
        "a。example",
        "*.example",
        "[a.example]",
    ] {
        denials(&world, host, 443);
    }
    assert_eq!(world.lookups(), 0);
    for (number, host) in ["A.EXAMPLE", "a.example.", "A.Example."]
        .into_iter()
        .enumerate()
    {
        let before = world.decisions().len();
        drop(world.tunnel(&format!("{host}:443")));
        assert_eq!(world.verdict(before + 1), Verdict::Allowed, "{host}");
        assert_eq!(world.decisions()[before].host, "a.example");
        assert_eq!(world.lookups(), number + 1);
    }
}

#[test]
fn with_the_hosts_own_network_the_loopback_is_refused() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let target = listener.local_addr().unwrap().port();
    let names = Arc::new(crate::support::Names::default());
    names.set("a.example", &[&["127.0.0.1"]]);
    let door = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = door.local_addr().unwrap().port();
    let log = Arc::new(Recorder::default());
    let entry = format!("a.example:{target}");
    let options = ProxyOptions {
        resolver: names,
        dialer: Arc::new(SystemDialer),
        ..ProxyOptions::default()
    };
    let _proxy = Proxy::serve(
        door,
        Arc::new(Allowlist::parse([entry]).unwrap()),
        log,
        options,
    );
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!("CONNECT a.example:{target} HTTP/1.1\r\n\r\n");
    std::io::Write::write_all(&mut stream, head.as_bytes()).unwrap();
    let answer = crate::support::read_all(&mut stream);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("loopback"), "{answer}");
    assert!(listener.accept().is_err(), "nobody connected");
}

#[test]
fn a_refusal_says_what_was_refused_and_how_it_is_allowed() {
    let world = World::new(&["a.example"]);
    let answer = world.ask("CONNECT Evil.Example:8443 HTTP/1.1\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(answer.contains("evil.example:8443 is refused"), "{answer}");
    assert!(answer.contains("an entry 'evil.example:8443'"), "{answer}");
    let special = world.ask("CONNECT 127.0.0.1:80 HTTP/1.1\r\n\r\n");
    assert!(
        special.contains("loopback") && !special.contains("an entry"),
        "{special}"
    );
    let hostile = world.ask("CONNECT a\x1b[31m:80 HTTP/1.1\r\n\r\n");
    assert!(!hostile.contains('\x1b'), "{hostile:?}");
}
