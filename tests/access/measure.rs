//! What a policy costs: run by hand, `cargo test --release --test access measure -- --ignored --nocapture`.

use std::time::{Duration, Instant};

use agent_backend::access::Allow;
use agent_backend::backend::ReadOptions;
use agent_backend::backend::local::command::Isolation;
use agent_backend::workspace::{RunOptions, SearchOptions, Workspace};

use crate::world::{KINDS, Kind, Setup, wait};

const ROUNDS: u32 = 20_000;

/// The shortest of several rounds, each of many calls.
fn per_call(mut call: impl FnMut()) -> Duration {
    let round = || {
        let started = Instant::now();
        for _ in 0..ROUNDS {
            call();
        }
        started.elapsed() / ROUNDS
    };
    std::iter::repeat_with(round).take(5).min().unwrap()
}

fn read(workspace: &Workspace) {
    wait(workspace.read("pub/d/q", ReadOptions::default())).unwrap();
}

#[test]
#[ignore = "a measurement"]
fn reads_with_and_without_rules() {
    let one: &[(&str, Allow)] = &[("secret/**", Allow::None)];
    let many: Vec<(&str, Allow)> = [
        "secret/**",
        "*.key",
        "*.pem",
        ".env*",
        "docs/**/*.md",
        "a/b/c",
    ]
    .into_iter()
    .cycle()
    .take(50)
    .map(|pattern| (pattern, Allow::Read))
    .collect();
    for kind in KINDS {
        for (name, rules) in [("none", &[][..]), ("one", one), ("fifty", &many)] {
            let world = Setup::new(kind, 1).rules(rules).make();
            let took = per_call(|| read(&world.workspace));
            println!("read, {kind:?}, rules: {name}: {took:?}");
        }
    }
}

#[test]
#[ignore = "a measurement"]
fn searches_and_commands_with_and_without_rules() {
    for (name, rules) in [
        ("none", &[][..]),
        ("any depth", &[("*.key", Allow::None)]),
        ("anchored", &[("secret/**", Allow::None)]),
    ] {
        let world = Setup::new(Kind::Kernel, 0)
            .rules(rules)
            .isolation(Isolation::Bwrap)
            .make();
        for directory in 0..200 {
            let at = world.ground.join(format!("tree/{directory}"));
            std::fs::create_dir_all(&at).unwrap();
            for file in 0..100 {
                std::fs::write(at.join(format!("{file}.txt")), "text").unwrap();
            }
        }
        let shortest = |call: &dyn Fn()| {
            let timed = || {
                let started = Instant::now();
                call();
                started.elapsed()
            };
            std::iter::repeat_with(timed).take(7).min().unwrap()
        };
        let tree = shortest(&|| {
            wait(world.workspace.tree("", None, SearchOptions::default())).unwrap();
        });
        let command = shortest(&|| {
            wait(world.workspace.run("true", RunOptions::default())).unwrap();
        });
        println!("20,000 files, rules: {name}: tree {tree:?}, exec true {command:?}");
    }
}
