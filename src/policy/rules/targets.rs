//! What a program would write to, by its arguments.

use super::super::field::Field;
use super::super::programs::is_cluster_with;
use super::arguments::operands;

/// Programs that write to every operand, and their options that take a value.
const ALL: &[(&str, &[&str])] = &[
    ("tee", &[]),
    ("sponge", &[]),
    ("touch", &["-r", "-d", "-t", "--reference", "--date"]),
    ("mkdir", &["-m", "--mode"]),
    ("rmdir", &[]),
    ("rm", &[]),
    ("unlink", &[]),
    ("truncate", &["-s", "-r", "-o", "--size", "--reference"]),
    ("mkfifo", &["-m"]),
    ("mknod", &["-m"]),
    ("chmod", &[]),
    ("chown", &[]),
    ("chgrp", &[]),
    ("shred", &["-n", "-s", "--iterations", "--size"]),
    ("mv", &["-S", "--suffix", "-t", "--target-directory"]),
    ("fallocate", &["-l", "-o", "--length", "--offset"]),
];
/// Programs that write to the last of several operands, or to that of `-t`, likewise.
const LAST: &[(&str, &[&str])] = &[
    ("cp", &["-S", "--suffix", "-t", "--target-directory"]),
    (
        "install",
        &[
            "-m",
            "-o",
            "-g",
            "-S",
            "-t",
            "--mode",
            "--owner",
            "--group",
            "--target-directory",
        ],
    ),
    ("ln", &["-S", "--suffix", "-t", "--target-directory"]),
    (
        "rsync",
        &[
            "-e",
            "-f",
            "-T",
            "-B",
            "--rsh",
            "--exclude",
            "--include",
            "--filter",
            "--exclude-from",
            "--include-from",
            "--files-from",
            "--log-file",
            "--bwlimit",
            "--chmod",
            "--chown",
            "--port",
            "--password-file",
            "--partial-dir",
            "--temp-dir",
            "--rsync-path",
            "--timeout",
            "--out-format",
            "--compare-dest",
            "--copy-dest",
            "--link-dest",
            "--backup-dir",
            "--suffix",
            "--max-size",
        ],
    ),
    (
        "scp",
        &["-i", "-o", "-P", "-F", "-J", "-l", "-c", "-S", "-D"],
    ),
    ("link", &[]),
];
/// Options whose value is written to, by program.
const OPTIONS: &[(&str, &[&str])] = &[
    ("curl", &["-o", "--output", "--output-dir"]),
    (
        "wget",
        &["-O", "-P", "--output-document", "--directory-prefix"],
    ),
    ("unzip", &["-d"]),
    ("sort", &["-o", "--output"]),
    ("cp", &["-t", "--target-directory"]),
    ("mv", &["-t", "--target-directory"]),
    ("install", &["-t", "--target-directory"]),
    ("ln", &["-t", "--target-directory"]),
    ("openssl", &["-out", "-keyout"]),
    ("gcc", &["-o"]),
    ("cc", &["-o"]),
    ("g++", &["-o"]),
    ("clang", &["-o"]),
    ("go", &["-o"]),
    ("rustc", &["-o"]),
];

pub(super) fn of(program: &str, args: &[Field]) -> Vec<Field> {
    let mut targets = option_values(program, args);
    let valued = |table: &[(&str, &'static [&'static str])]| {
        table
            .iter()
            .find(|(name, _)| *name == program)
            .map(|(_, valued)| *valued)
    };
    if let Some(valued) = valued(ALL) {
        targets.extend(operands(args, valued).into_iter().cloned());
    } else if let Some(valued) = valued(LAST) {
        let directories = program == "install"
            && args
                .iter()
                .any(|a| is_cluster_with(&a.shape(), 'd') || a.shape() == "--directory");
        let operands = operands(args, valued);
        if directories {
            targets.extend(operands.into_iter().cloned());
        } else if targets.is_empty() && operands.len() > 1 {
            targets.extend(operands.into_iter().next_back().cloned());
        }
    }
    match program {
        "dd" => targets.extend(written_by_dd(args)),
        "sed" | "perl" if args.iter().any(|a| edits_in_place(&a.shape())) => {
            targets.extend(script_files(args));
        }
        "awk" | "gawk" if args.iter().any(|a| a.shape() == "inplace") => {
            targets.extend(script_files(args));
        }
        "patch" => targets.extend(
            operands(args, &["-i", "-p", "-d"])
                .into_iter()
                .take(1)
                .cloned(),
        ),
        "tar" | "bsdtar" => targets.extend(written_by_tar(args)),
        _ => {}
    }
    targets
}

fn edits_in_place(shape: &str) -> bool {
    is_cluster_with(shape, 'i') || shape.starts_with("--in-place")
}

/// `of=file`.
pub(super) fn written_by_dd(args: &[Field]) -> Vec<Field> {
    let of = Field::literal("of=");
    args.iter()
        .filter_map(|a| a.0.strip_prefix(of.0.as_slice()))
        .map(|file| Field(file.to_vec()))
        .collect()
}

/// The directory that is extracted into, or the archive that is made.
fn written_by_tar(args: &[Field]) -> Vec<Field> {
    let shapes: Vec<String> = args.iter().map(Field::shape).collect();
    let letters = |letter: char| {
        shapes.iter().enumerate().any(|(at, shape)| {
            let bare = at == 0 && !shape.starts_with('-');
            (bare || is_cluster_with(shape, '-') || is_cluster_with(shape, letter))
                && shape.contains(letter)
                && shape
                    .trim_start_matches('-')
                    .bytes()
                    .all(|b| b.is_ascii_alphabetic())
        })
    };
    let option = |name: &str| shapes.iter().any(|shape| shape == name);
    let value = |short: char, long: &str| {
        let mut found = Vec::new();
        for (at, shape) in shapes.iter().enumerate() {
            let last = (at == 0 || is_cluster_with(shape, short)) && shape.ends_with(short);
            if last || shape == long {
                found.extend(args.get(at + 1).cloned());
            } else if let Some(glued) = shape
                .strip_prefix(long)
                .filter(|rest| rest.starts_with('='))
            {
                found.push(Field::literal(&glued[1..]));
            } else if let Some(rest) = shape
                .strip_prefix(['-'])
                .and_then(|s| s.strip_prefix(short))
            {
                found.push(Field::literal(rest));
            }
        }
        found
    };
    if letters('x') || option("--extract") || option("--get") {
        value('C', "--directory")
    } else if letters('c')
        || letters('r')
        || letters('u')
        || option("--create")
        || option("--append")
    {
        value('f', "--file")
    } else {
        Vec::new()
    }
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
            let script = shape.ends_with(['e', 'f']) && !shape.starts_with("--");
            given |= script || shape.starts_with("--expression");
            after_option = script || matches!(shape.as_str(), "--expression" | "-v" | "-F");
        } else if shape != "inplace" {
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
