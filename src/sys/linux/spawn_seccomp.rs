//! The system calls that a walled command does without: those that reach around the mount and user namespaces,
//! and those whose history of holes is not worth their use. An allow-list would break programs with every new libc;
//! the namespaces are the wall, this takes away the tools to climb it. Where the wall is Landlock, which knows files
//! and nothing else, it also takes what would reach other processes.

use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use crate::error::{Error, ErrorCode, Result};

/// Refused whatever the arguments. Not in the `libc` crate for every target: the numbers of late calls are the same
/// on all architectures.
const REFUSED: &[libc::c_long] = &[
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    467, // open_tree_attr
    libc::SYS_chroot,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
];

type ModeArgument = (libc::c_long, u8, Option<(u8, i32)>);

/// Calls that carry permission bits: the call, the argument that holds them, and the argument and bits without which
/// the kernel does not look at them.
const MODE_ARGUMENTS: &[ModeArgument] = &[
    (libc::SYS_fchmod, 1, None),
    (libc::SYS_fchmodat, 2, None),
    (libc::SYS_fchmodat2, 2, None),
    (libc::SYS_mknodat, 2, None),
    (libc::SYS_mkdirat, 2, None),
    (libc::SYS_openat, 3, Some((2, libc::O_CREAT))),
    (libc::SYS_openat, 3, Some((2, TMPFILE))),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_chmod, 1, None),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mknod, 1, None),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_mkdir, 1, None),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_creat, 1, None),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 2, Some((1, libc::O_CREAT))),
    #[cfg(target_arch = "x86_64")]
    (libc::SYS_open, 2, Some((1, TMPFILE))),
];

/// `O_TMPFILE` without the `O_DIRECTORY` that is part of it.
const TMPFILE: i32 = libc::O_TMPFILE & !libc::O_DIRECTORY;

/// `clone` and `unshare` with any of these make namespaces. (`CLONE_NEWTIME` is a signal number to `clone`.)
const NEW_NAMESPACES: &[i32] = &[
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];
const NEW_TIME: i32 = 0x80;

/// ioctls that type into, or take over, a terminal; and the one that puts a rarely used driver on top of it.
const TERMINAL_IOCTLS: &[u64] = &[
    0x5412, // TIOCSTI
    0x541c, // TIOCLINUX
    0x5423, // TIOCSETD
];

/// Calls that reach into another process, and the argument that names it. The first process of a sandbox must be left
/// alone: whoever can make it call `prctl` keeps it, and with it everything in there, from ending with the command.
const INTO_ANOTHER: &[(libc::c_long, u8)] =
    &[(libc::SYS_ptrace, 1), (libc::SYS_process_vm_writev, 0)];

/// Calls whose arguments lie behind a pointer, where no filter can see them: "not implemented" makes every libc fall
/// back to the older call, which one can.
const POINTERS: &[libc::c_long] = &[libc::SYS_clone3, libc::SYS_openat2];

/// What the filter has to make up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Wall {
    /// Nothing: processes, sockets and shared memory of others are in other namespaces.
    Namespaces,
    /// All of that.
    Landlock {
        /// Whether the command may have sockets of the Internet.
        network: bool,
    },
}

/// Calls that reach other processes, or memory shared with them, where no namespace keeps them apart.
const SHARED: &[libc::c_long] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    libc::SYS_shmctl,
    libc::SYS_msgctl,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
];

/// Kinds of Unix sockets (`SOCK_DGRAM`, and `SOCK_RAW` which is the same) that send to whatever address they are told,
/// also where they were made as a pair; and the bits that hold the kind.
const ADDRESSED: &[u64] = &[2, 3];
const KIND: u64 = 0xf;

impl Wall {
    /// The families that `socket` makes; the rest is hardware, virtual machines and protocols with holes. A named Unix
    /// socket of the host is out of sight in a namespace; Landlock lets everybody connect.
    const fn families(self) -> &'static [i32] {
        match self {
            Wall::Namespaces => &[
                libc::AF_UNIX,
                libc::AF_INET,
                libc::AF_INET6,
                libc::AF_NETLINK,
            ],
            Wall::Landlock { network: true } => &[libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK],
            Wall::Landlock { network: false } => &[],
        }
    }
}

/// The filter as the kernel, and bubblewrap's `--seccomp`, take it.
///
/// # Errors
/// `MISSING_UTILITIES` on an architecture that seccomp is not built for here.
pub fn program(wall: Wall) -> Result<Vec<u8>> {
    let unsupported = |error: &dyn std::fmt::Display| {
        Error::new(
            ErrorCode::MissingUtilities,
            format!("no seccomp filter for this architecture: {error}"),
        )
    };
    let architecture: TargetArch = std::env::consts::ARCH
        .try_into()
        .map_err(|error| unsupported(&error))?;
    let refuse = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let rules = rules(wall).map_err(|error| unsupported(&error))?;
    let filter = SeccompFilter::new(
        rules.into_iter().collect(),
        SeccompAction::Allow,
        refuse,
        architecture,
    )
    .and_then(TryInto::<Vec<sock_filter>>::try_into)
    .map_err(|error| unsupported(&error))?;
    Ok(preamble()
        .iter()
        .chain(&filter)
        .flat_map(|step| {
            let [a, b] = step.code.to_ne_bytes();
            let [c, d, e, f] = step.k.to_ne_bytes();
            [a, b, step.jt, step.jf, c, d, e, f]
        })
        .collect())
}

