//! Follows a script the way a shell would, as far as its text tells, and hands every command that it would start to
//! the rules. Nothing is executed.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use super::field::{Field, Unit};
use super::forks::{Call, Fork};
use super::rules::{self, Invocation, Scene};
use super::syntax::Step;
use super::{MAX_NESTING, MAX_PARSED, PolicyContext, Refusal, reader, tree};

/// Most variables remembered, and most values of one.
const MAX_VARIABLES: usize = 256;
const MAX_VALUES: usize = 16;
/// Most levels of scripts, subshells and launches in each other; a nested script takes three.
const MAX_LEVELS: usize = 4 * MAX_NESTING;
/// What following a command costs, and each word of it.
pub(super) const COMMAND_COST: usize = 600;
pub(super) const WORD_COST: usize = 50;
/// What the parser costs, by the byte.
const PARSER_COST: usize = 40;
/// Longest value remembered, in characters.
const MAX_VALUE: usize = 4096;

/// Why following a script ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// A rule matched.
    Refused(Refusal),
    /// The time or the work that a judgement may cost is used up.
    Overrun,
}

/// Where the bytes of a stream come from.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Origin {
    /// A download.
    pub(super) downloaded: bool,
    /// A connection that somebody else may write to.
    pub(super) network: bool,
    /// A shell that takes its commands from elsewhere.
    pub(super) shell: bool,
    /// Something that never ends.
    pub(super) endless: bool,
}

impl Origin {
    pub(super) fn absorb(&mut self, other: Origin) {
        self.downloaded |= other.downloaded;
        self.network |= other.network;
        self.shell |= other.shell;
        self.endless |= other.endless;
    }
}

/// What a command reads or prints, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    pub(super) origin: Origin,
    /// The text itself.
    pub(super) text: Option<Field>,
    /// Words that are known to be in it, such as where `find` looks.
    pub(super) words: Vec<Field>,
}

impl Stream {
    /// A stream of which only the origin is known.
    pub(super) fn from(origin: Origin) -> Self {
        Self {
            origin,
            ..Self::default()
        }
    }
}

/// Which reader turns text into steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadBy {
    Parser,
    Tokens,
}

/// The state of a shell that is followed.
pub(super) struct Shell<'a> {
    pub(super) context: PolicyContext<'a>,
    pub(super) variables: HashMap<String, Vec<Field>>,
    pub(super) functions: HashMap<String, Rc<Vec<Step>>>,
    /// `None`: a `cd` to somewhere unknown.
    pub(super) cwd: Option<Vec<u8>>,
    /// The functions whose bodies are being followed.
    pub(super) calling: Vec<Call>,
    /// The processes around the command that is being followed.
    pub(super) forks: Vec<Fork>,
    /// How many constructs around it may leave it out.
    pub(super) conditional: usize,
    pub(super) pipelines: usize,
    /// Standard input or output is a connection that somebody else may write to.
    pub(super) socket: bool,
    /// Such a connection is open under another number.
    pub(super) socket_open: bool,
    read_by: ReadBy,
    level: usize,
    /// Work that may still be done; see [`super::bounded`] for the unit.
    fuel: usize,
    deadline: Option<Instant>,
}

impl<'a> Shell<'a> {
    pub(super) fn new(
        context: PolicyContext<'a>,
        read_by: ReadBy,
        deadline: Option<Instant>,
        fuel: usize,
    ) -> Self {
        let root = String::from_utf8_lossy(context.root_dir).into_owned();
        let mut variables = HashMap::new();
        variables.insert("HOME".to_owned(), vec![Field(vec![Unit::Home])]);
        variables.insert("TMPDIR".to_owned(), vec![Field(vec![Unit::Unknown])]);
        variables.insert("PATH".to_owned(), vec![Field(vec![Unit::Unknown])]);
        variables.insert("OLDPWD".to_owned(), vec![Field::literal(&root)]);
        variables.insert("IFS".to_owned(), vec![Field::literal(" ")]);
        Self {
            cwd: Some(context.cwd.to_vec()),
            context,
            variables,
            functions: HashMap::new(),
            calling: Vec::new(),
            forks: Vec::new(),
            conditional: 0,
            pipelines: 0,
            socket: false,
            socket_open: false,
            read_by,
            level: 0,
            fuel,
            deadline,
        }
    }

