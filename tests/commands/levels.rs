//! Which level is taken, what is trusted to make it, and what works in it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use agent_backend::backend::local::command::{CommandOptions, Isolation, Launcher};
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::backend::process::Stdin;
use agent_backend::backend::{Content, ReadOptions, WriteOptions};
use agent_backend::error::ErrorCode;
use agent_backend::workspace::{RunOptions, ScopeOptions, Workspace, WorkspaceOptions};

use super::support::Fixture;
use super::walled::fixture;
use super::workspace::wait;

#[test]
fn a_launcher_that_others_could_have_planted_is_not_run() {
    let base = tempfile::tempdir().unwrap();
    let planted = base.path().join("bwrap");
    let proof = base.path().join("proof");
    std::fs::write(&planted, format!("#!/bin/sh\ntouch {}\n", proof.display())).unwrap();
    std::fs::set_permissions(&planted, std::fs::Permissions::from_mode(0o777)).unwrap();
    let launcher = Launcher::new(CommandOptions {
        isolation: Isolation::Bwrap,
        launcher_path: Some(planted),
        state_dir: Some(base.path().join("state")),
        ..CommandOptions::default()
    });
    let error = launcher.unwrap().isolation().unwrap_err();
    assert_eq!(error.code(), ErrorCode::MissingUtilities);
    // To root it is one that anybody could change; to an ordinary user, one that is not root's.
    assert!(error.message().contains("is not run"), "{error}");
    assert!(!proof.exists());
}

#[test]
fn a_planted_bwrap_in_the_workspace_is_not_run() {
    let Some(fixture) = fixture() else { return };
    let planted = fixture.root().join("bwrap");
    std::fs::write(&planted, "#!/bin/sh\necho planted\n").unwrap();
    std::fs::set_permissions(&planted, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", fixture.root().display());
    let done = fixture.run_with("echo real", Stdin::Null, &[("PATH", Some(&path))]);
    assert_eq!(done.text(), "real");
}

#[test]
fn a_level_asked_for_by_name_that_does_not_work_is_an_error_and_auto_takes_less() {
    let base = tempfile::tempdir().unwrap();
    let options = |isolation| CommandOptions {
        isolation,
        launcher_path: Some("/no/such/bwrap".into()),
        state_dir: Some(base.path().join("state")),
        ..CommandOptions::default()
    };
    let named = Launcher::new(options(Isolation::Bwrap)).unwrap();
    assert_eq!(
        named.isolation().unwrap_err().code(),
        ErrorCode::MissingUtilities
    );
    let auto = Launcher::new(options(Isolation::Auto)).unwrap();
    let next_best = match Fixture::new(Isolation::Landlock).launcher.isolation() {
        Ok(level) => level,
        Err(_) => Isolation::Software,
    };
    assert_eq!(auto.isolation().unwrap(), next_best);
    let weakness = auto.weakness().unwrap();
    assert!(
        weakness.contains("bwrap") && weakness.contains(next_best.as_str()),
        "{weakness}"
    );
    // What only namespaces can do is not promised by anything less.
    let promised = CommandOptions {
        hidden_paths: vec!["/usr/share/doc".into()],
        ..options(Isolation::Auto)
    };
    let promised = Launcher::new(promised).unwrap();
    assert_eq!(
        promised.isolation().unwrap_err().code(),
        ErrorCode::MissingUtilities
    );
}

#[test]
fn where_a_wall_is_required_files_go_on_being_served_and_commands_do_not_start_without_it() {
    let base = tempfile::tempdir().unwrap();
    let open = |isolation| {
        let backend = LocalBackend::open(LocalOptions {
            root_dir: base.path().join("root"),
            state_dir: Some(base.path().join("state")),
            command: CommandOptions {
                isolation,
                require_wall: true,
                launcher_path: Some("/no/such/bwrap".into()),
                ..CommandOptions::default()
            },
            ..LocalOptions::default()
        });
        let backend = backend.unwrap();
        let scope = ScopeOptions::default();
        let workspace = Workspace::new(backend.clone(), WorkspaceOptions::default(), scope);
        (backend, workspace)
    };
    let touch = |workspace: &Workspace| wait(workspace.run("touch made", RunOptions::default()));
    let (backend, workspace) = open(Isolation::Auto);
    let refusals = [
        touch(&workspace).unwrap_err(),
        backend.launcher().isolation().unwrap_err(),
        wait(workspace.spawn("touch made", RunOptions::default())).unwrap_err(),
    ];
    for error in refusals {
        assert_eq!(error.code(), ErrorCode::MissingUtilities);
        for part in ["/no/such/bwrap", "bubblewrap", "--isolation software"] {
            assert!(error.message().contains(part), "{error}");
        }
    }
    assert!(backend.launcher().weakness().is_none());
    let content = Content::owned(b"served".to_vec());
    wait(workspace.write("file", content, WriteOptions::default())).unwrap();
    let read = wait(workspace.read("file", ReadOptions::default())).unwrap();
    assert_eq!(&read.bytes[..], b"served");
    assert!(!base.path().join("root/made").exists());
    for named in [Isolation::Software, Isolation::None] {
        let (backend, workspace) = open(named);
        assert_eq!(backend.launcher().isolation().unwrap(), named);
        assert_eq!(touch(&workspace).unwrap().exit_code, Some(0));
    }
}

#[test]
fn where_a_wall_is_required_and_works_it_is_taken() {
    if fixture().is_none() {
        return;
    }
    let walled = Fixture::with(CommandOptions {
        require_wall: true,
        ..CommandOptions::default()
    });
    assert_eq!(walled.launcher.isolation().unwrap(), Isolation::Bwrap);
    assert_eq!(walled.run("echo walled").text(), "walled");
}

#[test]
fn a_workspace_in_the_place_of_the_system_is_refused() {
    let Some(fixture) = fixture() else { return };
    for path in ["/", "/usr", "/etc", "/tmp", "/proc"] {
        let error = fixture
            .start_in(Path::new(path), Fixture::spec("true"))
            .unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{path}");
    }
}

#[test]
fn everyday_tools_work() {
    let Some(fixture) = fixture() else { return };
    everyday_tools(&fixture);
    let rustup = std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|directory| directory.join("rustup").exists())
    });
    if rustup {
        assert_eq!(fixture.run("command -v cargo").status.code, Some(0));
    }
}

