//! `write` in all its modes.

use std::os::unix::ffi::OsStrExt as _;

use agent_backend::backend::{Content, Etag, ListOptions, ReadOptions, WriteMode, WriteOptions};
use agent_backend::error::ErrorCode;
use agent_backend::workspace::Workspace;

use crate::fixture::{Fixture, Verbs, code, mode, wait};

pub fn missing_parents_are_created(f: &Fixture) {
    f.workspace.put("a/b/c/file", "1");
    assert_eq!(f.workspace.get("a/b/c/file"), "1");
    assert_eq!(f.workspace.names("a/b"), ["c"]);
}

pub fn a_write_replaces_the_whole_content(f: &Fixture) {
    f.workspace.put("a", "a long old text");
    f.workspace.put("a", "new");
    assert_eq!(f.workspace.get("a"), "new");
    assert_eq!(f.workspace.look("a").size, 3);
}

pub fn create_new_refuses_what_is_there(f: &Fixture) {
    let create = || mode(WriteMode::CreateNew);
    wait(f.workspace.put_with("new/a", "1", create())).unwrap();
    assert_eq!(
        code(f.workspace.put_with("new/a", "2", create())),
        ErrorCode::AlreadyExists
    );
    assert_eq!(
        code(f.workspace.put_with("new", "2", create())),
        ErrorCode::AlreadyExists
    );
    assert_eq!(f.workspace.get("new/a"), "1");
}

pub fn append_adds_to_the_end(f: &Fixture) {
    f.workspace.put("log", "one\n");
    for line in ["two\n", "", "three\n"] {
        wait(f.workspace.put_with("log", line, mode(WriteMode::Append))).unwrap();
    }
    assert_eq!(f.workspace.get("log"), "one\ntwo\nthree\n");
    let stat = wait(f.workspace.put_with("log", "4", mode(WriteMode::Append))).unwrap();
    assert_eq!(stat.size, 15);
}

pub fn append_creates_a_missing_file(f: &Fixture) {
    wait(f.workspace.put_with("d/log", "1", mode(WriteMode::Append))).unwrap();
    assert_eq!(f.workspace.get("d/log"), "1");
}

pub fn a_reader_keeps_what_it_read_before_an_append(f: &Fixture) {
    f.workspace.put("log", "one");
    let before = wait(f.workspace.read("log", ReadOptions::default())).unwrap();
    wait(f.workspace.put_with("log", "two", mode(WriteMode::Append))).unwrap();
    f.workspace.put("log", "three");
    assert_eq!(before.bytes, "one");
}

pub fn if_match_replaces_only_the_state_that_was_seen(f: &Fixture) {
    let seen = f.workspace.put("a", "1").etag();
    let written = wait(
        f.workspace
            .put_with("a", "2", mode(WriteMode::IfMatch(seen.clone()))),
    );
    let next = written.unwrap().etag();
    assert_eq!(
        code(
            f.workspace
                .put_with("a", "3", mode(WriteMode::IfMatch(seen)))
        ),
        ErrorCode::Conflict
    );
    assert_eq!(f.workspace.get("a"), "2");
    wait(
        f.workspace
            .put_with("a", "4", mode(WriteMode::IfMatch(next))),
    )
    .unwrap();
    assert_eq!(f.workspace.get("a"), "4");
}

pub fn if_match_on_a_missing_file_is_a_conflict(f: &Fixture) {
    let never = mode(WriteMode::IfMatch(Etag("0-0-0-0-0".to_owned())));
    assert_eq!(
        code(f.workspace.put_with("d/missing", "1", never)),
        ErrorCode::Conflict
    );
    assert!(!f.workspace.has("d/missing"));
}

pub fn every_write_has_its_own_etag(f: &Fixture) {
    let etags: Vec<Etag> = (0..100)
        .map(|_| f.workspace.put("a", "same").etag())
        .collect();
    let mut distinct: Vec<_> = etags.iter().map(|etag| &etag.0).collect();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 100);
    assert_eq!(f.workspace.etag("a"), etags[99]);
}

pub fn a_file_that_was_removed_and_written_again_has_another_etag(f: &Fixture) {
    let before = f.workspace.put("a", "same").etag();
    wait(f.workspace.remove("a", Default::default())).unwrap();
    f.workspace.put("a", "same");
    assert_ne!(f.workspace.etag("a"), before);
}

