//! Reads shell text token by token, in one pass and without recursion. It bounds the nesting before the parser may
//! see a text, and stands in for the parser where a text is too long, malformed, or takes the parser too long.

mod frames;
mod redirects;

use super::skip::{line_end, word_end};
use super::syntax::{RedirectKind, Simple, Stage, Step, is_name, split_assignment};

/// Compound commands deeper than this are read as if they were flat.
const MAX_OPEN: usize = 24;
/// Most commands that are read; to follow more of them would take too long.
const MAX_COMMANDS: usize = 20_000;

/// What was read.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) steps: Vec<Step>,
    /// The deepest nesting of compound commands, substitutions and quotes.
    pub(super) depth: usize,
    /// `false`: there are more commands than anyone can judge in time, and the rest was left unread.
    pub(super) complete: bool,
}

#[derive(Default)]
struct Open {
    steps: Vec<Step>,
    pipeline: Vec<Stage>,
    function: Option<String>,
    subshell: bool,
    /// A compound command was just closed: redirections belong to it.
    closed: bool,
    kind: Kind,
    /// How many steps belong to the condition of a `while`.
    condition: usize,
    /// The first step of the list that a `&` may put into the background.
    list_start: usize,
    /// The command follows `&&` or `||`.
    conditional: bool,
}

/// Which word opened a compound command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Group,
    /// `if`, `case`, `for`: what is inside may not be executed.
    Maybe,
    While,
    Until,
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    open: Vec<Open>,
    command: Simple,
    /// Where the text goes on after this line, behind its here-documents.
    resume: Option<usize>,
    /// The last operator was a pipe.
    piped: bool,
    function: Option<String>,
    depth: usize,
    flat: usize,
    commands: usize,
    /// Bytes that may still be looked at twice, to tell `((1 + 2))` from `( (a); b)`.
    second_looks: usize,
}

/// Reads a script. Linear in its length; never fails, whatever the text.
pub(super) fn read(text: &str) -> Reading {
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        open: vec![Open::default()],
        command: Simple::default(),
        resume: None,
        piped: false,
        function: None,
        depth: 0,
        flat: 0,
        commands: 0,
        second_looks: text.len(),
    };
    while reader.at < reader.bytes.len() && reader.commands < MAX_COMMANDS {
        reader.token();
    }
    let complete = reader.at >= reader.bytes.len();
    reader.end_pipeline();
    while reader.open.len() > 1 {
        reader.close();
        reader.end_pipeline();
    }
    let steps = reader.open.pop().map_or_else(Vec::new, |open| open.steps);
    Reading {
        steps,
        depth: reader.depth,
        complete,
    }
}

