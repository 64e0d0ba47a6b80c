//! Tests that look at the whole process need one of their own: what runs beside them would be measured too.

use std::process::Command;

const ALONE: &str = "AGENT_BACKEND_TEST_ALONE";

/// Runs the test of this name once more, in a process in which nothing else runs; `false` there.
pub fn ran_alone(name: &str) -> bool {
    ran_alone_with(name, |_| {})
}

/// As [`ran_alone`], in a process that is started with more.
pub fn ran_alone_with(name: &str, prepare: impl FnOnce(&mut Command)) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return false;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "1");
    prepare(&mut command);
    let ran = command.output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    true
}
