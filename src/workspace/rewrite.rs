//! Changing a file's content by what it is: read, change, write if it is still the same, and all over again where
//! somebody else was faster. Readers see the old content or the new, and nobody's write is lost.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::permission::Question;
use super::{Workspace, destroyed};
use crate::access::Access;
use crate::backend::{
    Backend, Content, EditOptions, FileStat, ReadOptions, ReadOutcome, WriteMode, WriteOptions,
};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

/// A larger file is not changed, before or after.
pub const MAX_EDITED_BYTES: usize = 64 << 20;
/// How often a file that others keep changing is read and changed anew.
const MAX_ATTEMPTS: usize = 100;

/// A change of a file's content, applied anew where somebody else wrote the file meanwhile.
pub trait Change: Send + Sync + 'static {
    /// What it tells of itself beside the new content.
    type Report: Send + 'static;

    /// Whether [`Change::apply`] takes no longer than a hand-over to another thread, so that it may be done on the
    /// caller's, which may be an event loop.
    fn is_small(&self, before: &[u8]) -> bool;

    /// The same change made where the file is, in one call; `None` where the backend has to be asked for the content.
    /// `NOT_IMPLEMENTED` is the answer of a backend that found out only then.
    fn elsewhere(
        &self,
        backend: &Arc<dyn Backend>,
        path: &RelPath,
        options: &EditOptions,
    ) -> Option<Call<Rewritten<Self::Report>>> {
        let _ = (backend, path, options);
        None
    }

    /// The content after the change; an error ends the call and leaves the file as it is. What takes long looks at
    /// `ended` now and then, which is cancelled when the workspace is destroyed.
    ///
    /// # Errors
    /// Its own.
    fn apply(
        &self,
        path: &RelPath,
        before: &[u8],
        ended: &CancellationToken,
    ) -> Result<Changed<Self::Report>>;
}

/// What a [`Change`] made of a content.
#[derive(Clone, Debug)]
pub struct Changed<R> {
    /// The content after; equal to what it was, the file is not written.
    pub after: Bytes,
    /// What to tell the caller.
    pub report: R,
}

/// What a [`Workspace::rewrite`] did, or would do.
#[derive(Clone, Debug)]
pub struct Rewritten<R> {
    /// What the change told of itself.
    pub report: R,
    /// The file after; with `dry_run`, as it is.
    pub stat: FileStat,
}

impl Workspace {
    /// Changes a file's content, as a whole or not at all. Mode and owner stay. Where another call writes the file at
    /// the same time, the change is applied anew to what it wrote. Its name in errors and in the log is `edit`.
    ///
    /// Errors: those of the change; `CONFLICT` (`if_match`, or others never stop writing), `TOO_LARGE` (over
    /// [`MAX_EDITED_BYTES`], before or after), and those of [`Backend::read`] and [`Backend::write`].
    pub fn rewrite<C: Change>(
        &self,
        path: impl AsRef<[u8]>,
        change: C,
        options: EditOptions,
    ) -> Call<Rewritten<C::Report>> {
        self.rewrite_by(path.as_ref(), Ok(change), options)
    }

    /// [`Workspace::rewrite`] by a change that may have been refused already.
    pub(super) fn rewrite_by<C: Change>(
        &self,
        path: &[u8],
        change: Result<C>,
        options: EditOptions,
    ) -> Call<Rewritten<C::Report>> {
        let question = match options.dry_run {
            true => Question::followed("edit", Access::Read),
            // What it says of a change tells what was there.
            false => Question {
                also: Some(Access::Read),
                ..Question::followed("edit", Access::Write)
            },
        };
        let ended = self.inner.ended.clone();
        self.operate_asking(question, path, move |backend, path| match change {
            Ok(change) => {
                let job = Job {
                    backend: Arc::clone(backend),
                    ended,
                    path,
                    change,
                    options,
                };
                begin(Arc::new(job))
            }
            Err(error) => Call::err(error),
        })
    }
}

/// One call of [`Workspace::rewrite`].
struct Job<C> {
    backend: Arc<dyn Backend>,
    ended: CancellationToken,
    path: RelPath,
    change: C,
    options: EditOptions,
}

/// Where the file is, if that can be; else here.
fn begin<C: Change>(job: Arc<Job<C>>) -> Call<Rewritten<C::Report>> {
    let elsewhere = job.change.elsewhere(&job.backend, &job.path, &job.options);
    let Some(call) = elsewhere else {
        return attempt(job, 1);
    };
    Call::pending(async move {
        match call.await {
            Err(error) if error.code() == ErrorCode::NotImplemented => attempt(job, 1).await,
            done => done,
        }
    })
}

fn attempt<C: Change>(job: Arc<Job<C>>, number: usize) -> Call<Rewritten<C::Report>> {
    let options = ReadOptions {
        max_bytes: Some(MAX_EDITED_BYTES as u64),
        ..ReadOptions::default()
    };
    job.backend
        .read(&job.path, options)
        .and_then(move |before| {
            let wanted = job.options.if_match.as_ref();
            if wanted.is_some_and(|etag| *etag != before.stat.etag()) {
                return Call::err(Error::new(
                    ErrorCode::Conflict,
                    "the file was changed since it was read; read it again and edit that",
                ));
            }
            let changing = {
                let job = Arc::clone(&job);
                let inline = job.change.is_small(&before.bytes);
                let work = move || {
                    let changed = job.change.apply(&job.path, &before.bytes, &job.ended)?;
                    check_length(changed.after.len())?;
                    Ok((before, changed))
                };
                if inline {
                    Call::from(work())
                } else {
                    Call::blocking(work)
                }
            };
            changing.and_then(move |(before, changed)| write(job, before, changed, number))
        })
}

/// Writes the new content, or begins again where somebody else was faster.
fn write<C: Change>(
    job: Arc<Job<C>>,
    before: ReadOutcome,
    changed: Changed<C::Report>,
    number: usize,
) -> Call<Rewritten<C::Report>> {
    let Changed { after, report } = changed;
    let outcome = move |stat| Rewritten { report, stat };
    if job.options.dry_run || after == before.bytes {
        return Call::ok(outcome(before.stat));
    }
    if job.ended.is_cancelled() {
        return Call::err(destroyed());
    }
    let options = WriteOptions {
        mode: WriteMode::IfMatch(before.stat.etag()),
        ..WriteOptions::default()
    };
    let again = number < MAX_ATTEMPTS && job.options.if_match.is_none();
    let is_lost = move |error: &Error| again && error.code() == ErrorCode::Conflict;
    match job.backend.write(&job.path, Content::owned(after), options) {
        Call::Ready(Err(error)) if is_lost(&error) => attempt(job, number + 1),
        Call::Ready(written) => Call::from(written.map(|written| outcome(written.stat))),
        Call::Pending(writing) => Call::pending(async move {
            match writing.await {
                Err(error) if is_lost(&error) => attempt(job, number + 1).await,
                written => written.map(|written| outcome(written.stat)),
            }
        }),
    }
}

/// Refuses a content that would be too long.
///
/// # Errors
/// `TOO_LARGE`.
pub(super) fn check_length(bytes: usize) -> Result<()> {
    if bytes > MAX_EDITED_BYTES {
        return Err(Error::new(
            ErrorCode::TooLarge,
            format!("the file would have {bytes} bytes; at most {MAX_EDITED_BYTES} can be edited"),
        ));
    }
    Ok(())
}

#[cfg(test)]
#[path = "rewrite_tests.rs"]
mod tests;
