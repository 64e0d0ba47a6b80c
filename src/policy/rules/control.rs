//! Controlling the machine: its power, services, kernel, users, clock. Asking about them is everyday work.

use super::super::paths::Place;
use super::arguments::{has_short, is_long, only_asks, operands, words};
use super::control_network as network;
use super::{Case, Rule};

pub(super) const RULE: Rule = Rule {
    name: "system-control",
    reason: "would change how the machine runs, for everybody on it",
    advice: "Work on your own processes and files; ask the operator for changes of the machine.",
    matches,
    must_match: &[
        "shutdown -h now",
        "reboot",
        "halt -p",
        "poweroff",
        "init 0",
        "telinit 6",
        "systemctl stop docker",
        "systemctl disable --now ssh",
        "systemctl mask x",
        "systemctl -q poweroff",
        "service nginx stop",
        "/etc/init.d/nginx stop",
        "kill -9 -1",
        "kill 1",
        "kill -s KILL -- -1",
        "killall5",
        "killall systemd",
        "pkill -9 .",
        "sysctl -w kernel.panic=1",
        "sysctl vm.swappiness=1",
        "modprobe x",
        "insmod x.ko",
        "rmmod x",
        "iptables -F",
        "iptables -t nat -A OUTPUT -j DROP",
        "nft flush ruleset",
        "ufw disable",
        "ip link set eth0 down",
        "swapoff -a",
        "echo '* * * * * x' | crontab -",
        "crontab -r",
        "useradd -m x",
        "passwd root",
        "echo root:x | chpasswd",
        "visudo",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo b | tee /proc/sysrq-trigger",
        "echo 1 > /sys/class/leds/x/brightness",
        "hostname evil",
        "hostnamectl set-hostname x",
        "date -s '2020-01-01'",
        "date 010112002020",
        "timedatectl set-time 12:00",
        "setenforce 0",
    ],
    must_not_match: &[
        "kill $PID",
        "kill -9 12345",
        "kill %1",
        "kill -0 1",
        "kill -1 12345",
        "kill -l",
        "kill -TERM -12345",
        "pkill -f vite",
        "killall node",
        "git init",
        "npm init -y",
        "systemctl status nginx",
        "systemctl is-active nginx",
        "systemctl list-units --failed",
        "systemctl --user restart x",
        "service postgresql start",
        "service nginx status",
        "sysctl -n kernel.ostype",
        "sysctl -a | grep mem",
        "modprobe -n x",
        "lsmod",
        "iptables -L",
        "iptables -t nat -nvL",
        "nft list ruleset",
        "ufw status",
        "ip addr show",
        "ip -br link",
        "ip route get 192.0.2.1",
        "swapon --show",
        "crontab -l",
        "passwd -S",
        "hostname",
        "hostname -I",
        "date +%s",
        "date -u +%Y-%m-%d -d '1 day ago'",
        "date -Iseconds",
        "timedatectl status",
        "cat /proc/sys/kernel/hostname",
        "docker compose stop",
        "./bin/service stop",
        "echo shutdown",
        "man reboot",
    ],
};

/// Programs that do nothing but control.
const PROGRAMS: &[&str] = &[
    "shutdown",
    "reboot",
    "halt",
    "poweroff",
    "telinit",
    "kexec",
    "killall5",
    "insmod",
    "rmmod",
    "swapoff",
    "useradd",
    "userdel",
    "usermod",
    "groupadd",
    "groupdel",
    "groupmod",
    "adduser",
    "deluser",
    "addgroup",
    "delgroup",
    "chpasswd",
    "newusers",
    "vipw",
    "vigr",
    "setenforce",
    "rtcwake",
    "pm-suspend",
    "pm-hibernate",
];

