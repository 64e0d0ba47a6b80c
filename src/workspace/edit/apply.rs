//! Replacing in bytes, and saying what is wrong when it cannot be done.

use std::time::{Duration, Instant};

use memchr::memmem;
use tokio_util::sync::CancellationToken;

use super::Edit;
use crate::error::{Error, ErrorCode, Result};
use crate::workspace::rewrite::check_length;

/// Many edits of a large file may take this long.
const TIME: Duration = Duration::from_secs(30);
/// No more occurrences than this are counted for a message.
const MAX_COUNTED: usize = 1_000;
/// No more lines than this are named in a message.
const MAX_NAMED: usize = 10;

/// The content after all edits, and how many occurrences were replaced.
pub(super) fn apply(
    content: &[u8],
    edits: &[Edit],
    ended: &CancellationToken,
) -> Result<(Vec<u8>, usize)> {
    let deadline = Instant::now() + TIME;
    let mut current = content.to_vec();
    let mut replacements = 0;
    for (at, edit) in edits.iter().enumerate() {
        if ended.is_cancelled() {
            return Err(super::destroyed());
        }
        if Instant::now() > deadline {
            return Err(Error::new(
                ErrorCode::Timeout,
                "the edits took too long; do them in several calls",
            ));
        }
        let places = find(&current, edit).map_err(|problem| {
            let which = which(at, edits.len());
            match problem {
                Problem::NotUnique(message) => {
                    Error::new(ErrorCode::EditNotUnique, format!("{which}{message}"))
                }
                Problem::NotFound => {
                    let hint = hint(&current, content, &edit.old_text);
                    let message = format!("{which}`oldText` was not found in the file{hint}");
                    Error::new(ErrorCode::EditNotFound, message)
                }
            }
        })?;
        current = replace(&current, edit, &places)?;
        replacements += places.len();
    }
    Ok((current, replacements))
}

/// Names an edit where there are several.
pub(super) fn which(at: usize, of: usize) -> String {
    if of > 1 {
        format!("edits[{at}]: ")
    } else {
        String::new()
    }
}

enum Problem {
    NotFound,
    NotUnique(String),
}

/// Where the old text stands.
fn find(content: &[u8], edit: &Edit) -> Result<Vec<usize>, Problem> {
    let finder = memmem::Finder::new(&edit.old_text);
    if edit.replace_all {
        let places: Vec<usize> = finder.find_iter(content).collect();
        return if places.is_empty() {
            Err(Problem::NotFound)
        } else {
            Ok(places)
        };
    }
    let first = finder.find(content).ok_or(Problem::NotFound)?;
    // Occurrences that overlap are two as well: which one was meant cannot be known.
    let mut places = vec![first];
    while places.len() < MAX_COUNTED {
        let next = places[places.len() - 1] + 1;
        match finder.find(&content[next..]) {
            Some(at) => places.push(next + at),
            None => break,
        }
    }
    if places.len() == 1 {
        Ok(places)
    } else {
        Err(Problem::NotUnique(not_unique(content, &places)))
    }
}

fn not_unique(content: &[u8], places: &[usize]) -> String {
    let many = if places.len() == MAX_COUNTED {
        "at least "
    } else {
        ""
    };
    let named: Vec<String> = (places.iter().take(MAX_NAMED))
        .map(|&at| line_of(content, at).to_string())
        .collect();
    let more = if places.len() > MAX_NAMED {
        ", …"
    } else {
        ""
    };
    format!(
        "`oldText` occurs {many}{} times (on lines {}{more}); add lines around it until it is unique, or set \
         `replaceAll`",
        places.len(),
        named.join(", ")
    )
}

fn replace(content: &[u8], edit: &Edit, places: &[usize]) -> Result<Vec<u8>> {
    let grown = places.len().saturating_mul(edit.new_text.len());
    let length = content.len() - places.len() * edit.old_text.len();
    let length = length.saturating_add(grown);
    check_length(length)?;
    let mut after = Vec::with_capacity(length);
    let mut copied = 0;
    for &at in places {
        after.extend_from_slice(&content[copied..at]);
        after.extend_from_slice(&edit.new_text);
        copied = at + edit.old_text.len();
    }
    after.extend_from_slice(&content[copied..]);
    Ok(after)
}

/// What comes near, so that the caller's next try is right.
fn hint(content: &[u8], original: &[u8], old_text: &[u8]) -> String {
    if memmem::find(original, old_text).is_some() {
        return ": an edit before it in this call changed that place".to_owned();
    }
    if old_text.contains(&b'\n') {
        let has_crlf = memmem::find(content, b"\r\n").is_some();
        let asks_crlf = memmem::find(old_text, b"\r\n").is_some();
        if has_crlf && !asks_crlf && memmem::find(content, &with_crlf(old_text)).is_some() {
            return ": the lines of the file end with CRLF (\\r\\n), those of `oldText` with LF (\\n); write \\r\\n in \
                    `oldText` and `newText`"
                .to_owned();
        }
        if asks_crlf && memmem::find(content, &without_cr(old_text)).is_some() {
            return ": the lines of `oldText` end with CRLF (\\r\\n), those of the file with LF (\\n)".to_owned();
        }
    }
    let near = |what: &str, line: usize| {
        format!(": {what} line {line}; copy the text as it stands in the file")
    };
    if let Some(line) = find_squeezed(content, old_text) {
        return near("a text that differs only in white space begins on", line);
    }
    let lower = |text: &[u8]| text.to_ascii_lowercase();
    if let Some(at) = memmem::find(&lower(content), &lower(old_text)) {
        let line = line_of(content, at);
        return near(
            "a text that differs only in upper and lower case begins on",
            line,
        );
    }
    let first = old_text.split(|&b| b == b'\n').map(<[u8]>::trim_ascii);
    if let Some(first) = first.into_iter().find(|line| !line.is_empty())
        && first.len() < old_text.trim_ascii().len()
        && let Some(at) = memmem::find(content, first)
    {
        return near(
            "its first line is there, but not what follows, on",
            line_of(content, at),
        );
    }
    "; read the file again and copy the text exactly".to_owned()
}

fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 16);
    for &byte in text {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

fn without_cr(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|&byte| byte != b'\r').collect()
}

/// The line on which the text begins when all runs of white space within lines count as one blank, and none at their
/// ends.
fn find_squeezed(content: &[u8], text: &[u8]) -> Option<usize> {
    let wanted = squeeze(text);
    let wanted = wanted.trim_ascii();
    if wanted.is_empty() {
        return None;
    }
    let squeezed = squeeze(content);
    let at = memmem::find(&squeezed, wanted)?;
    Some(line_of(&squeezed, at))
}

fn squeeze(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (number, line) in text.split(|&b| b == b'\n').enumerate() {
        if number > 0 {
            out.push(b'\n');
        }
        let words = line
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        for (at, word) in words.enumerate() {
            if at > 0 {
                out.push(b' ');
            }
            out.extend_from_slice(word);
        }
    }
    out
}

/// The line of a byte, counted from 1.
fn line_of(content: &[u8], at: usize) -> usize {
    1 + memchr::memchr_iter(b'\n', &content[..at]).count()
}
