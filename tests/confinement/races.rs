//! A directory and a link to the outside change places as fast as the kernel can, while every operation runs.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use agent_backend::backend::local::Resolver;
use agent_backend::error::ErrorCode;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::operations::{OPERATIONS, tells};
use crate::world::{INSIDE, RESOLVERS, SECRET, World, memory};

/// Without the variable, a short race each.
const SHORT: Duration = Duration::from_millis(700);
/// And at most, where the machine has other things to do.
const LONG: Duration = Duration::from_secs(30);

struct Race {
    /// The name that changes, and what it changes places with.
    swapped: [&'static str; 2],
    /// Below the workspace.
    path: &'static str,
}

const RACES: &[Race] = &[
    Race {
        swapped: ["place", "other"],
        path: "place/canary",
    },
    Race {
        swapped: ["place", "other"],
        path: "place/directory",
    },
    Race {
        swapped: ["place/canary", "link-to-canary"],
        path: "place/canary",
    },
];

fn prepare(world: &World) {
    for name in ["place/canary", "place/directory/canary", "own"] {
        world.put(name, INSIDE);
    }
    world.link("../outside", "other");
    // Seen from the place that it will take.
    world.link("../../outside/canary", "link-to-canary");
}

fn rounds_wanted() -> Option<u64> {
    std::env::var("AGENT_BACKEND_RACE_ROUNDS")
        .ok()?
        .parse()
        .ok()
}

fn run(race: &Race, resolver: Resolver, depth: usize, parent: &std::path::Path) {
    let world = World::below(parent, depth, resolver);
    prepare(&world);
    let before = world.snapshot();
    let canary = world.outside.join("canary").metadata().unwrap().ino();
    let inside_canary = world
        .outside
        .join("directory/canary")
        .metadata()
        .unwrap()
        .ino();
    let (stop, restoring) = <(AtomicBool, AtomicBool)>::default();
    let turn = Mutex::new(());
    let swaps = AtomicU64::new(0);
    let mut fell = false;
    let mut codes: BTreeMap<String, u64> = BTreeMap::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let [a, b] = race.swapped.map(|name| world.ground.join(name));
            while !stop.load(Ordering::Relaxed) {
                if restoring.load(Ordering::Relaxed) {
                    std::thread::yield_now();
                    continue;
                }
                let _turn = turn.lock().unwrap();
                // Fails in the moments when an operation has taken one of them away.
                if renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).is_ok() {
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let started = Instant::now();
        let mut rounds = 0;
        while match rounds_wanted() {
            Some(wanted) => rounds < wanted,
            None => {
                started.elapsed() < SHORT
                    || (started.elapsed() < LONG && !has_happened(&codes, fell, &swaps))
            }
        } {
            for operation in OPERATIONS {
                rounds += 1;
                let seen = (operation.run)(&world.workspace, race.path.as_bytes());
                let told = tells(&seen, canary) || tells(&seen, inside_canary);
                assert!(!told, "{} told of the outside: {seen:?}", operation.name);
                // Where the wall is down, the same path reaches the canary.
                let open = std::fs::read_to_string(world.ground.join("place/canary"));
                fell |= open.is_ok_and(|text| text == SECRET);
                if seen.is_ok() && operation.changes() {
                    restoring.store(true, Ordering::Relaxed);
                    let _turn = turn.lock().unwrap();
                    restore(&world);
                    restoring.store(false, Ordering::Relaxed);
                }
                let code = seen.map_or_else(|code| code.to_string(), |_| "OK".into());
                *codes.entry(code).or_default() += 1;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(world.snapshot(), before, "the outside changed: {codes:?}");
    assert!(
        swaps.into_inner() > 100,
        "the race did not happen: {codes:?}"
    );
    assert!(fell, "the canary never fell without a wall: {codes:?}");
    for code in ["OK", ErrorCode::PathEscapeAttempt.as_str()] {
        assert!(codes.contains_key(code), "never {code}: {codes:?}");
    }
}

/// Whether the race has been seen from both sides, which on a busy machine takes longer.
fn has_happened(codes: &BTreeMap<String, u64>, fell: bool, swaps: &AtomicU64) -> bool {
    let told = ["OK", ErrorCode::PathEscapeAttempt.as_str()];
    fell && swaps.load(Ordering::Relaxed) > 100 && told.iter().all(|code| codes.contains_key(*code))
}

/// Everything as it was at first; the names do not change meanwhile.
fn restore(world: &World) {
    for name in ["place", "other", "link-to-canary", "own", "stolen"] {
        let path = world.ground.join(name);
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => std::fs::remove_dir_all(path).unwrap(),
            Ok(_) => std::fs::remove_file(path).unwrap(),
            Err(_) => {}
        }
    }
    prepare(world);
}

#[test]
fn a_directory_that_changes_places_with_a_link_never_leads_out() {
    run(&RACES[0], Resolver::Kernel, 1, &std::env::temp_dir());
}

#[test]
fn a_directory_in_memory_that_changes_places_with_a_link_never_leads_out() {
    for resolver in RESOLVERS {
        run(&RACES[0], resolver, 2, &memory());
    }
}

#[test]
fn a_directory_below_one_that_changes_places_with_a_link_never_leads_out() {
    run(&RACES[1], Resolver::Kernel, 0, &std::env::temp_dir());
    for resolver in RESOLVERS {
        run(&RACES[1], resolver, 1, &memory());
    }
}

#[test]
fn a_file_that_changes_places_with_a_link_never_leads_out() {
    run(&RACES[2], Resolver::Kernel, 0, &std::env::temp_dir());
    for resolver in RESOLVERS {
        run(&RACES[2], resolver, 0, &memory());
    }
}
