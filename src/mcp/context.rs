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
    pub(super) workspace: Workspace,
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

    /// The real path of a path that a client wrote, absolute; what it wrote where that cannot be told.
    pub(super) fn real(&self, path: &str) -> Call<String> {
        real(&self.workspace, path)
    }
}

impl Attempt {
    /// What the client wrote.
    pub(super) fn paths(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.path.as_str()).chain(self.to.as_deref())
    }

    /// The real paths of both, absolute.
    pub(super) fn real_paths(&self) -> Call<(String, Option<String>)> {
        let path = real(&self.workspace, &self.path);
        let Some(to) = self.to.as_deref() else {
            return path.map(|path| (path, None));
        };
        let to = real(&self.workspace, to);
        path.and_then(|path| to.map(|to| (path, Some(to))))
    }

    /// Makes the result of a call: of what it gave, or of why it failed.
    pub(super) fn finish<T: Send + 'static>(
        self,
        call: Call<T>,
        result: impl FnOnce(T) -> ToolResult + Send + 'static,
    ) -> Call<ToolResult> {
        match call {
            Call::Ready(outcome) => self.settle(outcome, result),
            Call::Pending(future) => {
                Call::pending(async move { self.settle(future.await, result).await })
            }
        }
    }

    fn settle<T>(
        &self,
        outcome: Result<T>,
        result: impl FnOnce(T) -> ToolResult,
    ) -> Call<ToolResult> {
        match outcome {
            Ok(value) => Call::ok(result(value)),
            Err(error) => failure::of(self, error),
        }
    }
}

fn real(workspace: &Workspace, path: &str) -> Call<String> {
    let written = absolute(workspace, path);
    let root = workspace.root_dir().to_vec();
    workspace
        .real_path(path)
        .then(move |real| Ok(real.map_or(written, |real| lossy(real.beneath(&root)))))
}

/// The absolute path of a path that a client wrote, or what it wrote where that is none.
pub(super) fn absolute(workspace: &Workspace, path: &str) -> String {
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
