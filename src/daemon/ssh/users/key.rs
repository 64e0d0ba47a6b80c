//! One key of somebody, as a line of `authorized_keys` says it.

use russh::keys::{Algorithm, PublicKey};

use super::{Reach, check_scope, rights, wrong};
use crate::error::Result;

/// Options that forbid what is never allowed here anyway.
const WITHOUT_EFFECT: &[&str] = &[
    "restrict",
    "no-port-forwarding",
    "no-agent-forwarding",
    "no-x11-forwarding",
    "no-user-rc",
    "pty",
];

/// A public key and what it narrows its user to.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) public: PublicKey,
    pub(super) reach: Reach,
}

/// Reads a line: options, if any, then type, key and comment. Our own options are `scope="PATH"` and
/// `rights="read,write,exec"`; what narrows a key in a way that we do not know makes the line an error.
pub(super) fn parse(line: &str) -> Result<Key> {
    let line = line.trim();
    if let Ok(public) = PublicKey::from_openssh(line) {
        return usable(public, Reach::default());
    }
    let (options, rest) = split_options(line)?;
    let public = PublicKey::from_openssh(rest.trim()).map_err(|_| {
        wrong("it is not a public key of OpenSSH, as in `ssh-ed25519 AAAA… comment`")
    })?;
    usable(public, reach(&options)?)
}

/// Whether clients may use this kind of key at all.
pub(in crate::daemon::ssh) fn is_accepted(algorithm: &Algorithm) -> bool {
    matches!(
        algorithm,
        Algorithm::Ed25519 | Algorithm::Ecdsa { .. } | Algorithm::Rsa { hash: Some(_) }
    )
}

fn usable(public: PublicKey, reach: Reach) -> Result<Key> {
    match public.algorithm() {
        // The hash is chosen when it signs.
        Algorithm::Rsa { .. } => {}
        algorithm if is_accepted(&algorithm) => {}
        _ => {
            return Err(wrong(
                "keys of this type are not accepted; use ed25519, ecdsa or rsa",
            ));
        }
    }
    Ok(Key { public, reach })
}

/// The options of a line and what follows them. A comma in quotes is part of a value, and so is a quote after `\`.
fn split_options(line: &str) -> Result<(Vec<String>, &str)> {
    let mut options = vec![String::new()];
    let mut quoted = false;
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' if escaped => {}
            '"' => quoted = !quoted,
            ',' if !quoted => {
                options.push(String::new());
                continue;
            }
            ' ' | '\t' if !quoted => return Ok((options, &line[at..])),
            _ => {}
        }
        escaped = c == '\\' && !escaped;
        if let Some(last) = options.last_mut() {
            last.push(c);
        }
    }
    Err(wrong(if quoted {
        "a quote is not closed"
    } else {
        "it is not a public key of OpenSSH, as in `ssh-ed25519 AAAA… comment`"
    }))
}

fn reach(options: &[String]) -> Result<Reach> {
    let mut reach = Reach::default();
    for option in options {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name.to_ascii_lowercase(), Some(unquoted(value)?)),
            None => (option.to_ascii_lowercase(), None),
        };
        match (name.as_str(), value) {
            ("scope", Some(value)) => reach.scope = check_scope(value)?,
            ("rights", Some(value)) => reach.rights = rights(value.split(','))?,
            (name, None) if WITHOUT_EFFECT.contains(&name) => {}
            // It may narrow what the key may do; without it the key would do more than was meant.
            (name, _) => return Err(wrong(format!("the option {name:?} is not supported"))),
        }
    }
    Ok(reach)
}

fn unquoted(value: &str) -> Result<&str> {
    (value.strip_prefix('"'))
        .and_then(|value| value.strip_suffix('"'))
        .filter(|value| !value.contains(['"', '\\']))
        .ok_or_else(|| wrong("the value of an option must be in quotes, without `\\`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Rights;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn a_line_is_a_key_with_or_without_a_comment_and_options() {
        for line in [
            KEY.to_owned(),
            format!("{KEY} me@host"),
            format!("  {KEY} a comment of words "),
            format!("restrict {KEY}"),
            format!("no-port-forwarding,no-X11-forwarding,no-agent-forwarding {KEY} me"),
        ] {
            let key = parse(&line).unwrap();
            assert_eq!(key.reach, Reach::default(), "{line}");
        }
    }

    #[test]
    fn our_own_options_narrow_a_key() {
        let line = format!(r#"restrict,scope="users/1",rights="read,exec" {KEY} a, b"#);
        let reach = parse(&line).unwrap().reach;
        let expected = Rights {
            read: true,
            write: false,
            exec: true,
        };
        assert_eq!(
            (reach.scope.as_slice(), reach.rights),
            (&b"users/1"[..], expected)
        );
    }

    #[test]
    fn what_would_narrow_a_key_otherwise_rejects_the_line() {
        for options in [
            r#"command="date""#,
            r#"environment="A=b""#,
            r#"from="10.0.0.0/8""#,
            r#"permitopen="host:1""#,
            "cert-authority",
            r#"expiry-time="20300101""#,
            r#"tunnel="0""#,
            "no-pty",
            "verify-required",
            r#"restrict,command="a,b \" c""#,
            "unheard-of",
            "scope",
            "scope=users",
            r#"scope="../x""#,
            r#"rights="all""#,
            r#"scope="a"#,
        ] {
            let line = format!("{options} {KEY}");
            assert!(parse(&line).is_err(), "{line}");
        }
    }

    #[test]
    fn what_is_no_key_is_an_error() {
        for line in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 AAAA",
            "hello world",
            "\u{0}",
            "restrict",
        ] {
            assert!(parse(line).is_err(), "{line:?}");
        }
    }
}
