//! `search`: by name, by content, and the tree.

use agent_backend::backend::search::{
    GrepQuery, Query, SearchLimits, SearchOutcome, SearchRequest,
};
use agent_backend::backend::{Content, FileKind, WriteOptions};
use agent_backend::call::Call;
use agent_backend::error::ErrorCode;
use agent_backend::path::RelPath;
use tokio_util::sync::CancellationToken;

use crate::fixture::{Depth, Fixture, Verbs, code, wait};

fn request(query: Query) -> SearchRequest {
    SearchRequest {
        base: RelPath::root(),
        query,
        exclude: Vec::new(),
        respect_gitignore: false,
        hidden: false,
        names_only: false,
        limits: SearchLimits::default(),
        cancel: CancellationToken::new(),
    }
}

fn below(base: &str, request: SearchRequest) -> SearchRequest {
    SearchRequest {
        base: RelPath::parse(base.as_bytes(), b"/").unwrap(),
        ..request
    }
}

fn glob(pattern: &str) -> SearchRequest {
    request(Query::Glob {
        pattern: pattern.to_owned(),
        directories: false,
    })
}

fn grep(pattern: &str) -> SearchRequest {
    request(Query::Grep(GrepQuery {
        pattern: pattern.to_owned(),
        ..GrepQuery::default()
    }))
}

fn tree(max_depth: Option<usize>) -> SearchRequest {
    request(Query::Tree { max_depth })
}

fn search(f: &Fixture, request: SearchRequest) -> Call<SearchOutcome> {
    f.workspace.backend().search(request)
}

#[track_caller]
fn paths(f: &Fixture, request: SearchRequest) -> Vec<String> {
    let outcome = wait(search(f, request)).unwrap();
    assert!(!outcome.truncated);
    outcome
        .entries
        .iter()
        .map(|entry| entry.path.to_string())
        .collect()
}

/// `path:line` of each matching line.
#[track_caller]
fn lines(f: &Fixture, request: SearchRequest) -> Vec<String> {
    let outcome = wait(search(f, request)).unwrap();
    assert!(!outcome.truncated);
    outcome
        .lines
        .iter()
        .map(|line| {
            let mark = if line.is_context { '-' } else { ':' };
            format!("{}{mark}{}{mark}{}", line.path, line.line_number, line.text)
        })
        .collect()
}

fn project(f: &Fixture) {
    for (path, content) in [
        ("src/main.rs", "fn main() {\n    run();\n}\n"),
        ("src/lib/run.rs", "pub fn run() {}\n"),
        ("src/lib/notes.md", "run it\n"),
        ("README.md", "How to run\n"),
        (".hidden/a.rs", "run\n"),
        ("target/out.rs", "run\n"),
    ] {
        f.workspace.put(path, content);
    }
    f.workspace.make("empty");
    f.root.put("outside.rs", "run\n");
}

/// The root fixture sees what the others must not.
fn own(f: &Fixture, mut found: Vec<String>) -> Vec<String> {
    if f.depth == Depth::Root {
        found.retain(|found| !found.starts_with("outside.rs"));
    }
    found
}

pub fn a_glob_without_a_slash_finds_files_at_any_depth(f: &Fixture) {
    project(f);
    assert_eq!(
        own(f, paths(f, glob("*.rs"))),
        ["src/lib/run.rs", "src/main.rs", "target/out.rs"]
    );
}

pub fn a_glob_with_a_slash_is_relative_to_the_base(f: &Fixture) {
    project(f);
    assert_eq!(paths(f, glob("src/*.rs")), ["src/main.rs"]);
    assert_eq!(
        paths(f, glob("src/**/*.rs")),
        ["src/lib/run.rs", "src/main.rs"]
    );
    assert_eq!(
        paths(f, below("src", glob("lib/*"))),
        ["src/lib/notes.md", "src/lib/run.rs"]
    );
}

pub fn directories_are_found_only_where_asked(f: &Fixture) {
    project(f);
    let all = |directories| {
        below(
            "src",
            request(Query::Glob {
                pattern: "**".to_owned(),
                directories,
            }),
        )
    };
    let files = ["src/lib/notes.md", "src/lib/run.rs", "src/main.rs"];
    assert_eq!(paths(f, all(false)), files);
    let found = wait(search(f, all(true))).unwrap();
    let lib = &found.entries[0];
    assert_eq!(lib.path.to_string(), "src/lib");
    assert_eq!(lib.kind, FileKind::Directory);
    assert_eq!(found.entries.len(), 4);
}

pub fn hidden_entries_are_found_only_where_asked(f: &Fixture) {
    project(f);
    let mut all = glob("a.rs");
    assert!(paths(f, all.clone()).is_empty());
    all.hidden = true;
    assert_eq!(paths(f, all), [".hidden/a.rs"]);
}

pub fn what_is_excluded_is_not_found(f: &Fixture) {
    project(f);
    let mut some = glob("*.rs");
    some.exclude = vec!["target".to_owned(), "src/lib".to_owned()];
    assert_eq!(own(f, paths(f, some)), ["src/main.rs"]);
}

