//! The users of one daemon.

use std::path::Path;
use std::sync::Arc;

use russh::keys::PublicKey;
use subtle::{Choice, ConstantTimeEq as _};

use super::key::Key;
use super::{
    DEFAULT_USER, Password, Reach, User, UserOptions, Users, authorized_keys, file, key, spec,
    wrong,
};
use crate::daemon::session::Session;
use crate::error::{Printable, Result};
use crate::workspace::ScopeOptions;

/// Users by name, over what the daemon serves.
#[derive(Debug)]
pub struct UserTable {
    served: Session,
    users: Vec<User>,
    /// Of every user.
    shared_keys: Vec<Key>,
}

impl UserTable {
    /// The users that the options name; where they name keys and no user, one user `agent`. `served` is what they
    /// share: the scope of each lies below its workspace, and its end is theirs. `outside` is a directory that no file
    /// of users may lie in, the one that is served.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION` in one line without secrets, and those of reading the files.
    pub fn open(options: &UserOptions, served: Session, outside: Option<&Path>) -> Result<Self> {
        let mut users = Vec::new();
        if let Some(text) = &options.users {
            users.extend(spec::parse(text)?);
        }
        if let Some(path) = &options.users_file {
            users.extend(
                file::read(path, outside).map_err(|error| error.during("--ssh-users-file"))?,
            );
        }
        let mut shared_keys = Vec::new();
        if let Some(line) = &options.public_key {
            let key = key::parse(line)
                .map_err(|error| wrong(format!("--ssh-public-key: {}", error.message())))?;
            shared_keys.push(key);
        }
        if let Some(path) = &options.authorized_keys {
            shared_keys.extend(
                authorized_keys::read(path, outside)
                    .map_err(|error| error.during("--ssh-authorized-keys"))?,
            );
        }
        if users.is_empty() && !shared_keys.is_empty() {
            users.push(User {
                name: DEFAULT_USER.to_owned(),
                password: None,
                reach: Reach::default(),
                keys: Vec::new(),
            });
        }
        if users.is_empty() {
            return Err(wrong(
                "nobody could log in over SSH; name users with --ssh-users name:password, or a key with \
                 --ssh-public-key or --ssh-authorized-keys",
            ));
        }
        for (index, user) in users.iter().enumerate() {
            if users[..index].iter().any(|other| other.name == user.name) {
                return Err(wrong(format!(
                    "the SSH user '{}' is named twice",
                    user.name
                )));
            }
        }
        Ok(Self {
            served,
            users,
            shared_keys,
        })
    }

    /// The names of all users, in the order of the options.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.users.iter().map(|user| user.name.as_str()).collect()
    }

    fn key_of(&self, user: &str, key: &PublicKey) -> Option<(&User, &Key)> {
        let user = self.users.iter().find(|known| known.name == user)?;
        let mut keys = user.keys.iter().chain(&self.shared_keys);
        let found = keys.find(|known| known.public.key_data() == key.key_data())?;
        Some((user, found))
    }

    /// What a user reaches, and by a key never more than that.
    fn session(&self, user: &User, key: Option<&Key>) -> Option<Session> {
        let own = ScopeOptions {
            principal: Some(Arc::from(user.name.as_str())),
            rights: user.reach.rights,
            ..ScopeOptions::default()
        };
        let narrowed = ScopeOptions {
            rights: key.map(|key| key.reach.rights).unwrap_or_default(),
            ..ScopeOptions::default()
        };
        let below = key
            .map(|key| key.reach.scope.as_slice())
            .unwrap_or_default();
        let scoped = (self.served.workspace)
            .scope(&user.reach.scope, own)
            .and_then(|workspace| match key {
                Some(_) => workspace.scope(below, narrowed),
                None => Ok(workspace),
            });
        match scoped {
            Ok(workspace) => Some(Session {
                workspace,
                served_root: self.served.served_root.clone(),
                closed: self.served.closed.child_token(),
            }),
            Err(error) => {
                let text = error.to_string();
                tracing::warn!(user = %user.name, "the scope of an SSH user cannot be used: {}", Printable(&text));
                None
            }
        }
    }
}

impl Users for UserTable {
    fn scopes(&self) -> Vec<Vec<u8>> {
        let of_user = |user: &User| {
            let own = user.reach.scope.clone();
            let keys = user.keys.iter().chain(&self.shared_keys);
            let narrowed = keys
                .filter(|key| !key.reach.scope.is_empty())
                .map(|key| [&own[..], b"/", &key.reach.scope].concat());
            std::iter::once(own.clone())
                .chain(narrowed)
                .collect::<Vec<_>>()
        };
        self.users.iter().flat_map(of_user).collect()
    }

