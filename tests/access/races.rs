//! A name changes between a harmless file and a link to a hidden one as fast as the kernel can, while it is used.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use agent_backend::access::Allow;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::operations::OPERATIONS;
use crate::world::{CANARY, Kind, Setup, World};

/// Long enough for thousands of swaps; `ACCESS_RACE_SECONDS` makes it longer.
fn long() -> Duration {
    let seconds = std::env::var("ACCESS_RACE_SECONDS").ok();
    seconds
        .and_then(|text| text.parse().ok())
        .map_or(Duration::from_millis(1_500), Duration::from_secs)
}

struct Race {
    /// What changes places.
    names: [&'static str; 2],
    /// What is used meanwhile.
    path: &'static str,
    directory: bool,
    plant: fn(&World),
}

const RACES: [Race; 3] = [
    Race {
        names: ["pub/x", "pub/y"],
        path: "pub/x",
        directory: false,
        plant: |world| {
            world.put("pub/x", "the canary, but harmless");
            world.link("../secret/a", "pub/y");
        },
    },
    Race {
        names: ["pub/x", "pub/y"],
        path: "pub/x",
        directory: true,
        plant: |world| {
            world.put("pub/x/b", "the canary, but harmless");
            world.link("../secret/deep", "pub/y");
        },
    },
    Race {
        names: ["pub/x", "pub/y"],
        path: "pub/x/a",
        directory: false,
        plant: |world| {
            world.put("pub/x/a", "the canary, but harmless");
            world.put("pub/x/keep", "x");
            world.link("../secret", "pub/y");
        },
    },
];

fn run(race: &Race, kind: Kind, depth: usize) {
    let world = Setup::new(kind, depth)
        .rules(&[("secret/**", Allow::None)])
        .make();
    (race.plant)(&world);
    let secret = || {
        (
            world.get("secret/a"),
            world.get("secret/deep/b"),
            world.get("secret/deep/new"),
        )
    };
    let before = secret();
    let inodes: Vec<String> = ["secret/a", "secret/deep", "secret/deep/b", "secret"]
        .iter()
        .map(|path| {
            let path = world.ground.join(path);
            let stat = std::fs::symlink_metadata(path).unwrap();
            format!("ino: {},", std::os::unix::fs::MetadataExt::ino(&stat))
        })
        .collect();
    let names = race.names.map(|name| world.ground.join(name));
    let (stop, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut codes: BTreeMap<String, u64> = BTreeMap::new();
    let mut fell = false;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let [a, b] = &names;
                if renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok() {
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let started = Instant::now();
        while started.elapsed() < long() {
            for operation in OPERATIONS {
                // What takes the names away or puts other things there would end the race.
                let ends_it = ["rm", "rename", "mkdir"]
                    .iter()
                    .any(|verb| operation.name.starts_with(verb));
                if operation.directory != race.directory
                    || (ends_it && operation.name != "rename to below")
                {
                    continue;
                }
                let seen = (operation.run)(&world.workspace, race.path);
                let text = seen.clone().unwrap_or_default();
                let told = text.contains(CANARY) && !text.contains("harmless")
                    || inodes.iter().any(|inode| text.contains(inode.as_str()));
                assert!(!told, "{} told of the hidden: {text}", operation.name);
                let code = seen.map_or_else(|code| code.to_string(), |_| "OK".into());
                *codes.entry(code).or_default() += 1;
            }
            // Where no policy holds, the same path reaches it.
            let path = if race.directory {
                format!("{}/b", race.path)
            } else {
                race.path.to_owned()
            };
            fell |= world.get(&path).as_deref() == Some(CANARY);
            // Writes made files of their own, and a replaced link's other name.
            if world.get("own").is_none() {
                world.put("own", "plain");
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(secret(), before, "the hidden changed: {codes:?}");
    println!(
        "{kind:?} {}: {} swaps, {codes:?}",
        race.path,
        swaps.load(Ordering::Relaxed)
    );
    assert!(
        swaps.into_inner() > 100,
        "the race did not happen: {codes:?}"
    );
    assert!(fell, "the canary never fell without a policy: {codes:?}");
    for code in ["OK", "POLICY_DENIED"] {
        assert!(codes.contains_key(code), "never {code}: {codes:?}");
    }
}

#[test]
fn a_file_that_changes_places_with_a_link_is_judged_as_what_was_opened() {
    run(&RACES[0], Kind::Kernel, 1);
    run(&RACES[0], Kind::Inline, 0);
    run(&RACES[0], Kind::Walker, 2);
}

#[test]
fn a_directory_that_changes_places_with_a_link_is_judged_as_what_was_opened() {
    run(&RACES[1], Kind::Kernel, 0);
    run(&RACES[1], Kind::Inline, 2);
    run(&RACES[1], Kind::Walker, 1);
}

#[test]
fn a_directory_on_the_way_that_changes_places_with_a_link_is_judged_by_what_was_opened() {
    run(&RACES[2], Kind::Kernel, 1);
    run(&RACES[2], Kind::Inline, 1);
    run(&RACES[2], Kind::Walker, 0);
}
