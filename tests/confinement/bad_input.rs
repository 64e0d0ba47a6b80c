//! What a machine does to a workspace: full disks, missing rights, files of gigabytes.

use std::ffi::CString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use agent_backend::backend::local::{LocalBackend, LocalOptions, Resolver};
use agent_backend::backend::{
    Content, ListOptions, ReadOptions, RemoveOptions, WriteMode, WriteOptions,
};
use agent_backend::error::ErrorCode;
use agent_backend::workspace::{ScopeOptions, Workspace, WorkspaceOptions};

use crate::skip::skip;
use crate::world::{RESOLVERS, World, is_root, wait};

/// A file system of its own, unmounted at the end.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let target = CString::new(at.as_os_str().as_bytes()).unwrap();
        let options = CString::new(options).unwrap();
        // SAFETY: all strings end in NUL and outlive the call.
        let mounted = unsafe {
            libc::mount(
                c"tmpfs".as_ptr(),
                target.as_ptr(),
                c"tmpfs".as_ptr(),
                libc::MS_NOSUID | libc::MS_NODEV,
                options.as_ptr().cast(),
            )
        };
        (mounted == 0).then(|| Self(at.to_path_buf()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let target = CString::new(self.0.as_os_str().as_bytes()).unwrap();
        // SAFETY: the string ends in NUL and outlives the call.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) };
    }
}

fn workspace(top: &Path, root: &Path) -> Workspace {
    let backend = LocalBackend::open(LocalOptions {
        root_dir: root.to_path_buf(),
        state_dir: Some(top.join("state")),
        ..LocalOptions::default()
    })
    .unwrap();
    Workspace::new(
        backend,
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    )
}

#[test]
fn a_full_disk_keeps_the_old_content() {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("root");
    let Some(_disk) = SmallDisk::mount(&root, "size=1m") else {
        return skip("a file system can only be mounted by root");
    };
    let workspace = workspace(top.path(), &root);
    let write = |path: &str, bytes: usize, mode: WriteMode| {
        let options = WriteOptions {
            mode,
            ..WriteOptions::default()
        };
        wait(workspace.write(path, Content::owned(vec![b'x'; bytes]), options)).map(|_| ())
    };
    write("file", 400_000, WriteMode::Replace).unwrap();
    let before = std::fs::read(root.join("file")).unwrap();
    for (path, bytes, mode) in [
        ("file", 900_000, WriteMode::Replace),
        ("file", 900_000, WriteMode::Append),
        ("new", 900_000, WriteMode::Replace),
        ("new", 900_000, WriteMode::CreateNew),
    ] {
        let error = write(path, bytes, mode.clone()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::NoSpace, "{mode:?}");
        assert_eq!(error.path(), Some(path));
        assert_eq!(std::fs::read(root.join("file")).unwrap(), before);
        assert_eq!(
            root.read_dir().unwrap().count(),
            1,
            "something was left by {mode:?}"
        );
    }
    // There is room again for what fits.
    write("new", 200_000, WriteMode::CreateNew).unwrap();
}

#[test]
fn a_file_of_gigabytes_is_refused_by_its_size_and_read_in_ranges() {
    for resolver in RESOLVERS {
        let world = World::new(0, resolver);
        let file = File::create(world.ground.join("large")).unwrap();
        file.set_len(3 << 30).unwrap();
        let read = |range, max_bytes| {
            let options = ReadOptions { range, max_bytes };
            wait(world.workspace.read("large", options))
        };
        let before = Instant::now();
        let refused = read(None, Some(512 << 20)).unwrap_err();
        assert!(before.elapsed() < Duration::from_secs(1));
        assert_eq!(refused.code(), ErrorCode::TooLarge);
        assert!(refused.to_string().contains("range"), "{refused}");
        let part = read(Some((3 << 30) - 10..u64::MAX), Some(512 << 20)).unwrap();
        assert_eq!(part.bytes.len(), 10);
    }
}

const ROOT_VARIABLE: &str = "AGENT_BACKEND_TEST_ORDINARY_ROOT";
/// Who owns nothing.
const NOBODY: u32 = 65_534;

/// Not a test of its own: what the next one runs as an ordinary user.
#[test]
#[ignore = "started by `an_ordinary_user_meets_what_it_may_not_read_or_write`"]
fn as_an_ordinary_user() {
    let top = PathBuf::from(std::env::var_os(ROOT_VARIABLE).expect("started by the other test"));
    let workspace = workspace(&top, &top.join("root"));
    let denied = Some(ErrorCode::PermissionDenied);
    let code = |result: agent_backend::error::Result<()>| result.err().map(|error| error.code());
    let read = |path: &str| code(wait(workspace.read(path, ReadOptions::default())).map(|_| ()));
    let write = |path: &str, mode: WriteMode| {
        let options = WriteOptions {
            mode,
            ..WriteOptions::default()
        };
        code(wait(workspace.write(path, Content::owned("new"), options)).map(|_| ()))
    };
    assert_eq!(read("unreadable"), denied);
    assert_eq!(read("readonly"), None);
    assert_eq!(write("readonly", WriteMode::Replace), denied);
    assert_eq!(write("readonly", WriteMode::Append), denied);
    assert_eq!(read("locked/file"), denied);
    assert_eq!(write("foreign/new", WriteMode::Replace), denied);
    let list = wait(workspace.list("locked", ListOptions::default())).map(|_| ());
    assert_eq!(code(list), denied);
    let remove = RemoveOptions {
        recursive: true,
        force: true,
        ..RemoveOptions::default()
    };
    assert_eq!(code(wait(workspace.remove("foreign", remove))), denied);
    // A write that is allowed needs no more rights than it should.
    assert_eq!(write("writable", WriteMode::Replace), None);
    assert_eq!(
        std::fs::metadata(top.join("root/writable")).unwrap().mode() & 0o7777,
        0o640
    );
    std::fs::write(top.join("root/done"), "").unwrap();
}

