//! The image: a directory with this binary, the Dockerfile and the entry point, and `docker build` over it.

use std::fs;
use std::path::{Path, PathBuf};

use super::engine::Engine;
use super::interrupt;
use crate::error::{Error, ErrorCode, Result};
use crate::workspace::unguessable;

const DOCKERFILE: &str = include_str!("../../docker/Dockerfile");
const ENTRYPOINT: &str = include_str!("../../docker/entrypoint.sh");
/// The system calls that a container is refused in which bubblewrap works.
pub(super) const SECCOMP: &str = include_str!("../../docker/seccomp.json");

/// The uid and gid that the Dockerfile takes unless it is told others.
const IMAGE_USER: u32 = 1000;

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
    let build = ["build", "--force-rm", "--tag", &image, "--build-arg", &base];
    let built = engine.show(&[&build[..], &[&*context]].concat());
    interrupt::check()?;
    match built {
        Ok(()) => Ok(image),
        Err(error) => Err(not_built(engine, base_image, &error)),
    }
}

fn not_built(engine: &Engine, base_image: &str, error: &Error) -> Error {
    let ours = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let why = match engine.architecture(base_image) {
        Some(its) if its != ours => {
            format!("it is for {its}, and this binary is for {ours}")
        }
        _ => error.message().to_owned(),
    };
    Error::new(
        ErrorCode::ExecFailed,
        format!("no image could be built over {base_image:?}: {why}"),
    )
}

/// Makes the directory to serve where it is not there: the engine would make it root's.
pub(super) fn workspace(directory: &str) -> Result<()> {
    let problem = |error| unusable(directory, &error);
    if Path::new(directory).exists() {
        return Ok(());
    }
    fs::create_dir_all(directory).map_err(problem)?;
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(directory, Some(IMAGE_USER), Some(IMAGE_USER)).map_err(problem)?;
    }
    Ok(())
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
