//! How a call becomes a request on whatever connection is live, and an answer what the call promises.

use std::sync::Arc;

use super::backend::RemoteBackend;
use super::link::Link;
use super::progress::{Progress, in_time, time_to_send};
use super::shared::Shared;
use crate::backend::process::{CommandSpec, Process};
use crate::backend::search::{SearchOutcome, SearchRequest};
use crate::backend::{
    BatchOperation, BatchOutcome, DirEntry, Edit, EditOptions, EditOutcome, ListOptions,
};
use crate::call::{BoxFuture, Call};
use crate::error::{Error, ErrorCode, Result};
use crate::path::{RelPath, strip_root};
use crate::wire::operations::{Answer, Hello, INLINE_BYTES, Operation, Request};

impl RemoteBackend {
    /// One operation that may have been done where the connection ends: it is not asked again.
    pub(super) fn once<T: Send + 'static>(
        &self,
        path: &RelPath,
        operation: Operation,
        take: fn(Answer) -> Option<T>,
    ) -> Call<T> {
        let limit = (self.shared.timeout).map(|limit| limit + time_to_send(&operation));
        let progress = Progress::default();
        let sent = send(&self.shared, self.scope.clone(), operation, &progress);
        self.told(path, in_time(limit, progress, sent), take)
    }

    /// One operation that changes nothing: asked once more where the connection ends before it is answered.
    pub(super) fn repeatable<T: Send + 'static>(
        &self,
        path: &RelPath,
        operation: Operation,
        take: fn(Answer) -> Option<T>,
    ) -> Call<T> {
        let progress = Progress::default();
        let (shared, scope) = (Arc::clone(&self.shared), self.scope.clone());
        let first = send(&shared, scope.clone(), operation.clone(), &progress);
        let second = progress.clone();
        let sent = Box::pin(async move {
            match first.await {
                Err(lost) if lost.code() == ErrorCode::ConnectionClosed => {
                    let again = send(&shared, scope, operation, &second).await;
                    // Where nobody is there any more, what counts is that the answer did not come.
                    again.map_err(|error| match error.code() {
                        ErrorCode::ConnectionFailed => lost,
                        _ => error,
                    })
                }
                answered => answered,
            }
        });
        self.told(path, in_time(self.shared.timeout, progress, sent), take)
    }

    fn told<T: Send + 'static>(
        &self,
        path: &RelPath,
        sent: BoxFuture<Result<Answer>>,
        take: fn(Answer) -> Option<T>,
    ) -> Call<T> {
        let path = path.clone();
        Call::pending(async move {
            let answer = sent.await.map_err(|error| as_of_here(&error, &path))?;
            take(answer).ok_or_else(|| crate::wire::malformed("an answer to another question"))
        })
    }

    /// Something on the live link, in this scope.
    pub(super) fn on_link<T: Send + 'static>(
        &self,
        path: &RelPath,
        act: impl FnOnce(&dyn Link, &RelPath) -> BoxFuture<Result<T>> + Send + 'static,
    ) -> Call<T> {
        let acted = act_on(&self.shared, self.scope.clone(), act);
        let acted = in_time(self.shared.timeout, Progress::default(), acted);
        let path = path.clone();
        Call::pending(async move { acted.await.map_err(|error| as_of_here(&error, &path)) })
    }

    pub(super) fn list_all(&self, path: &RelPath, options: ListOptions) -> Call<Vec<DirEntry>> {
        let operation = Operation::List {
            path: path.clone(),
            options,
        };
        self.repeatable(path, operation, |answer| match answer {
            Answer::List(entries) => Some(entries),
            _ => None,
        })
    }

    pub(super) fn search_all(&self, request: SearchRequest) -> Call<SearchOutcome> {
        let base = request.base.clone();
        let operation = Operation::Search(Box::new(request));
        self.repeatable(&base, operation, |answer| match answer {
            Answer::Search(outcome) => Some(*outcome),
            _ => None,
        })
    }

    /// Time limits are those of the command, which its caller keeps.
    pub(super) fn start(&self, command: CommandSpec) -> Call<Process> {
        let cwd = command.cwd.clone();
        let started = act_on(&self.shared, self.scope.clone(), move |link, scope| {
            link.spawn(scope, command)
        });
        Call::pending(async move { started.await.map_err(|error| as_of_here(&error, &cwd)) })
    }

    /// Where nothing is connected, nothing of ours runs.
    pub(super) fn end_commands(&self) -> Call<()> {
        let Some(link) = live(&self.shared) else {
            return Call::ok(());
        };
        match base(&self.shared, link.hello()) {
            Ok(base) => {
                let ended = link.end_commands(&base.join(&self.scope));
                Call::pending(async move {
                    match ended.await {
                        Err(error) if error.code() == ErrorCode::ConnectionClosed => Ok(()),
                        ended => ended,
                    }
                })
            }
            Err(_) => Call::ok(()),
        }
    }

    /// `None` for texts that are too long for one message.
    pub(super) fn edit_there(
        &self,
        path: &RelPath,
        edits: &[Edit],
        options: &EditOptions,
    ) -> Option<Call<EditOutcome>> {
        let texts = edits
            .iter()
            .flat_map(|edit| [&edit.old_text, &edit.new_text]);
        if texts.map(|text| text.len()).sum::<usize>() > INLINE_BYTES {
            return None;
        }
        let operation = Operation::Edit {
            path: path.clone(),
            edits: edits.to_vec(),
            options: options.clone(),
        };
        Some(self.once(path, operation, |answer| match answer {
            Answer::Edited(outcome) => Some(*outcome),
            _ => None,
        }))
    }

    pub(super) fn batch_all(
        &self,
        operations: Vec<BatchOperation<RelPath>>,
    ) -> Call<Vec<Result<BatchOutcome>>> {
        let paths: Vec<RelPath> = operations.iter().map(|one| one.path().clone()).collect();
        let operations = operations.into_iter().map(operation_of).collect();
        let sent = self.once(&RelPath::root(), Operation::Batch(operations), Some);
        Call::pending(async move {
            let Answer::Batch(answers) = sent.await? else {
                return Err(crate::wire::malformed("an answer to another question"));
            };
            if answers.len() != paths.len() {
                return Err(crate::wire::malformed(
                    "more or fewer answers than questions",
                ));
            }
            let outcomes = answers.into_iter().zip(&paths).map(|(answer, path)| {
                outcome_of(answer.map_err(|error| as_of_here(&error, path))?)
            });
            Ok(outcomes.collect())
        })
    }
}

