//! Attacks on our own calls that no other suite makes.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::backend::search::GrepQuery;
use agent_backend::backend::{
    Content, ListOptions, ReadOptions, RemoveOptions, RenameOptions, WriteOptions,
};
use agent_backend::mcp::{Arguments, ToolServer};
use agent_backend::pool;
use agent_backend::workspace::{ScopeOptions, SearchOptions, Workspace, WorkspaceOptions};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::world::{open_to_all, wait};

fn open(top: &Path) -> Workspace {
    let backend = LocalBackend::open(LocalOptions {
        root_dir: top.join("root"),
        state_dir: Some(top.join("state")),
        ..LocalOptions::default()
    });
    Workspace::new(
        backend.unwrap(),
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    )
}

fn write(workspace: &Workspace, path: &str, text: &str) -> Result<(), agent_backend::error::Error> {
    let content = Content::owned(text.as_bytes().to_vec());
    wait(workspace.write(path, content, WriteOptions::default())).map(drop)
}

fn names(workspace: &Workspace) -> Vec<String> {
    let entries = wait(workspace.list("", ListOptions { with_stat: false })).unwrap();
    let mut names: Vec<_> = entries
        .iter()
        .map(|entry| String::from_utf8_lossy(&entry.name).into_owned())
        .collect();
    names.sort();
    names
}

#[test]
fn planted_files_with_the_name_of_a_temporary_are_seen_and_stay() {
    let top = tempfile::tempdir().unwrap();
    let workspace = open(top.path());
    let root = top.path().join("root");
    let planted = |name: &str| format!(".agent-backend-{name}.tmp");
    std::fs::write(
        root.join(planted("0123456789abcdef0123456789abcdef")),
        "kept",
    )
    .unwrap();
    std::fs::write(root.join(planted("empty")), "").unwrap();
    std::fs::create_dir(root.join(planted("directory"))).unwrap();
    std::fs::write(root.join(planted("directory")).join("file"), "kept").unwrap();
    symlink("/etc", root.join(planted("link"))).unwrap();
    let before = names(&workspace);
    assert_eq!(before.len(), 4);
    write(&workspace, "file", "one").unwrap();
    write(&workspace, "file", "two").unwrap();
    // Each opening sweeps what killed writers left.
    drop(workspace);
    let again = open(top.path());
    write(&again, "file", "three").unwrap();
    wait(again.remove("file", RemoveOptions::default())).unwrap();
    assert_eq!(names(&again), before);
    let inner = root.join(planted("directory")).join("file");
    assert_eq!(std::fs::read_to_string(inner).unwrap(), "kept");
}

/// Mounts a file over another for as long as it lives.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    /// `None` where the name was of another file by the time that it was to be mounted over.
    fn new(source: &Path, target: &'a Path) -> Option<Self> {
        let [source, path] = [source, target].map(c_path);
        // SAFETY: both are C strings that live through the call.
        let done = unsafe {
            libc::mount(
                source.as_ptr(),
                path.as_ptr(),
                std::ptr::null(),
                libc::MS_BIND,
                std::ptr::null(),
            )
        };
        let error = std::io::Error::last_os_error();
        if done != 0 && error.kind() == std::io::ErrorKind::NotFound {
            return None;
        }
        assert_eq!(done, 0, "{error}");
        Some(Self(target))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // SAFETY: the argument is a C string.
        unsafe { libc::umount2(c_path(self.0).as_ptr(), libc::MNT_DETACH) };
    }
}

fn c_path(path: &Path) -> std::ffi::CString {
    std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap()
}

#[test]
fn a_file_that_becomes_a_mount_point_while_it_is_replaced_carries_nothing_out() {
    if !rustix::process::geteuid().is_root() {
        return; // There is no such case for an ordinary user, who mounts nothing.
    }
    let top = tempfile::tempdir().unwrap();
    let workspace = open(top.path());
    let (outside, target) = (top.path().join("outside"), top.path().join("root/file"));
    std::fs::write(&outside, "outside").unwrap();
    write(&workspace, "file", "first").unwrap();
    {
        let _mounted = Mounted::new(&outside, &target).unwrap();
        std::fs::write(&target, "outside").unwrap(); // The canary: a plain write goes through the mount.
        let refused = write(&workspace, "file", "let out").unwrap_err();
        assert!(refused.message().contains("busy"), "{refused}");
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "outside");
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::Relaxed;
    let (done, refused) = std::thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(order) {
                let mounted = Mounted::new(&outside, &target);
                std::thread::sleep(std::time::Duration::from_micros(200));
                drop(mounted);
                std::thread::sleep(std::time::Duration::from_micros(200));
            }
        });
        let outcomes: Vec<_> = (0..400)
            .map(|n| write(&workspace, "file", &format!("new {n}")))
            .collect();
        stop.store(true, order);
        let refused = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        (outcomes.len() - refused, refused)
    });
    assert!(
        done > 0 && refused > 0,
        "{done} done, {refused} refused: the race was not met"
    );
    assert_eq!(std::fs::read_to_string(&outside).unwrap(), "outside");
    assert!(std::fs::read_to_string(&target).unwrap().starts_with("new"));
}

