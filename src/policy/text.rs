//! Text inside a word: escapes, quotes and braces, without knowledge of any variable.

use super::expand::{MAX_COPIED, MAX_FIELDS};
use super::skip::{closed_end, single_end};

/// Most characters in all alternatives that one step of a brace expansion makes.
const MAX_ALTERNATIVES: usize = 2 << 20;

/// The text from `from` to before the closer that ends at `end` (or to the end, where the closer is missing).
pub(super) fn inner(text: &str, from: usize, end: usize) -> &str {
    let closed = end > from
        && matches!(
            text.as_bytes().get(end - 1),
            Some(b'\'' | b'"' | b'`' | b')' | b'}' | b']')
        );
    text.get(from.min(end)..end - usize::from(closed))
        .unwrap_or_default()
}

/// The code between backticks, one level of escapes taken off.
pub(super) fn unescape_backticks(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\\' && matches!(chars.peek(), Some('`' | '\\' | '$')) {
            out.extend(chars.next());
        } else {
            out.push(c);
        }
    }
    out
}

/// The text of `$'…'`, also of `echo -e` and `printf`.
pub(super) fn ansi_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        let Some(escape) = chars.next() else { break };
        let (radix, most) = match escape {
            'x' => (16, 2),
            'u' => (16, 4),
            'U' => (16, 8),
            '0'..='7' => (8, 3),
            _ => (0, 0),
        };
        let mut digits = String::new();
        if radix == 8 {
            digits.push(escape);
        }
        while digits.len() < most
            && let Some(digit) = chars.next_if(|c| c.is_digit(radix))
        {
            digits.push(digit);
        }
        match escape {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            _ if radix > 0 => {
                out.extend(
                    u32::from_str_radix(&digits, radix)
                        .ok()
                        .and_then(char::from_u32),
                );
            }
            other => out.push(other),
        }
    }
    out
}

/// Brace expansion of `{a,b}` and `{a..c}`; `None` for a word so long that its alternatives cannot be looked at.
pub(super) fn braces(word: &str) -> Option<Vec<String>> {
    let mut open = vec![word.to_owned()];
    let mut done = Vec::new();
    let mut copied = 0;
    while let Some(word) = open.pop() {
        match first_braces(&word) {
            Some((start, end, values))
                if open.len() + done.len() < MAX_FIELDS && copied < MAX_COPIED =>
            {
                copied += word.len() * values.len();
                if copied > MAX_ALTERNATIVES {
                    return None;
                }
                let parts = values
                    .iter()
                    .map(|value| format!("{}{value}{}", &word[..start], &word[end..]));
                open.extend(parts.rev());
            }
            _ => done.push(word),
        }
    }
    Some(done)
}

/// Start, end and values of the first active braces.
fn first_braces(word: &str) -> Option<(usize, usize, Vec<String>)> {
    if !word.contains('{') || !(word.contains(',') || word.contains("..")) {
        return None;
    }
    let bytes = word.as_bytes();
    let (mut at, mut start, mut depth, mut commas) = (0, 0, 0usize, Vec::new());
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'\'' => at = single_end(bytes, at + 1) - 1,
            b'"' => at = closed_end(bytes, at + 1, b'"') - 1,
            b'`' => at = closed_end(bytes, at + 1, b'`') - 1,
            b'$' if bytes.get(at + 1) == Some(&b'{') => at = closed_end(bytes, at + 2, b'}') - 1,
            b'$' | b'<' | b'>' if bytes.get(at + 1) == Some(&b'(') => {
                at = closed_end(bytes, at + 2, b')') - 1;
            }
            b'{' => {
                if depth == 0 {
                    start = at;
                    commas.clear();
                }
                depth += 1;
            }
            b',' if depth == 1 => commas.push(at),
            b'}' if depth > 0 => {
                depth -= 1;
                if depth == 0 && !commas.is_empty() {
                    let mut values = Vec::with_capacity(commas.len() + 1);
                    let mut from = start + 1;
                    for comma in commas.into_iter().chain([at]) {
                        values.push(word[from..comma].to_owned());
                        from = comma + 1;
                    }
                    return Some((start, at + 1, values));
                }
                if depth == 0
                    && let Some(values) = sequence(&word[start + 1..at])
                {
                    return Some((start, at + 1, values));
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The first values of `a..c` or `1..9`; a step is taken for one of 1.
fn sequence(text: &str) -> Option<Vec<String>> {
    const MOST: usize = 32;
    let (first, rest) = text.split_once("..")?;
    let last = rest.split("..").next().unwrap_or_default();
    let letter = |text: &str| match text.as_bytes() {
        [letter] if letter.is_ascii_alphabetic() => Some(i64::from(*letter)),
        _ => None,
    };
    if let (Some(from), Some(to)) = (letter(first), letter(last)) {
        let letters = towards(from, to).take(MOST);
        return Some(
            letters
                .filter_map(|code| u8::try_from(code).ok())
                .map(|code| char::from(code).to_string())
                .collect(),
        );
    }
    let (from, to) = (first.parse().ok()?, last.parse().ok()?);
    Some(
        towards(from, to)
            .take(MOST)
            .map(|number: i64| number.to_string())
            .collect(),
    )
}

/// From one number to another, in either direction.
fn towards(from: i64, to: i64) -> Box<dyn Iterator<Item = i64>> {
    if from <= to {
        Box::new(from..=to)
    } else {
        Box::new((to..=from).rev())
    }
}