pub fn writing_to_a_directory_is_refused(f: &Fixture) {
    f.workspace.put("d/file", "1");
    for options in [WriteMode::Replace, WriteMode::Append] {
        let call = f.workspace.put_with("d", "2", mode(options));
        assert_eq!(code(call), ErrorCode::IsADirectory);
    }
    assert_eq!(f.workspace.names("d"), ["file"]);
}

pub fn writing_to_the_root_is_refused(f: &Fixture) {
    for path in ["", ".", "/"] {
        let call = f.workspace.put_with(path, "1", WriteOptions::default());
        assert_eq!(code(call), ErrorCode::IsADirectory, "{path:?}");
    }
}

pub fn writing_below_a_file_is_refused(f: &Fixture) {
    f.workspace.put("file", "1");
    for options in [WriteMode::Replace, WriteMode::Append, WriteMode::CreateNew] {
        for path in ["file/x", "file/x/y"] {
            let call = f.workspace.put_with(path, "2", mode(options.clone()));
            assert_eq!(code(call), ErrorCode::NotADirectory, "{path}");
        }
    }
    assert_eq!(f.workspace.get("file"), "1");
}

pub fn a_refused_write_leaves_no_parents_behind(f: &Fixture) {
    let never = mode(WriteMode::IfMatch(Etag("0-0-0-0-0".to_owned())));
    assert!(wait(f.workspace.put_with("new/dir/file", "1", never)).is_err());
    assert!(!f.workspace.has("new"));
}

pub fn permissions_are_set_without_set_user_id(f: &Fixture) {
    let options = WriteOptions {
        permissions: Some(0o6750),
        ..WriteOptions::default()
    };
    wait(f.workspace.put_with("tool", "1", options)).unwrap();
    assert_eq!(f.workspace.look("tool").mode, 0o100_750);
}

pub fn a_replaced_file_keeps_its_permissions(f: &Fixture) {
    let options = WriteOptions {
        permissions: Some(0o700),
        ..WriteOptions::default()
    };
    wait(f.workspace.put_with("tool", "1", options)).unwrap();
    f.workspace.put("tool", "2");
    assert_eq!(f.workspace.look("tool").mode, 0o100_700);
}

pub fn the_longest_name_is_fine_and_a_longer_one_is_invalid(f: &Fixture) {
    let longest = "n".repeat(255);
    f.workspace.put(&format!("d/{longest}"), "1");
    assert_eq!(f.workspace.names("d"), [longest.as_str()]);
    let longer = format!("d/{longest}n");
    let call = f.workspace.put_with(&longer, "1", WriteOptions::default());
    assert_eq!(code(call), ErrorCode::InvalidPath);
    let long_path = "abcdefg/".repeat(600);
    let call = f
        .workspace
        .put_with(&long_path, "1", WriteOptions::default());
    assert_eq!(code(call), ErrorCode::InvalidPath);
}

pub fn names_with_spaces_unicode_and_invalid_utf8_are_kept(f: &Fixture) {
    let names: [&[u8]; 6] = [
        b" leading and trailing ",
        b"-rf",
        "größe 漢字 🦀".as_bytes(),
        b"new\nline",
        b"\\back*slash?",
        b"\xff\xfe",
    ];
    for name in names {
        let content = Content::owned(name.to_vec());
        wait(f.workspace.write(name, content, WriteOptions::default())).unwrap();
        let read = wait(f.workspace.read(name, ReadOptions::default())).unwrap();
        assert_eq!(read.bytes, name);
    }
    let mut expected = names.map(<[u8]>::to_vec).to_vec();
    expected.sort();
    let listed: Vec<Vec<u8>> = wait(f.workspace.list("", ListOptions::default()))
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(listed, expected);
    assert!(std::ffi::OsStr::from_bytes(&listed[5]).to_str().is_none());
}

pub fn a_hundred_levels_of_directories_are_fine(f: &Fixture) {
    let deep = "level/".repeat(100) + "file";
    f.workspace.put(&deep, "bottom");
    assert_eq!(f.workspace.get(&deep), "bottom");
    assert_eq!(f.workspace.names(&"level/".repeat(100)), ["file"]);
}

