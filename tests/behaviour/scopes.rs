//! Paths and scopes: where they lead, and where they do not.

use agent_backend::backend::{Content, ListOptions, ReadOptions, RenameOptions, WriteOptions};
use agent_backend::error::ErrorCode;
use agent_backend::workspace::{ScopeOptions, Workspace};

use crate::fixture::{Depth, FORCE, Fixture, Verbs, code, wait};

fn scope(parent: &Workspace, path: &str) -> Workspace {
    parent.scope(path, ScopeOptions::default()).unwrap()
}

/// The cause with which each call that takes a path refuses this one.
fn refusals(workspace: &Workspace, path: &str) -> Vec<(&'static str, ErrorCode)> {
    let content = Content::owned("x");
    vec![
        ("read", code(workspace.read(path, ReadOptions::default()))),
        (
            "write",
            code(workspace.write(path, content, WriteOptions::default())),
        ),
        ("stat", code(workspace.stat(path))),
        ("lstat", code(workspace.lstat(path))),
        ("list", code(workspace.list(path, ListOptions::default()))),
        ("mkdir", code(workspace.create_dir(path, true))),
        ("rm", code(workspace.remove(path, FORCE))),
        (
            "rename from",
            code(workspace.rename(path, "inside", RenameOptions::default())),
        ),
        (
            "rename to",
            code(workspace.rename("file", path, RenameOptions::default())),
        ),
        ("touch", code(workspace.touch(path))),
        (
            "scope",
            match workspace.scope(path, ScopeOptions::default()) {
                Ok(_) => panic!("the scope was made"),
                Err(error) => error.code(),
            },
        ),
    ]
}

pub fn a_path_that_leaves_is_refused_by_every_call(f: &Fixture) {
    f.workspace.put("file", "kept");
    f.root.put("outside/file", "secret");
    for path in [
        "..",
        "../x",
        "a/../../x",
        "/..",
        "./../outside/file",
        "../../../../etc/passwd",
    ] {
        for (call, code) in refusals(&f.workspace, path) {
            assert_eq!(code, ErrorCode::PathEscapeAttempt, "{call} {path}");
        }
    }
    assert_eq!(f.workspace.get("file"), "kept");
    assert_eq!(f.root.get("outside/file"), "secret");
}

pub fn a_path_with_nul_is_refused_by_every_call(f: &Fixture) {
    f.workspace.put("file", "kept");
    for path in ["\0", "file\0", "a\0/b", "file\0.txt"] {
        for (call, code) in refusals(&f.workspace, path) {
            assert_eq!(code, ErrorCode::InvalidPath, "{call} {path:?}");
        }
    }
    assert_eq!(f.workspace.names("").last().unwrap(), "file");
}

pub fn an_absolute_path_inside_the_root_is_that_path(f: &Fixture) {
    let root = String::from_utf8(f.workspace.root_dir().to_vec()).unwrap();
    f.workspace.put(&format!("{root}/a/b"), "1");
    assert_eq!(f.workspace.get("a/b"), "1");
    assert_eq!(f.workspace.names(&root).last().unwrap(), "a");
    let leaving = format!("{root}/../x");
    assert_eq!(
        code(f.workspace.stat(leaving)),
        ErrorCode::PathEscapeAttempt
    );
}

pub fn an_absolute_path_elsewhere_is_below_the_root(f: &Fixture) {
    f.workspace.put("/etc/app.conf", "1");
    assert_eq!(f.workspace.get("etc/app.conf"), "1");
    assert_eq!(f.workspace.get("//etc/app.conf"), "1");
}

pub fn a_path_that_begins_like_the_root_is_elsewhere(f: &Fixture) {
    let root = String::from_utf8(f.workspace.root_dir().to_vec()).unwrap();
    let twin = format!("{root}-evil/a");
    f.workspace.put(&twin, "1");
    assert_eq!(f.workspace.get(twin.trim_start_matches('/')), "1");
    assert!(!f.workspace.has("a"));
}

pub fn a_scope_that_leaves_is_refused(f: &Fixture) {
    f.workspace.put("d/a", "1");
    for path in ["..", "../x", "d/../..", "/.."] {
        let error = f
            .workspace
            .scope(path, ScopeOptions::default())
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::PathEscapeAttempt, "{path}");
    }
    let below = scope(&f.workspace, "d");
    for path in ["..", "../d", "x/../../d"] {
        let error = below.scope(path, ScopeOptions::default()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::PathEscapeAttempt, "{path}");
    }
    for path in ["../d/a", "..", "/../d/a"] {
        assert_eq!(code(below.stat(path)), ErrorCode::PathEscapeAttempt);
    }
}

