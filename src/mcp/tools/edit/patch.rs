//! The text with which `edit_file` answers: a unified diff in a fence of backticks.
//!
//! It is byte for byte what the reference server gives, which asks jsdiff for it, also where a change can be shown in
//! several ways: of all shortest diffs jsdiff's is chosen (see `myers`). Unlike there, time and size are bounded.
//! Where no shortest diff is found in time, everything from the first changed line to the last is shown as replaced;
//! a long diff is cut behind a whole line, and a last line says so.

mod myers;

use std::fmt::Write as _;
use std::time::Duration;

use myers::{Effort, Kind, Run};

use super::matching::normalise_line_ends;

/// Lines shown around a change. Changes that have no more than twice as many between them share a hunk.
const CONTEXT: usize = 4;
/// What may be spent on the shortest diff. So many changes need 134 million decisions, which are 16 MiB.
const EFFORT: Effort = Effort {
    time: Duration::from_millis(500),
    changes: 1 << 14,
    lines: 1 << 20,
};
/// A longer diff is cut.
const MAX_PATCH_BYTES: usize = 1 << 20;

/// The diff between two contents of a file, fenced as a block of Markdown.
///
/// CRLF counts as LF. `path` stands in the head as it is. What is not UTF-8 is compared as bytes and shown as U+FFFD.
pub fn fenced_patch(path: &str, original: &[u8], modified: &[u8]) -> String {
    fenced(&patch(path, original, modified, EFFORT, MAX_PATCH_BYTES))
}

/// A fence has more backticks than any run of them in what it holds, and at least three.
fn fenced(text: &str) -> String {
    let (mut longest, mut run) = (2, 0);
    for byte in text.bytes() {
        run = if byte == b'`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    format!("{fence}diff\n{text}{fence}\n\n")
}

fn patch(path: &str, original: &[u8], modified: &[u8], effort: Effort, room: usize) -> String {
    let line = "=".repeat(67);
    let mut text = Text {
        text: format!("Index: {path}\n{line}\n--- {path}\toriginal\n+++ {path}\tmodified\n"),
        room,
        is_full: false,
    };
    let old = normalise_line_ends(original);
    let new = normalise_line_ends(modified);
    if old != new {
        changes(&old, &new, effort, &mut text);
    }
    if text.is_full {
        let _ = writeln!(
            text.text,
            "… the rest of the diff was left out: it has more than {room} bytes"
        );
    }
    text.text
}

/// Writes all hunks.
fn changes(old: &[u8], new: &[u8], effort: Effort, text: &mut Text) {
    // What is equal at the start is part of every diff that jsdiff finds; what is equal at the end may not be.
    let start = common_start(old, new);
    let end = common_end(&old[start..], &new[start..]);
    let old_middle = &old[start..old.len() - end];
    let new_middle = &new[start..new.len() - end];
    let tail = &old[old.len() - end..];
    let runs = myers::shortest(old_middle, new_middle, tail, effort)
        .unwrap_or_else(|| myers::replaced(old_middle, new_middle, tail));
    let (context_start, context) = last_lines(&old[..start]);
    let first_line = 1 + count_lines(&old[..context_start]);
    let mut place = Place {
        old: &old[context_start..],
        new: &new[context_start..],
        old_line: first_line,
        new_line: first_line,
    };
    let mut before = context;
    let mut rest = &runs[..];
    while !rest.is_empty() && !text.is_full {
        let (hunk, after, others) = next_hunk(rest);
        place.skip(before - before.min(CONTEXT));
        place.hunk(before.min(CONTEXT), hunk, after.min(CONTEXT), text);
        before = after - after.min(CONTEXT);
        rest = others;
    }
}

/// The runs of the first hunk, how many equal lines stand behind it, and the runs behind those.
fn next_hunk(runs: &[Run]) -> (&[Run], usize, &[Run]) {
    let last = runs.len() - 1;
    let closes = |&(at, run): &(usize, &Run)| {
        run.kind == Kind::Same && (run.count > 2 * CONTEXT || at == last)
    };
    match runs.iter().enumerate().find(closes) {
        Some((at, run)) => (&runs[..at], run.count, &runs[at + 1..]),
        None => (runs, 0, &[]),
    }
}

/// What is not yet written of both contents.
struct Place<'a> {
    old: &'a [u8],
    new: &'a [u8],
    /// Counted from 1.
    old_line: usize,
    new_line: usize,
}

impl<'a> Place<'a> {
    /// Goes over lines that both have.
    fn skip(&mut self, lines: usize) {
        for _ in 0..lines {
            self.take(Kind::Same);
        }
    }

