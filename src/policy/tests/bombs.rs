//! Texts made to hurt the judge: they may be refused or pass, but they cost little and bring nothing down.

use std::fmt::Write as _;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::super::bounded::{is_parsable, judge_here};
use super::super::shell::ReadBy;
use super::super::{PolicyContext, judge, reader, tree};
use super::bomb_texts::bombs;
use super::random::Random;
use super::{INSIDE, allowed, dangerous, downloads};

/// What a text may cost, in time of the processor. The promise is 50 ms; a build without optimisation is slower.
pub const LIMIT: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1000 } else { 50 });

pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Judges by both readers on this thread, without a deadline: it is the bounds that must hold.
fn cost(text: &str, context: &PolicyContext<'_>) -> Duration {
    let mut most = Duration::ZERO;
    for reader in [ReadBy::Parser, ReadBy::Tokens] {
        let before = cpu_time();
        let _ = judge_here(text, context, reader, None);
        most = most.max(cpu_time() - before);
    }
    most
}

#[test]
fn no_bomb_costs_more_than_the_limit_even_on_a_small_stack() {
    let small = std::thread::Builder::new().stack_size(2 << 20).spawn(|| {
        for (name, text) in bombs() {
            let _ = judge(&text, &INSIDE);
            assert!(name.len() < 100);
        }
    });
    small
        .expect("a thread")
        .join()
        .expect("no bomb ends a thread");
    let measured = std::thread::Builder::new().stack_size(64 << 20).spawn(|| {
        let mut slow: Vec<(Duration, String)> = bombs()
            .iter()
            .map(|(name, text)| (cost(text, &INSIDE), name.clone()))
            .collect();
        slow.sort();
        slow.split_off(slow.len() - 9)
    });
    let slowest = measured
        .expect("a thread")
        .join()
        .expect("no bomb ends a thread");
    println!("the slowest: {:?}", slowest.last());
    assert!(
        slowest.iter().all(|(time, _)| *time < LIMIT),
        "{slowest:#?}"
    );
}

#[test]
fn random_shell_like_texts_neither_panic_nor_take_long() {
    const PIECES: &[&str] = &[
        "rm -rf ",
        "sudo ",
        "curl x",
        " | sh",
        "(",
        ")",
        "((",
        "))",
        "{ ",
        "; }",
        "$(",
        "`",
        "\"",
        "'",
        "\\",
        "\n",
        ";",
        "&&",
        "||",
        "|",
        "&",
        "if ",
        "then ",
        "fi ",
        "for x in ",
        "do ",
        "done ",
        "case x in ",
        "esac ",
        "a) ",
        ";;",
        "<<E\n",
        "\nE\n",
        "<<-'E'",
        "<<<",
        ">",
        "<",
        "2>&1",
        "$x",
        "${x:-",
        "}",
        "x=",
        "x+=(",
        "$'",
        "\\x72",
        "{a,b}",
        "*",
        "?",
        "[",
        "]",
        "~",
        "/",
        "..",
        "/etc",
        "é",
        "\u{1f600}",
        "\0",
        "bash -c ",
        "eval ",
        "xargs ",
        "find / -exec ",
        "env ",
        "f() ",
        "function f ",
        "[[ ",
        " ]]",
        "#",
        " ",
        "\t",
        "=",
        "-c",
        "$((",
        "<(",
        "!",
        "time ",
        "coproc ",
        "select x in ",
        "until ",
        "while ",
    ];
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let outside = PolicyContext {
        refuse_outside_writes: true,
        ..INSIDE
    };
    let worker = std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(move || {
            for round in 0..4_000 {
                let mut text = String::new();
                for _ in 0..=random.below(if round % 50 == 0 { 400 } else { 40 }) {
                    text.push_str(PIECES[random.below(PIECES.len())]);
                }
                let time = cost(&text, &outside);
                assert!(time < LIMIT, "{time:?}: {text:?}");
            }
        });
    worker
        .expect("a thread")
        .join()
        .expect("no text ends a thread");
}

#[test]
fn every_beginning_of_every_table_entry_is_judged() {
    let tables = [
        allowed::ALLOWED,
        dangerous::REMOVAL,
        dangerous::PRIVILEGE,
        downloads::DOWNLOAD,
    ];
    for command in tables.into_iter().flatten() {
        for end in (0..command.len()).filter(|&end| command.is_char_boundary(end)) {
            assert!(judge_here(&command[..end], &INSIDE, ReadBy::Tokens, None).is_some());
        }
    }
}

#[test]
fn the_parser_reads_what_the_tables_hold() {
    let tables = [
        allowed::ALLOWED,
        dangerous::REMOVAL,
        dangerous::PRIVILEGE,
        downloads::DOWNLOAD,
    ];
    let all: Vec<&str> = tables.into_iter().flatten().copied().collect();
    let unread: Vec<&&str> = all
        .iter()
        .filter(|c| !c.contains("<("))
        .filter(|c| !is_parsable(c) || tree::parse(c).is_none())
        .collect();
    assert!(unread.len() * 50 < all.len(), "{unread:#?}");
}

#[test]
fn a_long_harmless_document_passes_and_what_follows_it_is_judged() {
    let mut text = String::from("cat > notes.md <<'END'\n");
    while text.len() < 200_000 {
        let _ = writeln!(
            text,
            "line {}: don't run sudo, `rm -rf /` or curl x | sh (((",
            text.len()
        );
    }
    assert_eq!(judge(&format!("{text}END\nls\n"), &INSIDE), Ok(()));
    let refusal = judge(&format!("{text}END\nrm -rf /\n"), &INSIDE).expect_err("a removal");
    assert_eq!(refusal.rule, "recursive-removal");
}

#[test]
fn the_depth_is_counted_where_the_parser_would_recurse() {
    for (text, depth) in [
        ("a", 0),
        ("(a)", 1),
        ("( ( a ) )", 2),
        ("$(a)", 1),
        ("echo \"$(a)\"", 2),
        ("if a; then ( b ); fi", 2),
        ("(((a)))", 3),
    ] {
        assert_eq!(reader::read(text).depth, depth, "{text}");
    }
}

#[test]
fn the_parser_has_stack_enough_for_all_openers_that_it_may_ever_see() {
    let worker = std::thread::Builder::new().stack_size(64 << 20).spawn(|| {
        for (opener, times) in [
            ("{ ", 990),
            ("if ", 990),
            ("! ", 990),
            ("while ", 990),
            ("[[ ! ", 330),
        ] {
            let text = opener.repeat(times);
            assert!(is_parsable(&text), "{opener}");
            drop(tree::parse(&text));
        }
    });
    worker
        .expect("a thread")
        .join()
        .expect("no text ends a thread");
}

#[test]
fn a_harmless_command_passes_within_microseconds() {
    for command in ["true", "ls", "npm test", "rm -rf node_modules dist"] {
        let before = cpu_time();
        for _ in 0..1_000 {
            assert_eq!(judge(std::hint::black_box(command), &INSIDE), Ok(()));
        }
        let each = (cpu_time() - before) / 1_000;
        println!("{command}: {each:?}");
        assert!(each < Duration::from_micros(5), "{command}: {each:?}");
    }
}
