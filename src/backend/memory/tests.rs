use super::*;
use crate::backend::WriteMode;

fn backend(options: MemoryOptions) -> Arc<MemoryBackend> {
    MemoryBackend::new(options).unwrap()
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes(), b"/").unwrap()
}

/// Every call on small values is ready; this says so where it is not.
fn now<T>(call: Call<T>) -> Result<T> {
    match call {
        Call::Ready(result) => result,
        Call::Pending(_) => panic!("a call on memory did not finish at once"),
    }
}

fn write(backend: &dyn Backend, key: &str, value: &str) {
    let content = Content::owned(value.as_bytes().to_vec());
    now(backend.write(&path(key), content, WriteOptions::default())).unwrap();
}

fn keys(backend: &MemoryBackend, prefix: &str) -> Vec<String> {
    now(backend.list_keys(prefix.as_bytes()))
        .unwrap()
        .to_strings()
}

#[test]
fn keys_are_listed_by_a_textual_prefix_in_byte_order() {
    let backend = backend(MemoryOptions {
        root_dir: b"/memory".to_vec(),
        ..MemoryOptions::default()
    });
    for key in [
        "session/2/deep",
        "session/1",
        "session/1.a",
        "session-x",
        "other",
        "..x/y",
    ] {
        write(&*backend, key, "v");
    }
    now(backend.create_dir(&path("session/empty"), true)).unwrap();
    let session = ["session/1", "session/1.a", "session/2/deep"];
    for prefix in [
        "session/",
        "/session/",
        "/memory/session/",
        "./session/",
        "x/../session/",
    ] {
        assert_eq!(keys(&backend, prefix), session, "{prefix}");
    }
    assert_eq!(keys(&backend, "session/1"), ["session/1", "session/1.a"]);
    assert_eq!(keys(&backend, "sess")[0], "session-x");
    assert_eq!(keys(&backend, "").len(), 6);
    assert_eq!(keys(&backend, "/memory").len(), 6);
    assert_eq!(keys(&backend, "."), ["..x/y"]);
    assert!(keys(&backend, "missing/").is_empty());
    assert!(keys(&backend, "other/").is_empty());
    for prefix in ["..", "../", "a/../..", "session/../../"] {
        let error = now(backend.list_keys(prefix.as_bytes())).unwrap_err();
        assert_eq!(error.code(), ErrorCode::PathEscapeAttempt, "{prefix}");
    }
    let scope = backend.below(&path("session"));
    assert_eq!(keys(&scope, ""), ["1", "1.a", "2/deep"]);
}

#[test]
fn a_directory_that_only_a_key_implied_goes_with_the_key() {
    let backend = backend(MemoryOptions::default());
    write(&*backend, "a/b/c", "v");
    assert!(now(backend.delete_key(&path("a/b/c"))).unwrap());
    assert!(!now(backend.delete_key(&path("a/b/c"))).unwrap());
    assert!(now(backend.stat(&path("a"), true)).is_err());
    now(backend.create_dir(&path("a"), false)).unwrap();
    write(&*backend, "a/b/c", "v");
    assert!(!now(backend.delete_key(&path("a/b"))).unwrap());
    assert!(now(backend.delete_key(&path("a/b/c"))).unwrap());
    assert!(now(backend.stat(&path("a"), true)).is_ok());
    assert!(now(backend.stat(&path("a/b"), true)).is_err());
}

#[test]
fn a_directory_that_a_call_emptied_stays_whatever_happens_to_later_keys() {
    let backend = backend(MemoryOptions::default());
    write(&*backend, "removed/a", "v");
    now(backend.remove(&path("removed/a"), RemoveOptions::default())).unwrap();
    write(&*backend, "renamed/a", "v");
    now(backend.rename(&path("renamed/a"), &path("a"), RenameOptions::default())).unwrap();
    for directory in ["removed", "renamed"] {
        write(&*backend, &format!("{directory}/b"), "v");
        assert!(now(backend.delete_key(&path(&format!("{directory}/b")))).unwrap());
        assert!(now(backend.stat(&path(directory), true)).is_ok());
    }
}

