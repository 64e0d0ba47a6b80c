//! Several operations in one call. Each is checked, named and logged as if it were a call of its own; where the files
//! are elsewhere, all that pass travel together.

use std::sync::Arc;
use std::time::Instant;

use super::files::{check_file, is_there};
use super::permission::{LOOK, Question};
use super::{Workspace, destroyed};
use crate::access::Access;
use crate::backend::{BatchOperation, BatchOutcome, MAX_BATCH};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

impl Workspace {
    /// Does operations one after another, each whatever became of those before it, and gives what came of each, in
    /// order. On a remote backend that is one round trip, as long as nobody has to be asked about a path (no hook and
    /// no rules on this side) and the content of all fits into a few MiB; else it is a round trip or two for each. It
    /// is no transaction: others may see what is done so far.
    ///
    /// Errors: `INVALID_CONFIGURATION` for more than [`MAX_BATCH`]; `DESTROYED`; where nothing could be sent, those of
    /// the connection. What else fails is the outcome of its operation.
    pub fn batch(&self, operations: Vec<BatchOperation>) -> Call<Vec<Result<BatchOutcome>>> {
        let failed = |error: Error| Call::err(error.during("batch"));
        if self.is_destroyed() {
            return failed(destroyed());
        }
        if operations.len() > MAX_BATCH {
            return failed(Error::new(
                ErrorCode::InvalidConfiguration,
                format!("a batch has at most {MAX_BATCH} operations"),
            ));
        }
        if self.asks() {
            return self.one_by_one(operations);
        }
        self.together(&operations)
            .unwrap_or_else(|| self.one_by_one(operations))
    }

    fn one_by_one(&self, operations: Vec<BatchOperation>) -> Call<Vec<Result<BatchOutcome>>> {
        let workspace = self.clone();
        Call::spawned(async move {
            let mut outcomes = Vec::with_capacity(operations.len());
            for operation in operations {
                outcomes.push(workspace.one(operation).await);
            }
            Ok(outcomes)
        })
    }

    fn one(&self, operation: BatchOperation) -> Call<BatchOutcome> {
        use BatchOperation as One;
        match operation {
            One::Read { path, options } => self.read(path, options).map(BatchOutcome::Read),
            One::Write {
                path,
                content,
                options,
            } => self
                .write(path, content, options)
                .map(BatchOutcome::Written),
            One::Stat { path, follow: true } => self.stat(path).map(BatchOutcome::Stat),
            One::Stat { path, .. } => self.lstat(path).map(BatchOutcome::Stat),
            One::Exists { path } => self.exists(path).map(BatchOutcome::Exists),
            One::List { path, options } => self.list(path, options).map(BatchOutcome::List),
            One::CreateDir { path, recursive } => done(self.create_dir(path, recursive)),
            One::Remove { path, options } => done(self.remove(path, options)),
            One::Rename { from, to, options } => done(self.rename(from, to, options)),
            One::Touch { path } => done(self.touch(path)),
        }
    }

    /// All that may be done in one call of the backend; `None` where it has none for that.
    fn together(&self, operations: &[BatchOperation]) -> Option<Call<Vec<Result<BatchOutcome>>>> {
        let started = Instant::now();
        let mut sent = Vec::with_capacity(operations.len());
        let checked: Vec<Checked> = operations
            .iter()
            .map(|operation| {
                let raw = operation.path();
                let (name, outcome) = match self.checked(operation) {
                    (name, Ok(checked)) => {
                        sent.push(checked);
                        (name, None)
                    }
                    (name, Err(error)) => (name, Some(error)),
                };
                Checked {
                    operation: name,
                    is_question: matches!(operation, BatchOperation::Exists { .. })
                        && self.rights().read,
                    path: Arc::from(String::from_utf8_lossy(raw)),
                    refused: outcome,
                }
            })
            .collect();
        let call = match sent.is_empty() {
            true => Call::ok(Vec::new()),
            false => self.inner.backend.batch(sent)?,
        };
        let workspace = self.clone();
        let observed = self.inner.observer.as_ref().map(|_| started);
        Some(call.then(move |answered| {
            let mut answers = match answered {
                Ok(answers) => answers.into_iter(),
                Err(error) => {
                    for one in checked {
                        let error = one.refused.unwrap_or_else(|| error.clone());
                        workspace.record(one.operation, &one.path, observed, Some(&error));
                    }
                    return Err(error.during("batch"));
                }
            };
            let outcomes = checked.into_iter().map(|mut one| {
                let answer = match one.refused.take() {
                    Some(refused) => Err(refused),
                    None => answers.next().unwrap_or_else(|| Err(missing())),
                };
                let outcome = one.outcome(answer);
                let error = outcome.as_ref().err();
                workspace.record(one.operation, &one.path, observed, error);
                outcome
            });
            Ok(outcomes.collect())
        }))
    }

