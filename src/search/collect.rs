//! What was found so far, in order, and how much of it is worth keeping.
//!
//! Threads find things in any order. When there is more than the bounds allow, what stays is the beginning of the
//! whole in path order, as if one thread had searched in that order and stopped: the largest is given up each time
//! something smaller comes in.

use std::collections::BTreeMap;

use super::order::path_order;
use super::{grep::FileLines, stop::Stop};
use crate::backend::search::{FoundEntry, FoundLine, SearchLimits, SearchOutcome};
use crate::error::Result;
use crate::path::RelPath;

/// One result with its place in the order: an entry, or the lines of one file.
#[derive(Debug)]
pub(super) enum Found {
    Entry(FoundEntry),
    Lines(RelPath, FileLines),
}

impl Found {
    pub(super) fn path(&self) -> &RelPath {
        match self {
            Found::Entry(entry) => &entry.path,
            Found::Lines(path, _) => path,
        }
    }

    fn results(&self) -> usize {
        match self {
            Found::Entry(_) => 1,
            Found::Lines(_, found) => found.matches,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Found::Entry(entry) => entry.path.as_bytes().len(),
            Found::Lines(_, found) => found.bytes,
        }
    }
}

/// A path that compares by [`path_order`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key(pub(super) RelPath);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        path_order(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug)]
pub(super) struct Collector {
    limits: SearchLimits,
    /// While everything fits, which is nearly always: unordered.
    loose: Vec<Found>,
    /// Once it does not: ordered, to give up the last.
    ordered: BTreeMap<Key, Found>,
    is_ordered: bool,
    results: usize,
    bytes: usize,
    /// The first path that was given up: nothing from here on can be a result.
    end: Option<Key>,
    cut_short: bool,
}

impl Collector {
    pub(super) fn new(limits: SearchLimits) -> Self {
        Self {
            limits,
            loose: Vec::new(),
            ordered: BTreeMap::new(),
            is_ordered: false,
            results: 0,
            bytes: 0,
            end: None,
            cut_short: false,
        }
    }

    /// Whether nothing at this path or after it can still be a result.
    pub(super) fn is_past_end(&self, path: &RelPath) -> bool {
        self.end
            .as_ref()
            .is_some_and(|end| path_order(path.as_bytes(), end.0.as_bytes()).is_ge())
    }

    pub(super) fn add(&mut self, found: impl IntoIterator<Item = Found>) {
        for found in found {
            if self.is_past_end(found.path()) {
                continue;
            }
            self.results += found.results();
            self.bytes += found.bytes();
            if self.is_ordered {
                self.ordered.insert(Key(found.path().clone()), found);
                self.shed();
            } else {
                self.loose.push(found);
            }
        }
        if !self.is_ordered && self.is_over() {
            self.is_ordered = true;
            let loose = std::mem::take(&mut self.loose);
            self.ordered = loose
                .into_iter()
                .map(|found| (Key(found.path().clone()), found))
                .collect();
            self.shed();
        }
    }

    fn is_over(&self) -> bool {
        self.results > self.limits.max_results || self.bytes > self.limits.max_result_bytes
    }

    /// Gives up the last while there is too much and the bounds are reached without it.
    fn shed(&mut self) {
        while self.is_over() {
            let Some(last) = self.ordered.last_entry() else {
                return;
            };
            let results = self.results - last.get().results();
            let bytes = self.bytes - last.get().bytes();
            if results < self.limits.max_results && bytes < self.limits.max_result_bytes {
                return;
            }
            self.end = Some(last.remove_entry().0);
            self.results = results;
            self.bytes = bytes;
            self.cut_short = true;
        }
    }

    /// Everything in order, cut to the bounds exactly.
    pub(super) fn finish(self, stop: &Stop) -> Result<SearchOutcome> {
        stop.check_cancelled()?;
        let Self {
            limits,
            mut loose,
            ordered,
            cut_short,
            ..
        } = self;
        let found: Vec<Found> = if ordered.is_empty() {
            loose.sort_by(|a, b| path_order(a.path().as_bytes(), b.path().as_bytes()));
            loose
        } else {
            ordered.into_values().collect()
        };
        let mut outcome = SearchOutcome {
            truncated: cut_short || stop.is_cut_short(),
            ..SearchOutcome::default()
        };
        let mut left = Left {
            results: limits.max_results,
            bytes: limits.max_result_bytes,
        };
        for found in found {
            let fits = match found {
                Found::Entry(entry) => left.take_entry(entry, &mut outcome),
                Found::Lines(_, found) => {
                    outcome.truncated |= found.cut_short;
                    left.take_lines(found.lines, &mut outcome)
                }
            };
            if !fits {
                outcome.truncated = true;
                break;
            }
        }
        Ok(outcome)
    }
}

