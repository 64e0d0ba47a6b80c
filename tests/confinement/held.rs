//! Files that stay open: what happens to names, links and modes meanwhile, and what a process that is killed leaves.

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::backend::{Attributes, OpenOptions, WriteOptions};
use agent_backend::error::ErrorCode as E;
use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};
use bytes::Bytes;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::skip::skip;
use crate::world::{DEPTHS, RESOLVERS, SECRET, World, is_root, wait};

const READ: OpenOptions = OpenOptions {
    read: true,
    write: false,
    append: false,
    create: false,
    create_new: false,
    truncate: false,
    permissions: None,
};
const BOTH: OpenOptions = OpenOptions {
    write: true,
    ..READ
};
const UPLOAD: OpenOptions = OpenOptions {
    create: true,
    truncate: true,
    ..BOTH
};

fn each_world(test: impl Fn(World)) {
    for depth in DEPTHS {
        for resolver in RESOLVERS {
            test(World::new(depth, resolver));
        }
    }
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

#[test]
fn what_is_open_stays_what_it_was_when_a_link_out_takes_its_name() {
    each_world(|world| {
        world.put("d/file", "inside");
        let before = world.snapshot();
        let file = wait(world.workspace.open("d/file", BOTH)).unwrap();
        let staged = wait(world.workspace.stage("d/file", WriteOptions::default())).unwrap();
        wait(staged.append(text("staged"))).unwrap();
        std::fs::rename(world.ground.join("d"), world.ground.join("moved")).unwrap();
        world.link(&world.outside, "d");
        wait(file.write_at(0, text("INSIDE"))).unwrap();
        let moved = std::fs::read_to_string(world.ground.join("moved/file")).unwrap();
        assert_eq!(moved, "INSIDE");
        assert_eq!(
            wait(staged.commit()).unwrap_err().code(),
            E::PathEscapeAttempt
        );
        assert_eq!(world.snapshot(), before);
    });
}

#[test]
fn a_file_with_several_names_is_emptied_only_under_the_name_that_was_opened() {
    each_world(|world| {
        let canary = world.outside.join("canary");
        std::fs::hard_link(&canary, world.ground.join("twin")).unwrap();
        let refused = wait(world.workspace.open("twin", BOTH)).unwrap_err();
        assert_eq!(refused.code(), E::PermissionDenied);
        assert!(refused.to_string().contains("hard links"), "{refused}");
        let file = wait(world.workspace.open("twin", UPLOAD)).unwrap();
        wait(file.write_at(0, text("new"))).unwrap();
        let twin = std::fs::read_to_string(world.ground.join("twin")).unwrap();
        assert_eq!(twin, "new");
        assert_eq!(std::fs::read_to_string(&canary).unwrap(), SECRET);
        // Reading changes nothing.
        std::fs::hard_link(&canary, world.ground.join("other")).unwrap();
        let file = wait(world.workspace.open("other", READ)).unwrap();
        assert_eq!(wait(file.read_at(0, 100)).unwrap(), SECRET);
    });
}

#[test]
fn a_file_that_gets_a_second_name_while_it_is_open_is_changed_no_more() {
    each_world(|world| {
        world.put("file", "first");
        let file = wait(world.workspace.open("file", BOTH)).unwrap();
        wait(file.write_at(0, text("F"))).unwrap();
        std::fs::hard_link(world.ground.join("file"), world.outside.join("twin")).unwrap();
        let cut = Attributes {
            size: Some(0),
            ..Attributes::default()
        };
        let open = Attributes {
            permissions: Some(0o777),
            ..Attributes::default()
        };
        for refused in [
            wait(file.write_at(0, text("gone"))),
            wait(file.set_attributes(cut)),
            wait(file.set_attributes(open)),
            wait(world.workspace.set_attributes("file", true, cut)),
            wait(world.workspace.set_attributes("file", true, open)),
        ] {
            assert_eq!(refused.unwrap_err().code(), E::PermissionDenied);
        }
        let twin = std::fs::read_to_string(world.outside.join("twin")).unwrap();
        assert_eq!(twin, "First");
    });
}

#[test]
fn nothing_that_is_changed_runs_as_somebody_else() {
    each_world(|world| {
        let mode = |name: &str| {
            let found = world.ground.join(name).metadata().unwrap();
            found.permissions().mode() & 0o7777
        };
        for (name, options) in [("a", BOTH), ("b", UPLOAD)] {
            world.put(name, "#!/bin/sh");
            let path = world.ground.join(name);
            std::fs::set_permissions(&path, Permissions::from_mode(0o6755)).unwrap();
            let file = wait(world.workspace.open(name, options)).unwrap();
            assert_eq!(mode(name), 0o755, "opening for changes drops it");
            std::fs::set_permissions(&path, Permissions::from_mode(0o6755)).unwrap();
            wait(file.write_at(0, text("x"))).unwrap();
            assert_eq!(mode(name), 0o755, "so does a write");
            let attributes = Attributes {
                permissions: Some(0o7711),
                ..Attributes::default()
            };
            wait(file.set_attributes(attributes)).unwrap();
            assert_eq!(mode(name), 0o711);
            wait(world.workspace.set_attributes(name, true, attributes)).unwrap();
            assert_eq!(mode(name), 0o711);
        }
        let new = OpenOptions {
            permissions: Some(0o7700),
            ..UPLOAD
        };
        wait(world.workspace.open("new", new)).unwrap();
        assert_eq!(mode("new"), 0o700);
    });
}

#[test]
fn what_is_new_belongs_to_whom_the_directory_belongs() {
    if !is_root() {
        return skip("only root gives files away");
    }
    each_world(|world| {
        std::os::unix::fs::chown(&world.ground, Some(1234), Some(2345)).unwrap();
        wait(world.workspace.open("file", UPLOAD)).unwrap();
        wait(world.workspace.symlink("link", "file")).unwrap();
        let staged = wait(world.workspace.stage("staged", WriteOptions::default())).unwrap();
        wait(staged.commit()).unwrap();
        for name in ["file", "link", "staged"] {
            let found = world.ground.join(name).symlink_metadata().unwrap();
            assert_eq!((found.uid(), found.gid()), (1234, 2345), "{name}");
        }
    });
}

#[test]
fn a_link_that_was_made_here_leads_no_further_than_any_other() {
    each_world(|world| {
        let before = world.snapshot();
        for text in ["../outside/canary", world.outside.to_str().unwrap()] {
            wait(world.workspace.symlink("link", text)).unwrap();
            // Where the wall is down, it reaches the outside.
            assert!(world.ground.join("link").exists());
            for options in [READ, BOTH, UPLOAD] {
                let seen = wait(world.workspace.open("link", options)).unwrap_err();
                assert_eq!(seen.code(), E::PathEscapeAttempt, "{text} {options:?}");
            }
            std::fs::remove_file(world.ground.join("link")).unwrap();
        }
        assert_eq!(world.snapshot(), before);
    });
}

#[test]
fn a_file_swapped_for_a_link_out_while_it_is_opened_stays_inside() {
    each_world(|world| {
        world.put("file", "inside");
        world.link("../outside/canary", "link");
        let before = world.snapshot();
        let stop = AtomicBool::new(false);
        let [a, b] = ["file", "link"].map(|name| world.ground.join(name));
        let (mut opened, mut escaped) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
                }
            });
            let started = Instant::now();
            while started.elapsed() < Duration::from_millis(400)
                || (opened == 0 || escaped == 0) && started.elapsed() < Duration::from_secs(20)
            {
                for options in [BOTH, UPLOAD] {
                    match wait(world.workspace.open("file", options)) {
                        Ok(file) => {
                            wait(file.write_at(0, text("INSIDE"))).unwrap();
                            opened += 1;
                        }
                        Err(error) if error.code() == E::PathEscapeAttempt => escaped += 1,
                        Err(error) => assert_eq!(error.code(), E::Conflict, "{error}"),
                    }
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert!(opened > 0 && escaped > 0, "the race never took place");
        assert_eq!(world.snapshot(), before);
    });
}

