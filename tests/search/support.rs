//! A tree on the disk and short ways to search it.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::Path;

use agent_backend::backend::search::{
    GrepQuery, Query, SearchLimits, SearchOutcome, SearchRequest,
};
use agent_backend::error::Result;
use agent_backend::path::RelPath;
use agent_backend::search::search_directory;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A temporary directory with these files; a path that ends with a slash is an empty directory.
pub fn tree(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = root.path().join(name);
        if name.ends_with('/') {
            fs::create_dir_all(&path).unwrap();
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    root
}

pub fn rel(path: &str) -> RelPath {
    RelPath::parse(path.as_bytes(), b"/").unwrap()
}

pub fn handle(path: &Path) -> OwnedFd {
    File::open(path).unwrap().into()
}

pub fn request(query: Query) -> SearchRequest {
    SearchRequest {
        base: RelPath::root(),
        query,
        exclude: Vec::new(),
        respect_gitignore: false,
        hidden: true,
        names_only: false,
        limits: SearchLimits::default(),
        cancel: CancellationToken::new(),
    }
}

pub fn glob(pattern: &str) -> SearchRequest {
    request(Query::Glob {
        pattern: pattern.to_owned(),
        directories: false,
    })
}

pub fn grep(pattern: &str) -> SearchRequest {
    request(Query::Grep(GrepQuery {
        pattern: pattern.to_owned(),
        literal: true,
        ..GrepQuery::default()
    }))
}

pub fn all() -> SearchRequest {
    request(Query::Tree { max_depth: None })
}

/// Searches from a root.
pub fn search(root: &Path, request: &SearchRequest) -> Result<SearchOutcome> {
    search_directory(handle(root), &RelPath::root(), &[], request, &())
}

/// The paths found: of entries as they are, of lines with their number.
pub fn paths(outcome: &SearchOutcome) -> Vec<String> {
    let entries = outcome.entries.iter().map(|entry| entry.path.to_string());
    let lines = outcome
        .lines
        .iter()
        .map(|line| format!("{}:{}", line.path, line.line_number));
    entries.chain(lines).collect()
}
