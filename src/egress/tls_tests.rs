//! The first message of TLS: whole, in pieces, malformed, and garbled.

use super::*;

/// Puts a length of two bytes before it.
fn vector(content: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(content.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_be_bytes().to_vec();
    bytes.extend(vector(content));
    bytes
}

fn names(list: &[(u8, &str)]) -> Vec<u8> {
    let mut names = Vec::new();
    for (kind, name) in list {
        names.push(*kind);
        names.extend(vector(name.as_bytes()));
    }
    extension(0, &vector(&names))
}

/// A handshake message with these extensions; `None` for a client that has none at all.
fn message(extensions: Option<&[u8]>) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.push(32);
    body.extend_from_slice(&[9; 32]);
    body.extend(vector(&[0x13, 1, 0x13, 2]));
    body.extend_from_slice(&[1, 0]);
    body.extend(extensions.map(vector).unwrap_or_default());
    let mut message = vec![1, 0];
    message.extend(vector(&body));
    message
}

fn records(message: &[u8], size: usize) -> Vec<u8> {
    message
        .chunks(size)
        .flat_map(|part| [vec![22, 3, 1], vector(part)].concat())
        .collect()
}

fn hello_for(name: &str) -> Vec<u8> {
    let extensions = [
        extension(43, &[2, 3, 4]),
        names(&[(0, name)]),
        extension(16, &[0, 3, 2, b'h', b'2']),
    ];
    records(&message(Some(&extensions.concat())), 1 << 14)
}

