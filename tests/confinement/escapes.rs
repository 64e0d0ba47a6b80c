//! The corpus, through every operation, at every depth, with both resolvers.

use std::os::unix::fs::MetadataExt as _;

use agent_backend::backend::local::Resolver;
use agent_backend::backend::process::CommandSpec;
use agent_backend::backend::{Content, ReadOptions, WriteOptions};
use agent_backend::error::ErrorCode;
use agent_backend::path::RelPath;
use agent_backend::workspace::ScopeOptions;

use crate::corpus::{ATTACKS, Attack, Wall};
use crate::operations::{OPERATIONS, Operation, Seen, tells};
use crate::world::{DEPTHS, INSIDE, RESOLVERS, SECRET, World, memory, wait};

fn each_world(mut test: impl FnMut(usize, Resolver)) {
    for depth in DEPTHS {
        for resolver in RESOLVERS {
            test(depth, resolver);
        }
    }
}

#[test]
fn every_canary_falls_where_the_wall_is_down() {
    for attack in ATTACKS {
        let world = World::new(1, Resolver::Kernel);
        let path = (attack.plant)(&world);
        let unconfined = attack.unconfined(&world, &path);
        match attack.name {
            // What a dangling link costs is shown by writing through it.
            name if name.contains("dangling") => {
                std::fs::write(&unconfined, "through").unwrap();
                assert!(world.outside.join("not-there").exists(), "{name}");
            }
            // Nothing to reach: the attack is on the one who follows.
            name if name.contains("loop") || name.contains("itself") || name.contains("NUL") => {}
            name => {
                assert_eq!(
                    std::fs::read_to_string(unconfined).unwrap(),
                    SECRET,
                    "{name}"
                );
            }
        }
    }
}

#[test]
fn no_operation_gets_out_by_any_way() {
    each_world(|depth, resolver| all_operations(depth, resolver, &World::new));
    // What is in memory is done on the caller's thread, by code of its own.
    let in_memory = |depth, resolver| World::below(&memory(), depth, resolver);
    for depth in DEPTHS {
        all_operations(depth, Resolver::Kernel, &in_memory);
    }
}

fn all_operations(depth: usize, resolver: Resolver, make: &dyn Fn(usize, Resolver) -> World) {
    for attack in ATTACKS {
        let mut fresh = None;
        for operation in OPERATIONS {
            let case = format!(
                "{} by {:?} at depth {depth} with {resolver:?}",
                operation.name, attack.name
            );
            let (world, path) = fresh.take().unwrap_or_else(|| {
                let world = make(depth, resolver);
                world.put("own", INSIDE);
                let path = (attack.plant)(&world);
                (world, path)
            });
            let refused = check(attack, operation, &world, &path, &case).is_err();
            if refused || !operation.changes() {
                fresh = Some((world, path));
            }
        }
    }
}

fn check(attack: &Attack, operation: &Operation, world: &World, path: &[u8], case: &str) -> Seen {
    let before = world.snapshot();
    let canary = world.outside.join("canary").metadata().unwrap().ino();
    let seen = (operation.run)(&world.workspace, path);
    assert_eq!(
        world.snapshot(),
        before,
        "{case} changed the outside: {seen:?}"
    );
    assert!(
        !tells(&seen, canary),
        "{case} told of the outside: {seen:?}"
    );
    let expected = match attack.wall {
        Wall::Refused => Some(ErrorCode::PathEscapeAttempt),
        Wall::RefusedIfFollowed if operation.follows => Some(ErrorCode::PathEscapeAttempt),
        Wall::Invalid => Some(ErrorCode::InvalidPath),
        Wall::InvalidIfFollowed if operation.follows => Some(ErrorCode::InvalidPath),
        _ => None,
    };
    if let Some(expected) = expected {
        assert_eq!(seen.clone().err(), Some(expected), "{case}: {seen:?}");
    }
    seen
}

#[test]
fn a_link_that_leaves_does_not_exist() {
    each_world(|depth, resolver| {
        for attack in ATTACKS {
            if matches!(
                attack.wall,
                Wall::RefusedIfFollowed | Wall::InvalidIfFollowed
            ) {
                let world = World::new(depth, resolver);
                let path = (attack.plant)(&world);
                assert!(
                    !wait(world.workspace.exists(&path)).unwrap(),
                    "{}",
                    attack.name
                );
            }
        }
    });
}

