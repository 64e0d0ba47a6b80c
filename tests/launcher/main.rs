//! The launcher that serves: alone in a process, since it is shared by all that is in one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may say what it takes for granted"
)]

#[path = "../support/skip.rs"]
mod skip;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use agent_backend::backend::local::command::{CommandOptions, Isolation};
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::pool;
use agent_backend::workspace::{RunOptions, ScopeOptions, Workspace, WorkspaceOptions};

struct World {
    workspace: Workspace,
    _base: tempfile::TempDir,
}

fn world(isolation: Isolation) -> Option<World> {
    world_at(isolation, None)
}

/// With a root of its own, or another one.
fn world_at(isolation: Isolation, root: Option<&Path>) -> Option<World> {
    let base = tempfile::tempdir().unwrap();
    std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let own = base.path().join("root");
    let backend: Arc<LocalBackend> = LocalBackend::open(LocalOptions {
        root_dir: root.unwrap_or(&own).to_owned(),
        state_dir: Some(base.path().join("state")),
        command: CommandOptions {
            isolation,
            ..CommandOptions::default()
        },
        ..LocalOptions::default()
    })
    .unwrap();
    if let Err(error) = backend.launcher().isolation() {
        skip::skip(&error.to_string());
        return None;
    }
    let workspace = Workspace::new(
        backend,
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    );
    let workspace = workspace.scope("users/1", ScopeOptions::default()).unwrap();
    Some(World {
        workspace,
        _base: base,
    })
}

fn run(world: &World, command: &str) -> String {
    let call = world.workspace.run(command, RunOptions::default());
    let output = pool::runtime().block_on(call.into_future()).unwrap();
    assert_eq!(output.exit_code, Some(0), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The launchers of this process that serve.
fn launchers() -> Vec<i32> {
    let me = std::process::id().to_string();
    std::fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let fields: Vec<&str> = stat
                .rsplit(')')
                .next()
                .unwrap()
                .split_whitespace()
                .collect();
            fields.get(1) == Some(&me.as_str()) && fields.first() != Some(&"Z")
        })
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(b"agent-backend\0launch\0")
        })
        .collect()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn children() -> usize {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .flatten()
        .map(|thread| std::fs::read_to_string(thread.path().join("children")).unwrap_or_default())
        .map(|children| children.split_whitespace().count())
        .sum()
}

/// One test: what it looks at belongs to the whole process.
#[test]
fn one_launcher_serves_all_commands_leaves_nothing_behind_and_is_replaced_when_it_is_gone() {
    for isolation in [Isolation::Landlock, Isolation::Bwrap] {
        let Some(world) = world(isolation) else {
            return;
        };
        assert_eq!(run(&world, "echo first"), "first\n");
        let served_by = launchers();
        for _ in 0..30 {
            run(&world, "true");
        }
        let (open, alive) = (descriptors(), children());
        for n in 0..300 {
            assert_eq!(run(&world, &format!("echo {n}")), format!("{n}\n"));
        }
        assert_eq!(launchers(), served_by, "{isolation:?}");
        assert!(
            descriptors() <= open + 8,
            "{isolation:?}: {open} {}",
            descriptors()
        );
        assert!(
            children() <= alive + 2,
            "{isolation:?}: {alive} {}",
            children()
        );

        // Nothing of one command is in the next.
        run(
            &world,
            "export LEFT=1; umask 0777; ulimit -n 64; cd /; echo x > ${TMPDIR:-/tmp}/left",
        );
        let next = run(&world, "echo ${LEFT-none} $(umask) $(ulimit -n) $PWD");
        assert!(next.starts_with("none 00"), "{next}");
        assert!(!next.contains(" 0777 ") && !next.contains(" 64 "), "{next}");
        assert!(next.trim_end().ends_with("users/1"), "{next}");

        for pid in &served_by {
            let pid = rustix::process::Pid::from_raw(*pid).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
        }
        let gone = || launchers().iter().all(|pid| !served_by.contains(pid));
        while !gone() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(run(&world, "echo again"), "again\n");
        replaced_with_an_order_that_it_has_not_read(&world);
        drop(world);
    }
    nobody_is_left();

    // In a root that holds our binary, as that of an application holds its packages, a copy is executed.
    let binary = Path::new(env!("CARGO_BIN_EXE_agent-backend"));
    let Some(world) = world_at(Isolation::Bwrap, binary.parent()) else {
        return;
    };
    assert_eq!(run(&world, "echo sealed"), "sealed\n");
    if rustix::process::geteuid().is_root() {
        for pid in launchers() {
            let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap();
            assert!(
                program.starts_with("/memfd:agent-backend (deleted)"),
                "{program:?}"
            );
        }
        assert_eq!(launchers().len(), 1);
    }
    drop(world);
    let made = binary.with_file_name("users");
    std::fs::remove_dir_all(made).unwrap();
    nobody_is_left();
}

/// One that is killed before it looks at what it is to start: another one starts it.
fn replaced_with_an_order_that_it_has_not_read(world: &World) {
    let signal = |pids: &[i32], signal| {
        for pid in pids {
            let pid = rustix::process::Pid::from_raw(*pid).unwrap();
            rustix::process::kill_process(pid, signal).unwrap();
        }
    };
    let serving = launchers();
    signal(&serving, rustix::process::Signal::STOP);
    let ran = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(world, "echo once >> ran; cat ran"));
        std::thread::sleep(std::time::Duration::from_millis(300));
        signal(&serving, rustix::process::Signal::KILL);
        running.join().unwrap()
    });
    assert_eq!(ran, "once\n");
    run(world, "rm ran");
}

/// Launchers that nobody uses any more end.
fn nobody_is_left() {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !launchers().is_empty() {
        assert!(std::time::Instant::now() < deadline, "{:?}", launchers());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn by_hand_the_mode_refuses_what_is_no_order() {
    let binary = env!("CARGO_BIN_EXE_agent-backend");
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join("order");
    std::fs::write(&file, "rubbish\0--\0/bin/true\0true\0").unwrap();
    for text in [
        format!("exec {binary} launch 0 </dev/null"),
        format!("exec {binary} launch 9 9<{}", file.display()),
        format!("exec {binary} launch 77"),
    ] {
        let done = Command::new("/bin/bash")
            .args(["-c", &text])
            .output()
            .unwrap();
        assert_eq!(done.status.code(), Some(125), "{text}: {done:?}");
        let said = String::from_utf8(done.stderr).unwrap();
        assert!(
            said.starts_with("agent-backend launcher: "),
            "{text}: {said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let words = Command::new(binary).args(["launch", "x"]).output().unwrap();
    assert_eq!(words.status.code(), Some(1));
}