pub fn ignore_files_count_where_asked(f: &Fixture) {
    project(f);
    f.workspace.put(".gitignore", "target/\n");
    f.workspace.put("src/.gitignore", "lib\n");
    let mut some = glob("*.rs");
    assert_eq!(own(f, paths(f, some.clone())).len(), 3);
    some.respect_gitignore = true;
    assert_eq!(own(f, paths(f, some)), ["src/main.rs"]);
}

pub fn ignore_files_above_the_base_count_too(f: &Fixture) {
    project(f);
    f.workspace.put(".gitignore", "src/lib/*.md\n");
    f.workspace.put("src/.ignore", "run.rs\n");
    let mut all = below("src/lib", glob("*"));
    assert_eq!(paths(f, all.clone()).len(), 2);
    all.respect_gitignore = true;
    assert!(paths(f, all).is_empty());
}

pub fn found_entries_say_what_stat_says(f: &Fixture) {
    project(f);
    let found = wait(search(f, glob("main.rs"))).unwrap();
    let stat = f.workspace.look("src/main.rs");
    let entry = &found.entries[0];
    assert_eq!(
        (entry.kind, entry.size, entry.mtime_ns),
        (stat.kind, stat.size, stat.mtime_ns)
    );
}

pub fn lines_are_found_with_their_place(f: &Fixture) {
    project(f);
    let found = lines(f, below("src", grep(r"run\(\)")));
    assert_eq!(
        found,
        [
            "src/lib/run.rs:1:pub fn run() {}",
            "src/main.rs:2:    run();"
        ]
    );
    let found = wait(search(f, below("src/main.rs", grep("run")))).unwrap();
    assert_eq!(found.lines[0].column, Some(4));
    assert_eq!(found.lines[0].path.to_string(), "src/main.rs");
}

pub fn lines_around_a_match_are_context(f: &Fixture) {
    project(f);
    let with_context = request(Query::Grep(GrepQuery {
        pattern: "run();".to_owned(),
        literal: true,
        before_context: 1,
        after_context: 1,
        ..GrepQuery::default()
    }));
    assert_eq!(
        lines(f, with_context),
        [
            "src/main.rs-1-fn main() {",
            "src/main.rs:2:    run();",
            "src/main.rs-3-}"
        ]
    );
}

pub fn a_content_search_is_narrowed_by_globs_and_case(f: &Fixture) {
    project(f);
    let narrowed = request(Query::Grep(GrepQuery {
        pattern: "HOW|RUN IT".to_owned(),
        ignore_case: true,
        globs: vec!["*.md".to_owned(), "!README.md".to_owned()],
        ..GrepQuery::default()
    }));
    assert_eq!(lines(f, narrowed), ["src/lib/notes.md:1:run it"]);
}

pub fn binary_files_have_no_lines(f: &Fixture) {
    let content = Content::owned(&b"needle\0\x01\x02\nneedle\n"[..]);
    wait(f.workspace.write("blob", content, WriteOptions::default())).unwrap();
    f.workspace.put("text", "needle\n");
    assert_eq!(lines(f, grep("needle")), ["text:1:needle"]);
}

pub fn a_tree_has_all_entries_parents_first(f: &Fixture) {
    project(f);
    assert_eq!(
        paths(f, below("src", tree(None))),
        [
            "src/lib",
            "src/lib/notes.md",
            "src/lib/run.rs",
            "src/main.rs"
        ]
    );
    assert_eq!(
        own(f, paths(f, tree(Some(1)))),
        ["README.md", "empty", "src", "target"]
    );
    assert!(paths(f, below("empty", tree(None))).is_empty());
}

pub fn a_search_from_what_is_missing_is_not_found(f: &Fixture) {
    f.workspace.put("file", "1");
    for query in [glob("*"), grep("x"), tree(None)] {
        assert_eq!(
            code(search(f, below("missing", query.clone()))),
            ErrorCode::NotFound
        );
        assert_eq!(
            code(search(f, below("file/x", query))),
            ErrorCode::NotADirectory
        );
    }
    for query in [glob("*"), tree(None)] {
        assert_eq!(
            code(search(f, below("file", query))),
            ErrorCode::NotADirectory
        );
    }
}

pub fn a_bound_cuts_a_search_short_and_says_so(f: &Fixture) {
    for number in 0..20 {
        f.workspace.put(&format!("file-{number:02}"), "line\n");
    }
    for mut query in [glob("*"), grep("line")] {
        query.limits.max_results = 5;
        let found = wait(search(f, query)).unwrap();
        assert!(found.truncated);
        assert_eq!(found.entries.len() + found.lines.len(), 5);
    }
}

pub fn a_bad_pattern_is_an_invalid_configuration(f: &Fixture) {
    f.workspace.put("file", "1");
    for query in [glob("[a"), grep("(")] {
        assert_eq!(code(search(f, query)), ErrorCode::InvalidConfiguration);
    }
}

pub fn a_cancelled_search_is_aborted(f: &Fixture) {
    f.workspace.put("file", "1");
    let query = glob("*");
    query.cancel.cancel();
    assert_eq!(code(search(f, query)), ErrorCode::Aborted);
}
