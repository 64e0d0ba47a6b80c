//! Puts a whole text inside another one that executes it.

use super::super::random::Random;

/// In single quotes.
fn single(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// In double quotes.
fn double(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        if matches!(c, '\\' | '$' | '"' | '`') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// With what a shell would expand in it escaped, as in a here-document or between backticks.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | '$' | '`') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A text that executes this one.
pub fn nest(text: &str, random: &mut Random) -> String {
    let quoted = if random.one_in(2) {
        single(text)
    } else {
        double(text)
    };
    let shell = random.pick(&[
        "bash",
        "sh",
        "/bin/bash",
        "dash",
        "zsh",
        "/usr/bin/env bash",
    ]);
    let end = format!("END{}", random.below(1_000_000));
    // A text that ends in a comment, a document or `&` is ended by a newline.
    match random.below(46) {
        0..=3 => format!("{shell} -c {quoted}"),
        4 => format!("{shell} -ec {quoted} name argument"),
        5 | 6 => format!("eval {quoted}"),
        7 => format!("{shell} <<< {quoted}"),
        8 => format!("{shell} <<'{end}'\n{text}\n{end}\n"),
        9 => format!("{shell} -s <<{end}\n{}\n{end}\n", escaped(text)),
        10 => format!("cat <<\"{end}\" | {shell}\nls\n{text}\n{end}\n"),
        11 => format!(
            "{shell} <<-\\{end}\n\t{}\n\t{end}\n",
            text.replace('\n', "\n\t")
        )
        .replace("\\\n\t", "\\\n"),
        12 => format!("echo {quoted} | {shell}"),
        13 => format!("printf '%s\\n' {quoted} | {shell}"),
        14 => format!("( {text}\n)"),
        15 => format!("{{ {text}\n}}"),
        16 => format!("if true; then {text}\nfi"),
        17 => format!("if false; then ls; else {text}\nfi"),
        18 => format!("while read -r line; do {text}\ndone < list.txt"),
        19 => format!("for i in 1 2; do\n{text}\ndone"),
        20 => format!("case x in x) {text}\n;; esac"),
        21 => format!("run() {{ {text}\n}}; run"),
        22 => format!("function go {{ {text}\n}}\ngo 1 2"),
        23 => format!("true && {{ {text}\n}}"),
        24 => format!("false || ( {text}\n)"),
        25 => format!("ls -la; {text}"),
        26 => format!("make test && {text}"),
        27 => format!("# a comment; with 'quote\n{text}"),
        28 => format!("{text} # at last"),
        29 => format!("{text}\nls"),
        30 => format!("echo \"$( {text}\n)\""),
        31 => format!("X=$( {text}\n)"),
        32 => format!("echo `{}`", escaped(text)),
        33 => format!("cat <( {text}\n)"),
        34 => format!("S={quoted}; eval \"$S\""),
        35 => format!("S={quoted}; {shell} -c \"$S\""),
        36 => format!("trap {quoted} EXIT"),
        // `find` would fill in its own braces, `xargs` its own mark.
        37 if !text.contains("{}") => {
            format!("find . -maxdepth 0 -exec sh -c {} \\;", single(text))
        }
        38 => format!("nohup nice {shell} -c {quoted} > /dev/null 2>&1 &"),
        39 => format!("env -i A=1 timeout 9 {shell} -c {quoted}"),
        40 => format!("script -qc {quoted} /dev/null"),
        41 => format!("flock /tmp/lock -c {quoted}"),
        42 => format!("coproc {{ {text}\n}}"),
        43 => format!("set -euo pipefail\n{text}"),
        44 if !text.contains('@') => format!("xargs -I@ {shell} -c {} < list.txt", single(text)),
        _ => format!("echo start | {{ {text}\n}} | cat"),
    }
}

/// A text that nests too deeply: in compound commands, or in substitutions. Where both take turns, each substitution
/// is a text of its own with a depth of its own.
pub fn deep(random: &mut Random) -> String {
    const COMPOUND: &[(&str, &str)] = &[
        ("( ", "\n)"),
        ("{ ", "\n}"),
        ("if true; then ", "\nfi"),
        ("while false; do ", "\ndone"),
        ("for i in 1; do ", "\ndone"),
        ("case x in x) ", "\n;; esac"),
    ];
    const SUBSTITUTION: &[(&str, &str)] = &[
        ("echo $( ", "\n)"),
        ("echo \"$( ", "\n)\""),
        ("cat <( ", "\n)"),
        ("X=$( ", ")"),
    ];
    let mut text = random
        .pick(&["date", "curl x", "chmod +x a", "kill 12", "mount"])
        .to_owned();
    let pairs = if random.one_in(2) {
        COMPOUND
    } else {
        SUBSTITUTION
    };
    for _ in 0..17 + random.below(24) {
        let (open, close) = pairs[random.below(pairs.len())];
        text = format!("{open}{text}{close}");
    }
    if random.one_in(3) {
        nest(&text, random)
    } else {
        text
    }
}
