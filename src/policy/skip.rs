//! Finds where a word, a quote, a substitution or a here-document ends, with a stack of its own: the text may nest as
//! deep as it likes without costing a stack frame.

/// A here-document whose body begins after the next newline.
#[derive(Clone, Debug)]
pub(super) struct PendingDocument {
    pub(super) end: String,
    pub(super) strip_tabs: bool,
    /// Whether `$` and backticks in the body are expanded: the delimiter was not quoted.
    pub(super) expand: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Double,
    Backtick,
    Paren,
    Arithmetic,
    Brace,
    Bracket,
    /// `case … esac` in a substitution, whose patterns end in a parenthesis that closes nothing.
    Case,
}

/// The end of the word that starts at `at`, and how deep it nests.
pub(super) fn word_end(bytes: &[u8], at: usize) -> (usize, usize) {
    Skip::new(bytes, at).run(None)
}

/// The end of the construct that is opened right before `at` by `closer` (`)`, `}`, `` ` `` or `"`), after its closer.
pub(super) fn closed_end(bytes: &[u8], at: usize, closer: u8) -> usize {
    Skip::new(bytes, at).run(Some(closer)).0
}

struct Skip<'a> {
    bytes: &'a [u8],
    at: usize,
    open: Vec<Inside>,
    deepest: usize,
    documents: Vec<PendingDocument>,
}

impl<'a> Skip<'a> {
    fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            open: Vec::new(),
            deepest: 0,
            documents: Vec::new(),
        }
    }

    fn push(&mut self, inside: Inside) {
        self.open.push(inside);
        self.deepest = self.deepest.max(self.open.len());
    }

    fn next_is(&self, offset: usize, byte: u8) -> bool {
        self.bytes.get(self.at + offset) == Some(&byte)
    }

    fn run(mut self, closer: Option<u8>) -> (usize, usize) {
        match closer {
            Some(b')') => self.push(Inside::Paren),
            Some(b'}') => self.push(Inside::Brace),
            Some(b']') => self.push(Inside::Bracket),
            Some(b'`') => self.push(Inside::Backtick),
            Some(_) => self.push(Inside::Double),
            None => {}
        }
        while self.at < self.bytes.len() {
            let byte = self.bytes[self.at];
            if self.open.is_empty() && (closer.is_some() || self.ends_word(byte)) {
                break;
            }
            self.step(byte);
        }
        (self.at.min(self.bytes.len()), self.deepest)
    }

    fn ends_word(&self, byte: u8) -> bool {
        match byte {
            b'<' | b'>' => !self.next_is(1, b'('),
            b' ' | b'\t' | b'\n' | b';' | b'&' | b'|' | b'(' | b')' => true,
            _ => false,
        }
    }

    fn step(&mut self, byte: u8) {
        let top = self.open.last().copied();
        let quoted = top == Some(Inside::Double);
        match byte {
            b'\\' => self.at += 1,
            b'\'' if !quoted && top != Some(Inside::Arithmetic) => {
                self.at = single_end(self.bytes, self.at + 1);
                return;
            }
            b'$' => return self.dollar(quoted),
            b'"' if quoted => {
                self.open.pop();
            }
            b'"' => self.push(Inside::Double),
            b'`' if top == Some(Inside::Backtick) => {
                self.open.pop();
            }
            // Backticks do not nest without escapes: one closes the outer one from inside a quote, too.
            b'`' => self.push(Inside::Backtick),
            b']' if top == Some(Inside::Bracket) => {
                self.open.pop();
            }
            b'}' if top == Some(Inside::Brace) => {
                self.open.pop();
            }
            b'c' if self.begins_case(top) => {
                self.push(Inside::Case);
                self.at += 3;
            }
            b'e' if top == Some(Inside::Case) && self.is_word(b"esac") => {
                self.open.pop();
                self.at += 3;
            }
            b'(' if top == Some(Inside::Case) => self.push(Inside::Paren),
            b'(' if matches!(top, Some(Inside::Paren | Inside::Arithmetic)) => {
                let inside = if top == Some(Inside::Paren) {
                    Inside::Paren
                } else {
                    Inside::Arithmetic
                };
                self.push(inside);
            }
            b'<' | b'>' if !quoted && self.next_is(1, b'(') => {
                self.at += 1;
                self.push(Inside::Paren);
            }
            b')' if matches!(top, Some(Inside::Paren | Inside::Arithmetic)) => {
                self.open.pop();
            }
            b'<' if matches!(top, Some(Inside::Paren | Inside::Case)) && self.next_is(1, b'<') => {
                if self.next_is(2, b'<') {
                    self.at += 2;
                } else {
                    let (document, end) = read_delimiter(self.bytes, self.at + 2);
                    self.documents.push(document);
                    self.at = end;
                    return;
                }
            }
            b'#' if matches!(top, Some(Inside::Paren | Inside::Case)) && self.after_blank() => {
                self.at = line_end(self.bytes, self.at);
                return;
            }
            b'\n' if !self.documents.is_empty() => {
                self.at += 1;
                for document in std::mem::take(&mut self.documents) {
                    self.at = document_end(self.bytes, self.at, &document).1;
                }
                return;
            }
            _ => {}
        }
        self.at += 1;
    }

    fn dollar(&mut self, quoted: bool) {
        match self.bytes.get(self.at + 1) {
            Some(b'(') if self.next_is(2, b'(') => {
                self.push(Inside::Arithmetic);
                self.push(Inside::Arithmetic);
                self.at += 3;
            }
            Some(b'(') => {
                self.push(Inside::Paren);
                self.at += 2;
            }
            Some(b'[') => {
                self.push(Inside::Bracket);
                self.at += 2;
            }
            Some(b'{') => {
                self.push(Inside::Brace);
                self.at += 2;
            }
            Some(b'\'') if !quoted => self.at = ansi_end(self.bytes, self.at + 2),
            _ => self.at += 1,
        }
    }

    /// Whether this word stands here by itself.
    fn is_word(&self, word: &[u8]) -> bool {
        let apart = |byte: u8| byte.is_ascii_whitespace() || b";&|()<>`\"".contains(&byte);
        self.bytes[self.at..].starts_with(word)
            && self
                .bytes
                .get(self.at + word.len())
                .is_none_or(|&byte| apart(byte))
            && (self.at == 0 || apart(self.bytes[self.at - 1]))
    }

    /// Whether `case` stands here where a command begins.
    fn begins_case(&self, top: Option<Inside>) -> bool {
        const BEFORE: &[&[u8]] = &[
            b"do", b"then", b"else", b"{", b"!", b"if", b"while", b"until", b"time",
        ];
        if !matches!(top, Some(Inside::Paren | Inside::Case | Inside::Backtick))
            || !self.is_word(b"case")
        {
            return false;
        }
        // A look back of bounded length, so that blanks cost no more than others.
        let from = self.at.saturating_sub(64);
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let before = &self.bytes[from..self.at];
        let end = before
            .iter()
            .rposition(|byte| !blank(byte))
            .map_or(0, |at| at + 1);
        let before = &before[..end];
        let word = before
            .rsplit(|b| b.is_ascii_whitespace() || b";&|()`".contains(b))
            .next();
        word.is_some_and(|word| word.is_empty() || BEFORE.contains(&word))
    }

    fn after_blank(&self) -> bool {
        self.at > 0 && matches!(self.bytes[self.at - 1], b' ' | b'\t' | b'\n' | b';' | b'(')
    }
}

