//! Searches and edits through a workspace over a directory of the disk.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::backend::search::GrepQuery;
use agent_backend::call::Call;
use agent_backend::error::{ErrorCode, Result};
use agent_backend::pool;
use agent_backend::workspace::{
    Edit, EditOptions, ScopeOptions, SearchOptions, Workspace, WorkspaceOptions,
};
use tokio_util::sync::CancellationToken;

use crate::support::{paths, tree};

struct Fixture {
    workspace: Workspace,
    root: tempfile::TempDir,
    _state: tempfile::TempDir,
}

fn fixture(files: &[(&str, &str)]) -> Fixture {
    let root = tree(files);
    let state = tempfile::tempdir().unwrap();
    let backend = LocalBackend::open(LocalOptions {
        root_dir: root.path().to_path_buf(),
        state_dir: Some(state.path().to_path_buf()),
        ..LocalOptions::default()
    })
    .unwrap();
    let workspace = Workspace::new(
        backend,
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    );
    Fixture {
        workspace,
        root,
        _state: state,
    }
}

fn block<T: 'static>(call: Call<T>) -> Result<T> {
    pool::runtime().block_on(call)
}

fn grep(pattern: &str) -> GrepQuery {
    GrepQuery {
        pattern: pattern.to_owned(),
        ..GrepQuery::default()
    }
}

fn edit(old: &str, new: &str) -> Vec<Edit> {
    vec![Edit {
        old_text: old.to_owned().into(),
        new_text: new.to_owned().into(),
        replace_all: false,
    }]
}

#[test]
fn a_scope_is_searched_with_paths_of_its_own() {
    let fixture = fixture(&[
        ("one/src/a.ts", "needle"),
        ("one/.gitignore", "*.log"),
        ("one/src/x.log", "needle"),
        ("two/src/b.ts", "needle"),
    ]);
    let scope = fixture
        .workspace
        .scope("one", ScopeOptions::default())
        .unwrap();
    let options = || SearchOptions {
        respect_gitignore: true,
        ..SearchOptions::default()
    };
    let found = block(scope.glob(".", "*.ts", false, options())).unwrap();
    assert_eq!(paths(&found), ["src/a.ts"]);
    // The rules of the directory above the base hold below it.
    let found = block(scope.grep("src", grep("needle"), options())).unwrap();
    assert_eq!(paths(&found), ["src/a.ts:1"]);
    let found = block(scope.tree("src", None, SearchOptions::default())).unwrap();
    assert_eq!(found.render("src"), "src\n├── a.ts\n└── x.log\n");
    let error = block(scope.glob("..", "*", false, options())).unwrap_err();
    assert_eq!(error.code(), ErrorCode::PathEscapeAttempt);
    assert_eq!(error.operation(), Some("glob"));
}

#[test]
fn a_base_that_is_a_link_works_inside_and_is_refused_outside() {
    let fixture = fixture(&[("real/a.txt", "needle")]);
    let outside = tree(&[("secret.txt", "needle")]);
    symlink("real", fixture.root.path().join("inside")).unwrap();
    symlink(outside.path(), fixture.root.path().join("outside")).unwrap();
    let options = SearchOptions::default;
    let found = block(fixture.workspace.grep("inside", grep("needle"), options())).unwrap();
    assert_eq!(paths(&found), ["inside/a.txt:1"]);
    for base in ["outside", "outside/secret.txt"] {
        let error = block(fixture.workspace.grep(base, grep("needle"), options())).unwrap_err();
        assert_eq!(error.code(), ErrorCode::PathEscapeAttempt);
    }
    let found = block(fixture.workspace.grep(".", grep("needle"), options())).unwrap();
    assert_eq!(paths(&found), ["real/a.txt:1"]);
}

#[test]
fn a_base_that_is_missing_or_a_file_gives_its_own_code() {
    let fixture = fixture(&[("f", "needle")]);
    let options = SearchOptions::default;
    let missing = block(fixture.workspace.tree("none", None, options())).unwrap_err();
    assert_eq!(missing.code(), ErrorCode::NotFound);
    assert_eq!(missing.path(), Some("none"));
    let file = block(fixture.workspace.tree("f", None, options())).unwrap_err();
    assert_eq!(file.code(), ErrorCode::NotADirectory);
    let found = block(fixture.workspace.grep("f", grep("needle"), options())).unwrap();
    assert_eq!(paths(&found), ["f:1"]);
}