fn name(bytes: &[u8]) -> Option<String> {
    match opening(bytes) {
        Opening::Hello(hello) => hello
            .server_name
            .map(|name| String::from_utf8(name).unwrap()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_name_is_found_however_the_message_is_cut_into_records() {
    assert_eq!(name(&hello_for("a.example")).as_deref(), Some("a.example"));
    let whole = message(Some(&names(&[(0, "a.example")])));
    for size in 1..whole.len() {
        let bytes = records(&whole, size);
        assert_eq!(name(&bytes).as_deref(), Some("a.example"), "{size}");
        for length in 0..bytes.len() {
            match opening(&bytes[..length]) {
                Opening::Incomplete(wanted) => {
                    assert!(wanted > length && wanted <= bytes.len(), "{size} {length}");
                }
                other => panic!("{size} {length}: {other:?}"),
            }
        }
    }
}

#[test]
fn only_what_begins_as_tls_is_read_as_tls() {
    assert_eq!(opening(b""), Opening::Incomplete(1));
    assert_eq!(opening(&[22]), Opening::Incomplete(2));
    assert_eq!(opening(&[0x80, 46, 1]), Opening::Incomplete(4));
    let of_ssl_2 = opening(&[0x80, 46, 1, 3, 1]);
    assert!(matches!(of_ssl_2, Opening::Invalid(_)), "{of_ssl_2:?}");
    for other in [
        &b"SSH-2.0-x\r\n"[..],
        b"GET / HTTP/1.1\r\n",
        &[22, 2, 1],
        &[0; 9],
        &[0x80, 46, 1, 2],
        &[0x80, 46, 2],
    ] {
        assert_eq!(opening(other), Opening::NotTls, "{other:?}");
    }
}

#[test]
fn a_record_before_the_hello_does_not_hide_it() {
    let hello = hello_for("evil.example");
    for record in [
        [20, 3, 3, 0, 1, 1].as_slice(),
        &[21, 3, 3, 0, 2, 1, 0],
        &[23, 3, 3, 0, 1, 0],
        &[24, 3, 3, 0, 1, 0],
    ] {
        let bytes = [record, &hello].concat();
        assert!(matches!(opening(&bytes), Opening::Invalid(_)), "{record:?}");
    }
}

#[test]
fn a_malformed_hello_is_no_hello() {
    let fine = names(&[(0, "a.example")]);
    let mut glued = message(Some(&fine));
    glued.extend(message(Some(&names(&[(0, "evil.example")]))));
    let mut other_message = message(Some(&fine));
    other_message[0] = 2;
    let mut long = message(Some(&fine));
    long[1] = 1;
    let mut tail = message(Some(&fine));
    tail.push(0);
    tail[3] += 1;
    let mut odd_ciphers = message(None);
    odd_ciphers[4 + 2 + 32 + 1 + 32 + 1] = 3;
    for (what, bytes) in [
        (
            "two names",
            message(Some(&names(&[(0, "a.example"), (0, "evil.example")]))),
        ),
        (
            "two lists",
            message(Some(
                &[fine.clone(), names(&[(0, "evil.example")])].concat(),
            )),
        ),
        (
            "another kind of name",
            message(Some(&names(&[(1, "a.example")]))),
        ),
        ("an empty name", message(Some(&names(&[(0, "")])))),
        ("an empty list", message(Some(&extension(0, &[])))),
        ("a short extension", message(Some(&fine[..fine.len() - 1]))),
        ("two messages", glued),
        ("another message", other_message),
        ("a long message", long),
        ("bytes behind the extensions", tail),
        ("half a cipher", odd_ciphers),
    ] {
        let outcome = opening(&records(&bytes, 1 << 14));
        assert!(
            matches!(outcome, Opening::Invalid(_)),
            "{what}: {outcome:?}"
        );
    }
    for bytes in [
        &[22, 3, 1, 0, 0][..],
        &[22, 3, 1, 0x40, 1],
        &[22, 3, 1, 0, 1, 1, 22, 4, 0, 0, 0],
    ] {
        assert!(matches!(opening(bytes), Opening::Invalid(_)), "{bytes:?}");
    }
    let padded = message(Some(&extension(21, &vec![0; MAX_HELLO])));
    assert!(matches!(
        opening(&records(&padded, 1 << 14)),
        Opening::Invalid(_)
    ));
    assert!(matches!(opening(&records(&padded, 1)), Opening::Invalid(_)));
}

#[test]
fn the_name_must_be_that_of_the_tunnel() {
    let host = Host::parse(b"a.example").unwrap();
    let judge = |bytes: &[u8], host: &Host| match opening(bytes) {
        Opening::Hello(hello) => hello.judge(host),
        other => panic!("{other:?}"),
    };
    assert_eq!(judge(&hello_for("a.example"), &host), Ok(()));
    assert_eq!(judge(&hello_for("A.eXample"), &host), Ok(()));
    for other in [
        "b.example",
        "a.example.",
        "a.example.evil.net",
        "xa.example",
        "a.example\0",
        "a.exampl",
    ] {
        assert_eq!(
            judge(&hello_for(other), &host),
            Err(Reason::ServerNameDiffers),
            "{other:?}"
        );
    }
    let nameless = records(&message(None), 99);
    assert_eq!(judge(&nameless, &host), Err(Reason::ServerNameMissing));
    for hiding in [0xfe0d, 0xffce] {
        let extensions = [names(&[(0, "a.example")]), extension(hiding, &[0; 40])].concat();
        let hello = records(&message(Some(&extensions)), 1 << 14);
        assert_eq!(judge(&hello, &host), Err(Reason::EncryptedHello));
    }
    let address = Host::parse(b"93.184.215.14").unwrap();
    assert_eq!(judge(&nameless, &address), Ok(()));
    assert_eq!(judge(&hello_for("93.184.215.14"), &address), Ok(()));
    assert_eq!(
        judge(&hello_for("a.example"), &address),
        Err(Reason::ServerNameDiffers)
    );
}

#[test]
fn garbled_hellos_never_panic_nor_pass_for_another_host() {
    let host = Host::parse(b"a.example").unwrap();
    let fine = hello_for("a.example");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let began = std::time::Instant::now();
    let mut passed = 0;
    for _ in 0..200_000 {
        let mut bytes = fine.clone();
        for _ in 0..=next(4) {
            let at = next(bytes.len());
            match next(4) {
                0 => bytes[at] = u8::try_from(next(256)).unwrap(),
                1 => bytes[at] ^= 1 << next(8),
                2 => bytes.insert(at, u8::try_from(next(256)).unwrap()),
                _ => bytes.truncate(at.max(1)),
            }
        }
        if let Opening::Hello(hello) = opening(&bytes)
            && hello.judge(&host).is_ok()
        {
            let name = hello.server_name.unwrap();
            assert!(name.eq_ignore_ascii_case(b"a.example"));
            passed += 1;
        }
    }
    // Most of a hello is of no concern to us: some must still pass, or the loop tests nothing.
    assert!(passed > 1000, "{passed}");
    assert!(began.elapsed().as_secs() < 60);
}
