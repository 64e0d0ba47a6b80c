//! Directories and links that change places while a search runs never lead it out.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agent_backend::error::ErrorCode;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::support::*;

const CANARY: &str = "canary-of-another-tenant";

/// A workspace in which `swap` is a directory one moment and a link to the outside the next, and so is `swap.txt`.
struct Arena {
    _holder: tempfile::TempDir,
    root: std::path::PathBuf,
}

fn arena() -> Arena {
    let holder = tree(&[
        ("outside/deep/secret.txt", CANARY),
        ("outside/secret.txt", CANARY),
        ("root/swap/deep/own.txt", "own"),
        ("root/swap/secret.txt", "own"),
        ("root/swap.txt", "own"),
        ("root/more/a/b/c.txt", "own"),
    ]);
    let root = holder.path().join("root");
    symlink("../outside", root.join("other")).unwrap();
    symlink("../outside/secret.txt", root.join("other.txt")).unwrap();
    Arena {
        _holder: holder,
        root,
    }
}

/// Exchanges the names over and over until `done`.
fn swapping<T>(root: &Path, work: impl FnOnce() -> T) -> (T, u64) {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let swapper = scope.spawn(|| {
            let mut rounds = 0;
            while !done.load(Ordering::Relaxed) {
                for (one, other) in [("swap", "other"), ("swap.txt", "other.txt")] {
                    let flags = RenameFlags::EXCHANGE;
                    renameat_with(CWD, root.join(one), CWD, root.join(other), flags).unwrap();
                }
                rounds += 1;
            }
            rounds
        });
        let result = work();
        done.store(true, Ordering::Relaxed);
        (result, swapper.join().unwrap())
    })
}

/// What a search by paths would do: look whether it is a link, then open it.
fn naive_walk_reads(root: &Path, canary: &str) -> bool {
    let mut open = vec![root.to_path_buf()];
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(path),
                Ok(kind)
                    if kind.is_file()
                        && fs::read_to_string(&path).is_ok_and(|text| text.contains(canary)) =>
                {
                    return true;
                }
                _ => {}
            }
        }
    }
    false
}

#[test]
fn a_walk_by_paths_falls_for_the_swap_so_the_canary_can_sing() {
    let arena = arena();
    let (fell, rounds) = swapping(&arena.root, || {
        let end = Instant::now() + Duration::from_secs(20);
        while Instant::now() < end {
            if naive_walk_reads(&arena.root, CANARY) {
                return true;
            }
        }
        false
    });
    assert!(fell, "not once in {rounds} rounds");
}

#[test]
fn no_search_ever_reads_or_lists_what_lies_outside() {
    let arena = arena();
    let ((), rounds) = swapping(&arena.root, || {
        let end = Instant::now() + Duration::from_secs(2);
        while Instant::now() < end {
            let found = search(&arena.root, &grep(CANARY)).unwrap();
            assert!(found.lines.is_empty(), "{:?}", found.lines);
            let found = search(&arena.root, &all()).unwrap();
            for entry in &found.entries {
                // Outside alone has this one.
                assert!(!entry.path.as_bytes().ends_with(b"deep/secret.txt"));
            }
        }
    });
    assert!(rounds > 100, "only {rounds} swaps: the test did not race");
}

#[test]
fn directories_that_vanish_and_appear_do_no_harm() {
    let root = tree(&[("stay/a.txt", "needle")]);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let path = root.path().join("flicker");
            while !done.load(Ordering::Relaxed) {
                fs::create_dir_all(path.join("x/y")).unwrap();
                fs::write(path.join("x/y/f.txt"), "needle").unwrap();
                fs::remove_dir_all(&path).unwrap();
            }
        });
        let end = Instant::now() + Duration::from_millis(500);
        while Instant::now() < end {
            let found = search(root.path(), &grep("needle"));
            let found = found.map(|found| paths(&found));
            assert!(found.is_ok_and(|paths| paths.contains(&"stay/a.txt:1".to_owned())));
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_bad_pattern_is_refused_before_anything_is_opened() {
    let root = tree(&[]);
    let mut request = glob("[a");
    assert_eq!(
        search(root.path(), &request).unwrap_err().code(),
        ErrorCode::InvalidConfiguration
    );
    request = all();
    request.exclude = vec!["{".to_owned()];
    assert_eq!(
        search(root.path(), &request).unwrap_err().code(),
        ErrorCode::InvalidConfiguration
    );
}
