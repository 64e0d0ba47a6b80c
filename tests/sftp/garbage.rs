//! A fuzz of the server, always the same: whatever arrives, each request that can be told from others is answered once,
//! the connection goes on or ends, and nothing panics or reaches what is outside.

use agent_backend::daemon::session::Session;
use agent_backend::wire::sftp::{
    Extended, FileAttributes, FromClient, FromServer, OpenFlags, Request, Response, Splitter,
    StatusCode,
};
use bytes::{BufMut as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::{Client, WRITE, bytes, status};
use super::world::{World, in_memory, run};

/// Packets sent to servers.
const PACKETS: usize = 60_000;
/// Packets sent to servers of a directory on the disk.
const PACKETS_ON_DISK: usize = 10_000;
/// Packets of one connection at most.
const CONNECTION: usize = 400;
/// Inputs of the decoders and the splitter alone.
const INPUTS: usize = 200_000;

/// A small deterministic generator (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap_or(0)
    }

    fn number(&mut self) -> u64 {
        match self.below(6) {
            0 => u64::MAX,
            1 => i64::MAX as u64,
            2 => i64::MAX as u64 + 1,
            3 => u64::from(u32::MAX),
            _ => self.below(5000) as u64,
        }
    }

    fn path(&mut self) -> Bytes {
        const PARTS: [&str; 12] = [
            "a",
            "b",
            "c",
            "..",
            ".",
            "",
            "/",
            "~",
            "\0",
            "\u{1b}[2J",
            "é\n",
            "memory",
        ];
        const PLAIN: [&str; 8] = ["a", "d", "e", "f", "d/a", "e/f", ".", "f/a"];
        if self.below(3) > 0 {
            return bytes(PLAIN[self.below(PLAIN.len())]);
        }
        let mut path = String::new();
        for _ in 0..self.below(4) {
            path.push_str(PARTS[self.below(PARTS.len())]);
            path.push('/');
        }
        path.push_str(PARTS[self.below(PARTS.len())]);
        if self.below(100) == 0 {
            path = path.repeat(1000);
        }
        bytes(&path)
    }

    fn handle(&mut self) -> Bytes {
        match self.below(8) {
            0 => Bytes::new(),
            1 => Bytes::from(vec![0xff; self.below(600)]),
            // One that is open, or was, or will be.
            _ => Bytes::copy_from_slice(&(self.below(16) as u64).to_be_bytes()),
        }
    }

    fn attributes(&mut self) -> FileAttributes {
        FileAttributes {
            size: (self.below(4) == 0).then(|| self.below(100_000) as u64),
            owner: (self.below(4) == 0).then_some((0, u32::MAX)),
            permissions: (self.below(3) == 0).then(|| u32::try_from(self.below(1 << 20)).unwrap()),
            times: (self.below(3) == 0).then_some((u32::MAX, 0x8000_0000)),
        }
    }

    fn request(&mut self) -> Request {
        let (path, handle, attributes) = (self.path(), self.handle(), self.attributes());
        match self.below(24) {
            0..3 => Request::Open {
                path,
                flags: OpenFlags {
                    read: self.below(2) == 0,
                    write: self.below(2) == 0,
                    append: self.below(4) == 0,
                    create: self.below(2) == 0,
                    truncate: self.below(4) == 0,
                    exclusive: self.below(4) == 0,
                },
                attributes,
            },
            3 => Request::Close { handle },
            4 => Request::Read {
                handle,
                offset: self.number(),
                length: u32::MAX,
            },
            5 => Request::Write {
                handle,
                // No sparse file of exabytes: what that costs is the backend's to test.
                offset: self.below(10_000) as u64,
                data: Bytes::from(vec![7; self.below(3000)]),
            },
            6 => Request::Lstat { path },
            7 => Request::Fstat { handle },
            8 => Request::SetStat { path, attributes },
            9 => Request::FsetStat { handle, attributes },
            10 | 11 => Request::OpenDir { path },
            12 => Request::ReadDir { handle },
            13 => Request::Remove { path },
            14 => Request::MakeDir { path, attributes },
            15 => Request::RemoveDir { path },
            16 => Request::RealPath { path },
            17 => Request::Rename {
                from: path,
                to: self.path(),
            },
            18 => Request::ReadLink { path },
            19 => Request::Symlink {
                target: self.path(),
                link: path,
            },
            20 => Extended::PosixRename {
                from: path,
                to: self.path(),
            }
            .into_request(),
            21 => Extended::StatVfs { path }.into_request(),
            22 if self.below(2) == 0 => {
                let garbage = (0..self.below(40)).map(|_| u8::try_from(self.below(256)).unwrap());
                Extended::Operation(garbage.collect()).into_request()
            }
            22 => Extended::Cancel {
                id: u32::try_from(self.below(100)).unwrap(),
            }
            .into_request(),
            _ => Extended::Fsync { handle }.into_request(),
        }
    }

    /// A packet with its length, most often a sound one.
    fn packet(&mut self, id: u32) -> BytesMut {
        let mut packet = BytesMut::new();
        self.request().encode(id, &mut packet);
        match self.below(20) {
            // Bytes garbled, not those of length, kind and number, so that an answer can be expected.
            0..3 if packet.len() > 9 => {
                for _ in 0..=self.below(4) {
                    let at = 9 + self.below(packet.len() - 9);
                    packet[at] = u8::try_from(self.below(256)).unwrap();
                }
            }
            // Cut, with the length that is left.
            3 | 4 if packet.len() > 9 => {
                packet.truncate(9 + self.below(packet.len() - 9));
                let length = u32::try_from(packet.len() - 4).unwrap();
                packet[..4].copy_from_slice(&length.to_be_bytes());
            }
            // A kind at random.
            5 => {
                let kind = u8::try_from(self.below(256)).unwrap();
                // The first packet comes once.
                packet[4] = if kind == 1 { 99 } else { kind };
            }
            // A field of a length that is not there.
            6 if packet.len() > 13 => packet[9..13].copy_from_slice(&[0xff; 4]),
            _ => {}
        }
        packet
    }
}