/// The end of a single-quoted text whose first character is at `at`, after its quote.
pub(super) fn single_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter()
        .position(|&b| b == b'\'')
        .map_or(bytes.len(), |n| at + n + 1)
}

/// Likewise for `$'…'`, in which a backslash escapes.
pub(super) fn ansi_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'\'' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The next newline, or the end.
pub(super) fn line_end(bytes: &[u8], at: usize) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.iter()
        .position(|&b| b == b'\n')
        .map_or(bytes.len(), |n| at + n)
}

/// Reads the delimiter after `<<`; returns it and the place after it.
pub(super) fn read_delimiter(bytes: &[u8], mut at: usize) -> (PendingDocument, usize) {
    let strip_tabs = bytes.get(at) == Some(&b'-');
    at += usize::from(strip_tabs);
    while matches!(bytes.get(at), Some(b' ' | b'\t')) {
        at += 1;
    }
    let end = word_end(bytes, at).0;
    let raw = &bytes[at.min(end)..end];
    let expand = !raw.iter().any(|b| matches!(b, b'\'' | b'"' | b'\\'));
    let plain: Vec<u8> = raw
        .iter()
        .copied()
        .filter(|b| !matches!(b, b'\'' | b'"' | b'\\'))
        .collect();
    let document = PendingDocument {
        end: String::from_utf8_lossy(&plain).into_owned(),
        strip_tabs,
        expand,
    };
    (document, end)
}

/// Where the body that starts at `at` ends, and where the text goes on after its delimiter.
pub(super) fn document_end(bytes: &[u8], at: usize, document: &PendingDocument) -> (usize, usize) {
    let mut line = at;
    while line < bytes.len() {
        let end = line_end(bytes, line);
        let mut content = &bytes[line..end];
        if document.strip_tabs {
            let tabs = content.iter().take_while(|&&b| b == b'\t').count();
            content = &content[tabs..];
        }
        if content == document.end.as_bytes() {
            return (line, (end + 1).min(bytes.len()));
        }
        line = end + 1;
    }
    (bytes.len(), bytes.len())
}
