//! Disks and memory as such: one write destroys what nobody can bring back. Reading one is left to the kernel.

use super::super::field::{Field, Unit};
use super::super::paths::Place;
use super::arguments::{has_short, is_long, operands, words};
use super::{Case, Rule};

pub(super) const RULE: Rule = Rule {
    name: "raw-device",
    reason: "would write to a disk or to memory directly, past every file system",
    advice: "Work on an image file in the workspace, such as `disk.img`.",
    matches,
    must_match: &[
        "dd if=/dev/zero of=/dev/sda",
        "dd if=a.img of=/dev/nvme0n1 bs=4M",
        "cat a.img > /dev/sda",
        "cp a.img /dev/mmcblk0",
        "echo x | tee /dev/mem",
        "echo x > /dev/kmem",
        "mkfs.ext4 /dev/sdb1",
        "mkfs -t xfs /dev/vdb",
        "mkswap /dev/sda2",
        "fdisk /dev/sda",
        "parted /dev/sda mklabel gpt",
        "sgdisk --zap-all /dev/sda",
        "wipefs -a /dev/sda",
        "blkdiscard /dev/sda",
        "shred /dev/sda",
        "badblocks -w /dev/sda",
        "cryptsetup luksFormat /dev/sda",
        "nvme format /dev/nvme0n1",
        "pvcreate /dev/sdb",
        "tar cf /dev/st0 .",
    ],
    must_not_match: &[
        "dd if=/dev/urandom of=out.bin bs=1M count=1",
        "dd if=a of=/dev/null",
        "ls > /dev/null",
        "echo x > /dev/stderr",
        "echo x > /dev/tty",
        "echo AT > /dev/ttyUSB0",
        "head -c 16 /dev/urandom",
        "mkfs.ext4 -F disk.img",
        "mkswap swap.img",
        "truncate -s 1G disk.img && parted -s disk.img mklabel gpt",
        "fdisk -l /dev/sda",
        "parted -l",
        "wipefs /dev/sda",
        "lsblk /dev/sda",
        "df /dev/sda1",
        "file -s /dev/sda",
        "cp a /dev/shm/a",
    ],
};

fn matches(case: &Case<'_>) -> bool {
    case.writes_to(|place| place == Place::Device) || formats(case)
}

/// Programs that write to the devices that they are given.
fn formats(case: &Case<'_>) -> bool {
    let invocation = case.invocation;
    let program = invocation.system_program();
    let makes = program == "mkfs" || program.starts_with("mkfs.");
    let writes = makes
        || match program {
            "mke2fs" | "mkswap" | "mkdosfs" | "blkdiscard" | "tune2fs" | "resize2fs"
            | "pvcreate" | "vgcreate" | "pvremove" | "wipe" | "srm" | "cfdisk" | "e2fsck"
            | "fsck" | "partx" | "flashrom" => true,
            "fdisk" | "sfdisk" | "gdisk" | "sgdisk" => !any(case, |s| {
                has_short(s, "lpdsx", "")
                    || is_long(s, "--list")
                    || is_long(s, "--dump")
                    || is_long(s, "--print")
            }),
            "parted" => !any(case, |s| {
                has_short(s, "l", "") || is_long(s, "--list") || s == "print"
            }),
            "wipefs" => any(case, |s| {
                has_short(s, "ao", "") || is_long(s, "--all") || is_long(s, "--offset")
            }),
            "badblocks" => any(case, |s| has_short(s, "wn", "bcdeiopt")),
            "debugfs" => any(case, |s| has_short(s, "w", "bdfisR")),
            "mdadm" => any(case, |s| {
                has_short(s, "C", "") || is_long(s, "--create") || is_long(s, "--zero-superblock")
            }),
            "hdparm" => any(case, |s| {
                [
                    "--security-",
                    "--write-sector",
                    "--trim-",
                    "--make-bad",
                    "--repair",
                ]
                .iter()
                .any(|o| s.starts_with(o))
            }),
            "cryptsetup" => matches!(
                words(&invocation.shapes()).0,
                "luksFormat" | "erase" | "luksErase" | "reencrypt" | "open" | "plainOpen"
            ),
            "nvme" => matches!(
                words(&invocation.shapes()).0,
                "format" | "sanitize" | "write" | "write-zeroes" | "dsm" | "write-uncor"
            ),
            "zpool" => matches!(
                words(&invocation.shapes()).0,
                "create" | "add" | "labelclear"
            ),
            _ => false,
        };
    writes
        && operands(invocation.args, &["-t", "--type", "-L", "-b"])
            .iter()
            .any(|target| {
                case.place_as_written(target) == Place::Device || (makes && is_unknown(target))
            })
}

/// `"$DISK"`: whoever formats that means a disk.
fn is_unknown(target: &Field) -> bool {
    matches!(target.0.as_slice(), [Unit::Unset | Unit::Unknown])
}

fn any(case: &Case<'_>, holds: impl Fn(&str) -> bool) -> bool {
    case.invocation
        .args
        .iter()
        .any(|argument| holds(&argument.shape()))
}
