use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::backend::memory::{MemoryBackend, MemoryOptions};
use crate::backend::{Content, ReadOptions, WriteOptions};
use crate::workspace::{ScopeOptions, WorkspaceOptions};

fn edit(old: &str, new: &str) -> Edit {
    Edit {
        old_text: Bytes::copy_from_slice(old.as_bytes()),
        new_text: Bytes::copy_from_slice(new.as_bytes()),
        replace_all: false,
    }
}

fn all(old: &str, new: &str) -> Edit {
    Edit {
        replace_all: true,
        ..edit(old, new)
    }
}

fn workspace() -> Workspace {
    let backend = MemoryBackend::new(MemoryOptions::default()).unwrap();
    Workspace::new(
        backend,
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    )
}

fn block<T: 'static>(call: Call<T>) -> Result<T> {
    crate::pool::runtime().block_on(call)
}

fn write_file(workspace: &Workspace, path: &str, content: &[u8]) {
    let content = Content::owned(content.to_vec());
    block(workspace.write(path, content, WriteOptions::default())).unwrap();
}

fn read_file(workspace: &Workspace, path: &str) -> Vec<u8> {
    let outcome = block(workspace.read(path, ReadOptions::default())).unwrap();
    outcome.bytes.to_vec()
}

/// Edits a file with this content and gives what is in it then.
fn edited(content: &[u8], edits: Vec<Edit>) -> Result<(Vec<u8>, EditOutcome)> {
    let workspace = workspace();
    write_file(&workspace, "f", content);
    let outcome = block(workspace.edit("f", edits, EditOptions::default()));
    let after = read_file(&workspace, "f");
    if outcome.is_err() {
        assert_eq!(after, content, "a failed edit changes nothing");
    }
    outcome.map(|outcome| (after, outcome))
}

#[test]
fn texts_are_replaced_in_order_each_in_the_result_of_the_one_before() {
    for (content, edits, expected, count) in [
        ("a b c", vec![edit("b", "B")], "a B c", 1),
        ("a b", vec![edit("a", "x"), edit("x b", "y")], "y", 2),
        ("a a a", vec![all("a", "bb")], "bb bb bb", 3),
        ("aaaa", vec![all("aa", "b")], "bb", 2),
        ("x", vec![edit("x", "")], "", 1),
        (
            "one\ntwo\nthree\n",
            vec![edit("two\n", "")],
            "one\nthree\n",
            1,
        ),
        ("größe", vec![edit("öß", "oess")], "groesse", 1),
        (
            "a\r\nb\r\n",
            vec![edit("a\r\nb", "c\r\nd")],
            "c\r\nd\r\n",
            1,
        ),
    ] {
        let (after, outcome) = edited(content.as_bytes(), edits).unwrap();
        assert_eq!(after, expected.as_bytes(), "{content}");
        assert_eq!(outcome.replacements, count);
        assert!(outcome.diff.starts_with("--- a/f\n+++ b/f\n@@ "));
        assert_eq!(outcome.stat.size, expected.len() as u64);
    }
}

#[test]
fn what_is_not_utf8_loses_nothing() {
    let (after, _) = edited(b"\xff\xfe old \x80\0\xc3", vec![edit("old", "new")]).unwrap();
    assert_eq!(after, b"\xff\xfe new \x80\0\xc3");
}

#[test]
fn a_text_that_is_not_unique_is_refused_with_its_lines() {
    let error = edited(b"x\ny x\n\nx\n", vec![edit("x", "z")]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::EditNotUnique);
    let message = error.message();
    assert!(
        message.contains("3 times") && message.contains("lines 1, 2, 4"),
        "{message}"
    );
    // Which of two that overlap was meant cannot be known either.
    let error = edited(b"aaa", vec![edit("aa", "b")]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::EditNotUnique);
    let many = "x\n".repeat(100_000);
    let error = edited(many.as_bytes(), vec![edit("x", "z")]).unwrap_err();
    assert!(
        error.message().contains("at least 1000"),
        "{}",
        error.message()
    );
}

#[test]
fn a_text_that_is_not_there_comes_with_what_is_near() {
    for (content, old, part) in [
        (
            "fn a() {\n    b();\n}\n",
            "fn a() {\n\tb();\n}",
            "white space begins on line 1",
        ),
        (
            "x\n  indented  text\n",
            "indented text",
            "white space begins on line 2",
        ),
        (
            "x\nHello World\n",
            "hello world",
            "upper and lower case begins on line 2",
        ),
        ("a\r\nb\r\n", "a\nb", "CRLF"),
        ("a\nb\n", "a\r\nb", "CRLF"),
        (
            "x\nfirst\nother\n",
            "first\nsecond",
            "what follows, on line 2",
        ),
        ("x", "nowhere", "read the file again"),
        ("", "a", "read the file again"),
        ("x", " \n ", "read the file again"),
    ] {
        let error = edited(content.as_bytes(), vec![edit(old, "new")]).unwrap_err();
        assert_eq!(error.code(), ErrorCode::EditNotFound, "{content:?}");
        assert!(
            error.message().contains(part),
            "{content:?}: {}",
            error.message()
        );
    }
}

