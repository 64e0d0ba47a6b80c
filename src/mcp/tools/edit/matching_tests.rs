use std::cell::Cell;
use std::time::{Duration, Instant};

use super::*;

fn edit(old_text: &str, new_text: &str) -> TextEdit {
    TextEdit {
        old_text: old_text.to_owned(),
        new_text: new_text.to_owned(),
    }
}

fn apply_all(original: &[u8], edits: &[TextEdit]) -> Result<Applied, EditError> {
    apply(original, edits, &|| false)
}

/// The content with LF after one edit that is found.
fn edited(original: &str, old_text: &str, new_text: &str) -> String {
    let applied = apply_all(original.as_bytes(), &[edit(old_text, new_text)]).unwrap();
    String::from_utf8(applied.modified).unwrap()
}

fn is_found(original: &[u8], old_text: &str) -> bool {
    match apply_all(original, &[edit(old_text, "new")]) {
        Ok(_) => true,
        Err(EditError::NotFound { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_text_is_replaced_where_it_stands_first_and_nowhere_else() {
    assert_eq!(edited("one two one\none", "one", "1"), "1 two one\none");
    assert_eq!(edited("ab", "b", ""), "a");
    assert_eq!(edited("a\nb\nc", "a\nb", "$& $1"), "$& $1\nc");
    // What stands there exactly counts before lines that come first and differ in white space.
    assert_eq!(edited(" a\nb\na\nb\n", "\na\nb", "\nx"), " a\nb\nx\n");
}

#[test]
fn each_edit_works_on_what_the_one_before_left() {
    let edits = [edit("a", "b"), edit("b\n", "c\n"), edit("c\nd", "e")];
    let applied = apply_all(b"a\nd", &edits).unwrap();
    assert_eq!(applied.modified, b"e");
    assert_eq!(applied.normalised, b"a\nd");
    let untouched = apply_all(b"a\r\nb\n", &[]).unwrap();
    assert_eq!(untouched.modified, b"a\nb\n");
}

#[test]
fn an_empty_old_text_puts_the_new_one_at_the_start() {
    assert_eq!(edited("body", "", "head\n"), "head\nbody");
    assert_eq!(edited("", "", "all"), "all");
}

#[test]
fn lines_are_found_whatever_white_space_is_around_them_and_take_over_the_indentation() {
    for (original, old, new, expected) in [
        (
            "\tif x {  \n\t}\n",
            "if x {\n}",
            "if y {\n}",
            "\tif y {\n}\n",
        ),
        // A later line that is indented more than the old line beside it keeps the difference, in blanks.
        (
            "        f(\n          a,\n        )\n",
            "  f(\n    a,\n  )",
            "  g(\n      b,\n  )",
            "        g(\n          b,\n        )\n",
        ),
        // One that is indented less stands where the first does.
        ("\tx\n\ty\n", "  x\n    y", "  x\n  y", "\tx\n\ty\n"),
        // One without an old line beside it, or beside one that is not indented, stays as it is.
        ("  a\n", "a ", "a\n   b\nc", "  a\n   b\nc\n"),
        ("  a\n  b\n", "a\nb", "a\n b\n   c", "  a\n b\n   c\n"),
        // A line of white space is like any other, and all of it is indentation.
        ("a\n \t\nb", "  \nb", "x", "a\n \tx"),
        ("x\na\n \t\nb", "a \n\nb", "", "x\n"),
        // Where the new text is empty, an empty line is left.
        ("a\n  b\nc", " b \nc", "", "a\n  "),
        // The empty line behind the last newline can be part of what is found.
        ("x\n  a\nb\n", "a \nb\n", "c\n", "x\n  c\n"),
    ] {
        assert_eq!(edited(original, old, new), expected, "{original:?} {old:?}");
    }
    assert!(!is_found(b"a\n b\n", "b\n\n"));
}

#[test]
fn indentation_is_counted_in_characters() {
    // Three bytes each, and a tabulator is one.
    let original = "\u{3000}\u{3000}a\n\u{2003}b";
    let modified = edited(original, " a\n\u{3000}\u{3000}b", " c\n\t \u{a0}\u{feff}d");
    assert_eq!(modified, "\u{3000}\u{3000}c\n\u{3000}\u{3000}  d");
}

#[test]
fn white_space_is_what_javascript_means_by_it() {
    let white = "\t\u{b}\u{c}\r \u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\u{2005}\u{2006}\u{2007}\
                 \u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}";
    let found = |character: char| {
        // The old text does not stand there exactly: the first line has something behind it.
        is_found(format!("{character}a{character}\nb").as_bytes(), "a\nb")
    };
    for character in (0..=0xffff).filter_map(char::from_u32) {
        if !matches!(character, '\n' | 'a') {
            assert_eq!(found(character), white.contains(character), "{character:?}");
        }
    }
}

#[test]
fn the_first_run_of_lines_is_found_as_a_plain_search_finds_it() {
    let texts = |longest: u32, line: [&'static str; 2]| {
        (1..=longest).flat_map(move |length| {
            (0..1_u32 << length).map(move |bits| {
                let lines = (0..length).map(|at| line[(bits >> at & 1) as usize]);
                lines.collect::<Vec<_>>()
            })
        })
    };
    for content in texts(7, [" a", "b "]) {
        for old in texts(4, ["a", "b"]) {
            let plain = |window: &[&str]| {
                window
                    .iter()
                    .map(|line| line.trim())
                    .eq(old.iter().copied())
            };
            let expected = content.windows(old.len()).position(plain);
            let (content, old) = (content.join("\n"), old.join("\n"));
            let found = lines::find(content.as_bytes(), old.as_bytes(), &|| false).unwrap();
            let line = found.map(|place| content[..place.start].matches('\n').count());
            assert_eq!(line, expected, "{content:?} {old:?}");
        }
    }
}

#[test]
fn a_file_that_has_only_crlf_keeps_it_and_any_other_gets_lf() {
    let write = |original: &[u8], old: &str, new: &str| {
        apply_all(original, &[edit(old, new)]).unwrap().to_write
    };
    assert_eq!(write(b"a\r\nb\r\nc", "b\nc", "x\ny"), b"a\r\nx\r\ny");
    assert_eq!(write(b"a\r\nb\r\n", "a\r\nb", "x\r\ny"), b"x\r\ny\r\n");
    assert_eq!(write(b"\r\n", "", "x"), b"x\r\n");
    assert_eq!(write(b"a\r\nb\nc\r\n", "b", "x"), b"a\nx\nc\n");
    assert_eq!(write(b"a\nb", "b", "x\r\ny"), b"a\nx\ny");
    assert_eq!(write(b"\na\r\n", "a", "x"), b"\nx\n");
    // Where there is no line end, those of the new text count as LF.
    assert_eq!(write(b"a", "a", "x\r\ny"), b"x\ny");
    // A carriage return more is content, and one alone is no line end.
    assert_eq!(write(b"a\r\r\nb\rc\r\n", "c", "x"), b"a\r\r\nb\rx\r\n");
    let applied = apply_all(b"a\r\r\nb\n", &[edit("b", "x")]).unwrap();
    assert_eq!(applied.normalised, b"a\r\nb\n");
    assert_eq!(applied.modified, b"a\r\nx\n");
}

#[test]
fn bytes_that_are_not_utf8_stay_as_they_are() {
    let applied = apply_all(
        b"\xff\xfe a\n\xc3b\xe2\x82",
        &[edit("a", "x"), edit("b", "y")],
    )
    .unwrap();
    assert_eq!(applied.modified, b"\xff\xfe x\n\xc3y\xe2\x82");
    // A reader was shown U+FFFD, so whole lines are found by it.
    let shown = edit("a\u{fffd}\u{fffd} \nb", "c");
    let applied = apply_all(b"\xff\n  a\xff\xe2\x82\nb\n", &[shown]).unwrap();
    assert_eq!(applied.modified, b"\xff\n  c\n");
    assert!(!is_found(b"a\xff\nb", "a\nb "));
}

#[test]
fn a_text_that_is_not_there_is_named_as_it_was_given_and_nothing_is_changed() {
    let edits = [edit("a", "b"), edit("a\r\nz", "")];
    let error = apply_all(b"a\n", &edits).unwrap_err();
    assert_eq!(
        error,
        EditError::NotFound {
            index: 1,
            old_text: "a\r\nz".to_owned()
        }
    );
    let message = "Could not find exact match for edit:\na\r\nz";
    assert_eq!(error.to_string(), message);
    assert!(!is_found(b"a\nb", "a\nb\nc "));
    assert!(!is_found(b"", "a"));
    assert!(!is_found(b"ab", "a b"));
}

#[test]
fn a_result_that_is_too_large_is_refused_before_it_is_made() {
    let with = |limit, original: &[u8], edit: &TextEdit| {
        apply_within(limit, original, std::slice::from_ref(edit), &|| false)
    };
    let too_large = |limit| Err(EditError::TooLarge { limit });
    let exact = edit("a", "bcd");
    assert!(with(4, b"a\n", &exact).is_ok());
    assert_eq!(with(3, b"a\n", &exact), too_large(3));
    // CRLF is counted.
    assert!(with(5, b"a\r\n", &exact).is_ok());
    assert_eq!(with(4, b"a\r\n", &exact), too_large(4));
    // Each new line takes over a long indentation.
    let original = format!("{}a \nb", " ".repeat(1 << 20));
    let lines = edit(&" a\n".repeat(1000), &" b\n".repeat(1000));
    let original = original.replace("a \nb", &"a \n".repeat(1000));
    assert_eq!(
        apply_all(original.as_bytes(), &[lines]),
        too_large(MAX_RESULT_BYTES)
    );
}

#[test]
fn a_caller_who_says_stop_is_heard_between_edits_and_among_lines() {
    let asked = Cell::new(0);
    let after = |times: usize| {
        asked.set(0);
        let asked = &asked;
        move || {
            asked.set(asked.get() + 1);
            asked.get() > times
        }
    };
    let edits = [edit("a", "b"), edit("b", "c")];
    assert_eq!(apply(b"a", &edits, &after(1)), Err(EditError::Stopped));
    assert!(apply(b"a", &edits, &after(2)).is_ok());
    let content = "a\n".repeat(100_000);
    let missing = [edit("a\nb", "")];
    let stopped = apply(content.as_bytes(), &missing, &after(5));
    assert_eq!(stopped, Err(EditError::Stopped));
    assert_eq!(asked.get(), 6);
}

#[test]
fn thousands_of_lines_that_nearly_match_everywhere_are_compared_in_no_time() {
    let content = "\ta\n".repeat(100_000);
    let missing = edit(&format!("{}b", "a\n".repeat(10_000)), "");
    let started = Instant::now();
    assert!(apply_all(content.as_bytes(), &[missing]).is_err());
    assert!(started.elapsed() < Duration::from_secs(1));
    // And where they match, so many new lines are written.
    let content = format!("{content}\tb");
    let there = edit(
        &format!("{}b", "a\n".repeat(99_999)),
        &" c\n".repeat(10_000),
    );
    assert!(apply_all(content.as_bytes(), &[there]).is_ok());
    assert!(started.elapsed() < Duration::from_secs(2));
}
