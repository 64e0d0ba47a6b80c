//! A brief fuzz of the judge, always the same: the corpora and spellings mutated, cut, joined and garbled. What comes out
//! may pass or be refused; it costs little, brings nothing down, and the glance lets nothing through that is refused.

use super::super::bounded::judge_here;
use super::super::shell::ReadBy;
use super::super::{PolicyContext, is_harmless};
use super::bombs::{LIMIT, cpu_time};
use super::random::Random;
use super::{INSIDE, allowed, dangerous, downloads, everyday, on_a_large_stack, spellings};

/// Texts judged, each by both readers: about two seconds.
const ROUNDS: usize = if cfg!(debug_assertions) {
    4_000
} else {
    60_000
};

const SPLICES: &[&str] = &[
    "(",
    ")",
    "((",
    "))",
    "{",
    "}",
    "[[",
    "]]",
    "$(",
    "`",
    "\"",
    "'",
    "\\",
    "\n",
    ";",
    "&",
    "&&",
    "||",
    "|",
    ">",
    "<",
    "<<E\n",
    "<<<",
    ">(",
    "<(",
    "$'",
    "${x:-",
    "$x",
    "*",
    "?",
    "{a,b}",
    "{1..9}",
    "#",
    "\0",
    "\u{fffd}",
    "\u{202e}",
    "é",
    "=",
    " -- ",
    " sudo ",
    " | sh",
    " if ",
    " fi ",
    " do ",
    " done ",
    " case x in ",
    " esac ",
    "f() ",
    " & ",
    "/dev/sda",
    "/etc/passwd",
    "~",
    "..",
    "/",
    "eval ",
    "bash -c ",
    "xargs ",
    "x=",
    "\r",
    "\t",
    "\\\n",
];

fn seeds() -> Vec<String> {
    let mut seeds: Vec<String> = everyday::corpus()
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    let tables = [
        allowed::ALLOWED,
        dangerous::REMOVAL,
        dangerous::PRIVILEGE,
        downloads::DOWNLOAD,
    ];
    seeds.extend(tables.into_iter().flatten().map(|text| (*text).to_owned()));
    for rule in [
        "reverse-shell",
        "fork-bomb",
        "system-write",
        "system-control",
        "raw-device",
    ] {
        seeds.extend(spellings::spellings(rule).into_iter().step_by(10));
    }
    seeds
}

/// A place between two characters.
fn place(text: &str, random: &mut Random) -> usize {
    let mut at = random.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn mutate(text: &mut String, seeds: &[String], random: &mut Random) {
    let at = place(text, random);
    match random.below(9) {
        0 | 1 => text.insert_str(at, random.pick(SPLICES)),
        2 => text.truncate(at),
        3 => {
            let other = &seeds[random.below(seeds.len())];
            text.insert_str(at, &other[place(other, random)..]);
        }
        4 => {
            let end = place(text, random).max(at);
            text.replace_range(at..end, "");
        }
        5 => {
            let end = place(text, random).max(at);
            let part = text[at..end].repeat(1 + random.below(4));
            text.insert_str(at, &part);
        }
        6 => text.insert(
            at,
            char::from_u32(u32::try_from(random.below(0x3000)).unwrap_or(0)).unwrap_or('x'),
        ),
        7 => {
            // As if bytes had been garbled on the way.
            let mut bytes = text.clone().into_bytes();
            if !bytes.is_empty() {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        _ => {
            let open = random.pick(&["(", "{ ", "$(", "\"$(", "`", "if a; then ", "[[ ", "${x:-"]);
            text.insert_str(at, &open.repeat(1 + random.below(20)));
        }
    }
}

#[test]
fn mutated_texts_neither_panic_nor_take_long_nor_slip_past_the_glance() {
    on_a_large_stack(|| {
        let seeds = seeds();
        let mut random = Random(0x7b09_e667_f3bc_c909);
        let (mut slowest, mut slipped) = (std::time::Duration::ZERO, Vec::new());
        for round in 0..ROUNDS {
            let mut text = seeds[random.below(seeds.len())].clone();
            for _ in 0..=random.below(4) {
                mutate(&mut text, &seeds, &mut random);
            }
            let context = PolicyContext {
                refuse_outside_writes: round % 2 == 0,
                root_dir: if round % 7 == 0 {
                    b"/"
                } else {
                    INSIDE.root_dir
                },
                ..INSIDE
            };
            for reader in [ReadBy::Parser, ReadBy::Tokens] {
                let before = cpu_time();
                let verdict = judge_here(&text, &context, reader, None);
                let time = cpu_time() - before;
                assert!(time < LIMIT, "{time:?}: {text:?}");
                slowest = slowest.max(time);
                // What needs no reading may nest as it likes.
                let rule = verdict.and_then(Result::err).map(|refusal| refusal.rule);
                if rule.is_some_and(|rule| rule != "too-deep") && is_harmless(&text, &context) {
                    slipped.push(format!("{reader:?} {rule:?}: {text:?}"));
                }
            }
        }
        println!("{ROUNDS} texts, each by both readers; the slowest took {slowest:?}");
        assert!(
            slipped.is_empty(),
            "{}:\n{}",
            slipped.len(),
            slipped[..slipped.len().min(20)].join("\n")
        );
    });
}
