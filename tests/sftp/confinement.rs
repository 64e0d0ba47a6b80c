//! Nothing leads out of the session's root.

use std::os::unix::fs::symlink;

use agent_backend::wire::sftp::{
    Extended, FileAttributes, OpenFlags, Request, Response, StatusCode,
};

use super::client::{Client, READ, WRITE, bytes, open, status};
use super::world::{DEPTHS, World, run};

/// Each request that has a path, on this one.
pub fn all_on(path: &str) -> Vec<Request> {
    let attributes = FileAttributes {
        permissions: Some(0o777),
        ..FileAttributes::default()
    };
    let path_bytes = bytes(path);
    let p = || path_bytes.clone();
    vec![
        open(path, READ),
        open(path, WRITE),
        open(
            path,
            OpenFlags {
                append: true,
                ..OpenFlags::default()
            },
        ),
        Request::Lstat { path: p() },
        Request::Stat { path: p() },
        Request::SetStat {
            path: p(),
            attributes,
        },
        Request::OpenDir { path: p() },
        Request::Remove { path: p() },
        Request::RemoveDir { path: p() },
        Request::MakeDir {
            path: p(),
            attributes,
        },
        Request::RealPath { path: p() },
        Request::ReadLink { path: p() },
        Request::Symlink {
            target: bytes("x"),
            link: p(),
        },
        Request::Rename {
            from: p(),
            to: bytes("got"),
        },
        Request::Rename {
            from: bytes("own"),
            to: p(),
        },
        Extended::PosixRename {
            from: p(),
            to: bytes("got"),
        }
        .into_request(),
        Extended::PosixRename {
            from: bytes("own"),
            to: p(),
        }
        .into_request(),
        Extended::StatVfs { path: p() }.into_request(),
        Extended::LsetStat {
            path: p(),
            attributes,
        }
        .into_request(),
        Extended::ExpandPath { path: p() }.into_request(),
    ]
}

#[test]
fn no_request_leaves_the_root_by_dots() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            world.put("own", "own");
            let up = "../".repeat(depth * 2 + 1);
            let root = world.root.to_str().unwrap().to_owned();
            let mut client = Client::connect(world.session.clone()).await;
            for path in [
                "..".to_owned(),
                format!("{up}outside/secret"),
                format!("x/../{up}outside/secret"),
                format!("{root}/{up}outside"),
                "/..".to_owned(),
            ] {
                for request in all_on(&path) {
                    let response = client.ask(request.clone()).await;
                    let code = status(&response);
                    assert_eq!(code, Some(StatusCode::PermissionDenied), "{request:?}");
                }
            }
            assert!(world.outside_is_untouched());
            assert_eq!(world.get("own"), b"own");
        });
    }
}

#[test]
fn an_absolute_path_elsewhere_is_below_the_root() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            let outside = world.outside.join("secret");
            let mut client = Client::connect(world.session.clone()).await;
            let path = bytes(outside.to_str().unwrap());
            let there = client.ask(Request::Stat { path: path.clone() }).await;
            assert_eq!(status(&there), Some(StatusCode::NoSuchFile));
            let opened = client.ask(open(outside.to_str().unwrap(), READ)).await;
            assert_eq!(status(&opened), Some(StatusCode::NoSuchFile));
        });
    }
}

#[test]
fn no_request_leaves_the_root_by_a_link() {
    for depth in DEPTHS {
        run(async {
            let world = World::new(depth);
            world.put("own", "own");
            let up = "../".repeat(depth * 2 + 1);
            symlink(&world.outside, world.root.join("absolute")).unwrap();
            symlink(format!("{up}outside"), world.root.join("relative")).unwrap();
            symlink(world.outside.join("secret"), world.root.join("file")).unwrap();
            let mut client = Client::connect(world.session.clone()).await;
            for path in [
                "absolute/secret",
                "relative/secret",
                "absolute/new",
                "relative/new",
            ] {
                for request in all_on(path) {
                    let response = client.ask(request.clone()).await;
                    let refused = matches!(
                        status(&response),
                        Some(StatusCode::PermissionDenied | StatusCode::NoSuchFile)
                    );
                    assert!(refused, "{request:?} gave {response:?}");
                }
            }
            for request in [
                open("file", READ),
                open("file", WRITE),
                Request::Stat {
                    path: bytes("file"),
                },
                Request::OpenDir {
                    path: bytes("absolute"),
                },
                Request::SetStat {
                    path: bytes("file"),
                    attributes: FileAttributes {
                        size: Some(0),
                        ..FileAttributes::default()
                    },
                },
            ] {
                let response = client.ask(request.clone()).await;
                let code = status(&response);
                assert_eq!(code, Some(StatusCode::PermissionDenied), "{request:?}");
            }
            // The link itself is a file of the workspace like any other.
            let lstat = client
                .ask(Request::Lstat {
                    path: bytes("file"),
                })
                .await;
            assert!(matches!(lstat, Response::Attributes(_)));
            assert!(world.outside_is_untouched());
            assert_eq!(world.get("own"), b"own");
        });
    }
}

#[test]
fn a_link_that_is_made_over_sftp_leads_nowhere_else_either() {
    run(async {
        let world = World::new(1);
        let mut client = Client::connect(world.session.clone()).await;
        let secret = world.outside.join("secret");
        for target in [
            secret.to_str().unwrap(),
            "../../../outside/secret",
            "/etc/passwd",
        ] {
            let made = Request::Symlink {
                target: bytes(target),
                link: bytes("l"),
            };
            assert_eq!(client.status(made).await, StatusCode::Ok);
            let response = client.ask(open("l", READ)).await;
            let refused = matches!(
                status(&response),
                Some(StatusCode::PermissionDenied | StatusCode::NoSuchFile)
            );
            assert!(refused, "{target}: {response:?}");
            let removed = Request::Remove { path: bytes("l") };
            assert_eq!(client.status(removed).await, StatusCode::Ok);
        }
        assert!(world.outside_is_untouched());
    });
}

#[test]
fn no_answer_tells_what_is_above_the_root() {
    run(async {
        let world = World::new(1);
        let root = world.root.to_str().unwrap().to_owned();
        let above = world.root.parent().unwrap().to_str().unwrap().to_owned();
        symlink(&world.outside, world.root.join("absolute")).unwrap();
        let mut client = Client::connect(world.session.clone()).await;
        for path in ["../x", "absolute/secret", "none", "/..", "~root"] {
            for request in all_on(path) {
                // What a client puts into a link itself it may read there.
                if matches!(request, Request::ReadLink { .. }) {
                    continue;
                }
                let text = format!("{:?}", client.ask(request.clone()).await);
                let told = text.replace(&root, "");
                assert!(!told.contains(&above), "{request:?} gave {text}");
            }
        }
    });
}
