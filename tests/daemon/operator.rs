//! What whoever runs a daemon is told, and what works as the documentation has it.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::complaint;
use crate::served::{Daemon, PATIENCE, tool_call};

fn secret_file(directory: &Path, name: &str, content: &str) -> PathBuf {
    let file = directory.join(name);
    std::fs::write(&file, content).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    file
}

#[test]
fn a_file_that_cannot_be_used_is_told_with_its_flag() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("root");
    let certificate = secret_file(base.path(), "cert.pem", "no certificate");
    let certificate = certificate.to_str().unwrap();
    for (flag, rest) in [
        ("--policy-file", &[][..]),
        ("--auth-token-file", &[]),
        ("--tokens-file", &[]),
        ("--ssh-host-key", &[]),
        ("--tls-cert", &["--tls-key", certificate]),
        ("--tls-key", &["--tls-cert", certificate]),
        ("--ssh-users-file", &["--conventional-ssh"]),
        ("--ssh-authorized-keys", &["--conventional-ssh"]),
    ] {
        let missing = base.path().join("missing");
        let mut arguments = vec!["daemon", "--rootDir", root.to_str().unwrap()];
        arguments.extend(["--port", "0", "--ssh-port", "0"]);
        if rest != ["--conventional-ssh"] {
            arguments.truncate(5);
        }
        arguments.extend([flag, missing.to_str().unwrap()]);
        arguments.extend(rest);
        let state = base.path().join("state");
        arguments.extend(["--state-dir", state.to_str().unwrap()]);
        let said = complaint(&arguments);
        let expected = match flag {
            // The certificate is read first.
            "--tls-key" => format!("--tls-cert '{certificate}': there is no certificate in it"),
            _ => format!("{flag} '{}': no such file or directory", missing.display()),
        };
        assert_eq!(said, expected);
    }
}

#[test]
fn a_port_that_is_in_use_is_told_with_its_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let base = tempfile::tempdir().unwrap();
    let (root, state) = (base.path().join("root"), base.path().join("state"));
    let served = ["daemon", "--rootDir", root.to_str().unwrap()];
    let kept = ["--state-dir", state.to_str().unwrap()];
    let ssh = ["--port", "0", "--conventional-ssh", "--ssh-users", "a:b"];
    for (flag, more) in [("--port", &[][..]), ("--ssh-port", &ssh)] {
        let said = complaint(&[&served[..], &kept, more, &[flag, &port]].concat());
        let expected = format!("port {port}: the port is in use; choose another with {flag}");
        assert!(said.ends_with(&expected), "{said}");
    }
    let said = complaint(&[&served[..], &kept, &["--network", "no host"]].concat());
    assert!(said.starts_with("--network: "), "{said}");
}

#[test]
fn nobody_has_a_name_where_there_are_no_tokens() {
    let mut daemon = Daemon::start(&["--log-format", "json"]);
    let answer = daemon.post(&tool_call(1, "list_directory", json!({ "path": "." })), &[]);
    assert_eq!(answer.status, 200, "{answer:?}");
    let line = daemon.wait_for("/mcp");
    assert!(line.contains(r#""principal":"-""#), "{line}");
}

#[test]
fn tokens_for_a_whole_and_for_a_part_of_a_root_that_is_made_are_served() {
    let base = tempfile::tempdir().unwrap();
    let tokens = json!([
        { "token": "admin-admin-admin-admin", "name": "admin" },
        { "token": "tenant-tenant-tenant-42", "name": "tenant-42", "scope": "users/42" },
    ]);
    let file = secret_file(base.path(), "tokens.json", &tokens.to_string());
    let file = file.to_str().unwrap().to_owned();
    let flags = ["--isolation", "auto", "--tokens-file", &file];
    let daemon = Daemon::in_directory(base, &flags, |_| {});
    let exec = tool_call(1, "exec", json!({ "command": "echo $PWD; id -u" }));
    for (token, below) in [
        ("admin-admin-admin-admin", ""),
        ("tenant-tenant-tenant-42", "/users/42"),
    ] {
        let bearer = format!("Bearer {token}");
        let answer = daemon.post(&exec, &[("Authorization", &bearer)]);
        if answer.text().contains("MISSING_UTILITIES") {
            crate::skip::skip("no wall works here");
            return;
        }
        let stdout = answer.json()["result"]["structuredContent"]["stdout"].clone();
        let stdout = stdout.as_str().unwrap().to_owned();
        let (directory, user) = stdout.split_once('\n').unwrap();
        assert!(directory.ends_with(&format!("/root{below}")), "{stdout}");
        assert_ne!(user, "0");
    }
    let root = std::fs::metadata(daemon.base.path().join("root")).unwrap();
    assert_ne!(root.uid(), 0);
}

/// A daemon with a port for SSH.
fn with_users_of_ssh() -> (Daemon, String) {
    let flags = [
        "--conventional-ssh",
        "--ssh-port",
        "0",
        "--ssh-users",
        "alice:secret",
        "--ssh-public-key",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ",
    ];
    let daemon = Daemon::start(&flags);
    let line = daemon.lines.last().unwrap().clone();
    let port = line.split("ssh=\"127.0.0.1:").nth(1).unwrap();
    let port = port.split('"').next().unwrap().to_owned();
    (daemon, port)
}

#[test]
fn memory_is_given_back_where_all_come_by_ssh() {
    let (daemon, port) = with_users_of_ssh();
    let connect = |_| {
        let mut stream =
            std::net::TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").unwrap();
        // Its name, and what it can do.
        let mut got = [0; 256];
        stream.read_exact(&mut got).unwrap();
        assert!(got.starts_with(b"SSH-2.0-agent-backend"));
        stream
    };
    let held: Vec<_> = (0..100).map(connect).collect();
    let peak = daemon.resident_kib();
    drop(held);
    let until = Instant::now() + PATIENCE;
    while daemon.resident_kib() > peak - 1_024 {
        assert!(
            Instant::now() < until,
            "still {} of {peak} KiB",
            daemon.resident_kib()
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("{peak} KiB, then {}", daemon.resident_kib());
}

#[test]
fn a_client_of_ssh_that_nobody_knows_is_told_of() {
    let (mut daemon, port) = with_users_of_ssh();
    let asked = Command::new("ssh")
        .args(["-F", "none", "-p", &port, "-o", "BatchMode=yes"])
        .args(["-o", "StrictHostKeyChecking=no"])
        .args(["-o", "UserKnownHostsFile=/dev/null"])
        .args(["-o", "IdentitiesOnly=yes", "eve@127.0.0.1", "true"])
        .stdin(Stdio::null())
        .output();
    let Ok(asked) = asked else {
        crate::skip::skip("OpenSSH is not installed");
        return;
    };
    assert!(!asked.status.success(), "{asked:?}");
    let told = daemon.wait_for("left without logging in");
    assert!(told.contains("user=eve"), "{told}");
}