/// A search that would take long: a large file, and a pattern that is slow on it.
fn slow(root: &Path) -> GrepQuery {
    let text = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n".repeat(1_000_000);
    fs::write(root.join("large"), text).unwrap();
    grep(r"(x\w+){10}\W+z")
}

#[test]
fn a_token_and_the_end_of_the_workspace_end_a_search() {
    let fixture = fixture(&[]);
    let query = slow(fixture.root.path());
    let ended_by = |end: &(dyn Fn() + Sync), cancel: Option<CancellationToken>| {
        let options = SearchOptions {
            cancel,
            ..SearchOptions::default()
        };
        let call = fixture.workspace.grep(".", query.clone(), options);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                end();
            });
            let started = Instant::now();
            let error = block(call).unwrap_err();
            assert!(started.elapsed() < Duration::from_secs(2));
            error.code()
        })
    };
    let token = CancellationToken::new();
    let code = ended_by(&|| token.cancel(), Some(token.clone()));
    assert_eq!(code, ErrorCode::Aborted);
    let code = ended_by(&|| block(fixture.workspace.destroy()).unwrap(), None);
    assert_eq!(code, ErrorCode::Destroyed);
    let later = fixture.workspace.grep(".", query, SearchOptions::default());
    assert_eq!(block(later).unwrap_err().code(), ErrorCode::Destroyed);
}

#[test]
fn a_token_that_is_cancelled_before_starts_nothing() {
    let fixture = fixture(&[("a", "")]);
    let token = CancellationToken::new();
    token.cancel();
    let options = SearchOptions {
        cancel: Some(token),
        ..SearchOptions::default()
    };
    let error = block(fixture.workspace.glob(".", "*", false, options)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Aborted);
}

#[test]
fn an_edit_keeps_the_mode_and_what_is_not_text() {
    let fixture = fixture(&[]);
    let path = fixture.root.path().join("run.sh");
    fs::write(&path, b"#!/bin/sh\necho old \xff\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o750)).unwrap();
    let options = EditOptions::default;
    let outcome = block(
        fixture
            .workspace
            .edit("run.sh", edit("old", "new"), options()),
    )
    .unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"#!/bin/sh\necho new \xff\n");
    assert_eq!(outcome.stat.mode & 0o7777, 0o750);
    assert_eq!(
        outcome.diff,
        "--- a/run.sh\n+++ b/run.sh\n@@ -1,2 +1,2 @@\n #!/bin/sh\n-echo old \u{fffd}\n+echo new \u{fffd}\n"
    );
    assert_eq!(fs::read_dir(fixture.root.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_is_too_large_is_not_edited() {
    let fixture = fixture(&[("large", "needle")]);
    let file = fs::File::options()
        .write(true)
        .open(fixture.root.path().join("large"))
        .unwrap();
    file.set_len(3 << 30).unwrap();
    let call = fixture
        .workspace
        .edit("large", edit("needle", "x"), EditOptions::default());
    let error = block(call).unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooLarge);
}

#[test]
fn sixty_four_edits_of_one_file_at_once_all_happen() {
    let content: String = (0..64).map(|n| format!("<{n}>\n")).collect();
    let fixture = fixture(&[("f", &content)]);
    std::thread::scope(|scope| {
        for n in 0..64 {
            let workspace = &fixture.workspace;
            scope.spawn(move || {
                let edits = edit(&format!("<{n}>"), &format!("[{n}]"));
                block(workspace.edit("f", edits, EditOptions::default())).unwrap();
            });
        }
    });
    let expected: String = (0..64).map(|n| format!("[{n}]\n")).collect();
    let path = fixture.root.path().join("f");
    assert_eq!(fs::read_to_string(path).unwrap(), expected);
}

#[test]
fn searches_see_no_temporaries_of_writes_in_progress() {
    use agent_backend::backend::{Content, WriteOptions};
    let fixture = fixture(&[("f.txt", "needle")]);
    let done = &std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let workspace = &fixture.workspace;
        scope.spawn(move || {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                let content = Content::owned(b"needle".to_vec());
                block(workspace.write("f.txt", content, WriteOptions::default())).unwrap();
            }
        });
        // Judged after the writer has ended, so that a failure does not leave it running.
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..300 {
            let found = block(workspace.tree(".", None, SearchOptions::default())).unwrap();
            seen.insert(
                (found.entries.iter())
                    .map(|entry| entry.entry.path.to_string())
                    .collect::<Vec<_>>(),
            );
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [["f.txt"]]);
    });
}
