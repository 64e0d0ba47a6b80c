//! Messages of somebody who has logged in: nearly right, somewhere wrong. None of them makes a text run as a command that
//! is not one of ours.

use crate::garbage::Numbers;
use crate::raw::string;

/// Numbers where a length, an identifier or a window is expected.
const WORDS: [u32; 10] = [
    0,
    1,
    2,
    5,
    77,
    0x7fff_ffff,
    0x8000_0000,
    u32::MAX,
    1 << 20,
    262_144,
];

/// The only commands: whatever else is sent where a command goes is none.
const COMMANDS: [&str; 3] = ["cat >/dev/null", "true", "sleep 1000"];

fn word(numbers: &mut Numbers) -> [u8; 4] {
    let word = match numbers.below(5) {
        0 => numbers.next() as u32,
        _ => WORDS[numbers.below(WORDS.len())],
    };
    word.to_be_bytes()
}

/// One of the channels that there are, or not.
fn channel(numbers: &mut Numbers, open: &[u32]) -> [u8; 4] {
    match numbers.below(8) {
        1.. if !open.is_empty() => open[numbers.below(open.len())].to_be_bytes(),
        _ => word(numbers),
    }
}

fn one_of<'a>(numbers: &mut Numbers, texts: &[&'a str]) -> &'a str {
    texts[numbers.below(texts.len())]
}

fn noise(numbers: &mut Numbers, most: usize) -> Vec<u8> {
    let count = numbers.below(most);
    numbers.bytes(count)
}

/// A string, now and then with a length that is a lie.
fn text(numbers: &mut Numbers, text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes = string(text);
    if numbers.below(24) == 0 {
        bytes[..4].copy_from_slice(&word(numbers));
    }
    bytes
}

fn open_message(numbers: &mut Numbers) -> Vec<u8> {
    let kinds = [
        "session",
        "session",
        "direct-tcpip",
        "forwarded-tcpip",
        "x11",
        "auth-agent@openssh.com",
        "direct-streamlocal@openssh.com",
        "tun@openssh.com",
        "",
        "unheard-of@example.com",
    ];
    let mut message = vec![90];
    let kind = one_of(numbers, &kinds);
    message.extend(text(numbers, kind));
    for _ in 0..3 {
        message.extend(word(numbers));
    }
    match numbers.below(3) {
        0 => message.extend(noise(numbers, 80)),
        1 => {
            for host in ["127.0.0.1", "/var/run/docker.sock"] {
                message.extend(text(numbers, host));
                message.extend(22_u32.to_be_bytes());
            }
        }
        _ => {}
    }
    message
}

fn channel_request(numbers: &mut Numbers, open: &[u32]) -> Vec<u8> {
    let kinds = [
        "pty-req",
        "x11-req",
        "env",
        "subsystem",
        "window-change",
        "xon-xoff",
        "signal",
        "exit-status",
        "exit-signal",
        "auth-agent-req@openssh.com",
        "break",
        "eow@openssh.com",
        "keepalive@openssh.com",
        "",
    ];
    let mut message = vec![98];
    message.extend(channel(numbers, open));
    if numbers.below(4) == 0 {
        message.extend(string("exec"));
        message.push(numbers.below(2) as u8);
        message.extend(string(one_of(numbers, &COMMANDS)));
        return message;
    }
    let kind = one_of(numbers, &kinds);
    message.extend(text(numbers, kind));
    message.push(numbers.below(3) as u8);
    match (kind, numbers.below(3)) {
        (_, 0) => message.extend(noise(numbers, 120)),
        ("subsystem", _) => {
            // Not our own for commands: a garbled text could be one.
            let name = one_of(numbers, &["sftp", "sftp", "netconf"]);
            message.extend(text(numbers, name));
        }
        ("pty-req", _) => {
            message.extend(text(numbers, "xterm"));
            for _ in 0..4 {
                message.extend(word(numbers));
            }
            let modes = noise(numbers, 60);
            message.extend(text(numbers, modes));
        }
        ("signal", _) => {
            let name = one_of(numbers, &["TERM", "KILL", "X"]);
            message.extend(text(numbers, name));
        }
        ("env", _) => {
            let value = noise(numbers, 40);
            message.extend(text(numbers, "LANG"));
            message.extend(text(numbers, value));
        }
        _ => {
            for _ in 0..numbers.below(5) {
                message.extend(word(numbers));
            }
        }
    }
    message
}

