//! Redirections and here-documents as the token reader reads them.

use super::super::skip::{document_end, line_end, read_delimiter, word_end};
use super::super::syntax::{Redirect, RedirectKind};
use super::{Reader, is_number};

impl Reader<'_> {
    /// Reads `<<END` and, ahead of the rest of the line, the body.
    fn document(&mut self) {
        let (document, end) = read_delimiter(self.bytes, self.at + 2);
        let body = self
            .resume
            .unwrap_or_else(|| (line_end(self.bytes, end) + 1).min(self.bytes.len()));
        let (body_end, next) = document_end(self.bytes, body, &document);
        let expand = document.expand;
        self.command.redirects.push(Redirect {
            kind: RedirectKind::HereDocument { expand },
            descriptor: None,
            text: self.text.get(body..body_end).unwrap_or_default().to_owned(),
        });
        self.resume = Some(next);
        self.at = end;
    }

    pub(super) fn angle(&mut self) {
        let kind = if self.peek(0) == b'<' {
            if self.peek(1) == b'<' && self.peek(2) == b'<' {
                self.at += 3;
                return self.redirect(RedirectKind::HereString);
            }
            if self.peek(1) == b'<' {
                return self.document();
            }
            if self.peek(1) == b'>' {
                RedirectKind::Write
            } else {
                RedirectKind::Read
            }
        } else {
            RedirectKind::Write
        };
        self.at += 1;
        self.redirect(kind);
    }

    /// Reads the target after a redirection operator. The number of a descriptor before it was read as a word.
    pub(super) fn redirect(&mut self, mut kind: RedirectKind) {
        while matches!(self.peek(0), b'>' | b'|' | b'&' | b' ' | b'\t') {
            self.at += 1;
        }
        while self.peek(0) == b'\\' && self.peek(1) == b'\n' {
            self.at += 2;
        }
        let (end, depth) = word_end(self.bytes, self.at);
        self.depth = self.depth.max(depth + self.open.len() - 1);
        let text = self.text.get(self.at..end).unwrap_or_default().to_owned();
        let glued = self.at >= 2 && self.command.words.last().is_some_and(|w| is_number(w));
        let mut descriptor = None;
        if glued && self.descriptor_before() {
            descriptor = self.command.words.pop().and_then(|word| word.parse().ok());
        }
        self.at = end;
        if matches!(kind, RedirectKind::Read | RedirectKind::Write)
            && text.bytes().all(|b| b.is_ascii_digit() || b == b'-')
        {
            kind = RedirectKind::Duplicate;
        }
        if !text.is_empty() {
            self.command.redirects.push(Redirect {
                kind,
                descriptor,
                text,
            });
        }
    }

    /// Whether the last word is a number that touches the operator: `2> file`.
    fn descriptor_before(&self) -> bool {
        let mut at = self.at;
        while at > 0 && matches!(self.bytes[at - 1], b'>' | b'<' | b'|' | b'&' | b' ' | b'\t') {
            at -= 1;
        }
        at > 0
            && self.bytes[at - 1].is_ascii_digit()
            && !matches!(self.bytes.get(at), Some(b' ' | b'\t' | b'&' | b'|'))
    }
}
