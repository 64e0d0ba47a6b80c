//! Variables that make programs run code, and programs that lie where others are looked for. What the caller of a
//! command names itself acts inside; nothing of it may act outside.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use agent_backend::backend::local::command::{CommandOptions, Isolation};
use agent_backend::backend::local::{LocalBackend, LocalOptions};
use agent_backend::workspace::{RunOptions, ScopeOptions, Workspace, WorkspaceOptions};

use crate::attack::{Attack, Canary, Group, How, LEVELS};
use crate::world::{World, open_to_all, wait};

/// What we start outside a sandbox, or might.
const PROGRAMS: [&str; 9] = [
    "bwrap",
    "setpriv",
    "prlimit",
    "bash",
    "sh",
    "env",
    "unshare",
    "git",
    "agent-backend",
];

pub static ENVIRONMENT: Group = Group {
    name: "environment",
    how: How::Function(attack),
    attacks: &[
        Attack::new(
            5,
            "planted",
            "plant a launcher or shell first in the command's `PATH`",
        )
        .canary(Canary::FallsWithoutUs),
        Attack::new(
            5,
            "planted-host",
            "plant a launcher or shell first in the host's `PATH` (`npm run`)",
        )
        .canary(Canary::FallsWithoutUs),
        Attack::new(5, "loader", "have the loader act outside (`LD_*`)"),
        Attack::new(
            5,
            "shell",
            "have a shell act outside (`BASH_ENV`, `ENV`, `PROMPT_COMMAND`, `PS4`, `SHELLOPTS`, functions)",
        ),
        Attack::new(
            5,
            "shell-host",
            "have a shell act by the host's own environment (`BASH_ENV` and its like)",
        )
        .canary(Canary::FallsWithoutUs),
        Attack::new(
            4,
            "host-variable",
            "read a variable of the host's environment",
        )
        .canary(Canary::FallsWithoutUs),
    ],
};

fn attack(world: &World) -> Vec<&'static str> {
    let host = world.host();
    let planted = plant(
        &world.scope("one").join("node_modules/.bin"),
        &host.join("planted"),
    );
    let mut succeeded = Vec::new();
    let path = format!("{}:/usr/bin:/bin", planted.display());
    run(world, &[("PATH", &path)]);
    if host.join("planted").exists() {
        succeeded.push("planted");
    }

    let loader = host.join("loader");
    run(
        world,
        &[
            ("LD_DEBUG", "files"),
            ("LD_DEBUG_OUTPUT", loader.to_str().unwrap()),
        ],
    );
    if names(&host).iter().any(|name| name.starts_with("loader.")) {
        succeeded.push("loader");
    }

    let (script, touch) = start_up(&world.scope("one"), &host.join("shell"));
    let variables = shell_variables(&script, &touch);
    let borrowed: Vec<_> = variables
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    run(world, &borrowed);
    if host.join("shell").exists() {
        succeeded.push("shell");
    }
    succeeded.extend(from_polluted_host(world));
    succeeded
}

fn run(world: &World, variables: &[(&str, &str)]) {
    let owned: Vec<_> = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let done = world.run_with(&world.one, "true; : end", &owned).unwrap();
    assert_eq!(
        done.exit_code,
        Some(0),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// Programs of every name that somebody might look up, each of which leaves a proof.
fn plant(directory: &Path, proof: &Path) -> PathBuf {
    std::fs::create_dir_all(directory).unwrap();
    for name in PROGRAMS {
        let program = directory.join(name);
        std::fs::write(&program, format!("#!/bin/sh\n: > '{}'\n", proof.display())).unwrap();
        open_to_all(&program);
    }
    directory.to_owned()
}

/// A file that a shell reads first, and the text that it holds.
fn start_up(directory: &Path, proof: &Path) -> (PathBuf, String) {
    let (script, touch) = (
        directory.join("start-up.sh"),
        format!(": > '{}'", proof.display()),
    );
    std::fs::write(&script, &touch).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o644)).unwrap();
    (script, touch)
}