    /// Judges a script: the command itself, or text that a command of it would execute.
    pub(super) fn script(&mut self, text: &str, input: &Stream) -> Result<Stream, Stop> {
        self.spend(text.len())?;
        self.enter()?;
        let reading = reader::read(text);
        if !reading.complete {
            return Err(Stop::Overrun);
        }
        let too_deep = reading.depth > MAX_NESTING;
        if too_deep && text.len() <= MAX_PARSED {
            return Err(Stop::Refused(rules::too_deep(text)));
        }
        let mut parsed = None;
        if self.read_by == ReadBy::Parser && super::bounded::is_parsable(text) {
            self.spend(PARSER_COST * text.len())?;
            parsed = tree::parse(text);
        }
        let output = self.steps(parsed.as_ref().unwrap_or(&reading.steps), input)?;
        self.leave();
        Ok(output)
    }

    /// Counts a level of nesting that costs stack frames.
    pub(super) fn enter(&mut self) -> Result<(), Stop> {
        self.level += 1;
        if self.level > MAX_LEVELS {
            return Err(Stop::Refused(rules::too_deep("")));
        }
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.level -= 1;
    }

    pub(super) fn spend(&mut self, amount: usize) -> Result<(), Stop> {
        self.fuel = self.fuel.checked_sub(amount).ok_or(Stop::Overrun)?;
        match self.deadline {
            Some(deadline) if Instant::now() > deadline => Err(Stop::Overrun),
            _ => Ok(()),
        }
    }

    /// Sets a variable to one of these values.
    pub(super) fn assign(&mut self, name: &str, mut values: Vec<Field>) {
        values.truncate(MAX_VALUES);
        if values.iter().any(|value| value.0.len() > MAX_VALUE) {
            values = vec![Field(vec![Unit::Unknown])];
        }
        if self.variables.len() < MAX_VARIABLES || self.variables.contains_key(name) {
            self.variables.insert(name.to_owned(), values);
        }
    }

    /// The values that a variable may have.
    pub(super) fn variable(&self, name: &str) -> Vec<Field> {
        if name == "PWD" {
            return vec![match &self.cwd {
                Some(cwd) => Field::literal(&String::from_utf8_lossy(cwd)),
                None => Field(vec![Unit::Unknown]),
            }];
        }
        match self.variables.get(name) {
            Some(values) if !values.is_empty() => values.clone(),
            // An argument of a function or script that is only defined here.
            _ if name.bytes().all(|b| !b.is_ascii_alphabetic() && b != b'_') => {
                vec![Field(vec![Unit::Unknown])]
            }
            _ => vec![Field(vec![Unit::Unset])],
        }
    }

    /// Puts a command before the rules.
    pub(super) fn check(&mut self, invocation: &Invocation<'_>) -> Result<(), Stop> {
        self.spend(40 + 8 * invocation.args.len())?;
        let scene = Scene {
            root: self.context.root_dir,
            cwd: self.cwd.as_deref(),
            refuse_outside_writes: self.context.refuse_outside_writes,
        };
        match rules::first_match(invocation, &scene) {
            Some(refusal) => Err(Stop::Refused(refusal)),
            None => Ok(()),
        }
    }
}

/// A stream of known text.
pub(super) fn known(text: Field) -> Stream {
    Stream {
        origin: Origin {
            downloaded: text.is_downloaded(),
            ..Origin::default()
        },
        words: text.split(),
        text: Some(text),
    }
}
