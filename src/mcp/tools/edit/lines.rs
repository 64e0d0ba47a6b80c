//! Finding a run of lines whatever white space stands around each of them, and fitting in what takes its place.
//!
//! White space is what JavaScript's `trim()` and `\s` mean by it, because the reference server uses them: a byte order
//! mark belongs to it, NEL does not.

use std::ops::Range;

use super::matching::{EditError, check_length};
use super::numbers::Numbers;

/// A line of the content that is none of those looked for.
const OTHER: u32 = u32::MAX;
/// The caller is asked whether to go on each time this many lines have been compared.
const LINES_BETWEEN_QUESTIONS: usize = 1 << 12;

/// Where the first run of lines stands that equals the lines of `old` but for the white space around each.
///
/// Lines that are not UTF-8 are compared as readers see them, with U+FFFD in place of what is malformed.
pub(super) fn find(
    content: &[u8],
    old: &[u8],
    stop: &dyn Fn() -> bool,
) -> Result<Option<Range<usize>>, EditError> {
    let mut numbers = Numbers::with_capacity(0);
    let wanted: Vec<u32> = split(old).map(|line| numbers.number(trim(line))).collect();
    let fall_backs = fall_backs(&wanted);
    let replacement = "\u{fffd}".as_bytes();
    let may_be_malformed = memchr::memmem::find(old, replacement).is_some();
    let number_of = |line: &[u8]| match numbers.get(line) {
        Some(number) => number,
        None if may_be_malformed => {
            let shown = String::from_utf8_lossy(line);
            numbers.get(shown.as_bytes()).unwrap_or(OTHER)
        }
        None => OTHER,
    };
    let mut end = 0;
    let mut matched = 0;
    for (at, line) in split(content).enumerate() {
        if at % LINES_BETWEEN_QUESTIONS == LINES_BETWEEN_QUESTIONS - 1 && stop() {
            return Err(EditError::Stopped);
        }
        end += line.len();
        let number = number_of(trim(line));
        while matched > 0 && wanted[matched] != number {
            matched = fall_backs[matched - 1];
        }
        matched += usize::from(wanted[matched] == number);
        if matched == wanted.len() {
            let before = memchr::memrchr_iter(b'\n', &content[..end]).nth(matched - 1);
            return Ok(Some(before.map_or(0, |newline| newline + 1)..end));
        }
        end += 1;
    }
    Ok(None)
}

/// For each start of the run that has matched, the longest shorter start which then has matched as well (Knuth, Morris
/// and Pratt), so that no line of the content is looked at twice.
fn fall_backs(wanted: &[u32]) -> Vec<usize> {
    let mut all = vec![0; wanted.len()];
    let mut matched = 0;
    for at in 1..wanted.len() {
        while matched > 0 && wanted[at] != wanted[matched] {
            matched = all[matched - 1];
        }
        matched += usize::from(wanted[at] == wanted[matched]);
        all[at] = matched;
    }
    all
}

/// The new lines as they are written at a place with this indentation.
///
/// The first line takes it over. A later one does so where it and the old line beside it are both indented, and keeps
/// in blanks what it is indented more than that old line; else it stays as it is.
pub(super) fn indented(
    limit: usize,
    indent: &[u8],
    old: &[u8],
    new: &[u8],
) -> Result<Vec<u8>, EditError> {
    let mut out = Vec::with_capacity(new.len() + indent.len());
    let mut old_lines = split(old);
    for (at, line) in split(new).enumerate() {
        let own = self::indent(line);
        let beside = old_lines.next().map_or(&[][..], self::indent);
        if at > 0 {
            out.push(b'\n');
        }
        if at > 0 && (own.is_empty() || beside.is_empty()) {
            out.extend_from_slice(line);
            continue;
        }
        let deeper = match at {
            0 => 0,
            _ => utf16_length(own).saturating_sub(utf16_length(beside)),
        };
        let bare = &line[own.len()..];
        check_length(limit, out.len() + indent.len() + deeper + bare.len())?;
        out.extend_from_slice(indent);
        out.resize(out.len() + deeper, b' ');
        out.extend_from_slice(bare);
    }
    Ok(out)
}

/// The white space at the start of the first line.
pub(super) fn indent(text: &[u8]) -> &[u8] {
    let first_line = split(text).next().unwrap_or_default();
    &first_line[..first_line.len() - trim_start(first_line).len()]
}

fn split(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        match memchr::memchr(b'\n', text) {
            Some(at) => {
                rest = Some(&text[at + 1..]);
                Some(&text[..at])
            }
            None => rest.take(),
        }
    })
}

fn trim(line: &[u8]) -> &[u8] {
    let mut line = trim_start(line);
    let ends = |line: &[u8]| {
        (1..=line.len().min(3)).find(|&length| white_space(&line[line.len() - length..]) == length)
    };
    while let Some(length) = ends(line) {
        line = &line[..line.len() - length];
    }
    line
}

fn trim_start(line: &[u8]) -> &[u8] {
    let mut line = line;
    loop {
        match white_space(line) {
            0 => return line,
            length => line = &line[length..],
        }
    }
}

/// How many bytes the character of white space at the start has; 0 where there is none. The first byte of a character
/// is never one of the later bytes of another, so this holds in malformed text too.
fn white_space(text: &[u8]) -> usize {
    match text {
        [b'\t'..=b'\r' | b' ', ..] => 1,
        // U+00A0.
        [0xc2, 0xa0, ..] => 2,
        // U+1680.
        [0xe1, 0x9a, 0x80, ..]
        // U+2000 to U+200A, U+2028, U+2029, U+202F.
        | [0xe2, 0x80, 0x80..=0x8a | 0xa8 | 0xa9 | 0xaf, ..]
        // U+205F.
        | [0xe2, 0x81, 0x9f, ..]
        // U+3000.
        | [0xe3, 0x80, 0x80, ..]
        // U+FEFF.
        | [0xef, 0xbb, 0xbf, ..] => 3,
        _ => 0,
    }
}

/// All white space has one unit of UTF-16 a character, whatever its bytes.
fn utf16_length(white_space: &[u8]) -> usize {
    white_space
        .iter()
        .filter(|&&byte| byte & 0xc0 != 0x80)
        .count()
}
