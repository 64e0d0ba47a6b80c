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
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::backend::memory::{MemoryBackend, MemoryOptions};
    use crate::workspace::{ScopeOptions, WorkspaceOptions};

    /// A change that is what a function does, and counts how often.
    struct By<F> {
        small: bool,
        times: Arc<AtomicUsize>,
        make: F,
    }

    impl<F: Fn(usize, &[u8]) -> Result<Vec<u8>> + Send + Sync + 'static> Change for By<F> {
        type Report = usize;

        fn is_small(&self, _before: &[u8]) -> bool {
            self.small
        }

        fn apply(
            &self,
            path: &RelPath,
            before: &[u8],
            _ended: &CancellationToken,
        ) -> Result<Changed<usize>> {
            assert_eq!(path.as_bytes(), b"d/f");
            let time = self.times.fetch_add(1, Ordering::SeqCst) + 1;
            (self.make)(time, before).map(|after| Changed {
                after: after.into(),
                report: time,
            })
        }
    }

    fn by<F: Fn(usize, &[u8]) -> Result<Vec<u8>> + Send + Sync + 'static>(make: F) -> By<F> {
        By {
            small: true,
            times: Arc::default(),
            make,
        }
    }

    fn workspace() -> Workspace {
        let backend = MemoryBackend::new(MemoryOptions::default()).unwrap();
        let root = Workspace::new(
            backend,
            WorkspaceOptions::default(),
            ScopeOptions::default(),
        );
        put(&root, b"one");
        root
    }

    fn put(workspace: &Workspace, content: &[u8]) {
        let content = Content::owned(content.to_vec());
        block(workspace.write("d/f", content, WriteOptions::default())).unwrap();
    }

    fn get(workspace: &Workspace) -> ReadOutcome {
        block(workspace.read("d/f", ReadOptions::default())).unwrap()
    }

    fn block<T: 'static>(call: Call<T>) -> Result<T> {
        match call {
            Call::Ready(result) => result,
            pending @ Call::Pending(_) => crate::pool::runtime().block_on(pending),
        }
    }

    fn louder(before: &[u8]) -> Vec<u8> {
        [before, b"!"].concat()
    }

    #[test]
    fn a_change_gives_the_new_content_its_report_and_the_files_state() {
        for small in [true, false] {
            let workspace = workspace();
            let change = By {
                small,
                ..by(|_, before| Ok(louder(before)))
            };
            let call = workspace.rewrite("/d//f", change, EditOptions::default());
            assert_eq!(matches!(call, Call::Ready(_)), small);
            let done = block(call).unwrap();
            let after = get(&workspace);
            assert_eq!(&after.bytes[..], b"one!");
            assert_eq!(done.stat.etag(), after.stat.etag());
            assert_eq!(done.report, 1);
        }
    }

    #[test]
    fn a_change_that_another_write_overtook_is_made_anew_of_what_was_written() {
        let workspace = workspace();
        let other = workspace.clone();
        let change = by(move |time, before| {
            if time <= 2 {
                put(&other, format!("other {time}").as_bytes());
            }
            Ok(louder(before))
        });
        let done = block(workspace.rewrite("d/f", change, EditOptions::default())).unwrap();
        assert_eq!(done.report, 3);
        assert_eq!(&get(&workspace).bytes[..], b"other 2!");
    }

    #[test]
    fn a_file_that_others_never_stop_writing_is_given_up() {
        let workspace = workspace();
        let other = workspace.clone();
        let change = by(move |time, before| {
            put(&other, format!("other {time}").as_bytes());
            Ok(louder(before))
        });
        let times = Arc::clone(&change.times);
        let error = block(workspace.rewrite("d/f", change, EditOptions::default())).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Conflict);
        assert_eq!(times.load(Ordering::SeqCst), MAX_ATTEMPTS);
        assert_eq!(&get(&workspace).bytes[..], b"other 100");
    }

    #[test]
    fn only_the_state_that_was_asked_for_is_changed() {
        let workspace = workspace();
        let seen = EditOptions {
            if_match: Some(get(&workspace).stat.etag()),
            ..EditOptions::default()
        };
        let other = workspace.clone();
        let overtaken = by(move |_, before| {
            put(&other, b"other");
            Ok(louder(before))
        });
        let times = Arc::clone(&overtaken.times);
        let call = workspace.rewrite("d/f", overtaken, seen.clone());
        assert_eq!(block(call).unwrap_err().code(), ErrorCode::Conflict);
        assert_eq!(times.load(Ordering::SeqCst), 1);
        let late = by(|_, before| Ok(louder(before)));
        let times = Arc::clone(&late.times);
        let call = workspace.rewrite("d/f", late, seen);
        assert_eq!(block(call).unwrap_err().code(), ErrorCode::Conflict);
        assert_eq!(times.load(Ordering::SeqCst), 0);
        assert_eq!(&get(&workspace).bytes[..], b"other");
    }

    #[test]
    fn neither_a_trial_nor_an_unchanged_content_is_written() {
        let workspace = workspace();
        let before = get(&workspace).stat.etag();
        let trial = EditOptions {
            dry_run: true,
            ..EditOptions::default()
        };
        let tried = workspace.rewrite("d/f", by(|_, before| Ok(louder(before))), trial);
        assert_eq!(block(tried).unwrap().stat.etag(), before);
        let same = by(|_, before| Ok(before.to_vec()));
        let kept = workspace.rewrite("d/f", same, EditOptions::default());
        assert_eq!(block(kept).unwrap().stat.etag(), before);
        assert_eq!(get(&workspace).stat.etag(), before);
    }

    #[test]
    fn a_change_that_fails_or_grows_too_large_leaves_the_file() {
        let workspace = workspace();
        let refused = by(|_, _| Err(Error::new(ErrorCode::EditNotFound, "not there")));
        let error = block(workspace.rewrite("d/f", refused, EditOptions::default())).unwrap_err();
        assert_eq!(error.code(), ErrorCode::EditNotFound);
        assert_eq!(
            (error.operation(), error.path()),
            (Some("edit"), Some("d/f"))
        );
        let large = by(|_, _| Ok(vec![0; MAX_EDITED_BYTES + 1]));
        let error = block(workspace.rewrite("d/f", large, EditOptions::default())).unwrap_err();
        assert_eq!(error.code(), ErrorCode::TooLarge);
        assert_eq!(&get(&workspace).bytes[..], b"one");
    }
}
