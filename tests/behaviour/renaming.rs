//! `rename`.

use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Barrier;

use agent_backend::backend::RenameOptions;
use agent_backend::error::ErrorCode;

use crate::fixture::{Fixture, Verbs, code, wait};

const KEEP: RenameOptions = RenameOptions {
    keep_existing: true,
    existing_parent: false,
};

fn rename(f: &Fixture, from: &str, to: &str) {
    wait(f.workspace.rename(from, to, RenameOptions::default())).unwrap();
}

pub fn a_file_is_renamed(f: &Fixture) {
    f.workspace.put("a", "1");
    rename(f, "a", "b");
    assert_eq!(f.workspace.names(""), ["b"]);
    assert_eq!(f.workspace.get("b"), "1");
}

pub fn renaming_keeps_what_the_file_is(f: &Fixture) {
    let before = f.workspace.put("a", "12345");
    rename(f, "a", "b");
    let after = f.workspace.look("b");
    assert_eq!(after.ino, before.ino);
    assert_eq!(after.mtime_ns, before.mtime_ns);
    assert_eq!((after.mode, after.size), (before.mode, before.size));
}

pub fn renaming_a_file_replaces_a_file(f: &Fixture) {
    f.workspace.put("a", "new");
    f.workspace.put("b", "old");
    rename(f, "a", "b");
    assert_eq!(f.workspace.names(""), ["b"]);
    assert_eq!(f.workspace.get("b"), "new");
}

pub fn renaming_onto_itself_changes_nothing(f: &Fixture) {
    f.workspace.put("d/a", "1");
    for (from, to) in [("d/a", "d/a"), ("d/a", "./d//a"), ("d", "d"), ("d", "d/")] {
        rename(f, from, to);
    }
    assert_eq!(f.workspace.get("d/a"), "1");
}

pub fn a_rename_may_insist_on_the_directory_of_its_target(f: &Fixture) {
    f.workspace.put("a", "1");
    f.workspace.put("d/b", "2");
    let insist = |from, to, keep_existing| {
        let options = RenameOptions {
            keep_existing,
            existing_parent: true,
        };
        f.workspace.rename(from, to, options)
    };
    for keep in [false, true] {
        for to in ["new/a", "d/new/a", "new/deep/a"] {
            for from in ["a", "d"] {
                if !to.starts_with(from) {
                    assert_eq!(code(insist(from, to, keep)), ErrorCode::NotFound, "{to}");
                }
            }
        }
    }
    assert_eq!(f.workspace.names(""), ["a", "d"]);
    assert_eq!(f.workspace.names("d"), ["b"]);
    wait(insist("a", "d/a", true)).unwrap();
    wait(insist("d/b", "b", true)).unwrap();
    wait(insist("d/a", "b", false)).unwrap();
    assert_eq!(f.workspace.get("b"), "1");
    assert!(f.workspace.names("d").is_empty());
}

pub fn renaming_what_is_missing_is_not_found(f: &Fixture) {
    f.workspace.put("b", "1");
    for (from, to) in [
        ("a", "b"),
        ("a", "c"),
        ("a", "a"),
        ("x/a", "c"),
        ("a", "new/c"),
    ] {
        let call = f.workspace.rename(from, to, RenameOptions::default());
        assert_eq!(code(call), ErrorCode::NotFound, "{from} {to}");
    }
    assert_eq!(f.workspace.get("b"), "1");
    assert_eq!(f.workspace.names(""), ["b"]);
}

pub fn renaming_creates_the_parents_of_the_target(f: &Fixture) {
    f.workspace.put("a", "1");
    rename(f, "a", "x/y/z");
    assert_eq!(f.workspace.get("x/y/z"), "1");
    rename(f, "x", "v/w");
    assert_eq!(f.workspace.get("v/w/y/z"), "1");
}

