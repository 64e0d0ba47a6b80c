//! Ruining what is not the workspace's by other means than removing it.

use super::super::paths::Place;
use super::arguments::{has_short, is_long, operands};
use super::targets::written_by_dd;
use super::{Case, Rule};

pub(super) const RULE: Rule = Rule {
    name: "outside-destruction",
    reason: "would ruin files outside the workspace, or the workspace itself",
    advice: "Name files inside the workspace by a relative path.",
    matches,
    must_match: &[
        "shred -u /etc/passwd",
        "shred ~/* /srv/other/x",
        "truncate -s 0 /var/log/syslog",
        "dd if=/dev/zero of=/etc/passwd",
        "mv /etc /tmp/x",
        "mv /* /tmp/x",
        "mv ~ /tmp/x",
        "mv a /dev/null",
        "chmod -R 777 /",
        "chmod -R 000 /etc",
        "chmod 777 -R ~",
        "chown -R nobody /usr",
        "chgrp --recursive x /home",
        "chown -R me \"$UNSET/\"",
        "find / -exec chmod 777 {} +",
        "rsync -a --delete empty/ /",
        "rsync -a --delete empty/ /home/",
        "rsync -a --delete empty/ /srv/workspace/",
        "tar cf a.tar --remove-files /etc",
        "find /etc -type f -exec shred {} \\;",
        "cd / && chmod -R 777 .",
    ],
    must_not_match: &[
        "shred -u secret.txt",
        "truncate -s 0 app.log",
        "dd if=/dev/zero of=disk.img bs=1M count=8",
        "mv a b",
        "mv /tmp/a .",
        "mv \"$A\"/* \"$B\"/",
        "chmod -R u+w build",
        "chmod -R 755 .",
        "chown -R 1000:1000 /srv/workspace",
        "chown -R node:node /app",
        "chown -R node /usr/local/lib/node_modules",
        "chmod 1777 /tmp",
        "rsync -a --delete dist/ /var/www/html/",
        "rsync -a --delete a/ b/",
        "rsync -a /etc/ backup/",
        "rsync -a --delete dist/ host:/etc/",
        "find . -exec chmod 644 {} +",
        "ln -sf /dev/null a",
        "cp a /dev/null",
    ],
};

fn matches(case: &Case<'_>) -> bool {
    let args = case.invocation.args;
    let any = |holds: &dyn Fn(&str) -> bool| args.iter().any(|argument| holds(&argument.shape()));
    match case.invocation.program {
        "shred" | "wipe" | "srm" => operands(args, &["-n", "-s"]).into_iter().any(|target| {
            !matches!(
                case.place(target),
                Place::Inside | Place::Here | Place::Temporary | Place::Stream
            )
        }),
        "truncate" => operands(args, &["-s", "-r", "-o", "--size", "--reference"])
            .into_iter()
            .any(|target| {
                !matches!(
                    case.place_as_written(target),
                    Place::Inside | Place::Here | Place::Temporary | Place::Stream
                )
            }),
        "dd" => written_by_dd(args)
            .iter()
            .any(|target| is_held_dear(case.place_as_written(target))),
        "mv" => moves(case),
        "chmod" | "chown" | "chgrp" | "setfacl" | "chcon" | "chattr" => {
            any(&|s| has_short(s, "R", "") || is_long(s, "--recursive"))
                && operands(args, &[]).into_iter().any(|target| {
                    let place = case.place(target);
                    place != Place::Workspace && is_held_dear(place)
                })
        }
        "rsync" => {
            (any(&|s| s.starts_with("--del"))
                && super::targets::of("rsync", args)
                    .iter()
                    .any(|target| is_held_dear(case.place(target))))
                || (any(&|s| is_long(s, "--remove-source-files"))
                    && operands(args, &[])
                        .into_iter()
                        .any(|target| is_held_dear(case.place_as_written(target))))
        }
        "tar" => {
            any(&|s| is_long(s, "--remove-files"))
                && operands(args, &[])
                    .into_iter()
                    .any(|target| is_held_dear(case.place_as_written(target)))
        }
        _ => false,
    }
}

/// Moving away what others need, or onto `/dev/null`, which replaces the device.
fn moves(case: &Case<'_>) -> bool {
    let operands = operands(
        case.invocation.args,
        &["-S", "--suffix", "-t", "--target-directory"],
    );
    let Some((last, sources)) = operands.split_last() else {
        return false;
    };
    sources
        .iter()
        .any(|source| is_held_dear(case.place_as_written(source)))
        || (!sources.is_empty() && case.place_as_written(last) == Place::Stream)
}

fn is_held_dear(place: Place) -> bool {
    matches!(
        place,
        Place::System | Place::SystemTree { .. } | Place::Home | Place::Workspace
    )
}
