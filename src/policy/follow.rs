//! Follows steps, pipelines and simple commands in the order in which a shell would execute them.

use std::rc::Rc;

use super::field::{Field, Unit};
use super::forks::{Call, Fork, is_endless, is_spawning};
use super::shell::{COMMAND_COST, Shell, Stop, Stream, WORD_COST};
use super::syntax::{Pipeline, Simple, Stage, Step};

impl Shell<'_> {
    /// Runs steps; what the last one prints is the outcome.
    pub(super) fn steps(&mut self, steps: &[Step], input: &Stream) -> Result<Stream, Stop> {
        let mut output = Stream::default();
        let mut origin = output.origin;
        for step in steps {
            self.spend(20)?;
            match step {
                Step::Pipeline(pipeline) => output = self.list_item(pipeline, input)?,
                Step::Define { name, body } => {
                    self.functions.insert(name.clone(), Rc::clone(body));
                    // Judged as it stands, too: a trap or another shell may call it.
                    self.calling.push(Call::new(name, self));
                    self.subshell(|shell| shell.steps(body, &Stream::default()))?;
                    self.calling.pop();
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
                    output = self.maybe(body, input)?;
                }
                Step::Repeat {
                    until,
                    condition,
                    body,
                } => output = self.repeat(*until, condition, body, input)?,
                Step::Maybe(body) => output = self.maybe(body, input)?,
                Step::Words(words) => {
                    for word in words {
                        self.expand_one(word)?;
                    }
                }
            }
            origin.absorb(output.origin);
        }
        output.origin = origin;
        if steps.len() > 1 {
            output.text = None;
        }
        Ok(output)
    }

    /// Follows what may be left out.
    fn maybe(&mut self, body: &[Step], input: &Stream) -> Result<Stream, Stop> {
        self.conditional += 1;
        let output = self.steps(body, input)?;
        self.conditional -= 1;
        Ok(output)
    }

    /// Follows a loop once.
    fn repeat(
        &mut self,
        until: bool,
        condition: &[Step],
        body: &[Step],
        input: &Stream,
    ) -> Result<Stream, Stop> {
        let mut output = self.steps(condition, input)?;
        let body_output = self.maybe(body, input)?;
        output.origin.absorb(body_output.origin);
        if is_endless(until, condition) {
            if is_spawning(body) {
                self.forks_without_end(Field::literal("while"))?;
            }
            output.origin.endless = true;
        }
        Ok(output)
    }

    fn list_item(&mut self, pipeline: &Pipeline, input: &Stream) -> Result<Stream, Stop> {
        let forks = self.forks.len();
        if pipeline.background {
            self.forks.push(Fork::Background);
        }
        self.conditional += usize::from(pipeline.conditional);
        let output = self.pipeline(&pipeline.stages, input)?;
        self.conditional -= usize::from(pipeline.conditional);
        self.forks.truncate(forks);
        Ok(output)
    }

    fn pipeline(&mut self, stages: &[Stage], input: &Stream) -> Result<Stream, Stop> {
        self.pipelines += 1;
        let number = self.pipelines;
        let mut stream = input.clone();
        for (stage_number, stage) in stages.iter().enumerate() {
            if stages.len() > 1 {
                self.forks.push(Fork::Stage(number, stage_number));
            }
            stream = match stage {
                Stage::Simple(simple) => self.simple(simple, stream)?,
                Stage::Group {
                    steps,
                    subshell,
                    redirects,
                } => {
                    let socket = self.socket;
                    let stdin = self.redirects(redirects, stream)?;
                    let mut out = if *subshell || stages.len() > 1 {
                        self.subshell(|shell| shell.steps(steps, &stdin))?
                    } else {
                        self.steps(steps, &stdin)?
                    };
                    self.socket = socket;
                    out.origin.absorb(stdin.origin);
                    out
                }
            };
            if stages.len() > 1 {
                self.forks.pop();
            }
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
        let (socket, socket_open) = (self.socket, self.socket_open);
        let result = run(self)?;
        self.variables = variables;
        self.cwd = cwd;
        (self.socket, self.socket_open) = (socket, socket_open);
        self.leave();
        Ok(result)
    }

    /// What `$(code)` expands to.
    pub(super) fn substitute(&mut self, code: &str) -> Result<Field, Stop> {
        self.forks.push(Fork::Subshell);
        let output = self.subshell(|shell| shell.script(code, &Stream::default()))?;
        self.forks.pop();
        if output.origin.downloaded {
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
        let socket = self.socket;
        let stdin = self.redirects(&command.redirects, input)?;
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
            self.socket = socket;
            return Ok(Stream::default());
        }
        // `exec > file` changes the shell itself.
        let lasts = matches!(words.as_slice(), [only] if only.shape() == "exec");
        let output = self.launch(words, stdin)?;
        if !lasts {
            self.socket = socket;
        }
        Ok(output)
    }
}
