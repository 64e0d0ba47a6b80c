//! The question to the application.

use std::fmt;

use crate::call::BoxFuture;
use crate::path::RelPath;

/// What somebody wants to do. Paths are relative to the root workspace and say where they lead once links are followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessRequest {
    /// The verb of the call: `read`, `write`, `rm`, `exec`, …
    pub operation: &'static str,
    /// What it is about; for commands their working directory.
    pub path: RelPath,
    /// For `rename`: the new name.
    pub to: Option<RelPath>,
    /// For commands: the text.
    pub command: Option<String>,
    /// The scope that asks; the root is empty.
    pub scope: RelPath,
    /// Who acts through the scope; empty for the owner of the process.
    pub principal: String,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It may be done, this once.
    Allow,
    /// It is refused; the reason is told to whoever asked.
    Deny(Option<String>),
}

/// Somebody who decides, and may take time to: a person, or a service.
///
/// A future that is dropped before it resolves says that nobody waits for the answer any more.
pub trait AccessHook: fmt::Debug + Send + Sync {
    /// Decides about one operation that the rules allow.
    fn ask(&self, request: AccessRequest) -> BoxFuture<Decision>;
}
