//! Where tokens come from, and when to read them again.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::tokens::{self, Grant};
use crate::daemon::arguments::{DaemonOptions, ListenOptions, Secret, ServedBackend};
use crate::error::Result;
use crate::sys::linux::trusted_file;

/// What tells one state of a file from the next.
type Stamp = Option<[i128; 5]>;

/// What tokens there are, before anything is served.
#[derive(Debug)]
pub struct Credentials {
    source: Source,
    /// Nothing in it may decide who comes in.
    root_dir: Option<PathBuf>,
    grants: Vec<Grant>,
    /// How their file was when it was read last. Held while it is read and what it says takes effect: of two readings at
    /// once, the later one must not be undone by the earlier.
    seen: Mutex<Stamp>,
}

#[derive(Clone, Debug)]
enum Source {
    Nowhere,
    Given(Secret),
    Single(PathBuf),
    Several(PathBuf),
}

impl Credentials {
    /// Reads the tokens that these options name.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION`; those of reading a file.
    pub fn read(options: &DaemonOptions) -> Result<Self> {
        let on_disk = options.backend_kind == ServedBackend::Local;
        let root_dir = on_disk.then(|| options.root_dir.clone());
        Self::of(Source::of(&options.listen), root_dir)
    }

    fn of(source: Source, root_dir: Option<PathBuf>) -> Result<Self> {
        let mut credentials = Self {
            // Before the reading: what changes from here on is found to be another file.
            seen: Mutex::new(source.stamp()),
            source,
            root_dir,
            grants: Vec::new(),
        };
        credentials.grants = credentials.current()?;
        Ok(credentials)
    }

    fn current(&self) -> Result<Vec<Grant>> {
        let root_dir = self.root_dir.as_deref();
        Ok(match &self.source {
            Source::Nowhere => Vec::new(),
            Source::Given(token) => vec![tokens::single(token.expose())?],
            Source::Single(file) => vec![
                tokens::read_single(file, root_dir)
                    .map_err(|error| error.during("--auth-token-file"))?,
            ],
            Source::Several(file) => {
                tokens::read_file(file, root_dir).map_err(|error| error.during("--tokens-file"))?
            }
        })
    }

    /// Whether nobody needs one.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.source, Source::Nowhere)
    }

    /// Whether some are bound to scopes.
    #[must_use]
    pub fn are_scoped(&self) -> bool {
        self.grants.iter().any(Grant::is_scoped)
    }

    /// The names of tokens that are so short that they could be guessed.
    pub fn short(&self) -> impl Iterator<Item = &str> {
        let short = self.grants.iter().filter(|grant| grant.is_short);
        short.map(|grant| &*grant.name)
    }

    /// Whether there is a file that decides, which may change.
    #[must_use]
    pub fn have_file(&self) -> bool {
        self.source.file().is_some()
    }

    /// Whether that file is another than it was when it was read last. Blocks.
    #[must_use]
    pub fn are_outdated(&self) -> bool {
        let now = self.source.stamp();
        now != *self.seen()
    }

    pub(super) fn grants(&self) -> &[Grant] {
        &self.grants
    }

    pub(super) fn take_grants(&mut self) -> Vec<Grant> {
        std::mem::take(&mut self.grants)
    }

    /// Reads the file again, where there is one, and lets what it says take effect. Blocks.
    pub(super) fn read_again(
        &self,
        apply: impl FnOnce(Vec<Grant>) -> Result<usize>,
    ) -> Result<usize> {
        if !self.have_file() {
            return Ok(0);
        }
        let mut seen = self.seen();
        *seen = self.source.stamp();
        apply(self.current()?)
    }

    fn seen(&self) -> MutexGuard<'_, Stamp> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn of(options: &ListenOptions) -> Self {
        if let Some(file) = &options.tokens_file {
            Self::Several(file.clone())
        } else if let Some(file) = &options.auth_token_file {
            Self::Single(file.clone())
        } else if let Some(token) = &options.auth_token {
            Self::Given(token.clone())
        } else {
            Self::Nowhere
        }
    }

    fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::Single(file) | Self::Several(file) => Some(file),
            Self::Nowhere | Self::Given(_) => None,
        }
    }

    fn stamp(&self) -> Stamp {
        self.file().and_then(|file| trusted_file::stamp(file))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    use super::*;

    fn put(file: &PathBuf, token: &str) {
        std::fs::write(file, token).unwrap();
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    #[test]
    fn what_changes_while_a_daemon_starts_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        put(&file, "first-first-first");
        let credentials = Credentials::of(Source::Single(file.clone()), None).unwrap();
        assert!(!credentials.are_outdated());
        put(&file, "second-second");
        assert!(credentials.are_outdated());
        assert_eq!(
            credentials.read_again(|grants| Ok(grants.len())).unwrap(),
            1
        );
        assert!(!credentials.are_outdated());
        std::fs::remove_file(&file).unwrap();
        assert!(credentials.are_outdated());
        assert!(credentials.read_again(|_| Ok(0)).is_err());
        // Said once.
        assert!(!credentials.are_outdated());
    }

    #[test]
    fn a_reading_waits_for_the_one_before_to_take_effect() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        put(&file, "first-first-first");
        let credentials = Arc::new(Credentials::of(Source::Single(file.clone()), None).unwrap());
        let (told, order) = channel();
        let (begun, has_begun) = channel();
        let first = std::thread::spawn({
            let (credentials, told) = (Arc::clone(&credentials), told.clone());
            move || {
                credentials.read_again(|grants| {
                    begun.send(()).unwrap();
                    std::thread::sleep(Duration::from_millis(100));
                    told.send(grants[0].clone()).unwrap();
                    Ok(0)
                })
            }
        });
        has_begun.recv().unwrap();
        put(&file, "second-second");
        let read = credentials.read_again(|grants| {
            told.send(grants[0].clone()).unwrap();
            Ok(0)
        });
        read.unwrap();
        first.join().unwrap().unwrap();
        assert_eq!(
            order.recv().unwrap(),
            Grant::everything("first-first-first")
        );
        assert_eq!(order.recv().unwrap(), Grant::everything("second-second"));
    }
}