    fn take(&mut self, kind: Kind) -> &'a [u8] {
        if kind == Kind::Added {
            self.new_line += 1;
            return take_line(&mut self.new);
        }
        self.old_line += 1;
        let line = take_line(&mut self.old);
        if kind == Kind::Same {
            self.new_line += 1;
            self.new = &self.new[line.len()..];
        }
        line
    }

    fn hunk(&mut self, before: usize, runs: &[Run], after: usize, text: &mut Text) {
        let around = |count| Run {
            kind: Kind::Same,
            count,
        };
        let of = |other: Kind| {
            let counts = runs.iter().filter(|run| run.kind != other);
            before + counts.map(|run| run.count).sum::<usize>() + after
        };
        // A side without a line names the line before it.
        let range =
            |start: usize, count: usize| format!("{},{count}", start - usize::from(count == 0));
        let old = range(self.old_line, of(Kind::Added));
        let new = range(self.new_line, of(Kind::Removed));
        text.push(&format!("@@ -{old} +{new} @@\n"));
        let all = std::iter::once(around(before))
            .chain(runs.iter().copied())
            .chain(std::iter::once(around(after)));
        for run in all {
            for _ in 0..run.count {
                if text.is_full {
                    return;
                }
                text.line(run.kind, self.take(run.kind));
            }
        }
    }
}

/// A text that takes whole lines until there is no room for the next.
struct Text {
    text: String,
    /// Bytes that may be written in all.
    room: usize,
    is_full: bool,
}

impl Text {
    fn line(&mut self, kind: Kind, line: &[u8]) {
        let sign = match kind {
            Kind::Same => ' ',
            Kind::Removed => '-',
            Kind::Added => '+',
        };
        // No line that has no room is decoded.
        if line.len() > self.room {
            self.is_full = true;
            return;
        }
        let line = String::from_utf8_lossy(line);
        if line.ends_with('\n') {
            self.push(&format!("{sign}{line}"));
        } else {
            self.push(&format!("{sign}{line}\n\\ No newline at end of file\n"));
        }
    }

    fn push(&mut self, text: &str) {
        self.is_full |= self.text.len() + text.len() > self.room;
        if !self.is_full {
            self.text.push_str(text);
        }
    }
}

/// The first line with its end.
fn take_line<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let length = memchr::memchr(b'\n', text).map_or(text.len(), |newline| newline + 1);
    let (line, rest) = text.split_at(length);
    *text = rest;
    line
}

/// A last line without an end is one as well.
fn count_lines(text: &[u8]) -> usize {
    let open = text.last().is_some_and(|&byte| byte != b'\n');
    memchr::memchr_iter(b'\n', text).count() + usize::from(open)
}

/// Where the last lines of a text begin that can be context, and how many there are. The text has whole lines.
fn last_lines(text: &[u8]) -> (usize, usize) {
    let (mut start, mut count) = (text.len(), 0);
    while start > 0 && count < CONTEXT {
        start = line_start(text, start - 1);
        count += 1;
    }
    (start, count)
}

/// Where the line begins that the byte at this place belongs to.
fn line_start(text: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1)
}

/// Bytes of the whole lines that are equal at the start of two texts that differ.
fn common_start(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = 64;
    let blocks = a.chunks_exact(STEP).zip(b.chunks_exact(STEP));
    let equal = blocks.take_while(|(x, y)| x == y).count() * STEP;
    let rest = a[equal..].iter().zip(&b[equal..]);
    line_start(a, equal + rest.take_while(|(x, y)| x == y).count())
}

/// Bytes of the whole lines that are equal at the end.
fn common_end(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = 64;
    let blocks = a.rchunks_exact(STEP).zip(b.rchunks_exact(STEP));
    let equal = blocks.take_while(|(x, y)| x == y).count() * STEP;
    let rest = a[..a.len() - equal].iter().rev();
    let rest = rest.zip(b[..b.len() - equal].iter().rev());
    let equal = equal + rest.take_while(|(x, y)| x == y).count();
    let begins_line = |text: &[u8]| {
        let before = &text[..text.len() - equal];
        before.last().is_none_or(|&byte| byte == b'\n')
    };
    if begins_line(a) && begins_line(b) {
        return equal;
    }
    // The rest of a line that differs does not count.
    let newline = memchr::memchr(b'\n', &a[a.len() - equal..]);
    newline.map_or(0, |newline| equal - newline - 1)
}

#[cfg(test)]
#[path = "patch_tests.rs"]
mod tests;