#[test]
fn clearing_a_scope_leaves_what_is_beside_it() {
    let backend = backend(MemoryOptions::default());
    for key in ["users/1/a", "users/1/b/c", "users/2/a", "x"] {
        write(&*backend, key, "v");
    }
    let scope = backend.below(&path("users/1"));
    now(scope.clear()).unwrap();
    assert_eq!(keys(&backend, ""), ["users/2/a", "x"]);
    now(backend.clear()).unwrap();
    assert!(keys(&backend, "").is_empty());
    assert!(
        now(backend.list(&RelPath::root(), ListOptions::default()))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn expired_values_are_gone_with_the_directories_they_implied() {
    let backend = backend(MemoryOptions {
        ttl_ms: Some(60_000),
        max_bytes: Some(10),
        ..MemoryOptions::default()
    });
    write(&*backend, "a/b", "0123456789");
    let forever = WriteOptions {
        ttl_ms: Some(u64::MAX),
        ..WriteOptions::default()
    };
    let refused = now(backend.write(&path("c"), Content::owned("x"), forever.clone()));
    assert_eq!(refused.unwrap_err().code(), ErrorCode::TooLarge);
    backend.store.advance(std::time::Duration::from_secs(60));
    now(backend.write(&path("c"), Content::owned("0123456789"), forever)).unwrap();
    assert!(now(backend.stat(&path("a"), true)).is_err());
    assert_eq!(keys(&backend, ""), ["c"]);
}

#[test]
fn a_write_without_a_ttl_ends_the_one_before_it_and_an_append_keeps_it() {
    let backend = backend(MemoryOptions::default());
    let short = WriteOptions {
        ttl_ms: Some(60_000),
        ..WriteOptions::default()
    };
    for key in ["kept", "appended"] {
        now(backend.write(&path(key), Content::owned("1"), short.clone())).unwrap();
    }
    write(&*backend, "kept", "2");
    let append = WriteOptions {
        mode: WriteMode::Append,
        ..WriteOptions::default()
    };
    now(backend.write(&path("appended"), Content::owned("2"), append)).unwrap();
    backend.store.advance(std::time::Duration::from_secs(60));
    assert_eq!(keys(&backend, ""), ["kept"]);
}

#[test]
fn the_account_of_bytes_follows_every_change() {
    let backend = backend(MemoryOptions {
        max_bytes: Some(100),
        ..MemoryOptions::default()
    });
    let append = WriteOptions {
        mode: WriteMode::Append,
        ..WriteOptions::default()
    };
    let large = "x".repeat(60);
    for _ in 0..20 {
        write(&*backend, "a/1", &large);
        write(&*backend, "a/1", "short");
        let more = Content::owned(vec![0; 60]);
        now(backend.write(&path("a/1"), more, append.clone())).unwrap();
        write(&*backend, "b", "0123456789");
        now(backend.rename(&path("a/1"), &path("b"), RenameOptions::default())).unwrap();
        let more = Content::owned(vec![0; 36]);
        let refused = now(backend.write(&path("b"), more, append.clone())).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::TooLarge);
        let kept = now(backend.read(&path("b"), ReadOptions::default())).unwrap();
        assert_eq!(kept.bytes.len(), 65);
        now(backend.clear()).unwrap();
    }
    write(&*backend, "all", &"x".repeat(100));
}

#[test]
fn a_tree_deeper_than_any_path_is_removed_without_recursion() {
    let backend = backend(MemoryOptions::default());
    let chain = vec!["d"; 1_000].join("/");
    now(backend.create_dir(&path(&chain), true)).unwrap();
    for _ in 0..200 {
        // The whole tree moves to the bottom of a fresh chain.
        now(backend.rename(&path("d"), &path("old"), RenameOptions::default())).unwrap();
        now(backend.create_dir(&path(&chain), true)).unwrap();
        now(backend.rename(
            &path("old"),
            &path(&format!("{chain}/d")),
            RenameOptions::default(),
        ))
        .unwrap();
    }
    assert!(keys(&backend, "").is_empty());
    let all = RemoveOptions {
        recursive: true,
        force: false,
        ..RemoveOptions::default()
    };
    now(backend.remove(&path("d"), all)).unwrap();
    assert!(
        now(backend.list(&RelPath::root(), ListOptions::default()))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn closing_the_root_ends_the_store_and_closing_a_scope_does_not() {
    let backend = backend(MemoryOptions::default());
    write(&*backend, "a", "v");
    let scope = backend.rooted(&RelPath::root());
    now(scope.close()).unwrap();
    assert_eq!(keys(&backend, ""), ["a"]);
    now(backend.close()).unwrap();
    now(backend.close()).unwrap();
    let error = now(scope.read(&path("a"), ReadOptions::default())).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Destroyed);
    assert_eq!(backend.status(), Status::Destroyed);
}

#[test]
fn what_a_caller_may_still_change_is_copied() {
    let backend = backend(MemoryOptions::default());
    let shared = bytes::Bytes::from(vec![1; 100]);
    let content = Content::shared(shared.clone());
    now(backend.write(&path("a"), content, WriteOptions::default())).unwrap();
    let kept = now(backend.read(&path("a"), ReadOptions::default())).unwrap();
    assert_ne!(kept.bytes.as_ptr(), shared.as_ptr());
    let large = Content::shared(bytes::Bytes::from(vec![1; LARGE_COPY]));
    let call = backend.write(&path("large"), large, WriteOptions::default());
    assert!(
        matches!(call, Call::Pending(_)),
        "a long copy runs on the pool"
    );
    crate::pool::runtime().block_on(call).unwrap();
}