pub fn making_a_scope_creates_nothing(f: &Fixture) {
    f.workspace.put("a", "1");
    let _below = scope(&f.workspace, "new/scope");
    assert_eq!(f.workspace.names("").last().unwrap(), "a");
    assert!(!f.workspace.has("new"));
}

pub fn the_first_write_creates_the_scope(f: &Fixture) {
    for (number, write) in [
        |below: &Workspace| {
            below.put("a", "1");
        },
        |below: &Workspace| wait(below.touch("a")).unwrap(),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("new-{number}/scope");
        write(&scope(&f.workspace, &path));
        assert_eq!(f.workspace.names(&path), ["a"]);
    }
}

pub fn the_first_directory_creates_the_scope(f: &Fixture) {
    for recursive in [false, true] {
        let path = format!("new-{recursive}/scope");
        let below = scope(&f.workspace, &path);
        wait(below.create_dir("d", recursive)).unwrap();
        assert_eq!(f.workspace.names(&path), ["d"]);
    }
    let below = scope(&f.workspace, "other/scope");
    assert_eq!(code(below.create_dir("d/e", false)), ErrorCode::NotFound);
}

pub fn a_scope_sees_only_what_is_its_own(f: &Fixture) {
    let (one, two) = (
        scope(&f.workspace, "users/1"),
        scope(&f.workspace, "users/2"),
    );
    one.put("a", "of one");
    two.put("a", "of two");
    assert_eq!(one.get("a"), "of one");
    assert_eq!(one.get("/a"), "of one");
    assert_eq!(one.names("/"), ["a"]);
    assert!(!one.has("users/2/a"));
    assert!(!one.has("../2/a"));
    let of_two = String::from_utf8([two.root_dir(), b"/a"].concat()).unwrap();
    assert!(!one.has(&of_two));
    assert_eq!(f.workspace.get("users/2/a"), "of two");
}

pub fn a_scope_of_a_scope_is_where_its_path_says(f: &Fixture) {
    let inner = scope(&scope(&f.workspace, "users/1"), "projects/app");
    inner.put("a", "1");
    assert_eq!(f.workspace.get("users/1/projects/app/a"), "1");
    let expected = [f.workspace.root_dir(), b"/users/1/projects/app"].concat();
    assert_eq!(inner.root_dir(), expected);
    let from_root = inner.scope_path().to_string();
    assert_eq!(f.root.get(&format!("{from_root}/a")), "1");
    assert_eq!(inner.parent().unwrap().get("projects/app/a"), "1");
}

pub fn scopes_of_the_same_directory_share_it(f: &Fixture) {
    let (one, two) = (scope(&f.workspace, "s"), scope(&f.workspace, "./s/"));
    one.put("a", "1");
    assert_eq!(two.get("a"), "1");
    let itself = scope(&f.workspace, ".");
    assert_eq!(itself.get("s/a"), "1");
    assert_eq!(itself.root_dir(), f.workspace.root_dir());
}

pub fn a_scope_on_a_file_is_not_a_directory(f: &Fixture) {
    f.workspace.put("file", "1");
    let on_file = scope(&f.workspace, "file");
    assert_eq!(
        code(on_file.read("a", ReadOptions::default())),
        ErrorCode::NotADirectory
    );
    let write = on_file.put_with("a", "1", WriteOptions::default());
    assert_eq!(code(write), ErrorCode::NotADirectory);
    let list = on_file.list("", ListOptions::default());
    assert_eq!(code(list), ErrorCode::NotADirectory);
    assert_eq!(f.workspace.get("file"), "1");
}

pub fn active_scopes_are_those_that_live(f: &Fixture) {
    let base = f.workspace.scope_path().to_string();
    let below = |name: &str| match base.as_str() {
        "" => name.to_owned(),
        base => format!("{base}/{name}"),
    };
    let active = || -> Vec<String> {
        let scopes = f.workspace.active_scopes();
        scopes.iter().map(ToString::to_string).collect()
    };
    assert!(active().is_empty());
    let one = scope(&f.workspace, "one");
    let two = scope(&f.workspace, "two");
    assert_eq!(active(), [below("one"), below("two")]);
    drop(one);
    assert_eq!(active(), [below("two")]);
    wait(two.destroy()).unwrap();
    assert!(active().is_empty());
}

pub fn a_fresh_scope_is_missing_until_it_is_written(f: &Fixture) {
    if f.depth == Depth::Root {
        assert!(f.workspace.names("").is_empty());
        assert!(f.workspace.has("."));
        return;
    }
    assert!(!f.workspace.has("."));
    assert_eq!(code(f.workspace.stat("")), ErrorCode::NotFound);
    let list = f.workspace.list("", ListOptions::default());
    assert_eq!(code(list), ErrorCode::NotFound);
    wait(f.workspace.create_dir("", true)).unwrap();
    assert!(f.workspace.names("").is_empty());
}
