//! Files that are made once: of all who make one at the same time, one gives it its content.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::random::random;
use crate::error::{Error, ErrorCode, Result};

/// Writes a file that only its owner may read, unless there is one of this name: then that one stays. It is never seen
/// half-written.
///
/// # Errors
/// Those of the operating system; all name the path.
pub fn create_private(path: &Path, content: &[u8]) -> Result<()> {
    create(path, content).map_err(|error| error.at(path.to_string_lossy()))
}

fn create(path: &Path, content: &[u8]) -> Result<()> {
    let Some(name) = path.file_name() else {
        return Err(Error::new(ErrorCode::InvalidPath, "it names no file"));
    };
    let unique: String = (random::<8>()?.iter())
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let temporary = path.with_file_name(format!(".{}.{unique}", name.to_string_lossy()));
    let written = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
    let named = written.and_then(|()| fs::hard_link(&temporary, path));
    let _ = fs::remove_file(&temporary);
    match named {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_first_stays_and_nothing_else_is_left() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("file");
        create_private(&path, b"one").unwrap();
        create_private(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
        assert!(create_private(&base.path().join("no/file"), b"").is_err());
    }
}