pub fn a_directory_is_renamed_with_all_that_is_in_it(f: &Fixture) {
    for path in ["d/a", "d/sub/b", "d-twin/c", "d.txt"] {
        f.workspace.put(path, path);
    }
    f.workspace.make("d/empty");
    rename(f, "d", "e");
    assert_eq!(f.workspace.names(""), ["d-twin", "d.txt", "e"]);
    assert_eq!(f.workspace.names("e"), ["a", "empty", "sub"]);
    assert_eq!(f.workspace.get("e/sub/b"), "d/sub/b");
    f.workspace.put("d/new", "1");
    assert_eq!(f.workspace.names("d"), ["new"]);
}

pub fn a_directory_replaces_an_empty_directory(f: &Fixture) {
    f.workspace.put("d/a", "1");
    f.workspace.make("e");
    rename(f, "d", "e");
    assert_eq!(f.workspace.names(""), ["e"]);
    assert_eq!(f.workspace.get("e/a"), "1");
}

pub fn a_directory_does_not_replace_one_with_entries(f: &Fixture) {
    f.workspace.put("d/a", "1");
    f.workspace.put("e/b", "1");
    assert_eq!(
        code(f.workspace.rename("d", "e", RenameOptions::default())),
        ErrorCode::NotEmpty
    );
    assert_eq!(f.workspace.names("d"), ["a"]);
    assert_eq!(f.workspace.names("e"), ["b"]);
}

pub fn a_directory_does_not_replace_a_file(f: &Fixture) {
    f.workspace.put("d/a", "1");
    f.workspace.put("file", "1");
    assert_eq!(
        code(f.workspace.rename("d", "file", RenameOptions::default())),
        ErrorCode::NotADirectory
    );
    assert_eq!(f.workspace.names(""), ["d", "file"]);
}

pub fn a_file_does_not_replace_a_directory(f: &Fixture) {
    f.workspace.put("file", "1");
    f.workspace.make("d");
    assert_eq!(
        code(f.workspace.rename("file", "d", RenameOptions::default())),
        ErrorCode::IsADirectory
    );
    assert_eq!(f.workspace.get("file"), "1");
}

pub fn a_directory_cannot_move_into_itself(f: &Fixture) {
    f.workspace.put("d/a", "1");
    for to in ["d/e", "d/a/e", "d/x/y"] {
        let call = f.workspace.rename("d", to, RenameOptions::default());
        assert_eq!(code(call), ErrorCode::InvalidPath, "{to}");
    }
    assert_eq!(f.workspace.names("d"), ["a"]);
}

pub fn a_file_does_not_move_below_itself(f: &Fixture) {
    f.workspace.put("file", "1");
    assert!(
        wait(
            f.workspace
                .rename("file", "file/x", RenameOptions::default())
        )
        .is_err()
    );
    assert_eq!(f.workspace.get("file"), "1");
}

pub fn nothing_replaces_a_directory_that_it_is_in(f: &Fixture) {
    f.workspace.put("a/b/c", "1");
    for (from, to) in [("a/b", "a"), ("a/b/c", "a/b"), ("a/b/c", "a")] {
        let call = f.workspace.rename(from, to, RenameOptions::default());
        assert_eq!(code(call), ErrorCode::NotEmpty, "{from} {to}");
    }
    assert_eq!(f.workspace.get("a/b/c"), "1");
}

pub fn renaming_below_a_file_is_not_a_directory(f: &Fixture) {
    f.workspace.put("file", "1");
    f.workspace.put("a", "1");
    for (from, to) in [("a", "file/x"), ("a", "file/x/y"), ("file/x", "b")] {
        let call = f.workspace.rename(from, to, RenameOptions::default());
        assert_eq!(code(call), ErrorCode::NotADirectory, "{from} {to}");
    }
    assert_eq!(f.workspace.get("a"), "1");
}

