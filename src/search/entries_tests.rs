use std::collections::BTreeMap;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::backend::search::{GrepQuery, SearchLimits};

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes(), b"/").unwrap()
}

/// Files by path and content, with the directories that they imply.
fn tree(files: &[(&str, &str)]) -> Vec<SearchEntry> {
    let mut entries = BTreeMap::new();
    for (name, content) in files {
        let mut above = path(name);
        while let Some((parent, _)) = above.split_last() {
            if !parent.is_root() {
                entries.insert(parent.clone(), (FileKind::Directory, Bytes::new()));
            }
            above = parent;
        }
        let content = Bytes::copy_from_slice(content.as_bytes());
        entries.insert(path(name), (FileKind::File, content));
    }
    entries
        .into_iter()
        .map(|(path, (kind, bytes))| SearchEntry {
            path,
            kind,
            size: bytes.len() as u64,
            mtime_ns: 7,
            bytes,
        })
        .collect()
}

fn request(base: &str, query: Query) -> SearchRequest {
    SearchRequest {
        base: path(base),
        query,
        exclude: Vec::new(),
        respect_gitignore: false,
        hidden: true,
        names_only: false,
        limits: SearchLimits::default(),
        cancel: CancellationToken::new(),
    }
}

fn glob(pattern: &str) -> Query {
    Query::Glob {
        pattern: pattern.to_owned(),
        directories: false,
    }
}

fn grep(pattern: &str) -> Query {
    Query::Grep(GrepQuery {
        pattern: pattern.to_owned(),
        ..GrepQuery::default()
    })
}

fn paths(outcome: &SearchOutcome) -> Vec<String> {
    let entries = outcome.entries.iter().map(|entry| entry.path.to_string());
    let lines = outcome
        .lines
        .iter()
        .map(|line| format!("{}:{}", line.path, line.line_number));
    entries.chain(lines).collect()
}

fn sample() -> Vec<SearchEntry> {
    tree(&[
        (".gitignore", "*.log\n/dist/\n"),
        (".env", "KEY=needle"),
        (".git/config", "needle"),
        ("a.txt", "one\nneedle two\n"),
        ("a/b.txt", "needle"),
        ("a/.gitignore", "!keep.log\nb.txt"),
        ("a/keep.log", "needle"),
        ("dist/out.js", "needle"),
        ("x.log", "needle"),
        ("z.txt", "nothing"),
    ])
}

#[test]
fn a_glob_finds_files_below_its_base_with_paths_from_the_root() {
    let found = search_entries(sample(), &request("a", glob("*.txt"))).unwrap();
    assert_eq!(paths(&found), ["a/b.txt"]);
    let found = search_entries(sample(), &request("", glob("*.txt"))).unwrap();
    assert_eq!(paths(&found), ["a/b.txt", "a.txt", "z.txt"]);
}

#[test]
fn a_tree_gives_parents_before_children_and_keeps_its_depth() {
    let mut request = request("", Query::Tree { max_depth: Some(1) });
    request.hidden = false;
    let found = search_entries(sample(), &request).unwrap();
    assert_eq!(paths(&found), ["a", "a.txt", "dist", "x.log", "z.txt"]);
    request.query = Query::Tree { max_depth: None };
    let found = search_entries(sample(), &request).unwrap();
    assert_eq!(
        paths(&found),
        [
            "a",
            "a/b.txt",
            "a/keep.log",
            "a.txt",
            "dist",
            "dist/out.js",
            "x.log",
            "z.txt"
        ]
    );
}

#[test]
fn ignore_files_are_kept_where_asked() {
    let mut request = request("", grep("needle"));
    request.respect_gitignore = true;
    let found = search_entries(sample(), &request).unwrap();
    assert_eq!(paths(&found), [".env:1", "a/keep.log:1", "a.txt:2"]);
    request.respect_gitignore = false;
    request.exclude = vec![".git".to_owned(), "*.log".to_owned()];
    let found = search_entries(sample(), &request).unwrap();
    assert_eq!(
        paths(&found),
        [".env:1", "a/b.txt:1", "a.txt:2", "dist/out.js:1"]
    );
}

#[test]
fn a_file_as_base_is_searched_and_not_listed() {
    let found = search_entries(sample(), &request("a.txt", grep("needle"))).unwrap();
    assert_eq!(paths(&found), ["a.txt:2"]);
    let error = search_entries(sample(), &request("a.txt", glob("*"))).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotADirectory);
}

#[test]
fn bounds_give_the_beginning() {
    let mut request = request("", grep("needle"));
    request.limits.max_results = 2;
    let found = search_entries(sample(), &request).unwrap();
    assert_eq!(paths(&found), [".env:1", ".git/config:1"]);
    assert!(found.truncated);
}
