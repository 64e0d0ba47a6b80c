//! The key by which clients know the server again: made once, and never readable by others.

use std::path::Path;

use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::{Algorithm, HashAlg, PrivateKey};

use crate::backend::local::command::chosen_state_dir;
use crate::error::{Error, ErrorCode, Result};
use crate::sys::linux::random::random;
use crate::sys::linux::{once, trusted_file};

/// Its name in the state directory.
const FILE_NAME: &str = "ssh_host_ed25519_key";

/// A longer file is no key.
const MAX_BYTES: u64 = 16 << 10;

/// The server's private key, always Ed25519.
#[derive(Clone)]
pub struct HostKey {
    key: PrivateKey,
}

impl std::fmt::Debug for HostKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("HostKey").field(&self.fingerprint()).finish()
    }
}

impl HostKey {
    /// The key of a state directory, `ssh_host_ed25519_key`. Where there is none, one is made, readable by its owner
    /// alone; of two processes that do so at once, both get the same.
    ///
    /// # Errors
    /// Those of [`HostKey::read`]; what the operating system says about the directory.
    pub fn of_state_dir(state_dir: &Path) -> Result<Self> {
        let path = chosen_state_dir(state_dir)?.join(FILE_NAME);
        match Self::read(&path) {
            Err(error) if error.code() == ErrorCode::NotFound => {}
            found => return found,
        }
        once::create_private(&path, generated()?.as_bytes())?;
        Self::read(&path)
    }

    /// The key in a file, in the format of OpenSSH (`ssh-keygen -t ed25519`), without a passphrase.
    ///
    /// # Errors
    /// `NOT_FOUND`, `PERMISSION_DENIED`; `INVALID_CONFIGURATION` for a file that others than its owner and group may read,
    /// or others than its owner may write, of another owner, or with anything else in it. All name the path.
    pub fn read(path: &Path) -> Result<Self> {
        let content = trusted_file::read_secret(path, None, MAX_BYTES)?;
        parse(&content).map_err(|error| error.at(path.to_string_lossy()))
    }

    /// What clients show of it and pin, `SHA256:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The line of a `known_hosts` file after the names of the host: type and key.
    ///
    /// # Errors
    /// `IO_ERROR` where it cannot be written out.
    pub fn public_line(&self) -> Result<String> {
        self.key.public_key().to_openssh().map_err(unusable)
    }

    pub(super) fn into_private(self) -> PrivateKey {
        self.key
    }
}

/// The text of a new key.
fn generated() -> Result<String> {
    let seed = random::<32>()?;
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    let key = PrivateKey::new(pair, "agent-backend").map_err(unusable)?;
    let text = key.to_openssh(LineEnding::LF).map_err(unusable)?;
    Ok(text.as_str().to_owned())
}

fn parse(content: &[u8]) -> Result<HostKey> {
    let key = PrivateKey::from_openssh(content).map_err(|_| {
        wrong("it is not a private key of OpenSSH; make one with `ssh-keygen -t ed25519 -N ''`")
    })?;
    if key.is_encrypted() {
        return Err(wrong("it has a passphrase; a host key must have none"));
    }
    if key.algorithm() != Algorithm::Ed25519 {
        return Err(wrong(
            "it is not an Ed25519 key; make one with `ssh-keygen -t ed25519 -N ''`",
        ));
    }
    Ok(HostKey { key })
}

fn unusable(error: russh::keys::ssh_key::Error) -> Error {
    Error::new(ErrorCode::IoError, format!("the host key: {error}"))
}

fn wrong(why: &str) -> Error {
    Error::new(ErrorCode::InvalidConfiguration, why)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_key_is_made_once_and_only_its_owner_may_read_it() {
        let base = tempfile::tempdir().unwrap();
        let state = base.path().join("state");
        let made = HostKey::of_state_dir(&state).unwrap();
        assert!(made.fingerprint().starts_with("SHA256:"));
        let mode = fs::metadata(state.join(FILE_NAME)).unwrap();
        let mode = mode.permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = HostKey::of_state_dir(&state).unwrap();
        assert_eq!(made.fingerprint(), again.fingerprint());
        assert!(made.public_line().unwrap().starts_with("ssh-ed25519 AAAA"));
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }

    #[test]
    fn many_that_start_at_once_end_with_one_key() {
        let base = tempfile::tempdir().unwrap();
        let started: Vec<_> = (0..16)
            .map(|_| {
                let state = base.path().to_owned();
                std::thread::spawn(move || HostKey::of_state_dir(&state).unwrap().fingerprint())
            })
            .collect();
        let mut keys: Vec<String> = (started.into_iter())
            .map(|thread| thread.join().unwrap())
            .collect();
        keys.dedup();
        assert_eq!(keys.len(), 1);
        let left = fs::read_dir(base.path()).unwrap().count();
        assert_eq!(left, 1, "temporary files");
    }

    #[test]
    fn a_key_that_others_may_use_is_refused() {
        let base = tempfile::tempdir().unwrap();
        HostKey::of_state_dir(base.path()).unwrap();
        let path = base.path().join(FILE_NAME);
        for mode in [0o604, 0o620, 0o602, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = HostKey::of_state_dir(base.path()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
            assert!(error.to_string().contains(FILE_NAME), "{error}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_and_never_replaced() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join(FILE_NAME);
        fs::write(&path, "no key").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = HostKey::of_state_dir(base.path()).unwrap_err();
        assert!(error.message().contains("ssh-keygen"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"no key");
        let missing = HostKey::read(&base.path().join("missing")).unwrap_err();
        assert_eq!(missing.code(), ErrorCode::NotFound);
        assert!(HostKey::read(Path::new("/dev/null")).is_err());
    }
}
