//! A bound on the bytes of a workspace: kept by our own writes, and watched while commands run.

use agent_backend::backend::limits::{Limits, ScopeLimits};
use agent_backend::backend::local::command::Isolation;
use agent_backend::backend::{
    Attributes, Content, OpenOptions, ReadOptions, RemoveOptions, WriteMode, WriteOptions,
};
use agent_backend::error::{Error, ErrorCode};
use agent_backend::workspace::{ScopeOptions, Workspace};

use super::limited::{Fixture, LEVELS, run};
use super::workspace::wait;

fn write(workspace: &Workspace, path: &str, bytes: usize) -> Result<(), Error> {
    let content = Content::owned(vec![1; bytes]);
    wait(workspace.write(path, content, WriteOptions::default())).map(drop)
}

#[test]
fn a_workspace_takes_no_more_than_its_bytes_and_what_would_exceed_them_leaves_the_old_content() {
    let Some(fixture) = Fixture::new(Isolation::None, ScopeLimits::default(), Some(1 << 20)) else {
        return;
    };
    let root = &fixture.root;
    write(root, "a", 500_000).unwrap();
    let error = write(root, "b", 600_000).unwrap_err();
    assert_eq!(error.code(), ErrorCode::QuotaExceeded, "{error}");
    assert!(error.message().contains("maxBytes"), "{error}");
    // What is replaced makes room for what replaces it, and not for more.
    write(root, "a", 900_000).unwrap();
    write(root, "a", 700_000).unwrap();
    assert_eq!(
        write(root, "a", 1_100_000).unwrap_err().code(),
        ErrorCode::QuotaExceeded
    );
    let kept = wait(root.read("a", ReadOptions::default())).unwrap();
    assert_eq!(kept.bytes.len(), 700_000);
    let more = WriteOptions {
        mode: WriteMode::Append,
        ..WriteOptions::default()
    };
    let appended = wait(root.write("a", Content::owned(vec![1; 600_000]), more));
    assert_eq!(appended.unwrap_err().code(), ErrorCode::QuotaExceeded);
    wait(root.remove("a", RemoveOptions::default())).unwrap();
    write(root, "b", 900_000).unwrap();
}

#[test]
fn what_is_held_open_or_arrives_in_pieces_takes_no_more_than_its_bytes_either() {
    let Some(fixture) = Fixture::new(Isolation::None, ScopeLimits::default(), Some(1 << 20)) else {
        return;
    };
    let root = &fixture.root;
    let exceeded = |outcome: Result<(), Error>| {
        let error = outcome.unwrap_err();
        assert_eq!(error.code(), ErrorCode::QuotaExceeded, "{error}");
    };
    let space = wait(root.space()).unwrap();
    assert_eq!(space.blocks * space.block_size, 1 << 20);
    let upload = OpenOptions {
        write: true,
        create: true,
        truncate: true,
        ..OpenOptions::default()
    };
    let file = wait(root.open("held", upload)).unwrap();
    for piece in 0..6 {
        wait(file.write_at(piece * 100_000, vec![1; 100_000].into())).unwrap();
    }
    exceeded(wait(file.write_at(600_000, vec![1; 500_000].into())));
    // Nothing new is needed for what is there already.
    for _ in 0..20 {
        wait(file.write_at(0, vec![2; 600_000].into())).unwrap();
    }
    let size = |size| Attributes {
        size: Some(size),
        ..Attributes::default()
    };
    exceeded(wait(file.set_attributes(size(2 << 20))));
    exceeded(wait(root.set_attributes("held", true, size(2 << 20))));
    let left = wait(root.space()).unwrap();
    assert!(
        left.blocks_available * left.block_size < 450_000,
        "{left:?}"
    );

    let staged = wait(root.stage("staged", WriteOptions::default())).unwrap();
    wait(staged.append(vec![1; 300_000].into())).unwrap();
    exceeded(wait(staged.append(vec![1; 300_000].into())));
    exceeded(wait(staged.commit()).map(drop));
    drop(staged);
    // What is replaced makes room, and what was given up takes none.
    for _ in 0..5 {
        let staged = wait(root.stage("held", WriteOptions::default())).unwrap();
        for _ in 0..8 {
            wait(staged.append(vec![3; 100_000].into())).unwrap();
        }
        drop(staged);
    }
    let staged = wait(root.stage("held", WriteOptions::default())).unwrap();
    for _ in 0..8 {
        wait(staged.append(vec![3; 100_000].into())).unwrap();
    }
    wait(staged.commit()).unwrap();
    assert_eq!(wait(root.stat("held")).unwrap().size, 800_000);
    exceeded(write(root, "more", 300_000));
}

#[test]
fn empty_files_use_up_bytes_too() {
    let Some(fixture) = Fixture::new(Isolation::None, ScopeLimits::default(), Some(100_000)) else {
        return;
    };
    let mut made = 0;
    let error = loop {
        match write(&fixture.root, &format!("f{made}"), 0) {
            Ok(()) => made += 1,
            Err(error) => break error,
        }
        assert!(made < 1_000);
    };
    assert_eq!(error.code(), ErrorCode::QuotaExceeded);
    assert!(made > 50, "{made}");
}

