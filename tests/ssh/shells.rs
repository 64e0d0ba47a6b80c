//! Shells and terminals.

use std::io::Write as _;
use std::process::Stdio;

use crate::peer::Peer;
use crate::server::{Fixture, has_openssh, text};

#[test]
fn a_shell_without_a_terminal_reads_commands() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    let mut child = fixture
        .ssh("agent", &["-T"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"echo $((40 + 2))\nexit 3\n").unwrap();
    drop(input);
    let done = child.wait_with_output().unwrap();
    assert!(text(&done.stdout).contains("42"), "{done:?}");
    assert_eq!(done.status.code(), Some(3), "{done:?}");
}

#[test]
fn a_command_on_a_terminal_has_one_and_speaks_through_it() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    let done = fixture
        .ssh("agent", &["-tt"])
        .env("TERM", "xterm-256color")
        .arg("test -t 0 && test -t 1 && test -t 2 && echo \"$TERM\"; echo err >&2; exit 5")
        .output()
        .unwrap();
    let printed = text(&done.stdout);
    assert!(
        printed.contains("xterm-256color\r\n") && printed.contains("err\r\n"),
        "{done:?}"
    );
    assert_eq!(done.status.code(), Some(5));
}

#[test]
fn the_window_of_a_terminal_is_what_the_client_says_and_follows_it() {
    let fixture = Fixture::new();
    fixture.runtime().block_on(async {
        let peer = Peer::connect(&fixture).await;
        let mut channel = peer.session().await;
        channel
            .request_pty(true, "xterm", 101, 31, 0, 0, &[])
            .await
            .unwrap();
        channel
            .exec(
                true,
                "stty size; while :; do read -r x || exit; stty size; done",
            )
            .await
            .unwrap();
        crate::peer::until(&mut channel, "31 101").await;
        channel.window_change(77, 22, 0, 0).await.unwrap();
        channel.data(&b"\n"[..]).await.unwrap();
        crate::peer::until(&mut channel, "22 77").await;
    });
}

#[test]
fn a_signal_reaches_the_command() {
    let fixture = Fixture::new();
    fixture.runtime().block_on(async {
        let peer = Peer::connect(&fixture).await;
        let mut channel = peer.session().await;
        channel
            .exec(
                true,
                "trap 'echo got; exit 9' USR1; echo ready; while :; do sleep 0.05; done",
            )
            .await
            .unwrap();
        crate::peer::until(&mut channel, "ready").await;
        channel.signal(russh::Sig::USR1).await.unwrap();
        crate::peer::until(&mut channel, "got").await;
        let done = crate::peer::rest(&mut channel).await;
        assert_eq!(done.status, Some(9));
    });
}
