//! `read`, `stat`, `exists`.

use agent_backend::backend::{Content, FileKind, ReadOptions, WriteOptions};
use agent_backend::error::ErrorCode;

use crate::fixture::{Fixture, Verbs, code, wait};

fn range(range: std::ops::Range<u64>) -> ReadOptions {
    ReadOptions {
        range: Some(range),
        ..ReadOptions::default()
    }
}

pub fn a_file_reads_back_as_it_was_written(f: &Fixture) {
    f.workspace.put("a.txt", "hello");
    assert_eq!(f.workspace.get("a.txt"), "hello");
    assert_eq!(f.workspace.get("./a.txt"), "hello");
    assert_eq!(f.workspace.get("b/../a.txt"), "hello");
}

pub fn binary_content_is_kept_byte_for_byte(f: &Fixture) {
    let all: Vec<u8> = (0..=255).cycle().take(4096 + 17).collect();
    f.workspace.put("bytes", &all);
    let read = wait(f.workspace.read("bytes", ReadOptions::default())).unwrap();
    assert_eq!(read.bytes, all);
}

pub fn an_empty_file_has_no_bytes(f: &Fixture) {
    f.workspace.put("empty", "");
    assert_eq!(f.workspace.get("empty"), "");
    assert_eq!(f.workspace.look("empty").size, 0);
}

pub fn a_range_gives_those_bytes(f: &Fixture) {
    f.workspace.put("digits", "0123456789");
    for (asked, expected) in [
        (0..10, "0123456789"),
        (0..1, "0"),
        (3..7, "3456"),
        (9..10, "9"),
        (4..4, ""),
    ] {
        let read = wait(f.workspace.read("digits", range(asked.clone()))).unwrap();
        assert_eq!(read.bytes, expected, "{asked:?}");
        assert_eq!(read.stat.size, 10);
    }
}

pub fn a_range_beyond_the_end_gives_what_is_there(f: &Fixture) {
    f.workspace.put("digits", "0123456789");
    for (asked, expected) in [
        (7..100, "789"),
        (0..u64::MAX, "0123456789"),
        (10..20, ""),
        (1 << 40..1 << 41, ""),
    ] {
        let read = wait(f.workspace.read("digits", range(asked.clone()))).unwrap();
        assert_eq!(read.bytes, expected, "{asked:?}");
    }
}

pub fn more_than_the_bound_is_too_large(f: &Fixture) {
    f.workspace.put("digits", "0123456789");
    let bounded = |range, max_bytes| ReadOptions {
        range,
        max_bytes: Some(max_bytes),
    };
    assert!(wait(f.workspace.read("digits", bounded(None, 10))).is_ok());
    assert_eq!(
        code(f.workspace.read("digits", bounded(None, 9))),
        ErrorCode::TooLarge
    );
    let part = wait(f.workspace.read("digits", bounded(Some(2..6), 4))).unwrap();
    assert_eq!(part.bytes, "2345");
}

pub fn reading_a_directory_is_refused(f: &Fixture) {
    f.workspace.make("d");
    f.workspace.put("implied/a", "1");
    for path in ["d", "implied"] {
        let call = f.workspace.read(path, ReadOptions::default());
        assert_eq!(code(call), ErrorCode::IsADirectory, "{path}");
    }
}

pub fn reading_the_root_is_refused(f: &Fixture) {
    f.workspace.put("a", "1");
    for path in ["", ".", "/", "a/.."] {
        let call = f.workspace.read(path, ReadOptions::default());
        assert_eq!(code(call), ErrorCode::IsADirectory, "{path:?}");
    }
}

pub fn a_missing_file_is_not_found(f: &Fixture) {
    for path in ["missing", "missing/below"] {
        let call = f.workspace.read(path, ReadOptions::default());
        assert_eq!(code(call), ErrorCode::NotFound, "{path}");
    }
}

pub fn a_file_as_a_parent_is_not_a_directory(f: &Fixture) {
    f.workspace.put("file", "1");
    for path in ["file/x", "file/x/y"] {
        let read = f.workspace.read(path, ReadOptions::default());
        assert_eq!(code(read), ErrorCode::NotADirectory, "{path}");
        assert_eq!(code(f.workspace.stat(path)), ErrorCode::NotADirectory);
        assert_eq!(code(f.workspace.lstat(path)), ErrorCode::NotADirectory);
    }
}

pub fn what_read_says_of_the_file_is_what_stat_says(f: &Fixture) {
    let written = f.workspace.put("a", "12345");
    let read = wait(f.workspace.read("a", ReadOptions::default())).unwrap();
    let stat = f.workspace.look("a");
    assert_eq!(read.stat.etag(), stat.etag());
    assert_eq!(written.etag(), stat.etag());
    assert_eq!(stat.size, 5);
}

pub fn stat_tells_files_from_directories(f: &Fixture) {
    f.workspace.put("dir/file", "12345");
    let file = f.workspace.look("dir/file");
    assert_eq!(file.kind, FileKind::File);
    assert_eq!(file.mode & 0o170_000, 0o100_000);
    let dir = f.workspace.look("dir");
    assert_eq!(dir.kind, FileKind::Directory);
    assert_eq!(dir.mode & 0o170_000, 0o040_000);
    assert_ne!(file.ino, dir.ino);
    assert_eq!(f.workspace.look(".").kind, FileKind::Directory);
    assert_eq!(
        wait(f.workspace.lstat("dir/file")).unwrap().etag(),
        file.etag()
    );
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_nanos() as i128;
    assert!((now - file.mtime_ns).abs() < 600 * 1_000_000_000);
}

pub fn stat_of_a_missing_path_is_not_found(f: &Fixture) {
    assert_eq!(code(f.workspace.stat("missing")), ErrorCode::NotFound);
    assert_eq!(code(f.workspace.lstat("missing/x")), ErrorCode::NotFound);
}

pub fn exists_answers_for_files_directories_and_what_is_missing(f: &Fixture) {
    f.workspace.put("dir/file", "1");
    for path in ["dir", "dir/file", ".", "dir/..", "/dir"] {
        assert!(f.workspace.has(path), "{path}");
    }
    for path in ["missing", "dir/missing", "dir/file/below", "missing/x"] {
        assert!(!f.workspace.has(path), "{path}");
    }
}

pub fn exists_is_false_for_what_is_no_path_in_the_workspace(f: &Fixture) {
    f.root.put("outside", "1");
    let too_long = "x".repeat(256);
    for path in ["..", "../outside", "../../outside", "a\0b", &too_long] {
        assert!(!f.workspace.has(path), "{path:?}");
    }
}

pub fn a_large_file_reads_back(f: &Fixture) {
    let large: Vec<u8> = (0..5_000_000u32).map(|n| (n % 251) as u8).collect();
    let content = Content::shared(large.clone().into());
    wait(f.workspace.write("large", content, WriteOptions::default())).unwrap();
    let read = wait(f.workspace.read("large", ReadOptions::default())).unwrap();
    assert!(read.bytes == large);
    let part = wait(f.workspace.read("large", range(4_999_990..6_000_000))).unwrap();
    assert_eq!(part.bytes, large[4_999_990..]);
}
