//! Files outside the scope: their content and names, and what else can be done to them.

use crate::attack::{Attack, Canary, Group, How, Program, Proof};
use crate::world::{BEFORE, World};

/// What landlock has no rule for.
const NO_RULE: &str = "Landlock has no rule for it";

pub static CONTENT: Group = Group {
    name: "content and names of files",
    how: How::Program(Program {
        other_tenant: Some(include_str!("../programs/tenant_files.py")),
        ..Program::new(include_str!("../programs/files.py"))
    }),
    attacks: &[
        secret(3, "tenant", "read another tenant's file by its path"),
        secret(
            3,
            "dots",
            "read another tenant's file by `..` from the working directory",
        ),
        secret(
            3,
            "link",
            "read another tenant's file through a link made in the scope",
        ),
        secret(
            3,
            "path-handle",
            "read a file of the host through an `O_PATH` descriptor",
        ),
        secret(3, "host-file", "read a file of the host"),
        secret(
            3,
            "process-root",
            "read a file of the host through `/proc/<pid>/root` or `cwd` of any process",
        ),
        secret(
            2,
            "process-fd",
            "read a file of the host through `/proc/<pid>/fd` of any process, the launcher included",
        ),
        secret(11, "other-tmp", "read another tenant's private `/tmp`"),
        secret(
            3,
            "shared-tmp",
            "read what another tenant left in `/tmp`, `/var/tmp` or `/dev/shm`",
        ),
        secret(3, "program", "run a program that lies outside"),
        Attack::new(3, "list", "list a directory of the host"),
        Attack::new(1, "shadow", "read the host's password hashes").canary(Canary::FallsForRoot),
        changed("write", "write over a file of the host"),
        changed("append", "append to a file of the host"),
        changed("truncate", "truncate a file of the host"),
        changed("unlink", "remove a file of the host"),
        changed("steal", "move a file of the host into the scope"),
        changed(
            "exchange",
            "exchange a file of the host with one of the scope",
        ),
        changed("rename", "rename a file of the host"),
        changed(
            "hard-link",
            "write to a file of the host through a hard link made in the scope",
        ),
        appeared("create", "create a file outside"),
        appeared("mkdir", "create a directory outside"),
        appeared("symlink", "create a link outside"),
        appeared("fifo", "create a FIFO outside"),
        appeared("socket", "create a socket outside"),
        appeared("link-out", "hard-link a file of the scope to outside"),
        appeared("rename-out", "move a file of the scope outside"),
        appeared("tmpfile", "create an unnamed file outside and name it"),
        Attack::new(3, "rmdir", "remove a directory of the host").proof(Proof::Seen(
            |world, id| !world.host().join(format!("{id}.d")).exists(),
        )),
    ],
};

pub static METADATA: Group = Group {
    name: "metadata of files",
    how: How::Program(Program::new(include_str!("../programs/metadata.py"))),
    attacks: &[
        Attack::new(8, "stat", "learn size and times of a file of the host")
            .open_at_landlock(NO_RULE),
        Attack::new(
            8,
            "chdir",
            "make a directory of the host the working directory",
        )
        .open_at_landlock(NO_RULE),
        Attack::new(
            8,
            "watch",
            "be told of events in a directory of the host (inotify)",
        )
        .open_at_landlock(NO_RULE),
        Attack::new(8, "chmod", "change the mode of a file of the host")
            .proof(Proof::Seen(|world, id| mode(world, id) & 0o777 == 0o601))
            .open_at_landlock(NO_RULE),
        Attack::new(8, "chown", "change the owner of a file of the host")
            .canary(Canary::FallsForRoot)
            .proof(Proof::Seen(|world, id| owner(world, id) == 4242))
            .open_at_landlock(NO_RULE),
        Attack::new(8, "utimes", "change the times of a file of the host")
            .proof(Proof::Seen(|world, id| modified(world, id) == 1_000_000))
            .open_at_landlock(NO_RULE),
        Attack::new(8, "xattr", "give a file of the host an extended attribute")
            .canary(Canary::Depends("the file system"))
            .open_at_landlock(NO_RULE),
        Attack::new(
            1,
            "own-setuid",
            "make a file of the host a set-user-id program",
        )
        .proof(Proof::Seen(|world, id| mode(world, id) & 0o4000 != 0)),
    ],
};

const fn secret(threat: u8, id: &'static str, tries: &'static str) -> Attack {
    Attack::new(threat, id, tries).proof(Proof::Secret)
}

const fn changed(id: &'static str, tries: &'static str) -> Attack {
    Attack::new(3, id, tries).proof(Proof::Seen(|world, id| {
        !std::fs::read_to_string(world.host().join(id)).is_ok_and(|now| now == BEFORE)
    }))
}

const fn appeared(id: &'static str, tries: &'static str) -> Attack {
    Attack::new(3, id, tries).proof(Proof::Seen(|world, id| {
        let path = world.host().join(format!("{id}.new"));
        std::fs::symlink_metadata(path).is_ok()
    }))
}

fn metadata(world: &World, id: &str) -> std::fs::Metadata {
    std::fs::symlink_metadata(world.host().join(id)).unwrap()
}

fn mode(world: &World, id: &str) -> u32 {
    std::os::unix::fs::MetadataExt::mode(&metadata(world, id))
}

fn owner(world: &World, id: &str) -> u32 {
    std::os::unix::fs::MetadataExt::uid(&metadata(world, id))
}

fn modified(world: &World, id: &str) -> i64 {
    std::os::unix::fs::MetadataExt::mtime(&metadata(world, id))
}

super::test_of!(
    CONTENT,
    no_content_and_no_name_outside_the_scope_is_within_reach
);
super::test_of!(
    METADATA,
    what_belongs_to_a_file_beside_its_content_is_as_the_table_says
);
