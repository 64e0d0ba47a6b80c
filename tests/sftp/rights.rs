//! A session may do what its rights say, by every request.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use agent_backend::wire::sftp::{
    Extended, FileAttributes, OpenFlags, Request, Response, StatusCode,
};
use agent_backend::workspace::Rights;

use super::client::{Client, READ, WRITE, bytes, data, name, open, status};
use super::world::{DEPTHS, World, run};

const READ_ONLY: Rights = Rights {
    read: true,
    write: false,
    exec: false,
};
const WRITE_ONLY: Rights = Rights {
    read: false,
    write: true,
    exec: false,
};

/// Names, contents and modes of all that is there.
fn picture(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let metadata = entry.metadata().unwrap();
        let name = entry.path().to_string_lossy().into_owned();
        if metadata.is_dir() {
            found.extend(picture(&entry.path()));
        }
        let content = fs::read(entry.path()).unwrap_or_default();
        let modified = metadata.modified().unwrap();
        found.insert(
            name,
            format!("{:?} {modified:?} {content:?}", metadata.permissions()),
        );
    }
    found
}

/// All requests that change something.
fn writing() -> Vec<Request> {
    let size = FileAttributes {
        size: Some(1),
        ..FileAttributes::default()
    };
    let mode = FileAttributes {
        permissions: Some(0o777),
        ..FileAttributes::default()
    };
    let times = FileAttributes {
        times: Some((1, 2)),
        ..FileAttributes::default()
    };
    let flags = |write, append, create, truncate, exclusive| OpenFlags {
        read: true,
        write,
        append,
        create,
        truncate,
        exclusive,
    };
    let mut requests = vec![
        open("f", WRITE),
        open("f", flags(true, false, false, false, false)),
        open("f", flags(false, true, false, false, false)),
        open("f", flags(true, false, false, true, false)),
        open("new", flags(false, false, true, false, false)),
        open("new", flags(true, false, true, false, true)),
        Request::Remove { path: bytes("f") },
        Request::RemoveDir {
            path: bytes("empty"),
        },
        Request::MakeDir {
            path: bytes("new"),
            attributes: mode,
        },
        Request::Rename {
            from: bytes("f"),
            to: bytes("g"),
        },
        Request::Symlink {
            target: bytes("f"),
            link: bytes("l"),
        },
        Extended::PosixRename {
            from: bytes("f"),
            to: bytes("g"),
        }
        .into_request(),
    ];
    for attributes in [size, mode, times] {
        requests.push(Request::SetStat {
            path: bytes("f"),
            attributes,
        });
        requests.push(
            Extended::LsetStat {
                path: bytes("f"),
                attributes,
            }
            .into_request(),
        );
    }
    requests
}

fn world(depth: usize, rights: Rights) -> World {
    let world = World::with_rights(depth, rights);
    world.put("f", "content");
    fs::create_dir(world.root.join("empty")).unwrap();
    world
}

#[test]
fn a_session_that_may_only_read_changes_nothing_by_any_request() {
    for depth in DEPTHS {
        run(async {
            let world = world(depth, READ_ONLY);
            let before = picture(&world.root);
            let mut client = Client::connect(world.session.clone()).await;
            for request in writing() {
                let response = client.ask(request.clone()).await;
                let code = status(&response);
                assert_eq!(code, Some(StatusCode::PermissionDenied), "{request:?}");
            }
            let file = client.open("f", READ).await;
            assert_eq!(data(client.read(&file, 0, 100).await), "content");
            assert_ne!(client.write(&file, 0, b"x").await, StatusCode::Ok);
            let attributes = FileAttributes {
                permissions: Some(0o777),
                ..FileAttributes::default()
            };
            let set = Request::FsetStat {
                handle: file,
                attributes,
            };
            assert_eq!(client.status(set).await, StatusCode::PermissionDenied);
            let directory = client.open_directory("empty").await;
            let set = Request::FsetStat {
                handle: directory,
                attributes,
            };
            assert_eq!(client.status(set).await, StatusCode::PermissionDenied);
            assert_eq!(picture(&world.root), before);
        });
    }
}

#[test]
fn the_same_requests_do_change_something_where_they_may() {
    // The counterpart: what is refused above is refused for the right alone.
    for request in writing() {
        run(async {
            let world = world(0, Rights::ALL);
            let before = picture(&world.root);
            let mut client = Client::connect(world.session.clone()).await;
            let response = client.ask(request.clone()).await;
            let is_fine = match &response {
                Response::Handle(_) => true,
                other => status(other) == Some(StatusCode::Ok),
            };
            assert!(is_fine, "{request:?} gave {response:?}");
            if !matches!(request, Request::Open { .. }) {
                assert_ne!(picture(&world.root), before, "{request:?}");
            }
        });
    }
}

#[test]
fn a_session_that_may_only_write_learns_nothing() {
    run(async {
        let world = world(1, WRITE_ONLY);
        let mut client = Client::connect(world.session.clone()).await;
        for request in [
            open("f", READ),
            open(
                "f",
                OpenFlags {
                    write: true,
                    ..READ
                },
            ),
            Request::Stat { path: bytes("f") },
            Request::Lstat { path: bytes("f") },
            Request::OpenDir { path: bytes("") },
            Request::ReadLink { path: bytes("f") },
        ] {
            let response = client.ask(request.clone()).await;
            let code = status(&response);
            assert_eq!(code, Some(StatusCode::PermissionDenied), "{request:?}");
        }
        // Where it is it must be told, and only as it names it: the link is not followed.
        std::os::unix::fs::symlink("f", world.root.join("link")).unwrap();
        let root = world.root.to_str().unwrap().to_owned();
        for (path, expected) in [(".", root.clone()), ("x/../link", format!("{root}/link"))] {
            let request = Request::RealPath { path: bytes(path) };
            assert_eq!(name(client.ask(request).await), expected);
        }
        let up = client.ask(Request::RealPath { path: bytes("..") }).await;
        assert_eq!(status(&up), Some(StatusCode::PermissionDenied));
        let file = client.open("f", WRITE).await;
        assert_eq!(client.write(&file, 0, b"new").await, StatusCode::Ok);
        assert_eq!(world.get("f"), b"new");
        // Removing is writing, and it is not looked first.
        for request in [
            Request::Remove { path: bytes("f") },
            Request::RemoveDir {
                path: bytes("empty"),
            },
        ] {
            assert_eq!(client.status(request).await, StatusCode::Ok);
        }
        assert!(!world.has("f") && !world.has("empty"));
    });
}
