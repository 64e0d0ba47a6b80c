//! Who may log in over TCP, by what, and what each may then reach. Users are the daemon's own: no account of the system
//! is one, and `root` is only a name.

mod authorized_keys;
mod file;
mod key;

mod spec;
mod table;

use std::fmt;
use std::path::PathBuf;

use russh::keys::PublicKey;

use crate::daemon::session::Session;
use crate::error::{Error, ErrorCode, Result};
use crate::workspace::Rights;

pub(super) use key::is_accepted;
pub use table::UserTable;

/// The user that keys belong to where no user is named.
pub const DEFAULT_USER: &str = "agent";

/// The longest password, in bytes.
pub const MAX_PASSWORD_BYTES: usize = 255;

/// The longest name of a user, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Answers who somebody is. Never logs a secret, and takes as long for a name that it does not know.
pub trait Users: fmt::Debug + Send + Sync {
    /// What users and keys are bound to, below what is served; empty where they are not.
    fn scopes(&self) -> Vec<Vec<u8>>;

    /// Whether any user has a password.
    fn has_passwords(&self) -> bool;

    /// Whether any user has a key.
    fn has_keys(&self) -> bool;

    /// The session of a user who knows the password.
    fn by_password(&self, user: &str, password: &str) -> Option<Session>;

    /// Whether the user may log in by this key, once it has signed.
    fn knows_key(&self, user: &str, key: &PublicKey) -> bool;

    /// The session of a user whose key has signed.
    fn by_key(&self, user: &str, key: &PublicKey) -> Option<Session>;
}

/// Where users and keys come from; what is given twice is an error.
#[derive(Clone, Default)]
pub struct UserOptions {
    /// `name:password` pairs with commas between them, each with `:scope=PATH` and `:rights=read+write+exec` behind it
    /// where it is to have less than everything: `alice:secret,bob:word:scope=users/bob:rights=read+exec`. Names,
    /// passwords and scopes with a comma or colon in them go into a file.
    pub users: Option<String>,
    /// A file of users: `{ "users": [{ "name", "password", "scope", "rights", "publicKeys" }] }`, where `name` and one
    /// of `password` and `publicKeys` are needed. Readable by its owner alone.
    pub users_file: Option<PathBuf>,
    /// A public key for every user, as one line of `authorized_keys`.
    pub public_key: Option<String>,
    /// A file of such lines.
    pub authorized_keys: Option<PathBuf>,
}

impl fmt::Debug for UserOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserOptions")
            .field("users", &self.users.as_ref().map(|_| "…"))
            .field("users_file", &self.users_file)
            .field("public_key", &self.public_key)
            .field("authorized_keys", &self.authorized_keys)
            .finish()
    }
}

/// What somebody may reach: a directory below what is served, and what may be done there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Reach {
    scope: Vec<u8>,
    rights: Rights,
}

/// One user as configured.
#[derive(Debug)]
struct User {
    name: String,
    password: Option<Password>,
    reach: Reach,
    keys: Vec<key::Key>,
}

/// A password, padded so that comparing takes the same time for all.
struct Password([u8; MAX_PASSWORD_BYTES + 1]);

impl Password {
    /// The length leads, so that no two passwords are padded to the same bytes. `None` for one that is too long.
    fn padded(text: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_PASSWORD_BYTES + 1];
        bytes[0] = u8::try_from(text.len()).ok()?;
        bytes[1..=text.len()].copy_from_slice(text);
        Some(Self(bytes))
    }

    fn new(text: &str) -> Result<Self> {
        if text.is_empty() {
            return Err(wrong("a password is empty"));
        }
        Self::padded(text.as_bytes()).ok_or_else(|| {
            wrong(format!(
                "a password is longer than {MAX_PASSWORD_BYTES} bytes"
            ))
        })
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// A name: visible, and safe in a log.
fn check_name(name: &str) -> Result<()> {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-@+".contains(byte);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.as_bytes().iter().all(plain) {
        return Err(wrong(format!(
            "the name of a user must be 1 to {MAX_NAME_BYTES} letters, digits and '._-@+', not {name:?}"
        )));
    }
    Ok(())
}

/// A directory below what is served.
fn check_scope(scope: &str) -> Result<Vec<u8>> {
    let leaves = scope.split('/').any(|part| part == "..");
    if scope.is_empty() || scope.starts_with('/') || leaves || scope.contains('\0') {
        return Err(wrong(format!(
            "a scope must be relative to what is served and without `..`, not {scope:?}"
        )));
    }
    Ok(scope.as_bytes().to_vec())
}

/// Rights by their names.
fn rights<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Rights> {
    let mut rights = Rights {
        read: false,
        write: false,
        exec: false,
    };
    for name in names {
        match name.trim() {
            "read" => rights.read = true,
            "write" => rights.write = true,
            "exec" => rights.exec = true,
            other => {
                return Err(wrong(format!(
                    "rights are read, write and exec, not {other:?}"
                )));
            }
        }
    }
    Ok(rights)
}

fn wrong(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::InvalidConfiguration, message)
}
