//! What is done with open files.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use agent_backend::wire::sftp::{
    Extended, FileAttributes, OpenFlags, Request, StatusCode, VfsStatistics, name as extension,
    version_extension,
};
use bytes::Bytes;

use super::client::{Client, READ, WRITE, attributes, bytes, data, handle, open, status};
use super::world::{DEPTHS, World, run};

#[test]
fn a_file_is_written_and_read_in_any_pieces() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            let mut client = Client::connect(world.session.clone()).await;
            let file = client.open("a.txt", WRITE).await;
            assert_eq!(client.write(&file, 6, b"world").await, StatusCode::Ok);
            assert_eq!(client.write(&file, 0, b"hello ").await, StatusCode::Ok);
            assert_eq!(client.close(file.clone()).await, StatusCode::Ok);
            assert_eq!(world.get("a.txt"), b"hello world");
            assert_eq!(client.write(&file, 0, b"late").await, StatusCode::Failure);
            assert_eq!(client.close(file).await, StatusCode::Failure);

            let file = client.open("a.txt", READ).await;
            assert_eq!(data(client.read(&file, 0, 5).await), "hello");
            assert_eq!(data(client.read(&file, 6, 1000).await), "world");
            for (offset, length) in [(11, 1), (12, 1), (u64::MAX, 1), (0, 0)] {
                let end = client.read(&file, offset, length).await;
                assert_eq!(status(&end), Some(StatusCode::Eof), "{offset} {length}");
            }
            let all = data(client.read(&file, 0, u32::MAX).await);
            assert_eq!(all, "hello world");
            assert!(client.end().await.is_ok());
        });
    }
}

#[test]
fn every_way_to_open_does_what_it_says() {
    run(async {
        let world = World::new(1);
        let mut client = Client::connect(world.session.clone()).await;
        let create = OpenFlags {
            write: true,
            create: true,
            ..OpenFlags::default()
        };
        let exclusive = OpenFlags {
            exclusive: true,
            ..create
        };
        let append = OpenFlags {
            append: true,
            create: true,
            ..OpenFlags::default()
        };
        let only_write = OpenFlags {
            write: true,
            ..OpenFlags::default()
        };
        let missing = client.ask(open("none", only_write)).await;
        assert_eq!(status(&missing), Some(StatusCode::NoSuchFile));
        let nowhere = client.ask(open("no/parent", create)).await;
        assert_eq!(status(&nowhere), Some(StatusCode::NoSuchFile));
        assert!(!world.has("no"));

        world.put("f", "12345");
        for (flags, written, expected) in [
            (create, "ab", "ab345"),
            (append, "X", "ab345X"),
            (WRITE, "new", "new"),
        ] {
            let file = client.open("f", flags).await;
            assert_eq!(
                client.write(&file, 0, written.as_bytes()).await,
                StatusCode::Ok
            );
            client.close(file).await;
            assert_eq!(world.get("f"), expected.as_bytes());
        }
        let there = client.ask(open("f", exclusive)).await;
        assert_eq!(status(&there), Some(StatusCode::Failure));
        let file = client.open("fresh", exclusive).await;
        client.close(file).await;
        assert!(world.has("fresh"));

        // Opened for nothing is opened for reading, as OpenSSH has it.
        let file = client.open("f", OpenFlags::default()).await;
        assert_eq!(data(client.read(&file, 0, 9).await), "new");
        assert_ne!(client.write(&file, 0, b"no").await, StatusCode::Ok);
        let file = client.open("f", create).await;
        let unreadable = client.read(&file, 0, 9).await;
        assert_eq!(status(&unreadable), Some(StatusCode::PermissionDenied));
        let directory = client.ask(open(".", create)).await;
        assert_eq!(status(&directory), Some(StatusCode::Failure));
        assert_eq!(world.get("f"), b"new");
    });
}

#[test]
fn a_new_file_is_at_most_as_permissive_as_the_usual_umask_leaves_it() {
    run(async {
        let world = World::new(0);
        let mut client = Client::connect(world.session.clone()).await;
        for (asked, given) in [(0o777, 0o755), (0o600, 0o600), (0o106_664, 0o644)] {
            let request = Request::Open {
                path: bytes("f"),
                flags: WRITE,
                attributes: FileAttributes {
                    permissions: Some(asked),
                    ..FileAttributes::default()
                },
            };
            let file = handle(client.ask(request).await);
            client.close(file).await;
            let metadata = std::fs::metadata(world.root.join("f")).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, given, "{asked:o}");
            std::fs::remove_file(world.root.join("f")).unwrap();
        }
    });
}

#[test]
fn attributes_of_an_open_file_are_told_and_changed() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            world.put("f", "12345");
            let mut client = Client::connect(world.session.clone()).await;
            let file = client
                .open(
                    "f",
                    OpenFlags {
                        read: true,
                        write: true,
                        ..READ
                    },
                )
                .await;
            let fstat = Request::Fstat {
                handle: file.clone(),
            };
            assert_eq!(attributes(client.ask(fstat.clone()).await).size, Some(5));
            let set = Request::FsetStat {
                handle: file.clone(),
                attributes: FileAttributes {
                    size: Some(2),
                    permissions: Some(0o100_640),
                    times: Some((1_000_000, 2_000_000)),
                    owner: None,
                },
            };
            assert_eq!(client.status(set).await, StatusCode::Ok);
            let now = attributes(client.ask(fstat).await);
            assert_eq!(now.size, Some(2));
            assert_eq!(now.permissions, Some(0o100_640));
            assert_eq!(now.times, Some((1_000_000, 2_000_000)));
            assert_eq!(world.get("f"), b"12");
        });
    }
}

