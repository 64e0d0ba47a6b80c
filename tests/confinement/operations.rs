//! Every operation, and whether one got out.

use std::sync::Arc;

use agent_backend::backend::search::GrepQuery;
use agent_backend::backend::{
    Content, ListOptions, OpenFile, OpenOptions, ReadOptions, RemoveOptions, RenameOptions,
    WriteMode, WriteOptions,
};
use agent_backend::error::ErrorCode;
use agent_backend::workspace::{SearchOptions, Workspace};

use bytes::Bytes;

use crate::opening::{MODE, READ, SIZE, TIME, UPLOAD, WRITE, bytes, staged};
use crate::world::{SECRET, wait};

/// What a caller saw: the code of a failure, or everything that an answer told as text.
pub type Seen = Result<String, ErrorCode>;

pub struct Operation {
    pub name: &'static str,
    /// Whether it follows a link in the last component.
    pub follows: bool,
    pub run: fn(&Workspace, &[u8]) -> Seen,
}

impl Operation {
    /// Whether a success leaves something changed.
    pub fn changes(&self) -> bool {
        ![
            "read", "stat", "lstat", "list", "glob", "grep", "tree", "readlink",
        ]
        .contains(&self.name.split(' ').next().unwrap())
    }
}

macro_rules! operations {
    ($($name:literal, $follows:literal, |$workspace:ident, $path:ident| $call:expr;)*) => {
        pub const OPERATIONS: &[Operation] = &[$(Operation {
            name: $name,
            follows: $follows,
            run: |$workspace, $path| {
                wait($call)
                    .map(|value| Say::say(&value))
                    .map_err(|error| error.code())
            },
        }),*];
    };
}

operations! {
    "read", true, |w, p| w.read(p, ReadOptions::default());
    "read a range", true, |w, p| w.read(p, ReadOptions { range: Some(0..4096), max_bytes: Some(1 << 20) });
    "write", true, |w, p| w.write(p, content(), WriteOptions::default());
    "write with permissions", true, |w, p| w.write(p, content(), WriteOptions { permissions: Some(0o600), ..WriteOptions::default() });
    "append", true, |w, p| w.write(p, content(), mode(WriteMode::Append));
    "create", false, |w, p| w.write(p, content(), mode(WriteMode::CreateNew));
    "stat", true, |w, p| w.stat(p);
    "lstat", false, |w, p| w.lstat(p);
    "list", true, |w, p| w.list(p, ListOptions { with_stat: false });
    "list with stat", true, |w, p| w.list(p, ListOptions { with_stat: true });
    "mkdir", false, |w, p| w.create_dir(p, false);
    "mkdir -p", true, |w, p| w.create_dir(join(p, "new/deeper"), true);
    "rm", false, |w, p| w.remove(p, RemoveOptions::default());
    "rm -r", false, |w, p| w.remove(p, RemoveOptions { recursive: true, force: false, ..RemoveOptions::default() });
    "rename from", false, |w, p| w.rename(p, "stolen", RenameOptions::default());
    "rename to", false, |w, p| w.rename("own", p, RenameOptions::default());
    "rename keeping from", false, |w, p| w.rename(p, "stolen", KEEP);
    "rename keeping to", false, |w, p| w.rename("own", p, KEEP);
    "rename keeping below", true, |w, p| w.rename("own", join(p, "new"), KEEP);
    "touch", true, |w, p| w.touch(p);
    "write below", true, |w, p| w.write(join(p, "new"), content(), WriteOptions::default());
    "rename below", true, |w, p| w.rename("own", join(p, "new"), RenameOptions::default());
    "rename to missing parents below", true, |w, p| w.rename("own", join(p, "new/deeper"), RenameOptions::default());
    "rm below", true, |w, p| w.remove(join(p, "canary"), RemoveOptions { recursive: true, force: true, ..RemoveOptions::default() });
    "glob", true, |w, p| w.glob(p, "**", true, SearchOptions::default());
    "grep", true, |w, p| w.grep(p, everything(), SearchOptions::default());
    "tree", true, |w, p| w.tree(p, None, SearchOptions { respect_gitignore: true, ..SearchOptions::default() });
    "stat below", true, |w, p| w.stat(join(p, "canary"));
    "read held", true, |w, p| w.open(p, READ).and_then(|file| file.read_at(0, 4096));
    "stat held", true, |w, p| w.open(p, READ).and_then(|file| file.stat());
    "write held", true, |w, p| w.open(p, WRITE).and_then(|file| file.write_at(0, bytes()));
    "append held", true, |w, p| w.open(p, OpenOptions { append: true, ..WRITE }).and_then(|file| file.write_at(0, bytes()));
    "upload", true, |w, p| w.open(p, UPLOAD).and_then(|file| file.write_at(0, bytes()));
    "create held", false, |w, p| w.open(p, OpenOptions { create_new: true, ..WRITE });
    "chmod held", true, |w, p| w.open(p, WRITE).and_then(|file| file.set_attributes(MODE));
    "upload below", true, |w, p| w.open(join(p, "new"), UPLOAD).and_then(|file| file.write_at(0, bytes()));
    "staged", true, |w, p| staged(w.stage(p, WriteOptions::default()));
    "staged below", true, |w, p| staged(w.stage(join(p, "new/deeper"), WriteOptions::default()));
    "truncate", true, |w, p| w.set_attributes(p, true, SIZE);
    "chmod", true, |w, p| w.set_attributes(p, true, MODE);
    "lchtimes", false, |w, p| w.set_attributes(p, false, TIME);
    "chtimes", true, |w, p| w.set_attributes(p, true, TIME);
    "readlink", false, |w, p| w.read_link(p);
    "symlink", false, |w, p| w.symlink(p, "own");
    "symlink below", true, |w, p| w.symlink(join(p, "new"), "own");
}

const KEEP: RenameOptions = RenameOptions {
    keep_existing: true,
    existing_parent: false,
};

fn content() -> Content {
    Content::owned("overwritten")
}

fn everything() -> GrepQuery {
    GrepQuery {
        pattern: ".".into(),
        ..GrepQuery::default()
    }
}

fn mode(mode: WriteMode) -> WriteOptions {
    WriteOptions {
        mode,
        ..WriteOptions::default()
    }
}

fn join(path: &[u8], below: &str) -> Vec<u8> {
    [path, b"/", below.as_bytes()].concat()
}

/// Whether an answer tells anything of the outside.
pub fn tells(seen: &Seen, canary_inode: u64) -> bool {
    seen.as_ref()
        .is_ok_and(|text| text.contains(SECRET) || text.contains(&format!("ino: {canary_inode},")))
}

/// Everything that an answer tells.
trait Say {
    fn say(&self) -> String;
}

impl Say for agent_backend::backend::ReadOutcome {
    fn say(&self) -> String {
        format!("{} {:?}", String::from_utf8_lossy(&self.bytes), self.stat)
    }
}

macro_rules! say_by_debug {
    ($($kind:ty),*) => {$(
        impl Say for $kind {
            fn say(&self) -> String {
                format!("{self:?}")
            }
        }
    )*};
}

say_by_debug!(
    (),
    Bytes,
    Vec<u8>,
    Arc<dyn OpenFile>,
    agent_backend::backend::WriteOutcome,
    agent_backend::backend::FileStat,
    Vec<agent_backend::backend::DirEntry>,
    agent_backend::backend::search::SearchOutcome,
    agent_backend::workspace::TreeOutcome
);