#[test]
fn a_scope_has_a_bound_of_its_own_within_that_of_its_parents() {
    let Some(fixture) = Fixture::new(Isolation::None, ScopeLimits::default(), Some(1 << 20)) else {
        return;
    };
    let bounded = |max_bytes| ScopeOptions {
        max_bytes: Some(max_bytes),
        ..ScopeOptions::default()
    };
    let small = fixture.root.scope("small", bounded(200_000)).unwrap();
    let wide = fixture.root.scope("wide", bounded(1 << 30)).unwrap();
    write(&small, "a", 150_000).unwrap();
    let error = write(&small, "b", 100_000).unwrap_err();
    assert!(error.message().contains("small"), "{error}");
    let below = small.scope("below", ScopeOptions::default()).unwrap();
    assert_eq!(
        write(&below, "c", 100_000).unwrap_err().code(),
        ErrorCode::QuotaExceeded
    );
    let error = write(&wide, "a", 1_000_000).unwrap_err();
    assert_eq!(error.code(), ErrorCode::QuotaExceeded);
    assert!(!error.message().contains("wide"), "{error}");
    write(&wide, "a", 700_000).unwrap();
}

#[test]
fn a_command_that_fills_the_disk_is_ended_and_one_that_makes_room_is_not() {
    for level in LEVELS {
        let Some(fixture) = Fixture::new(level, ScopeLimits::default(), Some(8 << 20)) else {
            continue;
        };
        let scope = fixture.scope("abuser");
        // 60 MiB in all, and no more.
        let filler = "echo begun; for i in $(seq 60); do head -c 1048576 /dev/zero > f$i; sleep 0.02; done; echo filled";
        let error = run(&scope, filler, Limits::default()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::QuotaExceeded, "{level:?}: {error}");
        assert_eq!(error.failure().unwrap().stdout, b"begun\n");
        assert_eq!(
            write(&scope, "more", 4096).unwrap_err().code(),
            ErrorCode::QuotaExceeded
        );
        let look = run(&scope, "ls | wc -l; sleep 0.3", Limits::default());
        assert!(look.is_ok(), "what only looks may look: {look:?}");
        let tidy = run(&scope, "rm f*; sleep 0.3; echo tidy", Limits::default());
        assert_eq!(tidy.unwrap().stdout, b"tidy\n");
        write(&scope, "more", 4096).unwrap();
        // In one file it cannot even try.
        let one = run(
            &scope,
            "echo begun; exec head -c 60000000 /dev/zero > one",
            Limits::default(),
        );
        assert_eq!(one.unwrap_err().code(), ErrorCode::QuotaExceeded);
        let one = fixture.base.path().join("root/abuser/one");
        assert!(one.metadata().unwrap().len() <= 8 << 20);
    }
}

#[test]
fn files_that_were_removed_while_open_are_found() {
    for level in LEVELS {
        let Some(fixture) = Fixture::new(level, ScopeLimits::default(), Some(8 << 20)) else {
            continue;
        };
        // 40 MiB in ten files without names, and no more.
        let hidden = "echo begun; python3 -c 'import os, time\nheld = []\nfor i in range(10):\n    f = open(\"x\", \"wb\"); f.write(bytes(4 << 20)); f.flush(); os.unlink(\"x\"); held.append(f); time.sleep(0.02)\ntime.sleep(5)'";
        let error = run(&fixture.scope("abuser"), hidden, Limits::default()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::QuotaExceeded, "{level:?}: {error}");
    }
}

#[test]
fn what_fills_the_private_directory_of_its_scope_is_ended_and_what_makes_room_is_not() {
    for level in LEVELS {
        let Some(fixture) = Fixture::with(level, |options| options.tmp_bytes = Some(4 << 20))
        else {
            continue;
        };
        let scope = fixture.scope("abuser");
        // 40 MiB in all, and no more.
        let filler = "echo begun; for i in $(seq 40); do head -c 1048576 /dev/zero > \"${TMPDIR:-/tmp}/f$i\"; sleep 0.1; done; echo filled";
        let error = run(&scope, filler, Limits::default()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::QuotaExceeded, "{level:?}: {error}");
        assert!(error.message().contains("tmpBytes"), "{error}");
        assert_eq!(error.failure().unwrap().stdout, b"begun\n");
        let look = run(
            &scope,
            "sleep 0.3; ls ${TMPDIR:-/tmp} | wc -l",
            Limits::default(),
        );
        assert!(look.is_ok(), "what only looks may look: {look:?}");
        let other = run(
            &fixture.scope("other"),
            "sleep 1.3; echo fine",
            Limits::default(),
        );
        assert_eq!(other.unwrap().stdout, b"fine\n");
    }
}
