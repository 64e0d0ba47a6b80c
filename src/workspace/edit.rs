//! Exact replacement in files: what a model does to code. Bytes in, bytes out, so a file in any encoding keeps what
//! is not replaced; all edits of a call or none; and a file that somebody else changed meanwhile is read again, not
//! overwritten.

mod apply;
mod diff;

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::{Workspace, destroyed};
use crate::backend::{
    Backend, Content, Etag, FileStat, ReadOptions, ReadOutcome, WriteMode, WriteOptions,
};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

/// A larger file is not edited, before or after.
pub const MAX_EDITED_BYTES: usize = 64 << 20;
/// More edits in one call are refused.
const MAX_EDITS: usize = 1_000;
/// How often a file that others keep changing is read and edited anew.
const MAX_ATTEMPTS: usize = 100;
/// Up to this much is edited on the caller's thread; more goes to the pool.
const INLINE_BYTES: usize = 16 << 10;
/// A diff costs most by its lines.
const INLINE_LINES: usize = 400;

/// One replacement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// What to replace, byte for byte; it must occur exactly once, unless `replace_all`.
    pub old_text: Bytes,
    /// What to put in its place.
    pub new_text: Bytes,
    /// Replace every occurrence. Default: false.
    pub replace_all: bool,
}

/// How to edit.
#[derive(Clone, Debug, Default)]
pub struct EditOptions {
    /// Only say what would change. Default: false.
    pub dry_run: bool,
    /// Edit only the state that has this etag, else `CONFLICT`. Default: whatever is there.
    pub if_match: Option<Etag>,
}

/// What an edit did, or would do.
#[derive(Clone, Debug)]
pub struct EditOutcome {
    /// Unified, with three lines of context; empty where the edits undo each other. U+FFFD for what is not UTF-8; cut
    /// at 1 MiB, with a note.
    pub diff: String,
    /// How many occurrences were replaced, over all edits.
    pub replacements: usize,
    /// The file after the edit; with `dry_run`, as it is.
    pub stat: FileStat,
}

impl Workspace {
    /// Replaces texts in a file, in order, each in the result of the one before; either all or none. Mode and
    /// owner stay. Readers see the old content or the new. Where another call writes the file at the same time, the
    /// edits are applied anew to what it wrote.
    ///
    /// Errors: `EDIT_NOT_FOUND` (with what comes near), `EDIT_NOT_UNIQUE` (with the lines), `INVALID_CONFIGURATION`
    /// (an empty `old_text`, equal texts, no edits), `CONFLICT` (`if_match`, or others never stop writing),
    /// `TOO_LARGE` (over 64 MiB), and those of [`Backend::read`] and [`Backend::write`].
    pub fn edit(
        &self,
        path: impl AsRef<[u8]>,
        edits: Vec<Edit>,
        options: EditOptions,
    ) -> Call<EditOutcome> {
        self.operate("edit", path.as_ref(), |_, path| {
            if let Err(error) = check(&edits) {
                return Call::err(error);
            }
            let job = Job {
                backend: Arc::clone(&self.inner.backend),
                ended: self.inner.ended.clone(),
                path,
                edits,
                options,
            };
            attempt(Arc::new(job), 1)
        })
    }
}

/// One call of [`Workspace::edit`].
struct Job {
    backend: Arc<dyn Backend>,
    ended: CancellationToken,
    path: RelPath,
    edits: Vec<Edit>,
    options: EditOptions,
}

/// The file after the edits, before it is written.
struct Edited {
    before: ReadOutcome,
    after: Bytes,
    replacements: usize,
    diff: String,
}

fn attempt(job: Arc<Job>, number: usize) -> Call<EditOutcome> {
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
            let editing = {
                let job = Arc::clone(&job);
                let inline = is_small(&before.bytes, &job.edits);
                let work = move || job.edit(before);
                if inline {
                    Call::from(work())
                } else {
                    Call::blocking(work)
                }
            };
            editing.and_then(move |edited| write(job, edited, number))
        })
}

/// Writes what was edited, or begins again where somebody else was faster.
fn write(job: Arc<Job>, edited: Edited, number: usize) -> Call<EditOutcome> {
    let Edited {
        before,
        after,
        replacements,
        diff,
    } = edited;
    let outcome = move |stat| EditOutcome {
        diff,
        replacements,
        stat,
    };
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

impl Job {
    fn edit(&self, before: ReadOutcome) -> Result<Edited> {
        let (after, replacements) = apply::apply(&before.bytes, &self.edits, &self.ended)?;
        let diff = diff::unified(&self.path.to_string_lossy(), &before.bytes, &after);
        Ok(Edited {
            before,
            after: after.into(),
            replacements,
            diff,
        })
    }
}

/// Whether the work takes no longer than a hand-over to the pool would.
fn is_small(content: &[u8], edits: &[Edit]) -> bool {
    let texts = || {
        edits
            .iter()
            .flat_map(|edit| [&edit.old_text[..], &edit.new_text[..]])
    };
    let bytes = content.len() + texts().map(<[u8]>::len).sum::<usize>();
    let lines = |text: &[u8]| text.iter().filter(|&&b| b == b'\n').count();
    let grows = edits.iter().any(|edit| edit.replace_all);
    bytes <= INLINE_BYTES
        && edits.len() <= 8
        && !grows
        && lines(content) + texts().map(lines).sum::<usize>() <= INLINE_LINES
}

/// What can be refused without reading the file.
fn check(edits: &[Edit]) -> Result<()> {
    let refuse = |message: String| Err(Error::new(ErrorCode::InvalidConfiguration, message));
    if edits.is_empty() {
        return refuse("`edits` is empty; name at least one replacement".to_owned());
    }
    if edits.len() > MAX_EDITS {
        return refuse(format!(
            "`edits` has {} replacements; at most {MAX_EDITS} go in one call",
            edits.len()
        ));
    }
    for (at, edit) in edits.iter().enumerate() {
        let which = apply::which(at, edits.len());
        if edit.old_text.is_empty() {
            return refuse(format!(
                "{which}`oldText` is empty; name the text to replace, or write the file"
            ));
        }
        if edit.old_text == edit.new_text {
            return refuse(format!(
                "{which}`oldText` and `newText` are equal: nothing would change"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "edit_tests.rs"]
mod tests;