#[test]
fn whatever_a_client_sends_each_request_is_answered_once() {
    let mut random = Random(0x510e_527f_ade6_82d1);
    let (mut answered, mut connections, mut done) = (0, 0, 0);
    while answered < PACKETS {
        connections += 1;
        let (answers, fine) = run(exchange(in_memory(), &mut random));
        answered += answers;
        done += fine;
    }
    println!("{answered} packets in {connections} connections; {done} were done");
    assert!(done > PACKETS / 8);
}

#[test]
fn whatever_a_client_sends_what_is_outside_stays_as_it_is() {
    let mut random = Random(0xbb67_ae85_84ca_a73b);
    let (mut answered, mut done) = (0, 0);
    while answered < PACKETS_ON_DISK {
        let world = World::new(1);
        std::os::unix::fs::symlink(&world.outside, world.root.join("b")).unwrap();
        std::os::unix::fs::symlink("../../../outside", world.root.join("c")).unwrap();
        let (answers, fine) = run(exchange(world.session.clone(), &mut random));
        answered += answers;
        done += fine;
        assert!(world.outside_is_untouched());
    }
    println!("{answered} packets; {done} were done");
    assert!(done > PACKETS_ON_DISK / 8);
}

/// One connection on which packets are sent all at once; how many were answered, and how many of them were done.
async fn exchange(session: Session, random: &mut Random) -> (usize, usize) {
    let mut client = Client::connect(session).await;
    // So that many of the handles that are guessed are open.
    let both = OpenFlags {
        read: true,
        ..WRITE
    };
    for name in ["a", "f", "g", "h"] {
        client.open(name, both).await;
        client.open_directory(".").await;
    }
    let count = 1 + random.below(CONNECTION);
    let mut out = BytesMut::new();
    for id in 0..count {
        let packet = random.packet(u32::try_from(id).unwrap());
        out.extend_from_slice(&packet);
    }
    let (mut reader, mut writer) = tokio::io::split(client.stream);
    let sender = tokio::spawn(async move {
        writer.write_all(&out).await.expect("the server goes on");
        writer
    });
    let mut splitter = Splitter::default();
    let mut seen = vec![false; count];
    let (mut missing, mut done) = (count, 0);
    while missing > 0 {
        while let Some(packet) = splitter.next_packet().expect("none is too long") {
            let Ok(FromServer::Response { id, response }) = FromServer::decode(packet) else {
                panic!("the server sends answers");
            };
            // Messages without control characters.
            let _ = status(&response);
            done += usize::from(match &response {
                Response::Status { code, .. } => *code == StatusCode::Ok,
                _ => true,
            });
            let id = usize::try_from(id).unwrap();
            assert!(!std::mem::replace(&mut seen[id], true), "{id} twice");
            missing -= 1;
        }
        if missing > 0 {
            let read = reader.read_buf(splitter.buffer()).await.unwrap();
            assert!(read > 0, "it ended before {missing} answers");
        }
    }
    drop((reader, sender.await.unwrap()));
    let ended = client.server.await.expect("the server does not panic");
    assert!(ended.is_ok(), "{ended:?}");
    (count, done)
}

