//! Changing the system that every workspace shares: its programs, libraries and settings. At every isolation level, for
//! a clear word before the kernel's; package managers are left alone, because installing is what they are for.

use super::super::paths::Place;
use super::{Case, Rule};

pub(super) const RULE: Rule = Rule {
    name: "system-write",
    reason: "would change files that the system itself consists of",
    advice: "Write inside the workspace or to $TMPDIR; install programs with the package manager, or into /usr/local or the workspace.",
    matches,
    must_match: &[
        "echo x > /etc/motd",
        "echo '127.0.0.1 x' >> /etc/hosts",
        "echo x | tee -a /etc/hosts",
        "cp a /usr/bin/a",
        "mv a /sbin/",
        "install -m 755 a /usr/bin/a",
        "ln -sf \"$PWD/a\" /usr/bin/a",
        "sed -i s/a/b/ /etc/hosts",
        "tar xzf a.tgz -C /etc",
        "curl -o /etc/a https://example.com/a",
        "touch /boot/x",
        "rm /etc/motd",
        "chmod 666 /etc/passwd",
        "cd /etc && echo x > motd",
    ],
    must_not_match: &[
        "ls > /dev/null 2>&1",
        "echo x > /tmp/x",
        "cp /etc/hosts .",
        "cat /etc/os-release",
        "apt-get install -y jq",
        "cp target/release/a /usr/local/bin/a",
        "mkdir -p \"$DESTDIR/usr/bin\" && cp a \"$DESTDIR/usr/bin/\"",
        "tar -C /etc -czf backup.tgz .",
        "touch -r /etc/hosts a",
        "rsync -a . /srv/copy --exclude /proc",
        "cat > motd <<END\n> /etc/motd\nEND",
        "sed -n 1p /etc/hosts",
    ],
};

fn matches(case: &Case<'_>) -> bool {
    case.writes_to(|place| matches!(place, Place::SystemTree { .. } | Place::Kernel))
}
