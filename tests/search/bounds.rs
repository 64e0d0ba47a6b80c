//! A search never takes more than it may, whatever the tree is like, and says when it left something out.

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use agent_backend::backend::search::Query;
use agent_backend::error::ErrorCode;
use agent_backend::path::RelPath;
use agent_backend::search::{Hidden, search_directory};

use crate::support::*;

fn wide() -> tempfile::TempDir {
    let mut files = Vec::new();
    for directory in 0..40 {
        for file in 0..25 {
            files.push(format!("d{directory:02}/f{file:02}"));
        }
    }
    let files: Vec<_> = files
        .iter()
        .map(|name| (name.as_str(), "needle\n"))
        .collect();
    tree(&files)
}

#[test]
fn a_bound_on_results_gives_the_first_in_path_order_every_time() {
    let root = wide();
    for (mut request, expected) in [
        (glob("*"), vec!["d00/f00", "d00/f01", "d00/f02"]),
        (all(), vec!["d00", "d00/f00", "d00/f01"]),
        (grep("needle"), vec!["d00/f00:1", "d00/f01:1", "d00/f02:1"]),
    ] {
        request.limits.max_results = 3;
        for _ in 0..50 {
            let found = search(root.path(), &request).unwrap();
            assert!(found.truncated);
            assert_eq!(paths(&found), expected);
        }
        request.limits.max_results = 5_000;
        assert!(!search(root.path(), &request).unwrap().truncated);
    }
}

#[test]
fn bounds_on_entries_bytes_and_file_size_are_kept() {
    let root = wide();
    let mut request = all();
    request.limits.max_entries = 100;
    let found = search(root.path(), &request).unwrap();
    assert!(found.truncated && found.entries.len() <= 100);

    let mut request = all();
    request.limits.max_result_bytes = 10;
    let found = search(root.path(), &request).unwrap();
    assert!(found.truncated);
    assert_eq!(paths(&found), ["d00", "d00/f00"]);

    let mut request = grep("needle");
    request.limits.max_file_bytes = 3;
    let found = search(root.path(), &request).unwrap();
    assert!(found.truncated && found.lines.is_empty());
}

#[test]
fn time_that_is_up_ends_a_search_with_what_there_is() {
    let root = wide();
    let mut request = all();
    request.limits.timeout_ms = 0;
    let found = search(root.path(), &request).unwrap();
    assert!(found.truncated && found.entries.is_empty());
}

#[test]
fn a_cancelled_search_ends_soon() {
    let root = tree(&[]);
    let file = File::create(root.path().join("large")).unwrap();
    let line = b"some text that does not match at all\n".repeat(30_000);
    for _ in 0..200 {
        std::io::Write::write_all(&mut &file, &line).unwrap();
    }
    let mut request = request(Query::Grep(agent_backend::backend::search::GrepQuery {
        pattern: "(x+x+)+y|needle[0-9]+".to_owned(),
        ignore_case: true,
        ..Default::default()
    }));
    request.limits.max_file_bytes = u64::MAX;
    let token = request.cancel.clone();
    let canceller = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        token.cancel();
        Instant::now()
    });
    let outcome = search(root.path(), &request);
    let ended = Instant::now();
    let cancelled = canceller.join().unwrap();
    assert_eq!(outcome.unwrap_err().code(), ErrorCode::Aborted);
    assert!(ended.saturating_duration_since(cancelled) < Duration::from_secs(1));
}

#[test]
fn a_sparse_file_of_a_gigabyte_costs_no_memory() {
    let root = tree(&[("small", "needle")]);
    File::create(root.path().join("sparse"))
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    File::create(root.path().join("vast"))
        .unwrap()
        .set_len(1 << 42)
        .unwrap();
    let started = Instant::now();
    let found = search(root.path(), &grep("needle")).unwrap();
    assert_eq!(paths(&found), ["small:1"]);
    assert!(found.truncated, "the vast one was left out");
    assert!(started.elapsed() < Duration::from_secs(5));
}

/// Makes directories one in another, as deep as asked, with one more beside each; through handles, since the path
/// is longer than the operating system takes.
fn deep(levels: usize) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let mode = rustix::fs::Mode::from(0o700);
    let mut at: std::os::fd::OwnedFd = File::open(root.path()).unwrap().into();
    for _ in 0..levels {
        for name in ["d", "e"] {
            rustix::fs::mkdirat(at.as_fd(), name, mode).unwrap();
        }
        at = rustix::fs::openat(
            at.as_fd(),
            "d",
            rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
    }
    root
}

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_thousand_levels_are_searched_with_few_descriptors() {
    let root = deep(1_000);
    struct Watch(AtomicUsize);
    impl Hidden for Watch {
        fn may_hide(&self, _: &[u8]) -> bool {
            self.0.fetch_max(open_descriptors(), Ordering::Relaxed);
            false
        }
        fn hides(&self, _: BorrowedFd<'_>, names: &[&[u8]]) -> Vec<bool> {
            vec![false; names.len()]
        }
    }
    let watch = Watch(AtomicUsize::new(0));
    let before = open_descriptors();
    let base = handle(root.path());
    let found = search_directory(base, &RelPath::root(), &[], &all(), &watch).unwrap();
    assert_eq!(found.entries.len(), 2_000);
    assert!(!found.truncated);
    // Other tests of this program run meanwhile; a thousand would show.
    let most = watch.0.into_inner();
    assert!(most < before + 300, "{most} descriptors");
}

#[test]
fn a_tree_deeper_than_any_path_is_searched_as_far_as_paths_go() {
    let root = deep(5_000);
    let found = search(root.path(), &all()).unwrap();
    assert!(found.truncated);
    let longest = found.entries.iter().map(|e| e.path.as_bytes().len()).max();
    assert_eq!(longest, Some(4095));
    // The standard library's removal recurses; this does not.
    remove_deep(root);
}

fn remove_deep(root: tempfile::TempDir) {
    use rustix::fs::{AtFlags, CWD, renameat, unlinkat};
    // Each step lifts the rest of the tree to the top, so no path is ever long.
    let top = root.path();
    while top.join("d/d").exists() {
        renameat(CWD, top.join("d/d"), CWD, top.join("next")).unwrap();
        let _ = unlinkat(CWD, top.join("d/e"), AtFlags::REMOVEDIR);
        fs::remove_dir(top.join("d")).unwrap();
        fs::rename(top.join("next"), top.join("d")).unwrap();
    }
}