#[test]
fn an_ordinary_user_meets_what_it_may_not_read_or_write() {
    if !is_root() {
        return skip("only root can become another user to try it");
    }
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("root");
    std::fs::create_dir_all(root.join("locked")).unwrap();
    std::fs::create_dir(root.join("foreign")).unwrap();
    for (name, mode) in [
        ("unreadable", 0o000),
        ("readonly", 0o444),
        ("locked/file", 0o644),
        ("writable", 0o640),
        ("foreign/file", 0o644),
    ] {
        std::fs::write(root.join(name), "content").unwrap();
        std::fs::set_permissions(root.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    std::fs::set_permissions(root.join("locked"), std::fs::Permissions::from_mode(0o000)).unwrap();
    for name in [
        "",
        "root",
        "root/unreadable",
        "root/readonly",
        "root/locked",
        "root/writable",
    ] {
        std::os::unix::fs::chown(top.path().join(name), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    // The test's own program may lie where nobody else can look.
    let program = top.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new(program)
        .args(["--ignored", "--exact", "bad_input::as_an_ordinary_user"])
        .env(ROOT_VARIABLE, top.path())
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert!(root.join("done").exists());
}

#[test]
fn as_root_new_files_belong_to_the_owner_of_their_directory() {
    if !is_root() {
        return skip("only root gives files away");
    }
    for resolver in RESOLVERS {
        let world = World::new(0, resolver);
        let owner = |path: &str| world.ground.join(path).symlink_metadata().unwrap().uid();
        let write = |workspace: &Workspace, path: &str| {
            let content = Content::owned("content");
            wait(workspace.write(path, content, WriteOptions::default())).unwrap();
        };
        let scope = world
            .workspace
            .scope("users/42", ScopeOptions::default())
            .unwrap();
        write(&scope, "deep/file");
        wait(scope.touch("touched")).unwrap();
        wait(scope.create_dir("made", false)).unwrap();
        assert_eq!(owner("users"), 0);
        for path in ["", "/deep", "/deep/file", "/touched", "/made"] {
            assert_eq!(owner(&format!("users/42{path}")), 60_600, "{path}");
        }
        // A file that is replaced keeps its owner, and one of the root's own tree stays root's.
        std::os::unix::fs::chown(world.ground.join("users/42/deep/file"), Some(7), Some(8))
            .unwrap();
        write(&scope, "deep/file");
        assert_eq!(owner("users/42/deep/file"), 7);
        write(&world.workspace, "own");
        assert_eq!(owner("own"), 0);
    }
}

#[test]
fn setuid_and_setgid_never_survive_a_write() {
    for resolver in RESOLVERS {
        for mode in [WriteMode::Replace, WriteMode::Append] {
            let world = World::new(0, resolver);
            world.put("program", "#!/bin/sh\n");
            let path = world.ground.join("program");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o6755)).unwrap();
            for permissions in [None, Some(0o4755)] {
                let options = WriteOptions {
                    mode: mode.clone(),
                    permissions,
                    ..WriteOptions::default()
                };
                wait(
                    world
                        .workspace
                        .write("program", Content::owned("x"), options),
                )
                .unwrap();
                assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o755);
            }
        }
    }
}

#[test]
fn extended_attributes_survive_a_replacement_and_capabilities_do_not() {
    let world = World::new(0, Resolver::Kernel);
    world.put("file", "old");
    let path = world.ground.join("file");
    let set = |name: &str, value: &[u8]| {
        rustix::fs::setxattr(&path, name, value, rustix::fs::XattrFlags::empty())
    };
    if set("user.comment", b"kept").is_err() {
        return skip("the temporary directory's file system knows no extended attributes");
    }
    // cap_net_raw+ep as `setcap` stores it.
    let capability = [
        1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let capable = set("security.capability", &capability).is_ok();
    assert!(capable || !is_root());
    let content = Content::owned("new");
    wait(
        world
            .workspace
            .write("file", content, WriteOptions::default()),
    )
    .unwrap();
    let mut value = [0u8; 64];
    assert_eq!(
        rustix::fs::getxattr(&path, "user.comment", &mut value),
        Ok(4)
    );
    assert!(rustix::fs::getxattr(&path, "security.capability", &mut value).is_err());
}
