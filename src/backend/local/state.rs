//! Where a backend keeps what must outlive a call.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

const VARIABLE: &str = "AGENT_BACKEND_STATE_DIR";

/// The state directory: the one chosen, else that of the environment, else the system's place for it, else a private
/// one under the system's temporary directory. Created, 0700; `None` where none of them can be.
pub(super) fn directory(chosen: Option<&Path>) -> Option<PathBuf> {
    if let Some(chosen) = chosen {
        return created(std::path::absolute(chosen).ok()?);
    }
    let named = std::env::var_os(VARIABLE).filter(|value| !value.is_empty());
    named
        .map(PathBuf::from)
        .or_else(usual)
        .and_then(created)
        .or_else(|| {
            let uid = rustix::process::geteuid().as_raw();
            created(std::env::temp_dir().join(format!("agent-backend-{uid}")))
        })
}

fn usual() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some("/var/lib/agent-backend".into());
    }
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local/state")))
        .map(|base| base.join("agent-backend"))
}

/// Creates a directory for us alone; `None` where somebody else's, or a link, is in its place.
fn created(path: PathBuf) -> Option<PathBuf> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&path)
        .ok()?;
    let found = std::fs::symlink_metadata(&path).ok()?;
    let ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
    // What others can write, they could fill with records of files that are not ours.
    (ours && found.mode() & 0o022 == 0).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_directory_is_created_for_us_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = directory(Some(&parent.path().join("a/b"))).unwrap();
        assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn one_that_others_can_write_or_that_is_a_link_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;
        let parent = tempfile::tempdir().unwrap();
        let open = parent.path().join("open");
        std::fs::create_dir(&open).unwrap();
        std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(created(open.clone()), None);
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(parent.path(), &link).unwrap();
        assert_eq!(created(link), None);
    }
}
