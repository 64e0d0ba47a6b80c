//! The vocabulary of searches.
//!
//! One request type, so that a remote backend can ship it whole and run it where the files are.

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::path::RelPath;

/// What to look for, where, and how much of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SearchRequest {
    /// The directory (for a content search also a file) to start from; results are relative to the root, not to this.
    pub base: RelPath,
    /// What to look for.
    pub query: Query,
    /// Globs (gitignore syntax) of what to leave out, relative to `base`.
    pub exclude: Vec<String>,
    /// Leave out what `.gitignore` and `.ignore` files name, and `.git` itself.
    pub respect_gitignore: bool,
    /// Also entries whose name begins with a dot.
    pub hidden: bool,
    /// Nobody will ask for the sizes and times of found entries: they may be told as 0, which spares asking for each.
    pub names_only: bool,
    /// Bounds; what exceeds them is left out and `truncated` is set.
    pub limits: SearchLimits,
    /// Stops the search: `ABORTED`.
    #[serde(skip)]
    pub cancel: CancellationToken,
}

/// The three searches.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Query {
    /// Files (and with `directories`, directories) whose path below `base` matches.
    Glob {
        /// `*`, `**`, `?`, `[a-z]`, `{a,b}`; a pattern without a slash matches at any depth.
        pattern: String,
        /// Also directories.
        directories: bool,
    },
    /// Lines that match.
    Grep(GrepQuery),
    /// All entries, parents before children.
    Tree {
        /// How deep; `None` for all. 1 gives the entries of `base` alone.
        max_depth: Option<usize>,
    },
}

/// A content search, in ripgrep's terms.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GrepQuery {
    /// A regular expression, or with `literal` a text.
    pub pattern: String,
    /// Take the pattern as text.
    pub literal: bool,
    /// Ignore case.
    pub ignore_case: bool,
    /// Only whole words.
    pub word: bool,
    /// Let a match span lines.
    pub multiline: bool,
    /// Only files whose path below `base` matches one of these globs; a leading `!` excludes. Empty: all.
    pub globs: Vec<String>,
    /// Lines to report before each match.
    pub before_context: usize,
    /// Lines to report after each match.
    pub after_context: usize,
    /// Stop in each file after this many matching lines.
    pub max_count_per_file: Option<u64>,
}

/// Bounds of one search.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct SearchLimits {
    /// Results (paths, or matching lines).
    pub max_results: usize,
    /// Directory entries looked at.
    pub max_entries: usize,
    /// Bytes of result text.
    pub max_result_bytes: usize,
    /// A longer line is cut, on a character boundary.
    pub max_line_bytes: usize,
    /// A larger file is not searched for content.
    pub max_file_bytes: u64,
    /// Wall-clock time.
    pub timeout_ms: u64,
}

impl Default for SearchLimits {
    fn default() -> Self {
        Self {
            max_results: 10_000,
            max_entries: 5_000_000,
            max_result_bytes: 64 << 20,
            max_line_bytes: 2_000,
            max_file_bytes: 1 << 30,
            timeout_ms: 60_000,
        }
    }
}

/// What was found, in path order.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct SearchOutcome {
    /// For `Glob` and `Tree`.
    pub entries: Vec<FoundEntry>,
    /// For `Grep`: matching and context lines, per file in line order.
    pub lines: Vec<FoundLine>,
    /// Whether a bound or the time cut the search short.
    pub truncated: bool,
}

/// An entry of the tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundEntry {
    /// Relative to the backend's root.
    pub path: RelPath,
    /// What it is; links are not followed.
    pub kind: super::FileKind,
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970 UTC.
    pub mtime_ns: i128,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundLine {
    /// Relative to the backend's root.
    pub path: RelPath,
    /// Counted from 1.
    pub line_number: u64,
    /// Byte offset of the first match in the (uncut) line, counted from 0; `None` for a context line.
    pub column: Option<usize>,
    /// The line without its terminator, U+FFFD for what is not UTF-8.
    pub text: String,
    /// Whether it is there as context only.
    pub is_context: bool,
}
