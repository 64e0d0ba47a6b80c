//! Lines that match, by ripgrep's engine, over bytes or a reader. Never more than a bounded part of a file is in
//! memory, and a file with a NUL byte is binary: it gives no lines, wherever the NUL stands.

use std::io::{self, Read};

use grep_matcher::{LineTerminator, Matcher};
use grep_regex::RegexMatcher;
use grep_searcher::{
    BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkFinish, SinkMatch,
};

use super::pattern;
use crate::backend::search::{FoundLine, GrepQuery, SearchLimits};
use crate::error::Result;
use crate::path::RelPath;

/// A search by lines gives up on a file at a longer line.
const MAX_SEARCHED_LINE_BYTES: usize = 16 << 20;
/// A search across lines holds the file in memory, so it leaves out a larger one.
const MAX_MULTILINE_FILE_BYTES: usize = 64 << 20;

/// What one file may give.
#[derive(Clone, Copy, Debug)]
pub struct GrepBounds {
    /// Matching lines. One more is looked for, to know whether the result is complete.
    pub max_matches: usize,
    /// Bytes of text.
    pub max_bytes: usize,
    /// A longer line is cut, on a character boundary.
    pub max_line_bytes: usize,
    /// No more than this of a file is read.
    pub max_file_bytes: u64,
}

impl From<&SearchLimits> for GrepBounds {
    fn from(limits: &SearchLimits) -> Self {
        Self {
            max_matches: limits.max_results,
            max_bytes: limits.max_result_bytes,
            max_line_bytes: limits.max_line_bytes,
            max_file_bytes: limits.max_file_bytes,
        }
    }
}

/// What one file gave.
#[derive(Debug, Default)]
pub struct FileLines {
    /// Matching and context lines, in order. Empty for a binary file.
    pub lines: Vec<FoundLine>,
    /// How many of the lines match.
    pub matches: usize,
    /// Bytes of text in the lines.
    pub bytes: usize,
    /// Whether something was left out: a bound was reached, a line was too long to search, or the search was stopped.
    pub cut_short: bool,
    /// Whether the file is binary.
    pub binary: bool,
}

/// A compiled content search. Cheap to clone; a clone for each thread keeps them out of each other's way.
#[derive(Clone, Debug)]
pub struct Grep {
    matcher: RegexMatcher,
    searcher: Searcher,
    across_lines: bool,
    bounds: GrepBounds,
}

impl Grep {
    /// Compiles a query.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` with what is wrong with the pattern.
    pub fn new(query: &GrepQuery, bounds: GrepBounds) -> Result<Self> {
        let matcher = pattern::compile(query)?;
        let mut builder = SearcherBuilder::new();
        builder
            .line_terminator(LineTerminator::crlf())
            .line_number(true)
            .multi_line(query.multiline)
            .before_context(query.before_context)
            .after_context(query.after_context)
            .max_matches(query.max_count_per_file)
            .heap_limit(Some(if query.multiline {
                MAX_MULTILINE_FILE_BYTES
            } else {
                MAX_SEARCHED_LINE_BYTES
            }))
            .binary_detection(BinaryDetection::quit(0));
        let searcher = builder.build();
        let across_lines = searcher.multi_line_with_matcher(&matcher);
        Ok(Self {
            matcher,
            searcher,
            across_lines,
            bounds,
        })
    }

    /// Searches bytes in memory. `path` is put on each line found; `stopped` is asked between pieces of 64 KiB.
    #[must_use]
    pub fn search_bytes(
        &mut self,
        path: &RelPath,
        bytes: &[u8],
        stopped: &dyn Fn() -> bool,
    ) -> FileLines {
        if self.across_lines {
            self.search_whole(path, bytes, stopped)
        } else {
            self.search_by_line(path, bytes, stopped)
        }
    }

    /// Searches what a reader gives, up to the bound on a file's size. A reader that fails gives nothing more.
    #[must_use]
    pub fn search_reader(
        &mut self,
        path: &RelPath,
        reader: impl Read,
        stopped: &dyn Fn() -> bool,
    ) -> FileLines {
        if !self.across_lines {
            return self.search_by_line(path, reader, stopped);
        }
        let mut bytes = Vec::new();
        let limit = (MAX_MULTILINE_FILE_BYTES as u64).min(self.bounds.max_file_bytes);
        let mut watched = Watched {
            reader,
            stopped,
            left: limit.saturating_add(1),
        };
        if watched.read_to_end(&mut bytes).is_err() || bytes.len() as u64 > limit {
            return FileLines {
                cut_short: true,
                ..FileLines::default()
            };
        }
        self.search_whole(path, &bytes, stopped)
    }

    fn search_by_line(
        &mut self,
        path: &RelPath,
        reader: impl Read,
        stopped: &dyn Fn() -> bool,
    ) -> FileLines {
        let mut sink = LineSink::new(&self.matcher, path, self.bounds, false, stopped);
        let watched = Watched {
            reader,
            stopped,
            left: self.bounds.max_file_bytes,
        };
        let outcome = self
            .searcher
            .search_reader(&self.matcher, watched, &mut sink);
        sink.into_lines(outcome)
    }

