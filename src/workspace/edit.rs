//! Exact replacement in files: what a model does to code. Bytes in, bytes out, so a file in any encoding keeps what
//! is not replaced; all edits of a call or none; and a file that somebody else changed meanwhile is read again, not
//! overwritten.

mod apply;
mod diff;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::rewrite::{Change, Changed, Rewritten};
use super::{Workspace, destroyed};
use crate::backend::{Backend, Edit, EditOptions, EditOutcome};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;

/// More edits in one call are refused.
const MAX_EDITS: usize = 1_000;
/// Up to this much is edited on the caller's thread; more goes to the pool.
const INLINE_BYTES: usize = 16 << 10;
/// A diff costs most by its lines.
const INLINE_LINES: usize = 400;

impl Workspace {
    /// Replaces texts in a file, in order, each in the result of the one before; either all or none. Mode and
    /// owner stay. Readers see the old content or the new. Where another call writes the file at the same time, the
    /// edits are applied anew to what it wrote.
    ///
    /// Errors: `EDIT_NOT_FOUND` (with what comes near), `EDIT_NOT_UNIQUE` (with the lines), `INVALID_CONFIGURATION`
    /// (an empty `old_text`, equal texts, no edits), and those of [`Workspace::rewrite`].
    pub fn edit(
        &self,
        path: impl AsRef<[u8]>,
        edits: Vec<Edit>,
        options: EditOptions,
    ) -> Call<EditOutcome> {
        let replacing = check(&edits).map(|()| Replacing(edits));
        self.rewrite_by(path.as_ref(), replacing, options)
            .map(|done| EditOutcome {
                diff: done.report.diff,
                replacements: done.report.replacements,
                stat: done.stat,
            })
    }
}

/// All edits of a call, as one change.
struct Replacing(Vec<Edit>);

/// What they did.
struct Replaced {
    diff: String,
    replacements: usize,
}

impl Change for Replacing {
    type Report = Replaced;

    fn is_small(&self, before: &[u8]) -> bool {
        is_small(before, &self.0)
    }

    fn elsewhere(
        &self,
        backend: &Arc<dyn Backend>,
        path: &RelPath,
        options: &EditOptions,
    ) -> Option<Call<Rewritten<Replaced>>> {
        let edited = backend.edit(path, &self.0, options)?;
        Some(edited.map(|done| Rewritten {
            report: Replaced {
                diff: done.diff,
                replacements: done.replacements,
            },
            stat: done.stat,
        }))
    }

    fn apply(
        &self,
        path: &RelPath,
        before: &[u8],
        ended: &CancellationToken,
    ) -> Result<Changed<Replaced>> {
        let (after, replacements) = apply::apply(before, &self.0, ended)?;
        let diff = diff::unified(&path.to_string_lossy(), before, &after);
        Ok(Changed {
            after: after.into(),
            report: Replaced { diff, replacements },
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
