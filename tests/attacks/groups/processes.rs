//! Processes of the host and of other tenants.

use crate::attack::{Attack, Canary, Group, How, Program, Proof};

pub static PROCESSES: Group = Group {
    name: "processes",
    how: How::Program(Program::new(include_str!("../programs/processes.py"))),
    attacks: &[
        Attack::new(8, "list", "see that a process of the host is there").open_at_landlock(SEEN),
        Attack::new(
            4,
            "arguments",
            "read the command line of a process of the host",
        )
        .proof(Proof::Secret)
        .open_at_landlock(SEEN),
        Attack::new(
            4,
            "environment",
            "read the environment of a process of the host",
        )
        .proof(Proof::Secret),
        Attack::new(
            4,
            "tenant-arguments",
            "read the command line of another tenant's command",
        )
        .proof(Proof::Secret)
        .open_at_landlock(SEEN),
        Attack::new(
            4,
            "tenant-environment",
            "read the environment of another tenant's command",
        )
        .proof(Proof::Secret),
        Attack::new(
            4,
            "ours",
            "read the environment of the application that runs us",
        ),
        Attack::new(
            4,
            "launcher",
            "find a variable or a mount in the launcher's environment or command line",
        )
        .canary(Canary::Untried("without a wall there is no launcher")),
        Attack::new(
            9,
            "init",
            "reach into the sandbox's first process, so that it outlives the command (`ptrace`)",
        )
        .canary(Canary::Untried("without a sandbox that is the host's")),
        Attack::new(
            1,
            "launcher-program",
            "write to the launcher's program through `/proc/<pid>/exe`",
        )
        .canary(Canary::FallsForRoot),
        Attack::new(
            8,
            "vm-read",
            "read the memory of a process of the host by `process_vm_readv`",
        )
        .proof(Proof::Secret),
        Attack::new(
            8,
            "mem",
            "read the memory of a process of the host by `/proc/<pid>/mem`",
        )
        .proof(Proof::Secret),
        Attack::new(8, "ptrace", "attach to a process of the host by `ptrace`"),
        Attack::new(
            8,
            "getfd",
            "take a descriptor from a process of the host (`pidfd_getfd`)",
        )
        .proof(Proof::Secret),
        Attack::new(
            8,
            "limits",
            "change the limits of a process of the host (`prlimit`)",
        ),
        Attack::new(
            8,
            "priority",
            "change the priority of a process of the host",
        )
        .open_at_landlock("Landlock has no rule for it"),
        Attack::new(
            8,
            "application",
            "send a signal to the application or a launcher, outside",
        ),
        Attack::new(8, "kill", "end a process of the host by a signal")
            .proof(Proof::Seen(|world, _| world.victim().prey_is_dead())),
    ],
};

const SEEN: &str = "`/proc` is the host's";

super::test_of!(PROCESSES, no_process_of_the_host_is_read_or_ended);