pub fn the_root_cannot_be_renamed(f: &Fixture) {
    f.workspace.put("a", "1");
    for (from, to) in [("", "b"), ("a", ""), (".", "."), ("/", "b")] {
        let call = f.workspace.rename(from, to, RenameOptions::default());
        assert_eq!(code(call), ErrorCode::InvalidPath, "{from:?} {to:?}");
    }
}

pub fn renaming_leaves_the_directory_that_is_empty_now(f: &Fixture) {
    f.workspace.put("d/a", "1");
    rename(f, "d/a", "b");
    assert!(f.workspace.names("d").is_empty());
}

pub fn renaming_without_replacing_takes_a_free_name(f: &Fixture) {
    f.workspace.put("a", "1");
    f.workspace.put("d/b", "2");
    wait(f.workspace.rename("a", "x/y", KEEP)).unwrap();
    wait(f.workspace.rename("d", "x/e", KEEP)).unwrap();
    assert_eq!(f.workspace.names(""), ["x"]);
    assert_eq!(f.workspace.get("x/y"), "1");
    assert_eq!(f.workspace.get("x/e/b"), "2");
}

pub fn renaming_without_replacing_keeps_whatever_is_at_the_target(f: &Fixture) {
    f.workspace.put("a", "1");
    f.workspace.put("full/b", "2");
    f.workspace.put("file", "3");
    f.workspace.make("empty");
    let mut targets = vec!["file", "empty", "full", "full/b"];
    if f.workspace.capabilities().posix {
        let root = PathBuf::from(std::ffi::OsStr::from_bytes(f.workspace.root_dir()));
        for (name, to) in [("dangling", "nowhere"), ("link", "file"), ("out", "/etc")] {
            std::os::unix::fs::symlink(to, root.join(name)).unwrap();
            targets.push(name);
        }
    }
    let before = f.workspace.names("");
    for from in ["a", "full", "empty"] {
        for to in targets
            .iter()
            .filter(|to| !to.starts_with("full/") || from == "a")
        {
            let error = wait(f.workspace.rename(from, to, KEEP)).unwrap_err();
            assert_eq!(error.code(), ErrorCode::AlreadyExists, "{from} {to}");
            assert_eq!(error.path(), Some(*to));
        }
    }
    let onto_its_parent = f.workspace.rename("full/b", "full", KEEP);
    assert_eq!(code(onto_its_parent), ErrorCode::AlreadyExists);
    assert_eq!(f.workspace.names(""), before);
    assert_eq!(
        (f.workspace.get("a"), f.workspace.get("file")),
        ("1".into(), "3".into())
    );
    assert_eq!(f.workspace.get("full/b"), "2");
}

pub fn renaming_onto_itself_without_replacing_finds_something_there(f: &Fixture) {
    f.workspace.put("d/a", "1");
    for path in ["d/a", "d"] {
        assert_eq!(
            code(f.workspace.rename(path, path, KEEP)),
            ErrorCode::AlreadyExists
        );
    }
    assert_eq!(
        code(f.workspace.rename("x", "x", KEEP)),
        ErrorCode::NotFound
    );
    assert_eq!(f.workspace.get("d/a"), "1");
}

pub fn of_concurrent_renames_to_one_name_that_replace_nothing_one_wins(f: &Fixture) {
    let start = Barrier::new(2);
    for round in 0..50 {
        let target = format!("target{round}");
        let rename = |from: String| {
            f.workspace.put(&from, &from);
            start.wait();
            wait(f.workspace.rename(&from, &target, KEEP)).map(|()| from)
        };
        let outcomes = std::thread::scope(|scope| {
            ["a", "b"]
                .map(|name| scope.spawn(move || rename(format!("{name}{round}"))))
                .map(|thread| thread.join().unwrap())
        });
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 1));
        assert_eq!(
            lost[0].as_ref().unwrap_err().code(),
            ErrorCode::AlreadyExists
        );
        assert_eq!(f.workspace.get(&target), *won[0].as_ref().unwrap());
    }
    // The losers are still under their own names.
    assert_eq!(f.workspace.names("").len(), 100);
}
