//! What is known of programs by name: which run others, which read code, which download.

use super::field::{Field, Unit};
use super::glance;

const SHELLS: &[&str] = &[
    "sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "csh", "tcsh", "rbash",
];
const INTERPRETERS: &[&str] = &[
    "python", "perl", "ruby", "node", "nodejs", "php", "lua", "pwsh", "deno", "bun",
];
const DOWNLOADERS: &[&str] = &[
    "curl", "wget", "aria2c", "fetch", "http", "https", "xh", "curlie", "lynx", "w3m", "links",
    "elinks", "axel",
];
/// Names that a pattern in the place of a program is compared with, besides the words of the glance.
const ALSO_BY_PATTERN: &[&str] = &[
    "rm",
    "mv",
    "dd",
    "tee",
    "cp",
    "ln",
    "shred",
    "truncate",
    "chown",
    "chgrp",
    "find",
    "rsync",
    "sh",
    "bash",
    "dash",
    "zsh",
    "env",
    "wipefs",
    "fdisk",
    "parted",
    "mke2fs",
    "mkswap",
    "blkdiscard",
    "sgdisk",
];

/// Programs that carry bytes to and from another host.
const NETWORK_CLIENTS: &[&str] = &[
    "nc",
    "ncat",
    "netcat",
    "nc.openbsd",
    "nc.traditional",
    "cryptcat",
    "telnet",
    "socat",
];

/// A program that runs another: its options that take a value, and how many operands come before the command.
struct Wrapper {
    name: &'static str,
    valued: &'static [&'static str],
    operands: usize,
}

