//! Files over OpenSSH's server, beyond what every backend does: where links lead, and what stays behind.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use agent_backend::backend::search::{Query, SearchLimits, SearchRequest};
use agent_backend::backend::{
    Backend, Content, OpenOptions, ReadOptions, RenameOptions, WriteMode, WriteOptions,
};
use agent_backend::error::ErrorCode;
use agent_backend::path::RelPath;
use agent_backend::pool;
use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};
use bytes::Bytes;

use crate::skip::skip;
use crate::sshd::{self, Sshd};
use crate::world::wait;

pub fn server() -> Option<Sshd> {
    match sshd::program() {
        Ok(_) => Some(Sshd::start()),
        Err(why) => {
            skip(&why);
            None
        }
    }
}

pub fn workspace(server: &Sshd) -> Workspace {
    Workspace::new(
        server.backend(),
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    )
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes(), b"/").unwrap()
}

#[test]
fn a_link_that_leads_out_is_refused_by_every_call_and_one_inside_works() {
    let Some(server) = server() else { return };
    let (root, workspace) = (server.root(), workspace(&server));
    let outside = server.directory.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("secret"), "canary").unwrap();
    std::fs::create_dir(root.join("inside")).unwrap();
    std::fs::write(root.join("inside/a"), "1").unwrap();
    symlink(&outside, root.join("out")).unwrap();
    symlink(outside.join("secret"), root.join("file-out")).unwrap();
    symlink("../../outside", root.join("inside/up")).unwrap();
    symlink("inside", root.join("in")).unwrap();
    symlink(root.join("inside/a"), root.join("absolute")).unwrap();
    for name in ["out/secret", "file-out", "inside/up/secret"] {
        let code = |error: agent_backend::error::Error| error.code();
        let escape = ErrorCode::PathEscapeAttempt;
        assert_eq!(
            code(wait(workspace.read(name, ReadOptions::default())).unwrap_err()),
            escape
        );
        assert_eq!(code(wait(workspace.stat(name)).unwrap_err()), escape);
        let content = || Content::owned("x");
        let written = wait(workspace.write(name, content(), WriteOptions::default()));
        assert_eq!(code(written.unwrap_err()), escape, "{name}");
        assert!(!wait(workspace.exists(name)).unwrap(), "{name}");
    }
    for name in ["out/new", "inside/up/new"] {
        assert!(wait(workspace.create_dir(name, true)).is_err());
        assert!(wait(workspace.rename("inside/a", name, RenameOptions::default())).is_err());
    }
    assert!(wait(workspace.read("in/a", ReadOptions::default())).is_ok());
    assert!(wait(workspace.read("absolute", ReadOptions::default())).is_ok());
    assert_eq!(
        std::fs::read_to_string(outside.join("secret")).unwrap(),
        "canary"
    );
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    // A scope is not reached through a link, wherever that leads.
    for scope in ["out", "in"] {
        let scope = workspace.scope(scope, ScopeOptions::default()).unwrap();
        let read = wait(scope.read("a", ReadOptions::default()));
        assert_eq!(read.unwrap_err().code(), ErrorCode::PathEscapeAttempt);
    }
}

#[test]
fn special_files_are_refused_without_waiting_for_them() {
    let Some(server) = server() else { return };
    let (root, workspace) = (server.root(), workspace(&server));
    let made = std::process::Command::new("mkfifo")
        .arg(root.join("fifo"))
        .status();
    assert!(made.unwrap().success());
    let read = wait(workspace.read("fifo", ReadOptions::default()));
    assert_eq!(read.unwrap_err().code(), ErrorCode::InvalidPath);
    let content = Content::owned("x");
    let written = wait(workspace.write("fifo", content, WriteOptions::default()));
    assert_eq!(written.unwrap_err().code(), ErrorCode::InvalidPath);
    assert!(wait(workspace.exists("fifo")).unwrap());
}

#[test]
fn no_temporary_stays_and_the_mode_is_kept() {
    let Some(server) = server() else { return };
    let (root, workspace) = (server.root(), workspace(&server));
    std::fs::write(root.join("a"), "old").unwrap();
    std::fs::set_permissions(root.join("a"), PermissionsExt::from_mode(0o4751)).unwrap();
    wait(workspace.write("a", Content::owned("new"), WriteOptions::default())).unwrap();
    let mode = std::fs::metadata(root.join("a"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o751);
    let new_only = WriteOptions {
        mode: WriteMode::CreateNew,
        ..WriteOptions::default()
    };
    let refused = wait(workspace.write("a", Content::owned("x"), new_only));
    assert_eq!(refused.unwrap_err().code(), ErrorCode::AlreadyExists);
    std::fs::create_dir(root.join("d")).unwrap();
    let refused = wait(workspace.write("d", Content::owned("x"), WriteOptions::default()));
    assert_eq!(refused.unwrap_err().code(), ErrorCode::IsADirectory);
    let mut names: Vec<_> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["a", "d"]);
}

