//! Tests that cannot run on a machine. Included by the test crates that need it: `#[path = "../support/skip.rs"]`.

use std::io::Write;

/// Says that the running test cannot run here, and why; the test then returns. `make test` counts it as skipped, by
/// name; with `CI` set it fails, because there everything is meant to be present.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    eprintln!("skipped: {test}: {why}");
    assert!(std::env::var_os("CI").is_none(), "skipped under CI: {why}");
    list(&format!("{test}: {why}"));
}

/// Says that the running test needs a device that this machine does not have and that no set-up could give it: its kernel
/// or its container would have to be another. The test then returns; it is listed by name, and is no failure even with
/// `CI` set.
#[allow(dead_code, reason = "few tests need a device")]
pub fn lacks_device(device: &str, why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    eprintln!("not on this machine: {test}: {device}: {why}");
    list(&format!("no device: {test}: {device}: {}", why.trim()));
}

fn list(line: &str) {
    if let Some(list) = std::env::var_os("TEST_SKIPS") {
        // One write: tests run in several threads and processes.
        let listed = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(list)
            .and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
        assert!(listed.is_ok(), "the list of skipped tests: {listed:?}");
    }
}