    fn search_whole(
        &mut self,
        path: &RelPath,
        bytes: &[u8],
        stopped: &dyn Fn() -> bool,
    ) -> FileLines {
        // UTF-16 is full of NULs and text all the same: the searcher decodes it.
        let utf16 = bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff");
        if !utf16 && bytes.contains(&0) {
            return FileLines {
                binary: true,
                ..FileLines::default()
            };
        }
        let mut sink = LineSink::new(&self.matcher, path, self.bounds, true, stopped);
        let outcome = self.searcher.search_slice(&self.matcher, bytes, &mut sink);
        sink.into_lines(outcome)
    }
}

/// A reader that ends when the search does, and at the bound on a file's size.
struct Watched<'a, R> {
    reader: R,
    stopped: &'a dyn Fn() -> bool,
    left: u64,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.stopped)() {
            return Err(io::Error::other("the search was stopped"));
        }
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let read = self.reader.read(&mut buffer[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}

/// Takes what the searcher finds in one file.
struct LineSink<'a> {
    matcher: &'a RegexMatcher,
    path: &'a RelPath,
    bounds: GrepBounds,
    across_lines: bool,
    stopped: &'a dyn Fn() -> bool,
    found: FileLines,
}

impl<'a> LineSink<'a> {
    fn new(
        matcher: &'a RegexMatcher,
        path: &'a RelPath,
        bounds: GrepBounds,
        across_lines: bool,
        stopped: &'a dyn Fn() -> bool,
    ) -> Self {
        Self {
            matcher,
            path,
            bounds,
            across_lines,
            stopped,
            found: FileLines::default(),
        }
    }

    fn into_lines(mut self, outcome: io::Result<()>) -> FileLines {
        if self.found.binary {
            return FileLines {
                binary: true,
                ..FileLines::default()
            };
        }
        // An error of the operating system means that the file cannot be read, as one that may not be opened. Any
        // other is ours or the searcher's: stopped, or a line too long.
        if let Err(error) = outcome {
            self.found.cut_short |= error.raw_os_error().is_none();
        }
        self.found
    }

    /// Keeps a line; `false` when the file has given enough.
    fn push(&mut self, number: u64, line: &[u8], column: Option<usize>, is_context: bool) -> bool {
        if !is_context && self.found.matches >= self.bounds.max_matches {
            self.found.cut_short = true;
            return false;
        }
        let text = cut_line(without_terminator(line), self.bounds.max_line_bytes);
        if self.found.bytes + text.len() > self.bounds.max_bytes {
            self.found.cut_short = true;
            return false;
        }
        self.found.bytes += text.len();
        self.found.matches += usize::from(!is_context);
        self.found.lines.push(FoundLine {
            path: self.path.clone(),
            line_number: number,
            column,
            text,
            is_context,
        });
        true
    }

    /// Where the match begins in each line of a match that may span several.
    fn push_lines(&mut self, number: u64, found: &SinkMatch<'_>) -> bool {
        let range = found.bytes_range_in_buffer();
        let haystack = &found.buffer()[..range.end];
        let mut line_start = range.start;
        let mut next = self.find(haystack, range.start);
        for (offset, line) in found.lines().enumerate() {
            let line_end = line_start + line.len();
            // Matches that ended before this line are done with.
            while let Some((start, end)) = next {
                if end > line_start || start >= line_start {
                    break;
                }
                next = self.find(haystack, end.max(start + 1));
            }
            let column = next
                .filter(|&(start, _)| start < line_end)
                .map_or(0, |(start, _)| start.saturating_sub(line_start));
            if !self.push(number + offset as u64, line, Some(column), false) {
                return false;
            }
            line_start = line_end;
        }
        true
    }

    fn find(&self, haystack: &[u8], at: usize) -> Option<(usize, usize)> {
        if at > haystack.len() {
            return None;
        }
        let found = self.matcher.find_at(haystack, at).ok().flatten()?;
        Some((found.start(), found.end()))
    }
}

impl Sink for LineSink<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        let number = found.line_number().unwrap_or(1);
        if self.across_lines {
            // The other way is stopped by its reader; this one has none.
            if (self.stopped)() {
                self.found.cut_short = true;
                return Ok(false);
            }
            return Ok(self.push_lines(number, found));
        }
        let line = found.bytes();
        let column = self
            .find(without_terminator(line), 0)
            .map_or(0, |(start, _)| start);
        Ok(self.push(number, line, Some(column), false))
    }

    fn context(&mut self, _: &Searcher, line: &SinkContext<'_>) -> io::Result<bool> {
        let number = line.line_number().unwrap_or(1);
        Ok(self.push(number, line.bytes(), None, true))
    }

    fn binary_data(&mut self, _: &Searcher, _offset: u64) -> io::Result<bool> {
        self.found.binary = true;
        Ok(false)
    }

    fn finish(&mut self, _: &Searcher, finish: &SinkFinish) -> io::Result<()> {
        self.found.binary |= finish.binary_byte_offset().is_some();
        Ok(())
    }
}

fn without_terminator(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The line as text of at most so many bytes, never with half a character at its end.
fn cut_line(line: &[u8], max_bytes: usize) -> String {
    // Three bytes more than needed, so that a character on the edge is seen whole and not taken for damaged.
    let near = &line[..line.len().min(max_bytes.saturating_add(3))];
    let mut text = String::from_utf8_lossy(near).into_owned();
    if text.len() > max_bytes {
        let mut end = max_bytes;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

#[cfg(test)]
#[path = "grep_tests.rs"]
mod tests;
