//! Files of the kernel, devices, and programs that would run with more rights.

use agent_backend::backend::local::command::Isolation;

use crate::attack::{Attack, Canary, Group, How, Program, Proof, Reach, Setting};
use crate::world::World;

const BY_ROOT: Canary = Canary::FallsForRoot;

pub static KERNEL: Group = Group {
    name: "files of the kernel",
    how: How::Program(Program::new(include_str!("../programs/kernel.py"))),
    attacks: &[
        Attack::new(1, "proc-sys", "open any file of `/proc/sys` for writing").canary(BY_ROOT),
        Attack::new(
            1,
            "core-pattern",
            "open `/proc/sys/kernel/core_pattern` for writing",
        )
        .canary(BY_ROOT),
        Attack::new(1, "sysrq", "open `/proc/sysrq-trigger` for writing")
            .canary(Canary::Depends("the kernel having it")),
        Attack::new(
            1,
            "proc-rest",
            "open any other file of `/proc` for writing, those of processes apart",
        )
        .canary(BY_ROOT),
        Attack::new(1, "kcore", "read the kernel's memory by `/proc/kcore`")
            .canary(Canary::Depends("`/proc/kcore` being there")),
        Attack::new(
            1,
            "proc-secrets",
            "read `/proc/keys`, `kallsyms` or `timer_list`",
        )
        .canary(BY_ROOT)
        .open_at_landlock("`/proc` is the host\'s"),
        Attack::new(1, "sys", "open a file of `/sys` for writing").canary(BY_ROOT),
        Attack::new(
            10,
            "cgroup",
            "leave the limits by a write to `cgroup.procs`",
        )
        .canary(BY_ROOT),
        Attack::new(1, "block-device", "open a block device")
            .canary(Canary::Depends("there being one")),
        Attack::new(
            1,
            "devices",
            "open `/dev/mem`, `kmsg`, `kvm`, `fuse` or `net/tun`",
        )
        .canary(BY_ROOT),
        Attack::new(1, "terminals", "find a terminal of the host")
            .canary(Canary::Depends("there being one")),
        Attack::new(
            1,
            "device-mode",
            "change the mode of `/dev/null` and its like",
        )
        .canary(BY_ROOT)
        .open_at_landlock("Landlock has no rule for it"),
        Attack::new(1, "input-mode", "change the mode of what standard input is")
            .canary(BY_ROOT)
            .open_at_landlock("Landlock has no rule for it"),
        Attack::new(
            1,
            "new-privileges",
            "gain rights by a set-user-id program of the system",
        ),
        Attack::new(1, "capabilities", "hold any capability").canary(BY_ROOT),
        Attack::new(
            1,
            "core-dump",
            "have a crash run the program of the core pattern",
        )
        .canary(Canary::Depends("the limit on core dumps")),
    ],
};

pub static SET_USER_ID: Group = Group {
    name: "set-user-id files",
    how: How::Program(Program::new(include_str!("../programs/set_user_id.py"))),
    attacks: &[
        left("chmod", "leave a set-user-id file by `chmod`"),
        left("fchmod", "leave a set-user-id file by `fchmod`"),
        left("fchmodat", "leave a set-user-id file by `fchmodat`"),
        left("fchmodat2", "leave a set-user-id file by `fchmodat2`")
            .canary(Canary::Depends("the kernel having the call")),
        left("open", "leave a set-user-id file by the mode of `open`"),
        left(
            "openat2",
            "leave a set-user-id file by the mode of `openat2`",
        ),
        left("creat", "leave a set-user-id file by the mode of `creat`"),
        left("mknod", "leave a set-user-id file by the mode of `mknod`"),
        left(
            "tmpfile",
            "leave a set-user-id file by the mode of an unnamed file that is named afterwards",
        ),
        left("setgid", "leave a set-group-id file"),
        left("setgid-directory", "leave a set-group-id directory"),
        left("capability", "leave a file with capabilities").canary(BY_ROOT),
        left("device", "leave a device file").canary(BY_ROOT),
    ],
};

const fn left(id: &'static str, tries: &'static str) -> Attack {
    Attack::new(1, id, tries).proof(Proof::Seen(is_dangerous))
}

/// Whether the file that an attack left in the scope is one that the host must fear.
fn is_dangerous(world: &World, id: &str) -> bool {
    use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
    let path = world.scope("one").join(id);
    let Ok(stat) = std::fs::symlink_metadata(&path) else {
        return false;
    };
    let mut room = [0; 64];
    let capability = rustix::fs::getxattr(&path, "security.capability", &mut room).is_ok();
    let device = stat.file_type().is_char_device() || stat.file_type().is_block_device();
    stat.mode() & 0o6000 != 0 || capability || device
}

#[test]
fn in_a_tree_of_roots_the_devices_can_be_written_and_read() {
    if !rustix::process::geteuid().is_root() || !crate::observe::sandboxes_start() {
        return; // There is no such case for an ordinary user.
    }
    let world = World::new(Setting {
        level: Isolation::Bwrap,
        reach: Reach::Host,
        tree_of_root: true,
    });
    let text = "id -u; cat; echo x > /dev/null && echo x > /dev/zero && head -c 2 /dev/urandom | wc -c; \
                readlink /proc/self/fd/0 < /dev/null; readlink /proc/$$/fd/0";
    let done = world.run(&world.one, text).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&done.stdout),
        "0\n2\n/dev/null\n/dev/null\n",
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

super::test_of!(KERNEL, no_file_of_the_kernel_and_no_device_acts_on_the_host);
super::test_of!(SET_USER_ID, no_file_that_gives_rights_is_left_behind);
