//! What a tool works with, and how its errors are told.

use tokio_util::sync::CancellationToken;

use super::failure;
use super::result::ToolResult;
use crate::call::Call;
use crate::error::Result;
use crate::path::RelPath;
use crate::workspace::Workspace;

/// One call of one tool.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// Where it works.
    pub(super) workspace: Workspace,
    /// Ends it.
    pub(super) cancel: CancellationToken,
}

/// What was attempted, in the words of the system: `open` on a path. Error texts name both.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    workspace: Workspace,
    /// The system call.
    pub(super) verb: &'static str,
    path: String,
    to: Option<String>,
}

impl Context {
    /// An attempt on a path as the client wrote it.
    pub(super) fn attempt(&self, verb: &'static str, path: &str) -> Attempt {
        Attempt {
            workspace: self.workspace.clone(),
            verb,
            path: path.to_owned(),
            to: None,
        }
    }

    /// An attempt that has a second path.
    pub(super) fn attempt_to(&self, verb: &'static str, path: &str, to: &str) -> Attempt {
        Attempt {
            to: Some(to.to_owned()),
            ..self.attempt(verb, path)
        }
    }

    /// The absolute path of a path that a client wrote, or what it wrote where that is none.
    pub(super) fn absolute(&self, path: &str) -> String {
        absolute(&self.workspace, path)
    }

    /// The absolute path of a path of the workspace, as clients may write it.
    pub(super) fn absolute_of(&self, path: &RelPath) -> String {
        lossy(path.beneath(self.workspace.root_dir()))
    }
}

impl Attempt {
    /// The path, absolute.
    pub(super) fn absolute(&self) -> String {
        absolute(&self.workspace, &self.path)
    }

    /// The second path, absolute.
    pub(super) fn absolute_to(&self) -> Option<String> {
        let to = self.to.as_ref()?;
        Some(absolute(&self.workspace, to))
    }

    /// Makes the result of a call: of what it gave, or of why it failed.
    pub(super) fn finish<T: Send + 'static>(
        self,
        call: Call<T>,
        result: impl FnOnce(T) -> ToolResult + Send + 'static,
    ) -> Call<ToolResult> {
        call.then(move |outcome| Ok(self.settle(outcome, result)))
    }

    /// [`Attempt::finish`] for an outcome that is there.
    pub(super) fn settle<T>(
        &self,
        outcome: Result<T>,
        result: impl FnOnce(T) -> ToolResult,
    ) -> ToolResult {
        match outcome {
            Ok(value) => result(value),
            Err(error) => failure::of(self, &error),
        }
    }
}

fn absolute(workspace: &Workspace, path: &str) -> String {
    let root = workspace.root_dir();
    match RelPath::parse(path.as_bytes(), root) {
        Ok(relative) => lossy(relative.beneath(root)),
        Err(_) => path.to_owned(),
    }
}

fn lossy(path: Vec<u8>) -> String {
    String::from_utf8(path)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
