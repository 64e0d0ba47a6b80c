//! What `edit_file` makes of a file: each edit names a text and what is to stand in its place, one after another.
//!
//! The rules are those of the reference server, which models know by heart. A text that stands in the file as it was
//! given is replaced where it occurs first. Else whole lines are compared without the white space around them, and the
//! new lines take over the indentation of the place that was found (`lines`). Line ends count as LF throughout.
//!
//! Two things are kept that the reference loses: bytes that are not UTF-8, unless they are themselves replaced, and
//! the line ends of a file in which every one is CRLF, so that one edit does not change every line.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::ops::Range;

use memchr::memmem;

use super::lines;

/// No edit makes a file longer than this.
pub const MAX_RESULT_BYTES: usize = 64 << 20;

/// One replacement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextEdit {
    /// What to look for. Where it is empty, the new text goes to the start of the file.
    pub old_text: String,
    /// What takes its place.
    pub new_text: String,
}

/// A file before and after its edits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The content as it was, with LF for every CRLF.
    pub normalised: Vec<u8>,
    /// The content after all edits, as a diff with `normalised` shows it.
    pub modified: Vec<u8>,
    /// The content that the file is to have: `modified`, with CRLF where the file had nothing else.
    pub to_write: Vec<u8>,
}

/// Why a file is left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The text of an edit stands nowhere in what the edits before it left.
    NotFound {
        /// Which edit, counted from 0.
        index: usize,
        /// Its old text, as it was given.
        old_text: String,
    },
    /// The caller asked to stop.
    Stopped,
    /// The file would have more bytes than this.
    TooLarge {
        /// The bound, in bytes.
        limit: usize,
    },
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The sentence of the reference server.
            Self::NotFound { old_text, .. } => {
                write!(f, "Could not find exact match for edit:\n{old_text}")
            }
            Self::Stopped => f.write_str("the edits were stopped"),
            Self::TooLarge { limit } => {
                write!(f, "the edited file would be larger than {limit} bytes")
            }
        }
    }
}

impl Error for EditError {}

/// Does the edits in their order, each on what the one before it left.
///
/// `stop` is asked between edits and while lines are compared; once it says true, nothing more is done.
///
/// # Errors
/// `NotFound` for the first edit whose text does not occur, `TooLarge` where a step would exceed
/// [`MAX_RESULT_BYTES`], `Stopped`.
pub fn apply(
    original: &[u8],
    edits: &[TextEdit],
    stop: &dyn Fn() -> bool,
) -> Result<Applied, EditError> {
    apply_within(MAX_RESULT_BYTES, original, edits, stop)
}

fn apply_within(
    limit: usize,
    original: &[u8],
    edits: &[TextEdit],
    stop: &dyn Fn() -> bool,
) -> Result<Applied, EditError> {
    let normalised = normalise_line_ends(original);
    let mut modified = Cow::Borrowed(&*normalised);
    for (index, edit) in edits.iter().enumerate() {
        if stop() {
            return Err(EditError::Stopped);
        }
        match apply_one(limit, &modified, edit, stop)? {
            Some(after) => modified = Cow::Owned(after),
            None => {
                let old_text = edit.old_text.clone();
                return Err(EditError::NotFound { index, old_text });
            }
        }
    }
    let modified = modified.into_owned();
    let to_write = if ends_every_line_with_crlf(original) {
        with_crlf(limit, &modified)?
    } else {
        check_length(limit, modified.len())?;
        modified.clone()
    };
    Ok(Applied {
        normalised: normalised.into_owned(),
        modified,
        to_write,
    })
}

/// The content after one edit; nothing where its text does not occur.
fn apply_one(
    limit: usize,
    content: &[u8],
    edit: &TextEdit,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Vec<u8>>, EditError> {
    let old = normalise_line_ends(edit.old_text.as_bytes());
    let new = normalise_line_ends(edit.new_text.as_bytes());
    if let Some(start) = memmem::find(content, &old) {
        return replace(limit, content, start..start + old.len(), &new).map(Some);
    }
    let Some(place) = lines::find(content, &old, stop)? else {
        return Ok(None);
    };
    let indent = lines::indent(&content[place.clone()]);
    let new = lines::indented(limit, indent, &old, &new)?;
    replace(limit, content, place, &new).map(Some)
}

fn replace(
    limit: usize,
    content: &[u8],
    place: Range<usize>,
    new: &[u8],
) -> Result<Vec<u8>, EditError> {
    let length = content.len() - place.len() + new.len();
    check_length(limit, length)?;
    let mut after = Vec::with_capacity(length);
    after.extend_from_slice(&content[..place.start]);
    after.extend_from_slice(new);
    after.extend_from_slice(&content[place.end..]);
    Ok(after)
}

pub(super) fn check_length(limit: usize, length: usize) -> Result<(), EditError> {
    if length > limit {
        Err(EditError::TooLarge { limit })
    } else {
        Ok(())
    }
}

/// The text with LF for every CRLF. Once only: of CR CR LF a CRLF is left.
pub(super) fn normalise_line_ends(text: &[u8]) -> Cow<'_, [u8]> {
    let mut ends = memmem::find_iter(text, b"\r\n").peekable();
    if ends.peek().is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::with_capacity(text.len());
    let mut copied = 0;
    for at in ends {
        out.extend_from_slice(&text[copied..at]);
        copied = at + 1;
    }
    out.extend_from_slice(&text[copied..]);
    Cow::Owned(out)
}

fn ends_every_line_with_crlf(text: &[u8]) -> bool {
    let mut newlines = memchr::memchr_iter(b'\n', text).peekable();
    newlines.peek().is_some() && newlines.all(|at| at > 0 && text[at - 1] == b'\r')
}

fn with_crlf(limit: usize, text: &[u8]) -> Result<Vec<u8>, EditError> {
    let length = text.len() + memchr::memchr_iter(b'\n', text).count();
    check_length(limit, length)?;
    let mut out = Vec::with_capacity(length);
    let mut copied = 0;
    for at in memchr::memchr_iter(b'\n', text) {
        out.extend_from_slice(&text[copied..at]);
        out.push(b'\r');
        copied = at;
    }
    out.extend_from_slice(&text[copied..]);
    Ok(out)
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
