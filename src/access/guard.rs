//! What a backend asks of whatever it has opened, before it uses it.

use std::fmt;

use crate::error::Result;
use crate::path::RelPath;

/// What is about to be done with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Tell what is there.
    Stat {
        /// Whether it is a directory.
        directory: bool,
    },
    /// Tell what is in a directory. Each entry is judged for itself ([`Guard::hides`]).
    List,
    /// Give its content.
    Read,
    /// Create it, change it, give its name away or take it over.
    Write,
    /// The same, as a part of what is being moved or removed as a whole.
    WriteBelow,
    /// Create it as a directory on the way to something else.
    Pass,
    /// Begin a command in it.
    Exec,
}

/// What a command may do with a path that it sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Nothing: it is not there.
    Hidden,
    /// Read it.
    ReadOnly,
    /// Everything.
    Writable,
}

/// Judges paths. All of them are relative to the root workspace, also in a scope, and without links.
///
/// Called on any thread, some of which must not wait: it computes, and nothing else.
pub trait Guard: fmt::Debug + Send + Sync {
    /// Whether this may be done.
    ///
    /// # Errors
    /// `POLICY_DENIED` with what forbids it.
    fn check(&self, path: &RelPath, access: Access) -> Result<()>;

    /// Whether an entry of a directory is left out where that is told.
    fn hides(&self, path: &RelPath, is_directory: bool) -> bool;

    /// Whether something below a path might not be written, where the path itself might: then what is below it has to
    /// be looked at before it is moved or removed.
    fn may_protect_below(&self, path: &RelPath) -> bool;

    /// What commands may do with a path.
    fn view(&self, path: &RelPath) -> View;

    /// Whether commands may do something else with what is below a path than with the path.
    fn may_differ_below(&self, path: &RelPath) -> bool;
}
