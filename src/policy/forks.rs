//! What multiplies: functions that start themselves again beside themselves, and loops that start without end.

use super::field::Field;
use super::rules::Invocation;
use super::shell::{Shell, Stop};
use super::syntax::{Pipeline, Simple, Stage, Step};

/// A process that a shell starts for a part of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fork {
    /// By `&`, or for a coprocess.
    Background,
    /// One side of a pipe: the number of the pipeline, and of the side.
    Stage(usize, usize),
    /// By `$(…)` or `(…)`.
    Subshell,
}

/// A function that is being followed, and how it called itself so far.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) name: String,
    forks: usize,
    conditional: usize,
    again: usize,
    in_background: bool,
    stage: Option<Fork>,
}

impl Call {
    pub(super) fn new(name: &str, shell: &Shell<'_>) -> Self {
        Self {
            name: name.to_owned(),
            forks: shell.forks.len(),
            conditional: shell.conditional,
            again: 0,
            in_background: false,
            stage: None,
        }
    }
}

impl Shell<'_> {
    /// Notes that a function that is being followed is called again. It multiplies where it does so on two sides of a
    /// pipe, or twice and once of it in the background; and it never ends where nothing can leave the call out.
    pub(super) fn called_again(&mut self, name: &str) -> Result<(), Stop> {
        let Some(call) = self.calling.iter_mut().rfind(|call| call.name == name) else {
            return Ok(());
        };
        let forks = self.forks.get(call.forks..).unwrap_or_default();
        let always = self.conditional <= call.conditional;
        call.again += 1;
        call.in_background |= forks.contains(&Fork::Background);
        let stage = forks.iter().find(|fork| matches!(fork, Fork::Stage(..)));
        let both_sides = match (call.stage, stage) {
            (Some(Fork::Stage(one, a)), Some(Fork::Stage(other, b))) => one == *other && a != *b,
            _ => false,
        };
        call.stage = stage.copied().or(call.stage);
        let multiplies = both_sides || (call.again > 1 && call.in_background);
        if multiplies || (always && !forks.is_empty()) {
            return self.forks_without_end(Field::literal(name));
        }
        Ok(())
    }

    pub(super) fn forks_without_end(&mut self, shown: Field) -> Result<(), Stop> {
        self.check(&Invocation::new("", &[shown]).forking())
    }
}

/// Whether the condition of a loop is always met.
pub(super) fn is_endless(until: bool, condition: &[Step]) -> bool {
    let met: &[&str] = if until {
        &["false", "[ ]", "! true", "[ 1 = 0 ]"]
    } else {
        &[
            ":", "true", "[ 1 ]", "[ true ]", "[[ 1 ]]", "test 1", "! false",
        ]
    };
    match condition {
        [] => !until,
        [Step::Words(words)] => !until && always_true(words),
        [Step::Pipeline(Pipeline { stages, .. })] => match stages.as_slice() {
            [Stage::Simple(simple)] => {
                let plain = plain(simple);
                let base = plain.rsplit('/').next().unwrap_or_default();
                met.contains(&plain.as_str()) || (plain.starts_with('/') && met.contains(&base))
            }
            [Stage::Group { steps, .. }] => {
                matches!(steps.as_slice(), [Step::Words(words)] if !until && always_true(words))
            }
            _ => false,
        },
        _ => false,
    }
}

/// An arithmetic condition, alone or as the second part of `((a; b; c))`.
fn always_true(words: &[String]) -> bool {
    let [word] = words else { return false };
    let inner = word.trim_matches(['(', ')', ' ']);
    match inner.split_once(';') {
        Some((_, rest)) => {
            let condition = rest.split(';').next().unwrap_or_default();
            matches!(condition.trim(), "" | "1")
        }
        None => inner == "1",
    }
}

/// The words of a command with quotes and escapes taken off, roughly.
fn plain(simple: &Simple) -> String {
    let text = simple.words.join(" ");
    text.replace(['\'', '"', '\\', '\n'], "")
}

/// Whether the body of an endless loop starts something in the background, and nothing in it takes time.
pub(super) fn is_spawning(body: &[Step]) -> bool {
    spawns(body) && !takes_time(body)
}

fn spawns(steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Pipeline(pipeline) if pipeline.conditional => false,
        Step::Pipeline(pipeline) if pipeline.background => true,
        Step::Pipeline(pipeline) => pipeline.stages.iter().any(|stage| match stage {
            Stage::Group { steps, .. } => spawns(steps),
            Stage::Simple(_) => false,
        }),
        Step::Loop { body, .. } | Step::Repeat { body, .. } => spawns(body),
        Step::Maybe(_) | Step::Define { .. } | Step::Words(_) => false,
    })
}

fn takes_time(steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Pipeline(pipeline) if pipeline.background => false,
        Step::Pipeline(pipeline) => pipeline.stages.iter().any(|stage| match stage {
            Stage::Group { steps, .. } => takes_time(steps),
            Stage::Simple(simple) => !is_instant(simple),
        }),
        Step::Maybe(steps) | Step::Loop { body: steps, .. } => takes_time(steps),
        Step::Repeat {
            condition, body, ..
        } => takes_time(condition) || takes_time(body),
        Step::Define { .. } | Step::Words(_) => false,
    })
}

/// Commands that cost no time worth mentioning; a loop of them alone paces nothing.
fn is_instant(simple: &Simple) -> bool {
    const INSTANT: &[&str] = &[
        ":", "true", "false", "echo", "printf", "[", "test", "let", "set", "shift", "export",
        "local", "declare", "disown", "continue",
    ];
    let plain = plain(simple);
    let first = plain.split(' ').next().unwrap_or_default();
    first.is_empty() || INSTANT.contains(&first)
}
