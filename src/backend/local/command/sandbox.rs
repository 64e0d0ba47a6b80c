//! A command behind a kernel wall: what its sandbox is made of, and whether it came up.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};

use super::bwrap::{self, CACHE};
use super::environment::{Environment, SYSTEM_PATH};
use super::etc::{self, ACCOUNTS, Etc};
use super::identity::RunsAs;
use super::masks::Masks;
use super::plan::{Plan, Sandboxed, base_environment, host_user, private_dirs, set_caches};
use super::programs::{c_path, c_string};
use super::sources::{Passed, Sources, memory_file, open_root, own_namespace, tool_mounts};
use super::system::{SystemEntry, system, system_without_etc};
use super::{Launcher, Place, pump};
use crate::backend::process::CommandSpec;
use crate::error::{Error, ErrorCode, Result};
use crate::path::strip_root;
use crate::sys::linux::spawn::Ended;
use crate::sys::linux::spawn_seccomp;
use crate::sys::linux::spawn_staging::Staging;

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
    let mut sources = Sources::default();
    let (status, status_writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    rustix::fs::fcntl_setfl(&status_writer, OFlags::empty())?;

    let mut environment = sandbox_environment(launcher, place, runs_as, shell.path);
    environment.apply(&spec.env)?;
    // The list of mounts and variables is the first descriptor; what it is to say is known last.
    let arguments_at = sources.passed.push(memory_file(&[])?);
    let seccomp = sources.passed.push_content(filter()?)?;
    let status_at = sources.passed.push(status_writer);
    let etc = prepared_etc(launcher, place);
    let files = small_files(
        launcher,
        place,
        (runs_as, shell.path),
        etc.is_some(),
        &mut sources.passed,
    )?;
    let mut own = sources
        .add(
            &launcher.staged,
            vec![place.root.try_clone()?, private.tmp, private.cache],
        )?
        .into_iter();
    let (Some(scope), Some(tmp), Some(cache)) = (own.next(), own.next(), own.next()) else {
        return Err(Error::new(ErrorCode::IoError, "a mount got lost"));
    };
    let shown = tool_mounts(launcher, &place.root_path, &mut sources)?;
    let masks = Masks::make(&spec.masks, &place.root_path, &mut sources)?;
    let list = bwrap::arguments(&bwrap::Sandbox {
        system: match etc {
            Some(_) => system_without_etc(),
            None => system(),
        },
        etc: etc.as_deref().map(Etc::path),
        empty: own_namespace().map(Staging::empty),
        tools: &shown,
        files: &files,
        directories: &launcher.tools().directories,
        tmp,
        cache,
        scope,
        masks: &masks,
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
            masks: masks.staged,
            etc,
        }),
    })
}

/// All that a sandbox shows of `/etc`, unless something of its own is to be mounted below it.
fn prepared_etc(launcher: &Launcher, place: &Place) -> Option<Arc<Etc>> {
    let staging = own_namespace()?;
    let tools = launcher.tools();
    let files = tools.files.iter().map(|(path, _)| path);
    let mut paths = files.chain(&tools.mounts).chain(&tools.directories);
    let below = |path: &Path| path.starts_with("/etc");
    let taken =
        below(Path::new(OsStr::from_bytes(&place.root_path))) || paths.any(|path| below(path));
    if taken { None } else { etc::current(staging) }
}

/// Accounts, and what the tools want: the descriptors of their content, and where it goes.
fn small_files(
    launcher: &Launcher,
    place: &Place,
    (runs_as, shell): (RunsAs, &str),
    etc_is_prepared: bool,
    passed: &mut Passed,
) -> Result<Vec<(usize, PathBuf)>> {
    let home = String::from_utf8_lossy(&place.root_path);
    let name = user_name(runs_as);
    let passwd = runs_as.passwd(name, &home, shell);
    let group = runs_as.group(name);
    let accounts = Path::new(if etc_is_prepared { ACCOUNTS } else { "/etc" });
    let mut files = Vec::new();
    for (name, content) in [("passwd", passwd), ("group", group)] {
        let descriptor = passed.push_content(content.as_bytes())?;
        files.push((descriptor, accounts.join(name)));
    }
    for entry in system().iter().filter(|_| !etc_is_prepared) {
        // Read each time: the host's name servers change while we run.
        if let SystemEntry::Copied(path) = entry
            && let Ok(content) = std::fs::read(path)
        {
            files.push((passed.push_content(&content)?, path.clone()));
        }
    }
    for (path, content) in &launcher.tools().files {
        files.push((passed.push_content(content)?, path.clone()));
    }
    Ok(files)
}

/// `prlimit … setpriv … bwrap --args N -- bash … command`, each in the place of the one before: on the command line is
/// nothing but the command itself.
fn command_line(
    launcher: &Launcher,
    scope: &[u8],
    runs_as: RunsAs,
    arguments_at: usize,
    shell: &str,
    shell_arguments: &[CString],
) -> Result<(CString, Vec<CString>)> {
    let mut line = Vec::new();
    if core_dumps_possible() {
        // A core pattern runs a program of the host on what a command left in its memory, and no limit keeps the
        // kernel from that but 1, which it takes for a dump of such a program itself. The limit is inherited, and
        // only a program can set it before anything of the workspace runs.
        line.push(c_path(launcher.programs.prlimit(scope)?)?);
        line.push(c"--core=1:1".to_owned());
        line.push(c"--".to_owned());
    }
    if runs_as.switches {
        line.push(c_path(launcher.programs.setpriv(scope)?)?);
        let (uid, gid) = (runs_as.uid.to_string(), runs_as.gid.to_string());
        for word in [
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
    }
    line.push(c_path(launcher.programs.launcher(scope)?)?);
    line.push(c"--args".to_owned());
    line.push(c_string(arguments_at.to_string())?);
    line.push(c"--".to_owned());
    line.push(c_string(shell)?);
    line.extend_from_slice(shell_arguments.get(1..).unwrap_or_default());
    let program = line.first().cloned().unwrap_or_default();
    Ok((program, line))
}

/// Whether this process, and so what it starts, may write a core dump.
fn core_dumps_possible() -> bool {
    !matches!(
        rustix::process::getrlimit(rustix::process::Resource::Core).maximum,
        Some(0 | 1)
    )
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
        let Sandboxed {
            status,
            staged,
            masks,
            etc,
        } = sandboxed;
        drop((staged, masks, etc));
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
