//! Files, by the programs that people move them with.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use agent_backend::backend::local::command::Isolation;
use agent_backend::daemon::ssh::ServerOptions;

use crate::server::{Fixture, has_openssh, text};
use crate::skip::skip;

/// Bytes that tell of any that is missing, doubled or moved.
fn content(count: usize) -> Vec<u8> {
    (0..count as u32)
        .flat_map(|at| (at.wrapping_mul(2_654_435_761) >> 8).to_le_bytes())
        .take(count)
        .collect()
}

fn sftp(fixture: &Fixture, batch: &str) -> Output {
    sftp_as(fixture, "agent", batch)
}

fn sftp_as(fixture: &Fixture, user: &str, batch: &str) -> Output {
    let mut child = Command::new("sftp")
        .args(fixture.options())
        .args([
            "-P",
            &fixture.address.port().to_string(),
            "-b",
            "-",
            &format!("{user}@127.0.0.1"),
        ])
        .current_dir(fixture.base.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(batch.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn scp(fixture: &Fixture, flags: &[&str], from: &str, to: &str) -> Output {
    Command::new("scp")
        .args(fixture.options())
        .args(["-P", &fixture.address.port().to_string()])
        .args(flags)
        .args([from, to])
        .current_dir(fixture.base.path())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn sftp_does_what_people_do_with_it() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    let (root, base) = (fixture.root(), fixture.base.path());
    let big = content(5_000_000);
    std::fs::write(base.join("big"), &big).unwrap();
    let done = sftp(
        &fixture,
        "put big sent\nmkdir dir\nput big dir/two\nls -l\nrename dir/two dir/three\nget sent back\n\
         chmod 640 sent\nsymlink sent link\nls -l link\nrm dir/three\nrmdir dir\npwd\ndf\nls\n",
    );
    assert!(done.status.success(), "{done:?}");
    assert!(std::fs::read(root.join("sent")).unwrap() == big);
    assert!(std::fs::read(base.join("back")).unwrap() == big);
    assert!(!root.join("dir").exists());
    let mode = std::fs::metadata(root.join("sent"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(
        std::fs::read_link(root.join("link")).unwrap(),
        Path::new("sent")
    );
    let said = text(&done.stdout);
    for expected in ["5000000", "sent", "Remote working directory:", "Avail"] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

#[test]
fn sftp_goes_on_where_it_was_broken_off() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    let whole = content(3_000_000);
    let (root, base) = (fixture.root(), fixture.base.path());
    std::fs::write(base.join("up"), &whole).unwrap();
    std::fs::write(root.join("up"), &whole[..1_000_001]).unwrap();
    std::fs::write(root.join("down"), &whole).unwrap();
    std::fs::write(base.join("down"), &whole[..1_234_567]).unwrap();
    let done = sftp(&fixture, "reput up up\nreget down down\n");
    assert!(done.status.success(), "{done:?}");
    assert!(std::fs::read(root.join("up")).unwrap() == whole);
    assert!(std::fs::read(base.join("down")).unwrap() == whole);
}

#[test]
fn sftp_finds_no_way_out() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    std::fs::write(fixture.base.path().join("canary"), "canary").unwrap();
    std::os::unix::fs::symlink("../canary", fixture.root().join("link")).unwrap();
    for path in ["../canary", "link", "/../canary"] {
        let done = sftp(&fixture, &format!("get {path} stolen\n"));
        assert!(!done.status.success(), "{path}: {done:?}");
        assert!(!fixture.base.path().join("stolen").exists(), "{path}");
    }
}

#[test]
fn who_may_only_read_changes_nothing() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    std::fs::write(fixture.root().join("there"), "text").unwrap();
    std::fs::write(fixture.base.path().join("new"), "new").unwrap();
    // The canary: the same is done for a user with every right.
    for (user, works) in [("agent", true), ("reader", false)] {
        for line in [
            "put new sent",
            "mkdir made",
            "rename there moved",
            "chmod 600 there",
            "rm there",
        ] {
            std::fs::write(fixture.root().join("there"), "text").unwrap();
            let _ = std::fs::remove_dir(fixture.root().join("made"));
            let done = sftp_as(&fixture, user, line);
            assert_eq!(done.status.success(), works, "{user}: {line}: {done:?}");
        }
        let read = sftp_as(&fixture, user, "ls -l\nget there back\n");
        assert!(works || read.status.success(), "{read:?}");
    }
}

#[test]
fn scp_copies_both_ways_over_sftp_and_by_its_old_protocol() {
    if !has_openssh() {
        return;
    }
    // The old one runs scp behind the wall.
    for (flags, isolation) in [
        (&[][..], Isolation::None),
        (&["-O"], Isolation::None),
        (&["-O"], Isolation::Bwrap),
    ] {
        if isolation == Isolation::Bwrap && !bwrap_works() {
            continue;
        }
        let fixture = Fixture::with(ServerOptions::default(), isolation);
        let big = content(2_000_000);
        std::fs::write(fixture.base.path().join("big"), &big).unwrap();
        let there = scp(&fixture, flags, "big", "agent@127.0.0.1:sent");
        assert!(there.status.success(), "{flags:?} {isolation:?}: {there:?}");
        assert!(std::fs::read(fixture.root().join("sent")).unwrap() == big);
        let back = scp(&fixture, flags, "agent@127.0.0.1:sent", "back");
        assert!(back.status.success(), "{flags:?} {isolation:?}: {back:?}");
        assert!(std::fs::read(fixture.base.path().join("back")).unwrap() == big);
    }
}

fn bwrap_works() -> bool {
    let found = Command::new("bwrap")
        .args([
            "--unshare-user",
            "--unshare-pid",
            "--ro-bind",
            "/",
            "/",
            "true",
        ])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        skip("bwrap does not work here");
    }
    found
}

#[test]
fn rclone_copies_syncs_and_checks() {
    let found = Command::new("rclone")
        .arg("version")
        .stdout(Stdio::null())
        .status();
    if !found.is_ok_and(|status| status.success()) || !has_openssh() {
        return skip("rclone is missing");
    }
    let fixture = Fixture::new();
    let base = fixture.base.path();
    let source = base.join("source");
    std::fs::create_dir_all(source.join("deep/er")).unwrap();
    for (name, count) in [("a", 10), ("deep/b", 1_500_000), ("deep/er/ö ü", 0)] {
        std::fs::write(source.join(name), content(count)).unwrap();
    }
    let rclone = |arguments: &[&str]| {
        Command::new("rclone")
            .args([
                "--config",
                "/dev/null",
                "--sftp-host=127.0.0.1",
                "--sftp-user=agent",
            ])
            .arg(format!("--sftp-port={}", fixture.address.port()))
            .arg(format!("--sftp-key-file={}", base.join("key").display()))
            .arg(format!(
                "--sftp-known-hosts-file={}",
                base.join("known_hosts").display()
            ))
            .args(arguments)
            .env_remove("SSH_AUTH_SOCK")
            .current_dir(base)
            .output()
            .unwrap()
    };
    let copied = rclone(&["copy", "source", ":sftp:copied"]);
    assert!(copied.status.success(), "{}", text(&copied.stderr));
    let at = fixture.root().join("copied");
    assert!(std::fs::read(at.join("deep/b")).unwrap() == content(1_500_000));
    assert!(at.join("deep/er/ö ü").exists());
    // By the sums that it has the other side compute.
    let checked = rclone(&["check", "-vv", "source", ":sftp:copied"]);
    assert!(checked.status.success(), "{}", text(&checked.stderr));
    assert!(
        text(&checked.stderr).contains("0 differences found"),
        "{}",
        text(&checked.stderr)
    );
    std::fs::write(source.join("a"), "changed").unwrap();
    std::fs::remove_dir_all(source.join("deep/er")).unwrap();
    let differs = rclone(&["check", "source", ":sftp:copied"]);
    assert!(!differs.status.success());
    let synced = rclone(&["sync", "source", ":sftp:copied"]);
    assert!(synced.status.success(), "{}", text(&synced.stderr));
    assert_eq!(std::fs::read(at.join("a")).unwrap(), b"changed");
    assert!(!at.join("deep/er/ö ü").exists());
    let back = rclone(&["copy", ":sftp:copied", "back"]);
    assert!(back.status.success(), "{}", text(&back.stderr));
    assert!(std::fs::read(base.join("back/deep/b")).unwrap() == content(1_500_000));
}

/// A program of another implementation; its arguments are the port, a key and the known hosts.
const ASYNCSSH: &str = include_str!("asyncssh_peer.py");

#[test]
fn asyncssh_runs_commands_and_moves_files() {
    // The package of the system is for its own interpreter.
    let python = ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        Command::new(python)
            .args(["-W", "ignore", "-c", "import asyncssh"])
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    });
    let Some(python) = python.filter(|_| has_openssh()) else {
        return skip("asyncssh is missing (python3-asyncssh)");
    };
    let fixture = Fixture::new();
    let root = fixture.root();
    std::fs::write(root.join("kept"), "of both").unwrap();
    let made = sftp(&fixture, "symlink kept by-openssh\n");
    assert!(made.status.success(), "{made:?}");
    let done = Command::new(python)
        .args(["-W", "ignore", "-c", ASYNCSSH])
        .arg(fixture.address.port().to_string())
        .arg(fixture.base.path().join("key"))
        .arg(fixture.base.path().join("known_hosts"))
        .output()
        .unwrap();
    assert_eq!(
        text(&done.stdout),
        "all is well\n",
        "{}",
        text(&done.stderr)
    );
    // Both put the link where they meant it, and each reads through the other's.
    for link in ["by-openssh", "by-asyncssh"] {
        let target = std::fs::read_link(root.join(link)).unwrap();
        assert_eq!(target, Path::new("kept"), "{link}");
    }
    let read = sftp(&fixture, "get by-asyncssh back\n");
    assert!(read.status.success(), "{read:?}");
    let back = std::fs::read(fixture.base.path().join("back")).unwrap();
    assert_eq!(back, b"of both");
}