fn operation_of(operation: BatchOperation<RelPath>) -> Operation {
    match operation {
        BatchOperation::Read { path, options } => Operation::Read { path, options },
        BatchOperation::Write {
            path,
            content,
            options,
        } => Operation::Write {
            path,
            content: content.into_owned(),
            options,
        },
        BatchOperation::Stat { path, follow } => Operation::Stat { path, follow },
        BatchOperation::Exists { path } => Operation::Stat { path, follow: true },
        BatchOperation::List { path, options } => Operation::List { path, options },
        BatchOperation::CreateDir { path, recursive } => Operation::CreateDir { path, recursive },
        BatchOperation::Remove { path, options } => Operation::Remove { path, options },
        BatchOperation::Rename { from, to, options } => Operation::Rename { from, to, options },
        BatchOperation::Touch { path } => Operation::Touch { path },
    }
}

fn outcome_of(answer: Answer) -> Result<BatchOutcome> {
    Ok(match answer {
        Answer::Read { outcome, .. } => BatchOutcome::Read(outcome),
        Answer::Written(outcome) => BatchOutcome::Written(outcome),
        Answer::Stat(stat) => BatchOutcome::Stat(stat),
        Answer::List(entries) => BatchOutcome::List(entries),
        Answer::Done => BatchOutcome::Done,
        _ => return Err(crate::wire::malformed("an answer to another question")),
    })
}

fn live(shared: &Shared) -> Option<Arc<dyn Link>> {
    let link = shared.connector.live()?;
    (!link.closed().is_cancelled()).then_some(link)
}

/// Sends at once where a connection is live, so that nobody has to be woken for that.
fn send(
    shared: &Arc<Shared>,
    scope: RelPath,
    operation: Operation,
    progress: &Progress,
) -> BoxFuture<Result<Answer>> {
    let progress = progress.clone();
    act_on(shared, scope, move |link, scope| {
        let scope = scope.clone();
        link.request(Request { scope, operation }, progress)
    })
}

fn act_on<T: Send + 'static>(
    shared: &Arc<Shared>,
    scope: RelPath,
    act: impl FnOnce(&dyn Link, &RelPath) -> BoxFuture<Result<T>> + Send + 'static,
) -> BoxFuture<Result<T>> {
    if let Some(link) = live(shared) {
        return match base(shared, link.hello()) {
            Ok(base) => act(&*link, &base.join(&scope)),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        };
    }
    let shared = Arc::clone(shared);
    Box::pin(async move {
        let link = shared.connector.link().await?;
        shared.learn(&*link);
        let base = base(&shared, link.hello())?;
        act(&*link, &base.join(&scope)).await
    })
}

/// Where the root is, below that of the session. A root that is what the daemon serves at all is the session's too.
///
/// Errors: `INVALID_CONFIGURATION`, naming both.
fn base(shared: &Shared, hello: &Hello) -> Result<RelPath> {
    let root_dir = &shared.root_dir;
    if *root_dir == hello.session_root || *root_dir == hello.served_root {
        return Ok(RelPath::root());
    }
    match strip_root(root_dir, &hello.session_root) {
        Some(below) => RelPath::parse(below, b"/"),
        None => Err(Error::new(
            ErrorCode::InvalidConfiguration,
            format!(
                "rootDir '{}' is not in '{}', to which the daemon confines this client; use that, or a directory below it",
                String::from_utf8_lossy(root_dir),
                String::from_utf8_lossy(&hello.session_root)
            ),
        )),
    }
}

/// The other side named operation and path as it got them; whoever calls here names them as they were written.
fn as_of_here(error: &Error, path: &RelPath) -> Error {
    let mut here = Error::new(error.code(), error.message());
    if let Some(named) = error.path()
        && named != path.to_string_lossy()
    {
        here = here.at(named);
    }
    if let Some(limit) = error.limit() {
        here = here.with_limit(limit);
    }
    match error.failure() {
        Some(failure) => here.with_failure(failure.clone()),
        None => here,
    }
}
