use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::backend::{Durability, WriteMode};
use crate::error::ErrorCode;
use crate::pool;

fn rel(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes(), b"/").unwrap()
}

fn open(root: &Path, resolver: Resolver) -> Arc<LocalBackend> {
    LocalBackend::open(LocalOptions {
        root_dir: root.to_path_buf(),
        state_dir: Some(root.with_extension("state")),
        resolver,
        ..LocalOptions::default()
    })
    .unwrap()
}

fn wait<T: Send + 'static>(call: Call<T>) -> Result<T> {
    pool::runtime().block_on(call)
}

fn write(backend: &dyn Backend, path: &str, content: &str) -> Result<WriteOutcome> {
    wait(backend.write(
        &rel(path),
        Content::owned(content.as_bytes().to_vec()),
        WriteOptions::default(),
    ))
}

fn read(backend: &dyn Backend, path: &str) -> Result<String> {
    let outcome = wait(backend.read(&rel(path), ReadOptions::default()))?;
    Ok(String::from_utf8(outcome.bytes.to_vec()).unwrap())
}

/// Both resolvers, on a disk and in memory.
fn everywhere(test: impl Fn(&Path, Arc<LocalBackend>)) {
    for parent in [std::env::temp_dir(), "/dev/shm".into()] {
        for resolver in [Resolver::Kernel, Resolver::Walker] {
            let directory = tempfile::tempdir_in(&parent).unwrap();
            let root = directory.path().join("root");
            test(&root, open(&root, resolver));
        }
    }
}

#[test]
fn what_was_written_is_read_and_listed() {
    everywhere(|_, backend| {
        let outcome = write(&*backend, "a/b/c.txt", "one").unwrap();
        assert_eq!(read(&*backend, "a/b/c.txt").unwrap(), "one");
        let replaced = write(&*backend, "a/b/c.txt", "two").unwrap();
        assert_ne!(outcome.stat.etag(), replaced.stat.etag());
        assert_eq!(read(&*backend, "a/b/c.txt").unwrap(), "two");
        let stat = wait(backend.stat(&rel("a/b/c.txt"), true)).unwrap();
        assert_eq!(stat.etag(), replaced.stat.etag());
        let options = ListOptions { with_stat: true };
        let entries = wait(backend.list(&rel("a/b"), options)).unwrap();
        assert_eq!(entries.len(), 1, "{entries:?}");
        assert_eq!(entries[0].stat.unwrap().size, 3);
    });
}

#[test]
fn a_link_that_stays_inside_is_written_through() {
    everywhere(|root, backend| {
        write(&*backend, "real/file", "old").unwrap();
        symlink("real", root.join("directory")).unwrap();
        symlink("real/file", root.join("relative")).unwrap();
        symlink(root.join("real/file"), root.join("absolute")).unwrap();
        symlink("real/new", root.join("dangling")).unwrap();
        for (path, target) in [
            ("directory/file", "real/file"),
            ("relative", "real/file"),
            ("absolute", "real/file"),
            ("dangling", "real/new"),
        ] {
            write(&*backend, path, path).unwrap();
            assert_eq!(read(&*backend, target).unwrap(), path);
            assert_eq!(read(&*backend, path).unwrap(), path);
        }
        assert!(root.join("relative").is_symlink() && root.join("dangling").is_symlink());
    });
}

#[test]
fn an_etag_is_matched_exactly() {
    everywhere(|_, backend| {
        let stat = write(&*backend, "a", "one").unwrap().stat;
        let options = WriteOptions {
            mode: WriteMode::IfMatch(stat.etag()),
            durability: Durability::Disk,
            ..WriteOptions::default()
        };
        let again = || wait(backend.write(&rel("a"), Content::owned("two"), options.clone()));
        again().unwrap();
        assert_eq!(again().unwrap_err().code(), ErrorCode::Conflict);
        assert_eq!(read(&*backend, "a").unwrap(), "two");
    });
}