impl Reader<'_> {
    fn peek(&self, offset: usize) -> u8 {
        self.bytes.get(self.at + offset).copied().unwrap_or(0)
    }

    fn token(&mut self) {
        match self.peek(0) {
            b' ' | b'\t' | b'\r' => self.at += 1,
            b'\\' if self.peek(1) == b'\n' => self.at += 2,
            b'\n' => self.newline(),
            b'#' => self.at = line_end(self.bytes, self.at),
            b';' => {
                self.end_pipeline();
                self.at += 1;
            }
            b'&' if self.peek(1) == b'>' => {
                self.at += 2;
                self.redirect(RedirectKind::Write);
            }
            b'&' if self.peek(1) == b'&' => self.and_or(),
            b'&' => self.background(),
            b'|' if self.peek(1) == b'|' => self.and_or(),
            b'|' => {
                self.end_command();
                self.piped = true;
                self.at += if self.peek(1) == b'&' { 2 } else { 1 };
            }
            b'(' => self.parenthesis(),
            b')' => self.close_parenthesis(),
            b'<' | b'>' if self.peek(1) != b'(' => self.angle(),
            _ => self.word(),
        }
    }

    /// Ends the line; the bodies of its here-documents were read when their operators were.
    fn newline(&mut self) {
        // A line that ends in a pipe goes on.
        if !self.piped {
            self.end_pipeline();
        }
        self.at = self.resume.take().unwrap_or(self.at + 1);
    }

    fn parenthesis(&mut self) {
        if self.peek(1) == b'('
            && self.command.words.is_empty()
            && let Some(end) = self.arithmetic_end()
        {
            let inner = self.text.get(self.at..end).unwrap_or_default().to_owned();
            self.push_step(Step::Words(vec![inner]));
            self.at = end;
            return;
        }
        if let [name] = self.command.words.as_slice()
            && self.bytes[self.at + 1..].trim_ascii_start().first() == Some(&b')')
        {
            self.function = Some(name.clone());
            self.command = Simple::default();
            let rest = &self.bytes[self.at..];
            self.at += rest.iter().position(|&b| b == b')').map_or(1, |n| n + 1);
            return;
        }
        self.at += 1;
        self.push(true, Kind::Group);
    }

    /// Where `((…))` ends, if its two closers touch.
    fn arithmetic_end(&mut self) -> Option<usize> {
        let (mut depth, mut deepest) = (0usize, 0usize);
        for at in self.at..self.bytes.len() {
            self.second_looks = self.second_looks.checked_sub(1)?;
            match self.bytes[at] {
                b'(' => {
                    depth += 1;
                    deepest = deepest.max(depth);
                }
                b')' => {
                    depth -= 1;
                    if depth == 1 {
                        let end = at + 2;
                        self.depth = self.depth.max(deepest + self.open.len() - 1);
                        return (self.bytes.get(at + 1) == Some(&b')')).then_some(end);
                    }
                }
                _ => {}
            }
        }
        None
    }

    fn close_parenthesis(&mut self) {
        self.at += 1;
        if self.open.last().is_some_and(|open| open.subshell) {
            self.close();
        } else {
            // The pattern of a `case`.
            self.command = Simple::default();
        }
    }

    fn word(&mut self) {
        let start = self.at;
        let (end, depth) = word_end(self.bytes, start);
        self.depth = self.depth.max(depth + self.open.len() - 1);
        self.at = end.max(start + 1);
        self.piped = false;
        let word = self.text.get(start..self.at).unwrap_or_default();
        if self.command.words.is_empty() {
            if self.command.is_empty() && self.reserved(word) {
                return;
            }
            if let Some((name, value)) = split_assignment(word) {
                let (name, value) = (name.to_owned(), value.to_owned());
                return self.assignment(name, value);
            }
        }
        self.command.words.push(word.to_owned());
    }

    fn assignment(&mut self, name: String, value: String) {
        if !value.is_empty() || self.peek(0) != b'(' {
            self.command.assignments.push((name, vec![value]));
            return;
        }
        let end = super::skip::closed_end(self.bytes, self.at + 1, b')');
        let inner = self
            .text
            .get(self.at + 1..end.saturating_sub(1))
            .unwrap_or_default();
        let values = split_words(inner);
        self.at = end;
        self.command.assignments.push((name, values));
    }

    /// Takes a reserved word at the start of a command; `false` for any other.
    fn reserved(&mut self, word: &str) -> bool {
        let after_group = self.open.last().is_some_and(|open| open.closed);
        match word {
            "do" => self.end_condition(),
            "then" | "else" | "elif" | "!" | "time" | "coproc" => {}
            "{" => self.push(false, Kind::Group),
            "if" => self.push(false, Kind::Maybe),
            "while" => self.push(false, Kind::While),
            "until" => self.push(false, Kind::Until),
            "for" if self.bytes[self.at..].trim_ascii_start().starts_with(b"((") => {
                self.push(false, Kind::While);
                self.counting_header();
            }
            "for" | "select" | "case" => {
                self.push(false, Kind::Maybe);
                self.header(word == "case");
            }
            "}" | "fi" | "done" | "esac" if self.flat > 0 || self.open.len() > 1 => {
                self.end_pipeline();
                if self.open.last().is_some_and(|open| !open.subshell) {
                    self.close();
                }
            }
            "function" if !after_group => {
                let start = self.at + self.blanks();
                let end = word_end(self.bytes, start).0;
                self.function = self.text.get(start..end).map(str::to_owned);
                self.at = end;
                if self.bytes[end..].starts_with(b"()") {
                    self.at += 2;
                }
            }
            "in" => {}
            _ => return false,
        }
        true
    }

    fn blanks(&self) -> usize {
        self.bytes[self.at..]
            .iter()
            .take_while(|b| matches!(b, b' ' | b'\t'))
            .count()
    }

    /// `((a; b; c))` of a loop.
    fn counting_header(&mut self) {
        self.at += self.blanks();
        if let Some(end) = self.arithmetic_end() {
            let inner = self.text.get(self.at..end).unwrap_or_default().to_owned();
            self.at = end;
            self.push_step(Step::Words(vec![inner]));
        }
    }

    /// `NAME in words` of a loop, or `word in` of a `case`.
    fn header(&mut self, case: bool) {
        let mut end = self.at;
        while end < self.bytes.len() && !matches!(self.bytes[end], b'\n' | b';' | b'&' | b'|') {
            let blank = matches!(self.bytes[end], b' ' | b'\t');
            end = if blank {
                end + 1
            } else {
                word_end(self.bytes, end).0.max(end + 1)
            };
            if case
                && self
                    .text
                    .get(self.at..end)
                    .is_some_and(|t| t.ends_with(" in"))
            {
                break;
            }
        }
        let mut words = split_words(self.text.get(self.at..end).unwrap_or_default());
        self.at = end;
        if case || words.is_empty() || !is_name(&words[0]) {
            words.truncate(1);
            return self.push_step(Step::Words(words));
        }
        let variable = words.remove(0);
        if words.first().is_some_and(|word| word == "in") {
            words.remove(0);
        }
        self.push_step(Step::Loop {
            variable,
            values: words,
            body: Vec::new(),
        });
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Splits text into words as written.
pub(super) fn split_words(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut words = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at].is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let end = word_end(bytes, at).0.max(at + 1);
        if let Some(word) = text.get(at..end) {
            words.push(word.to_owned());
        }
        at = end;
    }
    words
}
