use super::*;
use crate::error::ErrorCode;

const BOUNDS: GrepBounds = GrepBounds {
    max_matches: 1_000,
    max_bytes: 1 << 20,
    max_line_bytes: 200,
    max_file_bytes: 1 << 30,
};

fn query(pattern: &str) -> GrepQuery {
    GrepQuery {
        pattern: pattern.to_owned(),
        ..GrepQuery::default()
    }
}

fn search(query: &GrepQuery, bytes: &[u8]) -> FileLines {
    Grep::new(query, BOUNDS)
        .unwrap()
        .search_bytes(&RelPath::root(), bytes, &|| false)
}

/// `number:column:text`, with `-` in place of the column of a context line.
fn lines(found: &FileLines) -> Vec<String> {
    found
        .lines
        .iter()
        .map(|line| {
            let column = line
                .column
                .map_or("-".to_owned(), |column| column.to_string());
            format!("{}:{column}:{}", line.line_number, line.text)
        })
        .collect()
}

#[test]
fn a_line_comes_with_its_number_and_the_place_of_the_first_match() {
    let found = search(&query(r"b+"), b"aaa\nxxbb b\n\nb");
    assert_eq!(lines(&found), ["2:2:xxbb b", "4:0:b"]);
    assert_eq!(found.matches, 2);
}

#[test]
fn the_switches_do_what_they_say() {
    let text = b"a.c\nabc\nABC\nxabcx\n";
    let with = |change: fn(&mut GrepQuery), pattern: &str| {
        let mut query = query(pattern);
        change(&mut query);
        lines(&search(&query, text))
    };
    assert_eq!(with(|q| q.literal = true, "a.c"), ["1:0:a.c"]);
    assert_eq!(
        with(|q| q.ignore_case = true, "abc"),
        ["2:0:abc", "3:0:ABC", "4:1:xabcx"]
    );
    assert_eq!(with(|q| q.word = true, "abc"), ["2:0:abc"]);
    assert_eq!(with(|q| q.max_count_per_file = Some(1), "a"), ["1:0:a.c"]);
    assert_eq!(with(|q| q.max_count_per_file = Some(0), "a").len(), 0);
}

#[test]
fn context_stands_around_matches_once() {
    let mut query = query("hit");
    query.before_context = 1;
    query.after_context = 1;
    let found = search(&query, b"a\nhit\nb\nhit\nc\nd\n");
    assert_eq!(
        lines(&found),
        ["1:-:a", "2:0:hit", "3:-:b", "4:0:hit", "5:-:c"]
    );
    assert_eq!(found.matches, 2);
}

#[test]
fn windows_line_ends_are_line_ends() {
    let found = search(&query("b$"), b"ab\r\ncb\r\n");
    assert_eq!(lines(&found), ["1:1:ab", "2:1:cb"]);
}

#[test]
fn a_match_may_span_lines_where_asked() {
    let mut query = query(r"start[\s\S]*?end");
    query.multiline = true;
    let found = search(&query, b"x\nxx start\nmid\nend yy\nstart end\n");
    assert_eq!(
        lines(&found),
        ["2:3:xx start", "3:0:mid", "4:0:end yy", "5:0:start end"]
    );
    let mut query = query.clone();
    query.pattern = "mid\nend".to_owned();
    query.literal = true;
    assert_eq!(
        lines(&search(&query, b"a\nmid\nend\n")),
        ["2:0:mid", "3:0:end"]
    );
}

#[test]
fn a_file_with_a_nul_is_binary_wherever_it_stands() {
    let mut late = [b"needle\n".repeat(500), b"other\n".repeat(50_000)].concat();
    late.push(0);
    for multiline in [false, true] {
        let mut query = query("needle");
        query.multiline = multiline;
        for bytes in [b"needle\0".as_slice(), b"\0\nneedle\n", &late] {
            let found = search(&query, bytes);
            assert!(found.binary && found.lines.is_empty());
        }
    }
}