#[test]
fn appending_leaves_the_other_names_of_a_file_alone() {
    everywhere(|root, backend| {
        write(&*backend, "a", "one").unwrap();
        let options = WriteOptions {
            mode: WriteMode::Append,
            ..WriteOptions::default()
        };
        let append = |text: &'static str| {
            wait(backend.write(&rel("a"), Content::owned(text), options.clone())).unwrap()
        };
        append("+two");
        std::fs::hard_link(root.join("a"), root.join("b")).unwrap();
        append("+three");
        assert_eq!(read(&*backend, "a").unwrap(), "one+two+three");
        assert_eq!(read(&*backend, "b").unwrap(), "one+two");
    });
}

#[test]
fn a_root_that_was_removed_and_made_again_is_found_again() {
    everywhere(|root, backend| {
        let scope = backend.rooted(&rel("s"));
        write(&*scope, "a", "one").unwrap();
        std::fs::remove_dir_all(root).unwrap();
        assert_eq!(read(&*scope, "a").unwrap_err().code(), ErrorCode::NotFound);
        assert_eq!(
            wait(backend.stat(&RelPath::root(), true))
                .unwrap_err()
                .code(),
            ErrorCode::NotFound
        );
        std::fs::create_dir_all(root.join("s")).unwrap();
        std::fs::write(root.join("s/a"), "two").unwrap();
        assert_eq!(read(&*scope, "a").unwrap(), "two");
        std::fs::remove_dir_all(root).unwrap();
        write(&*scope, "a", "three").unwrap();
        assert_eq!(read(&*scope, "a").unwrap(), "three");
    });
}

#[test]
fn a_root_that_is_a_file_is_refused_by_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = LocalBackend::open(LocalOptions {
        root_dir: file.path().to_path_buf(),
        ..LocalOptions::default()
    })
    .unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotADirectory);
    assert_eq!(error.path(), file.path().to_str());
}

#[test]
fn renaming_creates_parents_and_replaces_files() {
    everywhere(|root, backend| {
        write(&*backend, "a", "one").unwrap();
        wait(backend.rename(&rel("a"), &rel("x/y/b"), RenameOptions::default())).unwrap();
        assert_eq!(read(&*backend, "x/y/b").unwrap(), "one");
        let missing =
            wait(backend.rename(&rel("a"), &rel("z/b"), RenameOptions::default())).unwrap_err();
        assert_eq!(missing.code(), ErrorCode::NotFound);
        assert!(!root.join("z").exists());
        let onto_directory =
            wait(backend.rename(&rel("x/y/b"), &rel("x"), RenameOptions::default())).unwrap_err();
        assert!(matches!(
            onto_directory.code(),
            ErrorCode::IsADirectory | ErrorCode::NotEmpty
        ));
    });
}

#[test]
fn touching_creates_and_never_truncates() {
    everywhere(|_, backend| {
        wait(backend.touch(&rel("a/new"))).unwrap();
        assert_eq!(read(&*backend, "a/new").unwrap(), "");
        let before = write(&*backend, "a/new", "content").unwrap().stat;
        wait(backend.touch(&rel("a/new"))).unwrap();
        assert_eq!(read(&*backend, "a/new").unwrap(), "content");
        let after = wait(backend.stat(&rel("a/new"), true)).unwrap();
        assert!(after.mtime_ns >= before.mtime_ns && after.ino == before.ino);
    });
}

#[test]
fn a_large_directory_is_never_read_on_the_callers_thread() {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let backend = open(&directory.path().join("root"), Resolver::Kernel);
    let root = directory.path().join("root");
    for number in 0..1024 {
        std::fs::write(root.join(number.to_string()), "").unwrap();
    }
    let names = ListOptions { with_stat: false };
    let stats = ListOptions { with_stat: true };
    assert!(matches!(backend.list(&rel(""), names), Call::Ready(Ok(_))));
    let examined = backend.list(&rel(""), stats);
    assert!(matches!(examined, Call::Pending(_)));
    assert_eq!(wait(examined).unwrap().len(), 1024);
    std::fs::write(root.join("one more"), "").unwrap();
    let listed = backend.list(&rel(""), names);
    assert!(matches!(listed, Call::Pending(_)));
    assert_eq!(wait(listed).unwrap().len(), 1025);
}

