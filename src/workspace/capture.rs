//! Output of a command kept within a bound while it is read: the beginning and the end, and between them a note of
//! how much is missing. A command that prints for hours costs no more memory than the bound.

use std::collections::VecDeque;

/// What is kept of one stream.
#[derive(Debug)]
pub(super) struct Capture {
    limit: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
}

impl Capture {
    /// Keeps `limit` bytes: the first half and the last half.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            head: Vec::new(),
            tail: VecDeque::new(),
            total: 0,
        }
    }

    pub(super) fn push(&mut self, piece: &[u8]) {
        self.total += piece.len() as u64;
        // Until the limit is passed nobody knows that the head must end at its half.
        let fits = self.limit.saturating_sub(self.head.len());
        if self.tail.is_empty() && piece.len() <= fits {
            self.head.extend_from_slice(piece);
            return;
        }
        let tail_limit = self.limit - self.limit / 2;
        if self.tail.is_empty() {
            let half = self.limit / 2;
            if self.head.len() > half {
                self.tail.extend(&self.head[half..]);
                self.head.truncate(half);
            } else {
                let (first, _) = piece.split_at(half - self.head.len());
                self.head.extend_from_slice(first);
                return self.keep_last(&piece[first.len()..], tail_limit);
            }
        }
        self.keep_last(piece, tail_limit);
    }

    fn keep_last(&mut self, piece: &[u8], limit: usize) {
        let piece = &piece[piece.len().saturating_sub(limit)..];
        let excess = (self.tail.len() + piece.len()).saturating_sub(limit);
        self.tail.drain(..excess);
        self.tail.extend(piece);
    }

    /// Bytes kept.
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether something is missing.
    pub(super) fn is_truncated(&self) -> bool {
        self.total > self.len() as u64
    }

    /// What was kept, the note included where something is missing. The cuts do not split a UTF-8 character.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (a, b) = self.tail.as_slices();
        if !self.is_truncated() {
            return [&self.head, a, b].concat();
        }
        let head = up_to_a_character(&self.head);
        let tail = [a, b].concat();
        let tail = &tail[rest_of_a_character(&tail)..];
        let missing = self.total - (head.len() + tail.len()) as u64;
        let note = format!(
            "\n[... {missing} bytes left out: the output is longer than maxOutputLength ...]\n"
        );
        [head, note.as_bytes(), tail].concat()
    }

    /// What came after a place in the stream, as far as it is kept. While the stream is not complete, a character at
    /// its end that is not either is held back.
    pub(super) fn since(&self, from: u64, is_complete: bool) -> Since {
        let from = from.min(self.total);
        let held_back = if is_complete {
            0
        } else {
            self.unfinished_end()
        };
        let to = self.total.saturating_sub(held_back as u64).max(from);
        let tail_from = self.total - self.tail.len() as u64;
        let mut head = &self.head[..];
        let mut skipped = 0;
        if self.is_truncated() && from < tail_from {
            head = up_to_a_character(head);
            skipped = rest_of_a_character(&self.tail);
        }
        // Both fit: they are places in what is kept.
        let in_head =
            |place: u64| usize::try_from(place).map_or(head.len(), |at| at.min(head.len()));
        let in_tail = |place: u64| usize::try_from(place.saturating_sub(tail_from)).unwrap_or(0);
        let mut bytes = head[in_head(from)..in_head(to).max(in_head(from))].to_vec();
        let gap = bytes.len();
        let tail_begin = in_tail(from).max(skipped).min(in_tail(to));
        bytes.extend(self.tail.range(tail_begin..in_tail(to)));
        let missed = to - from - bytes.len() as u64;
        Since {
            bytes,
            to,
            missed,
            gap: if missed > 0 { gap } else { 0 },
        }
    }

    fn unfinished_end(&self) -> usize {
        let kept = self.head.iter().chain(&self.tail);
        let mut last: Vec<u8> = kept.rev().take(4).copied().collect();
        last.reverse();
        unfinished(&last)
    }
}

