//! System calls that reach around namespaces, or that a command does without.

use crate::attack::{Attack, Canary, Group, How, Program, Proof};

const BY_ROOT: Canary = Canary::FallsForRoot;
const HARMFUL: Canary = Canary::Untried("it would change the machine");

pub static SYSTEM_CALLS: Group = Group {
    name: "system calls",
    how: How::Program(Program::new(include_str!("../programs/system_calls.py"))),
    attacks: &[
        Attack::new(1, "mount", "mount a file system").canary(BY_ROOT),
        Attack::new(1, "bind", "mount a directory a second time").canary(BY_ROOT),
        Attack::new(1, "remount", "remount the system to be written").canary(HARMFUL),
        Attack::new(
            1,
            "mount-setattr",
            "remount the system to be written, by `mount_setattr`",
        )
        .canary(HARMFUL),
        Attack::new(1, "umount", "unmount what hides something").canary(HARMFUL),
        Attack::new(1, "open-tree", "clone a mount by `open_tree` and attach it").canary(BY_ROOT),
        Attack::new(1, "fsopen", "make a file system by `fsopen`").canary(BY_ROOT),
        Attack::new(1, "pivot-root", "change the root by `pivot_root`").canary(HARMFUL),
        Attack::new(1, "chroot", "change the root by `chroot`").canary(BY_ROOT),
        Attack::new(1, "mknod-block", "make a block device").canary(BY_ROOT),
        Attack::new(1, "hostname", "change the name of the host").canary(BY_ROOT),
        Attack::new(6, "unshare-user", "make a user namespace by `unshare`"),
        Attack::new(6, "unshare-mount", "make a mount namespace by `unshare`").canary(BY_ROOT),
        Attack::new(6, "clone-user", "make a user namespace by `clone`"),
        Attack::new(6, "clone3-user", "make a user namespace by `clone3`"),
        Attack::new(6, "setns", "enter a namespace by `setns`").canary(BY_ROOT),
        Attack::new(
            6,
            "handle",
            "open a file of the host by its handle (`open_by_handle_at`)",
        )
        .canary(BY_ROOT)
        .proof(Proof::Secret),
        Attack::new(6, "bpf", "load a program into the kernel (`bpf`)").canary(BY_ROOT),
        Attack::new(6, "perf", "watch the processor (`perf_event_open`)")
            .canary(Canary::Depends("`perf_event_paranoid`")),
        Attack::new(
            6,
            "io-uring",
            "make calls past the filter (`io_uring_setup`)",
        )
        .canary(Canary::Depends("`io_uring_disabled`")),
        Attack::new(
            6,
            "userfaultfd",
            "stop the kernel at a page (`userfaultfd`)",
        )
        .canary(Canary::Depends("the kernel having the call")),
        Attack::new(6, "fanotify", "watch whole file systems (`fanotify_init`)").canary(BY_ROOT),
        Attack::new(6, "add-key", "make a key (`add_key`)"),
        Attack::new(6, "keyctl", "use keyrings (`keyctl`)"),
        Attack::new(
            6,
            "request-key",
            "have the host look up a key (`request_key`)",
        )
        .canary(Canary::Depends("there being one")),
        Attack::new(6, "kexec", "load another kernel (`kexec_load`)").canary(HARMFUL),
        Attack::new(6, "module", "load or unload a module").canary(HARMFUL),
        Attack::new(6, "reboot", "reboot").canary(HARMFUL),
        Attack::new(6, "swap", "swap to a file of its own").canary(HARMFUL),
        Attack::new(6, "syslog", "read the kernel's log (`syslog`)").canary(BY_ROOT),
        Attack::new(
            6,
            "clock",
            "read or set the clock's discipline (`clock_adjtime`)",
        ),
        Attack::new(6, "tiocsti", "type into a terminal (`TIOCSTI`)")
            .canary(Canary::Depends("`dev.tty.legacy_tiocsti`")),
        Attack::new(
            13,
            "lease",
            "take a lease on a file, which stops whoever opens it",
        ),
        Attack::new(6, "i386", "call the kernel as a program of 32 bits does")
            .canary(Canary::Depends("the kernel taking them")),
        Attack::new(6, "x32", "call the kernel by an x32 number")
            .canary(Canary::Depends("the kernel taking them")),
    ],
};

super::test_of!(SYSTEM_CALLS, no_system_call_reaches_around_the_wall);
