//! A command behind Landlock: what it may use of the file system, and who stays behind as its parent. For hosts that
//! refuse the namespaces of bubblewrap, as containers do.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};

use super::identity::RunsAs;
use super::launch::Launch;
use super::limits::Bounds;
use super::plan::{Plan, Walled, base_environment, host_user, private_dirs, set_caches};
use super::programs::c_string;
use super::running::Nesting;
use super::sandbox::{check_scope, search_path, seen_root, user_name};
use super::servers::Kind;
use super::sources::shown_from;
use super::system::{ETC, SYSTEM};
use super::{Launcher, Place};
use crate::backend::process::CommandSpec;
use crate::error::{Error, ErrorCode, Result};
use crate::path::strip_root;
use crate::sys::linux::landlock::{Access, Grant};
use crate::sys::linux::launcher::order::Order;
use crate::sys::linux::spawn_seccomp::Wall;

/// What every program expects of `/dev`.
const DEVICES: &[&str] = &["/dev/null", "/dev/zero", "/dev/full", "/dev/tty"];

/// What it only reads: its own processes' state (the kernel hides that of processes outside where it would tell
/// secrets), randomness, and who is who.
const READ: &[&str] = &[
    "/proc",
    "/dev/random",
    "/dev/urandom",
    "/etc/passwd",
    "/etc/group",
];

/// A command with Landlock around it.
///
/// # Errors
/// `MISSING_UTILITIES` without our binary, `INVALID_CONFIGURATION` for a scope in the place of the system,
/// `PERMISSION_DENIED` where the command's user may not enter the scope's parents; those of the state directory.
pub(super) fn plan(
    launcher: &Launcher,
    place: Place,
    spec: &CommandSpec,
    bounds: Bounds,
) -> Result<Plan> {
    check_scope(launcher, &place.root_path)?;
    let runs_as = RunsAs::owner_of(&place.root)?;
    check_granted(launcher, &place.root_path)?;
    let shell = launcher.programs.shell()?;
    let private = private_dirs(launcher, &place, runs_as)?;
    if runs_as.switches {
        launcher.store()?.let_through(&private)?;
        check_way(Path::new(OsStr::from_bytes(&place.root_path)), runs_as)?;
        check_way(&private.tmp_path, runs_as)?;
    }
    let user = match runs_as.switches {
        true => user_name(runs_as),
        false => host_user(),
    };
    let mut environment = base_environment(launcher, &place, spec, user, shell);
    environment.set("PATH", search_path(launcher, &place.root_path));
    environment.set("TMPDIR", &private.tmp_path);
    set_caches(&mut environment, private.cache_path.as_os_str());
    environment.apply(&spec.env)?;

    let network = launcher.options.network.is_host();
    let kind = Kind::new(Wall::Landlock { network }, runs_as);
    let mut launch = Launch::new(launcher, kind)?;
    let (status, status_writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    rustix::fs::fcntl_setfl(&status_writer, OFlags::empty())?;
    let status_at = launch.push(status_writer)?;
    let scope = place.root_path.clone();
    let writable = [place.root, private.tmp, private.cache];
    let rules = launcher
        .rulesets
        .get(&writable, || of_the_host(launcher, &scope))?;
    let order = Order {
        join: launch.push_all(bounds.join)?,
        limits: bounds.resources,
        directory: Some(launch.push(place.cwd)?),
        supervise: Some(std::process::id()),
        terminal: spec.terminal.is_some(),
        status: Some(status_at),
        ruleset: Some(launch.push(rules.try_clone()?)?),
        environment: environment.to_strings()?,
        program: c_string(shell.path)?,
        arguments: shell.arguments(spec)?,
        ..Order::default()
    };
    let wall = Walled {
        status,
        nesting: Nesting::Supervised,
        etc: None,
        masks: Vec::new(),
        way_out: None,
    };
    Ok(Plan::launched(launch.finish(order), wall))
}

/// The system, what programs need of `/etc`, tools, and what the options name.
fn of_the_host(launcher: &Launcher, scope: &[u8]) -> Vec<Grant<'static>> {
    let path = |path: &Path, access| Grant::Path(path.to_owned(), access);
    let etc = ETC.iter().map(|name| Path::new("/etc").join(name));
    let read = SYSTEM.iter().chain(READ).map(PathBuf::from).chain(etc);
    let tools = launcher.tools();
    let shown = shown_from(launcher, scope);
    let options = &launcher.options;
    let mut grants: Vec<Grant<'static>> = read
        .chain(tools.mounts.iter().filter(|path| shown(path)).cloned())
        .chain(options.read_only_paths.iter().cloned())
        .map(|found| path(&found, Access::Read))
        .collect();
    grants.extend(
        DEVICES
            .iter()
            .map(|device| path(Path::new(device), Access::Device)),
    );
    let writable = options.read_write_paths.iter();
    grants.extend(writable.map(|found| path(found, Access::Write)));
    grants
}

/// Landlock grants and takes nothing back: what lies in something granted is open.
fn check_granted(launcher: &Launcher, scope: &[u8]) -> Result<()> {
    let refuse = |what: String| {
        let message = format!(
            "{what} cannot be kept at isolation 'landlock', which only grants; use 'bwrap'"
        );
        Err(Error::new(ErrorCode::InvalidConfiguration, message))
    };
    if let Some(root) = seen_root(launcher, scope) {
        return refuse(format!(
            "a workspace in a directory of the system ({}), whose scopes see each other,",
            root.display()
        ));
    }
    let inside = |path: &&PathBuf| strip_root(path.as_os_str().as_bytes(), scope).is_some();
    match launcher.options.read_only_paths.iter().find(inside) {
        Some(path) => refuse(format!(
            "'{}' of readOnlyPaths, inside the workspace,",
            path.display()
        )),
        None => Ok(()),
    }
}

/// Whether a user may enter every directory on the way: unlike in a sandbox, the command has to walk it.
fn check_way(scope: &Path, runs_as: RunsAs) -> Result<()> {
    for parent in scope.ancestors().skip(1) {
        let Ok(metadata) = std::fs::metadata(parent) else {
            continue;
        };
        let enters = match (metadata.uid() == runs_as.uid, metadata.gid() == runs_as.gid) {
            (true, _) => 0o100,
            (_, true) => 0o010,
            _ => 0o001,
        };
        if metadata.mode() & enters == 0 {
            return Err(Error::new(
                ErrorCode::PermissionDenied,
                format!(
                    "at isolation 'landlock' commands run here as user {}, who may not enter {}; allow it (chmod o+x), keep the workspace or `stateDir` elsewhere, or use 'bwrap'",
                    runs_as.uid,
                    parent.display()
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_that_the_user_may_not_enter_is_named() {
        use std::os::unix::fs::PermissionsExt as _;
        let base = tempfile::tempdir().unwrap();
        let closed = base.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o700)).unwrap();
        let stranger = RunsAs::another(60_600);
        let error = check_way(&closed.join("scope"), stranger).unwrap_err();
        assert_eq!(error.code(), ErrorCode::PermissionDenied);
        assert!(error.message().contains("closed"), "{error}");
        assert!(check_way(Path::new("/usr/share"), stranger).is_ok());
    }
}