/// What the bounds still allow.
struct Left {
    results: usize,
    bytes: usize,
}

impl Left {
    fn take_entry(&mut self, entry: FoundEntry, outcome: &mut SearchOutcome) -> bool {
        let size = entry.path.as_bytes().len();
        if self.results == 0 || self.bytes < size {
            return false;
        }
        self.results -= 1;
        self.bytes -= size;
        outcome.entries.push(entry);
        true
    }

    fn take_lines(&mut self, lines: Vec<FoundLine>, outcome: &mut SearchOutcome) -> bool {
        for line in lines {
            let counts = usize::from(!line.is_context);
            if self.results < counts || self.bytes < line.text.len() {
                return false;
            }
            self.results -= counts;
            self.bytes -= line.text.len();
            outcome.lines.push(line);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::backend::FileKind;

    fn path(text: &str) -> RelPath {
        RelPath::parse(text.as_bytes(), b"/").unwrap()
    }

    fn entry(text: &str) -> Found {
        Found::Entry(FoundEntry {
            path: path(text),
            kind: FileKind::File,
            size: 0,
            mtime_ns: 0,
        })
    }

    fn lines(text: &str, matches: usize) -> Found {
        let line = |number| FoundLine {
            path: path(text),
            line_number: number,
            column: Some(0),
            text: "xx".to_owned(),
            is_context: false,
        };
        let lines: Vec<_> = (1..=matches as u64).map(line).collect();
        Found::Lines(
            path(text),
            FileLines {
                matches,
                bytes: 2 * matches,
                lines,
                ..FileLines::default()
            },
        )
    }

    fn collect(limits: SearchLimits, found: impl IntoIterator<Item = Found>) -> SearchOutcome {
        let mut collector = Collector::new(limits);
        for found in found {
            collector.add([found]);
        }
        let stop = Stop::new(CancellationToken::new(), &limits);
        collector.finish(&stop).unwrap()
    }

    #[test]
    fn what_stays_is_the_beginning_whatever_the_order_of_arrival() {
        let names: Vec<String> = (0..100).map(|n| format!("{:02}", n * 37 % 100)).collect();
        let limits = SearchLimits {
            max_results: 7,
            ..SearchLimits::default()
        };
        let outcome = collect(limits, names.iter().map(|name| entry(name)));
        let kept: Vec<_> = outcome.entries.iter().map(|e| e.path.to_string()).collect();
        assert_eq!(kept, ["00", "01", "02", "03", "04", "05", "06"]);
        assert!(outcome.truncated);
    }

    #[test]
    fn exactly_as_many_as_allowed_is_not_cut_short() {
        let limits = SearchLimits {
            max_results: 3,
            ..SearchLimits::default()
        };
        let outcome = collect(limits, ["c", "a", "b"].map(entry));
        assert_eq!(outcome.entries.len(), 3);
        assert!(!outcome.truncated);
    }

    #[test]
    fn bytes_bound_the_beginning_too() {
        let limits = SearchLimits {
            max_result_bytes: 5,
            ..SearchLimits::default()
        };
        let outcome = collect(limits, ["dd", "cc", "bb", "aa"].map(entry));
        let kept: Vec<_> = outcome.entries.iter().map(|e| e.path.to_string()).collect();
        assert_eq!(kept, ["aa", "bb"]);
        assert!(outcome.truncated);
    }

    #[test]
    fn a_file_on_the_edge_gives_the_lines_that_fit() {
        let limits = SearchLimits {
            max_results: 5,
            ..SearchLimits::default()
        };
        for order in [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"]] {
            let outcome = collect(limits, order.map(|name| lines(name, 3)));
            let kept: Vec<_> = outcome
                .lines
                .iter()
                .map(|line| (line.path.to_string(), line.line_number))
                .collect();
            let expected = [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("b", 2)];
            assert_eq!(kept, expected.map(|(name, n)| (name.to_owned(), n)));
            assert!(outcome.truncated);
        }
    }

    #[test]
    fn a_cancelled_search_has_no_result() {
        let token = CancellationToken::new();
        token.cancel();
        let limits = SearchLimits::default();
        let stop = Stop::new(token, &limits);
        let error = Collector::new(limits).finish(&stop).unwrap_err();
        assert_eq!(error.code(), crate::error::ErrorCode::Aborted);
    }
}
