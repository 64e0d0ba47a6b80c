//! Many requests at once: as fast as they are sent, and with bounded memory.

use std::sync::{Mutex, OnceLock, PoisonError};

use agent_backend::wire::sftp::{FromServer, MAX_DATA, Request, Response, Splitter, StatusCode};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::client::{Client, READ, WRITE, status};
use super::world::{World, run};

const SIZE: usize = 64 << 20;

/// The memory of the whole process is looked at, so these tests run one after another.
static ALONE: Mutex<()> = Mutex::new(());

/// Content of which every part is different.
fn content() -> Bytes {
    static CONTENT: OnceLock<Bytes> = OnceLock::new();
    let word = |number: usize| {
        (number as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .to_le_bytes()
    };
    CONTENT
        .get_or_init(|| (0..SIZE / 8).flat_map(word).collect::<Vec<u8>>().into())
        .clone()
}

/// Memory of this process that is in use, in bytes.
fn resident() -> usize {
    let statistics = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statistics.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[test]
fn a_large_file_is_read_by_requests_that_are_all_sent_at_once() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    run(async {
        let world = World::new(0);
        let content = content();
        world.put("large", &content);
        for piece in [32 << 10, MAX_DATA] {
            let mut client = Client::connect(world.session.clone()).await;
            let file = client.open("large", READ).await;
            let (mut reader, mut writer) = tokio::io::split(client.stream);
            let sender = tokio::spawn(async move {
                let mut out = BytesMut::new();
                for number in 0..SIZE / piece {
                    let request = Request::Read {
                        handle: file.clone(),
                        offset: (number * piece) as u64,
                        length: u32::try_from(piece).unwrap(),
                    };
                    request.encode(u32::try_from(number).unwrap(), &mut out);
                }
                writer.write_all(&out).await.unwrap();
                writer
            });
            let before = resident();
            let started = std::time::Instant::now();
            let mut splitter = Splitter::default();
            let (mut missing, mut most) = (SIZE / piece, 0);
            while missing > 0 {
                while let Some(packet) = splitter.next_packet().unwrap() {
                    let Ok(FromServer::Response {
                        id,
                        response: Response::Data(data),
                    }) = FromServer::decode(packet)
                    else {
                        panic!("it is data");
                    };
                    let start = id as usize * piece;
                    assert_eq!(data, &content[start..start + piece]);
                    missing -= 1;
                    most = most.max(resident());
                }
                if missing > 0 {
                    reader.read_buf(splitter.buffer()).await.unwrap();
                }
            }
            let grown = most.saturating_sub(before);
            let time = started.elapsed();
            println!(
                "64 MiB read in pieces of {piece}: {time:?}, {} KiB more",
                grown >> 10
            );
            assert!(grown < 40 << 20, "{} MiB for 64 MiB", grown >> 20);
            drop(sender.await.unwrap());
        }
    });
}

#[test]
fn a_large_file_is_written_by_requests_that_are_all_sent_at_once() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    run(async {
        let world = World::new(1);
        let content = content();
        let mut client = Client::connect(world.session.clone()).await;
        let file = client.open("large", WRITE).await;
        let (mut reader, mut writer) = tokio::io::split(client.stream);
        let all = content.clone();
        let before = resident();
        let started = std::time::Instant::now();
        let sender = tokio::spawn(async move {
            for (number, start) in (0..SIZE).step_by(MAX_DATA).enumerate() {
                let request = Request::Write {
                    handle: file.clone(),
                    offset: start as u64,
                    data: all.slice(start..start + MAX_DATA),
                };
                let mut head = BytesMut::new();
                let payload = request.encode_head(u32::try_from(number).unwrap(), &mut head);
                writer.write_all(&head).await.unwrap();
                writer.write_all(&payload).await.unwrap();
            }
            writer
        });
        let mut splitter = Splitter::default();
        let (mut missing, mut most) = (SIZE / MAX_DATA, 0);
        while missing > 0 {
            while let Some(packet) = splitter.next_packet().unwrap() {
                let Ok(FromServer::Response { response, .. }) = FromServer::decode(packet) else {
                    panic!("it is an answer");
                };
                assert_eq!(status(&response), Some(StatusCode::Ok));
                missing -= 1;
                most = most.max(resident());
            }
            if missing > 0 {
                reader.read_buf(splitter.buffer()).await.unwrap();
            }
        }
        let grown = most.saturating_sub(before);
        let time = started.elapsed();
        println!("64 MiB written: {time:?}, {} KiB more", grown >> 10);
        assert!(grown < 40 << 20, "{} MiB for 64 MiB", grown >> 20);
        drop(sender.await.unwrap());
        assert!(world.get("large") == content);
    });
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    run(async {
        let world = World::new(0);
        world.put("large", vec![1; 1 << 20]);
        let mut client = Client::connect(world.session.clone()).await;
        let file = client.open("large", READ).await;
        let before = resident();
        // What it asks for is a gigabyte.
        let mut out = BytesMut::new();
        for number in 0..4096 {
            let request = Request::Read {
                handle: file.clone(),
                offset: 0,
                length: u32::try_from(MAX_DATA).unwrap(),
            };
            request.encode(number, &mut out);
        }
        let sent = async {
            loop {
                client.stream.write_all(&out).await.unwrap();
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_millis(700), sent).await;
        assert!(waited.is_err(), "it takes no more");
        let grown = resident().saturating_sub(before);
        assert!(grown < 64 << 20, "{} MiB", grown >> 20);
    });
}
