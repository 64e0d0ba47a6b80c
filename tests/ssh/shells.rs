//! Shells and terminals.

use std::io::Write as _;
use std::process::Stdio;

use agent_backend::backend::process::TerminalSize;
use agent_backend::sys::linux::terminal::{self, Pair};
use rustix::termios::{
    InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios, tcgetattr,
    tcsetattr,
};

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

/// What `stty -a` says on a terminal of the server, asked for from a terminal of ours with some modes changed.
fn modes_seen(fixture: &Fixture, change: impl FnOnce(&mut Termios)) -> String {
    let Pair { ours, theirs } = terminal::open(TerminalSize::default(), &[], None).unwrap();
    let (_screen, keyboard) = (ours, theirs);
    let mut modes = tcgetattr(&keyboard).unwrap();
    change(&mut modes);
    tcsetattr(&keyboard, OptionalActions::Now, &modes).unwrap();
    let done = fixture
        .ssh("agent", &["-tt"])
        .env("TERM", "xterm")
        .arg("stty -a")
        .stdin(Stdio::from(keyboard))
        .output()
        .unwrap();
    assert!(done.status.success(), "{done:?}");
    // Words with a blank on either side.
    let said = text(&done.stdout);
    format!(
        " {} ",
        said.split_whitespace().collect::<Vec<_>>().join(" ")
    )
}

fn assert_modes(seen: &str, expected: &str) {
    for words in expected.split(", ") {
        assert!(seen.contains(&format!(" {words} ")), "{words}: {seen}");
    }
}

#[test]
fn the_modes_of_a_terminal_are_those_of_the_client_s_own() {
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    let plain = modes_seen(&fixture, |_| {});
    assert_modes(&plain, "intr = ^C;, icrnl, ixon, echo, isig, opost, icanon");
    let changed = modes_seen(&fixture, |modes| {
        modes.special_codes[SpecialCodeIndex::VINTR] = 20;
        modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
        modes.input_modes -= InputModes::ICRNL | InputModes::IXON;
        modes.local_modes -= LocalModes::ECHO | LocalModes::ISIG;
        modes.output_modes -= OutputModes::OPOST;
    });
    assert_modes(&changed, "intr = ^T;, susp = <undef>;, -icrnl, -ixon");
    assert_modes(&changed, "-echo, -isig, -opost, icanon");
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
        // What is typed behind a change finds the window changed, each time.
        for columns in 100..400 {
            channel.window_change(columns, 22, 0, 0).await.unwrap();
            channel.data(&b"\n"[..]).await.unwrap();
            crate::peer::until(&mut channel, &format!("22 {columns}")).await;
        }
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