#[test]
fn a_handle_for_reading_changes_nothing() {
    run(async {
        let world = World::new(0);
        world.put("f", "12345");
        let mode = |world: &World| std::fs::metadata(world.root.join("f")).unwrap().mode();
        let before = mode(&world);
        let mut client = Client::connect(world.session.clone()).await;
        let file = client.open("f", READ).await;
        for attributes in [
            FileAttributes {
                size: Some(0),
                ..FileAttributes::default()
            },
            FileAttributes {
                permissions: Some(0o777),
                ..FileAttributes::default()
            },
            FileAttributes {
                times: Some((1, 1)),
                ..FileAttributes::default()
            },
        ] {
            let request = Request::FsetStat {
                handle: file.clone(),
                attributes,
            };
            assert_eq!(client.status(request).await, StatusCode::PermissionDenied);
        }
        assert_eq!(
            client.write(&file, 0, b"x").await,
            StatusCode::PermissionDenied
        );
        assert_eq!((world.get("f"), mode(&world)), (b"12345".to_vec(), before));
    });
}

#[test]
fn an_open_file_outlives_its_name() {
    run(async {
        let world = World::new(1);
        world.put("f", "content");
        let mut client = Client::connect(world.session.clone()).await;
        let file = client.open("f", READ).await;
        let removed = Request::Remove { path: bytes("f") };
        assert_eq!(client.status(removed).await, StatusCode::Ok);
        assert_eq!(data(client.read(&file, 0, 100).await), "content");
    });
}

#[test]
fn a_file_is_flushed_and_the_space_around_it_is_told() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            let mut client = Client::connect(world.session.clone()).await;
            for (name, version) in [
                (extension::FSYNC, "1"),
                (extension::STATVFS, "2"),
                (extension::FSTATVFS, "2"),
                (extension::POSIX_RENAME, "1"),
                (extension::LIMITS, "1"),
            ] {
                let announced = version_extension(&client.extensions, name);
                assert_eq!(announced, Some(&bytes(version)));
            }
            assert_eq!(
                version_extension(&client.extensions, extension::HARDLINK),
                None
            );
            let file = client.open("f", WRITE).await;
            client.write(&file, 0, b"x").await;
            let fsync = Extended::Fsync {
                handle: file.clone(),
            };
            assert_eq!(status(&client.extended(fsync).await), Some(StatusCode::Ok));
            for request in [
                Extended::StatVfs { path: bytes(".") },
                Extended::StatVfs { path: bytes("f") },
                Extended::FstatVfs {
                    handle: file.clone(),
                },
            ] {
                let space = VfsStatistics::decode(reply(client.extended(request).await))
                    .unwrap()
                    .0;
                assert!(space.blocks > 0 && space.blocks_available <= space.blocks_free);
                assert!(space.block_size > 0 && space.name_max > 0, "{space:?}");
            }
            let missing = Extended::StatVfs {
                path: bytes("none"),
            };
            let missing = client.extended(missing).await;
            assert_eq!(status(&missing), Some(StatusCode::NoSuchFile));
        });
    }
}

#[test]
fn what_keeps_its_order_on_a_handle_keeps_it_however_fast_it_is_sent() {
    run(async {
        let world = World::new(0);
        let mut client = Client::connect(world.session.clone()).await;
        for round in 0..50_u8 {
            let file = client.open("f", WRITE).await;
            let mut out = bytes::BytesMut::new();
            let mut count = 0;
            // The last of many writes to one place wins; the size is cut after them, the read-back sees all of it.
            for step in 0..40_u8 {
                let request = Request::Write {
                    handle: file.clone(),
                    offset: 0,
                    data: Bytes::from(vec![step ^ round; 3000]),
                };
                client.encode(&request, &mut out);
                count += 1;
            }
            let cut = FileAttributes {
                size: Some(10),
                ..FileAttributes::default()
            };
            client.encode(
                &Request::FsetStat {
                    handle: file.clone(),
                    attributes: cut,
                },
                &mut out,
            );
            let fstat = client.encode(
                &Request::Fstat {
                    handle: file.clone(),
                },
                &mut out,
            );
            let close = client.encode(
                &Request::Close {
                    handle: file.clone(),
                },
                &mut out,
            );
            let late = client.encode(
                &Request::Fstat {
                    handle: file.clone(),
                },
                &mut out,
            );
            count += 4;
            tokio::io::AsyncWriteExt::write_all(&mut client.stream, &out)
                .await
                .unwrap();
            for _ in 0..count {
                let (id, response) = client.receive().await;
                if id == fstat {
                    assert_eq!(attributes(response).size, Some(10));
                } else if id == late {
                    assert_eq!(status(&response), Some(StatusCode::Failure));
                } else {
                    assert_eq!(status(&response), Some(StatusCode::Ok), "{id} {close}");
                }
            }
            assert_eq!(world.get("f"), vec![39 ^ round; 10]);
        }
    });
}

fn reply(response: agent_backend::wire::sftp::Response) -> Bytes {
    match response {
        agent_backend::wire::sftp::Response::ExtendedReply(data) => data,
        other => panic!("{other:?}"),
    }
}
