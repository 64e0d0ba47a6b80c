//! Follows a script the way a shell would, as far as its text tells, and hands every command that it would start to
//! the rules. Nothing is executed.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Instant;

use super::field::{Field, Unit};
use super::rules::{self, Invocation, Scene};
use super::syntax::{RedirectKind, Simple, Stage, Step};
use super::{MAX_NESTING, MAX_PARSED, PolicyContext, Refusal, reader, tree};

/// Most variables remembered, and most values of one.
const MAX_VARIABLES: usize = 256;
const MAX_VALUES: usize = 16;
/// Most levels of scripts, subshells and launches in each other; a nested script takes three.
const MAX_LEVELS: usize = 4 * MAX_NESTING;
/// What following a command costs, and each word of it.
const COMMAND_COST: usize = 600;
const WORD_COST: usize = 50;
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

/// What a command reads or prints, as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// It carries something that was downloaded.
    pub(super) downloaded: bool,
    /// The text itself.
    pub(super) text: Option<Field>,
    /// Words that are known to be in it, such as where `find` looks.
    pub(super) words: Vec<Field>,
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
    pub(super) calling: Vec<String>,
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

    /// Runs steps; what the last one prints is the outcome.
    pub(super) fn steps(&mut self, steps: &[Step], input: &Stream) -> Result<Stream, Stop> {
        let mut output = Stream::default();
        let mut downloaded = false;
        for step in steps {
            self.spend(20)?;
            match step {
                Step::Pipeline(stages) => {
                    output = self.pipeline(stages, input)?;
                    downloaded |= output.downloaded;
                }
                Step::Define { name, body } => {
                    self.functions.insert(name.clone(), Rc::clone(body));
                    // Judged as it stands, too: a trap or another shell may call it.
                    self.subshell(|shell| shell.steps(body, &Stream::default()))?;
                }
                Step::Loop {
                    variable,
                    values,
                    body,
                } => {
                    let mut fields = Vec::new();
                    for value in values {
                        fields.extend(self.expand(value)?);
                    }
                    self.assign(variable, fields);
                    output = self.steps(body, input)?;
                    downloaded |= output.downloaded;
                }
                Step::Words(words) => {
                    for word in words {
                        self.expand_one(word)?;
                    }
                }
            }
        }
        output.downloaded = downloaded;
        if steps.len() > 1 {
            output.text = None;
        }
        Ok(output)
    }

    fn pipeline(&mut self, stages: &[Stage], input: &Stream) -> Result<Stream, Stop> {
        let mut stream = input.clone();
        for stage in stages {
            stream = match stage {
                Stage::Simple(simple) => self.simple(simple, stream)?,
                Stage::Group {
                    steps,
                    subshell,
                    redirects,
                } => {
                    let group = Simple {
                        redirects: redirects.clone(),
                        ..Simple::default()
                    };
                    let stdin = self.redirects(&group, stream)?;
                    let mut out = if *subshell || stages.len() > 1 {
                        self.subshell(|shell| shell.steps(steps, &stdin))?
                    } else {
                        self.steps(steps, &stdin)?
                    };
                    out.downloaded |= stdin.downloaded;
                    out
                }
            };
        }
        Ok(stream)
    }

    /// Runs something whose changes to the shell do not last.
    pub(super) fn subshell<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        self.enter()?;
        self.spend(COMMAND_COST + 20 * self.variables.len())?;
        let variables = self.variables.clone();
        let cwd = self.cwd.clone();
        let result = run(self)?;
        self.variables = variables;
        self.cwd = cwd;
        self.leave();
        Ok(result)
    }

    /// What `$(code)` expands to.
    pub(super) fn substitute(&mut self, code: &str) -> Result<Field, Stop> {
        let output = self.subshell(|shell| shell.script(code, &Stream::default()))?;
        if output.downloaded {
            return Ok(Field(vec![Unit::Downloaded]));
        }
        Ok(match output.text {
            Some(mut text) => {
                while text.0.last() == Some(&Unit::Literal('\n')) {
                    text.0.pop();
                }
                text
            }
            None => Field(vec![Unit::Unknown]),
        })
    }

    fn simple(&mut self, command: &Simple, input: Stream) -> Result<Stream, Stop> {
        self.spend(COMMAND_COST + WORD_COST * (command.words.len() + command.assignments.len()))?;
        let stdin = self.redirects(command, input)?;
        for (name, words) in &command.assignments {
            let mut values = Vec::with_capacity(words.len());
            for word in words {
                values.push(self.expand_one(word)?);
            }
            self.assign(name, values);
        }
        let mut words = Vec::with_capacity(command.words.len());
        for word in &command.words {
            words.extend(self.expand(word)?);
        }
        if words.is_empty() {
            return Ok(Stream::default());
        }
        self.launch(words, stdin)
    }

    /// Judges the targets of redirections; returns what the command reads.
    fn redirects(&mut self, command: &Simple, mut stdin: Stream) -> Result<Stream, Stop> {
        for redirect in &command.redirects {
            match redirect.kind {
                RedirectKind::Write => {
                    let target = self.expand_one(&redirect.text)?;
                    let shown = vec![Field::literal(">"), target.clone()];
                    self.check(&Invocation::new("", &shown).writing(vec![target]))?;
                }
                RedirectKind::Read => {
                    let downloaded = self.expand_one(&redirect.text)?.is_downloaded();
                    stdin = Stream {
                        downloaded,
                        ..Stream::default()
                    };
                }
                RedirectKind::HereString => {
                    let text = self.expand_one(&redirect.text)?;
                    stdin = known(text);
                }
                RedirectKind::HereDocument { expand: true } => {
                    stdin = known(self.expand_document(&redirect.text)?);
                }
                RedirectKind::HereDocument { expand: false } => {
                    stdin = known(Field::literal(&redirect.text));
                }
            }
        }
        Ok(stdin)
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
        self.spend(40)?;
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
        downloaded: text.is_downloaded(),
        words: text.split(),
        text: Some(text),
    }
}
