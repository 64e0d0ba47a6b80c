//! A tree of files as a flat list, and as text.

use std::fmt::Write as _;

use crate::backend::FileKind;
use crate::backend::search::{FoundEntry, SearchOutcome};
use crate::error::Printable;

/// All that is below a directory, parents before children.
#[derive(Clone, Debug, Default)]
pub struct TreeOutcome {
    /// In path order: a directory stands right before what is in it.
    pub entries: Vec<TreeEntry>,
    /// Whether a bound or the time cut the search short.
    pub truncated: bool,
}

/// An entry and how deep it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// The entry; its path is relative to the workspace's root.
    pub entry: FoundEntry,
    /// 1 for what is directly in the directory that was asked for.
    pub depth: usize,
}

/// Text of a tree is cut at this: deep trees have long lines.
const MAX_TEXT_BYTES: usize = 4 << 20;

impl TreeOutcome {
    pub(super) fn new(found: SearchOutcome, levels_above: usize) -> Self {
        let entries = found.entries.into_iter().map(|entry| TreeEntry {
            depth: entry.path.components().count().saturating_sub(levels_above),
            entry,
        });
        Self {
            entries: entries.collect(),
            truncated: found.truncated,
        }
    }

    /// The tree as `tree -F` draws it, below a first line that names the directory: directories end with a slash.
    /// Control characters in names are escaped; a text of more than 4 MiB is cut, with a note.
    #[must_use]
    pub fn render(&self, title: &str) -> String {
        let is_last = self.last_siblings();
        let mut text = String::new();
        let _ = writeln!(text, "{}", Name(title));
        // For each level above the entry at hand: whether more of that level follows.
        let mut goes_on: Vec<bool> = Vec::new();
        for (at, (TreeEntry { entry, depth }, last)) in self.entries.iter().zip(is_last).enumerate()
        {
            if text.len() > MAX_TEXT_BYTES {
                let _ = writeln!(text, "… {} more entries", self.entries.len() - at);
                return text;
            }
            goes_on.truncate(depth.saturating_sub(1));
            for more in &goes_on {
                text.push_str(if *more { "│   " } else { "    " });
            }
            text.push_str(if last { "└── " } else { "├── " });
            let name = entry.path.split_last().map_or(&b""[..], |(_, name)| name);
            let slash = if entry.kind == FileKind::Directory {
                "/"
            } else {
                ""
            };
            let _ = writeln!(text, "{}{slash}", Name(&String::from_utf8_lossy(name)));
            goes_on.resize(depth.saturating_sub(1), false);
            goes_on.push(!last);
        }
        if self.truncated {
            text.push_str("… more was left out\n");
        }
        text
    }

    /// For each entry, whether it is the last in its directory: seen from the end, the first of its depth since
    /// anything less deep.
    fn last_siblings(&self) -> Vec<bool> {
        let mut seen: Vec<bool> = Vec::new();
        let mut last: Vec<bool> = (self.entries.iter().rev())
            .map(|TreeEntry { depth, .. }| {
                let had_later = seen.get(*depth).copied().unwrap_or(false);
                seen.resize(depth + 1, false);
                seen[*depth] = true;
                !had_later
            })
            .collect();
        last.reverse();
        last
    }
}

/// A name on one line.
struct Name<'a>(&'a str);

impl std::fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, line) in self.0.split('\n').enumerate() {
            if at > 0 {
                f.write_str("\\n")?;
            }
            write!(f, "{}", Printable(line))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::RelPath;

    fn outcome(paths: &[&str], levels_above: usize) -> TreeOutcome {
        let entries = paths.iter().map(|path| FoundEntry {
            path: RelPath::parse(path.trim_end_matches('/').as_bytes(), b"/w").unwrap(),
            kind: if path.ends_with('/') {
                FileKind::Directory
            } else {
                FileKind::File
            },
            size: 0,
            mtime_ns: 0,
        });
        let found = SearchOutcome {
            entries: entries.collect(),
            ..SearchOutcome::default()
        };
        TreeOutcome::new(found, levels_above)
    }

    #[test]
    fn a_tree_is_drawn_as_people_know_it() {
        let tree = outcome(&["a/", "a/b/", "a/b/c", "a/d", "e/", "e/f", "g\nh"], 0);
        let expected = "\
.
├── a/
│   ├── b/
│   │   └── c
│   └── d
├── e/
│   └── f
└── g\\nh
";
        assert_eq!(tree.render("."), expected);
    }

    #[test]
    fn depth_counts_from_where_the_search_started() {
        let tree = outcome(&["x/y/a/", "x/y/a/b"], 2);
        let depths: Vec<_> = tree.entries.iter().map(|entry| entry.depth).collect();
        assert_eq!(depths, [1, 2]);
        assert_eq!(tree.render("x/y"), "x/y\n└── a/\n    └── b\n");
    }

    #[test]
    fn a_deep_tree_is_drawn_without_recursion_and_within_bounds() {
        let path: Vec<String> = (1..=2000).map(|n| vec!["d"; n].join("/")).collect();
        let paths: Vec<&str> = path.iter().map(String::as_str).collect();
        let tree = outcome(&paths, 0);
        let text = tree.render(".");
        assert!(text.len() < MAX_TEXT_BYTES + 100_000);
        assert!(text.ends_with("more entries\n"));
    }
}
