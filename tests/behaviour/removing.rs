//! `remove`.

use agent_backend::backend::{Removable, RemoveOptions};
use agent_backend::error::ErrorCode;

use crate::fixture::{FORCE, Fixture, RECURSIVE, Verbs, code, wait};

const PLAIN: RemoveOptions = RemoveOptions {
    recursive: false,
    force: false,
    only: Removable::Anything,
};

pub fn a_file_is_removed(f: &Fixture) {
    for options in [PLAIN, FORCE, RECURSIVE] {
        f.workspace.put("d/a", "1");
        wait(f.workspace.remove("d/a", options)).unwrap();
        assert!(!f.workspace.has("d/a"));
    }
}

pub fn a_missing_path_is_not_found_unless_forced(f: &Fixture) {
    f.workspace.put("d/a", "1");
    for path in ["missing", "d/missing", "missing/x"] {
        assert_eq!(code(f.workspace.remove(path, PLAIN)), ErrorCode::NotFound);
        assert_eq!(
            code(f.workspace.remove(path, RECURSIVE)),
            ErrorCode::NotFound
        );
        wait(f.workspace.remove(path, FORCE)).unwrap();
    }
    assert_eq!(f.workspace.names("d"), ["a"]);
}

pub fn an_empty_directory_is_removed(f: &Fixture) {
    for options in [PLAIN, FORCE, RECURSIVE] {
        f.workspace.make("d/empty");
        wait(f.workspace.remove("d/empty", options)).unwrap();
        assert!(f.workspace.names("d").is_empty());
    }
}

pub fn a_directory_with_entries_is_removed_only_recursively(f: &Fixture) {
    f.workspace.put("d/a", "1");
    f.workspace.put("d/sub/b", "1");
    for options in [PLAIN, FORCE] {
        assert_eq!(code(f.workspace.remove("d", options)), ErrorCode::NotEmpty);
    }
    assert_eq!(f.workspace.get("d/sub/b"), "1");
    wait(f.workspace.remove("d", RECURSIVE)).unwrap();
    assert!(!f.workspace.has("d"));
    assert!(!f.workspace.has("d/sub/b"));
}

pub fn removing_leaves_what_has_a_similar_name(f: &Fixture) {
    for path in ["a/x", "ab", "a.b", "a-b/x", "b/a/x"] {
        f.workspace.put(path, "1");
    }
    wait(f.workspace.remove("a", RECURSIVE)).unwrap();
    assert_eq!(f.workspace.names(""), ["a-b", "a.b", "ab", "b"]);
    assert_eq!(f.workspace.get("b/a/x"), "1");
}

pub fn the_directory_that_held_the_last_file_stays(f: &Fixture) {
    f.workspace.put("a/b/c", "1");
    wait(f.workspace.remove("a/b/c", PLAIN)).unwrap();
    assert!(f.workspace.names("a/b").is_empty());
    wait(f.workspace.remove("a/b", PLAIN)).unwrap();
    assert!(f.workspace.names("a").is_empty());
}

pub fn only_what_is_meant_is_removed(f: &Fixture) {
    f.workspace.put("file", "1");
    f.workspace.make("empty");
    f.workspace.put("full/a", "1");
    let remove = |path, only, options: RemoveOptions| {
        f.workspace.remove(path, RemoveOptions { only, ..options })
    };
    for options in [PLAIN, FORCE, RECURSIVE] {
        for directory in ["empty", "full"] {
            let refused = code(remove(directory, Removable::File, options));
            assert_eq!(refused, ErrorCode::IsADirectory, "{directory} {options:?}");
        }
        let refused = code(remove("file", Removable::Directory, options));
        assert_eq!(refused, ErrorCode::NotADirectory, "{options:?}");
    }
    let refused = code(remove("full", Removable::Directory, PLAIN));
    assert_eq!(refused, ErrorCode::NotEmpty);
    for only in [Removable::File, Removable::Directory] {
        assert_eq!(
            code(remove("missing", only, PLAIN)),
            ErrorCode::NotFound,
            "{only:?}"
        );
        wait(remove("missing", only, FORCE)).unwrap();
    }
    assert_eq!(f.workspace.names(""), ["empty", "file", "full"]);
    assert_eq!(f.workspace.names("full"), ["a"]);
    wait(remove("file", Removable::File, PLAIN)).unwrap();
    wait(remove("empty", Removable::Directory, PLAIN)).unwrap();
    wait(remove("full", Removable::Directory, RECURSIVE)).unwrap();
    assert!(f.workspace.names("").is_empty());
}

pub fn the_root_cannot_be_removed(f: &Fixture) {
    f.workspace.put("a", "1");
    for path in ["", ".", "/", "a/.."] {
        let options = RemoveOptions {
            recursive: true,
            force: true,
            ..RemoveOptions::default()
        };
        let call = f.workspace.remove(path, options);
        assert_eq!(code(call), ErrorCode::InvalidPath, "{path:?}");
    }
    assert_eq!(f.workspace.get("a"), "1");
}

pub fn a_path_below_a_file_is_not_a_directory_to_remove_from(f: &Fixture) {
    f.workspace.put("file", "1");
    for options in [PLAIN, RECURSIVE] {
        let call = f.workspace.remove("file/x", options);
        assert_eq!(code(call), ErrorCode::NotADirectory);
    }
    assert_eq!(f.workspace.get("file"), "1");
}

pub fn a_deep_tree_is_removed(f: &Fixture) {
    let deep = "d/".repeat(500) + "file";
    f.workspace.put(&deep, "1");
    f.workspace.put("kept", "1");
    wait(f.workspace.remove("d", RECURSIVE)).unwrap();
    assert_eq!(f.workspace.names(""), ["kept"]);
}
