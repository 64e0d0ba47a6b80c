//! Users on the command line: `name:password[:scope=PATH][:rights=read+write+exec]`, with commas between them.

use super::{Password, Reach, User, check_name, check_scope, rights, wrong};
use crate::error::Result;

/// Reads the value of `--ssh-users`. No message repeats a password.
pub(super) fn parse(text: &str) -> Result<Vec<User>> {
    text.split(',').map(str::trim).map(user).collect()
}

fn user(text: &str) -> Result<User> {
    let mut parts = text.split(':');
    let name = parts.next().unwrap_or_default().trim();
    check_name(name).map_err(|error| wrong(format!("--ssh-users: {}", error.message())))?;
    let in_words = |error: crate::error::Error| {
        wrong(format!("--ssh-users: user '{name}': {}", error.message()))
    };
    let password = parts.next().unwrap_or_default().trim();
    if password.is_empty() {
        return Err(in_words(wrong(
            "a password is missing; users are written name:password",
        )));
    }
    let password = Password::new(password).map_err(in_words)?;
    let mut reach = Reach::default();
    for option in parts {
        let (key, value) = option.split_once('=').unwrap_or_default();
        match key.trim() {
            "scope" => reach.scope = check_scope(value.trim()).map_err(in_words)?,
            "rights" => reach.rights = rights(value.split('+')).map_err(in_words)?,
            _ => {
                return Err(in_words(wrong(
                    "what follows the password must be scope=PATH or rights=read+write+exec; a password with ':' or \
                     ',' goes into --ssh-users-file",
                )));
            }
        }
    }
    Ok(User {
        name: name.to_owned(),
        password: Some(password),
        reach,
        keys: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Rights;

    #[test]
    fn pairs_are_read_with_scope_and_rights() {
        let users = parse("agent:secret, bob:word:scope=users/bob:rights=read+exec").unwrap();
        let [agent, bob] = users.as_slice() else {
            panic!("{users:?}");
        };
        assert_eq!(
            (agent.name.as_str(), &agent.reach),
            ("agent", &Reach::default())
        );
        assert_eq!(bob.reach.scope, b"users/bob");
        let expected = Rights {
            read: true,
            write: false,
            exec: true,
        };
        assert_eq!(bob.reach.rights, expected);
        assert!(!format!("{users:?}").contains("secret"));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_password() {
        for (text, expected) in [
            ("", "the name of a user"),
            ("agent", "a password is missing"),
            ("agent:", "a password is missing"),
            (":hunter2", "the name of a user"),
            ("a b:hunter2", "the name of a user"),
            ("a\nb:hunter2", "the name of a user"),
            ("a:hunter2,", "the name of a user"),
            ("a:hunter2:hunter2", "goes into --ssh-users-file"),
            ("a:hunter2:scope=", "a scope must be"),
            ("a:hunter2:scope=/x", "a scope must be"),
            ("a:hunter2:scope=x/../y", "a scope must be"),
            ("a:hunter2:rights=root", "rights are read, write and exec"),
            ("a:hunter2:rights=", "rights are read, write and exec"),
        ] {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.contains(expected), "{text}: {said}");
            assert!(!said.contains("hunter2") && !said.contains('\n'), "{said}");
        }
    }
}
