//! What both readers of shell text, the parser and the token reader, hand to the evaluator: commands in the order in
//! which they appear, words still as written.

use std::rc::Rc;

/// One thing that a script does.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Commands joined by pipes; a single command is a pipeline of one.
    Pipeline(Pipeline),
    /// A function definition.
    Define { name: String, body: Rc<Vec<Step>> },
    /// `for variable in values; do body; done`.
    Loop {
        variable: String,
        values: Vec<String>,
        body: Vec<Step>,
    },
    /// `while condition; do body; done`, or with `until`; `for ((;;))` has no condition.
    Repeat {
        until: bool,
        condition: Vec<Step>,
        body: Vec<Step>,
    },
    /// What may or may not be executed: the branches of `if` and `case`.
    Maybe(Vec<Step>),
    /// Words that are expanded but not executed: `case $word in`, `[[ … ]]`, arithmetic.
    Words(Vec<String>),
}

impl Default for Step {
    fn default() -> Self {
        Step::Words(Vec::new())
    }
}

/// Commands joined by pipes.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipeline {
    pub(super) stages: Vec<Stage>,
    /// It ends in `&`, or is part of a list that does.
    pub(super) background: bool,
    /// It follows `&&` or `||`.
    pub(super) conditional: bool,
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
    /// The descriptor before the operator, where one is written.
    pub(super) descriptor: Option<u32>,
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RedirectKind {
    Read,
    Write,
    /// `<&5`, `>&5`: of one that is open already; the text is its number.
    Duplicate,
    HereDocument {
        expand: bool,
    },
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