/// A repository whose every setting that runs something leaves a proof.
fn trapped_repository(root: &Path, proof: &Path) {
    let trap = root.join("trap.sh");
    std::fs::write(&trap, format!("#!/bin/sh\n: > '{}'\n", proof.display())).unwrap();
    open_to_all(&trap);
    let git = |arguments: &[&str]| {
        let mut git = Command::new("/usr/bin/git");
        git.args(arguments).current_dir(root).env_clear();
        git.env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HOME", root.join("nowhere"));
        git.env("PATH", "/usr/bin:/bin");
        let done = git.output().unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    };
    git(&["init", "-q"]);
    git(&["add", "trap.sh"]);
    let script = trap.to_str().unwrap();
    for name in [
        "core.fsmonitor",
        "core.pager",
        "core.editor",
        "core.sshCommand",
        "core.askPass",
        "diff.external",
        "filter.trap.clean",
        "filter.trap.smudge",
        "filter.trap.process",
        "diff.trap.textconv",
    ] {
        git(&["config", name, script]);
    }
    std::fs::write(root.join(".gitattributes"), "* filter=trap diff=trap\n").unwrap();
    for hook in [
        "pre-commit",
        "post-checkout",
        "post-index-change",
        "post-commit",
        "reference-transaction",
    ] {
        let hook = root.join(".git/hooks").join(hook);
        let _ = std::fs::remove_file(&hook);
        std::fs::copy(&trap, hook).unwrap();
    }
    let mut status = Command::new("/usr/bin/git");
    status
        .arg("status")
        .current_dir(root)
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    status
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", root.join("nowhere"));
    let _ = status.output().unwrap();
    assert!(
        proof.exists(),
        "the canary: git runs what the repository says"
    );
    std::fs::remove_file(proof).unwrap();
}

#[test]
fn no_call_of_ours_runs_what_a_repository_says() {
    if !Path::new("/usr/bin/git").exists() {
        return crate::skip::skip("git is not installed");
    }
    let top = tempfile::tempdir().unwrap();
    let workspace = open(top.path());
    let proof = top.path().join("proof");
    trapped_repository(&top.path().join("root"), &proof);
    write(&workspace, "src/a.txt", "one\n").unwrap();
    wait(workspace.read("src/a.txt", ReadOptions::default())).unwrap();
    wait(workspace.glob("", "**", true, SearchOptions::default())).unwrap();
    let all = GrepQuery {
        pattern: "one".into(),
        ..GrepQuery::default()
    };
    wait(workspace.grep("", all, SearchOptions::default())).unwrap();
    wait(workspace.tree("", None, SearchOptions::default())).unwrap();
    wait(workspace.rename("src/a.txt", "src/b.txt", RenameOptions::default())).unwrap();
    let server = ToolServer::new(workspace.clone());
    for (tool, arguments) in [
        ("read_text_file", json!({ "path": "src/b.txt" })),
        (
            "read_multiple_files",
            json!({ "paths": ["src/b.txt", ".git/config"] }),
        ),
        (
            "write_file",
            json!({ "path": "src/c.txt", "content": "one\n" }),
        ),
        (
            "edit_file",
            json!({ "path": "src/c.txt", "edits": [{ "oldText": "one", "newText": "two" }] }),
        ),
        (
            "move_file",
            json!({ "source": "src/c.txt", "destination": "src/d.txt" }),
        ),
        ("list_directory_with_sizes", json!({ "path": "" })),
        ("directory_tree", json!({ "path": "" })),
        ("search_files", json!({ "path": "", "pattern": "**/*.txt" })),
        ("get_file_info", json!({ "path": ".git" })),
        ("grep", json!({ "pattern": "two" })),
        ("glob", json!({ "pattern": "**/*.txt" })),
    ] {
        let arguments: Arguments = arguments.as_object().unwrap().clone();
        let call = server.call(tool, arguments, CancellationToken::new());
        let result = pool::runtime().block_on(call).unwrap();
        assert!(!result.is_error, "{tool}: {result:?}");
    }
    wait(workspace.remove(
        "src",
        RemoveOptions {
            recursive: true,
            force: false,
            ..RemoveOptions::default()
        },
    ))
    .unwrap();
    wait(workspace.destroy()).unwrap();
    assert!(!proof.exists(), "something of the repository was run");
}
