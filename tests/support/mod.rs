//! What integration tests share.

use std::io::Write;

/// Says that a test cannot run on this machine, and why; the test then returns. `make test` counts it as skipped,
/// and with `CI=true` as failed.
pub fn skip(test: &str, why: &str) {
    println!("skipped: {test}: {why}");
    if let Some(list) = std::env::var_os("TEST_SKIPS")
        && let Ok(mut file) = std::fs::OpenOptions::new().create(true).append(true).open(list)
    {
        // One write: tests run in several threads and processes.
        let _ = file.write_all(format!("{test}: {why}\n").as_bytes());
    }
}
