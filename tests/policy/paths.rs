//! A fuzz of [`RelPath::parse`]: whatever the bytes and whatever the root, what comes out keeps the promises of a path.

use agent_backend::error::ErrorCode;
use agent_backend::path::RelPath;

use super::Random;

const ROUNDS: usize = 300_000;
const PIECES: &[&[u8]] = &[
    b"",
    b"/",
    b"//",
    b".",
    b"..",
    b"../",
    b"/..",
    b"a",
    b"bb",
    b"...",
    b"..a",
    b"a..",
    b". ",
    b"\0",
    b"\\",
    b"~",
    b"%2e%2e",
    b"\xff\xfe",
    b"\xc0\xae",
    b"\xe2\x80\xa5",
    b" ",
    b"\n",
    b"srv",
    b"/srv/ws",
    b"srv/ws",
    b"-",
    b"*",
];
const ROOTS: &[&[u8]] = &[b"/", b"/srv/ws", b"/srv", b"/a", b"/srv/ws/deep/er"];

fn input(random: &mut Random) -> Vec<u8> {
    let mut input = Vec::new();
    for _ in 0..=random.below(12) {
        match random.below(12) {
            0 => input.push(u8::try_from(random.below(256)).unwrap_or(0)),
            1 => input.extend(std::iter::repeat_n(b'x', 200 + random.below(120))),
            2 => input.extend_from_slice(ROOTS[random.below(ROOTS.len())]),
            _ => input.extend_from_slice(PIECES[random.below(PIECES.len())]),
        }
        if random.below(2) == 0 {
            input.push(b'/');
        }
    }
    if random.below(500) == 0 {
        input = input.repeat(1 + random.below(600));
    }
    input
}

/// The promises in the documentation of [`RelPath`].
fn assert_is_normal(path: &RelPath, input: &[u8]) {
    let bytes = path.as_bytes();
    assert!(!bytes.starts_with(b"/"), "{input:?} gave an absolute path");
    assert!(!bytes.contains(&0), "{input:?} gave a NUL");
    assert!(bytes.len() < 4096, "{input:?} gave too long a path");
    for component in bytes.split(|&byte| byte == b'/') {
        let whole =
            bytes.is_empty() || (!component.is_empty() && component != b"." && component != b"..");
        assert!(whole && component.len() <= 255, "{input:?} gave {path:?}");
    }
}

#[test]
fn whatever_is_parsed_stays_beneath_its_root() {
    let mut random = Random(0x3c6e_f372_fe94_f82b);
    let (mut parsed, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        let (input, root) = (input(&mut random), ROOTS[random.below(ROOTS.len())]);
        match RelPath::parse(&input, root) {
            Ok(path) => {
                parsed += 1;
                assert_is_normal(&path, &input);
                // Read again it is the same, and so is its absolute form.
                assert_eq!(
                    RelPath::parse(path.as_bytes(), root).expect("normal"),
                    path,
                    "{input:?}"
                );
                let absolute = path.beneath(root);
                assert!(absolute.starts_with(root), "{input:?} gave {absolute:?}");
                // The kernel takes at most 4,095 bytes, the root's included.
                if absolute.len() < 4096 {
                    assert_eq!(
                        RelPath::parse(&absolute, root).expect("beneath the root"),
                        path,
                        "{input:?}"
                    );
                }
                if let Some((parent, name)) = path.split_last() {
                    assert!(path.starts_with(&parent) && !name.contains(&b'/'));
                }
            }
            Err(error) => {
                refused += 1;
                let code = error.code();
                assert!(
                    matches!(code, ErrorCode::PathEscapeAttempt | ErrorCode::InvalidPath),
                    "{input:?} gave {error:?}"
                );
                // An escape is only told where the text climbs.
                assert!(code == ErrorCode::InvalidPath || input.windows(2).any(|two| two == b".."));
            }
        }
    }
    assert!(
        parsed > ROUNDS / 10 && refused > ROUNDS / 10,
        "{parsed} parsed, {refused} refused"
    );
}

/// What the text means, worked out with a list instead of the bytes that are being written.
fn expected(input: &[u8], root: &[u8]) -> Option<Vec<u8>> {
    let below = input
        .strip_prefix(root)
        .filter(|rest| root != b"/" && (rest.is_empty() || rest.starts_with(b"/")))
        .unwrap_or(input);
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in below.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join(&b'/'))
}

#[test]
fn a_path_means_what_a_second_reading_of_the_rules_says() {
    let mut random = Random(0xa54f_f53a_5f1d_36f1);
    for _ in 0..ROUNDS {
        let (input, root) = (input(&mut random), ROOTS[random.below(ROOTS.len())]);
        match (RelPath::parse(&input, root), expected(&input, root)) {
            (Ok(path), expected) => assert_eq!(
                Some(path.as_bytes()),
                expected.as_deref(),
                "{input:?} in {root:?}"
            ),
            (Err(error), Some(_)) => assert_eq!(
                error.code(),
                ErrorCode::InvalidPath,
                "{input:?} in {root:?}"
            ),
            (Err(_), None) => {}
        }
    }
}
