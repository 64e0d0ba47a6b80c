//! Commands, pipelines and compound commands as the token reader opens and closes them.

use std::rc::Rc;

use super::super::syntax::{Pipeline, Stage, Step};
use super::{Kind, MAX_OPEN, Open, Reader};

impl Reader<'_> {
    pub(super) fn push_step(&mut self, step: Step) {
        if let Some(open) = self.open.last_mut() {
            open.steps.push(step);
        }
    }

    pub(super) fn push(&mut self, subshell: bool, kind: Kind) {
        if !self.command.is_empty() {
            self.end_command();
        }
        self.depth = self.depth.max(self.open.len() + self.flat);
        if self.open.len() > MAX_OPEN {
            self.flat += 1;
            return;
        }
        self.open.push(Open {
            subshell,
            kind,
            function: self.function.take(),
            ..Open::default()
        });
    }

    pub(super) fn close(&mut self) {
        self.end_pipeline();
        if self.flat > 0 {
            self.flat -= 1;
            return;
        }
        if self.open.len() < 2 {
            return;
        }
        let Some(mut done) = self.open.pop() else {
            return;
        };
        let Some(parent) = self.open.last_mut() else {
            return;
        };
        done.steps = match done.kind {
            Kind::Group => done.steps,
            Kind::Maybe => match done.steps.split_first_mut() {
                Some((Step::Loop { body, .. }, rest)) if body.is_empty() => {
                    body.extend(rest.iter_mut().map(std::mem::take));
                    done.steps.truncate(1);
                    done.steps
                }
                _ => vec![Step::Maybe(done.steps)],
            },
            kind @ (Kind::While | Kind::Until) => {
                let body = done.steps.split_off(done.condition.min(done.steps.len()));
                vec![Step::Repeat {
                    until: kind == Kind::Until,
                    condition: done.steps,
                    body,
                }]
            }
        };
        if let Some(name) = done.function {
            parent.steps.push(Step::Define {
                name,
                body: Rc::new(done.steps),
            });
            return;
        }
        parent.pipeline.push(Stage::Group {
            steps: done.steps,
            subshell: done.subshell,
            redirects: Vec::new(),
        });
        parent.closed = true;
    }

    pub(super) fn end_command(&mut self) {
        self.piped = false;
        self.commands += 1;
        let command = std::mem::take(&mut self.command);
        let Some(open) = self.open.last_mut() else {
            return;
        };
        let closed = std::mem::take(&mut open.closed);
        if command.is_empty() {
            return;
        }
        if closed
            && command.words.is_empty()
            && let Some(Stage::Group { redirects, .. }) = open.pipeline.last_mut()
        {
            redirects.extend(command.redirects);
            return;
        }
        open.pipeline.push(Stage::Simple(command));
    }

    /// `do`: what came before it is a condition.
    pub(super) fn end_condition(&mut self) {
        if let Some(open) = self.open.last_mut()
            && open.condition == 0
        {
            open.condition = open.steps.len();
        }
    }

    /// `&&` and `||`.
    pub(super) fn and_or(&mut self) {
        self.end_stages();
        if let Some(open) = self.open.last_mut() {
            open.conditional = true;
        }
        self.at += 2;
    }

    /// `&`: the whole list before it runs beside what follows.
    pub(super) fn background(&mut self) {
        self.end_stages();
        if let Some(open) = self.open.last_mut() {
            let start = open.list_start.min(open.steps.len());
            for step in &mut open.steps[start..] {
                if let Step::Pipeline(pipeline) = step {
                    pipeline.background = true;
                }
            }
        }
        self.end_pipeline();
        self.at += 1;
    }

    pub(super) fn end_pipeline(&mut self) {
        self.end_stages();
        if let Some(open) = self.open.last_mut() {
            open.list_start = open.steps.len();
            open.conditional = false;
        }
    }

    fn end_stages(&mut self) {
        self.end_command();
        if let Some(open) = self.open.last_mut() {
            let stages = std::mem::take(&mut open.pipeline);
            if !stages.is_empty() {
                open.steps.push(Step::Pipeline(Pipeline {
                    stages,
                    background: false,
                    conditional: open.conditional,
                }));
            }
        }
    }
}