#[test]
fn bytes_that_are_no_packets_end_the_connection_or_nothing() {
    let mut random = Random(0x9b05_688c_2b3e_6c1f);
    for round in 0..1500 {
        run(async {
            let mut client = Client::connect(in_memory()).await;
            let mut out = BytesMut::new();
            for id in 0..random.below(20) {
                out.extend_from_slice(&random.packet(u32::try_from(id).unwrap()));
            }
            for _ in 0..random.below(200) {
                out.put_u8(u8::try_from(random.below(256)).unwrap());
            }
            if round % 3 == 0 && !out.is_empty() {
                for _ in 0..5 {
                    let at = random.below(out.len());
                    out[at] = u8::try_from(random.below(256)).unwrap();
                }
            }
            // It may hang up in between.
            let _ = client.stream.write_all(&out).await;
            let _ = client.stream.shutdown().await;
            while client.packet().await.is_some() {}
            let _ = client.server.await.expect("the server does not panic");
        });
    }
}

#[test]
fn no_bytes_make_a_decoder_or_the_splitter_panic_or_take_memory() {
    let mut random = Random(0x1f83_d9ab_fb41_bd6b);
    let (mut requests, mut refused) = (0, 0);
    for _ in 0..INPUTS {
        let mut packet = random.packet(7);
        if random.below(3) == 0 {
            for _ in 0..=random.below(6) {
                let at = 4 + random.below(packet.len() - 4);
                packet[at] = u8::try_from(random.below(256)).unwrap();
            }
        }
        let packet = packet.freeze().slice(4..);
        match FromClient::decode(packet.clone()) {
            Ok(FromClient::Request {
                request: Request::Extended { name, data },
                ..
            }) => {
                requests += 1;
                let _ = Extended::decode(&name, data);
            }
            // What is read can be written, and is then read as the same.
            Ok(FromClient::Request { id, request }) => {
                requests += 1;
                let mut again = BytesMut::new();
                request.encode(id, &mut again);
                let again = FromClient::decode(again.freeze().slice(4..));
                assert_eq!(again, Ok(FromClient::Request { id, request }));
            }
            Ok(_) => {}
            Err(_) => refused += 1,
        }
        let _ = FromServer::decode(packet.clone());
        let mut as_answer = BytesMut::from(&packet[..]);
        as_answer[0] = 101 + u8::try_from(random.below(5)).unwrap();
        let _ = FromServer::decode(as_answer.freeze());
        let mut splitter = Splitter::new(1000, 2000);
        for piece in packet.chunks(1 + random.below(50)) {
            splitter.buffer().extend_from_slice(piece);
            if splitter.next_packet().is_err() {
                break;
            }
            assert!(splitter.pending() <= 2004 + 50);
        }
    }
    println!("{requests} requests, {refused} refused");
    assert!(requests > INPUTS / 4 && refused > INPUTS / 20);
}
