//! Bytes that no client sends, before anybody has said who they are.

use std::time::Duration;

use agent_backend::backend::local::command::Isolation;
use agent_backend::daemon::ssh::{Entry, ServerOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::alone::ran_alone;
use crate::bounds::resident;
use crate::peer::Peer;
use crate::server::Fixture;

const CONNECTIONS: u64 = 2_400;

/// The same numbers in every run.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// A packet before encryption: length, length of padding, payload, padding.
fn packet(payload: &[u8]) -> Vec<u8> {
    let padding = 8 - (payload.len() + 5) % 8 + 8;
    let mut packet = ((payload.len() + padding + 1) as u32)
        .to_be_bytes()
        .to_vec();
    packet.push(padding as u8);
    packet.extend_from_slice(payload);
    packet.extend(std::iter::repeat_n(0, padding));
    packet
}

fn kexinit(numbers: &mut Numbers) -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend(numbers.bytes(16));
    for list in [
        "curve25519-sha256,ext-info-c,kex-strict-c-v00@openssh.com",
        "ssh-ed25519",
        "aes256-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-256",
        "none",
        "none",
        "",
        "",
    ] {
        payload.extend((list.len() as u32).to_be_bytes());
        payload.extend(list.as_bytes());
    }
    payload.extend([0; 5]);
    payload
}

/// What one connection sends: nearly a handshake, somewhere wrong.
fn sent(numbers: &mut Numbers) -> Vec<u8> {
    let mut bytes = match numbers.below(4) {
        0 => {
            let count = numbers.below(600);
            return numbers.bytes(count);
        }
        1 => b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        _ => b"SSH-2.0-x\r\n".to_vec(),
    };
    for _ in 0..numbers.below(5) {
        match numbers.below(7) {
            0 => bytes.extend(packet(&kexinit(numbers))),
            1 => {
                // A public key of the exchange: right, short, long, of low order.
                let length = [32, 0, 31, 33, 4096][numbers.below(5)];
                let mut payload = vec![30];
                payload.extend((length as u32).to_be_bytes());
                payload.extend(match numbers.below(2) {
                    0 => vec![0; length],
                    _ => numbers.bytes(length),
                });
                bytes.extend(packet(&payload));
            }
            2 => bytes.extend(packet(&[21])),
            3 => {
                let kind = numbers.next() as u8;
                let count = numbers.below(200);
                let mut payload = vec![kind];
                payload.extend(numbers.bytes(count));
                bytes.extend(packet(&payload));
            }
            4 => bytes.extend([0xff; 40]),
            5 => {
                // A length that is a lie.
                let length =
                    [0u32, 1, 4, 0x7fff_ffff, 0xffff_ffff, 1 << 20, 262_144][numbers.below(7)];
                bytes.extend(length.to_be_bytes());
                let count = numbers.below(100);
                bytes.extend(numbers.bytes(count));
            }
            _ => {
                let mut payload = kexinit(numbers);
                for _ in 0..=numbers.below(4) {
                    let at = numbers.below(payload.len());
                    payload[at] = numbers.next() as u8;
                }
                bytes.extend(packet(&payload));
            }
        }
    }
    if numbers.below(3) == 0 && !bytes.is_empty() {
        bytes.truncate(numbers.below(bytes.len()));
    }
    bytes
}

#[test]
fn whatever_comes_before_authentication_neither_stops_nor_fills_the_server() {
    if ran_alone("garbage::whatever_comes_before_authentication_neither_stops_nor_fills_the_server")
    {
        return;
    }
    let fixture = Fixture::with(
        ServerOptions {
            authenticate_within: Duration::from_secs(2),
            ..ServerOptions::default()
        },
        Isolation::None,
    );
    fixture.runtime().block_on(async {
        let users = Entry::Users(std::sync::Arc::new(Nobody));
        let mut before = 0;
        for seed in 1..=CONNECTIONS {
            let mut numbers = Numbers::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            let bytes = sent(&mut numbers);
            let (near, far) = tokio::io::duplex(1 << 14);
            let serving = tokio::spawn(fixture.server.serve(far, users.clone(), None));
            let (mut reads, mut writes) = tokio::io::split(near);
            let reading = tokio::spawn(async move { reads.read_to_end(&mut Vec::new()).await });
            let _ = writes.write_all(&bytes).await;
            let _ = writes.shutdown().await;
            let ended = tokio::time::timeout(Duration::from_secs(10), serving).await;
            // It ended, and not by a panic.
            let ended = ended
                .unwrap_or_else(|_| panic!("connection {seed} hangs"))
                .unwrap();
            if let Err(error) = ended {
                assert!(!error.to_string().contains("panic"), "{seed}: {error}");
            }
            let _ = reading.await;
            if seed == CONNECTIONS / 4 {
                before = resident();
            }
        }
        let after = resident();
        assert!(after < before + (16 << 20), "{before} → {after} bytes");
        // And it serves.
        let peer = Peer::connect(&fixture).await;
        assert_eq!(peer.run("echo in").await.stdout, b"in\n");
    });
}

/// Knows nobody.
#[derive(Debug)]
struct Nobody;

impl agent_backend::daemon::ssh::Users for Nobody {
    fn scopes(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn has_passwords(&self) -> bool {
        true
    }

    fn has_keys(&self) -> bool {
        true
    }

    fn by_password(&self, _: &str, _: &str) -> Option<agent_backend::daemon::session::Session> {
        None
    }

    fn knows_key(&self, _: &str, _: &russh::keys::PublicKey) -> bool {
        false
    }

    fn by_key(
        &self,
        _: &str,
        _: &russh::keys::PublicKey,
    ) -> Option<agent_backend::daemon::session::Session> {
        None
    }
}