/// What a stream printed after a place in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Since {
    /// What is still kept of it.
    pub(super) bytes: Vec<u8>,
    /// Where it ends in the stream.
    pub(super) to: u64,
    /// How much of it is not kept.
    pub(super) missed: u64,
    /// Where in `bytes` that is missing.
    pub(super) gap: usize,
}

/// The beginning and the end of what is too long to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadAndTail<'a> {
    /// The beginning.
    pub head: &'a [u8],
    /// The end.
    pub tail: &'a [u8],
    /// How many bytes there are between them.
    pub left_out: usize,
}

/// What to show of a text for which there is less room than it needs: of `limit` bytes, half from its beginning and
/// half from its end, a little less where a UTF-8 character would be split. `None` where all of it fits.
#[must_use]
pub fn head_and_tail(bytes: &[u8], limit: usize) -> Option<HeadAndTail<'_>> {
    if bytes.len() <= limit {
        return None;
    }
    let head = up_to_a_character(&bytes[..limit / 2]);
    let tail = &bytes[bytes.len() - (limit - limit / 2)..];
    let tail = &tail[rest_of_a_character(tail)..];
    Some(HeadAndTail {
        head,
        tail,
        left_out: bytes.len() - head.len() - tail.len(),
    })
}

/// Without a UTF-8 character at the end that was cut.
fn up_to_a_character(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len() - unfinished(bytes)]
}

/// How many bytes at the beginning belong to a character that began before.
fn rest_of_a_character<'a>(bytes: impl IntoIterator<Item = &'a u8>) -> usize {
    bytes
        .into_iter()
        .take(3)
        .take_while(|byte| is_continuation(**byte))
        .count()
}

