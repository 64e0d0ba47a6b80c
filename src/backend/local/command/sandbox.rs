//! A command behind a kernel wall: what its sandbox is made of, and whether it came up.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{MemfdFlags, Mode, OFlags};
use rustix::pipe::{PipeFlags, pipe_with};

use super::bwrap::{self, CACHE, Source, SystemEntry};
use super::environment::{Environment, SYSTEM_PATH};
use super::identity::RunsAs;
use super::plan::{Plan, Sandboxed, base_environment, host_user, private_dirs, set_caches};
use super::programs::{c_path, c_string};
use super::{Launcher, Place, pump};
use crate::backend::process::CommandSpec;
use crate::error::{Error, ErrorCode, Result};
use crate::path::strip_root;
use crate::sys::linux::spawn::Ended;
use crate::sys::linux::spawn_seccomp;
use crate::sys::linux::spawn_staging::{self, Staged, staging};

/// Directories that a sandbox is built from: a scope in the place of one of them would be the system itself.
const RESERVED: &[&str] = &[
    "/",
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc",
    "/tmp",
    "/var",
    "/var/tmp",
    "/var/cache",
    "/run",
];
/// Nor below these.
const RESERVED_TREES: &[&str] = &["/proc", "/dev", "/sys", CACHE];

/// Descriptors that the launcher gets, numbered from 3 on in this order.
struct Passed(Vec<OwnedFd>);

impl Passed {
    fn push(&mut self, descriptor: OwnedFd) -> usize {
        self.0.push(descriptor);
        self.0.len() + 2
    }

    fn push_content(&mut self, content: &[u8]) -> Result<usize> {
        Ok(self.push(memory_file(content)?))
    }
}

/// Where directories come from, in the form that this process can give them.
struct Sources {
    passed: Passed,
    staged: Vec<Staged>,
}

impl Sources {
    /// In the namespace where it is there, else by descriptor.
    fn add(&mut self, handles: Vec<OwnedFd>) -> Result<Vec<Source>> {
        if let Some(staging) = own_namespace() {
            let sources = handles
                .into_iter()
                .map(|handle| spawn_staging::Source {
                    handle,
                    read_only: false,
                })
                .collect();
            let staged = staging.stage(sources)?;
            let paths = staged
                .iter()
                .map(|staged| Source::Staged(staged.path().to_owned()));
            let paths = paths.collect();
            self.staged.extend(staged);
            return Ok(paths);
        }
        Ok(handles
            .into_iter()
            .map(|handle| Source::Descriptor(self.passed.push(handle)))
            .collect())
    }
}

/// The mount thread, which only root can have.
fn own_namespace() -> Option<&'static spawn_staging::Staging> {
    rustix::process::geteuid()
        .is_root()
        .then(|| staging().ok())?
}

