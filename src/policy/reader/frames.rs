//! Commands, pipelines and compound commands as the token reader opens and closes them.

use std::rc::Rc;

use super::super::syntax::{Stage, Step};
use super::{MAX_OPEN, Open, Reader};

impl Reader<'_> {
    pub(super) fn push_step(&mut self, step: Step) {
        if let Some(open) = self.open.last_mut() {
            open.steps.push(step);
        }
    }

    pub(super) fn push(&mut self, subshell: bool) {
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
        let Some(done) = self.open.pop() else { return };
        let Some(parent) = self.open.last_mut() else {
            return;
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

    pub(super) fn end_pipeline(&mut self) {
        self.end_command();
        if let Some(open) = self.open.last_mut() {
            let stages = std::mem::take(&mut open.pipeline);
            if !stages.is_empty() {
                open.steps.push(Step::Pipeline(stages));
            }
        }
    }
}