#[test]
fn scope_directories_belong_to_whom_commands_run_as() {
    use crate::backend::local::command::{CommandOptions, Isolation};
    use std::os::unix::fs::MetadataExt as _;
    let us = rustix::process::geteuid().as_raw();
    for (isolation, chosen, as_root) in [
        (Isolation::None, None, 0),
        (Isolation::Software, None, 0),
        (Isolation::Bwrap, None, command::DEFAULT_SCOPE_UID),
        (Isolation::None, Some(60_601), 60_601),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        let backend = LocalBackend::open(LocalOptions {
            root_dir: root.clone(),
            state_dir: Some(directory.path().join("state")),
            scope_uid: chosen,
            command: CommandOptions {
                isolation,
                ..CommandOptions::default()
            },
            ..LocalOptions::default()
        });
        let scope = backend.unwrap().rooted(&rel("users/1"));
        write(&*scope, "a", "one").unwrap();
        let expected = if us == 0 { as_root } else { us };
        for path in ["users/1", "users/1/a"] {
            let found = std::fs::metadata(root.join(path)).unwrap().uid();
            assert_eq!(found, expected, "{path} at {isolation:?}");
        }
    }
}

#[test]
fn what_replaced_a_removed_root_is_searched_at_once() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("root");
    let backend = open(&root, Resolver::Kernel);
    std::fs::remove_dir(&root).unwrap();
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("new"), "1").unwrap();
    let workspace = crate::workspace::Workspace::new(
        backend,
        crate::workspace::WorkspaceOptions::default(),
        crate::workspace::ScopeOptions::default(),
    );
    let tree = wait(workspace.tree("", None, crate::workspace::SearchOptions::default())).unwrap();
    assert_eq!(tree.entries.len(), 1);
}

#[test]
fn a_refused_rename_says_what_is_wrong_with_the_target() {
    everywhere(|root, backend| {
        std::fs::create_dir_all(root.join("full/x")).unwrap();
        std::fs::write(root.join("file"), "1").unwrap();
        std::os::unix::fs::symlink("/", root.join("out")).unwrap();
        for (from, to, code, about) in [
            ("file", "full", ErrorCode::IsADirectory, "target"),
            ("full", "file", ErrorCode::NotADirectory, "target"),
            ("full/x", "full", ErrorCode::NotEmpty, "target"),
            ("file", "out/file", ErrorCode::PathEscapeAttempt, "link"),
        ] {
            let error =
                wait(backend.rename(&rel(from), &rel(to), RenameOptions::default())).unwrap_err();
            assert_eq!(error.code(), code, "{from} {to}");
            assert!(error.message().contains(about), "{error}");
            if code == ErrorCode::PathEscapeAttempt {
                assert_eq!(error.path(), Some(to));
            }
        }
    });
}

#[test]
fn a_state_directory_that_others_could_have_prepared_is_left_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("root");
    let state = root.with_extension("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, std::fs::Permissions::from_mode(0o777)).unwrap();
    let backend = open(&root, Resolver::Kernel);
    write(&*backend, "a", "1").unwrap();
    assert_eq!(read(&*backend, "a").unwrap(), "1");
    assert_eq!(state.read_dir().unwrap().count(), 0);
}

#[test]
fn a_range_of_a_file_without_a_size_is_a_range() {
    let backend = open(Path::new("/proc/self"), Resolver::Kernel);
    let part = |range| {
        let options = ReadOptions {
            range: Some(range),
            ..ReadOptions::default()
        };
        wait(backend.read(&rel("comm"), options)).unwrap().bytes
    };
    let whole = part(0..u64::MAX);
    assert!(whole.len() > 3);
    assert_eq!(part(1..3), whole[1..3]);
    assert_eq!(part(2..u64::MAX), whole[2..]);
    assert!(part(1 << 20..1 << 21).is_empty());
}
