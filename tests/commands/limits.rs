//! Commands that abuse what they were given, each bounded by its own text besides, at every level that works here: what
//! ends them, what is told, and that others do not notice.

use std::time::{Duration, Instant};

use agent_backend::backend::limits::{Limits, Mechanism, ScopeLimits};
use agent_backend::backend::local::command::{CommandOptions, Isolation};
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::error::{Error, ErrorCode, Limit};
use agent_backend::workspace::{
    CommandStatus, RunOptions, ScopeOptions, Workspace, WorkspaceOptions,
};

use super::limited::{Fixture, LEVELS, options, run};
use super::support::eventually;
use super::workspace::wait;

/// The command is ended for a limit, with what it had printed, and a neighbour goes on as if nothing was.
fn ends(fixture: &Fixture, command: &str, limits: Limits, limit: Limit) -> Error {
    let neighbour = fixture.scope("neighbour");
    run(&neighbour, "echo warm", Limits::default()).unwrap();
    let others = std::thread::spawn(move || {
        (0..5)
            .map(|_| {
                let begun = Instant::now();
                let done = run(&neighbour, "echo alive", Limits::default()).unwrap();
                assert_eq!(done.stdout, b"alive\n");
                begun.elapsed()
            })
            .max()
            .unwrap()
    });
    let begun = Instant::now();
    let outcome = run(&fixture.scope("abuser"), command, limits);
    let took = begun.elapsed();
    let level = fixture.level.as_str();
    let error = outcome.expect_err(level);
    assert_eq!(error.code(), ErrorCode::LimitExceeded, "{level}: {error}");
    assert_eq!(error.limit(), Some(limit), "{level}: {error}");
    let failure = error.failure().expect("what it had printed");
    assert_eq!(failure.stdout, b"begun\n", "{level}");
    assert!(took < Duration::from_secs(15), "{level}: {took:?}");
    let slowest = others.join().unwrap();
    assert!(slowest < Duration::from_secs(3), "{level}: {slowest:?}");
    error
}

