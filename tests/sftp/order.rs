//! Requests that are sent without waiting are answered as if each had waited for the one before.

use std::collections::{BTreeMap, BTreeSet};

use agent_backend::daemon::session::Session;
use agent_backend::wire::sftp::{
    Extended, FileAttributes, OpenFlags, Request, Response, StatusCode,
};
use bytes::{Bytes, BytesMut};
use tokio::io::AsyncWriteExt as _;

use super::client::{Client, READ, WRITE, attributes, bytes, open, status};
use super::world::{World, in_memory, run};

/// The same numbers in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// Any request on one of a few paths, or on what is open.
fn request(numbers: &mut Numbers, handle: &Bytes) -> Request {
    const PATHS: [&str; 6] = ["f", "g", "d", "d/f", "d/g", "l"];
    let mut path = || bytes(PATHS[numbers.below(PATHS.len())]);
    let (path, other) = (path(), path());
    let size = FileAttributes {
        size: Some(numbers.below(40) as u64),
        ..FileAttributes::default()
    };
    let (from, to) = (path.clone(), other.clone());
    let (handle, offset) = (handle.clone(), numbers.below(40) as u64);
    match numbers.below(16) {
        0 | 1 => Request::Stat { path },
        2 => Request::Lstat { path },
        3 => Request::Remove { path },
        4 => Request::RemoveDir { path },
        5 => Request::MakeDir {
            path,
            attributes: FileAttributes::default(),
        },
        6 => Request::Rename { from, to },
        7 => Extended::PosixRename { from, to }.into_request(),
        8 => Request::Symlink {
            target: other,
            link: bytes("l"),
        },
        9 => Request::ReadLink { path: bytes("l") },
        10 => Request::SetStat {
            path,
            attributes: size,
        },
        11 | 12 => Request::Write {
            handle,
            offset,
            data: Bytes::from(vec![offset as u8; 100]),
        },
        13 => Request::Read {
            handle,
            offset,
            length: 50,
        },
        14 => Request::FsetStat {
            handle,
            attributes: size,
        },
        _ => Request::Fstat { handle },
    }
}

/// What is the same whenever the same is done.
fn told(response: &Response) -> String {
    match response {
        Response::Attributes(found) => format!("{:?} {:?}", found.size, found.permissions),
        Response::Names(names) => format!("{:?}", names[0].name),
        other => status(other).map_or_else(|| format!("{other:?}"), |code| format!("{code:?}")),
    }
}

/// The answers to the same requests of one seed, sent one at a time or so many at once.
async fn answers(session: Session, seed: u64, at_once: usize) -> Vec<String> {
    let mut numbers = Numbers(seed);
    let mut client = Client::connect(session).await;
    let flags = OpenFlags {
        read: true,
        ..WRITE
    };
    let handle = client.open("f", flags).await;
    let mut told_of = Vec::new();
    for _ in 0..400 / at_once {
        let mut out = BytesMut::new();
        let ids: Vec<u32> = (0..at_once)
            .map(|_| client.encode(&request(&mut numbers, &handle), &mut out))
            .collect();
        client.stream.write_all(&out).await.unwrap();
        let mut came = BTreeMap::new();
        for _ in &ids {
            let (id, response) = client.receive().await;
            came.insert(id, told(&response));
        }
        assert!(came.keys().eq(&ids), "each is answered once");
        told_of.extend(came.into_values());
    }
    told_of
}

#[test]
fn what_is_sent_at_once_is_answered_as_if_it_had_been_sent_one_by_one() {
    run(async {
        for seed in 1..=12 {
            let expected = answers(World::new(0).session.clone(), seed, 1).await;
            let kinds: BTreeSet<_> = expected.iter().collect();
            assert!(kinds.len() > 10, "the requests do something: {kinds:?}");
            for depth in [0, 1] {
                let world = World::new(depth);
                let found = answers(world.session.clone(), seed, 100).await;
                assert_eq!(found, expected, "seed {seed}, depth {depth}");
            }
        }
    });
}

#[test]
fn in_memory_likewise() {
    run(async {
        for seed in 1..=6 {
            let expected = answers(in_memory(), seed, 1).await;
            assert_eq!(answers(in_memory(), seed, 100).await, expected, "{seed}");
        }
    });
}

/// What sshfs does for every new file.
#[test]
fn a_file_is_there_for_a_request_right_behind_the_one_that_creates_it() {
    run(async {
        let world = World::new(1);
        let mut client = Client::connect(world.session.clone()).await;
        for number in 0..200 {
            let name = format!("new {number}");
            let mut out = BytesMut::new();
            let opened = client.encode(&open(&name, WRITE), &mut out);
            let path = bytes(&name);
            let looked = client.encode(&Request::Lstat { path }, &mut out);
            client.stream.write_all(&out).await.unwrap();
            for _ in 0..2 {
                let (id, response) = client.receive().await;
                match (id, response) {
                    (id, Response::Handle(_)) if id == opened => {}
                    (id, response) if id == looked => {
                        assert_eq!(attributes(response).size, Some(0), "{name}");
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
    });
}

#[test]
fn reads_that_follow_a_change_by_path_are_answered_too() {
    run(async {
        let world = World::new(0);
        world.put("f", vec![7; 1 << 20]);
        let mut client = Client::connect(world.session.clone()).await;
        let handle = client.open("f", READ).await;
        let mut out = BytesMut::new();
        let mut sent = 0;
        for round in 0..500_u64 {
            let path = bytes(&format!("d{}", round % 3));
            let make = Request::MakeDir {
                path: path.clone(),
                attributes: FileAttributes::default(),
            };
            let read = Request::Read {
                handle: handle.clone(),
                offset: round * 1000,
                length: 1000,
            };
            for request in [make, read, Request::RemoveDir { path }] {
                client.encode(&request, &mut out);
                sent += 1;
            }
        }
        let (mut read, mut changed) = (0, 0);
        client.stream.write_all(&out).await.unwrap();
        for _ in 0..sent {
            match client.receive().await.1 {
                Response::Data(data) => {
                    assert_eq!(data.len(), 1000);
                    read += 1;
                }
                other => {
                    assert_eq!(status(&other), Some(StatusCode::Ok));
                    changed += 1;
                }
            }
        }
        assert_eq!((read, changed), (500, 1000));
    });
}