type Rules = Vec<(libc::c_long, Vec<SeccompRule>)>;

fn rules(wall: Wall) -> seccompiler::Result<Rules> {
    let mut rules: std::collections::BTreeMap<libc::c_long, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    for flag in NEW_NAMESPACES {
        for call in [libc::SYS_clone, libc::SYS_unshare] {
            rules.entry(call).or_default().push(rule(&[has(0, *flag)])?);
        }
    }
    rules
        .entry(libc::SYS_unshare)
        .or_default()
        .push(rule(&[has(0, NEW_TIME)])?);
    for request in TERMINAL_IOCTLS {
        rules
            .entry(libc::SYS_ioctl)
            .or_default()
            .push(rule(&[is(1, *request)])?);
    }
    let others: Vec<_> = wall
        .families()
        .iter()
        .map(|family| is_not(0, *family))
        .collect();
    rules.insert(
        libc::SYS_socket,
        match others.is_empty() {
            true => Vec::new(),
            false => vec![rule(&others)?],
        },
    );
    match wall {
        Wall::Namespaces => {
            for (call, process) in INTO_ANOTHER {
                rules.insert(*call, vec![rule(&[is(*process, 1)])?]);
            }
        }
        Wall::Landlock { .. } => {
            rules.extend(SHARED.iter().map(|call| (*call, Vec::new())));
            // Limits are for oneself: those of another process of the same user would stop the host, or its launcher.
            rules.insert(libc::SYS_prlimit64, vec![rule(&[is_not(0, 0)])?]);
            for kind in ADDRESSED {
                let pair = rule(&[(1, SeccompCmpOp::MaskedEq(KIND), *kind)])?;
                rules.entry(libc::SYS_socketpair).or_default().push(pair);
            }
        }
    }
    rules.insert(
        libc::SYS_fcntl,
        vec![rule(&[is(1, u64::from(libc::F_SETLEASE.cast_unsigned()))])?],
    );
    for (call, mode, needed) in MODE_ARGUMENTS {
        for bit in [libc::S_ISUID, libc::S_ISGID] {
            let mut conditions = vec![has(*mode, bit.cast_signed())];
            if let Some((flags, needed)) = needed {
                conditions.push(has(*flags, *needed));
            }
            rules.entry(*call).or_default().push(rule(&conditions)?);
        }
    }
    Ok(rules.into_iter().collect())
}

/// The argument has this bit.
fn has(argument: u8, bit: i32) -> (u8, SeccompCmpOp, u64) {
    let bit = u64::from(bit.cast_unsigned());
    (argument, SeccompCmpOp::MaskedEq(bit), bit)
}

/// The argument is this.
fn is(argument: u8, value: u64) -> (u8, SeccompCmpOp, u64) {
    (argument, SeccompCmpOp::Eq, value)
}

/// The argument is anything but this.
fn is_not(argument: u8, value: i32) -> (u8, SeccompCmpOp, u64) {
    (argument, SeccompCmpOp::Ne, u64::from(value.cast_unsigned()))
}

/// All of the conditions. The kernel looks at the low half of such arguments only, and so must the filter.
fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> seccompiler::Result<SeccompRule> {
    let conditions = conditions
        .iter()
        .map(|(argument, operator, value)| {
            SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(SeccompRule::new(conditions)?)
}

/// What one filter with one answer cannot say: `ENOSYS` for some calls, and for the x32 numbers, which share the
/// architecture of x86-64. It runs first and falls through; the architecture itself is checked after it, and a call
/// of a foreign one that is answered here is refused as well.
fn preamble() -> Vec<sock_filter> {
    const LOAD_NUMBER: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const JUMP_IF_AT_LEAST: u16 = 0x35;
    const RETURN: u16 = 0x06;
    let not_implemented = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();
    let step = |code, k, jt, jf| sock_filter { code, jt, jf, k };
    let mut program = vec![step(LOAD_NUMBER, 0, 0, 0)];
    for call in POINTERS {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "call numbers are small"
        )]
        program.push(step(JUMP_IF_EQUAL, *call as u32, 0, 1));
        program.push(step(RETURN, not_implemented, 0, 0));
    }
    if cfg!(target_arch = "x86_64") {
        program.push(step(JUMP_IF_AT_LEAST, 0x4000_0000, 0, 1));
        program.push(step(RETURN, not_implemented, 0, 0));
    }
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_fits_into_what_the_kernel_takes() {
        for wall in [
            Wall::Namespaces,
            Wall::Landlock { network: true },
            Wall::Landlock { network: false },
        ] {
            let program = program(wall).unwrap();
            assert_eq!(program.len() % 8, 0);
            assert!(program.len() / 8 < 4096, "{} steps", program.len() / 8);
        }
    }
}
