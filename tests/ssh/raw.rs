//! A client that speaks just enough SSH to be let in, and then sends whatever it is told, message by message: what no
//! library lets its callers send.

use std::io;
use std::net::SocketAddr;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{EphemeralPrivateKey, UnparsedPublicKey, X25519, agree_ephemeral};
use ring::digest::{Context, SHA256};
use ring::rand::SystemRandom;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const NAME: &str = "SSH-2.0-raw";

/// One direction: `aes256-gcm@openssh.com`.
struct Cipher {
    key: LessSafeKey,
    nonce: [u8; 12],
}

impl Cipher {
    fn next_nonce(&mut self) -> Nonce {
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let counter = u64::from_be_bytes(self.nonce[4..].try_into().unwrap());
        self.nonce[4..].copy_from_slice(&counter.wrapping_add(1).to_be_bytes());
        nonce
    }
}

/// A connection on which somebody is logged in.
pub struct Raw {
    stream: TcpStream,
    sending: Cipher,
    receiving: Cipher,
}

/// Bytes with their length before them.
pub fn string(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&(bytes.len() as u32).to_be_bytes(), bytes].concat()
}

/// A number as `mpint`.
fn number(bytes: &[u8]) -> Vec<u8> {
    let start = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut digits = bytes[start..].to_vec();
    if digits.first().is_some_and(|first| *first >= 0x80) {
        digits.insert(0, 0);
    }
    string(digits)
}

fn padded(payload: &[u8], block: usize, counted: usize) -> Vec<u8> {
    let padding = block - (counted + 1 + payload.len()) % block;
    let padding = if padding < 4 {
        padding + block
    } else {
        padding
    };
    let mut packet = vec![padding as u8];
    packet.extend_from_slice(payload);
    packet.resize(packet.len() + padding, 0);
    packet
}

fn kexinit() -> Vec<u8> {
    let mut payload = vec![20];
    payload.extend([7; 16]);
    for list in [
        "curve25519-sha256",
        "ssh-ed25519",
        "aes256-gcm@openssh.com",
        "aes256-gcm@openssh.com",
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-256-etm@openssh.com",
        "none",
        "none",
        "",
        "",
    ] {
        payload.extend(string(list));
    }
    payload.extend([0; 5]);
    payload
}

async fn send_plain(stream: &mut TcpStream, payload: &[u8]) -> io::Result<()> {
    let packet = padded(payload, 8, 4);
    stream.write_u32(packet.len() as u32).await?;
    stream.write_all(&packet).await
}

async fn receive_plain(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    let mut packet = vec![0; length as usize];
    stream.read_exact(&mut packet).await?;
    let end = packet.len() - packet[0] as usize;
    Ok(packet[1..end].to_vec())
}

/// The name of the other side, its first line.
async fn greeting(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(stream.read_u8().await?);
    }
    line.truncate(line.len() - 2);
    Ok(line)
}

/// The field that begins here.
fn field(bytes: &[u8]) -> &[u8] {
    let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
    &bytes[4..4 + length]
}

impl Raw {
    /// Logs in over TCP.
    pub async fn connect(address: SocketAddr, user: &str, password: &str) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        stream.write_all(format!("{NAME}\r\n").as_bytes()).await?;
        let theirs = greeting(&mut stream).await?;
        let ours = kexinit();
        send_plain(&mut stream, &ours).await?;
        let their_kexinit = receive_plain(&mut stream).await?;
        let random = SystemRandom::new();
        let secret = EphemeralPrivateKey::generate(&X25519, &random).unwrap();
        let public = secret.compute_public_key().unwrap();
        send_plain(&mut stream, &[&[30][..], &string(public.as_ref())].concat()).await?;
        let reply = receive_plain(&mut stream).await?;
        assert_eq!(reply[0], 31, "the server's half of the key exchange");
        let host_key = field(&reply[1..]);
        let their_public = field(&reply[5 + host_key.len()..]);
        let peer = UnparsedPublicKey::new(&X25519, their_public);
        let shared = agree_ephemeral(secret, &peer, number).unwrap();
        let mut hash = Context::new(&SHA256);
        for part in [NAME.as_bytes(), &theirs, &ours, &their_kexinit] {
            hash.update(&string(part));
        }
        for part in [host_key, public.as_ref(), their_public] {
            hash.update(&string(part));
        }
        hash.update(&shared);
        let session = hash.finish();
        let derive = |letter: u8| {
            let mut hash = Context::new(&SHA256);
            for part in [&shared, session.as_ref(), &[letter], session.as_ref()] {
                hash.update(part);
            }
            hash.finish()
        };
        let cipher = |nonce, key| Cipher {
            nonce: derive(nonce).as_ref()[..12].try_into().unwrap(),
            key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, derive(key).as_ref()).unwrap()),
        };
        send_plain(&mut stream, &[21]).await?;
        assert_eq!(receive_plain(&mut stream).await?, [21]);
        let mut raw = Self {
            stream,
            sending: cipher(b'A', b'C'),
            receiving: cipher(b'B', b'D'),
        };
        raw.log_in(user, password).await?;
        Ok(raw)
    }

    async fn log_in(&mut self, user: &str, password: &str) -> io::Result<()> {
        self.send(&[&[5][..], &string("ssh-userauth")].concat())
            .await?;
        let mut request = vec![50];
        for part in [user, "ssh-connection", "password"] {
            request.extend(string(part));
        }
        request.push(0);
        request.extend(string(password));
        self.send(&request).await?;
        loop {
            match self.receive().await?[0] {
                52 => return Ok(()),
                51 => return Err(io::ErrorKind::PermissionDenied.into()),
                _ => {}
            }
        }
    }

    /// Sends one message.
    pub async fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut packet = padded(payload, 16, 0);
        let length = (packet.len() as u32).to_be_bytes();
        let nonce = self.sending.next_nonce();
        (self.sending.key)
            .seal_in_place_append_tag(nonce, Aad::from(length), &mut packet)
            .unwrap();
        self.send_bytes(&[&length, &packet[..]].concat()).await
    }

    /// Sends bytes that are no packet, or not the next one.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// The next message.
    pub async fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).await?;
        let mut packet = vec![0; u32::from_be_bytes(length) as usize + 16];
        self.stream.read_exact(&mut packet).await?;
        let nonce = self.receiving.next_nonce();
        let opened = (self.receiving.key)
            .open_in_place(nonce, Aad::from(length), &mut packet)
            .map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(opened[1..opened.len() - opened[0] as usize].to_vec())
    }
}
