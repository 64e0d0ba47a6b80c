//! Text inside a word: escapes, quotes and braces, without knowledge of any variable.

use super::expand::{MAX_COPIED, MAX_FIELDS};
use super::skip::{closed_end, single_end};

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

/// Brace expansion of `{a,b}`; sequences such as `{1..3}` stay as they are.
pub(super) fn braces(word: &str) -> Vec<String> {
    let mut open = vec![word.to_owned()];
    let mut done = Vec::new();
    let mut copied = 0;
    while let Some(word) = open.pop() {
        match first_braces(&word) {
            Some((start, end, commas))
                if open.len() + done.len() < MAX_FIELDS && copied < MAX_COPIED =>
            {
                copied += word.len() * (commas.len() + 1);
                let mut from = start + 1;
                let mut parts = Vec::new();
                for comma in commas.into_iter().chain([end - 1]) {
                    parts.push(format!(
                        "{}{}{}",
                        &word[..start],
                        &word[from..comma],
                        &word[end..]
                    ));
                    from = comma + 1;
                }
                open.extend(parts.into_iter().rev());
            }
            _ => done.push(word),
        }
    }
    done
}

/// Start, end and top-level commas of the first active braces.
fn first_braces(word: &str) -> Option<(usize, usize, Vec<usize>)> {
    if !word.contains('{') || !word.contains(',') {
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
            b'$' if bytes.get(at + 1) == Some(&b'(') => at = closed_end(bytes, at + 2, b')') - 1,
            b'<' | b'>' if bytes.get(at + 1) == Some(&b'(') => {
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
                    return Some((start, at + 1, commas));
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}
