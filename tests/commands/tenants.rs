//! What a daemon asks before it serves several tenants: whether the wall keeps their commands apart.

use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;

use agent_backend::backend::local::command::{CommandOptions, Isolation};
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::backend::{Content, WriteOptions};
use agent_backend::error::ErrorCode;
use agent_backend::path::RelPath;
use agent_backend::workspace::{RunOptions, ScopeOptions, Workspace, WorkspaceOptions};

use super::workspace::wait;

struct Root {
    _base: tempfile::TempDir,
    backend: Arc<LocalBackend>,
}

fn root(isolation: Isolation, options: CommandOptions) -> Root {
    let base = tempfile::tempdir().unwrap();
    let backend = LocalBackend::open(LocalOptions {
        root_dir: base.path().join("root"),
        state_dir: Some(base.path().join("state")),
        command: CommandOptions {
            isolation,
            refuse_root: true,
            ..options
        },
        ..LocalOptions::default()
    });
    Root {
        backend: backend.unwrap(),
        _base: base,
    }
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes(), b"/").unwrap()
}

#[test]
fn a_weaker_wall_than_namespaces_serves_several_tenants_only_where_that_is_accepted() {
    for level in [Isolation::None, Isolation::Software, Isolation::Landlock] {
        let root = root(level, CommandOptions::default());
        let Ok(level) = root.backend.launcher().isolation() else {
            crate::skip::skip("no Landlock");
            continue;
        };
        let refused = root.backend.serves_several(&[path("a")], false);
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidConfiguration);
        for word in [level.as_str(), "--allow-weak-isolation", "bwrap"] {
            assert!(refused.message().contains(word), "{refused}");
        }
        assert!(!refused.message().contains('\n'), "{refused}");
        root.backend.serves_several(&[path("a")], true).unwrap();
    }
}

#[test]
fn where_no_command_runs_any_number_of_tenants_is_served() {
    let nothing = CommandOptions {
        launcher_path: Some("/no/such/bwrap".into()),
        ..CommandOptions::default()
    };
    let root = root(Isolation::Bwrap, nothing);
    root.backend.serves_several(&[path("a")], false).unwrap();
}

#[test]
fn commands_of_several_tenants_do_not_run_as_root() {
    let root = root(Isolation::Bwrap, CommandOptions::default());
    if let Err(error) = root.backend.launcher().isolation() {
        return crate::skip::skip(&error.to_string());
    }
    if !rustix::process::geteuid().is_root() {
        root.backend
            .serves_several(&[RelPath::root()], false)
            .unwrap();
        return;
    }
    let workspace = Workspace::new(
        root.backend.clone(),
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    );
    let scope = |name: &str| workspace.scope(name, ScopeOptions::default()).unwrap();
    // Directories that we make belong to an ordinary user, also those that are not there yet.
    let made = scope("made");
    wait(made.write("a", Content::owned("1"), WriteOptions::default())).unwrap();
    let whole = root.backend.serves_several(&[RelPath::root()], false);
    assert!(whole.unwrap_err().message().contains("chown"));
    let both = [path("made"), path("later")];
    root.backend.serves_several(&both, false).unwrap();
    let id = wait(made.run("id -u", RunOptions::default())).unwrap();
    assert_ne!(id.stdout, b"0\n");

    // What root made for them does not.
    let planted = std::path::Path::new(std::ffi::OsStr::new("planted"));
    let directory = std::str::from_utf8(workspace.root_dir()).unwrap();
    std::fs::create_dir(std::path::Path::new(directory).join(planted)).unwrap();
    let refused = root
        .backend
        .serves_several(&[path("made"), path("planted")], false);
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidConfiguration);
    assert!(refused.path().unwrap().ends_with("/planted"), "{refused}");
    assert!(refused.message().contains("chown"), "{refused}");
    let run = wait(scope("planted").run("id -u", RunOptions::default()));
    let run = run.unwrap_err();
    assert!(run.message().contains("as root"), "{run}");
}

#[test]
fn a_root_that_is_made_is_given_away_where_that_is_wished_and_one_that_was_there_is_not() {
    let base = tempfile::tempdir().unwrap();
    let there = base.path().join("there");
    std::fs::create_dir(&there).unwrap();
    for (directory, is_made) in [(base.path().join("a/made"), true), (there, false)] {
        let backend = LocalBackend::open(LocalOptions {
            root_dir: directory.clone(),
            state_dir: Some(base.path().join("state")),
            gives_root_away: true,
            ..LocalOptions::default()
        });
        backend.unwrap();
        let owner = |path: &std::path::Path| std::fs::metadata(path).unwrap().uid();
        let ours = rustix::process::geteuid().as_raw();
        let given = if ours == 0 && is_made { 60_600 } else { ours };
        assert_eq!(owner(&directory), given, "{directory:?}");
        assert_eq!(owner(directory.parent().unwrap()), ours);
    }
}