/// Sleepers of this test, which carry its mark on their command lines.
fn sleepers(seconds: &str) -> usize {
    let is_one = |path: std::path::PathBuf| {
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        line.starts_with(b"sleep\0") && line.ends_with(format!("{seconds}\0").as_bytes())
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter(|entry| is_one(entry.path())).count()
}

#[test]
fn too_many_processes_end_with_all_of_them() {
    for (index, fixture) in Fixture::all().enumerate() {
        let limits = Limits {
            processes: Some(12),
            ..Limits::default()
        };
        // Forty sleepers, half of them in sessions of their own, and no more.
        let mark = format!("61.{}{index}", std::process::id());
        let bomb = format!(
            "echo begun; for i in $(seq 20); do sleep {mark} & setsid sleep {mark} & done; wait"
        );
        ends(&fixture, &bomb, limits, Limit::Processes);
        eventually("all sleepers are gone", || sleepers(&mark) == 0);
        let few = "for i in 1 2 3 4; do sleep 0.2 & done; wait; echo done";
        let done = run(&fixture.scope("abuser"), few, limits).unwrap();
        assert_eq!(done.stdout, b"done\n");
    }
}

#[test]
fn too_much_memory_ends_it() {
    for fixture in Fixture::all() {
        let limits = |mib: u64| Limits {
            memory_bytes: Some(mib << 20),
            ..Limits::default()
        };
        // 400 MiB and no more, a little at a time, and then a while to be looked at.
        let hog = "echo begun; python3 -c 'import time\nkept = []\nfor i in range(100):\n    kept.append(bytearray(4 << 20)); time.sleep(0.005)\ntime.sleep(5)'";
        ends(&fixture, hog, limits(64), Limit::Memory);
        let modest = "python3 -c 'print(len(bytearray(20 << 20)))'";
        let done = run(&fixture.scope("abuser"), modest, limits(256)).unwrap();
        assert_eq!(done.stdout, b"20971520\n", "{:?}", fixture.level);
    }
}

#[test]
fn memory_of_several_processes_counts_together() {
    for fixture in Fixture::all() {
        let limits = Limits {
            memory_bytes: Some(96 << 20),
            ..Limits::default()
        };
        let part = "python3 -c 'import time; kept = bytearray(48 << 20); time.sleep(5)'";
        let parts = format!("echo begun; {part} & {part} & {part} & wait");
        ends(&fixture, &parts, limits, Limit::Memory);
    }
}

#[test]
fn computing_for_too_long_ends_it() {
    for fixture in Fixture::all() {
        let limits = Limits {
            cpu_seconds: Some(0.5),
            ..Limits::default()
        };
        let burn = "timeout 20 bash -c 'while :; do :; done'";
        // Each of the two computes for less than the limit.
        let burner = format!("echo begun; {burn} & {burn} & wait");
        let error = ends(&fixture, &burner, limits, Limit::Cpu);
        assert!(error.message().contains("cpuSeconds"), "{error}");
        let idle = run(&fixture.scope("abuser"), "sleep 1; echo rested", limits).unwrap();
        assert_eq!(idle.stdout, b"rested\n");
    }
}

#[test]
fn too_large_a_file_ends_it() {
    for fixture in Fixture::all() {
        let limits = Limits {
            file_size_bytes: Some(1 << 20),
            ..Limits::default()
        };
        let filler = "echo begun; exec head -c 30000000 /dev/zero > large";
        ends(&fixture, filler, limits, Limit::FileSize);
        let large = fixture.base.path().join("root/abuser/large");
        assert_eq!(large.metadata().unwrap().len(), 1 << 20);
        let fits = "head -c 1000000 /dev/zero > small && wc -c < small";
        let done = run(&fixture.scope("abuser"), fits, limits).unwrap();
        assert_eq!(done.stdout, b"1000000\n");
    }
}

#[test]
fn a_process_has_no_more_open_files_than_it_may() {
    for fixture in Fixture::all() {
        let limits = Limits {
            open_files: Some(32),
            ..Limits::default()
        };
        let opens = "python3 -c '\nimport os\nn = 0\ntry:\n    while n < 100: os.dup(0); n += 1\nexcept OSError as e: print(e.errno, n < 32)'; ulimit -Hn";
        let done = run(&fixture.scope("abuser"), opens, limits).unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert_eq!(said, "24 True\n32\n", "{:?}", fixture.level);
    }
}

#[test]
fn what_ignores_a_polite_signal_ends_at_its_time_limit() {
    for fixture in Fixture::all() {
        let stubborn =
            "trap '' TERM INT HUP; echo begun; for i in 1 2 3 4 5 6 7 8 9; do sleep 1; done";
        let limited = RunOptions {
            timeout_ms: Some(500),
            limits: Limits {
                processes: Some(50),
                ..Limits::default()
            },
            ..RunOptions::default()
        };
        let begun = Instant::now();
        let error = wait(fixture.scope("abuser").run(stubborn, limited)).unwrap_err();
        // Not `processes`: nothing was refused before it was ended.
        assert_eq!(error.code(), ErrorCode::Timeout, "{error}");
        assert_eq!(error.failure().unwrap().stdout, b"begun\n");
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn a_background_command_is_ended_too_and_says_why() {
    for fixture in Fixture::all() {
        let limits = Limits {
            cpu_seconds: Some(0.3),
            ..Limits::default()
        };
        let burner = "timeout 20 bash -c 'while :; do :; done'";
        let spawned = fixture.scope("abuser").spawn(burner, options(limits));
        let command = wait(spawned).unwrap();
        eventually("it was ended", || {
            !matches!(command.status(), CommandStatus::Running)
        });
        let CommandStatus::Failed(error) = command.status() else {
            panic!("{:?}", command.status());
        };
        assert_eq!(error.limit(), Some(Limit::Cpu), "{error}");
    }
}

#[test]
fn all_commands_of_a_scope_together_have_a_bound_and_another_scope_has_its_own() {
    let limits = ScopeLimits {
        processes: Some(24),
        ..ScopeLimits::default()
    };
    for level in LEVELS {
        let Some(fixture) = Fixture::new(level, limits, None) else {
            continue;
        };
        let crowd = |count: u32| format!("for i in $(seq {count}); do sleep 8 & done; wait");
        let quiet = |name: &str, count| {
            let spawned = fixture
                .scope(name)
                .spawn(&crowd(count), options(Limits::default()));
            wait(spawned).unwrap()
        };
        let (one, other) = (quiet("a", 8), quiet("b", 8));
        std::thread::sleep(Duration::from_millis(200));
        let error = run(&fixture.scope("a"), &crowd(30), Limits::default()).unwrap_err();
        assert_eq!(error.limit(), Some(Limit::Processes), "{level:?}: {error}");
        assert!(
            error.message().contains("all commands of this scope"),
            "{error}"
        );
        for command in [one, other] {
            assert!(
                matches!(command.status(), CommandStatus::Running),
                "{level:?}"
            );
            command.kill(9);
        }
    }
}

#[test]
fn a_limit_that_nothing_here_can_keep_is_refused_and_none_is_weakened() {
    for fixture in Fixture::all() {
        let limits = Limits {
            cpus: Some(0.2),
            ..Limits::default()
        };
        let burner = "timeout 1 bash -c 'while :; do :; done'; times | tail -1";
        let outcome = run(&fixture.scope("abuser"), burner, limits);
        match fixture.mechanism("cpus") {
            Some(Mechanism::Cgroup) => {
                // `0m0.210s 0m0.004s`, of the children of the shell.
                let said = String::from_utf8(outcome.unwrap().stdout).unwrap();
                let seconds = said.split(['m', 's']).nth(1).unwrap().parse::<f64>();
                assert!(seconds.clone().unwrap() < 0.6, "{said}");
            }
            _ => {
                let error = outcome.unwrap_err();
                assert_eq!(error.code(), ErrorCode::MissingUtilities, "{error}");
                assert!(error.message().contains("cpus"), "{error}");
            }
        }
    }
}

#[test]
fn a_command_cannot_ask_for_more_than_its_backend_allows() {
    let base = tempfile::tempdir().unwrap();
    let backend = LocalBackend::open(LocalOptions {
        root_dir: base.path().join("root"),
        state_dir: Some(base.path().join("state")),
        command: CommandOptions {
            isolation: Isolation::None,
            limits: Limits {
                open_files: Some(64),
                ..Limits::default()
            },
            ..CommandOptions::default()
        },
        ..LocalOptions::default()
    });
    let scope = ScopeOptions::default();
    let workspace = Workspace::new(backend.unwrap(), WorkspaceOptions::default(), scope);
    for (asked, given) in [(None, "64\n"), (Some(32), "32\n"), (Some(1000), "64\n")] {
        let limits = Limits {
            open_files: asked,
            ..Limits::default()
        };
        let done = run(&workspace, "ulimit -n", limits).unwrap();
        assert_eq!(done.stdout, given.as_bytes());
    }
    let absurd = Limits {
        memory_bytes: Some(5),
        ..Limits::default()
    };
    let error = run(&workspace, "true", absurd).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
}

#[test]
fn as_root_limits_hold_by_control_groups_where_these_can_be_written() {
    for fixture in Fixture::all() {
        let writable = rustix::process::geteuid().is_root();
        if let (true, Some(Mechanism::Watch)) = (writable, fixture.mechanism("processes")) {
            let told = fixture.backend.launcher().limit_enforcement().unwrap();
            crate::skip::skip(&told[1].reason);
        }
        for told in fixture.backend.launcher().limit_enforcement().unwrap() {
            eprintln!(
                "{}: {} {:?} {}",
                fixture.level.as_str(),
                told.limit,
                told.by,
                told.reason
            );
        }
        assert_eq!(fixture.mechanism("fileSizeBytes"), Some(Mechanism::Rlimit));
        assert_eq!(fixture.mechanism("maxBytes"), Some(Mechanism::Watch));
    }
}

#[test]
fn limits_cost_a_command_little() {
    for fixture in Fixture::all() {
        let scope = fixture.scope("abuser");
        let limits = Limits {
            memory_bytes: Some(1 << 30),
            processes: Some(200),
            cpu_seconds: Some(100.0),
            ..Limits::default()
        };
        let median = |limits: Limits| {
            run(&scope, "true", limits).unwrap();
            let mut took: Vec<Duration> = (0..15)
                .map(|_| {
                    let begun = Instant::now();
                    run(&scope, "true", limits).unwrap();
                    begun.elapsed()
                })
                .collect();
            took.sort_unstable();
            took[7]
        };
        let (without, with) = (median(Limits::default()), median(limits));
        eprintln!(
            "{}: {without:?} without limits, {with:?} with",
            fixture.level.as_str()
        );
        assert!(with < without + Duration::from_millis(100));
    }
}

#[test]
fn what_a_command_with_limits_left_running_ends_with_its_scope_even_where_it_called_setsid() {
    for (index, fixture) in Fixture::all().enumerate() {
        let grouped = fixture.mechanism("processes") == Some(Mechanism::Cgroup);
        if fixture.level == Isolation::None && !grouped {
            continue; // There it is promised for the process group alone.
        }
        let limits = Limits {
            processes: Some(50),
            ..Limits::default()
        };
        let mark = format!("62.{}{index}", std::process::id());
        let leaves =
            format!("setsid sleep {mark} >/dev/null 2>&1 < /dev/null & sleep 0.2; echo left");
        let scope = fixture.scope("abuser");
        assert_eq!(run(&scope, &leaves, limits).unwrap().stdout, b"left\n");
        if fixture.level == Isolation::None {
            assert_eq!(sleepers(&mark), 1, "it goes on after its command");
        }
        wait(scope.destroy()).unwrap();
        eventually("it is gone", || sleepers(&mark) == 0);
    }
}
