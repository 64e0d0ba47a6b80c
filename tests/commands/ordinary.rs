//! The wall as an ordinary user has it, who can neither stage mounts nor change the uid.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

#[test]
fn the_wall_stands_for_an_ordinary_user_too() {
    if !rustix::process::geteuid().is_root() {
        return; // Then all other tests show it.
    }
    let base = tempfile::tempdir().unwrap();
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    open(base.path());
    let program = base.path().join("commands");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    // Commands are launched through it, and it is looked for beside the code.
    let launcher = base.path().join("agent-backend");
    std::fs::copy(env!("CARGO_BIN_EXE_agent-backend"), &launcher).unwrap();
    open(&launcher);
    open(&program);
    let home = base.path().join("home");
    std::fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(1000), Some(1000)).unwrap();
    let mut tests = Command::new("/usr/bin/setpriv");
    tests.args(["--reuid", "1000", "--regid", "1000", "--clear-groups"]);
    tests.arg(&program).args([
        "walled::",
        "network::",
        "landlocked::",
        "levels::",
        "syscalls::",
        "limits::",
        "quota::",
        "terminal::",
    ]);
    tests.env_clear().current_dir(&home).env("HOME", &home);
    tests.env("PATH", "/usr/local/bin:/usr/bin:/bin");
    if let Some(value) = std::env::var_os("CI") {
        tests.env("CI", value);
    }
    let done = tests.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}");
    for test in [
        "walled::another_tenant_and_the_host_are_invisible",
        "limits::too_much_memory_ends_it",
        "limits::too_many_processes_end_with_all_of_them",
    ] {
        assert!(said.contains(&format!("{test} ... ok")), "{said}");
    }
}
