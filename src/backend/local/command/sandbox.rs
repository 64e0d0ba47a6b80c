//! A command behind a kernel wall: what its sandbox is made of, and whether it came up.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustix::fs::OFlags;
use rustix::pipe::{PipeFlags, pipe_with};

use super::bwrap::{self, CACHE};
use super::environment::{Environment, SYSTEM_PATH};
use super::etc::{self, ACCOUNTS, Etc};
use super::identity::RunsAs;
use super::launch::Launch;
use super::limits::Bounds;
use super::masks::Masks;
use super::mounts::mounts;
use super::plan::{Plan, Walled, base_environment, host_user, private_dirs, set_caches};
use super::programs::{ShellProgram, c_path, c_string};
use super::running::Nesting;
use super::servers::Kind;
use super::sources::{Passed, memory_file, own_namespace, real_root};
use super::system::{SystemEntry, system, system_without_etc};
use super::{Launcher, Place, inside, way_out};
use crate::backend::process::CommandSpec;
use crate::egress;
use crate::error::{Error, ErrorCode, Result};
use crate::path::strip_root;
use crate::sys::linux::launcher::order::Order;
use crate::sys::linux::spawn_seccomp::{self, Wall};
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
pub(super) fn plan(
    launcher: &Launcher,
    place: &Place,
    spec: &CommandSpec,
    bounds: Bounds,
) -> Result<Plan> {
    check_scope(launcher, &place.root_path)?;
    let runs_as = RunsAs::owner_of(&place.root)?;
    let shell = launcher.programs.shell()?;
    let private = private_dirs(launcher, place, runs_as)?;
    let mut launch = Launch::new(launcher, Kind::new(Wall::Namespaces, runs_as))?;
    let passed = &mut launch.sources.passed;
    let (status, status_writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    rustix::fs::fcntl_setfl(&status_writer, OFlags::empty())?;

    let mut environment = sandbox_environment(launcher, place, spec, runs_as, shell);
    if launcher.options.network.is_filtered() {
        for (name, value) in egress::environment(way_out::PORT) {
            environment.set(name, value);
        }
    }
    environment.apply(&spec.env)?;
    // The list of mounts and variables is the first descriptor; what it is to say is known last.
    let arguments_at = passed.push(memory_file(&[])?);
    let seccomp = passed.push_content(filter(Wall::Namespaces)?)?;
    let status_at = passed.push(status_writer);
    let etc = prepared_etc(launcher, place);
    let files = small_files(
        launcher,
        place,
        (runs_as, shell.path),
        etc.is_some(),
        passed,
    )?;
    let mounts = mounts(launcher, place, private, &mut launch.sources)?;
    let masks = Masks::make(&spec.masks, &place.root_path, &mut launch.sources)?;
    let list = bwrap::arguments(&bwrap::Sandbox {
        system: match etc {
            Some(_) => system_without_etc(),
            None => system(),
        },
        etc: etc.as_deref().map(Etc::path),
        empty: own_namespace().map(Staging::empty),
        tools: &mounts.read_only,
        read_only_inside: &mounts.read_only_inside,
        seen_root: seen_root(launcher, &place.root_path).as_deref(),
        read_write: &mounts.read_write,
        hidden: &mounts.hidden,
        files: &files,
        directories: &launcher.tools().directories,
        tmp: mounts.tmp,
        cache: mounts.cache,
        scope: mounts.scope,
        masks: &masks,
        scope_path: OsStr::from_bytes(&place.root_path),
        cwd_path: OsStr::from_bytes(&place.cwd_path),
        environment: &environment,
        own_network: !launcher.options.network.is_host(),
        uid: runs_as.uid,
        gid: runs_as.gid,
        seccomp,
        status: status_at,
    });
    launch
        .sources
        .passed
        .replace(arguments_at, memory_file(&terminated(&list))?);
    let mut inside = inside::Inside::of(launcher, place, spec, &mut launch)?;
    let limits = inside.limit(bounds.resources);
    let command = match &inside.order {
        Some(order) => {
            let order = inside::ending_in_shell(order, shell, spec, &environment)?;
            launch.inner(launcher, &order)?
        }
        None => shell_line(shell, spec)?,
    };
    let keep = (launch.pushed()?, arguments_at);
    // The groups are joined before bubblewrap begins, which gets no hand on them.
    let join = launch.push_all(bounds.join)?;
    let order = Order {
        join,
        limits,
        ..order(launcher, &place.root_path, keep, command)?
    };
    let wall = Walled {
        status,
        nesting: Nesting::Sandboxed,
        etc,
        masks: masks.staged,
        way_out: inside.way_out,
    };
    Ok(Plan::launched(launch.finish(order), wall))
}

/// The root of a scope, where it lies in a directory of the system that every sandbox shows, such as `/usr/src/app`.
pub(super) fn seen_root(launcher: &Launcher, scope: &[u8]) -> Option<PathBuf> {
    let named = launcher.options.root_dir.as_deref()?;
    let root = real_root(launcher)?;
    let seen = system().iter().any(|entry| match entry {
        SystemEntry::Mounted(path) => root.starts_with(path),
        _ => false,
    });
    (seen && named.as_os_str().as_bytes() != scope).then_some(root)
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

/// What our binary does before it becomes bubblewrap.
fn order(
    launcher: &Launcher,
    scope: &[u8],
    (keep, arguments_at): (Vec<i32>, usize),
    command: Vec<CString>,
) -> Result<Order> {
    let program = c_path(launcher.programs.launcher(scope)?)?;
    let mut arguments = vec![
        program.clone(),
        c"--args".to_owned(),
        c_string(arguments_at.to_string())?,
        c"--".to_owned(),
    ];
    arguments.extend(command);
    Ok(Order {
        keep,
        program,
        arguments,
        ..Order::default()
    })
}

/// The shell and the text, as bubblewrap starts them.
pub(super) fn shell_line(shell: &ShellProgram, spec: &CommandSpec) -> Result<Vec<CString>> {
    let mut line = shell.arguments(spec)?;
    line[0] = c_string(shell.path)?;
    Ok(line)
}

pub(super) fn user_name(runs_as: RunsAs) -> &'static str {
    match runs_as.uid {
        0 => "root",
        _ if runs_as.switches => "agent",
        _ => host_user(),
    }
}

fn sandbox_environment(
    launcher: &Launcher,
    place: &Place,
    spec: &CommandSpec,
    runs_as: RunsAs,
    shell: &ShellProgram,
) -> Environment {
    let mut environment = base_environment(launcher, place, spec, user_name(runs_as), shell);
    environment.set("PATH", search_path(launcher, &place.root_path));
    set_caches(&mut environment, OsStr::new(CACHE));
    environment
}

/// The host's search path without what the sandbox does not show; the system's own directories are always in it.
pub(super) fn search_path(launcher: &Launcher, scope: &[u8]) -> OsString {
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

pub(super) fn check_scope(launcher: &Launcher, scope: &[u8]) -> Result<()> {
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
            "the state directory lies inside the workspace, where commands could read what belongs to others; choose another with `stateDir` (of the daemon --state-dir)",
        )
        .at(String::from_utf8_lossy(state)));
    }
    Ok(())
}

/// The filter for a wall; made once.
pub(super) fn filter(wall: Wall) -> Result<&'static [u8]> {
    static FILTERS: [OnceLock<Result<Vec<u8>>>; 3] = [const { OnceLock::new() }; 3];
    let at = match wall {
        Wall::Namespaces => 0,
        Wall::Landlock { network: true } => 1,
        Wall::Landlock { network: false } => 2,
    };
    match FILTERS[at].get_or_init(|| spawn_seccomp::program(wall)) {
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