    /// An operation's verb, and what it is to the backend where it may be done.
    fn checked(
        &self,
        operation: &BatchOperation,
    ) -> (&'static str, Result<BatchOperation<RelPath>>) {
        let question = question(operation);
        let name = question.operation;
        // As in a call of its own: who lacks a right learns nothing else.
        match self.check_rights(&question) {
            Ok(()) => (name, self.prepared(question, operation)),
            Err(refused) => (name, Err(refused)),
        }
    }

    fn prepared(
        &self,
        mut question: Question,
        operation: &BatchOperation,
    ) -> Result<BatchOperation<RelPath>> {
        use BatchOperation as One;
        let raw = operation.path();
        let path = self.parse(question.operation, raw)?;
        if let One::Rename { to, .. } = operation {
            question.to = Some(self.parse(question.operation, to)?);
        }
        self.check_now(&question, &path)?;
        Ok(match operation.clone() {
            One::Read { options, .. } => One::Read { path, options },
            One::Write {
                content, options, ..
            } => {
                check_file(raw.ends_with(b"/"), &path)?;
                One::Write {
                    path,
                    content,
                    options,
                }
            }
            One::Stat { follow, .. } => One::Stat { path, follow },
            One::Exists { .. } => One::Exists { path },
            One::List { options, .. } => One::List { path, options },
            One::CreateDir { recursive, .. } => One::CreateDir { path, recursive },
            One::Remove { options, .. } => One::Remove { path, options },
            One::Rename { options, .. } => One::Rename {
                from: path,
                to: question.to.unwrap_or_default(),
                options,
            },
            One::Touch { .. } => One::Touch { path },
        })
    }
}

/// An operation that was checked.
struct Checked {
    operation: &'static str,
    is_question: bool,
    /// As the caller wrote it.
    path: Arc<str>,
    refused: Option<Error>,
}

impl Checked {
    fn outcome(&self, answer: Result<BatchOutcome>) -> Result<BatchOutcome> {
        let answer = match self.is_question {
            true => is_there(answer.map(|_| true)).map(BatchOutcome::Exists),
            false => answer,
        };
        answer.map_err(|error| error.at(&*self.path).during(self.operation))
    }
}

fn done(call: Call<()>) -> Call<BatchOutcome> {
    call.map(|()| BatchOutcome::Done)
}

fn missing() -> Error {
    Error::new(
        ErrorCode::IoError,
        "the backend gave fewer outcomes than it was asked for",
    )
}

/// What the call of its own would ask.
fn question(operation: &BatchOperation) -> Question {
    use BatchOperation as One;
    match operation {
        One::Read { .. } => Question::followed("read", Access::Read),
        One::Write { .. } => Question::followed("write", Access::Write),
        One::Stat { follow: true, .. } => Question::followed("stat", LOOK),
        One::Stat { .. } => Question::named("lstat", LOOK),
        One::Exists { .. } => Question::followed("exists", LOOK),
        One::List { .. } => Question::followed("readdir", Access::List),
        One::CreateDir { .. } => Question::followed("mkdir", Access::Write),
        One::Remove { .. } => Question::named("rm", Access::Write),
        One::Rename { .. } => Question::named("rename", Access::Write),
        One::Touch { .. } => Question::followed("touch", Access::Write),
    }
}
