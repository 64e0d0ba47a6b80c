//! `list_keys`, `delete_key`, `clear_keys`: of backends that are key stores; others say that they are none.

use agent_backend::error::ErrorCode;
use agent_backend::workspace::ScopeOptions;

use crate::fixture::{Fixture, Verbs, code, wait};

fn keys(f: &Fixture, prefix: &str) -> Vec<String> {
    wait(f.workspace.list_keys(prefix)).unwrap().to_strings()
}

pub fn a_backend_without_keys_says_so(f: &Fixture) {
    f.workspace.put("a", "1");
    let w = &f.workspace;
    assert_eq!(code(w.list_keys("")), ErrorCode::NotImplemented);
    assert_eq!(code(w.delete_key("a")), ErrorCode::NotImplemented);
    assert_eq!(code(w.clear_keys()), ErrorCode::NotImplemented);
    assert_eq!(w.get("a"), "1");
}

pub fn keys_are_relative_to_the_workspace(f: &Fixture) {
    f.root.put("outside", "1");
    for key in ["session/1", "session/2/deep", "sessile", "other"] {
        f.workspace.put(key, "1");
    }
    f.workspace.make("session/empty");
    assert_eq!(keys(f, "session/"), ["session/1", "session/2/deep"]);
    assert_eq!(keys(f, "sess"), ["sessile", "session/1", "session/2/deep"]);
    let root = String::from_utf8(f.workspace.root_dir().to_vec()).unwrap();
    assert_eq!(keys(f, &format!("{root}/session/2")), ["session/2/deep"]);
    for prefix in ["..", "../", "x/../../"] {
        let call = f.workspace.list_keys(prefix);
        assert_eq!(code(call), ErrorCode::PathEscapeAttempt, "{prefix}");
    }
    let nul = f.workspace.list_keys("a\0");
    assert_eq!(code(nul), ErrorCode::InvalidPath);
}

pub fn a_deleted_key_takes_the_directories_that_it_implied(f: &Fixture) {
    f.workspace.put("a/b/c", "1");
    assert!(!wait(f.workspace.delete_key("a/b")).unwrap());
    assert!(!wait(f.workspace.delete_key("missing")).unwrap());
    assert!(wait(f.workspace.delete_key("a/b/c")).unwrap());
    assert!(!f.workspace.has("a"));
    assert_eq!(
        code(f.workspace.delete_key("../x")),
        ErrorCode::PathEscapeAttempt
    );
}

pub fn clearing_reaches_only_what_is_below(f: &Fixture) {
    f.root.put("beside/the/scope", "kept");
    let below = f.workspace.scope("s", ScopeOptions::default()).unwrap();
    for key in ["s/a", "s/b/c", "t/a"] {
        f.workspace.put(key, "1");
    }
    wait(below.clear_keys()).unwrap();
    assert!(wait(below.list_keys("")).unwrap().is_empty());
    assert_eq!(keys(f, "t"), ["t/a"]);
    assert_eq!(f.root.get("beside/the/scope"), "kept");
}
