//! The ways out.

use std::path::PathBuf;

use crate::world::World;

/// One way out: what to prepare, the path to name, and what to expect.
pub struct Attack {
    pub name: &'static str,
    /// Prepares the ground and gives the path that a caller names.
    pub plant: fn(&World) -> Vec<u8>,
    pub wall: Wall,
}

/// What stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wall {
    /// `PATH_ESCAPE_ATTEMPT`, whatever the operation.
    Refused,
    /// The last component is a link that leaves: `PATH_ESCAPE_ATTEMPT` for what follows it.
    RefusedIfFollowed,
    /// The path names something inside, which is not there.
    NamesInside,
    /// `INVALID_PATH`.
    Invalid,
    /// A loop: `INVALID_PATH` for what follows it.
    InvalidIfFollowed,
}

impl Attack {
    /// What a program without a wall would open.
    pub fn unconfined(&self, world: &World, path: &[u8]) -> PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        world.ground.join(std::ffi::OsStr::from_bytes(path))
    }
}

fn text(path: PathBuf) -> Vec<u8> {
    use std::os::unix::ffi::OsStringExt as _;
    path.into_os_string().into_vec()
}

macro_rules! attacks {
    ($($name:literal, $wall:ident, |$world:ident| $plant:expr;)*) => {
        pub const ATTACKS: &[Attack] = &[$(Attack {
            name: $name,
            wall: Wall::$wall,
            plant: |$world| $plant,
        }),*];
    };
}

attacks! {
    "dots", Refused, |_w| b"../outside/canary".to_vec();
    "dots after a directory", Refused, |w| { w.put("a/b", ""); b"a/../../outside/canary".to_vec() };
    "dots and slashes", Refused, |_w| b".//..///outside/./canary".to_vec();
    "an absolute path with dots after the root", Refused, |w| {
        text(w.ground.join("../outside/canary"))
    };
    "an absolute path elsewhere", NamesInside, |w| text(w.outside.join("canary"));
    "a twin of the root's name", NamesInside, |w| {
        text(w.ground.with_file_name("ground-evil").join("canary"))
    };
    "a link to a file", RefusedIfFollowed, |w| {
        w.link("../outside/canary", "link");
        b"link".to_vec()
    };
    "an absolute link to a file", RefusedIfFollowed, |w| {
        w.link(w.outside.join("canary"), "link");
        b"link".to_vec()
    };
    "an absolute link to a twin of the root's name", RefusedIfFollowed, |w| {
        w.link(w.ground.with_file_name("ground-evil").join("canary"), "link");
        b"link".to_vec()
    };
    "an absolute link with dots after the root", RefusedIfFollowed, |w| {
        w.link(w.ground.join("../outside/canary"), "link");
        b"link".to_vec()
    };
    "a link to a directory", Refused, |w| { w.link("../outside", "link"); b"link/canary".to_vec() };
    "an absolute link to a directory", Refused, |w| {
        w.link(&w.outside, "link");
        b"link/directory/canary".to_vec()
    };
    "a link to the directory above", Refused, |w| {
        w.link("..", "link");
        b"link/outside/canary".to_vec()
    };
    "a link to the host's root", Refused, |w| {
        w.link("/", "link");
        [b"link".to_vec(), text(w.outside.join("canary"))].concat()
    };
    "a link that leaves from below", Refused, |w| {
        w.put("a/b/file", "");
        w.link("../../../outside", "a/b/link");
        b"a/b/link/canary".to_vec()
    };
    "a chain of links", RefusedIfFollowed, |w| {
        w.put("a/file", "");
        w.link("a/two", "one");
        w.link("../three", "a/two");
        w.link("../outside/canary", "three");
        b"one".to_vec()
    };
    "a chain of relative and absolute links", RefusedIfFollowed, |w| {
        w.link(w.ground.join("two"), "one");
        w.link("three", "two");
        w.link(w.outside.join("canary"), "three");
        b"one".to_vec()
    };
    "a link through a link to a directory", RefusedIfFollowed, |w| {
        w.link("..", "up");
        w.link("up/outside/canary", "link");
        b"link".to_vec()
    };
    "a link that leaves and comes back", Refused, |w| {
        w.put("directory/canary", crate::world::SECRET);
        w.link("../ground/directory", "link");
        b"link/canary".to_vec()
    };
    "a magic link to the host's root", Refused, |w| {
        w.link("/proc/self/root", "link");
        [b"link".to_vec(), text(w.outside.join("canary"))].concat()
    };
    "a magic link through a task", Refused, |w| {
        w.link("/proc/thread-self/root", "link");
        [b"link".to_vec(), text(w.outside.join("canary"))].concat()
    };
    "a dangling link", RefusedIfFollowed, |w| {
        w.link("../outside/not-there", "link");
        b"link".to_vec()
    };
    "an absolute dangling link", RefusedIfFollowed, |w| {
        w.link(w.outside.join("not-there"), "link");
        b"link".to_vec()
    };
    "a loop of links", InvalidIfFollowed, |w| {
        w.link("two", "one");
        w.link("one", "two");
        b"one".to_vec()
    };
    "a link to itself by its absolute path", InvalidIfFollowed, |w| {
        w.link(w.ground.join("one"), "one");
        b"one".to_vec()
    };
    "a NUL", Invalid, |_w| b"file\0/../../outside/canary".to_vec();
}