#[test]
fn several_edits_happen_together_or_not_at_all() {
    let error = edited(b"a b", vec![edit("a", "x"), edit("missing", "y")]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::EditNotFound);
    assert!(
        error.message().starts_with("edits[1]: "),
        "{}",
        error.message()
    );
    let error = edited(b"a b", vec![edit("a b", "x"), edit("b", "y")]).unwrap_err();
    assert!(
        error.message().contains("changed that place"),
        "{}",
        error.message()
    );
}

#[test]
fn what_makes_no_sense_is_refused() {
    for edits in [
        vec![],
        vec![edit("", "x")],
        vec![edit("same", "same")],
        vec![edit("x", "y"); 1_001],
    ] {
        let error = edited(b"same", edits).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
    }
}

#[test]
fn a_dry_run_says_what_would_change_and_changes_nothing() {
    let workspace = workspace();
    write_file(&workspace, "f", b"old\n");
    let options = EditOptions {
        dry_run: true,
        ..EditOptions::default()
    };
    let outcome = block(workspace.edit("f", vec![edit("old", "new")], options)).unwrap();
    assert!(outcome.diff.contains("-old\n+new\n"));
    assert_eq!(read_file(&workspace, "f"), b"old\n");
}

#[test]
fn an_etag_that_does_not_match_is_a_conflict() {
    let workspace = workspace();
    write_file(&workspace, "f", b"old");
    let stale = block(workspace.stat("f")).unwrap().etag();
    write_file(&workspace, "f", b"old 2");
    let options = |etag| EditOptions {
        if_match: Some(etag),
        ..EditOptions::default()
    };
    let edits = vec![edit("old", "new")];
    let error = block(workspace.edit("f", edits.clone(), options(stale))).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Conflict);
    let current = block(workspace.stat("f")).unwrap().etag();
    block(workspace.edit("f", edits, options(current))).unwrap();
    assert_eq!(read_file(&workspace, "f"), b"new 2");
}

#[test]
fn a_missing_file_and_a_directory_give_their_own_codes() {
    let workspace = workspace();
    block(workspace.create_dir("d", false)).unwrap();
    for (path, code) in [
        ("none", ErrorCode::NotFound),
        ("d", ErrorCode::IsADirectory),
    ] {
        let outcome = block(workspace.edit(path, vec![edit("a", "b")], EditOptions::default()));
        let error = outcome.unwrap_err();
        assert_eq!(error.code(), code);
        assert_eq!(error.path(), Some(path));
        assert_eq!(error.operation(), Some("edit"));
    }
}

#[test]
fn concurrent_edits_of_one_file_all_happen() {
    let workspace = workspace();
    let content: String = (0..64).map(|n| format!("<{n}>\n")).collect();
    write_file(&workspace, "f", content.as_bytes());
    std::thread::scope(|scope| {
        for n in 0..64 {
            let workspace = &workspace;
            scope.spawn(move || {
                let edits = vec![edit(&format!("<{n}>"), &format!("[{n}]"))];
                block(workspace.edit("f", edits, EditOptions::default())).unwrap();
            });
        }
    });
    let expected: String = (0..64).map(|n| format!("[{n}]\n")).collect();
    assert_eq!(read_file(&workspace, "f"), expected.as_bytes());
}

#[test]
fn an_edit_cannot_grow_a_file_without_bound() {
    let content = vec![b'a'; 1 << 20];
    let error = edited(&content, vec![all("a", &"x".repeat(1 << 20))]).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooLarge);
}

#[test]
fn a_large_file_is_edited_in_reasonable_time() {
    let mut content = b"some line of text\n".repeat(1_000_000);
    content.extend_from_slice(b"needle\n");
    let started = std::time::Instant::now();
    let (after, outcome) = edited(&content, vec![edit("needle", "thread")]).unwrap();
    assert!(after.ends_with(b"thread\n"));
    assert!(
        outcome.diff.contains("@@ -999998,4 +999998,4 @@"),
        "{}",
        outcome.diff
    );
    assert!(started.elapsed() < Duration::from_secs(20));
}
