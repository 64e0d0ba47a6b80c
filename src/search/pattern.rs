//! The pattern of a content search, compiled within bounds.

use grep_regex::{RegexMatcher, RegexMatcherBuilder};

use crate::backend::search::GrepQuery;
use crate::error::{Error, ErrorCode, Result};

/// A longer pattern is refused.
const MAX_PATTERN_BYTES: usize = 64 << 10;
/// What a compiled pattern, and the tables built while it runs, may take.
const REGEX_BYTES: usize = 10 << 20;
/// More lines of context than this are refused: they must be held in memory.
const MAX_CONTEXT_LINES: usize = 1_000;

fn check(query: &GrepQuery) -> Result<()> {
    let refuse = |message: String| Err(Error::new(ErrorCode::InvalidConfiguration, message));
    if query.pattern.len() > MAX_PATTERN_BYTES {
        return refuse(format!(
            "`pattern` is longer than {MAX_PATTERN_BYTES} bytes; search for a part of it"
        ));
    }
    if query.before_context.max(query.after_context) > MAX_CONTEXT_LINES {
        return refuse(format!(
            "the lines of context must be at most {MAX_CONTEXT_LINES}"
        ));
    }
    Ok(())
}

/// The matcher of a query. Errors: `INVALID_CONFIGURATION` with what is wrong.
pub(super) fn compile(query: &GrepQuery) -> Result<RegexMatcher> {
    check(query)?;
    let mut builder = RegexMatcherBuilder::new();
    builder
        .case_insensitive(query.ignore_case)
        .word(query.word)
        .fixed_strings(query.literal)
        // `^` and `$` are those of lines.
        .multi_line(true)
        .unicode(true)
        .octal(false)
        .size_limit(REGEX_BYTES)
        .dfa_size_limit(REGEX_BYTES);
    if !query.multiline {
        builder.line_terminator(Some(b'\n'));
    }
    builder.crlf(true);
    if query.multiline {
        // `crlf` sets a terminator too, with which nothing could match across lines.
        builder.line_terminator(None);
    }
    builder.build(&query.pattern).map_err(|error| {
        let hint = match error.kind() {
            grep_regex::ErrorKind::NotAllowed(_) => "; to match across lines, set `multiline`",
            _ if !query.literal => "; to search for the text as it is, set `literal`",
            _ => "",
        };
        Error::new(
            ErrorCode::InvalidConfiguration,
            format!("`pattern` is not a valid regular expression: {error}{hint}"),
        )
    })
}