/// What goes to a subsystem: packets of SFTP and frames, and what looks like them.
fn channel_data(numbers: &mut Numbers, open: &[u32]) -> Vec<u8> {
    let data = match numbers.below(6) {
        0 => noise(numbers, 3_000),
        // A packet of files of any kind, with a length that is right, or a lie.
        1..=3 => {
            let mut packet = vec![[1, 3, 4, 5, 6, 9, 11, 12, 15, 16, 20, 200][numbers.below(12)]];
            packet.extend(word(numbers));
            for _ in 0..numbers.below(4) {
                let path = one_of(numbers, &["f", "..", "d/../../x", ""]);
                packet.extend(text(numbers, path));
            }
            packet.extend(noise(numbers, 60));
            text(numbers, packet)
        }
        // The greeting.
        4 => [&5_u32.to_be_bytes()[..], &[1, 0, 0, 0, 3]].concat(),
        _ => [&word(numbers)[..], &noise(numbers, 40)].concat(),
    };
    let mut message = vec![94];
    message.extend(channel(numbers, open));
    if numbers.below(10) == 0 {
        message[0] = 95;
        message.extend(word(numbers));
    }
    message.extend(text(numbers, data));
    message
}

fn global_request(numbers: &mut Numbers) -> Vec<u8> {
    let kinds = [
        "tcpip-forward",
        "cancel-tcpip-forward",
        "streamlocal-forward@openssh.com",
        "hostkeys-prove-00@openssh.com",
        "no-more-sessions@openssh.com",
        "keepalive@openssh.com",
        "",
    ];
    let mut message = vec![80];
    let kind = one_of(numbers, &kinds);
    message.extend(text(numbers, kind));
    message.push(numbers.below(2) as u8);
    message.extend(text(numbers, "0.0.0.0"));
    message.extend(word(numbers));
    if numbers.below(3) == 0 {
        message.truncate(numbers.below(message.len()));
    }
    message
}

/// One message; `open` are the channels that there are.
pub fn message(numbers: &mut Numbers, open: &[u32]) -> Vec<u8> {
    let mut message = match numbers.below(24) {
        0 | 1 => open_message(numbers),
        2..=9 => channel_request(numbers, open),
        10..=19 => channel_data(numbers, open),
        20 => global_request(numbers),
        21 => {
            // Window, end, close, and answers to what was never asked.
            let kind = [91, 92, 93, 93, 96, 96, 97, 97, 99, 100, 81][numbers.below(11)];
            let rest = match kind {
                93 => word(numbers).to_vec(),
                96 | 97 => Vec::new(),
                _ => noise(numbers, 8),
            };
            [&[kind][..], &channel(numbers, open), &rest].concat()
        }
        22 => {
            // What belongs before the login, or to the transport.
            let kind = [2, 3, 4, 5, 6, 7, 20, 21, 30, 31, 50, 51, 52, 60, 61][numbers.below(15)];
            [&[kind][..], &noise(numbers, 100)].concat()
        }
        _ => {
            // Not a request on a channel: its text could be a command.
            let kind = Some(numbers.next() as u8).filter(|kind| *kind != 98);
            [&[kind.unwrap_or(0)][..], &noise(numbers, 200)].concat()
        }
    };
    if numbers.below(20) == 0 && message.first() != Some(&98) {
        message.truncate(numbers.below(message.len() + 1));
    }
    message
}
