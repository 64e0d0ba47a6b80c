//! Programs that run a command for each of many things: `xargs` and `find`.

use super::field::{Field, Unit};
use super::programs::{Program, skip_options};
use super::shell::Stream;

/// What `xargs` runs, with what is known of its input.
pub(super) fn xargs(args: &[Field], stdin: &Stream) -> Vec<Field> {
    const VALUED: &[&str] = &[
        "-I",
        "-n",
        "-P",
        "-L",
        "-d",
        "-E",
        "-s",
        "-a",
        "--max-args",
        "--max-procs",
        "--replace",
        "--delimiter",
        "--max-lines",
    ];
    let start = skip_options(args, VALUED);
    let mut replace = None;
    for (at, argument) in args[..start].iter().enumerate() {
        let shape = argument.shape();
        match shape.strip_prefix("-I") {
            Some("") => replace = args.get(at + 1).map(Field::shape),
            Some(mark) => replace = Some(mark.to_owned()),
            None if shape == "-i" || shape == "--replace" => replace = Some("{}".to_owned()),
            None => {}
        }
    }
    let mut input = stdin.words.clone();
    if stdin.origin.downloaded {
        input.push(Field(vec![Unit::Downloaded]));
    }
    if input.is_empty() {
        input.push(Field(vec![Unit::Unknown]));
    }
    let mut words: Vec<Field> = args[start..].to_vec();
    match replace {
        Some(mark) => words = replace_mark(&words, &mark, &input),
        None => words.extend(input),
    }
    words
}

/// Whether `xargs` or `parallel` may start any number at once.
pub(super) fn is_unbounded(args: &[Field]) -> bool {
    args.iter().enumerate().any(|(at, argument)| {
        let shape = argument.shape();
        let next = || args.get(at + 1).map(Field::shape).unwrap_or_default();
        let value = match shape.as_str() {
            "-P" | "--max-procs" | "-j" | "--jobs" => next(),
            _ => match shape
                .strip_prefix("--max-procs=")
                .or_else(|| shape.strip_prefix("--jobs="))
            {
                Some(value) => value.to_owned(),
                None if shape.starts_with("-P") || shape.starts_with("-j") => shape[2..].to_owned(),
                None => String::from("1"),
            },
        };
        value == "0" || (value.len() > 3 && value.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// The words with `mark` replaced by each input in turn.
fn replace_mark(words: &[Field], mark: &str, input: &[Field]) -> Vec<Field> {
    let mark: Vec<Unit> = Field::literal(mark).0;
    let mut out = Vec::new();
    for word in words {
        let at = word.0.windows(mark.len().max(1)).position(|w| w == mark);
        let Some(at) = at else {
            out.push(word.clone());
            continue;
        };
        for value in input.iter().take(16) {
            let mut units = word.0[..at].to_vec();
            units.extend_from_slice(&value.0);
            units.extend_from_slice(&word.0[at + mark.len()..]);
            out.push(Field(units));
        }
    }
    out
}

/// Where `find` looks, and the commands that it runs there: `-delete` is a recursive removal, and so is any removal
/// by `-exec`.
pub(super) fn find_actions(args: &[Field]) -> (Vec<Field>, Vec<Vec<Field>>) {
    let start = args
        .iter()
        .take_while(|a| matches!(a.shape().as_str(), "-H" | "-L" | "-P"))
        .count();
    let args = &args[start..];
    let count = args
        .iter()
        .take_while(|a| !a.shape().starts_with(['-', '(', '!']))
        .count();
    let mut places = args[..count].to_vec();
    if places.is_empty() {
        places.push(Field::literal("."));
    }
    let mut actions = Vec::new();
    let mut rest = &args[count..];
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first.shape().as_str() {
            "-delete" => {
                let mut words = vec![
                    Field::literal("rm"),
                    Field::literal("-r"),
                    Field::literal("--"),
                ];
                words.extend(places.iter().cloned());
                actions.push(words);
            }
            "-exec" | "-execdir" | "-ok" | "-okdir" => {
                let end = after
                    .iter()
                    .position(|a| matches!(a.shape().as_str(), ";" | "+"))
                    .unwrap_or(after.len());
                let mut words = replace_mark(&after[..end], "{}", &places);
                match words
                    .first()
                    .map(|word| Program::named(word).name().to_owned())
                {
                    Some(name) if name == "rm" => words.insert(1, Field::literal("-r")),
                    Some(name) if matches!(name.as_str(), "chmod" | "chown" | "chgrp") => {
                        words.insert(1, Field::literal("-R"));
                    }
                    _ => {}
                }
                actions.push(words);
                rest = &after[end..];
            }
            _ => {}
        }
    }
    (places, actions)
}
