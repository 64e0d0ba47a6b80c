//! What a command leaves running, and when that ends.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use agent_backend::error::ErrorCode;
use agent_backend::workspace::{RunOptions, ScopeOptions};

use crate::attack::{Attack, Group, How};
use crate::world::{World, random, wait};

pub static SURVIVORS: Group = Group {
    name: "survivors",
    how: How::Function(survive),
    attacks: &[
        Attack::new(
            9,
            "session-end",
            "outlive the command in a session of its own",
        ),
        Attack::new(
            9,
            "daemon-end",
            "outlive the command as a daemon: forked twice, deaf to signals",
        ),
        Attack::new(
            9,
            "session-timeout",
            "outlive the command's time limit in a session of its own",
        )
        .canary(crate::attack::Canary::FallsWithoutUs),
        Attack::new(
            9,
            "daemon-timeout",
            "outlive the command's time limit as a daemon",
        ),
        Attack::new(
            9,
            "session-destroy",
            "outlive the destroyed scope in a session of its own",
        )
        .canary(crate::attack::Canary::FallsWithoutUs),
        Attack::new(
            9,
            "daemon-destroy",
            "outlive the destroyed scope as a daemon",
        ),
    ],
};

const SESSION: &str = "setsid python3 survivor.py session";
/// Every setting waits for it; on a very busy machine the first may be too short for anything to begin.
const TIME_LIMITS_MS: &[u64] = &[1_200, 5_000, 20_000];
const DAEMON: &str = "python3 survivor.py daemon";

fn survive(world: &World) -> Vec<&'static str> {
    let cases: Vec<_> = SURVIVORS.attacks.iter().map(|attack| attack.id).collect();
    std::thread::scope(|threads| {
        let running: Vec<_> = cases
            .iter()
            .map(|id| threads.spawn(|| outlives(world, id)))
            .collect();
        cases
            .iter()
            .zip(running)
            .filter_map(|(id, thread)| thread.join().unwrap().then_some(*id))
            .collect()
    })
}

/// Whether what a command started lives once the command has ended, by itself or because it was ended.
fn outlives(world: &World, id: &str) -> bool {
    let (kind, moment) = id.split_once('-').unwrap();
    let marker = format!("survivor-{}", random());
    let scope = world.workspace.scope(id, ScopeOptions::default()).unwrap();
    world.put(
        &scope,
        "survivor.py",
        include_str!("../programs/survivor.py"),
    );
    let start = if kind == "session" { SESSION } else { DAEMON };
    let begun = format!(
        "{start} {marker} > /dev/null 2>&1 < /dev/null & while [ ! -e up ]; do sleep 0.02; done"
    );
    let options = |timeout_ms| RunOptions {
        timeout_ms,
        ..RunOptions::default()
    };
    match moment {
        "end" => {
            let done = wait(scope.run(&begun, options(None))).unwrap();
            assert_eq!(done.exit_code, Some(0));
        }
        "timeout" => {
            for limit in TIME_LIMITS_MS {
                let call = scope.run(&format!("{begun}; sleep 60"), options(Some(*limit)));
                assert_eq!(wait(call).unwrap_err().code(), ErrorCode::Timeout);
                if world.scope(id).join("up").exists() {
                    break;
                }
            }
        }
        _ => {
            let call = scope.spawn(&format!("{begun}; sleep 60"), options(None));
            let command = wait(call).unwrap();
            let up = world.scope(id).join("up");
            let deadline = Instant::now() + Duration::from_secs(20);
            while !up.exists() {
                assert!(Instant::now() < deadline, "{id}: it never ran");
                std::thread::sleep(Duration::from_millis(10));
            }
            wait(scope.destroy()).unwrap();
            drop(command);
        }
    }
    assert!(world.scope(id).join("up").exists(), "{id}: it never ran");
    // What ends with its namespace is killed with it, which takes the kernel a moment.
    let grace = Instant::now() + Duration::from_millis(500);
    while Instant::now() < grace && !marked(&marker).is_empty() {
        std::thread::sleep(Duration::from_millis(10));
    }
    let left = marked(&marker);
    for pid in &left {
        if let Some(pid) = rustix::process::Pid::from_raw(*pid) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
    !left.is_empty()
}

/// Processes with a word on their command line that nothing else has.
fn marked(marker: &str) -> BTreeSet<i32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let found = String::from_utf8_lossy(&line).contains(marker);
            found.then(|| entry.file_name().to_str()?.parse().ok())?
        })
        .collect()
}

super::test_of!(
    SURVIVORS,
    what_a_command_leaves_running_ends_when_the_table_says
);
