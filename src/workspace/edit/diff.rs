//! What changed, as a unified diff, within bounds of time and size whatever the files are like.

use std::fmt::Write as _;
use std::time::Duration;

use similar::{ChangeTag, DiffOp, TextDiff};

use crate::error::Printable;

/// Lines shown around a change.
const CONTEXT: usize = 3;
/// How long the search for the shortest diff may take; what it has by then is right, only longer.
const TIME: Duration = Duration::from_millis(500);
/// More than this between the first and the last change is shown as one.
const MAX_COMPARED_BYTES: usize = 8 << 20;
/// A longer diff is cut.
const MAX_DIFF_BYTES: usize = 1 << 20;

/// The diff from `old` to `new`; empty where they are equal.
pub(super) fn unified(path: &str, old: &[u8], new: &[u8]) -> String {
    if old == new {
        return String::new();
    }
    // What is equal at both ends is not compared, so that a small change in a large file costs little.
    let start = common_start(old, new);
    let end = common_end(&old[start..], &new[start..]);
    let first_line = memchr::memchr_iter(b'\n', &old[..start]).count();
    let old = &old[start..old.len() - end];
    let new = &new[start..new.len() - end];
    let path = Printable(path).to_string().replace('\n', "\\n");
    let mut out = Text {
        text: format!("--- a/{path}\n+++ b/{path}\n"),
        first_line,
    };
    if old.len() + new.len() > MAX_COMPARED_BYTES {
        out.replaced(old, new);
    } else {
        out.compared(old, new);
    }
    if out.is_full() {
        out.text.push_str("\n… the rest of the diff was left out\n");
    }
    out.text
}

struct Text {
    text: String,
    /// Lines before those compared.
    first_line: usize,
}

impl Text {
    fn compared(&mut self, old: &[u8], new: &[u8]) {
        let diff = TextDiff::configure().timeout(TIME).diff_lines(old, new);
        for group in diff.grouped_ops(CONTEXT) {
            let (Some(first), Some(last)) = (group.first(), group.last()) else {
                continue;
            };
            self.header(
                first.old_range().start..last.old_range().end,
                first.new_range().start..last.new_range().end,
            );
            for change in group.iter().flat_map(|op: &DiffOp| diff.iter_changes(op)) {
                let sign = match change.tag() {
                    ChangeTag::Equal => ' ',
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                };
                self.line(sign, change.value());
                if self.is_full() {
                    return;
                }
            }
        }
    }

    /// All old lines out, all new ones in.
    fn replaced(&mut self, old: &[u8], new: &[u8]) {
        let lines = |text: &[u8]| text.split_inclusive(|&b| b == b'\n').count();
        self.header(0..lines(old), 0..lines(new));
        for (sign, text) in [('-', old), ('+', new)] {
            for line in text.split_inclusive(|&b| b == b'\n') {
                self.line(sign, line);
                if self.is_full() {
                    return;
                }
            }
        }
    }

    fn header(&mut self, old: std::ops::Range<usize>, new: std::ops::Range<usize>) {
        let range = |range: std::ops::Range<usize>| {
            let start = self.first_line + range.start;
            // As diff does: an empty range names the line before it, and a single line needs no count.
            match range.len() {
                0 => format!("{start},0"),
                1 => (start + 1).to_string(),
                length => format!("{},{length}", start + 1),
            }
        };
        let (old, new) = (range(old), range(new));
        let _ = writeln!(self.text, "@@ -{old} +{new} @@");
    }

    fn line(&mut self, sign: char, line: &[u8]) {
        let bare = line.strip_suffix(b"\n");
        let shown = bare.unwrap_or(line);
        let room = MAX_DIFF_BYTES.saturating_sub(self.text.len());
        let shown = &shown[..shown.len().min(room)];
        self.text.push(sign);
        self.text.push_str(&String::from_utf8_lossy(shown));
        self.text.push('\n');
        if bare.is_none() && !self.is_full() {
            self.text.push_str("\\ No newline at end of file\n");
        }
    }

    fn is_full(&self) -> bool {
        self.text.len() >= MAX_DIFF_BYTES
    }
}

/// Bytes at the start that are equal, as whole lines, less the lines of context.
fn common_start(old: &[u8], new: &[u8]) -> usize {
    let equal = equal_bytes(old, new);
    let mut start = line_start(old, equal);
    for _ in 0..CONTEXT {
        if start == 0 {
            break;
        }
        start = line_start(old, start - 1);
    }
    start
}

