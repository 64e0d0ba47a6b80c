//! The file of `--ssh-users-file`.

use std::path::Path;

use serde::Deserialize;

use super::{Password, Reach, User, check_name, check_scope, key, rights, wrong};
use crate::error::{Error, ErrorCode, Result};
use crate::sys::linux::trusted_file;

/// A longer file is refused.
const MAX_BYTES: u64 = 1 << 20;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UsersFile {
    users: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    password: Option<String>,
    scope: Option<String>,
    rights: Option<Vec<String>>,
    #[serde(rename = "publicKeys", default)]
    public_keys: Vec<String>,
}

/// Reads the users of a file, which others may not read, because it holds passwords.
pub(super) fn read(path: &Path, outside: Option<&Path>) -> Result<Vec<User>> {
    let content = trusted_file::read_secret(path, outside, MAX_BYTES)?;
    parse(&content).map_err(|error| error.at(path.to_string_lossy()))
}

fn parse(content: &[u8]) -> Result<Vec<User>> {
    // The parser's own words may hold a value, so the place is all that is told of them.
    let file: UsersFile = serde_json::from_slice(content).map_err(|error| {
        Error::new(
            ErrorCode::InvalidConfiguration,
            format!(
                "it is not a list of users as in {{ \"users\": [{{ \"name\": …, \"password\": … }}] }}: line {}, column {}",
                error.line(),
                error.column()
            ),
        )
    })?;
    file.users.into_iter().map(user).collect()
}

fn user(entry: Entry) -> Result<User> {
    check_name(&entry.name)?;
    let in_words = |error: Error| wrong(format!("user '{}': {}", entry.name, error.message()));
    let password = (entry.password.as_deref()).map(|text| Password::new(text).map_err(in_words));
    let mut reach = Reach::default();
    if let Some(scope) = &entry.scope {
        reach.scope = check_scope(scope).map_err(in_words)?;
    }
    if let Some(names) = &entry.rights {
        reach.rights = rights(names.iter().map(String::as_str)).map_err(in_words)?;
    }
    let keys: Result<Vec<key::Key>> = (entry.public_keys.iter())
        .map(|line| key::parse(line).map_err(in_words))
        .collect();
    let (password, keys) = (password.transpose()?, keys?);
    if password.is_none() && keys.is_empty() {
        return Err(in_words(wrong("needs a password or publicKeys")));
    }
    Ok(User {
        name: entry.name,
        password,
        reach,
        keys,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn users_have_what_the_file_says() {
        let users = parse(
            br#"{ "users": [
                { "name": "a", "password": "with:colon,comma" },
                { "name": "b", "scope": "users/b", "rights": ["read"], "publicKeys":
                  ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti b"] }
            ] }"#,
        );
        let users = users.unwrap();
        assert!(users[0].password.is_some() && users[0].keys.is_empty());
        assert_eq!(
            (users[1].reach.scope.as_slice(), users[1].keys.len()),
            (&b"users/b"[..], 1)
        );
        assert!(users[1].reach.rights.read && !users[1].reach.rights.exec);
    }

    #[test]
    fn what_is_wrong_is_said_without_a_secret() {
        for text in [
            "",
            r#"{"users":[{"name":"a"}]}"#,
            r#"{"users":[{"name":"a","password":""}]}"#,
            r#"{"users":[{"name":"a","password":"hunter2","root":true}]}"#,
            r#"{"users":["hunter2"]}"#,
            r#"{"users":[{"name":"a","password":"hunter2","scope":"../x"}]}"#,
            r#"{"users":[{"name":"a","password":"hunter2","rights":["all"]}]}"#,
            r#"{"users":[{"name":"a","publicKeys":["hunter2"]}]}"#,
        ] {
            let said = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(!said.contains("hunter2"), "{said}");
        }
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("users.json");
        std::fs::write(&file, r#"{"users":[{"name":"a","password":"b"}]}"#).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(
            read(&file, None)
                .unwrap_err()
                .message()
                .contains("others may read")
        );
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&file, None).unwrap().len(), 1);
    }
}
