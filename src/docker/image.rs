//! The image: a directory with this binary, the Dockerfile and the entry point, and `docker build` over it.

use std::fs;
use std::path::{Path, PathBuf};

use super::engine::Engine;
use crate::error::{Error, ErrorCode, Result};
use crate::workspace::unguessable;

const DOCKERFILE: &str = include_str!("../../docker/Dockerfile");
const ENTRYPOINT: &str = include_str!("../../docker/entrypoint.sh");
/// The system calls that a container is refused in which bubblewrap works.
pub(super) const SECCOMP: &str = include_str!("../../docker/seccomp.json");

/// Builds the image over a base image and gives its name. Layers that are there already are used again.
pub(super) fn build(engine: &Engine, base_image: &str) -> Result<String> {
    let directory = Directory::make()?;
    let binary = std::env::current_exe().map_err(|error| unusable("this binary", &error))?;
    directory.put("Dockerfile", DOCKERFILE.as_bytes())?;
    directory.put("entrypoint.sh", ENTRYPOINT.as_bytes())?;
    let copy = directory.0.join("agent-backend");
    fs::copy(&binary, &copy).map_err(|error| unusable("this binary", &error))?;
    let image = format!("agentbe-daemon:{}", env!("CARGO_PKG_VERSION"));
    let base = format!("BASE_IMAGE={base_image}");
    let context = directory.0.to_string_lossy();
    engine.show(&["build", "--tag", &image, "--build-arg", &base, &context])?;
    Ok(image)
}

/// A directory of the user's alone that goes when this is dropped.
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn make() -> Result<Self> {
        use std::os::unix::fs::DirBuilderExt as _;
        let path = std::env::temp_dir().join(format!("agent-backend-image-{}", unguessable()?));
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(|error| unusable(&path.to_string_lossy(), &error))?;
        Ok(Self(path))
    }

    /// Writes a file and gives its path.
    pub(super) fn put(&self, name: &str, content: &[u8]) -> Result<String> {
        let at: &Path = &self.0.join(name);
        let shown = at.to_string_lossy().into_owned();
        match fs::write(at, content) {
            Ok(()) => Ok(shown),
            Err(error) => Err(unusable(&shown, &error)),
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn unusable(what: &str, error: &std::io::Error) -> Error {
    Error::new(ErrorCode::IoError, format!("{what}: {error}"))
}