const TOP: &str = "AGENT_BACKEND_TEST_STAGING_TOP";

fn workspace(top: &Path) -> Workspace {
    let backend = LocalBackend::open(LocalOptions {
        root_dir: top.join("root"),
        state_dir: Some(top.join("state")),
        ..LocalOptions::default()
    });
    Workspace::new(
        backend.unwrap(),
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    )
}

/// Not a test of its own: the child that the next one kills.
#[test]
#[ignore = "started by `of_a_file_in_pieces_nothing_is_left_when_the_process_is_killed`"]
fn stages_until_it_is_killed() {
    let top = std::env::var_os(TOP).expect("started by the other test");
    let workspace = workspace(Path::new(&top));
    let staged = wait(workspace.stage("file", WriteOptions::default())).unwrap();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20) {
        wait(staged.append(vec![b'x'; 1 << 20].into())).unwrap();
        std::fs::write(Path::new(&top).join("begun"), "").unwrap();
    }
}

fn names_and_bytes(directory: &Path) -> (Vec<String>, u64) {
    let (mut names, mut bytes) = (Vec::new(), 0);
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        for entry in path.read_dir().unwrap() {
            let entry = entry.unwrap();
            let stat = entry.metadata().unwrap();
            if stat.is_dir() {
                open.push(entry.path());
            }
            names.push(entry.file_name().into_string().unwrap());
            bytes += stat.blocks() * 512;
        }
    }
    (names, bytes)
}

#[test]
fn of_a_file_in_pieces_nothing_is_left_when_the_process_is_killed() {
    let top = tempfile::tempdir().unwrap();
    workspace(top.path());
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "held::stages_until_it_is_killed"])
        .env(TOP, top.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !top.path().join("begun").exists() && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(50));
    let (during, _) = names_and_bytes(&top.path().join("root"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(top.path().join("begun").exists());
    assert!(during.is_empty(), "{during:?}");
    workspace(top.path());
    let (names, bytes) = names_and_bytes(&top.path().join("state"));
    assert!(bytes < 1 << 20, "{names:?} take {bytes} bytes");
    assert_eq!(names_and_bytes(&top.path().join("root")).0, [""; 0]);
}
