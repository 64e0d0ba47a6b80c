//! A lease on a file makes others wait, up to 45 s. Not the caller's thread, and not a thread of the pool.

use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::time::{Duration, Instant};

use agent_backend::backend::{Content, ReadOptions, WriteMode, WriteOptions};
use agent_backend::call::Call;
use agent_backend::pool;

use crate::world::{RESOLVERS, World, memory, wait};

/// The longest that a caller's thread may be held.
const STALL: Duration = Duration::from_millis(5);
const HELD: Duration = Duration::from_millis(300);
/// `fcntl`: which signal says that the lease is to be broken.
const F_SETSIG: libc::c_int = 10;

/// Holds a write lease: any other open has to wait until it is gone.
fn lease(path: &Path) -> File {
    let file = File::open(path).unwrap();
    // SAFETY: plain `fcntl` on a descriptor of our own. The signal that says that the lease is to be broken becomes
    // one that is ignored by default.
    let leased = unsafe {
        libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGWINCH) == 0
            && libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) == 0
    };
    assert!(leased, "{}", std::io::Error::last_os_error());
    file
}

/// Starts a call, and says how long its caller was held.
fn started<T>(start: impl FnOnce() -> Call<T>) -> (Call<T>, Duration) {
    let before = Instant::now();
    let call = start();
    (call, before.elapsed())
}

/// One call may meet a busy machine; what waits for the lease would be held for as long as that stands.
fn started_at_once<T>(start: impl FnOnce() -> Call<T>) -> Call<T> {
    let (call, stall) = started(start);
    assert!(
        stall < HELD / 3,
        "the caller's thread was held for {stall:?}"
    );
    call
}

fn everywhere(test: impl Fn(&World)) {
    for parent in [std::env::temp_dir(), memory()] {
        for resolver in RESOLVERS {
            let world = World::below(&parent, 1, resolver);
            world.put("file", "content");
            // Warm the pool, so that what is measured is the lease.
            wait(pool_is_warm()).unwrap();
            test(&world);
        }
    }
}

fn pool_is_warm() -> Call<()> {
    Call::blocking(|| Ok(()))
}

#[test]
fn a_plain_open_waits_for_a_lease() {
    let world = World::new(0, RESOLVERS[0]);
    world.put("file", "content");
    let path = world.ground.join("file");
    let held = lease(&path);
    let release = std::thread::spawn(move || {
        std::thread::sleep(HELD);
        drop(held);
    });
    let before = Instant::now();
    std::fs::read(path).unwrap();
    assert!(before.elapsed() > HELD / 2);
    release.join().unwrap();
}

#[test]
fn a_leased_file_is_read_after_its_release_and_holds_nobody_meanwhile() {
    everywhere(|world| {
        let held = lease(&world.ground.join("file"));
        let (calls, mut stalls): (Vec<_>, Vec<_>) = (0..100)
            .map(|_| started(|| world.workspace.read("file", ReadOptions::default())))
            .unzip();
        stalls.sort();
        assert!(stalls[89] < STALL, "callers were held: {stalls:?}");
        // More calls wait than the pool has threads; it goes on with others all the same.
        let before = Instant::now();
        wait(Call::blocking(|| Ok(()))).unwrap();
        wait(world.workspace.stat("file")).unwrap();
        assert!(
            before.elapsed() < HELD,
            "the pool was held: {:?}",
            before.elapsed()
        );
        let calls = pool::runtime().spawn(async move {
            for call in calls {
                assert_eq!(call.await.unwrap().bytes, "content");
            }
        });
        std::thread::sleep(HELD);
        assert!(!calls.is_finished());
        drop(held);
        pool::runtime().block_on(calls).unwrap();
    });
}

#[test]
fn a_leased_file_is_replaced_at_once() {
    everywhere(|world| {
        let held = lease(&world.ground.join("file"));
        let before = Instant::now();
        let content = || Content::owned("new");
        let options = WriteOptions::default;
        wait(started_at_once(|| {
            world.workspace.write("file", content(), options())
        }))
        .unwrap();
        assert!(before.elapsed() < HELD);
        drop(held);
        let outcome = wait(world.workspace.read("file", ReadOptions::default())).unwrap();
        assert_eq!(outcome.bytes, "new");
    });
}

#[test]
fn appending_to_a_leased_file_waits_without_holding_the_caller() {
    everywhere(|world| {
        let held = lease(&world.ground.join("file"));
        let options = WriteOptions {
            mode: WriteMode::Append,
            ..WriteOptions::default()
        };
        let call = started_at_once(|| {
            world
                .workspace
                .write("file", Content::owned("+more"), options)
        });
        let call = pool::runtime().spawn(call);
        std::thread::sleep(HELD);
        assert!(!call.is_finished());
        drop(held);
        pool::runtime().block_on(call).unwrap().unwrap();
        let text = std::fs::read_to_string(world.ground.join("file")).unwrap();
        assert_eq!(text, "content+more");
    });
}
