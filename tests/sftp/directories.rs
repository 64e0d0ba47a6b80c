//! What is told of directories.

use std::collections::BTreeSet;

use agent_backend::wire::sftp::{Request, Response, StatusCode};

use super::client::{Client, READ, attributes, bytes, status};
use super::world::{DEPTHS, World, run};

#[test]
fn a_directory_is_told_in_pages_with_what_each_entry_is() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            for number in 0..1000 {
                world.put(&format!("d/file-{number:04}"), format!("{number}"));
            }
            world.put("d/directory/f", "");
            std::os::unix::fs::symlink("/nowhere", world.root.join("d/link")).unwrap();
            let mut client = Client::connect(world.session.clone()).await;
            let entries = client.list("d").await;
            let names: Vec<&[u8]> = entries.iter().map(|entry| &entry.name[..]).collect();
            assert!(names.is_sorted(), "in the order of their names");
            assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), 1002);
            for entry in &entries {
                let mode = entry.attributes.permissions.unwrap() & 0o170_000;
                let (kind, letter) = match &entry.name[..] {
                    b"directory" => (0o040_000, b'd'),
                    b"link" => (0o120_000, b'l'),
                    _ => (0o100_000, b'-'),
                };
                assert_eq!((mode, entry.long_name[0]), (kind, letter), "{entry:?}");
                assert!(entry.long_name.ends_with(&entry.name));
            }
            assert_eq!(entries.last().unwrap().name, "link");
        });
    }
}

#[test]
fn a_page_fits_what_early_clients_take() {
    run(async {
        let world = World::new(0);
        for number in 0..300 {
            world.put(&format!("{number:03}{}", "x".repeat(250)), "");
        }
        let mut client = Client::connect(world.session.clone()).await;
        let handle = client.open_directory("").await;
        let mut count = 0;
        loop {
            let request = Request::ReadDir {
                handle: handle.clone(),
            };
            let response = client.ask(request).await;
            let mut packet = bytes::BytesMut::new();
            response.encode(1, &mut packet);
            assert!(packet.len() < 34_000, "{} bytes", packet.len());
            match response {
                Response::Names(page) => count += page.len(),
                _ => break,
            }
        }
        assert_eq!(count, 300);
    });
}

#[test]
fn what_is_no_directory_is_not_opened_as_one() {
    run(async {
        let world = World::new(1);
        world.put("f", "x");
        let mut client = Client::connect(world.session.clone()).await;
        for (path, expected) in [("f", StatusCode::Failure), ("none", StatusCode::NoSuchFile)] {
            let response = client.ask(Request::OpenDir { path: bytes(path) }).await;
            assert_eq!(status(&response), Some(expected));
        }
        let file = client.open("f", READ).await;
        let wrong = Request::ReadDir {
            handle: file.clone(),
        };
        assert_eq!(client.status(wrong).await, StatusCode::Failure);
        let directory = client.open_directory(".").await;
        let read = client.read(&directory, 0, 10).await;
        assert_eq!(status(&read), Some(StatusCode::Failure));
        assert_eq!(client.write(&directory, 0, b"x").await, StatusCode::Failure);
        let fstat = Request::Fstat {
            handle: directory.clone(),
        };
        let mode = attributes(client.ask(fstat).await).permissions.unwrap();
        assert_eq!(mode & 0o170_000, 0o040_000);
        // A directory that has changed since is told as it was when it was opened.
        world.put("g", "x");
        let request = Request::ReadDir { handle: directory };
        let Response::Names(page) = client.ask(request).await else {
            panic!("there are entries");
        };
        assert_eq!(page.len(), 1);
    });
}
