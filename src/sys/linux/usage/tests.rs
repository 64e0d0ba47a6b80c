use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use super::*;

fn measured(path: &Path) -> Usage {
    tree(File::open(path).unwrap(), &Bounds::default()).unwrap()
}

/// What `du` would say, the slow way.
fn blocks(path: &Path) -> u64 {
    path.symlink_metadata().unwrap().blocks() * 512
}

#[test]
fn allocated_blocks_and_inodes_are_counted_and_holes_are_not() {
    let base = tempfile::tempdir().unwrap();
    let top = base.path();
    fs::create_dir_all(top.join("a/b")).unwrap();
    fs::write(top.join("a/b/full"), vec![1; 1 << 20]).unwrap();
    let sparse = File::create(top.join("sparse")).unwrap();
    sparse.set_len(1 << 40).unwrap();
    sparse.write_all_at(b"x", 1 << 39).unwrap();
    symlink("/", top.join("link")).unwrap();
    let usage = measured(top);
    let all = ["", "a", "a/b", "a/b/full", "sparse", "link"];
    assert_eq!(usage.inodes, all.len() as u64);
    let expected: u64 = all.iter().map(|name| blocks(&top.join(name))).sum();
    assert_eq!(usage.bytes, expected);
    assert!((1 << 20..2 << 20).contains(&usage.bytes), "{usage:?}");
    assert!(!usage.cut_short);
}

#[test]
fn a_file_with_several_names_counts_once() {
    let base = tempfile::tempdir().unwrap();
    fs::create_dir(base.path().join("d")).unwrap();
    fs::write(base.path().join("one"), vec![1; 1 << 20]).unwrap();
    let before = measured(base.path());
    for name in ["two", "d/three"] {
        fs::hard_link(base.path().join("one"), base.path().join(name)).unwrap();
    }
    let after = measured(base.path());
    assert_eq!(after.inodes, before.inodes);
    assert!(
        after.bytes < before.bytes + (1 << 16),
        "{before:?} {after:?}"
    );
}

#[test]
fn a_chain_deeper_than_the_handles_that_are_kept_is_measured_whole() {
    const DEPTH: usize = 300;
    let base = tempfile::tempdir().unwrap();
    let mut at = File::open(base.path()).unwrap();
    for _ in 0..DEPTH {
        for name in ["a", "z"] {
            rustix::fs::mkdirat(&at, name, Mode::RWXU).unwrap();
            let flags = OFlags::WRONLY | OFlags::CREATE;
            let file = openat(&at, format!("{name}.f"), flags, Mode::RWXU).unwrap();
            File::from(file).write_all(b"x").unwrap();
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        at = openat(&at, "a", flags, Mode::empty()).unwrap().into();
    }
    let usage = measured(base.path());
    assert_eq!(usage.inodes as usize, 1 + 4 * DEPTH);
    assert!(!usage.cut_short);
}

#[test]
fn a_bound_ends_it_and_the_result_says_so() {
    let base = tempfile::tempdir().unwrap();
    for number in 0..100 {
        fs::create_dir(base.path().join(number.to_string())).unwrap();
    }
    let with = |bounds: Bounds| tree(File::open(base.path()).unwrap(), &bounds).unwrap();
    let few = with(Bounds {
        max_entries: 10,
        ..Bounds::default()
    });
    assert!(few.cut_short && few.inodes <= 11, "{few:?}");
    let late = with(Bounds {
        deadline: Some(Instant::now()),
        ..Bounds::default()
    });
    assert!(late.cut_short);
    let cancelled = Bounds::default();
    cancelled.cancel.cancel();
    assert!(with(cancelled).cut_short);
    assert!(!with(Bounds::default()).cut_short);
}

#[test]
fn what_is_mounted_below_is_not_counted() {
    let Ok(proc) = File::open("/") else { return };
    // Whatever else it has, the host's root has `/proc` below it, on a file system of its own.
    let device = fstat(&proc).unwrap().st_dev;
    let other = fs::metadata("/proc").unwrap();
    if other.dev() == device {
        return;
    }
    let bounds = Bounds::default();
    let mut walk = Walk {
        device,
        bounds: &bounds,
        usage: Usage::default(),
        seen: HashSet::new(),
        buffer: Vec::new(),
    };
    assert_eq!(walk.count(proc.as_fd(), c"proc"), None);
    assert_eq!(walk.usage, Usage::default());
}

#[test]
fn a_file_without_a_name_counts_as_long_as_it_is_held() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("gone");
    let mut held = File::create(&path).unwrap();
    held.write_all(&vec![1; 4 << 20]).unwrap();
    held.sync_all().unwrap();
    let own = [i32::try_from(std::process::id()).unwrap()];
    let top = File::open(base.path()).unwrap();
    let before = unlinked(&top, &own);
    fs::remove_file(&path).unwrap();
    assert!(measured(base.path()).bytes < 1 << 20);
    let after = unlinked(&top, &own);
    // Other tests of this process may drop theirs meanwhile.
    assert!(after.bytes >= 4 << 20, "{before:?} {after:?}");
    assert!(after.inodes >= 1);
    let nobody = unlinked(&top, &[]);
    assert_eq!(nobody, Usage::default());
}

#[test]
fn twenty_thousand_files_take_tens_of_milliseconds() {
    let base = tempfile::tempdir().unwrap();
    for directory in 0..200 {
        let path = base.path().join(directory.to_string());
        fs::create_dir(&path).unwrap();
        for file in 0..100 {
            File::create(path.join(file.to_string())).unwrap();
        }
    }
    let best = (0..5)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(measured(base.path()).inodes, 20_201);
            begun.elapsed()
        })
        .min()
        .unwrap();
    eprintln!("20,201 inodes: {best:?}");
    assert!(best < Duration::from_millis(500), "{best:?}");
}