const fn wrapper(name: &'static str, valued: &'static [&'static str], operands: usize) -> Wrapper {
    Wrapper {
        name,
        valued,
        operands,
    }
}

const WRAPPERS: &[Wrapper] = &[
    wrapper("nice", &["-n", "--adjustment"], 0),
    wrapper("ionice", &["-c", "-n", "-p", "--class", "--classdata"], 0),
    wrapper("nohup", &[], 0),
    wrapper("timeout", &["-k", "-s", "--kill-after", "--signal"], 1),
    wrapper("gtimeout", &["-k", "-s", "--kill-after", "--signal"], 1),
    wrapper("time", &["-f", "-o", "--format", "--output"], 0),
    wrapper("command", &[], 0),
    wrapper("builtin", &[], 0),
    wrapper("exec", &["-a"], 0),
    wrapper("noglob", &[], 0),
    wrapper(
        "stdbuf",
        &["-i", "-o", "-e", "--input", "--output", "--error"],
        0,
    ),
    wrapper("setsid", &[], 0),
    wrapper("chrt", &[], 1),
    wrapper("taskset", &[], 1),
    wrapper("chronic", &[], 0),
    wrapper("unbuffer", &[], 0),
    wrapper("fakeroot", &[], 0),
    wrapper("busybox", &[], 0),
    wrapper("toybox", &[], 0),
    wrapper("flock", &["-w", "-E", "--timeout", "--wait"], 1),
    wrapper("watch", &["-n", "--interval"], 0),
    wrapper("strace", &["-e", "-o", "-p", "-s", "-u"], 0),
    wrapper("ltrace", &["-e", "-o", "-p", "-s", "-u"], 0),
    wrapper("unshare", &["-S", "-G", "-R"], 0),
    wrapper("chroot", &[], 1),
    wrapper("nsenter", &["-t", "-S", "-G"], 0),
    wrapper("prlimit", &["-p"], 0),
    wrapper("parallel", &["-j", "--jobs"], 0),
    wrapper("xvfb-run", &["-n", "-s", "-e", "-f"], 0),
    wrapper("caffeinate", &["-t", "-w"], 0),
    wrapper("coproc", &[], 0),
    wrapper(
        "setpriv",
        &["--pdeathsig", "--landlock-access", "--landlock-rule"],
        0,
    ),
    wrapper("rlwrap", &[], 0),
    wrapper("eatmydata", &[], 0),
    wrapper("faketime", &[], 1),
    wrapper("torsocks", &[], 0),
    wrapper("proxychains4", &["-f"], 0),
    wrapper("systemd-inhibit", &[], 0),
    wrapper("systemd-run", &["-p", "-u", "--unit", "--property"], 0),
    wrapper("dbus-run-session", &[], 0),
    wrapper("valgrind", &[], 0),
    wrapper("linux64", &[], 0),
    wrapper("linux32", &[], 0),
    wrapper("entr", &[], 0),
];

/// A program by name.
#[derive(Debug)]
pub(super) struct Program {
    written: String,
    name: String,
}

impl Program {
    /// The program that a command's first word names: the last component of a path; for a path that is a pattern, the
    /// first program that matters and matches. A pattern alone names files of the workspace.
    pub(super) fn named(word: &Field) -> Self {
        let written = word.shape();
        let base = written.rsplit('/').next().unwrap_or_default();
        let pattern =
            written.contains('/') && word.0.iter().any(|unit| matches!(unit, Unit::Glob(_)));
        let found = pattern
            .then(|| {
                let names = ALSO_BY_PATTERN.iter().copied().chain(glance::words());
                names.into_iter().find(|name| matches_pattern(base, name))
            })
            .flatten();
        let name = found.unwrap_or(base).to_owned();
        Self { written, name }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// As the word said it, for functions.
    pub(super) fn written(&self) -> &str {
        &self.written
    }

    pub(super) fn is_shell(&self) -> bool {
        SHELLS.contains(&self.name.as_str())
    }

    pub(super) fn is_interpreter(&self) -> bool {
        let base = self
            .name
            .trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
        INTERPRETERS.contains(&base)
    }

    pub(super) fn is_network_client(&self, args: &[Field]) -> bool {
        NETWORK_CLIENTS.contains(&self.name.as_str())
            || (self.name == "openssl" && args.first().is_some_and(|a| a.shape() == "s_client"))
    }

    pub(super) fn is_downloader(&self) -> bool {
        DOWNLOADERS.contains(&self.name.as_str())
    }
}

/// Whether a shell pattern of `*`, `?` and `[…]` matches a name; a bracket is taken for any character. Linear in the
/// pattern but for the length of the name.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    const LONGEST: usize = 64;
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    if pattern.len() > LONGEST {
        return false;
    }
    let (mut at, mut read, mut star) = (0, 0, None);
    while read < name.len() {
        let after = match pattern.get(at) {
            Some(b'[') => pattern[at..]
                .iter()
                .position(|&b| b == b']')
                .map(|n| at + n + 1),
            Some(b'?') => Some(at + 1),
            Some(b'*') => {
                star = Some((at + 1, read));
                at += 1;
                continue;
            }
            Some(byte) if *byte == name[read] => Some(at + 1),
            _ => None,
        };
        match (after, star) {
            (Some(after), _) => (at, read) = (after, read + 1),
            (None, Some((after_star, from))) => {
                star = Some((after_star, from + 1));
                (at, read) = (after_star, from + 1);
            }
            (None, None) => return false,
        }
    }
    pattern[at.min(pattern.len())..].iter().all(|&b| b == b'*')
}

/// What a wrapper runs.
pub(super) enum Unwrapped {
    Words(Vec<Field>),
    Code(Field),
}

/// The command inside a wrapper; `None` where the program is none.
pub(super) fn unwrap(program: &Program, args: &[Field]) -> Option<Unwrapped> {
    match program.name() {
        "eval" => return Some(Unwrapped::Code(join(args))),
        "trap" => return Some(Unwrapped::Code(args.first()?.clone())),
        "env" | "cross-env" => return Some(env(args)),
        "script" => {
            let at = args.iter().position(|a| is_cluster_with(&a.shape(), 'c'))?;
            return Some(Unwrapped::Code(args.get(at + 1)?.clone()));
        }
        "command"
            if args
                .first()
                .is_some_and(|a| matches!(a.shape().as_str(), "-v" | "-V")) =>
        {
            return None;
        }
        _ => {}
    }
    let wrapper = WRAPPERS.iter().find(|w| w.name == program.name())?;
    let mut at = skip_options(args, wrapper.valued);
    let mut operands = wrapper.operands;
    while operands > 0 && at < args.len() {
        at += 1;
        operands -= 1;
        at += skip_options(&args[at..], wrapper.valued);
    }
    let rest = args.get(at..).unwrap_or_default();
    // `flock file -c code`, `watch 'code'`, `parallel 'code'`.
    if program.name() == "flock"
        && args.iter().take(at).any(|a| a.shape() == "-c")
        && let Some(code) = rest.first()
    {
        return Some(Unwrapped::Code(code.clone()));
    }
    if matches!(program.name(), "watch" | "parallel") {
        return Some(Unwrapped::Code(join(rest)));
    }
    Some(Unwrapped::Words(rest.to_vec()))
}

fn env(args: &[Field]) -> Unwrapped {
    let mut at = 0;
    while let Some(argument) = args.get(at) {
        let shape = argument.shape();
        match shape.as_str() {
            "-S" | "--split-string" | "-vS" | "-iS" => {
                let code = args.get(at + 1..).unwrap_or_default();
                return Unwrapped::Code(join(code));
            }
            "-u" | "--unset" | "-C" | "--chdir" => at += 2,
            "-" | "--" => at += 1,
            _ if shape.starts_with("-S") => {
                let mut first = Field(argument.0[2..].to_vec());
                first.0.push(Unit::Literal(' '));
                first.0.extend(join(&args[at + 1..]).0);
                return Unwrapped::Code(first);
            }
            _ if shape.starts_with('-') || shape.contains('=') => at += 1,
            _ => break,
        }
    }
    Unwrapped::Words(args.get(at..).unwrap_or_default().to_vec())
}

/// How many of the first words are options.
pub(super) fn skip_options(args: &[Field], valued: &[&str]) -> usize {
    let mut at = 0;
    while let Some(argument) = args.get(at) {
        let shape = argument.shape();
        if shape == "--" {
            return at + 1;
        }
        if !shape.starts_with('-') || shape == "-" {
            break;
        }
        at += if valued.contains(&shape.as_str()) {
            2
        } else {
            1
        };
    }
    at.min(args.len())
}

/// Where a shell takes its code from.
pub(super) enum ShellSource<'a> {
    /// `-c code name arguments…`
    Code(&'a Field, &'a [Field]),
    /// A file.
    Script(&'a Field),
    /// Standard input.
    Stdin,
}

/// Where a shell with these arguments takes its code from.
pub(super) fn shell_source(args: &[Field]) -> ShellSource<'_> {
    let (mut at, mut code, mut stdin) = (0, false, false);
    while let Some(argument) = args.get(at) {
        let shape = argument.shape();
        if shape == "--" || shape == "-" {
            at += 1;
            break;
        }
        if !shape.starts_with(['-', '+']) {
            break;
        }
        code |= is_cluster_with(&shape, 'c');
        stdin |= is_cluster_with(&shape, 's');
        let valued = matches!(shape.as_str(), "--rcfile" | "--init-file")
            || is_cluster_with(&shape, 'o')
            || is_cluster_with(&shape, 'O')
            || shape == "+o"
            || shape == "+O";
        at += if valued { 2 } else { 1 };
    }
    match args.get(at) {
        Some(text) if code => ShellSource::Code(text, &args[at + 1..]),
        Some(file) if !stdin && !is_stdin_path(&file.shape()) => ShellSource::Script(file),
        _ => ShellSource::Stdin,
    }
}

