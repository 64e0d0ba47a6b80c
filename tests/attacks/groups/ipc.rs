//! Memory, queues and keys that are not files.

use crate::attack::{Attack, Group, How, Program, Proof};

pub static IPC: Group = Group {
    name: "memory and queues",
    how: How::Program(Program {
        other_tenant: Some(include_str!("../programs/tenant_ipc.py")),
        ..Program::new(include_str!("../programs/ipc.py"))
    }),
    attacks: &[
        secret(
            "segment",
            "attach a System V shared memory segment of the host",
        ),
        secret(
            "tenant-segment",
            "attach a System V shared memory segment that another tenant left",
        ),
        secret("queue", "read a POSIX message queue of the host"),
        secret(
            "shm",
            "read a POSIX shared memory object of the host (`/dev/shm`)",
        ),
        secret(
            "keyring",
            "read a key that another tenant left in the user's keyring",
        ),
    ],
};

const fn secret(id: &'static str, tries: &'static str) -> Attack {
    Attack::new(8, id, tries).proof(Proof::Secret)
}

super::test_of!(IPC, scopes_share_no_memory_no_queue_and_no_key);
