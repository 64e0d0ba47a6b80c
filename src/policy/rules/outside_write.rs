//! Writing outside the workspace, at an isolation level without a kernel wall.

use super::super::field::Field;
use super::super::paths::{Place, place};
use super::super::programs::is_cluster_with;
use super::{Invocation, Rule, Scene};

pub(super) const RULE: Rule = Rule {
    name: "outside-write",
    reason: "would write outside the workspace, and this isolation level has no wall that stops it",
    advice: "Write inside the workspace or to $TMPDIR, or use the isolation level `bwrap`.",
    matches,
    must_match: &[
        "echo x > /etc/motd",
        "echo x >> ../other/file",
        "cp a /usr/local/bin/a",
        "echo x | tee /etc/hosts",
        "dd if=/dev/zero of=/srv/image",
        "sed -i s/a/b/ /etc/hosts",
        "touch /srv/other/x",
        "mv /etc/hosts .",
        "rm /etc/hosts",
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

/// Programs that write to every operand.
const ALL: &[&str] = &[
    "tee", "touch", "mkdir", "rmdir", "rm", "unlink", "truncate", "mkfifo", "mknod", "chmod",
    "chown", "chgrp", "shred", "mv",
];
/// Programs that write to the last operand, or to that of `-t`.
const LAST: &[&str] = &["cp", "install", "ln", "rsync", "scp", "link"];
/// Options whose value is written to, by program.
const OPTIONS: &[(&str, &[&str])] = &[
    ("curl", &["-o", "--output", "--output-dir"]),
    (
        "wget",
        &["-O", "-P", "--output-document", "--directory-prefix"],
    ),
    ("tar", &["-C", "--directory"]),
    ("unzip", &["-d"]),
    ("sort", &["-o", "--output"]),
    ("cp", &["-t", "--target-directory"]),
    ("mv", &["-t", "--target-directory"]),
    ("install", &["-t", "--target-directory"]),
    ("ln", &["-t", "--target-directory"]),
];

fn matches(invocation: &Invocation<'_>, scene: &Scene<'_>) -> bool {
    scene.refuse_outside_writes
        && (invocation
            .writes
            .iter()
            .any(|target| is_outside(target, scene))
            || targets(invocation)
                .iter()
                .any(|target| is_outside(target, scene)))
}

fn is_outside(target: &Field, scene: &Scene<'_>) -> bool {
    let shape = target.shape();
    let device = matches!(
        shape.as_str(),
        "/dev/null" | "/dev/stdout" | "/dev/stderr" | "/dev/tty" | "/dev/zero" | "/dev/full"
    ) || shape.starts_with("/dev/fd/")
        || shape.starts_with("/proc/self/fd/");
    !device
        && matches!(
            place(target, scene.cwd, scene.root),
            Place::System | Place::Outside
        )
}

/// What a program would write to, by its arguments.
fn targets(invocation: &Invocation<'_>) -> Vec<Field> {
    let (program, args) = (invocation.program, invocation.args);
    let mut targets = option_values(program, args);
    let operands = || args.iter().filter(|a| !a.shape().starts_with('-'));
    if ALL.contains(&program) {
        targets.extend(operands().cloned());
    } else if LAST.contains(&program) {
        if targets.is_empty() && operands().count() > 1 {
            targets.extend(operands().next_back().cloned());
        }
    } else if program == "dd" {
        let of = Field::literal("of=");
        let files = args
            .iter()
            .filter_map(|a| a.0.strip_prefix(of.0.as_slice()));
        targets.extend(files.map(|file| Field(file.to_vec())));
    } else if matches!(program, "sed" | "perl") {
        let in_place = args
            .iter()
            .map(Field::shape)
            .any(|shape| is_cluster_with(&shape, 'i') || shape.starts_with("--in-place"));
        if in_place {
            targets.extend(script_files(args));
        }
    }
    targets
}

/// The files of `sed` and `perl`: the operands without the script, which is the first unless `-e` or `-f` gave it.
fn script_files(args: &[Field]) -> Vec<Field> {
    let (mut files, mut given, mut after_option) = (Vec::new(), false, false);
    for argument in args {
        let shape = argument.shape();
        if std::mem::take(&mut after_option) {
            continue;
        }
        if shape.starts_with('-') {
            after_option = shape.ends_with(['e', 'f']) || shape == "--expression";
            given |= after_option || shape.starts_with("--expression=");
        } else {
            files.push(argument.clone());
        }
    }
    if !given && !files.is_empty() {
        files.remove(0);
    }
    files
}

fn option_values(program: &str, args: &[Field]) -> Vec<Field> {
    let mut values = Vec::new();
    for (_, options) in OPTIONS.iter().filter(|(name, _)| *name == program) {
        for (at, argument) in args.iter().enumerate() {
            let shape = argument.shape();
            for option in *options {
                if shape == *option {
                    values.extend(args.get(at + 1).cloned());
                } else if shape.starts_with(option) {
                    let glued = option.chars().count();
                    let skip = glued + usize::from(shape[glued..].starts_with('='));
                    values.push(Field(argument.0[skip..].to_vec()));
                }
            }
        }
    }
    values
}
