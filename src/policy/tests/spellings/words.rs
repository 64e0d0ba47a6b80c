//! Spells the words of a simple command or pipeline in another way.

use super::super::random::Random;

/// Shell builtins that a wrapper would turn into something else.
const BUILTINS: &[&str] = &[
    "cd", "exec", "pushd", "eval", "trap", "source", ".", "set", "read", "export",
];
const PREFIXES: &[&str] = &[
    "env",
    "env -i",
    "env A=1",
    "/usr/bin/env",
    "env -u B",
    "nice",
    "nice -n 5",
    "nohup",
    "timeout 5",
    "timeout -k 1 9s",
    "command",
    "exec",
    "stdbuf -oL",
    "setsid",
    "setsid -w",
    "ionice -c3",
    "A=1",
    "A=1 B=2",
    "strace -f",
    "unbuffer",
    "eatmydata",
    "chrt -b 0",
    "flock /tmp/lock",
    "env nice",
    "nohup timeout 9",
];

/// Another spelling of a text, or the text as it is where its words cannot be told apart.
pub fn spell(base: &str, random: &mut Random) -> String {
    let Some(words) = apart(base) else {
        return base.to_owned();
    };
    let single = !words.iter().any(|word| is_operator(word));
    if single
        && words.len() > 1
        && !BUILTINS.contains(&words[0])
        && words[0] != "find"
        && random.one_in(6)
    {
        return fanned_out(&words, random);
    }
    let mut prelude = String::new();
    let mut out: Vec<String> = Vec::new();
    let mut first = true;
    for word in words {
        if is_operator(word) {
            out.push(word.to_owned());
            first = is_separator(word);
            continue;
        }
        let builtin = BUILTINS.contains(&word);
        let mut word = word.to_owned();
        if first && !builtin {
            if random.one_in(3) {
                out.push(random.pick(PREFIXES).to_owned());
            }
            if !word.contains('/') && random.one_in(4) {
                word = absolute(&word, random);
            }
        }
        if word.contains(['~', '*', '?', '{', '}', '$', '\\', '\'', '"', '[', '!'])
            || random.one_in(2)
        {
            out.push(word);
        } else {
            let word = respell(&word, &out, &mut prelude, random);
            out.push(word);
        }
        first = false;
    }
    let blank = if random.one_in(8) { " \t " } else { " " };
    format!("{prelude}{}", out.join(blank))
}

/// The words of a text in which nothing is glued together; `None` for any other.
fn apart(base: &str) -> Option<Vec<&str>> {
    let words: Vec<&str> = base.split(' ').collect();
    let glued = |word: &&str| {
        word.contains([';', '|', '&', '<', '>', '(', ')', '`', '\n']) && !is_operator(word)
    };
    let keyword = |word: &&str| {
        [
            "if", "while", "for", "until", "case", "function", "{", "!", "coproc", "[[",
        ]
        .contains(word)
    };
    let quoted =
        base.contains(['\'', '"', '\\', '$', '#']) || base.contains("A=1") || base.contains("X=");
    (!quoted
        && !words
            .iter()
            .any(|word| glued(word) || keyword(word) || word.is_empty()))
    .then_some(words)
}

fn is_operator(word: &str) -> bool {
    word.bytes().all(|b| b"|&;<>-0123456789".contains(&b))
        && word.contains(['|', '&', ';', '<', '>'])
}

fn is_separator(word: &str) -> bool {
    matches!(word, "|" | "||" | "&" | "&&" | ";" | "|&")
}

fn absolute(name: &str, random: &mut Random) -> String {
    let directory = random.pick(&[
        "/bin",
        "/usr/bin",
        "/sbin",
        "/usr/sbin",
        "/usr/bin/../bin",
        "//bin",
        "/*",
    ]);
    format!("{directory}/{name}")
}

/// `echo arguments | xargs program`, `find -exec`.
fn fanned_out(words: &[&str], random: &mut Random) -> String {
    let (last, rest) = words.split_last().expect("a word");
    let all = words.join(" ");
    let rest = rest.join(" ");
    if last.starts_with(['-', '~', '*']) || last.contains('*') {
        return format!("find . -maxdepth 0 -exec {all} \\;");
    }
    match random.below(7) {
        0 => format!("echo {last} | xargs {rest}"),
        1 => format!("echo '{last}' | xargs -n1 {rest}"),
        2 => format!("echo {last} | xargs -I{{}} {rest} {{}}"),
        3 => format!("xargs {rest} <<< {last}"),
        4 => format!("find . -name x -exec {all} \\;"),
        5 => format!("find src -type f -ok {all} ';'"),
        _ => format!("printf '%s\\n' {last} | xargs -r {rest}"),
    }
}

/// One word in another spelling; what must be said before goes into the prelude.
fn respell(word: &str, before: &[String], prelude: &mut String, random: &mut Random) -> String {
    let (number, here) = (
        before.len(),
        before.last().is_some_and(|word| word == "<<<"),
    );
    let cut = 1 + random.below(word.chars().count().saturating_sub(1));
    let (head, tail) = word.split_at(cut.min(word.len()));
    match random.below(21) {
        0 => format!("'{word}'"),
        1 => format!("\"{word}\""),
        2 => word.chars().map(|c| format!("\\{c}")).collect(),
        3 => format!("{head}''{tail}"),
        4 => format!("{head}\"\"{tail}"),
        5 => format!("{head}\"{tail}\""),
        6 => format!("'{head}'{tail}"),
        7 => format!("\"{head}\"'{tail}'"),
        8 => format!("$'{word}'"),
        9 => format!(
            "$'{}'",
            word.bytes()
                .map(|b| format!("\\x{b:02x}"))
                .collect::<String>()
        ),
        10 => format!(
            "$'{}'",
            word.bytes()
                .map(|b| format!("\\{b:03o}"))
                .collect::<String>()
        ),
        11 => format!(
            "{head}$'\\u{:04x}'{}",
            tail.chars().next().map_or(0, u32::from),
            tail.get(1..).unwrap_or_default()
        ),
        12 => format!("{head}\\\n{tail}"),
        13 => {
            prelude.push_str(&format!("V{number}={word}; "));
            random
                .pick(&["$V#", "${V#}", "\"$V#\"", "\"${V#}\""])
                .replace('#', &number.to_string())
        }
        14 => {
            prelude.push_str(&format!("V{number}={head}\nW{number}='{tail}'\n"));
            random
                .pick(&["$V#$W#", "${V#}${W#}", "\"$V#\"$W#", "\"$V#$W#\""])
                .replace('#', &number.to_string())
        }
        15 => format!("${{U{number}:-{word}}}"),
        16 => format!("$(printf %s {word})"),
        17 if !word.starts_with('-') => format!("`echo {word}`"),
        // Braces are text in a here-string.
        18 if !here => format!("{{{word},}}"),
        19 if !here && head.ends_with(|c: char| c.is_ascii_alphabetic()) => {
            let letter = &head[head.len() - 1..];
            format!("{}{{{letter}..{letter}}}{tail}", &head[..head.len() - 1])
        }
        _ => format!("$\"{word}\""),
    }
}