#[test]
fn no_command_starts_in_a_directory_outside() {
    each_world(|depth, resolver| {
        let world = World::new(depth, resolver);
        world.link("../outside/directory", "relative");
        world.link(world.outside.join("directory"), "absolute");
        for name in ["relative", "absolute"] {
            let spec = CommandSpec {
                command: "pwd > ../reached".into(),
                cwd: RelPath::parse(name.as_bytes(), b"/").unwrap(),
                ..CommandSpec::default()
            };
            let refused = wait(world.workspace.backend().spawn(spec))
                .map(|_| ())
                .unwrap_err();
            assert_eq!(refused.code(), ErrorCode::PathEscapeAttempt);
            assert!(!world.outside.join("reached").exists());
        }
    });
}

#[test]
fn links_that_stay_inside_work() {
    each_world(|depth, resolver| {
        let world = World::new(depth, resolver);
        world.put("a/b/file", INSIDE);
        world.link("a/b", "directory");
        world.link("a/b/file", "relative");
        world.link(world.ground.join("a/b/file"), "absolute");
        world.link(&world.ground, "a/root");
        world.link("../../a/./b/../b", "a/b/around");
        world.link("relative", "chain");
        for path in [
            "directory/file",
            "relative",
            "absolute",
            "a/root/a/b/file",
            "a/root/absolute",
            "a/b/around/file",
            "chain",
        ] {
            let outcome = wait(world.workspace.read(path, ReadOptions::default())).unwrap();
            assert_eq!(
                outcome.bytes, INSIDE,
                "{path} at depth {depth} with {resolver:?}"
            );
            let content = Content::owned(INSIDE);
            wait(
                world
                    .workspace
                    .write(path, content, WriteOptions::default()),
            )
            .unwrap();
        }
        assert!(world.ground.join("chain").is_symlink());
    });
}

/// A tenant plants a link where another scope is, or will be.
#[test]
fn a_scope_that_is_a_link_or_lies_behind_one_is_refused() {
    for resolver in RESOLVERS {
        for operation in OPERATIONS {
            let world = World::new(0, resolver);
            std::fs::create_dir(world.ground.join("tenant")).unwrap();
            world.put("victim/canary", SECRET);
            world.link("../victim", "tenant/app");
            world.link(&world.outside, "tenant/out");
            let before = world.snapshot();
            for path in ["tenant/app", "tenant/out", "tenant/out/directory"] {
                let scope = world
                    .workspace
                    .scope(path, ScopeOptions::default())
                    .unwrap();
                // By path the canary is reached.
                assert!(world.ground.join(path).join("canary").exists());
                let seen: Seen = (operation.run)(&scope, b"canary");
                assert_eq!(
                    seen.as_ref().err(),
                    Some(&ErrorCode::PathEscapeAttempt),
                    "{} in {path} with {resolver:?}: {seen:?}",
                    operation.name
                );
            }
            assert_eq!(world.snapshot(), before);
            let victim = std::fs::read_to_string(world.ground.join("victim/canary")).unwrap();
            assert_eq!(victim, SECRET);
        }
    }
}

#[test]
fn a_hard_link_never_carries_a_write_to_its_other_names() {
    each_world(|depth, resolver| {
        for operation in OPERATIONS
            .iter()
            .filter(|operation| operation.name != "touch")
        {
            let world = World::new(depth, resolver);
            let canary = world.outside.join("canary");
            std::fs::hard_link(&canary, world.ground.join("twin")).unwrap();
            let before = world.snapshot();
            let _ = (operation.run)(&world.workspace, b"twin");
            assert_eq!(world.snapshot(), before, "{}", operation.name);
        }
        // Where the wall is down, writing in place reaches the other name.
        let world = World::new(depth, resolver);
        std::fs::hard_link(world.outside.join("canary"), world.ground.join("twin")).unwrap();
        std::fs::write(world.ground.join("twin"), "gone").unwrap();
        assert_ne!(
            std::fs::read_to_string(world.outside.join("canary")).unwrap(),
            SECRET
        );
    });
}