/// Runs one piece of work per thread, all at once.
fn at_once<T: Send>(
    workspace: &Workspace,
    count: usize,
    work: impl Fn(&Workspace, usize) -> T + Sync,
) -> Vec<T> {
    let barrier = std::sync::Barrier::new(count);
    std::thread::scope(|threads| {
        let handles: Vec<_> = (0..count)
            .map(|number| {
                let (barrier, work) = (&barrier, &work);
                threads.spawn(move || {
                    barrier.wait();
                    work(workspace, number)
                })
            })
            .collect();
        handles
            .into_iter()
            .map(|handle| handle.join().unwrap())
            .collect()
    })
}

pub fn concurrent_writers_leave_one_of_their_contents(f: &Fixture) {
    let text = |number: usize| format!("{number:02}").repeat(1000 + number);
    at_once(&f.workspace, 64, |workspace, number| {
        workspace.put("d/shared", text(number));
        let seen = workspace.get("d/shared");
        let writer: usize = seen[..2].parse().unwrap();
        assert_eq!(seen, text(writer), "a reader saw a mix");
    });
    assert_eq!(f.workspace.names("d"), ["shared"]);
}

pub fn concurrent_appends_lose_nothing(f: &Fixture) {
    at_once(&f.workspace, 8, |workspace, number| {
        for _ in 0..25 {
            let line = format!("{number}\n");
            wait(workspace.put_with("log", &line, mode(WriteMode::Append))).unwrap();
        }
    });
    let log = f.workspace.get("log");
    for number in 0..8 {
        let line = number.to_string();
        assert_eq!(log.lines().filter(|&found| found == line).count(), 25);
    }
}

pub fn of_concurrent_exclusive_creators_one_wins(f: &Fixture) {
    let results = at_once(&f.workspace, 16, |workspace, number| {
        wait(workspace.put_with("lock", &number.to_string(), mode(WriteMode::CreateNew))).is_ok()
    });
    assert_eq!(results.iter().filter(|&&won| won).count(), 1);
    let winner = results.iter().position(|&won| won).unwrap();
    assert_eq!(f.workspace.get("lock"), winner.to_string());
}

pub fn of_concurrent_conditional_writers_one_wins(f: &Fixture) {
    let seen = f.workspace.put("a", "start").etag();
    let results = at_once(&f.workspace, 16, |workspace, number| {
        let options = mode(WriteMode::IfMatch(seen.clone()));
        wait(workspace.put_with("a", &number.to_string(), options)).is_ok()
    });
    assert_eq!(results.iter().filter(|&&won| won).count(), 1);
    let winner = results.iter().position(|&won| won).unwrap();
    assert_eq!(f.workspace.get("a"), winner.to_string());
}

pub fn a_value_does_not_follow_what_its_owner_does_with_it_later(f: &Fixture) {
    struct Mutable(Box<[std::cell::UnsafeCell<u8>]>);
    // SAFETY: this test alone touches it, and never while a call runs.
    unsafe impl Send for Mutable {}
    unsafe impl Sync for Mutable {}
    impl AsRef<[u8]> for Mutable {
        fn as_ref(&self) -> &[u8] {
            // SAFETY: `UnsafeCell<u8>` has the layout of `u8`.
            unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len()) }
        }
    }
    let buffer = Mutable(b"before".iter().map(|&b| b.into()).collect());
    let address = buffer.0[0].get();
    let shared = bytes::Bytes::from_owner(buffer);
    let content = Content::shared(shared.clone());
    wait(f.workspace.write("a", content, WriteOptions::default())).unwrap();
    // SAFETY: `shared` keeps the buffer alive, and no reference into it exists now.
    unsafe { address.write(b'X') };
    assert_eq!(f.workspace.get("a"), "before");
    drop(shared);
}

pub fn a_path_that_ends_in_a_slash_makes_no_file(f: &Fixture) {
    f.workspace.put("kept", "1");
    for path in ["new/", "a/new//", "kept/"] {
        let refused = f.workspace.put_with(path, "1", WriteOptions::default());
        assert_eq!(code(refused), ErrorCode::IsADirectory, "{path}");
    }
    assert_eq!(f.workspace.names(""), ["kept"]);
}