/// A sandbox for one command.
///
/// # Errors
/// `MISSING_UTILITIES` where a program is missing or cannot be trusted, `INVALID_CONFIGURATION` for a scope that no
/// sandbox can be built around, and those of the state directory.
pub(super) fn plan(launcher: &Launcher, place: &Place, spec: &CommandSpec) -> Result<Plan> {
    check_scope(launcher, &place.root_path)?;
    let runs_as = RunsAs::owner_of(&place.root)?;
    let shell = launcher.programs.shell()?;
    let private = private_dirs(launcher, place, runs_as)?;
    let tools = launcher.tools();
    let mut sources = Sources {
        passed: Passed(Vec::new()),
        staged: Vec::new(),
    };
    let (status, status_writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    rustix::fs::fcntl_setfl(&status_writer, OFlags::empty())?;

    let mut environment = sandbox_environment(launcher, place, runs_as, shell.path);
    environment.apply(&spec.env)?;
    // The list of mounts and variables is the first descriptor; what it is to say is known last.
    let arguments_at = sources.passed.push(memory_file(&[])?);
    let seccomp = sources.passed.push_content(filter()?)?;
    let status_at = sources.passed.push(status_writer);
    let home = String::from_utf8_lossy(&place.root_path);
    let name = user_name(runs_as);
    let mut files = vec![
        (
            sources
                .passed
                .push_content(runs_as.passwd(name, &home, shell.path).as_bytes())?,
            PathBuf::from("/etc/passwd"),
        ),
        (
            sources
                .passed
                .push_content(runs_as.group(name).as_bytes())?,
            PathBuf::from("/etc/group"),
        ),
    ];
    for (path, content) in &tools.files {
        files.push((sources.passed.push_content(content)?, path.clone()));
    }
    let mut own = sources
        .add(vec![place.root.try_clone()?, private.tmp, private.cache])?
        .into_iter();
    let (Some(scope), Some(tmp), Some(cache)) = (own.next(), own.next(), own.next()) else {
        return Err(Error::new(ErrorCode::IoError, "a mount got lost"));
    };
    let shown = tool_mounts(launcher, &place.root_path, &mut sources)?;
    let list = bwrap::arguments(&bwrap::Sandbox {
        system: system(),
        tools: &shown,
        files: &files,
        directories: &tools.directories,
        tmp,
        cache,
        scope,
        scope_path: OsStr::from_bytes(&place.root_path),
        cwd_path: OsStr::from_bytes(&place.cwd_path),
        environment: &environment,
        network: launcher.options.network,
        uid: runs_as.uid,
        gid: runs_as.gid,
        seccomp,
        status: status_at,
    });
    sources.passed.0[arguments_at - 3] = memory_file(&terminated(&list))?;
    let (program, arguments) = command_line(
        launcher,
        &place.root_path,
        runs_as,
        arguments_at,
        shell.path,
        &shell.arguments(&spec.command)?,
    )?;
    let directory = match own_namespace() {
        Some(_) => None,
        None => Some(open_root()?),
    };
    Ok(Plan {
        program,
        arguments,
        // Nothing of ours shows in /proc/1/environ of the sandbox.
        environment: Vec::new(),
        directory,
        passed: sources.passed.0,
        sandbox: Some(Sandboxed {
            status,
            staged: sources.staged,
        }),
    })
}

/// `setpriv … bwrap --args N -- bash … command`: on the command line is nothing but the command itself.
fn command_line(
    launcher: &Launcher,
    scope: &[u8],
    runs_as: RunsAs,
    arguments_at: usize,
    shell: &str,
    shell_arguments: &[CString],
) -> Result<(CString, Vec<CString>)> {
    let bwrap = c_path(launcher.programs.launcher(scope)?)?;
    let mut line = Vec::new();
    let program = if runs_as.switches {
        let setpriv = c_path(launcher.programs.setpriv(scope)?)?;
        let (uid, gid) = (runs_as.uid.to_string(), runs_as.gid.to_string());
        for word in [
            "setpriv",
            "--reuid",
            &uid,
            "--regid",
            &gid,
            "--clear-groups",
            "--inh-caps=-all",
            "--no-new-privs",
            "--",
        ] {
            line.push(c_string(word)?);
        }
        line.push(bwrap);
        setpriv
    } else {
        line.push(c"bwrap".to_owned());
        bwrap
    };
    line.push(c"--args".to_owned());
    line.push(c_string(arguments_at.to_string())?);
    line.push(c"--".to_owned());
    line.push(c_string(shell)?);
    line.extend_from_slice(shell_arguments.get(1..).unwrap_or_default());
    Ok((program, line))
}

fn user_name(runs_as: RunsAs) -> &'static str {
    match runs_as.uid {
        0 => "root",
        _ if runs_as.switches => "agent",
        _ => host_user(),
    }
}

fn sandbox_environment(
    launcher: &Launcher,
    place: &Place,
    runs_as: RunsAs,
    shell: &str,
) -> Environment {
    let mut environment = base_environment(launcher, place, user_name(runs_as), shell);
    environment.set("PATH", search_path(launcher, &place.root_path));
    set_caches(&mut environment, OsStr::new(CACHE));
    environment
}

