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

    /// Whether something is missing.
    pub(super) fn is_truncated(&self) -> bool {
        self.total > (self.head.len() + self.tail.len()) as u64
    }

    /// What was kept, the note included where something is missing. The cuts do not split a UTF-8 character.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let (a, b) = self.tail.as_slices();
        if !self.is_truncated() {
            return [&self.head, a, b].concat();
        }
        let head = &self.head[..self.head.len() - unfinished(&self.head)];
        let tail = [a, b].concat();
        let tail = &tail[tail
            .iter()
            .take(3)
            .take_while(|b| is_continuation(**b))
            .count()..];
        let missing = self.total - (head.len() + tail.len()) as u64;
        let note = format!(
            "\n[... {missing} bytes left out: the output is longer than maxOutputLength ...]\n"
        );
        [head, note.as_bytes(), tail].concat()
    }
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
    fn the_cuts_do_not_split_a_character() {
        let whole = "äöü€𝄞".repeat(100);
        for limit in 20..60 {
            let kept = capture(limit, &[whole.as_bytes()]);
            assert!(String::from_utf8(kept.to_bytes()).is_ok(), "limit {limit}");
        }
    }
}
