//! Taking rights that the workspace's user does not have, or another user's. What the kernel would refuse anyway is
//! refused with a word on what to do instead.

use super::arguments::{has_short, is_long, only_asks, operands};
use super::{Case, Rule};

/// Programs that do nothing else.
const PROGRAMS: &[&str] = &[
    "sudo", "sudo-rs", "sudoedit", "doas", "dzdo", "pfexec", "su", "su-exec", "gosu", "ksu",
    "pkexec", "run0", "runuser",
];

pub(super) const RULE: Rule = Rule {
    name: "privilege-escalation",
    reason: "would take rights that the workspace's user does not have",
    advice: "Run the command as the workspace's own user; install tools into the workspace, or ask the operator.",
    matches,
    must_match: &[
        "sudo apt-get install jq",
        "su - root",
        "doas ls",
        "pkexec true",
        "run0 ls",
        "runuser -u postgres -- psql",
        "gosu postgres ls",
        "/usr/bin/sudo -n true",
        "env X=1 sudo ls",
        "chmod u+s a",
        "chmod 4755 a",
        "chmod a=rxs a",
        "install -m 4755 a b",
        "setcap cap_net_raw+ep a",
        "mount --bind a b",
        "mount -o remount,rw /",
        "umount /mnt",
        "nsenter -t 1 -m sh",
        "unshare -Ur sh",
        "chroot /mnt sh",
        "capsh --gid=0 -- -c id",
        "setpriv --reuid=0 id",
        "systemd-run id",
    ],
    must_not_match: &[
        "grep -r sudo .",
        "man sudo",
        "command -v sudo",
        "echo sudo",
        "chmod +x script.sh",
        "chmod -R u+w build",
        "chmod 755 a",
        "chmod 0644 a",
        "chmod 2775 shared",
        "chmod g+s shared",
        "chmod u-s a",
        "mount",
        "mount | grep overlay",
        "mount -t ext4",
        "umount --help",
        "capsh --print",
        "setpriv --no-new-privs ls",
        "getcap a",
        "setcap -v cap_net_raw+ep a",
        "systemd-run --user --scope make",
        "chroot --version",
        "kubectl exec -it pod -- bash",
        "docker run --privileged --rm x",
        "fakeroot dpkg-deb -b x",
    ],
};

fn matches(case: &Case<'_>) -> bool {
    let invocation = case.invocation;
    if PROGRAMS.contains(&invocation.program) {
        return true;
    }
    let shapes = || invocation.shapes();
    match invocation.system_program() {
        "chroot" | "nsenter" | "unshare" | "umount" => !only_asks(&shapes()),
        "mount" => mounts(case),
        "chmod" => shapes().iter().any(|mode| sets_user_id(mode)),
        "install" | "mknod" | "mkfifo" => {
            let shapes = shapes();
            shapes
                .iter()
                .enumerate()
                .any(|(at, shape)| match shape.as_str() {
                    "-m" | "--mode" => shapes.get(at + 1).is_some_and(|mode| sets_user_id(mode)),
                    _ => shape
                        .strip_prefix("--mode=")
                        .or_else(|| shape.strip_prefix("-m"))
                        .is_some_and(sets_user_id),
                })
        }
        "setcap" => {
            let shapes = shapes();
            !only_asks(&shapes) && !shapes.iter().any(|s| matches!(s.as_str(), "-v" | "-h"))
        }
        "capsh" => shapes().iter().any(|s| {
            ![
                "--print",
                "--decode",
                "--supports",
                "--has-",
                "--help",
                "--current",
                "--mode",
            ]
            .iter()
            .any(|asks| s.starts_with(asks))
        }),
        "setpriv" => shapes()
            .iter()
            .take_while(|s| s.starts_with("--"))
            .any(|s| {
                ["id", "groups", "caps", "label", "profile"]
                    .iter()
                    .any(|part| s.contains(part))
            }),
        "systemd-run" => {
            let shapes = shapes();
            !only_asks(&shapes) && !shapes.iter().any(|s| s == "--user")
        }
        "machinectl" => matches!(
            shapes().first().map(String::as_str),
            Some("shell" | "login")
        ),
        _ => false,
    }
}

/// `mount` without anything to mount tells what is mounted.
fn mounts(case: &Case<'_>) -> bool {
    let shapes = case.invocation.shapes();
    let valued = ["-t", "-O", "-o", "-T", "--types", "--options", "-L", "-U"];
    !only_asks(&shapes)
        && (!operands(case.invocation.args, &valued).is_empty()
            || shapes.iter().any(|shape| {
                has_short(shape, "aBMRoLU", "tOT")
                    || ["--all", "--bind", "--rbind", "--move", "--options"]
                        .iter()
                        .any(|option| is_long(shape, option))
            }))
}

/// Whether a mode of `chmod` makes a file run with its owner's rights. The bit of the group is everyday: a directory
/// hands its group on by it.
fn sets_user_id(mode: &str) -> bool {
    if mode.starts_with('-') {
        return false;
    }
    let digits = mode.trim_start_matches(['+', '=']);
    if !digits.is_empty() && digits.bytes().all(|b| (b'0'..=b'7').contains(&b)) {
        return u32::from_str_radix(digits, 8).is_ok_and(|bits| bits & 0o4000 != 0);
    }
    mode.split(',').any(|clause| {
        let Some(at) = clause.find(['+', '=', '-']) else {
            return false;
        };
        let (who, actions) = clause.split_at(at);
        let symbolic = who.bytes().all(|b| b"ugoa".contains(&b))
            && actions.bytes().all(|b| b"+-=rwxXstugo".contains(&b));
        let user = who.is_empty() || who.contains(['u', 'a']);
        let mut adds = false;
        symbolic
            && user
            && actions.bytes().any(|b| {
                match b {
                    b'+' | b'=' => adds = true,
                    b'-' => adds = false,
                    _ => {}
                }
                b == b's' && adds
            })
    })
}