#[test]
fn large_files_travel_whole_and_in_pieces() {
    let Some(server) = server() else { return };
    let (root, workspace) = (server.root(), workspace(&server));
    let content: Vec<u8> = (0..20_000_000_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let owned = Content::owned(content.clone());
    wait(workspace.write("large", owned, WriteOptions::default())).unwrap();
    assert!(std::fs::read(root.join("large")).unwrap() == content);
    let read = wait(workspace.read("large", ReadOptions::default())).unwrap();
    assert!(read.bytes == content);
    let backend = server.backend();
    let staged = wait(backend.stage(&path("staged"), WriteOptions::default())).unwrap();
    for piece in content.chunks(3_000_001) {
        wait(staged.append(Bytes::copy_from_slice(piece))).unwrap();
        assert!(!root.join("staged").exists());
    }
    wait(staged.commit()).unwrap();
    assert!(std::fs::read(root.join("staged")).unwrap() == content);
    let dropped = wait(backend.stage(&path("dropped"), WriteOptions::default())).unwrap();
    wait(dropped.append(Bytes::from_static(b"x"))).unwrap();
    drop(dropped);
    let names = || std::fs::read_dir(&root).unwrap().count();
    crate::world::eventually("the dropped write is gone", || names() == 2);
}

#[test]
fn an_open_file_is_read_and_written_in_place() {
    let Some(server) = server() else { return };
    let backend = server.backend();
    let options = OpenOptions {
        read: true,
        write: true,
        create: true,
        ..OpenOptions::default()
    };
    let file = wait(backend.open(&path("a"), options)).unwrap();
    wait(file.write_at(3, Bytes::from_static(b"def"))).unwrap();
    wait(file.write_at(0, Bytes::from_static(b"abc"))).unwrap();
    std::fs::rename(server.root().join("a"), server.root().join("b")).unwrap();
    assert_eq!(wait(file.read_at(1, 100)).unwrap(), "bcdef");
    assert_eq!(wait(file.read_at(100, 1)).unwrap(), "");
    assert_eq!(wait(file.stat()).unwrap().size, 6);
    wait(file.sync()).unwrap();
    let reader = OpenOptions {
        read: true,
        ..OpenOptions::default()
    };
    let file = wait(backend.open(&path("b"), reader)).unwrap();
    let refused = wait(file.write_at(0, Bytes::from_static(b"x")));
    assert_eq!(refused.unwrap_err().code(), ErrorCode::PermissionDenied);
}

#[test]
fn a_search_keeps_its_bounds_and_says_so() {
    let Some(server) = server() else { return };
    let (root, backend) = (server.root(), server.backend());
    for number in 0..300 {
        let directory = root.join(format!("d{}", number % 7));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(format!("f{number}.txt")), "x").unwrap();
    }
    let request = |max_entries| SearchRequest {
        base: RelPath::root(),
        query: Query::Glob {
            pattern: "*.txt".into(),
            directories: false,
        },
        exclude: Vec::new(),
        respect_gitignore: false,
        hidden: true,
        names_only: false,
        limits: SearchLimits {
            max_entries,
            ..SearchLimits::default()
        },
        cancel: Default::default(),
    };
    let all = wait(backend.search(request(10_000))).unwrap();
    assert_eq!((all.entries.len(), all.truncated), (300, false));
    let some = wait(backend.search(request(50))).unwrap();
    assert!(some.entries.len() <= 50 && some.truncated);
    let cancelled = request(10_000);
    cancelled.cancel.cancel();
    let error = wait(backend.search(cancelled)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Aborted);
}

#[test]
fn a_root_that_is_no_directory_there_is_named() {
    let Some(server) = server() else { return };
    for root in ["/nonexistent/root", "/etc/passwd"] {
        let mut options = server.options();
        options.root_dir = root.into();
        let error = crate::world::client(options).connect().unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{error}");
        assert!(error.message().contains(root), "{error}");
    }
}

#[test]
fn space_and_links_are_told() {
    let Some(server) = server() else { return };
    let backend = server.backend();
    let space = wait(backend.space()).unwrap();
    assert!(space.blocks > 0 && space.block_size > 0 && space.name_max == 255);
    wait(backend.symlink(&path("link"), b"a b")).unwrap();
    assert_eq!(wait(backend.read_link(&path("link"))).unwrap(), b"a b");
    let text = std::fs::read_link(server.root().join("link")).unwrap();
    assert_eq!(text.to_str(), Some("a b"));
    let again = wait(backend.symlink(&path("link"), b"c")).unwrap_err();
    assert_eq!(again.code(), ErrorCode::AlreadyExists);
}

#[test]
fn a_write_that_is_given_up_at_any_moment_leaves_no_temporary() {
    let Some(server) = server() else { return };
    let (root, workspace) = (server.root(), workspace(&server));
    std::fs::write(root.join("a"), "before").unwrap();
    let mut given_up = 0;
    for micros in (0..200).map(|step| step * 40) {
        let content = Content::owned("after");
        let written = workspace.write("a", content, WriteOptions::default());
        let late = pool::runtime()
            .block_on(async { tokio::time::timeout(Duration::from_micros(micros), written).await });
        given_up += usize::from(late.is_err());
    }
    assert!(given_up > 20, "{given_up}: it was tried at too few moments");
    let left = || {
        let names = std::fs::read_dir(&root).unwrap();
        names
            .filter(|entry| entry.as_ref().unwrap().file_name() != "a")
            .count()
    };
    let begun = Instant::now();
    while left() > 0 && begun.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(left(), 0, "of {given_up}");
}
