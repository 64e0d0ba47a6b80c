//! Ten thousand living scopes must fit in one process.

use std::fs;

use agent_backend::workspace::{ScopeOptions, Workspace};

use crate::fixture::{Depth, Fixture, Verbs};

const SCOPES: usize = 10_000;
const BYTES_PER_SCOPE: usize = 50 << 10;

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// What the process holds in memory, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib << 10
}

/// Other tests of this process open descriptors and take memory meanwhile; the bounds leave room for theirs, not for
/// one per scope.
fn live_cheaply(f: &Fixture) {
    f.root.put("before", "1");
    let (descriptors, memory) = (open_descriptors(), resident());
    let scopes: Vec<Workspace> = (0..SCOPES)
        .map(|number| {
            let path = format!("tenants/{number}/workspace");
            f.root.scope(path, ScopeOptions::default()).unwrap()
        })
        .collect();
    // One in ten is in use, and all answer.
    for scope in scopes.iter().step_by(10) {
        scope.put("state", "1");
    }
    for (number, scope) in scopes.iter().enumerate() {
        assert_eq!(scope.has("state"), number % 10 == 0);
    }
    assert_eq!(f.root.active_scopes().len(), SCOPES);
    assert!(open_descriptors() < descriptors + SCOPES / 10);
    let grown = resident().saturating_sub(memory);
    assert!(grown < SCOPES * BYTES_PER_SCOPE, "{grown} bytes");
    drop(scopes);
    assert!(f.root.active_scopes().is_empty());
}

#[test]
fn ten_thousand_scopes_of_a_memory_backend_live_cheaply() {
    live_cheaply(&Fixture::memory(Depth::Root));
}

#[test]
fn ten_thousand_scopes_of_a_local_backend_live_cheaply() {
    live_cheaply(&Fixture::local(Depth::Root));
}
