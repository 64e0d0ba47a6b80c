//! What is done with paths.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agent_backend::wire::sftp::{Extended, FileAttributes, Request, StatusCode};

use rustix::fs::{RenameFlags, renameat_with};

use super::client::{Client, attributes, bytes, name, status};
use super::world::{DEPTHS, World, run};

fn make(path: &str, permissions: Option<u32>) -> Request {
    Request::MakeDir {
        path: bytes(path),
        attributes: FileAttributes {
            permissions,
            ..FileAttributes::default()
        },
    }
}

fn rename(from: &str, to: &str) -> Request {
    Request::Rename {
        from: bytes(from),
        to: bytes(to),
    }
}

#[test]
fn paths_are_those_that_commands_see() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            world.put("d/f", "x");
            let root = world.root.to_str().unwrap().to_owned();
            let mut client = Client::connect(world.session.clone()).await;
            for (path, expected) in [
                (String::new(), root.clone()),
                (".".to_owned(), root.clone()),
                ("/".to_owned(), root.clone()),
                (root.clone(), root.clone()),
                ("d/./f".to_owned(), format!("{root}/d/f")),
                (format!("{root}/d/../d/f"), format!("{root}/d/f")),
                ("/d/f".to_owned(), format!("{root}/d/f")),
                ("not-yet".to_owned(), format!("{root}/not-yet")),
            ] {
                let request = Request::RealPath { path: bytes(&path) };
                assert_eq!(name(client.ask(request).await), expected, "{path:?}");
                let request = Extended::ExpandPath { path: bytes(&path) };
                assert_eq!(name(client.extended(request).await), expected, "{path:?}");
            }
            for (path, below) in [("~", ""), ("~/", ""), ("~/d", "/d"), ("~///d", "/d")] {
                let request = Extended::ExpandPath { path: bytes(path) };
                let expected = format!("{root}{below}");
                assert_eq!(name(client.extended(request).await), expected, "{path:?}");
            }
            let other = Extended::ExpandPath {
                path: bytes("~root"),
            };
            let other = client.extended(other).await;
            assert_eq!(status(&other), Some(StatusCode::NoSuchFile));
            // What one request names, another finds, absolute or not.
            for path in [format!("{root}/d/f"), "d/f".to_owned()] {
                let stat = Request::Stat { path: bytes(&path) };
                assert_eq!(attributes(client.ask(stat).await).size, Some(1));
            }
        });
    }
}

#[test]
fn stat_follows_a_link_and_lstat_does_not() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            world.put("f", "12345");
            let mut client = Client::connect(world.session.clone()).await;
            let symlink = Request::Symlink {
                target: bytes("f"),
                link: bytes("l"),
            };
            assert_eq!(client.status(symlink.clone()).await, StatusCode::Ok);
            assert_eq!(client.status(symlink).await, StatusCode::Failure);
            let target = std::fs::read_link(world.root.join("l")).unwrap();
            assert_eq!(target.to_str(), Some("f"));
            let path = bytes("l");
            let text = client.ask(Request::ReadLink { path: path.clone() }).await;
            assert_eq!(name(text), "f");
            let stat = attributes(client.ask(Request::Stat { path: path.clone() }).await);
            assert_eq!(stat.size, Some(5));
            assert_eq!(stat.permissions.unwrap() & 0o170_000, 0o100_000);
            let lstat = attributes(client.ask(Request::Lstat { path: path.clone() }).await);
            assert_eq!(lstat.permissions.unwrap() & 0o170_000, 0o120_000);
            let no_link = client.ask(Request::ReadLink { path: bytes("f") }).await;
            assert_eq!(status(&no_link), Some(StatusCode::Failure));
            // Removing a link leaves what it leads to.
            assert_eq!(
                client.status(Request::Remove { path }).await,
                StatusCode::Ok
            );
            assert!(!world.has("l") && world.has("f"));
        });
    }
}

#[test]
fn files_and_directories_are_each_removed_by_their_own_request() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            world.put("full/f", "x");
            let mut client = Client::connect(world.session.clone()).await;
            assert_eq!(client.status(make("empty", None)).await, StatusCode::Ok);
            let remove = |path| Request::Remove { path: bytes(path) };
            let remove_dir = |path| Request::RemoveDir { path: bytes(path) };
            for (request, expected) in [
                (remove("empty"), StatusCode::Failure),
                (remove("none"), StatusCode::NoSuchFile),
                (remove_dir("none"), StatusCode::NoSuchFile),
                (remove_dir("full/f"), StatusCode::Failure),
                (remove_dir("full"), StatusCode::Failure),
                (remove("."), StatusCode::Failure),
                (remove_dir("."), StatusCode::Failure),
                (remove_dir("empty"), StatusCode::Ok),
                (remove("full/f"), StatusCode::Ok),
                (remove_dir("full"), StatusCode::Ok),
            ] {
                assert_eq!(
                    client.status(request.clone()).await,
                    expected,
                    "{request:?}"
                );
            }
            assert!(!world.has("empty") && !world.has("full") && world.root.exists());
        });
    }
}

