//! Where a sandbox's mounts and small files come from: descriptors that its launcher gets, and directories that are
//! made reachable for it alone.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::Launcher;
use super::bwrap::Source;
use super::staged::{Group, StagedGroups};
use crate::error::Result;
use crate::path::strip_root;
use crate::sys::linux::launcher::client;
use crate::sys::linux::spawn_staging::{self, Staged, staging};

/// Descriptors that the launcher gets, numbered from 3 on in this order.
#[derive(Default)]
pub(super) struct Passed(pub(super) Vec<OwnedFd>);

impl Passed {
    pub(super) fn push(&mut self, descriptor: OwnedFd) -> usize {
        self.0.push(descriptor);
        self.0.len() + 2
    }

    /// Puts another descriptor in the place of one.
    pub(super) fn replace(&mut self, number: usize, descriptor: OwnedFd) {
        if let Some(place) = self.0.get_mut(number - 3) {
            *place = descriptor;
        }
    }

    pub(super) fn push_content(&mut self, content: &[u8]) -> Result<usize> {
        Ok(self.push(memory_file(content)?))
    }
}

/// Where directories come from, in the form that this process can give them.
#[derive(Default)]
pub(super) struct Sources {
    pub(super) passed: Passed,
    pub(super) staged: Option<Group>,
}

impl Sources {
    /// In the namespace where it is there, else by descriptor.
    pub(super) fn add(
        &mut self,
        groups: &StagedGroups,
        handles: Vec<OwnedFd>,
    ) -> Result<Vec<Source>> {
        if let Some(staging) = own_namespace() {
            let group = groups.stage(staging, handles)?;
            let paths = group
                .iter()
                .map(|staged| Source::Staged(staged.path().to_owned()))
                .collect();
            self.staged = Some(group);
            return Ok(paths);
        }
        Ok(handles
            .into_iter()
            .map(|handle| Source::Descriptor(self.passed.push(handle)))
            .collect())
    }
}

/// The mount threads, which only root can have.
pub(super) fn own_namespace() -> Option<&'static spawn_staging::Staging> {
    rustix::process::geteuid()
        .is_root()
        .then(|| staging().ok())?
}

/// Where the root really is, now.
pub(super) fn real_root(launcher: &Launcher) -> Option<PathBuf> {
    launcher.options.root_dir.as_deref()?.canonicalize().ok()
}

/// Whether a tool's directory may be seen from a scope: what lies inside that is there already, and what it or the root
/// lies in, by whatever name, would show its neighbours.
pub(super) fn shown_from(launcher: &Launcher, scope: &[u8]) -> impl Fn(&Path) -> bool {
    let root = real_root(launcher);
    move |tool| {
        let bytes = tool.as_os_str().as_bytes();
        let apart = strip_root(bytes, scope).is_none() && strip_root(scope, bytes).is_none();
        apart && !root.as_ref().is_some_and(|root| root.starts_with(tool))
    }
}

/// The tools' mounts that have nothing to do with the scope: what lies inside it is there already, and what it lies in
/// would show its neighbours.
pub(super) fn tool_mounts(
    launcher: &Launcher,
    scope: &[u8],
    sources: &mut Sources,
) -> Result<Vec<(Source, PathBuf)>> {
    let apart = shown_from(launcher, scope);
    if own_namespace().is_some() {
        let staged = launcher.staged_tools()?;
        return Ok(staged
            .iter()
            .filter(|(_, path)| apart(path))
            .map(|(staged, path)| (Source::Staged(staged.path().to_owned()), path.clone()))
            .collect());
    }
    let mut mounts = Vec::new();
    for path in launcher.tools().mounts.iter().filter(|path| apart(path)) {
        // What went away since it was found is left out.
        if let Ok(handle) = open_directory(path) {
            mounts.push((
                Source::Descriptor(sources.passed.push(handle)),
                path.clone(),
            ));
        }
    }
    Ok(mounts)
}

/// The tools' prefixes in the namespace of the mount thread, read-only.
pub(super) fn stage_tools(mounts: &[PathBuf]) -> Result<Vec<(Staged, PathBuf)>> {
    let mut paths = Vec::new();
    let mut sources = Vec::new();
    for path in mounts {
        if let Ok(handle) = open_directory(path) {
            sources.push(spawn_staging::Source {
                handle,
                read_only: true,
            });
            paths.push(path.clone());
        }
    }
    let staged = staging().and_then(|staging| staging.stage(sources))?;
    Ok(staged.into_iter().zip(paths).collect())
}

/// A small file in memory.
pub(super) fn memory_file(content: &[u8]) -> Result<OwnedFd> {
    Ok(client::memory_file(content)?)
}

fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests {
    use super::super::CommandOptions;
    use super::*;

    #[test]
    fn a_tool_that_the_workspace_lies_in_is_not_shown_by_any_name() {
        let base = tempfile::tempdir().unwrap();
        let real = base.path().canonicalize().unwrap().join("prefix/workspace");
        std::fs::create_dir_all(&real).unwrap();
        let link = base.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        for root in [&real, &link] {
            let launcher = Launcher::new(CommandOptions {
                root_dir: Some(root.clone()),
                ..CommandOptions::default()
            });
            let launcher = launcher.unwrap();
            let scope = root.join("users/1");
            let shown = shown_from(&launcher, scope.as_os_str().as_bytes());
            assert!(!shown(real.parent().unwrap()), "{}", root.display());
            assert!(!shown(&scope.join("bin")));
            assert!(shown(Path::new("/opt/node")));
        }
    }
}