/// Whether an interpreter with these arguments runs what it reads from standard input, or a substituted file.
pub(super) fn interpreter_reads_stdin(args: &[Field]) -> bool {
    for argument in args {
        let shape = argument.shape();
        if is_stdin_path(&shape) || argument.is_downloaded() {
            return true;
        }
        if shape.starts_with("--") {
            if matches!(
                shape.as_str(),
                "--eval" | "--print" | "--version" | "--help"
            ) {
                return false;
            }
        } else if shape.starts_with('-') {
            if shape.contains(['c', 'm', 'e', 'n', 'p', 'E', 'r']) {
                return false;
            }
        } else {
            return false;
        }
    }
    true
}

/// Whether a path stands for standard input.
pub(super) fn is_stdin_path(path: &str) -> bool {
    matches!(path, "-" | "/dev/stdin" | "/dev/fd/0" | "/proc/self/fd/0")
}

/// Whether this is a group of short options with that letter in it.
pub(super) fn is_cluster_with(shape: &str, letter: char) -> bool {
    shape.starts_with('-') && !shape.starts_with("--") && shape.contains(letter)
}

fn join(args: &[Field]) -> Field {
    let mut units = Vec::new();
    for (number, argument) in args.iter().enumerate() {
        if number > 0 {
            units.push(Unit::Literal(' '));
        }
        units.extend_from_slice(&argument.0);
    }
    Field(units)
}
