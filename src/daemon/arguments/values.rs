//! Values of flags: how each kind is read, and what is said of one that is wrong. A secret is never repeated.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use lexopt::Parser;

use crate::backend::limits::{Limits, ScopeLimits};
use crate::error::{Error, ErrorCode, Result};

/// The value of a flag, after `=` or as the next argument. One that begins with `-` is more likely the next flag.
pub(super) fn value(parser: &mut Parser, name: &str, what: &str) -> Result<OsString> {
    let value = parser.optional_value().or_else(|| {
        parser
            .try_raw_args()?
            .next_if(|next| !next.as_bytes().starts_with(b"-"))
    });
    match value {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(wrong(format!(
            "--{name} needs a value, {what}; one that begins with - is written --{name}=VALUE"
        ))),
    }
}

/// A value that is text.
pub(super) fn text(parser: &mut Parser, name: &str, what: &str) -> Result<String> {
    value(parser, name, what)?
        .into_string()
        .map_err(|_| wrong(format!("--{name} must be UTF-8")))
}

/// A value that `read` understands.
pub(super) fn choice<T>(
    parser: &mut Parser,
    name: &str,
    read: impl Fn(&str) -> Option<T>,
    allowed: &str,
) -> Result<T> {
    let value = value(parser, name, allowed)?;
    value.to_str().and_then(read).ok_or_else(|| {
        // {:?} escapes control characters: what was typed or pasted never steers the terminal.
        wrong(format!("--{name} must be {allowed}, not {value:?}"))
    })
}

/// `512M`, `1G`, `4096`: bytes, in powers of 1,024.
pub(super) fn bytes(text: &str) -> Option<u64> {
    let (digits, factor) = match text.trim_end_matches(['b', 'B']) {
        text if text.ends_with(['k', 'K']) => (&text[..text.len() - 1], 1 << 10),
        text if text.ends_with(['m', 'M']) => (&text[..text.len() - 1], 1 << 20),
        text if text.ends_with(['g', 'G']) => (&text[..text.len() - 1], 1 << 30),
        text if text.ends_with(['t', 'T']) => (&text[..text.len() - 1], 1 << 40),
        text => (text, 1),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// `30`, `30s`, `500ms`, `5m`, `1h`: seconds unless it says otherwise, and a year at most.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let (digits, milliseconds) = if let Some(digits) = text.strip_suffix("ms") {
        (digits, 1)
    } else if let Some(digits) = text.strip_suffix('s') {
        (digits, 1_000)
    } else if let Some(digits) = text.strip_suffix('m') {
        (digits, 60_000)
    } else if let Some(digits) = text.strip_suffix('h') {
        (digits, 3_600_000)
    } else {
        (text, 1_000)
    };
    let whole = digits.parse::<u64>().ok()?.checked_mul(milliseconds)?;
    (whole <= 366 * 24 * 3_600_000).then(|| Duration::from_millis(whole))
}

/// Reads `memory=512M,processes=100` into the limits of a command.
pub(super) fn limits(text: &str, name: &str, into: &mut Limits) -> Result<()> {
    for part in text.split(',') {
        let (key, value) = pair(part, name)?;
        let known = match key {
            "memory" => bytes(value).map(|n| into.memory_bytes = Some(n)),
            "processes" => value.parse().ok().map(|n| into.processes = Some(n)),
            "cpu" => number(value).map(|n| into.cpu_seconds = Some(n)),
            "cpus" => number(value).map(|n| into.cpus = Some(n)),
            "file-size" => bytes(value).map(|n| into.file_size_bytes = Some(n)),
            "open-files" => value.parse().ok().map(|n| into.open_files = Some(n)),
            _ => None,
        };
        known.ok_or_else(|| {
            wrong(format!(
                "--{name} takes memory=SIZE, processes=N, cpu=SECONDS, cpus=N, file-size=SIZE and open-files=N, not {part:?}"
            ))
        })?;
    }
    into.check()
        .map_err(|error| wrong(format!("--{name}: {}", error.message())))
}

/// The same for all commands of a scope.
pub(super) fn scope_limits(text: &str, name: &str, into: &mut ScopeLimits) -> Result<()> {
    for part in text.split(',') {
        let (key, value) = pair(part, name)?;
        let known = match key {
            "memory" => bytes(value).map(|n| into.memory_bytes = Some(n)),
            "processes" => value.parse().ok().map(|n| into.processes = Some(n)),
            "cpus" => number(value).map(|n| into.cpus = Some(n)),
            _ => None,
        };
        known.ok_or_else(|| {
            wrong(format!(
                "--{name} takes memory=SIZE, processes=N and cpus=N, not {part:?}"
            ))
        })?;
    }
    into.check()
        .map_err(|error| wrong(format!("--{name}: {}", error.message())))
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn pair<'a>(part: &'a str, name: &str) -> Result<(&'a str, &'a str)> {
    part.split_once('=')
        .ok_or_else(|| wrong(format!("--{name} takes NAME=VALUE, not {part:?}")))
}

pub(super) fn below_root(path: Vec<u8>, name: &str) -> Result<Vec<u8>> {
    if path.starts_with(b"/") {
        return Err(wrong(format!(
            "--{name} must be relative to --rootDir, without a leading slash"
        )));
    }
    if path.split(|&byte| byte == b'/').any(|part| part == b"..") {
        return Err(wrong(format!("--{name} must not contain `..`")));
    }
    Ok(path)
}

/// A flag given twice would leave open which of the two holds.
pub(super) fn once<T>(slot: &mut Option<T>, value: T, name: &str) -> Result<()> {
    if slot.replace(value).is_some() {
        return Err(wrong(format!("--{name} is given twice; give it once")));
    }
    Ok(())
}

pub(super) fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidConfiguration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_are_read_with_their_units() {
        for (text, expected) in [
            ("0", Some(0)),
            ("4096", Some(4096)),
            ("2k", Some(2 << 10)),
            ("512M", Some(512 << 20)),
            ("512MB", Some(512 << 20)),
            ("1g", Some(1 << 30)),
            ("1T", Some(1 << 40)),
            ("", None),
            ("M", None),
            ("-1", None),
            ("1.5G", None),
            ("99999999999T", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
        for (text, expected) in [
            ("30", Some(30_000)),
            ("30s", Some(30_000)),
            ("500ms", Some(500)),
            ("5m", Some(300_000)),
            ("2h", Some(7_200_000)),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("999999999999h", None),
        ] {
            assert_eq!(
                duration(text),
                expected.map(Duration::from_millis),
                "{text}"
            );
        }
    }
}
