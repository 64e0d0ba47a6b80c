//! Scopes whose directories change: for a link while a command starts, for another directory of the same name.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use agent_backend::backend::RemoveOptions;
use agent_backend::backend::local::command::Isolation;
use agent_backend::workspace::{RunOptions, ScopeOptions, Workspace};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::attack::{Attack, Canary, Group, How};
use crate::world::{World, wait};

/// Commands that are started while names change.
const STARTS: usize = 12;

pub static SCOPES: Group = Group {
    name: "scopes",
    how: How::Function(attack),
    attacks: &[
        Attack::new(
            3,
            "scope-swap",
            "have a scope change places with a link to another tenant's while commands start",
        )
        .canary(Canary::FallsWithoutUs),
        Attack::new(3, "cwd-swap", "have a working directory change places with a link to another tenant's while commands start")
            .canary(Canary::FallsWithoutUs),
        Attack::new(
            3,
            "moved",
            "stand in a directory that is moved to another tenant, and go up from there",
        ),
        Attack::new(
            11,
            "recreated",
            "find the `/tmp` of a scope that was removed and made again by our calls",
        )
        .canary(Canary::FallsWithoutUs),
        Attack::new(
            11,
            "recreated-behind",
            "find the `/tmp` of a scope whose directory the host removed and made again",
        )
        .canary(Canary::FallsWithoutUs),
    ],
};

fn attack(world: &World) -> Vec<&'static str> {
    let mut succeeded = Vec::new();
    if swapped_scope(world) {
        succeeded.push("scope-swap");
    }
    if swapped_directory(world) {
        succeeded.push("cwd-swap");
    }
    if moved(world) {
        succeeded.push("moved");
    }
    for id in ["recreated", "recreated-behind"] {
        if recreated(world, id) {
            succeeded.push(id);
        }
    }
    succeeded
}

/// Runs `work` while a name is now a directory and now a link to the other tenant's.
fn while_it_swaps<T>(world: &World, path: &Path, work: impl FnOnce() -> T) -> T {
    let aside = path.with_extension("aside");
    std::os::unix::fs::symlink(world.scope("two"), &aside).unwrap();
    // At once, since a name that is free is taken: a command makes the directory of its scope.
    let swap = || renameat_with(CWD, path, CWD, &aside, RenameFlags::EXCHANGE).unwrap();
    let stop = AtomicBool::new(false);
    let outcome = std::thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                swap();
                std::thread::sleep(Duration::from_micros(300));
                swap();
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        let outcome = work();
        stop.store(true, Ordering::Relaxed);
        outcome
    });
    std::fs::remove_file(&aside).unwrap();
    outcome
}

fn tells_secret(world: &World, workspace: &Workspace, cwd: Option<&[u8]>) -> bool {
    let options = RunOptions {
        cwd: cwd.map(<[u8]>::to_vec),
        ..RunOptions::default()
    };
    // Refusals are as good as an answer from the right directory.
    wait(workspace.run("cat secret 2> /dev/null", options))
        .is_ok_and(|done| String::from_utf8_lossy(&done.stdout).contains(&world.secret))
}

/// A program that is started where a path leads to gets there sooner or later.
fn canary_falls(world: &World, path: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while_it_swaps(world, path, || {
        loop {
            let done = Command::new("/bin/cat")
                .arg("secret")
                .current_dir(path)
                .output();
            if done.is_ok_and(|done| done.stdout == world.secret.as_bytes()) {
                return;
            }
            assert!(Instant::now() < deadline, "the canary stands");
        }
    });
}

fn swapped_scope(world: &World) -> bool {
    let path = world.scope("one");
    if world.setting.level == Isolation::None {
        canary_falls(world, &path);
    }
    while_it_swaps(world, &path, || {
        (0..STARTS).any(|_| tells_secret(world, &world.one, None))
    })
}

fn swapped_directory(world: &World) -> bool {
    let path = world.scope("one").join("inner");
    std::fs::create_dir(&path).unwrap();
    world.give(&path);
    while_it_swaps(world, &path, || {
        (0..STARTS).any(|_| tells_secret(world, &world.one, Some(b"inner")))
    })
}

/// The directory that a command stands in goes to another tenant.
fn moved(world: &World) -> bool {
    let (from, to) = (
        world.scope("one").join("moving"),
        world.scope("two").join("moved"),
    );
    std::fs::create_dir(&from).unwrap();
    world.give(&from);
    let command = wait(world.one.spawn(
        "cd moving && : > ready && while [ ! -e go ]; do sleep 0.02; done; cat ../secret; cat ../../two/secret",
        RunOptions::default(),
    ))
    .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !from.join("ready").exists() {
        assert!(Instant::now() < deadline, "it never ran");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::fs::rename(&from, &to).unwrap();
    std::fs::write(to.join("go"), "").unwrap();
    let done = wait(command.wait()).unwrap();
    String::from_utf8_lossy(&done.stdout).contains(&world.secret)
}

/// Whether a scope finds what its predecessor of the same name left in its private `/tmp`.
fn recreated(world: &World, id: &str) -> bool {
    let scope = world.workspace.scope(id, ScopeOptions::default()).unwrap();
    wait(scope.create_dir("", true)).unwrap();
    let look = "cat ${TMPDIR:-/tmp}/left 2> /dev/null";
    let finds = || {
        let done = world.run(&scope, look).unwrap();
        String::from_utf8_lossy(&done.stdout).contains("predecessor")
    };
    world
        .run(&scope, "echo predecessor > ${TMPDIR:-/tmp}/left")
        .unwrap();
    assert!(finds(), "the canary: it lasts as long as its scope");
    if id == "recreated" {
        let all = RemoveOptions {
            recursive: true,
            force: false,
            ..RemoveOptions::default()
        };
        wait(world.workspace.remove(id, all)).unwrap();
        wait(scope.create_dir("", true)).unwrap();
    } else {
        let path = world.scope(id);
        std::fs::remove_dir_all(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        world.give(&path);
    }
    finds()
}

super::test_of!(SCOPES, a_scope_stays_the_directory_that_it_was_opened_as);