#[test]
fn utf16_with_a_byte_order_mark_is_text() {
    let mut bytes = vec![0xff, 0xfe];
    bytes.extend("größe\nneedle\n".encode_utf16().flat_map(u16::to_le_bytes));
    for multiline in [false, true] {
        let mut query = query("needle");
        query.multiline = multiline;
        assert_eq!(lines(&search(&query, &bytes)), ["2:0:needle"]);
    }
}

#[test]
fn case_and_words_are_those_of_unicode() {
    let mut query = query("STRASSE|ÄRGER");
    query.ignore_case = true;
    query.word = true;
    assert_eq!(
        lines(&search(&query, "kein ärger\n".as_bytes())),
        ["1:5:kein ärger"]
    );
    assert!(search(&query, "verärgert\n".as_bytes()).lines.is_empty());
}

#[test]
fn a_long_line_is_cut_between_characters() {
    for (character, width) in [("é", 2), ("語", 3), ("😀", 4), ("a", 1)] {
        let line = format!("{}needle", character.repeat(300));
        let found = search(&query("needle"), line.as_bytes());
        let text = &found.lines[0].text;
        assert!(
            text.len() <= 200 && text.len() > 200 - width,
            "{}",
            text.len()
        );
        assert!(text.chars().all(|c| c.to_string() == character));
        assert_eq!(found.lines[0].column, Some(300 * width));
    }
    let found = search(
        &query("needle"),
        &[b"\xff".repeat(300).as_slice(), b"needle"].concat(),
    );
    assert!(found.lines[0].text.len() <= 200);
}

#[test]
fn what_is_not_utf8_is_found_by_bytes_and_shown_with_replacements() {
    let found = search(&query("caf"), b"\xe9\xe8 caf\xe9\n");
    assert_eq!(lines(&found), ["1:3:\u{fffd}\u{fffd} caf\u{fffd}"]);
}

#[test]
fn a_bad_pattern_says_why() {
    for (pattern, literal, part) in [
        ("(", false, "unclosed group"),
        (r"\w{1000}{1000}", false, "size limit"),
        ("a\nb", false, "multiline"),
        (&"x".repeat(70_000), true, "longer than"),
        (&"(".repeat(1000), false, "literal"),
    ] {
        let mut query = query(pattern);
        query.literal = literal;
        let error = Grep::new(&query, BOUNDS).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
        assert!(error.message().contains(part), "{}", error.message());
    }
}

#[test]
fn a_line_of_a_gigabyte_costs_neither_memory_nor_time() {
    struct Endless(u64);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0 += buffer.len() as u64;
            buffer.fill(b'a');
            Ok(buffer.len())
        }
    }
    let mut grep = Grep::new(&query("needle"), BOUNDS).unwrap();
    let mut endless = Endless(0);
    let found = grep.search_reader(&RelPath::root(), &mut endless, &|| false);
    assert!(found.cut_short && found.lines.is_empty());
    assert!(endless.0 <= 64 << 20, "read {} bytes", endless.0);
}

#[test]
fn a_search_that_is_stopped_ends_within_a_buffer() {
    let asked = std::cell::Cell::new(0);
    let stopped = || {
        asked.set(asked.get() + 1);
        asked.get() > 3
    };
    let text = b"needle\n".repeat(1_000_000);
    let mut query = query("needle");
    for multiline in [false, true] {
        query.multiline = multiline;
        asked.set(0);
        let mut grep = Grep::new(&query, BOUNDS).unwrap();
        let bounds = GrepBounds {
            max_matches: usize::MAX,
            max_bytes: usize::MAX,
            ..BOUNDS
        };
        grep.bounds = bounds;
        let found = grep.search_bytes(&RelPath::root(), &text, &stopped);
        assert!(found.cut_short);
        assert!(found.matches < 50_000);
    }
}

#[test]
fn bounds_of_one_file_hold() {
    let bounds = GrepBounds {
        max_matches: 3,
        ..BOUNDS
    };
    let mut grep = Grep::new(&query("a"), bounds).unwrap();
    let found = grep.search_bytes(&RelPath::root(), b"a\na\na\n", &|| false);
    assert!(found.matches == 3 && !found.cut_short);
    let found = grep.search_bytes(&RelPath::root(), b"a\na\na\na\n", &|| false);
    assert!(found.matches == 3 && found.cut_short);
}
