//! What both readers of shell text, the parser and the token reader, hand to the evaluator: commands in the order in
//! which they appear, words still as written.

use std::rc::Rc;

/// One thing that a script does.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Commands joined by pipes; a single command is a pipeline of one.
    Pipeline(Vec<Stage>),
    /// A function definition.
    Define { name: String, body: Rc<Vec<Step>> },
    /// `for variable in values; do body; done`; the token reader leaves the body outside.
    Loop {
        variable: String,
        values: Vec<String>,
        body: Vec<Step>,
    },
    /// Words that are expanded but not executed: `case $word in`, `[[ … ]]`, arithmetic.
    Words(Vec<String>),
}

/// One part of a pipeline.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// A simple command.
    Simple(Simple),
    /// Any compound command.
    Group {
        steps: Vec<Step>,
        /// Whether changes of directory and variables stay inside.
        subshell: bool,
        redirects: Vec<Redirect>,
    },
}

/// `A=1 program arguments > file`.
#[derive(Clone, Debug, Default)]
pub(super) struct Simple {
    /// Name and value words; an array has any number.
    pub(super) assignments: Vec<(String, Vec<String>)>,
    pub(super) words: Vec<String>,
    pub(super) redirects: Vec<Redirect>,
}

impl Simple {
    pub(super) fn is_empty(&self) -> bool {
        self.assignments.is_empty() && self.words.is_empty() && self.redirects.is_empty()
    }
}

/// A redirection; its text is the target, or the document.
#[derive(Clone, Debug)]
pub(super) struct Redirect {
    pub(super) kind: RedirectKind,
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RedirectKind {
    Read,
    Write,
    HereDocument { expand: bool },
    HereString,
}

/// Splits `NAME=value` (also `NAME+=value`, `NAME[i]=value`) as written.
pub(super) fn split_assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    let name = name.split_once('[').map_or(name, |(base, _)| base);
    is_name(name).then_some((name, value))
}

/// Whether text is a shell identifier.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.as_bytes()[0].is_ascii_digit()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