/// How many bytes at the end begin a UTF-8 character without completing it.
fn unfinished(bytes: &[u8]) -> usize {
    for (back, byte) in bytes.iter().rev().take(4).enumerate() {
        if !is_continuation(*byte) {
            let length = match byte {
                0xc0..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf7 => 4,
                _ => 1,
            };
            return if length > back + 1 { back + 1 } else { 0 };
        }
    }
    0
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capture(limit: usize, pieces: &[&[u8]]) -> Capture {
        let mut capture = Capture::new(limit);
        for piece in pieces {
            capture.push(piece);
        }
        capture
    }

    #[test]
    fn output_up_to_the_bound_is_kept_exactly() {
        for split in 0..=10 {
            let whole = b"0123456789";
            let kept = capture(10, &[&whole[..split], &whole[split..]]);
            assert_eq!(kept.to_bytes(), whole);
            assert!(!kept.is_truncated());
        }
    }

    #[test]
    fn of_more_the_head_and_the_tail_are_kept_however_it_arrives() {
        let whole: Vec<u8> = (0..100).map(|n| b'a' + n % 26).collect();
        for size in 1..=100 {
            let pieces: Vec<&[u8]> = whole.chunks(size).collect();
            let kept = capture(20, &pieces);
            let text = kept.to_bytes();
            assert!(kept.is_truncated());
            assert!(text.starts_with(&whole[..10]), "pieces of {size}");
            assert!(text.ends_with(&whole[90..]), "pieces of {size}");
            assert!(
                String::from_utf8(text)
                    .unwrap()
                    .contains("80 bytes left out")
            );
        }
    }

    #[test]
    fn a_text_is_shown_whole_or_by_its_head_and_its_tail() {
        let whole = "äöü€𝄞".repeat(10);
        assert_eq!(head_and_tail(whole.as_bytes(), whole.len()), None);
        assert_eq!(head_and_tail(b"", 0), None);
        for limit in 0..whole.len() {
            let shown = head_and_tail(whole.as_bytes(), limit).unwrap();
            let [head, tail] =
                [shown.head, shown.tail].map(|part| std::str::from_utf8(part).unwrap());
            assert!(whole.starts_with(head) && whole.ends_with(tail));
            let length = head.len() + tail.len();
            assert!(
                length <= limit && length + 6 >= limit,
                "limit {limit}: {length}"
            );
            assert_eq!(shown.left_out, whole.len() - length);
        }
        let shown = head_and_tail(b"0123456789", 5).unwrap();
        assert_eq!(
            (shown.head, shown.tail, shown.left_out),
            (&b"01"[..], &b"789"[..], 5)
        );
    }

    #[test]
    fn what_is_shown_of_a_text_is_what_a_capture_keeps_of_it() {
        let whole = "äöü€𝄞".repeat(10);
        for limit in 0..whole.len() {
            let shown = head_and_tail(whole.as_bytes(), limit).unwrap();
            let kept = capture(limit, &[whole.as_bytes()]).to_bytes();
            assert!(kept.starts_with(shown.head) && kept.ends_with(shown.tail));
            let count = format!(" {} bytes left out", shown.left_out);
            assert!(String::from_utf8(kept).unwrap().contains(&count));
        }
    }

    #[test]
    fn a_bound_of_nothing_keeps_nothing() {
        let kept = capture(0, &[b"abc"]);
        assert!(kept.is_truncated());
        assert!(
            String::from_utf8(kept.to_bytes())
                .unwrap()
                .contains("3 bytes left out")
        );
    }

    #[test]
    fn output_is_read_on_from_where_the_last_look_stopped() {
        let whole = "äöü€𝄞x".repeat(50);
        for size in 1..=20 {
            let mut kept = Capture::new(1 << 20);
            let (mut read, mut at) = (Vec::new(), 0);
            for piece in whole.as_bytes().chunks(size) {
                kept.push(piece);
                let since = kept.since(at, false);
                assert!(
                    std::str::from_utf8(&since.bytes).is_ok(),
                    "pieces of {size}"
                );
                assert_eq!(since.missed, 0);
                read.extend(since.bytes);
                at = since.to;
            }
            assert_eq!(read, whole.as_bytes());
        }
    }

    #[test]
    fn a_character_whose_rest_never_comes_is_given_at_the_end() {
        let kept = capture(100, &[b"a\xe2\x82"]);
        assert_eq!(kept.since(0, false).bytes, b"a");
        assert_eq!(kept.since(1, false).to, 1);
        assert_eq!(kept.since(1, true).bytes, b"\xe2\x82");
        assert_eq!(kept.since(2, false).to, 2);
        assert_eq!(kept.since(99, true).to, 3);
    }

    #[test]
    fn what_is_not_kept_any_more_is_counted_and_its_place_is_known() {
        let whole: Vec<u8> = (0..100).map(|n| b'a' + n % 26).collect();
        for size in 1..=100 {
            let pieces: Vec<&[u8]> = whole.chunks(size).collect();
            let kept = capture(20, &pieces);
            for from in 0..=100 {
                let since = kept.since(from, true);
                let start = usize::try_from(from).unwrap();
                let head = &whole[start.min(10)..10];
                let tail = &whole[start.max(90)..];
                assert_eq!(since.bytes, [head, tail].concat(), "from {from}");
                assert_eq!(since.missed, 90_u64.saturating_sub(from.max(10)));
                assert_eq!(since.gap, if since.missed > 0 { head.len() } else { 0 });
                assert_eq!(since.to, 100);
            }
        }
    }

    #[test]
    fn nothing_that_was_read_splits_a_character_where_output_is_missing() {
        let whole = "äöü€𝄞".repeat(100);
        for limit in 0..60 {
            let kept = capture(limit, &[whole.as_bytes()]);
            for (from, _) in whole.char_indices() {
                let since = kept.since(from as u64, true);
                let text = std::str::from_utf8(&since.bytes);
                assert!(text.is_ok(), "limit {limit}, from {from}");
                let (before, after) = since.bytes.split_at(since.gap);
                assert!(whole.as_bytes()[from..].starts_with(before));
                assert!(whole.as_bytes().ends_with(after));
                let length = since.bytes.len() as u64 + since.missed;
                assert_eq!(from as u64 + length, whole.len() as u64);
            }
        }
    }

    #[test]
    fn the_cuts_do_not_split_a_character() {
        let whole = "äöü€𝄞".repeat(100);
        for limit in 20..60 {
            let kept = capture(limit, &[whole.as_bytes()]);
            assert!(String::from_utf8(kept.to_bytes()).is_ok(), "limit {limit}");
        }
    }
}