fn matches(case: &Case<'_>) -> bool {
    if case.writes_to(|place| place == Place::Kernel) {
        return true;
    }
    let program = case.invocation.system_program();
    if program.is_empty() {
        return false;
    }
    let shapes = case.invocation.shapes();
    if only_asks(&shapes) {
        return false;
    }
    if case.invocation.path.starts_with("/etc/init.d/") {
        return changes_service(words(&shapes).0);
    }
    let is = |options: &[&str]| shapes.iter().any(|shape| options.contains(&shape.as_str()));
    PROGRAMS.contains(&program)
        || match program {
            "init" => matches!(
                shapes.first().map(String::as_str),
                Some("0" | "1" | "2" | "3" | "4" | "5" | "6" | "s" | "S" | "q" | "Q" | "u" | "U")
            ),
            "systemctl" => !is(&["--user"]) && changes_unit(&shapes),
            "service" | "rc-service" | "invoke-rc.d" => changes_service(words(&shapes).1),
            "kill" => kills_all(&shapes),
            "pkill" | "killall" => kills_everybody(case, program),
            "sysctl" => shapes.iter().any(|shape| {
                has_short(shape, "wp", "r")
                    || ["--write", "--load", "--system"]
                        .iter()
                        .any(|option| is_long(shape, option))
                    || (!shape.starts_with('-') && shape.contains('='))
            }),
            "modprobe" => !shapes.iter().any(|shape| {
                has_short(shape, "ncDRV", "dSC")
                    || ["--dry-run", "--show-depends", "--showconfig"]
                        .iter()
                        .any(|option| is_long(shape, option))
            }),
            "swapon" => !shapes.iter().any(|shape| {
                has_short(shape, "sV", "")
                    || is_long(shape, "--show")
                    || is_long(shape, "--summary")
            }),
            "crontab" => !is(&["-l"]),
            "passwd" | "chage" | "gpasswd" | "chsh" | "chfn" => {
                !is(&["-S", "--status", "-l", "--list"]) || (program == "passwd" && is(&["-l"]))
            }
            "visudo" => !is(&["-c", "--check"]),
            "hostname" | "domainname" => {
                !operands(case.invocation.args, &[]).is_empty()
                    || shapes
                        .iter()
                        .any(|shape| has_short(shape, "Fb", "") || is_long(shape, "--file"))
            }
            "hostnamectl" => {
                let (verb, value) = words(&shapes);
                verb.starts_with("set-") || (!value.is_empty() && !verb.is_empty())
            }
            "date" => sets_date(case),
            "timedatectl" | "localectl" => words(&shapes).0.starts_with("set-"),
            "hwclock" => shapes.iter().any(|shape| {
                has_short(shape, "wsa", "f")
                    || ["--set", "--systohc", "--hctosys", "--adjust"]
                        .iter()
                        .any(|option| is_long(shape, option))
            }),
            "loginctl" => {
                let verb = words(&shapes).0;
                ["terminate-", "kill-", "lock-"]
                    .iter()
                    .any(|kind| verb.starts_with(kind))
            }
            _ => network::matches(program, &shapes),
        }
}

/// Verbs that only tell something; and `start`, which starts the database of a development container.
fn changes_unit(shapes: &[String]) -> bool {
    let mut verbs = shapes.iter().enumerate().filter(|(at, shape)| {
        let valued = *at > 0
            && matches!(
                shapes[at - 1].as_str(),
                "-n" | "-o" | "-p" | "-t" | "-H" | "-M"
            );
        !shape.starts_with('-') && !valued
    });
    let Some((_, verb)) = verbs.next() else {
        return false;
    };
    let tells = [
        "status",
        "show",
        "cat",
        "help",
        "start",
        "get-default",
        "--version",
    ]
    .contains(&verb.as_str())
        || verb.starts_with("is-")
        || verb.starts_with("list-")
        || verb.starts_with("show-");
    !tells
}

fn changes_service(action: &str) -> bool {
    !matches!(action, "" | "start" | "status" | "help")
}

/// `kill` of every process, or of the first.
fn kills_all(shapes: &[String]) -> bool {
    let (mut at, mut signal) = (0, false);
    while let Some(shape) = shapes.get(at) {
        match shape.as_str() {
            "-l" | "-L" | "--list" | "--table" | "-0" => return false,
            "-s" | "-n" | "--signal" | "-q" | "--queue" => {
                signal = true;
                at += 2;
                continue;
            }
            "--" => signal = true,
            "1" => return true,
            "-1" if signal => return true,
            _ if shape.starts_with('-') => signal = true,
            _ => {}
        }
        at += 1;
    }
    false
}

/// `pkill` and `killall` by a pattern that every process matches, or of the first process.
fn kills_everybody(case: &Case<'_>, program: &str) -> bool {
    let valued = [
        "-s", "-g", "-G", "-P", "-t", "-u", "-U", "-F", "-n", "-y", "-o", "--signal",
    ];
    let skipped: &[&str] = if program == "pkill" {
        &valued
    } else {
        &valued[..3]
    };
    operands(case.invocation.args, skipped).iter().any(|name| {
        matches!(
            name.shape().as_str(),
            "" | "." | ".*" | "^" | "$" | ".+" | "init" | "systemd"
        )
    })
}

/// `date -s`, or the digits of a new time.
fn sets_date(case: &Case<'_>) -> bool {
    let valued = ["-d", "-f", "-r", "--date", "--file", "--reference"];
    case.invocation.args.iter().any(|argument| {
        let shape = argument.shape();
        has_short(&shape, "s", "dfIr") || (is_long(&shape, "--set") && !shape.starts_with("--d"))
    }) || operands(case.invocation.args, &valued)
        .iter()
        .any(|operand| {
            let shape = operand.shape();
            shape.len() >= 8 && shape.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        })
}
