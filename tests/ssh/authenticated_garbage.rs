//! Messages that no client sends, from somebody who has logged in: each ends at most that connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::ChannelMsg;

use crate::alone::ran_alone;
use crate::bounds::resident;
use crate::garbage::Numbers;
use crate::garbled::message;
use crate::peer::{PATIENCE, Peer};
use crate::raw::{Raw, string};
use crate::server::Fixture;

const CONNECTIONS: u64 = 2_000;
/// Messages of one connection: so many times so many, each time until it ends.
const BATCHES: usize = 12;
const BATCH: usize = 4;

/// Logs in, asks for something sensible or not, and sends what comes to its mind. Gives how many of the messages
/// left the connection alive.
async fn misbehave(fixture: &Fixture, numbers: &mut Numbers) -> usize {
    // Who may only read cannot have a garbled text run as a command.
    let (user, password) = [("agent", "secret"), ("reader", "page")][numbers.below(2)];
    let mut raw = (Raw::connect(fixture.address, user, password))
        .await
        .unwrap();
    let mut open = Vec::new();
    for _ in 0..numbers.below(3) {
        let session = [
            &[90][..],
            &string("session"),
            &[0, 0, 0, 1, 0, 16, 0, 0, 0, 0, 128, 0],
        ];
        raw.send(&session.concat()).await.unwrap();
        assert!(is_answered(&mut raw, &mut open).await);
        let commands = user == "reader" && numbers.below(2) == 0;
        let name = if commands {
            "commands@agent-backend"
        } else {
            "sftp"
        };
        let channel = open.last().unwrap().to_be_bytes();
        let ask = [
            &[98][..],
            &channel,
            &string("subsystem"),
            &[1],
            &string(name),
        ];
        raw.send(&ask.concat()).await.unwrap();
    }
    let mut answered = 0;
    for _ in 0..BATCHES {
        for _ in 0..BATCH {
            let _ = match numbers.below(400) {
                // Beneath the messages.
                0 => raw.send_bytes(&numbers.bytes(64)).await,
                1 => raw.send_bytes(&u32::MAX.to_be_bytes()).await,
                _ => raw.send(&message(numbers, &open)).await,
            };
        }
        let lives = tokio::time::timeout(PATIENCE, is_answered(&mut raw, &mut open)).await;
        match lives {
            Ok(true) => answered += BATCH,
            Ok(false) => break,
            Err(_) => panic!("it neither answers nor hangs up"),
        }
    }
    answered
}

/// Whether the connection lives: a kind of channel that there is not is refused, behind all that came before it. What was
/// opened meanwhile is added.
async fn is_answered(raw: &mut Raw, open: &mut Vec<u32>) -> bool {
    const NUMBER: [u8; 4] = [0x5e, 0xed, 0x5e, 0xed];
    let probe = [
        &[90][..],
        &string("none"),
        &NUMBER,
        &[0, 0, 128, 0, 0, 0, 128, 0],
    ];
    if raw.send(&probe.concat()).await.is_err() {
        return false;
    }
    while let Ok(message) = raw.receive().await {
        match message.first() {
            Some(91) => open.push(u32::from_be_bytes(message[5..9].try_into().unwrap())),
            Some(92) if message[1..].starts_with(&NUMBER) => return true,
            _ => {}
        }
    }
    false
}

/// Another's session that goes on all the while: one command that answers each line.
struct Witness {
    peer: Peer,
    channel: russh::Channel<russh::client::Msg>,
}

impl Witness {
    async fn new(fixture: &Fixture) -> Self {
        let peer = Peer::connect(fixture).await;
        let channel = peer.session().await;
        channel.exec(true, "cat").await.unwrap();
        Self { peer, channel }
    }

    async fn looks(&mut self, seed: u64) {
        let line = format!("line {seed}\n");
        self.channel
            .data_bytes(line.clone().into_bytes())
            .await
            .unwrap();
        let mut came = Vec::new();
        let answered = async {
            while came.len() < line.len() {
                match self.channel.wait().await {
                    Some(ChannelMsg::Data { data }) => came.extend_from_slice(&data),
                    Some(_) => {}
                    None => panic!("the command ended at {seed}"),
                }
            }
        };
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        assert!(answered.is_ok(), "{seed}: no answer");
        assert_eq!(came, line.as_bytes());
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn whatever_comes_after_authentication_harms_nobody_else() {
    if ran_alone("authenticated_garbage::whatever_comes_after_authentication_harms_nobody_else") {
        return;
    }
    let panics = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&panics);
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        count.fetch_add(1, Ordering::Relaxed);
        before(panic);
    }));
    let fixture = Fixture::new();
    std::fs::write(fixture.root().join("f"), "there").unwrap();
    fixture.runtime().block_on(async {
        let mut witness = Witness::new(&fixture).await;
        let (mut memory, mut open, mut survived) = (0, 0, 0);
        for seed in 1..=CONNECTIONS {
            let mut numbers = Numbers::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            survived += misbehave(&fixture, &mut numbers).await;
            if seed % 5 == 0 {
                witness.looks(seed).await;
            }
            if seed % 50 == 0 {
                assert_eq!(witness.peer.run("echo in").await.stdout, b"in\n", "{seed}");
            }
            if seed == CONNECTIONS / 4 {
                (memory, open) = (resident(), descriptors());
            }
        }
        // It reached somebody: one wrong word does not end a connection as a rule.
        println!("{survived} messages left {CONNECTIONS} connections alive");
        assert!(survived > CONNECTIONS as usize * BATCH, "{survived}");
        let after = resident();
        assert!(after < memory + (16 << 20), "{memory} → {after} bytes");
        // What they held is given back once they are gone.
        let given_back = async {
            while descriptors() > open + 8 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let given_back = tokio::time::timeout(PATIENCE, given_back).await;
        assert!(given_back.is_ok(), "{open} → {} open", descriptors());
    });
    assert_eq!(panics.load(Ordering::Relaxed), 0, "nothing panicked");
}
