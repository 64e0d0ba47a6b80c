//! `touch`.

use std::time::Duration;

use agent_backend::backend::FileKind;
use agent_backend::error::ErrorCode;

use crate::fixture::{Fixture, Verbs, code, wait};

pub fn touch_creates_an_empty_file(f: &Fixture) {
    for path in ["a", "new/dir/a"] {
        wait(f.workspace.touch(path)).unwrap();
        assert_eq!(f.workspace.get(path), "");
        assert_eq!(f.workspace.look(path).kind, FileKind::File);
    }
}

pub fn touch_never_truncates(f: &Fixture) {
    f.workspace.put("a", "content");
    wait(f.workspace.touch("a")).unwrap();
    assert_eq!(f.workspace.get("a"), "content");
}

pub fn touch_sets_the_time_of_modification(f: &Fixture) {
    let before = f.workspace.put("a", "1");
    std::thread::sleep(Duration::from_millis(20));
    wait(f.workspace.touch("a")).unwrap();
    let after = f.workspace.look("a");
    assert!(after.mtime_ns > before.mtime_ns);
    assert!(after.atime_ns > before.atime_ns);
    assert_eq!(after.ino, before.ino);
}

pub fn touch_changes_the_etag(f: &Fixture) {
    let before = f.workspace.put("a", "1").etag();
    std::thread::sleep(Duration::from_millis(20));
    wait(f.workspace.touch("a")).unwrap();
    assert_ne!(f.workspace.etag("a"), before);
}

pub fn touch_accepts_a_directory(f: &Fixture) {
    f.workspace.put("d/a", "1");
    let before = f.workspace.look("d");
    std::thread::sleep(Duration::from_millis(20));
    wait(f.workspace.touch("d")).unwrap();
    let after = f.workspace.look("d");
    assert_eq!(after.kind, FileKind::Directory);
    assert!(after.mtime_ns > before.mtime_ns);
    assert_eq!(f.workspace.names("d"), ["a"]);
}

pub fn touch_below_a_file_is_not_a_directory(f: &Fixture) {
    f.workspace.put("file", "1");
    assert_eq!(code(f.workspace.touch("file/x")), ErrorCode::NotADirectory);
}
