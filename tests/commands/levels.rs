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
