//! Tests that cannot run on a machine. Included by the test crates that need it: `#[path = "../support/skip.rs"]`.

use std::io::Write;

/// Says that the running test cannot run here, and why; the test then returns. `make test` counts it as skipped, by
/// name; with `CI` set it fails, because there everything is meant to be present.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    eprintln!("skipped: {test}: {why}");
    assert!(std::env::var_os("CI").is_none(), "skipped under CI: {why}");
    if let Some(list) = std::env::var_os("TEST_SKIPS") {
        // One write: tests run in several threads and processes.
        let listed = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(list)
            .and_then(|mut file| file.write_all(format!("{test}: {why}\n").as_bytes()));
        assert!(listed.is_ok(), "the list of skipped tests: {listed:?}");
    }
}