/// Bytes at the end that are equal, as whole lines, less the lines of context.
fn common_end(old: &[u8], new: &[u8]) -> usize {
    let most = old.len().min(new.len());
    let (old, new) = (&old[old.len() - most..], &new[new.len() - most..]);
    let differs = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .position(|(a, b)| a != b);
    let mut at = most - differs.unwrap_or(most);
    // The rest of a line that differs does not count: a line begins behind a newline that is equal too.
    for _ in 0..=CONTEXT {
        match memchr::memchr(b'\n', &old[at..]) {
            Some(newline) => at += newline + 1,
            None => return 0,
        }
    }
    most - at
}

fn line_start(text: &[u8], at: usize) -> usize {
    memchr::memrchr(b'\n', &text[..at]).map_or(0, |newline| newline + 1)
}

fn equal_bytes(a: &[u8], b: &[u8]) -> usize {
    const STEP: usize = 4096;
    let blocks = a.chunks_exact(STEP).zip(b.chunks_exact(STEP));
    let equal = blocks.take_while(|(x, y)| x == y).count() * STEP;
    let rest = a[equal..].iter().zip(&b[equal..]);
    equal + rest.take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_shown_with_three_lines_around_it() {
        let old: String = (1..=20).map(|n| format!("line {n}\n")).collect();
        let new = old.replace("line 10\n", "ten\nten and a half\n");
        let expected = "\
--- a/dir/f.txt
+++ b/dir/f.txt
@@ -7,7 +7,8 @@
 line 7
 line 8
 line 9
-line 10
+ten
+ten and a half
 line 11
 line 12
 line 13
";
        assert_eq!(
            unified("dir/f.txt", old.as_bytes(), new.as_bytes()),
            expected
        );
    }

    #[test]
    fn edges_of_a_file_are_shown_as_diff_does() {
        for (old, new, expected) in [
            (
                "a",
                "b",
                "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n",
            ),
            (
                "a\n",
                "a",
                "@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n",
            ),
            ("a\n", "", "@@ -1 +0,0 @@\n-a\n"),
            ("", "a\n", "@@ -0,0 +1 @@\n+a\n"),
            ("a\nb\n", "a\nb\nc\n", "@@ -1,2 +1,3 @@\n a\n b\n+c\n"),
            ("x\na\n", "a\n", "@@ -1,2 +1 @@\n-x\n a\n"),
        ] {
            let diff = unified("f", old.as_bytes(), new.as_bytes());
            assert_eq!(
                diff,
                format!("--- a/f\n+++ b/f\n{expected}"),
                "{old:?} {new:?}"
            );
        }
        assert_eq!(unified("f", b"same", b"same"), "");
    }

    #[test]
    fn far_apart_changes_are_shown_apart_with_their_own_line_numbers() {
        let old: String = (1..=1000).map(|n| format!("{n}\n")).collect();
        let new = old.replace("\n100\n", "\nX\n").replace("\n900\n", "\nY\n");
        let diff = unified("f", old.as_bytes(), new.as_bytes());
        assert!(diff.contains("@@ -97,7 +97,7 @@"), "{diff}");
        assert!(diff.contains("@@ -897,7 +897,7 @@"), "{diff}");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_compared_as_bytes() {
        let diff = unified("f", b"\xff\n", b"\xfe\n");
        assert!(
            diff.ends_with("@@ -1 +1 @@\n-\u{fffd}\n+\u{fffd}\n"),
            "{diff}"
        );
    }

    #[test]
    fn a_diff_of_anything_ends_soon_and_is_bounded() {
        // Every line differs, and none twice: the worst for the shortest diff.
        let old: String = (0..300_000).map(|n| format!("{n}\n")).collect();
        let new: String = (0..300_000)
            .map(|n| format!("{}\n", n * 7 % 300_007))
            .collect();
        let started = std::time::Instant::now();
        let diff = unified("f", old.as_bytes(), new.as_bytes());
        assert!(started.elapsed() < Duration::from_secs(10));
        assert!(diff.len() < MAX_DIFF_BYTES + 200);
        let old = vec![b'a'; 9 << 20];
        let new = vec![b'b'; 9 << 20];
        let diff = unified("f", &old, &new);
        assert!(diff.len() < MAX_DIFF_BYTES + 200);
        assert!(diff.ends_with("left out\n"));
    }
}
