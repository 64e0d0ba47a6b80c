//! `list` and `create_dir`.

use agent_backend::backend::{FileKind, ListOptions};
use agent_backend::error::ErrorCode;

use crate::fixture::{Fixture, Verbs, code, wait};

const WITH_STAT: ListOptions = ListOptions { with_stat: true };

pub fn a_directory_of_parents_is_listed(f: &Fixture) {
    f.workspace.put("a/b/c", "1");
    f.workspace.put("a/file", "1");
    let entries = wait(f.workspace.list("a", ListOptions::default())).unwrap();
    let found: Vec<_> = entries
        .iter()
        .map(|entry| (entry.name.as_slice(), entry.kind))
        .collect();
    assert_eq!(
        found,
        [
            (&b"b"[..], FileKind::Directory),
            (&b"file"[..], FileKind::File)
        ]
    );
}

pub fn a_listing_is_sorted_in_byte_order(f: &Fixture) {
    let sorted = [".hidden", "10", "9", "Z", "a", "a-b", "a.b", "ab", "b", "ä"];
    for name in sorted.iter().rev().chain(&["a"]) {
        f.workspace.put(name, "1");
    }
    assert_eq!(f.workspace.names(""), sorted);
}

pub fn a_listing_with_stat_says_what_stat_says(f: &Fixture) {
    f.workspace.put("d/file", "12345");
    f.workspace.make("d/sub");
    let entries = wait(f.workspace.list("d", WITH_STAT)).unwrap();
    assert_eq!(entries.len(), 2);
    for entry in entries {
        let name = String::from_utf8(entry.name).unwrap();
        let stat = f.workspace.look(&format!("d/{name}"));
        let listed = entry.stat.unwrap();
        assert_eq!(listed.etag(), stat.etag(), "{name}");
        assert_eq!((listed.kind, listed.mode), (stat.kind, stat.mode));
        assert_eq!(entry.kind, stat.kind);
    }
}

pub fn a_listing_without_stat_has_none(f: &Fixture) {
    f.workspace.put("file", "1");
    let entries = wait(f.workspace.list("", ListOptions::default())).unwrap();
    assert!(entries.iter().all(|entry| entry.stat.is_none()));
}

pub fn an_empty_directory_has_no_entries(f: &Fixture) {
    f.workspace.make("empty");
    assert!(f.workspace.names("empty").is_empty());
    assert_eq!(f.workspace.names(""), ["empty"]);
}

pub fn listing_a_file_is_not_a_directory(f: &Fixture) {
    f.workspace.put("file", "1");
    for path in ["file", "file/x"] {
        let call = f.workspace.list(path, ListOptions::default());
        assert_eq!(code(call), ErrorCode::NotADirectory, "{path}");
    }
}

pub fn listing_a_missing_directory_is_not_found(f: &Fixture) {
    for path in ["missing", "missing/x"] {
        let call = f.workspace.list(path, ListOptions::default());
        assert_eq!(code(call), ErrorCode::NotFound, "{path}");
    }
}

pub fn ten_thousand_entries_are_listed(f: &Fixture) {
    let name = |number: usize| format!("file-{number:05}");
    for number in 0..10_000 {
        wait(f.workspace.touch(format!("many/{}", name(number)))).unwrap();
    }
    let entries = wait(f.workspace.list("many", WITH_STAT)).unwrap();
    assert_eq!(entries.len(), 10_000);
    for (number, entry) in entries.iter().enumerate() {
        assert_eq!(entry.name, name(number).as_bytes());
        assert_eq!(entry.stat.unwrap().kind, FileKind::File);
    }
    let all = crate::fixture::RECURSIVE;
    wait(f.workspace.remove("many", all)).unwrap();
    assert!(!f.workspace.has("many"));
}

pub fn a_directory_is_created(f: &Fixture) {
    wait(f.workspace.create_dir("d", false)).unwrap();
    wait(f.workspace.create_dir("d/e", false)).unwrap();
    assert_eq!(f.workspace.look("d/e").kind, FileKind::Directory);
    assert_eq!(f.workspace.names("d"), ["e"]);
}

pub fn creating_what_exists_is_refused(f: &Fixture) {
    f.workspace.put("implied/file", "1");
    f.workspace.make("made");
    for path in ["implied", "made", ".", ""] {
        let call = f.workspace.create_dir(path, false);
        assert_eq!(code(call), ErrorCode::AlreadyExists, "{path:?}");
    }
    assert_eq!(f.workspace.names("implied"), ["file"]);
}

pub fn creating_recursively_makes_parents_and_accepts_what_exists(f: &Fixture) {
    f.workspace.make("a/b/c");
    f.workspace.put("a/b/file", "1");
    for path in ["a/b/c", "a/b", "a", "", "."] {
        f.workspace.make(path);
    }
    assert_eq!(f.workspace.names("a/b"), ["c", "file"]);
}

pub fn creating_below_a_missing_parent_is_not_found(f: &Fixture) {
    assert_eq!(
        code(f.workspace.create_dir("missing/d", false)),
        ErrorCode::NotFound
    );
    assert!(!f.workspace.has("missing"));
}

pub fn creating_below_a_file_is_not_a_directory(f: &Fixture) {
    f.workspace.put("file", "1");
    for recursive in [false, true] {
        for path in ["file/d", "file/d/e"] {
            let call = f.workspace.create_dir(path, recursive);
            assert_eq!(code(call), ErrorCode::NotADirectory, "{path} {recursive}");
        }
    }
}

pub fn creating_where_a_file_is_already_exists(f: &Fixture) {
    f.workspace.put("file", "1");
    for recursive in [false, true] {
        let call = f.workspace.create_dir("file", recursive);
        assert_eq!(code(call), ErrorCode::AlreadyExists, "{recursive}");
    }
    assert_eq!(f.workspace.get("file"), "1");
}

pub fn a_directory_beside_names_that_sort_around_it_lists_only_its_own(f: &Fixture) {
    for path in ["a/x", "a-b/y", "a.b", "a0", "aa/z", "a/b/c"] {
        f.workspace.put(path, "1");
    }
    assert_eq!(f.workspace.names("a"), ["b", "x"]);
    assert_eq!(f.workspace.names(""), ["a", "a-b", "a.b", "a0", "aa"]);
}