#[test]
fn what_takes_the_place_of_another_kind_is_not_removed_for_it() {
    run(async {
        let world = World::new(1);
        world.put("a", "x");
        std::fs::create_dir(world.root.join("b")).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        // A file and an empty directory change places all the time, while both are there.
        let swapping = std::thread::spawn({
            let (stop, root) = (Arc::clone(&stop), File::open(&world.root).unwrap());
            move || {
                let mut swaps = 0;
                while !stop.load(Ordering::Relaxed) {
                    let swapped = renameat_with(&root, "a", &root, "b", RenameFlags::EXCHANGE);
                    swaps += u32::from(swapped.is_ok());
                }
                swaps
            }
        });
        let mut client = Client::connect(world.session.clone()).await;
        let mut removed = [0, 0];
        for round in 0..4_000 {
            let path = bytes("a");
            let of_directory = round % 2 == 0;
            let request = match of_directory {
                true => Request::RemoveDir { path },
                false => Request::Remove { path },
            };
            if client.status(request).await != StatusCode::Ok {
                continue;
            }
            removed[usize::from(of_directory)] += 1;
            let left = world.names();
            assert_eq!(left.len(), 1, "{left:?}");
            let is_directory = world.root.join(&left[0]).is_dir();
            assert_ne!(is_directory, of_directory, "the other kind went");
            let free = if left[0] == "a" { "b" } else { "a" };
            match of_directory {
                true => std::fs::create_dir(world.root.join(free)).unwrap(),
                false => world.put(free, "x"),
            }
        }
        stop.store(true, Ordering::Relaxed);
        let swaps = swapping.join().unwrap();
        assert!(removed[0] > 50 && removed[1] > 50, "{removed:?}");
        assert!(swaps > 4_000, "{swaps}");
    });
}

#[test]
fn a_directory_is_made_with_its_mode_less_the_umask() {
    run(async {
        let world = World::new(1);
        let mut client = Client::connect(world.session.clone()).await;
        for (path, asked, given) in [
            ("a", Some(0o777), 0o755),
            ("b", Some(0o700), 0o700),
            ("c", None, 0o755),
            ("d", Some(0o7777), 0o755),
        ] {
            assert_eq!(client.status(make(path, asked)).await, StatusCode::Ok);
            let mode = std::fs::metadata(world.root.join(path)).unwrap().mode();
            assert_eq!(mode & 0o7777, given, "{path}");
        }
        assert_eq!(client.status(make("a", None)).await, StatusCode::Failure);
        let nowhere = client.status(make("no/parent", None)).await;
        assert_eq!(nowhere, StatusCode::NoSuchFile);
    });
}

#[test]
fn a_rename_replaces_only_as_posix_has_it() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            world.put("a", "a");
            world.put("b", "b");
            let mut client = Client::connect(world.session.clone()).await;
            assert_eq!(client.status(rename("a", "b")).await, StatusCode::Failure);
            assert_eq!(client.status(rename("a", "c")).await, StatusCode::Ok);
            assert_eq!(
                client.status(rename("a", "d")).await,
                StatusCode::NoSuchFile
            );
            let replace = Extended::PosixRename {
                from: bytes("c"),
                to: bytes("b"),
            };
            assert_eq!(
                status(&client.extended(replace).await),
                Some(StatusCode::Ok)
            );
            assert_eq!(world.get("b"), b"a");
            assert!(!world.has("a") && !world.has("c"));
            // Neither makes the directory that it is to go to.
            let replace = Extended::PosixRename {
                from: bytes("b"),
                to: bytes("no/parent"),
            };
            for request in [rename("b", "no/parent"), replace.into_request()] {
                assert_eq!(client.status(request).await, StatusCode::NoSuchFile);
            }
            assert!(world.has("b") && !world.has("no"));
        });
    }
}

#[test]
fn attributes_of_a_path_are_changed_through_a_link_or_not() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            world.put("f", "12345");
            std::os::unix::fs::symlink("f", world.root.join("l")).unwrap();
            let mut client = Client::connect(world.session.clone()).await;
            let attributes = FileAttributes {
                permissions: Some(0o6711),
                times: Some((5, 6)),
                ..FileAttributes::default()
            };
            let path = bytes("l");
            let set = Request::SetStat {
                path: path.clone(),
                attributes,
            };
            assert_eq!(client.status(set).await, StatusCode::Ok);
            let metadata = std::fs::metadata(world.root.join("f")).unwrap();
            assert_eq!(metadata.mode() & 0o7777, 0o711, "no set-user-ID");
            assert_eq!((metadata.atime(), metadata.mtime()), (5, 6));
            let times = FileAttributes {
                times: Some((7, 8)),
                ..FileAttributes::default()
            };
            let set = Extended::LsetStat {
                path,
                attributes: times,
            };
            assert_eq!(status(&client.extended(set).await), Some(StatusCode::Ok));
            let link = std::fs::symlink_metadata(world.root.join("l")).unwrap();
            assert_eq!(link.mtime(), 8);
            let size = Request::SetStat {
                path: bytes("f"),
                attributes: FileAttributes {
                    size: Some(2),
                    ..FileAttributes::default()
                },
            };
            assert_eq!(client.status(size).await, StatusCode::Ok);
            assert_eq!(world.get("f"), b"12");
            let owner = Request::SetStat {
                path: bytes("f"),
                attributes: FileAttributes {
                    owner: Some((1, 1)),
                    ..FileAttributes::default()
                },
            };
            assert_eq!(client.status(owner).await, StatusCode::OpUnsupported);
        });
    }
}

#[test]
fn what_is_not_offered_is_said_to_be_unsupported() {
    run(async {
        let world = World::new(0);
        world.put("f", "x");
        let mut client = Client::connect(world.session.clone()).await;
        let hard_link = Extended::HardLink {
            from: bytes("f"),
            to: bytes("g"),
        };
        let unknown = Request::Extended {
            name: bytes("copy-data"),
            data: bytes(""),
        };
        for request in [hard_link.into_request(), unknown] {
            assert_eq!(client.status(request).await, StatusCode::OpUnsupported);
        }
        assert!(!world.has("g"));
    });
}
