//! Files that stay open, and attributes.

use std::sync::Arc;

use agent_backend::backend::{Attributes, OpenFile, OpenOptions, WriteOptions};
use agent_backend::error::ErrorCode as E;
use bytes::Bytes;

use crate::fixture::{FORCE, Fixture, Verbs, code, wait};
use crate::opening::{READ, UPLOAD, WRITE};

const BOTH: OpenOptions = OpenOptions {
    write: true,
    ..READ
};
trait File {
    fn text(&self, offset: u64, length: usize) -> String;
    fn put(&self, offset: u64, text: &str);
}

impl File for Arc<dyn OpenFile> {
    #[track_caller]
    fn text(&self, offset: u64, length: usize) -> String {
        let bytes = wait(self.read_at(offset, length)).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[track_caller]
    fn put(&self, offset: u64, text: &str) {
        wait(self.write_at(offset, Bytes::copy_from_slice(text.as_bytes()))).unwrap();
    }
}

fn open(fixture: &Fixture, path: &str, options: OpenOptions) -> Arc<dyn OpenFile> {
    wait(fixture.workspace.open(path, options)).unwrap()
}

fn size(bytes: u64) -> Attributes {
    Attributes {
        size: Some(bytes),
        ..Attributes::default()
    }
}

pub fn an_open_file_is_read_at_any_place(fixture: &Fixture) {
    fixture.workspace.put("f", "0123456789");
    let file = open(fixture, "f", READ);
    assert_eq!(file.text(0, 4), "0123");
    assert_eq!(file.text(8, 100), "89");
    assert_eq!(file.text(10, 1), "");
    assert_eq!(file.text(1 << 40, 1 << 30), "");
    assert_eq!(file.text(3, 0), "");
    assert_eq!(wait(file.stat()).unwrap(), fixture.workspace.look("f"));
}

pub fn an_open_file_is_written_in_place(fixture: &Fixture) {
    let before = fixture.workspace.put("f", "0123456789");
    let file = open(fixture, "f", BOTH);
    file.put(2, "ab");
    assert_eq!(fixture.workspace.get("f"), "01ab456789");
    assert_eq!(file.text(0, 100), "01ab456789");
    file.put(9, "xyz");
    assert_eq!(fixture.workspace.get("f"), "01ab45678xyz");
    let after = fixture.workspace.look("f");
    assert_eq!((after.ino, after.size), (before.ino, 12));
    assert_ne!(after.etag(), before.etag());
    wait(file.sync()).unwrap();
}

pub fn what_a_write_leaves_out_is_zeros(fixture: &Fixture) {
    fixture.workspace.put("f", "ab");
    open(fixture, "f", WRITE).put(4, "c");
    assert_eq!(fixture.workspace.get("f"), "ab\0\0c");
}

pub fn a_file_is_created_only_where_asked(fixture: &Fixture) {
    fixture.workspace.make("d");
    let workspace = &fixture.workspace;
    assert_eq!(code(workspace.open("d/f", READ)), E::NotFound);
    assert_eq!(code(workspace.open("d/f", WRITE)), E::NotFound);
    assert!(!workspace.has("d/f"));
    let create = OpenOptions {
        create: true,
        permissions: Some(0o6640),
        ..BOTH
    };
    open(fixture, "d/f", create).put(0, "new");
    assert_eq!(workspace.get("d/f"), "new");
    assert_eq!(workspace.look("d/f").mode & 0o7777, 0o640);
    open(fixture, "d/f", create).put(0, "N");
    assert_eq!(workspace.get("d/f"), "New");
}

pub fn creating_makes_no_parents_but_the_scopes_own(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    assert_eq!(code(workspace.open("missing/f", UPLOAD)), E::NotFound);
    assert!(!workspace.has("missing"));
    open(fixture, "f", UPLOAD).put(0, "first");
    assert_eq!(workspace.get("f"), "first");
}

pub fn what_must_be_new_is_refused_where_something_is(fixture: &Fixture) {
    let new = OpenOptions {
        create_new: true,
        ..WRITE
    };
    fixture.workspace.put("f", "old");
    fixture.workspace.make("d");
    assert_eq!(code(fixture.workspace.open("f", new)), E::AlreadyExists);
    assert_eq!(code(fixture.workspace.open("d", new)), E::AlreadyExists);
    assert_eq!(fixture.workspace.get("f"), "old");
    open(fixture, "g", new).put(0, "new");
    assert_eq!(fixture.workspace.get("g"), "new");
}

pub fn an_upload_empties_what_was_there(fixture: &Fixture) {
    fixture.workspace.put("f", "something long");
    let file = open(fixture, "f", UPLOAD);
    assert_eq!(fixture.workspace.get("f"), "");
    file.put(0, "short");
    assert_eq!(fixture.workspace.get("f"), "short");
}

pub fn with_append_every_write_goes_to_the_end(fixture: &Fixture) {
    fixture.workspace.put("f", "a");
    let options = OpenOptions {
        append: true,
        read: true,
        ..WRITE
    };
    let (one, two) = (open(fixture, "f", options), open(fixture, "f", options));
    one.put(0, "b");
    two.put(0, "c");
    one.put(100, "d");
    assert_eq!(fixture.workspace.get("f"), "abcd");
    assert_eq!(one.text(0, 10), "abcd");
}

pub fn a_file_is_open_only_for_what_was_asked(fixture: &Fixture) {
    fixture.workspace.put("f", "old");
    let (read, write) = (open(fixture, "f", READ), open(fixture, "f", WRITE));
    let denied = E::PermissionDenied;
    assert_eq!(code(read.write_at(0, Bytes::from_static(b"x"))), denied);
    assert_eq!(code(read.set_attributes(size(0))), denied);
    assert_eq!(code(write.read_at(0, 1)), denied);
    assert_eq!(wait(write.stat()).unwrap().size, 3);
    assert_eq!(fixture.workspace.get("f"), "old");
    let nothing = OpenOptions::default();
    let refused = code(fixture.workspace.open("f", nothing));
    assert_eq!(refused, E::InvalidConfiguration);
}

pub fn only_files_are_opened(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    workspace.make("d");
    workspace.put("f", "x");
    for options in [READ, WRITE, UPLOAD] {
        assert_eq!(code(workspace.open("d", options)), E::IsADirectory);
        assert_eq!(code(workspace.open("", options)), E::IsADirectory);
        assert_eq!(code(workspace.open("f/", options)), E::IsADirectory);
        assert_eq!(code(workspace.open("f/g", options)), E::NotADirectory);
    }
}

pub fn what_is_open_stays_when_its_name_goes(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    workspace.put("removed", "one");
    workspace.put("renamed", "two");
    workspace.put("replaced", "three");
    let [removed, renamed, replaced] =
        ["removed", "renamed", "replaced"].map(|path| open(fixture, path, BOTH));
    wait(workspace.remove("removed", FORCE)).unwrap();
    wait(workspace.rename("renamed", "d/new", Default::default())).unwrap();
    workspace.put("replaced", "another");
    removed.put(3, "!");
    renamed.put(3, "!");
    replaced.put(5, "!");
    assert_eq!(removed.text(0, 10), "one!");
    assert_eq!(renamed.text(0, 10), "two!");
    assert_eq!(replaced.text(0, 10), "three!");
    assert_eq!(wait(removed.stat()).unwrap().nlink, 0);
    assert!(!workspace.has("removed"));
    assert_eq!(workspace.get("d/new"), "two!");
    assert_eq!(workspace.get("replaced"), "another");
}

pub fn a_reader_keeps_what_it_has_read(fixture: &Fixture) {
    fixture.workspace.put("f", "before");
    let file = open(fixture, "f", BOTH);
    let read = wait(file.read_at(0, 6)).unwrap();
    file.put(0, "AFTER!");
    assert_eq!(read, "before");
    assert_eq!(fixture.workspace.get("f"), "AFTER!");
}

pub fn an_open_file_is_cut_and_extended(fixture: &Fixture) {
    fixture.workspace.put("f", "0123456789");
    let file = open(fixture, "f", BOTH);
    wait(file.set_attributes(size(4))).unwrap();
    assert_eq!(file.text(0, 10), "0123");
    wait(file.set_attributes(size(6))).unwrap();
    assert_eq!(fixture.workspace.get("f"), "0123\0\0");
}

pub fn attributes_are_set_by_path_and_by_handle(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    workspace.put("f", "content");
    workspace.make("d");
    let attributes = |at: i128| Attributes {
        size: None,
        permissions: Some(0o6_611),
        atime_ns: Some(at),
        mtime_ns: Some(at + 1),
    };
    wait(workspace.set_attributes("f", true, attributes(7_000_000_000))).unwrap();
    wait(workspace.set_attributes("d", false, attributes(8_000_000_000))).unwrap();
    for (path, at) in [("f", 7_000_000_000), ("d", 8_000_000_000)] {
        let stat = workspace.look(path);
        assert_eq!(stat.mode & 0o7777, 0o611, "{path}");
        assert_eq!((stat.atime_ns, stat.mtime_ns), (at, at + 1), "{path}");
    }
    assert_eq!(workspace.get("f"), "content");
    let before = workspace.etag("f");
    let file = open(fixture, "f", BOTH);
    wait(file.set_attributes(attributes(9_000_000_000))).unwrap();
    let stat = workspace.look("f");
    assert_eq!(stat.mtime_ns, 9_000_000_001);
    assert_ne!(stat.etag(), before);
    let only_mtime = Attributes {
        mtime_ns: Some(1),
        ..Attributes::default()
    };
    wait(workspace.set_attributes("f", true, only_mtime)).unwrap();
    let now = workspace.look("f");
    assert_eq!(now.mtime_ns, 1);
    assert_eq!(now.mode, stat.mode);
}

pub fn a_file_is_cut_by_path(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    workspace.put("f", "0123456789");
    workspace.make("d");
    wait(workspace.set_attributes("f", true, size(2))).unwrap();
    assert_eq!(workspace.get("f"), "01");
    let cut = |path| code(workspace.set_attributes(path, true, size(0)));
    assert_eq!(cut("d"), E::IsADirectory);
    assert_eq!(cut("missing"), E::NotFound);
    assert_eq!(cut("f/g"), E::NotADirectory);
}

pub fn the_root_keeps_its_permissions(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    workspace.put("f", "x");
    let permissions = Attributes {
        permissions: Some(0),
        ..Attributes::default()
    };
    let refused = code(workspace.set_attributes("", true, permissions));
    assert_eq!(refused, E::InvalidPath);
    let times = Attributes {
        mtime_ns: Some(5_000_000_000),
        ..Attributes::default()
    };
    wait(workspace.set_attributes("", true, times)).unwrap();
    assert_eq!(workspace.look("").mtime_ns, 5_000_000_000);
}

pub fn what_is_held_ends_with_its_workspace(fixture: &Fixture) {
    let workspace = &fixture.workspace;
    workspace.put("f", "old");
    let file = open(fixture, "f", BOTH);
    let staged = wait(workspace.stage("g", WriteOptions::default())).unwrap();
    wait(staged.append(Bytes::from_static(b"a"))).unwrap();
    wait(workspace.destroy()).unwrap();
    assert_eq!(code(file.stat()), E::Destroyed);
    assert_eq!(code(file.read_at(0, 1)), E::Destroyed);
    let write = file.write_at(0, Bytes::from_static(b"x"));
    assert_eq!(code(write), E::Destroyed);
    assert_eq!(code(file.set_attributes(size(0))), E::Destroyed);
    assert_eq!(code(file.sync()), E::Destroyed);
    assert_eq!(code(staged.append(Bytes::new())), E::Destroyed);
    let late = wait(staged.commit()).unwrap_err();
    assert_eq!((late.code(), late.path()), (E::Destroyed, Some("g")));
    assert_eq!(code(workspace.open("f", READ)), E::Destroyed);
    assert_eq!(code(workspace.space()), E::Destroyed);
}

pub fn errors_of_what_is_held_name_the_operation_and_the_path(fixture: &Fixture) {
    fixture.workspace.put("d/f", "old");
    let file = open(fixture, "/d//f", READ);
    let error = wait(file.write_at(0, Bytes::from_static(b"x"))).unwrap_err();
    let named = (error.operation(), error.path());
    assert_eq!(named, (Some("write"), Some("/d//f")));
    let error = wait(fixture.workspace.open("d/missing", READ)).unwrap_err();
    let named = (error.operation(), error.path());
    assert_eq!(named, (Some("open"), Some("d/missing")));
}