/// The host's search path without what the sandbox does not show; the system's own directories are always in it.
fn search_path(launcher: &Launcher, scope: &[u8]) -> OsString {
    let system: Vec<PathBuf> = std::env::split_paths(SYSTEM_PATH).collect();
    let tools = launcher.tools();
    let host = std::env::var_os("PATH").unwrap_or_default();
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in std::env::split_paths(&host).chain(system.iter().cloned()) {
        let inside = strip_root(entry.as_os_str().as_bytes(), scope).is_some();
        let shown = system.contains(&entry) || tools.path.contains(&entry) || inside;
        if shown && !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    std::env::join_paths(entries).unwrap_or_else(|_| SYSTEM_PATH.into())
}

/// The tools' mounts that have nothing to do with the scope: what lies inside it is there already, and what it lies in
/// would show its neighbours.
fn tool_mounts(
    launcher: &Launcher,
    scope: &[u8],
    sources: &mut Sources,
) -> Result<Vec<(Source, PathBuf)>> {
    let apart = |path: &Path| {
        let path = path.as_os_str().as_bytes();
        strip_root(path, scope).is_none() && strip_root(scope, path).is_none()
    };
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

fn check_scope(launcher: &Launcher, scope: &[u8]) -> Result<()> {
    let reserved = RESERVED.iter().any(|path| path.as_bytes() == scope)
        || RESERVED_TREES
            .iter()
            .any(|tree| strip_root(scope, tree.as_bytes()).is_some());
    if reserved {
        return Err(Error::new(
            ErrorCode::InvalidConfiguration,
            "a workspace in the place of a system directory cannot be isolated; use a directory of its own below it",
        )
        .at(String::from_utf8_lossy(scope)));
    }
    let state = launcher.store()?.path().as_os_str().as_bytes();
    if strip_root(state, scope).is_some() {
        return Err(Error::new(
            ErrorCode::InvalidConfiguration,
            "the state directory lies inside the workspace, where commands could read what belongs to others; choose another with `stateDir`",
        )
        .at(String::from_utf8_lossy(state)));
    }
    Ok(())
}

/// Says, when the launcher has ended, whether the command was run: only then does bubblewrap report an exit code.
pub(super) fn verdict(sandboxed: Sandboxed) -> pump::Verdict {
    Box::new(move |ended, stderr| {
        let Sandboxed { status, staged } = sandboxed;
        drop(staged);
        let mut report = Vec::new();
        // The end of the pipe may be held by nobody or by a dying process: what is there is enough.
        let _ = File::from(status).read_to_end(&mut report);
        let ran = report.windows(11).any(|window| window == b"\"exit-code\"");
        if ran || matches!(ended, Ended::Signal(_)) {
            return Ok(ended);
        }
        let why = String::from_utf8_lossy(stderr);
        Err(Error::new(
            ErrorCode::ExecError,
            format!("the sandbox could not be made: {}", why.trim()),
        ))
    })
}

/// The parts of the host that are the same for every sandbox; looked up once.
fn system() -> &'static [SystemEntry] {
    static SYSTEM: OnceLock<Vec<SystemEntry>> = OnceLock::new();
    SYSTEM.get_or_init(bwrap::system_entries)
}

fn filter() -> Result<&'static [u8]> {
    static FILTER: OnceLock<Result<Vec<u8>>> = OnceLock::new();
    match FILTER.get_or_init(spawn_seccomp::program) {
        Ok(filter) => Ok(filter),
        Err(error) => Err(error.clone()),
    }
}

fn terminated(list: &[OsString]) -> Vec<u8> {
    let mut content = Vec::new();
    for word in list {
        content.extend_from_slice(word.as_bytes());
        content.push(0);
    }
    content
}

/// A file that exists only as a descriptor, read from its beginning.
fn memory_file(content: &[u8]) -> Result<OwnedFd> {
    let handle = rustix::fs::memfd_create(c"agent-backend", MemfdFlags::CLOEXEC)?;
    let mut file = File::from(handle);
    file.write_all(content)?;
    rustix::fs::seek(file.as_fd(), rustix::fs::SeekFrom::Start(0))?;
    Ok(file.into())
}

fn open_root() -> Result<OwnedFd> {
    open_directory(Path::new("/"))
}

fn open_directory(path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}