    fn has_passwords(&self) -> bool {
        self.users.iter().any(|user| user.password.is_some())
    }

    fn has_keys(&self) -> bool {
        !self.shared_keys.is_empty() || self.users.iter().any(|user| !user.keys.is_empty())
    }

    fn by_password(&self, user: &str, password: &str) -> Option<Session> {
        let given = Password::padded(password.as_bytes())?;
        let mut found = None;
        // Every password is compared, so that time tells nothing of the names either.
        for known in &self.users {
            let same_password = (known.password.as_ref())
                .map_or(Choice::from(0), |password| password.0.ct_eq(&given.0));
            let same_name = Choice::from(u8::from(known.name == user));
            if bool::from(same_name & same_password) {
                found = Some(known);
            }
        }
        self.session(found?, None)
    }

    fn knows_key(&self, user: &str, key: &PublicKey) -> bool {
        self.key_of(user, key).is_some()
    }

    fn by_key(&self, user: &str, key: &PublicKey) -> Option<Session> {
        let (user, key) = self.key_of(user, key)?;
        self.session(user, Some(key))
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::backend::memory::{MemoryBackend, MemoryOptions};
    use crate::workspace::{Workspace, WorkspaceOptions};

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    fn table(options: &UserOptions) -> Result<UserTable> {
        let backend = MemoryBackend::new(MemoryOptions {
            root_dir: b"/served".to_vec(),
            ..MemoryOptions::default()
        })?;
        let workspace = Workspace::new(
            backend,
            WorkspaceOptions::default(),
            ScopeOptions::default(),
        );
        let served = Session {
            workspace,
            served_root: b"/served".to_vec(),
            closed: CancellationToken::new(),
        };
        UserTable::open(options, served, None)
    }

    fn users(text: &str) -> UserOptions {
        UserOptions {
            users: Some(text.to_owned()),
            ..UserOptions::default()
        }
    }

    #[test]
    fn a_password_opens_only_its_own_user() {
        let table = table(&users("a:one,b:two:scope=users/b")).unwrap();
        let session = table.by_password("b", "two").unwrap();
        assert_eq!(session.workspace.root_dir(), b"/served/users/b");
        assert_eq!(session.workspace.principal(), "b");
        for (user, password) in [
            ("a", "two"),
            ("b", "one"),
            ("c", "one"),
            ("a", ""),
            ("a", "on"),
            ("a", "one\0"),
            ("A", "one"),
            ("", "one"),
            ("a", &"x".repeat(300)),
        ] {
            assert!(
                table.by_password(user, password).is_none(),
                "{user}:{password}"
            );
        }
        assert!(table.has_passwords() && !table.has_keys());
    }

    #[test]
    fn the_end_of_what_is_served_is_the_end_of_its_sessions() {
        let table = table(&users("a:one")).unwrap();
        let session = table.by_password("a", "one").unwrap();
        table.served.closed.cancel();
        assert!(session.closed.is_cancelled());
    }

    #[test]
    fn a_key_is_for_every_named_user_or_for_agent_and_only_narrows() {
        let line = format!(r#"scope="sub",rights="read" {KEY}"#);
        let options = UserOptions {
            public_key: Some(line.clone()),
            ..users("a:one:scope=users/a")
        };
        let key = PublicKey::from_openssh(KEY).unwrap();
        let both = table(&options).unwrap();
        let session = both.by_key("a", &key).unwrap();
        assert_eq!(session.workspace.root_dir(), b"/served/users/a/sub");
        assert_eq!(session.workspace.principal(), "a");
        assert!(!both.knows_key("agent", &key) && both.by_key("agent", &key).is_none());

        let alone = table(&UserOptions {
            public_key: Some(line),
            ..UserOptions::default()
        });
        let alone = alone.unwrap();
        assert_eq!(alone.names(), ["agent"]);
        assert!(alone.by_key("agent", &key).is_some() && alone.by_key("root", &key).is_none());
        assert!(alone.by_password("agent", "").is_none());
    }

    #[test]
    fn nobody_gets_a_default_password() {
        assert!(table(&UserOptions::default()).is_err());
        assert!(
            table(&users("a:one,a:two"))
                .unwrap_err()
                .message()
                .contains("twice")
        );
    }
}