fn shell_variables(script: &Path, touch: &str) -> Vec<(&'static str, String)> {
    let script = script.to_str().unwrap().to_owned();
    vec![
        ("BASH_ENV", script.clone()),
        ("ENV", script),
        ("PROMPT_COMMAND", touch.to_owned()),
        ("BASH_FUNC_true%%", format!("() {{ {touch}; }}")),
        ("PS4", format!("$({touch})")),
        ("SHELLOPTS", "braceexpand:xtrace".to_owned()),
    ]
}

fn names(directory: &Path) -> Vec<String> {
    let entries = directory.read_dir().unwrap().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

const LEVEL: &str = "AGENT_BACKEND_TEST_POLLUTED_LEVEL";
const VARIABLE: &str = "AGENT_BACKEND_TEST_HOST_VARIABLE";

/// The same in a host process whose own environment is full of traps.
fn from_polluted_host(world: &World) -> Vec<&'static str> {
    let traps = world.top().join("traps");
    std::fs::create_dir(&traps).unwrap();
    let planted = plant(&traps.join("bin"), &traps.join("planted"));
    let (script, touch) = start_up(&traps, &traps.join("shell"));
    let mut host = Command::new(std::env::current_exe().unwrap());
    host.args([
        "--exact",
        "groups::environment::commands_of_a_polluted_host",
        "--ignored",
    ]);
    host.env_clear()
        .stdin(Stdio::null())
        .env(VARIABLE, &world.secret);
    host.env("PATH", format!("{}:/usr/bin:/bin", planted.display()));
    host.env(LEVEL, world.setting.level.as_str());
    host.env("HOME", world.top()).env("TMPDIR", world.top());
    host.envs(shell_variables(&script, &touch));
    if world.setting.level == Isolation::None {
        // The canary: a program that is looked up, and a shell that is started, the plain way.
        for (program, proof) in [("bwrap", "planted"), ("/bin/bash", "shell")] {
            let mut plain = Command::new("/usr/bin/env");
            plain
                .env_clear()
                .arg("-")
                .arg(format!("PATH={}", planted.display()));
            plain.arg(format!("BASH_ENV={}", script.display()));
            let done = plain.args([program, "-c", "true"]).output().unwrap();
            assert!(
                traps.join(proof).exists(),
                "the canary stands: {program} {done:?}"
            );
            std::fs::remove_file(traps.join(proof)).unwrap();
        }
    }
    let done = host.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(said.contains("1 passed"), "{said}");
    let mut succeeded = Vec::new();
    if traps.join("planted").exists() {
        succeeded.push("planted-host");
    }
    if traps.join("shell").exists() {
        succeeded.push("shell-host");
    }
    if names(&world.top()).iter().any(|name| name == "told") {
        succeeded.push("host-variable");
    }
    succeeded
}

/// Not a test of its own: the host process with the traps.
#[test]
#[ignore = "started by the test of this group"]
fn commands_of_a_polluted_host() {
    let level = std::env::var(LEVEL).expect("started by the other test");
    let level = LEVELS.iter().find(|known| known.as_str() == level).unwrap();
    let base = tempfile::tempdir().unwrap();
    open_to_all(base.path());
    let backend = LocalBackend::open(LocalOptions {
        root_dir: base.path().join("root"),
        state_dir: Some(base.path().join("state")),
        command: CommandOptions {
            isolation: *level,
            ..CommandOptions::default()
        },
        ..LocalOptions::default()
    });
    let workspace = Workspace::new(
        backend.unwrap(),
        WorkspaceOptions::default(),
        ScopeOptions::default(),
    );
    let scope = workspace.scope("one", ScopeOptions::default()).unwrap();
    wait(scope.create_dir("", true)).unwrap();
    let done = wait(scope.run("true; /usr/bin/env", RunOptions::default())).unwrap();
    assert_eq!(
        done.exit_code,
        Some(0),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let secret = std::env::var(VARIABLE).unwrap();
    if String::from_utf8_lossy(&done.stdout).contains(&secret) {
        let home = std::env::var_os("HOME").unwrap();
        std::fs::write(Path::new(&home).join("told"), "").unwrap();
    }
}

super::test_of!(ENVIRONMENT, no_variable_and_no_planted_program_acts_outside);
