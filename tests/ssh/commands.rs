//! `exec` as OpenSSH's `ssh` asks for it.

use std::io::{Read as _, Write as _};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::server::{Fixture, has_openssh, text};

#[test]
fn a_command_has_its_streams_and_its_exit_code() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    let done = fixture.run("echo out; echo err >&2; exit 7");
    assert_eq!(
        (text(&done.stdout), text(&done.stderr), done.status.code()),
        ("out\n".into(), "err\n".into(), Some(7))
    );
    let done = fixture.run("pwd");
    assert_eq!(
        text(&done.stdout).trim_end(),
        fixture.root().to_str().unwrap()
    );
}

#[test]
fn standard_input_reaches_the_command_whole_and_comes_back() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    // More than all windows and buffers on the way, in both directions at once.
    let sent: Vec<u8> = (0..24 << 20).map(|at: u32| (at % 251) as u8).collect();
    let mut child = fixture
        .ssh("agent", &[])
        .arg("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writing = std::thread::spawn({
        let sent = sent.clone();
        move || input.write_all(&sent).unwrap()
    });
    let mut came = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut came).unwrap();
    writing.join().unwrap();
    assert!(child.wait().unwrap().success());
    assert!(came == sent, "{} of {} bytes", came.len(), sent.len());
}

#[test]
fn a_command_that_reads_slowly_while_it_prints_much_does_not_stop_for_ever() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    // It prints far more than a window for each line that it reads, while more comes in than is kept.
    let command =
        "for i in 1 2 3; do read -r line; head -c 6000000 /dev/zero; done; cat | wc -c >&2";
    let mut child = fixture
        .ssh("agent", &[])
        .arg(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writing = std::thread::spawn(move || {
        input.write_all(b"1\n2\n3\n").unwrap();
        input.write_all(&vec![b'x'; 40 << 20]).unwrap();
    });
    let mut came = Vec::new();
    child.stdout.take().unwrap().read_to_end(&mut came).unwrap();
    writing.join().unwrap();
    let done = child.wait_with_output().unwrap();
    assert_eq!(came.len(), 18_000_000);
    assert_eq!(text(&done.stderr).trim(), (40 << 20).to_string());
}

#[test]
fn a_signal_that_ends_a_command_is_told() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    let done = fixture
        .ssh("agent", &["-v"])
        .arg("kill -TERM $$")
        .output()
        .unwrap();
    // ssh has no exit code for it.
    assert_eq!(done.status.code(), Some(255));
    assert!(
        text(&done.stderr).contains("exit-signal"),
        "{}",
        text(&done.stderr)
    );
}

#[test]
fn a_command_ends_when_its_client_leaves() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    let command = "echo $$ > pid; exec sleep 1000";
    let mut child = fixture.ssh("agent", &[]).arg(command).spawn().unwrap();
    let pid = fixture.root().join("pid");
    eventually("it starts", || {
        std::fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n'))
    });
    let pid = std::fs::read_to_string(pid).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let process = std::path::PathBuf::from(format!("/proc/{}", pid.trim()));
    eventually("it ends", || !process.exists());
}

#[test]
fn what_may_not_run_is_said_on_standard_error() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    let done = fixture
        .ssh("reader", &[])
        .arg("touch made")
        .output()
        .unwrap();
    assert_eq!(done.status.code(), Some(126), "{}", text(&done.stderr));
    assert!(
        text(&done.stderr).starts_with("agent-backend: "),
        "{}",
        text(&done.stderr)
    );
    assert!(!fixture.root().join("made").exists());
    let done = fixture.run("  ");
    assert_eq!(done.status.code(), Some(126), "{}", text(&done.stderr));
}

#[test]
fn only_variables_of_speech_reach_a_command() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    let done = fixture
        .ssh(
            "agent",
            &["-o", "SetEnv=LC_TEST=yes BASH_ENV=no HARMLESS=no"],
        )
        .arg("echo \"$LC_TEST,$BASH_ENV,$HARMLESS\"")
        .output()
        .unwrap();
    assert_eq!(text(&done.stdout), "yes,,\n", "{}", text(&done.stderr));
}

#[test]
fn each_user_is_in_a_scope_of_its_own() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    let scope = fixture.root().join("users/bob");
    std::fs::create_dir_all(&scope).unwrap();
    let done = fixture.ssh("bob", &[]).arg("pwd").output().unwrap();
    assert_eq!(
        text(&done.stdout).trim_end(),
        scope.to_str().unwrap(),
        "{}",
        text(&done.stderr)
    );
}

#[test]
fn every_way_to_other_machines_and_sockets_is_refused() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    let port = fixture.address.port();
    // A tunnel to a server that would answer: the canary is its banner.
    let direct = fixture
        .ssh("agent", &["-W", &format!("127.0.0.1:{port}")])
        .output()
        .unwrap();
    assert!(
        !text(&direct.stdout).contains("SSH-2.0"),
        "{}",
        text(&direct.stdout)
    );
    assert!(
        text(&direct.stderr).contains("administratively prohibited"),
        "{}",
        text(&direct.stderr)
    );
    let socket = fixture.base.path().join("forwarded");
    for forward in [
        "0:127.0.0.1:1".to_owned(),
        format!("{}:127.0.0.1:1", socket.display()),
    ] {
        let remote = fixture
            .ssh("agent", &["-o", "ExitOnForwardFailure=yes", "-R", &forward])
            .arg("echo ran")
            .output()
            .unwrap();
        assert_eq!(
            text(&remote.stdout),
            "",
            "{forward}: {}",
            text(&remote.stderr)
        );
        assert!(!remote.status.success() && !socket.exists());
    }
    // Asking for an agent, for X11 and for compression harms nothing and gives nothing.
    let done = fixture
        .ssh("agent", &["-A", "-X", "-C", "-v"])
        .env("DISPLAY", "127.0.0.1:0")
        .arg("echo \"[$SSH_AUTH_SOCK$DISPLAY]\"")
        .output()
        .unwrap();
    assert_eq!(text(&done.stdout), "[]\n", "{}", text(&done.stderr));
    assert!(
        !text(&done.stderr).contains("Enabling compression"),
        "{}",
        text(&done.stderr)
    );
}

#[test]
fn only_strong_algorithms_are_spoken() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    for (option, works) in [
        ("KexAlgorithms=curve25519-sha256", true),
        ("KexAlgorithms=diffie-hellman-group14-sha256", false),
        ("KexAlgorithms=diffie-hellman-group14-sha1", false),
        ("Ciphers=aes256-gcm@openssh.com", true),
        ("Ciphers=aes128-gcm@openssh.com", true),
        ("Ciphers=chacha20-poly1305@openssh.com", true),
        ("Ciphers=aes256-ctr", false),
        ("Ciphers=aes128-cbc", false),
        ("HostKeyAlgorithms=ssh-ed25519", true),
        ("HostKeyAlgorithms=ssh-rsa", false),
        ("HostKeyAlgorithms=rsa-sha2-512", false),
    ] {
        let done = fixture
            .ssh("agent", &["-o", option])
            .arg("echo ok")
            .output()
            .unwrap();
        assert_eq!(
            done.status.success(),
            works,
            "{option}: {}",
            text(&done.stderr)
        );
    }
    let done = fixture.ssh("agent", &["-vv"]).arg("true").output().unwrap();
    assert!(text(&done.stderr).contains("kex-strict-s-v00@openssh.com"));
}

fn eventually(what: &str, is: impl Fn() -> bool) {
    let started = Instant::now();
    while !is() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
