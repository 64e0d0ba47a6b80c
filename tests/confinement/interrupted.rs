//! Writers that are killed, and writers that meet.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agent_backend::backend::local::{LocalBackend, LocalOptions, Resolver};
use agent_backend::backend::{Content, ListOptions, ReadOptions, WriteMode, WriteOptions};
use agent_backend::error::ErrorCode;
use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};

use crate::world::{World, memory, wait};

const ROOT_VARIABLE: &str = "AGENT_BACKEND_TEST_WRITER_ROOT";
const FILE_BYTES: usize = 300_000;
const KILLS: u32 = 40;

fn open(top: &Path) -> Workspace {
    let backend = LocalBackend::open(LocalOptions {
        root_dir: top.join("root"),
        state_dir: Some(top.join("state")),
        ..LocalOptions::default()
    })
    .unwrap();
    Workspace::new(
        backend,
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    )
}

/// Not a test of its own: the child that the next one kills.
#[test]
#[ignore = "started by `a_writer_killed_at_any_moment_leaves_the_old_or_the_new_content`"]
fn writes_until_it_is_killed() {
    let top = std::env::var_os(ROOT_VARIABLE).expect("started by the other test");
    let workspace = open(Path::new(&top));
    let started = Instant::now();
    // Dies by itself, should nobody kill it.
    while started.elapsed() < Duration::from_secs(20) {
        for letter in b'a'..=b'z' {
            for name in ["file", "deep/er/file"] {
                let content = Content::owned(vec![letter; FILE_BYTES]);
                wait(workspace.write(name, content, WriteOptions::default())).unwrap();
            }
            let content = Content::owned(vec![letter; 10]);
            let new = format!("new-{letter}-{}", started.elapsed().as_nanos());
            wait(workspace.write(&new, content, WriteOptions::default())).unwrap();
        }
    }
}

fn names(directory: &Path) -> BTreeSet<String> {
    directory
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn leftovers(root: &Path) -> usize {
    [root.to_path_buf(), root.join("deep/er")]
        .iter()
        .flat_map(|directory| names(directory))
        .filter(|name| name.starts_with(".agent-backend-"))
        .count()
}

#[test]
fn a_writer_killed_at_any_moment_leaves_the_old_or_the_new_content() {
    for parent in [std::env::temp_dir(), memory()] {
        let top = tempfile::tempdir_in(parent).unwrap();
        let root = top.path().join("root");
        std::fs::create_dir_all(root.join("deep/er")).unwrap();
        for name in ["file", "deep/er/file"] {
            std::fs::write(root.join(name), vec![b'a'; FILE_BYTES]).unwrap();
        }
        let watching = open(top.path());
        let mut left = 0;
        for round in 0..KILLS {
            let mut child = Command::new(std::env::current_exe().unwrap())
                .args([
                    "--ignored",
                    "--exact",
                    "interrupted::writes_until_it_is_killed",
                ])
                .env(ROOT_VARIABLE, top.path())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            // Any moment: a different one each time, up to many writes into its work.
            std::thread::sleep(Duration::from_micros(12_000 + u64::from(round) * 731));
            child.kill().unwrap();
            child.wait().unwrap();
            for name in ["file", "deep/er/file"] {
                let content = std::fs::read(root.join(name)).unwrap();
                assert_eq!(content.len(), FILE_BYTES);
                assert!(
                    content.iter().all(|&byte| byte == content[0]),
                    "a mix in round {round}"
                );
            }
            let there = leftovers(&root);
            left += there;
            for path in ["", "deep/er"] {
                let listed = wait(watching.list(path, ListOptions::default())).unwrap();
                let shown = listed
                    .iter()
                    .filter(|entry| entry.name.starts_with(b".agent-backend-"));
                assert_eq!(shown.count(), 0, "a leftover is shown in round {round}");
            }
            if round % 4 == 3 {
                open(top.path());
                assert_eq!(
                    leftovers(&root),
                    0,
                    "a leftover was not swept in round {round}"
                );
            }
        }
        assert!(left > 0, "no kill ever interrupted a write");
    }
}

#[test]
fn of_64_writers_at_once_one_wins_and_no_reader_sees_a_mix() {
    let world = World::new(1, Resolver::Kernel);
    let write = |letter: u8| {
        let content = Content::owned(vec![letter; FILE_BYTES]);
        world
            .workspace
            .write("file", content, WriteOptions::default())
    };
    wait(write(b'0')).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = BTreeSet::new();
            while !stop.load(Ordering::Relaxed) {
                let bytes = wait(world.workspace.read("file", ReadOptions::default()))
                    .unwrap()
                    .bytes;
                assert_eq!(bytes.len(), FILE_BYTES);
                assert!(bytes.iter().all(|&byte| byte == bytes[0]), "a mix");
                seen.insert(bytes[0]);
            }
            seen
        });
        for _ in 0..5 {
            let calls: Vec<_> = (0..64).map(|n| write(b'0' + n)).collect();
            for call in calls {
                wait(call).unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap().len() > 1);
    });
    assert_eq!(names(&world.ground), BTreeSet::from(["file".to_owned()]));
}

#[test]
fn of_64_conditional_writers_at_once_exactly_one_wins() {
    for parent in [std::env::temp_dir(), memory()] {
        let world = World::below(&parent, 0, Resolver::Kernel);
        for round in 0..20 {
            let content = Content::owned(format!("round {round}"));
            let old = wait(
                world
                    .workspace
                    .write("file", content, WriteOptions::default()),
            )
            .unwrap();
            let won: Vec<u32> = std::thread::scope(|scope| {
                let writers: Vec<_> = (0..64)
                    .map(|n| {
                        let (etag, workspace) = (old.stat.etag(), &world.workspace);
                        scope.spawn(move || {
                            let options = WriteOptions {
                                mode: WriteMode::IfMatch(etag),
                                ..WriteOptions::default()
                            };
                            wait(workspace.write("file", Content::owned(n.to_string()), options))
                        })
                    })
                    .collect();
                (0..)
                    .zip(writers)
                    .filter_map(|(n, writer)| match writer.join().unwrap() {
                        Ok(_) => Some(n),
                        Err(error) => {
                            assert_eq!(error.code(), ErrorCode::Conflict);
                            None
                        }
                    })
                    .collect()
            });
            assert_eq!(won.len(), 1, "round {round}");
            let content = std::fs::read_to_string(world.ground.join("file")).unwrap();
            assert_eq!(content, won[0].to_string());
        }
    }
}
