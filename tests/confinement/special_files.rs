//! FIFOs, sockets and devices: refused, at once.

use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use agent_backend::error::ErrorCode;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::operations::OPERATIONS;
use crate::skip::skip;
use crate::world::{DEPTHS, RESOLVERS, World, is_root};

const AT_ONCE: Duration = Duration::from_secs(2);

fn open_by_name(name: &str) -> bool {
    [
        "read",
        "read a range",
        "write",
        "write with permissions",
        "append",
        "read held",
        "write held",
        "append held",
        "upload",
        "chmod held",
        "truncate",
        "staged",
    ]
    .contains(&name)
}

fn refused_at_once(make: impl Fn(&World)) {
    for depth in DEPTHS {
        for resolver in RESOLVERS {
            for operation in OPERATIONS {
                let world = World::new(depth, resolver);
                world.put("own", "");
                make(&world);
                let started = Instant::now();
                let seen = (operation.run)(&world.workspace, b"special");
                assert!(started.elapsed() < AT_ONCE, "{} blocked", operation.name);
                if open_by_name(operation.name) {
                    assert_eq!(
                        seen.err(),
                        Some(ErrorCode::InvalidPath),
                        "{}",
                        operation.name
                    );
                }
            }
        }
    }
}

#[test]
fn a_fifo_is_refused_without_waiting_for_the_other_end() {
    refused_at_once(|world| {
        let path = world.ground.join("special");
        mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
    });
}

#[test]
fn a_fifo_with_a_reader_gets_nothing_written() {
    for resolver in RESOLVERS {
        let world = World::new(0, resolver);
        let path = world.ground.join("special");
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o644), 0).unwrap();
        use rustix::fs::OFlags;
        let reader =
            rustix::fs::open(&path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty()).unwrap();
        for operation in OPERATIONS
            .iter()
            .filter(|operation| open_by_name(operation.name))
        {
            let seen = (operation.run)(&world.workspace, b"special");
            assert_eq!(
                seen.err(),
                Some(ErrorCode::InvalidPath),
                "{}",
                operation.name
            );
        }
        assert_eq!(rustix::io::read(&reader, &mut [0u8; 64]), Ok(0));
    }
}

#[test]
fn a_socket_is_refused() {
    refused_at_once(|world| {
        drop(UnixListener::bind(world.ground.join("special")).unwrap());
    });
}

#[test]
fn a_device_is_refused() {
    if !is_root() {
        return skip("only root can make a device");
    }
    refused_at_once(|world| {
        let path = world.ground.join("special");
        // What /dev/zero is.
        let device = rustix::fs::makedev(1, 5);
        let mode = Mode::from_raw_mode(0o666);
        mknodat(CWD, path, FileType::CharacterDevice, mode, device).unwrap();
    });
}