#[test]
fn everyday_tools_work_behind_landlock() {
    if let Some(fixture) = super::landlocked::fixture() {
        everyday_tools(&fixture);
    }
}

fn everyday_tools(fixture: &Fixture) {
    let works = |command: &str| {
        let done = fixture.run(command);
        assert_eq!(
            done.status.code,
            Some(0),
            "{command}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        done.text().to_owned()
    };
    works(
        "git init -q . && git config user.email a@b.c && git config user.name n && echo 1 > f && git add . && git commit -qm one && git log --oneline",
    );
    assert_eq!(works("python3 -c 'print(6*7)'"), "42");
    assert_eq!(works("node -e 'console.log(6*7)'"), "42");
    works("npm --version && npm init -y >/dev/null && npm pkg get name");
    works(
        "python3 -m venv .venv && .venv/bin/python -c 'import sys; print(sys.prefix)' && .venv/bin/pip --version",
    );
    works("pip --version");
    works(
        "ls -la | grep -v '^$' | sort | head -3; echo \"$(date)\" > /dev/null; getent hosts localhost",
    );
    // A script in cargo's place may need anything; the proxies of rustup do not.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let cargo = std::env::split_paths(&path)
        .map(|directory| directory.join("cargo"))
        .find(|path| path.exists());
    let proxy = cargo.and_then(|path| path.canonicalize().ok());
    // Without mounts of its own, another user does not get to tools in the home of root.
    let reachable = fixture.run("command -v cargo").status.code == Some(0);
    if reachable && proxy.is_some_and(|path| path.ends_with("rustup")) {
        works(
            "cargo --version && cargo new -q --vcs none hello && cd hello && cargo run -q --offline",
        );
    }
}

/// A root in a directory of the system, as in images whose work is in `/usr/src/app`; needs the right to make it.
fn root_in_the_system(
    isolation: Isolation,
    by_link: bool,
) -> Option<([tempfile::TempDir; 2], Workspace)> {
    let base = tempfile::tempdir_in("/usr").ok()?;
    let state = tempfile::tempdir().unwrap();
    std::fs::set_permissions(state.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut root_dir = base.path().join("app");
    if by_link {
        std::fs::create_dir(&root_dir).unwrap();
        std::os::unix::fs::symlink("app", base.path().join("link")).unwrap();
        root_dir = base.path().join("link");
    }
    let backend = LocalBackend::open(LocalOptions {
        root_dir,
        state_dir: Some(state.path().join("state")),
        command: CommandOptions {
            isolation,
            ..CommandOptions::default()
        },
        ..LocalOptions::default()
    });
    let scope = ScopeOptions::default();
    let root = Workspace::new(backend.unwrap(), WorkspaceOptions::default(), scope);
    let two = root.scope("users/2", ScopeOptions::default()).unwrap();
    let content = Content::owned(b"of the other".to_vec());
    wait(two.write("secret", content, WriteOptions::default())).unwrap();
    Some(([base, state], root))
}

#[test]
fn a_root_that_lies_in_the_system_shows_a_scope_no_other() {
    if fixture().is_none() {
        return;
    }
    for by_link in [false, true] {
        for isolation in [Isolation::Bwrap, Isolation::Landlock, Isolation::None] {
            let Some(([base, _state], root)) = root_in_the_system(isolation, by_link) else {
                return;
            };
            let one = root.scope("users/1", ScopeOptions::default()).unwrap();
            let read = format!(
                "cat ../2/secret; cat {base}/app/users/2/secret; echo x > kept; true",
                base = base.path().display()
            );
            let outcome = wait(one.run(&read, RunOptions::default()));
            match isolation {
                // The canary: without a wall it is read.
                Isolation::None => assert!(!outcome.unwrap().stdout.is_empty()),
                Isolation::Bwrap => {
                    let output = outcome.unwrap();
                    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{output:?}");
                    let kept = one.read("kept", ReadOptions::default());
                    assert_eq!(&wait(kept).unwrap().bytes[..], b"x\n");
                }
                // Landlock cannot take back a part of what it grants, so that it is no level for this root.
                _ => {
                    let error = outcome.unwrap_err();
                    assert_eq!(error.code(), ErrorCode::MissingUtilities);
                    assert!(
                        error.message().contains("directory of the system"),
                        "{error}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_would_show_the_whole_workspace_or_the_state_is_no_path_to_show() {
    let base = tempfile::tempdir().unwrap();
    let options = |shown: &str| CommandOptions {
        root_dir: Some("/srv/app/workspace".into()),
        state_dir: Some(base.path().join("state")),
        read_only_paths: vec![shown.into()],
        ..CommandOptions::default()
    };
    for shown in [
        "/",
        "/srv",
        "/srv/app/workspace",
        base.path().to_str().unwrap(),
    ] {
        let refused = Launcher::new(options(shown)).unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidConfiguration, "{shown}");
        assert!(refused.message().contains("readOnlyPaths"), "{refused}");
    }
    for shown in [
        "/srv/app/workspace/shared",
        "/srv/other",
        "/srv/application",
    ] {
        assert!(Launcher::new(options(shown)).is_ok(), "{shown}");
    }
}

#[test]
fn a_part_of_the_scope_can_be_shown_read_only() {
    let base = tempfile::tempdir().unwrap();
    std::fs::set_permissions(base.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let root_dir = base.path().join("root");
    let open = |isolation| {
        let backend = LocalBackend::open(LocalOptions {
            root_dir: root_dir.clone(),
            state_dir: Some(base.path().join("state")),
            command: CommandOptions {
                isolation,
                read_only_paths: vec![root_dir.join("users/1/templates")],
                ..CommandOptions::default()
            },
            ..LocalOptions::default()
        });
        let scope = ScopeOptions::default();
        let root = Workspace::new(backend.unwrap(), WorkspaceOptions::default(), scope);
        root.scope("users/1", ScopeOptions::default()).unwrap()
    };
    if fixture().is_none() {
        return;
    }
    let scope = open(Isolation::Bwrap);
    let content = Content::owned(b"letter".to_vec());
    wait(scope.write("templates/a", content, WriteOptions::default())).unwrap();
    let change = "cat templates/a; echo x > templates/a; mv templates gone; echo y > beside";
    let output = wait(scope.run(change, RunOptions::default())).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "letter");
    let read = |path: &str| {
        wait(scope.read(path, ReadOptions::default()))
            .unwrap()
            .bytes
    };
    assert_eq!(&read("templates/a")[..], b"letter");
    assert_eq!(&read("beside")[..], b"y\n");
    let refused = wait(open(Isolation::Landlock).run("true", RunOptions::default()));
    assert_eq!(refused.unwrap_err().code(), ErrorCode::InvalidConfiguration);
}

#[test]
fn what_a_command_left_has_ended_when_its_end_is_told() {
    let Some(fixture) = fixture() else { return };
    // This test runs twice at a time: for an ordinary user too.
    let mark = format!("8642{}", std::process::id());
    let wanted = format!("sleep\0{mark}\0");
    let left = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
        lines.filter(|line| line == wanted.as_bytes()).count()
    };
    let command =
        format!("for i in $(seq 20); do setsid sleep {mark} > /dev/null 2>&1 & done; exit 3");
    for _ in 0..20 {
        let done = fixture.run(&command);
        assert_eq!(done.status.code, Some(3));
        assert_eq!(left(), 0);
    }
}
