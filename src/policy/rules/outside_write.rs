//! Writing outside the workspace, at an isolation level without a kernel wall.

use super::super::paths::Place;
use super::{Case, Rule};

pub(super) const RULE: Rule = Rule {
    name: "outside-write",
    reason: "would write outside the workspace, and this isolation level has no wall that stops it",
    advice: "Write inside the workspace or to $TMPDIR, or use the isolation level `bwrap`.",
    matches,
    must_match: &[
        "echo x > /srv/other/motd",
        "echo x >> ../other/file",
        "cp a /usr/local/bin/a",
        "echo x | tee /opt/x/hosts",
        "dd if=/dev/zero of=/srv/image",
        "sed -i s/a/b/ /srv/hosts",
        "touch /srv/other/x",
        "mv /srv/hosts .",
        "rm /srv/hosts",
    ],
    must_not_match: &[
        "ls > /dev/null 2>&1",
        "echo x > out.txt",
        "cp /etc/hosts .",
        "sed s/a/b/ /etc/hosts",
        "echo x > /tmp/x",
        "echo x > /srv/workspace/y",
        "cat /etc/passwd",
        "sed -i -e /a/d -e /etc/d notes.txt",
        "perl -pi -e s/a/b/ notes.txt",
    ],
};

fn matches(case: &Case<'_>) -> bool {
    case.scene.refuse_outside_writes
        && case.writes_to(|place| {
            !matches!(
                place,
                Place::Inside
                    | Place::Here
                    | Place::Workspace
                    | Place::Home
                    | Place::Temporary
                    | Place::Stream
            )
        })
}
