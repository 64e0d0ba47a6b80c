//! Garbled hosts and list entries: no panic, and nothing passes that is not in canonical form.

use super::allowlist::Allowlist;
use super::host::Host;

#[test]
fn garbled_hosts_never_panic_and_what_passes_reads_back_as_itself() {
    const ALPHABET: &[u8] = b"aZ09.-_:[]%@/\\ \0\r\n*x\x7f\xc3\xa9f1";
    let list = Allowlist::parse(["a.a", "*.a.a:1", "9.9.9.9"]).unwrap();
    let mut random = 0x0123_4567_89ab_cdef_u64;
    let mut next = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    let mut passed = 0;
    for _ in 0..300_000 {
        let text: Vec<u8> = (0..next(14))
            .map(|_| ALPHABET[next(ALPHABET.len())])
            .collect();
        if let Ok((host, port)) = Host::parse_authority(&text, Some(80)) {
            let shown = host.with_port(port);
            assert_eq!(
                Host::parse_authority(shown.as_bytes(), None),
                Ok((host, port)),
                "{text:?}"
            );
            passed += 1;
        }
        if let Ok(text) = std::str::from_utf8(&text) {
            if let Ok(parsed) = Allowlist::parse([text]) {
                assert_eq!(Allowlist::parse([parsed.to_string()]).unwrap(), parsed);
            }
            let _ = list.permits(text, 443);
        }
    }
    assert!(passed > 1000, "{passed}");
}
