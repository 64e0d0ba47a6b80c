//! Makes the attacks of a group at every level and tells how each went.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use agent_backend::backend::local::command::{CommandOptions, Isolation, Launcher};
use agent_backend::workspace::{BackgroundCommand, RunOptions};
use serde_json::Value;

use crate::attack::{Attack, Canary, Group, How, LEVELS, Program, Proof, Reach, Setting, Verdict};
use crate::groups::{COUNT, GROUPS};
use crate::world::{World, wait};

/// Set, every outcome is printed.
const VERBOSE: &str = "AGENT_BACKEND_TEST_VERBOSE";

/// Verdicts by level and by the attack's name.
pub type Seen = BTreeMap<(&'static str, &'static str), Verdict>;

/// Whether the kernel walls can be had here; says that a test is skipped where one cannot.
pub fn sandboxes_start() -> bool {
    static STARTS: OnceLock<Result<(), String>> = OnceLock::new();
    let starts = STARTS.get_or_init(|| {
        if !std::path::Path::new("/usr/bin/python3").exists() {
            return Err("python3 is not installed".to_owned());
        }
        let base = tempfile::tempdir().unwrap();
        let tried = LEVELS.iter().filter(|level| level.is_kernel_wall());
        tried
            .map(|level| {
                let launcher = Launcher::new(CommandOptions {
                    isolation: *level,
                    state_dir: Some(base.path().join("state")),
                    ..CommandOptions::default()
                });
                launcher.unwrap().isolation()
            })
            .try_for_each(|level| level.map(drop).map_err(|error| error.to_string()))
    });
    match starts {
        Ok(()) => true,
        Err(why) => {
            crate::skip::skip(why);
            false
        }
    }
}

/// How the attacks of a group went, made once for all tests of this process.
pub fn seen(group: &'static Group) -> &'static Seen {
    static SEEN: [OnceLock<Seen>; COUNT] = [const { OnceLock::new() }; COUNT];
    let index = GROUPS.iter().position(|known| std::ptr::eq(*known, group));
    SEEN[index.expect("a group of the list")].get_or_init(|| observe(group))
}

fn observe(group: &'static Group) -> Seen {
    let mut seen = Seen::new();
    let begun = std::time::Instant::now();
    for level in LEVELS {
        let column = level.as_str();
        let mut found = attempt(group, *level, false);
        if level.is_kernel_wall() && rustix::process::geteuid().is_root() {
            // Once more in a tree that root owns: whichever goes worse counts.
            for (attack, verdict) in attempt(group, *level, true) {
                if verdict == Verdict::NotStopped {
                    found.insert(attack, verdict);
                }
            }
        }
        seen.extend(
            found
                .into_iter()
                .map(|(id, verdict)| ((column, id), verdict)),
        );
    }
    if std::env::var_os(VERBOSE).is_some() {
        eprintln!("{}: {:?}", group.name, begun.elapsed());
    }
    seen
}

fn attempt(group: &Group, level: Isolation, tree_of_root: bool) -> BTreeMap<&'static str, Verdict> {
    let wanted = match group.how {
        How::Program(program) => program.reach,
        How::Function(_) => Reach::Host,
    };
    if level.is_kernel_wall() && !wanted.can_be_had(level) {
        let all = group.attacks.iter();
        return all.map(|attack| (attack.id, Verdict::NotTried)).collect();
    }
    let setting = Setting {
        level,
        reach: if wanted.can_be_had(level) {
            wanted
        } else {
            Reach::Host
        },
        tree_of_root,
    };
    let world = World::new(setting);
    let succeeded = match group.how {
        How::Function(function) => function(&world)
            .into_iter()
            .map(|id| (id, Outcome::Done(String::new())))
            .collect(),
        How::Program(program) => run(&world, group, &program),
    };
    group
        .attacks
        .iter()
        .map(|attack| (attack.id, judge(&world, group, attack, &succeeded)))
        .collect()
}

/// What a program said of one attack.
#[derive(Debug)]
enum Outcome {
    Done(String),
    #[expect(
        dead_code,
        reason = "the reason is shown where a test fails, and when all is printed"
    )]
    Refused(String),
    Skipped,
}

fn judge(
    world: &World,
    group: &Group,
    attack: &Attack,
    outcomes: &BTreeMap<&str, Outcome>,
) -> Verdict {
    let outcome = outcomes.get(attack.id);
    let said = match (outcome, group.how) {
        (None, How::Function(_)) => return Verdict::Stopped,
        (None, How::Program(_)) => panic!(
            "{}: {:?} says nothing of {}: {outcomes:?}",
            group.name, world.setting, attack.id
        ),
        (Some(Outcome::Skipped), _) => return Verdict::NotTried,
        (Some(Outcome::Refused(_)), _) => None,
        (Some(Outcome::Done(detail)), _) => Some(detail),
    };
    let worked = match (attack.proof, group.how) {
        (Proof::Said, _) | (_, How::Function(_)) => said.is_some(),
        (Proof::Secret, _) => said.is_some_and(|detail| tells(world, detail)),
        (Proof::Seen(seen), _) => seen(world, attack.id),
    };
    if std::env::var_os(VERBOSE).is_some() {
        eprintln!("{:?} {}: {worked} {outcome:?}", world.setting, attack.id);
    }
    if worked {
        Verdict::NotStopped
    } else {
        Verdict::Stopped
    }
}

fn tells(world: &World, detail: &str) -> bool {
    detail.contains(&world.secret)
}

fn run<'a>(world: &World, group: &Group, program: &Program) -> BTreeMap<&'a str, Outcome> {
    let mut told = world.told();
    let servers = world.servers();
    told["servers"] = servers.told.clone();
    told["ipc"] = world.ipc().told.clone();
    let _running = (group.name == "processes").then(|| {
        told["victim"] = world.victim().told.clone();
        running_tenant(world)
    });
    told["leak"] = Value::from(std::os::fd::AsRawFd::as_raw_fd(&world.leak));
    told["attacks"] = group.attacks.iter().map(|attack| attack.id).collect();
    for attack in group.attacks {
        world.expose(attack.id);
    }
    if let Some(text) = program.other_tenant {
        told["secret"] = Value::from(world.secret.as_str());
        world.put(&world.two, "tenant.py", &whole(&told, text));
        let done = world.run(&world.two, "python3 tenant.py").unwrap();
        assert_eq!(
            done.exit_code,
            Some(0),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        if let Some(told) = told.as_object_mut() {
            told.remove("secret");
        }
    }
    let text = whole(&told, program.text);
    world.put(&world.one, "attack.py", &text);
    let done = world.run_with(&world.one, "python3 attack.py", &(program.variables)(world));
    let done = match done {
        Ok(done) => done,
        Err(error) => panic!("{}: {:?}: {error}", group.name, world.setting),
    };
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(
        done.exit_code,
        Some(0),
        "{}: {:?}: {stderr}",
        group.name,
        world.setting
    );
    let mut outcomes = parse(&done.stdout, group);
    if outcomes.is_empty() {
        panic!("{}: nothing was said: {stderr}", group.name);
    }
    let without_us = |attack: &&Attack| attack.canary == Canary::FallsWithoutUs;
    if world.setting.level == Isolation::None && group.attacks.iter().any(|a| without_us(&a)) {
        let plain = plain_child(world, group);
        for attack in group.attacks.iter().filter(without_us) {
            let fell =
                matches!(plain.get(attack.id), Some(Outcome::Done(detail)) if tells(world, detail));
            assert!(
                fell,
                "{}: the canary falls in a plain child: {plain:?}",
                attack.id
            );
        }
    }
    outcomes.retain(|id, _| group.attacks.iter().any(|attack| attack.id == *id));
    outcomes
}

/// A command of the other tenant that goes on, with secrets.
fn running_tenant(world: &World) -> BackgroundCommand {
    let options = RunOptions {
        env: vec![("TENANT_TOKEN".into(), Some(world.secret.clone().into()))],
        ..RunOptions::default()
    };
    let text = format!("sleep 60; : tenant-argument:{}", world.secret);
    wait(world.two.spawn(&text, options)).unwrap()
}

/// The same program as a child that the standard library starts.
fn plain_child<'a>(world: &World, group: &Group) -> BTreeMap<&'a str, Outcome> {
    let mut command = Command::new("/usr/bin/python3");
    command.arg("attack.py").current_dir(world.scope("one"));
    command.env_clear().stdin(Stdio::null());
    parse(&command.output().unwrap().stdout, group)
}

fn parse<'a>(stdout: &[u8], group: &Group) -> BTreeMap<&'a str, Outcome> {
    let mut outcomes = BTreeMap::new();
    for line in String::from_utf8_lossy(stdout).lines() {
        let Some(line) = line.strip_prefix("ATTACK\t") else {
            continue;
        };
        let mut fields = line.splitn(3, '\t');
        let (Some(id), Some(outcome)) = (fields.next(), fields.next()) else {
            continue;
        };
        let detail = fields.next().unwrap_or_default().to_owned();
        let known = group.attacks.iter().find(|attack| attack.id == id);
        let known = known.unwrap_or_else(|| panic!("{id} is in no list of {}", group.name));
        let outcome = match outcome {
            "done" => Outcome::Done(detail),
            "skipped" => Outcome::Skipped,
            _ => Outcome::Refused(detail),
        };
        outcomes.insert(known.id, outcome);
    }
    outcomes
}

/// A program with what it is told of the world, and the functions that all of them use.
fn whole(told: &Value, text: &str) -> String {
    let mut whole = String::new();
    let quoted = Value::from(told.to_string());
    let _ = writeln!(whole, "import json\nW = json.loads({quoted})");
    whole.push_str(include_str!("programs/prelude.py"));
    whole.push_str(text);
    whole
}

/// Numbers of system calls on this architecture.
pub fn numbers() -> Value {
    macro_rules! numbers {
        ($($name:ident)*) => {
            Value::from_iter([$((stringify!($name), Value::from(libc::$name))),*])
        };
    }
    numbers!(
        SYS_mount SYS_umount2 SYS_mount_setattr SYS_open_tree SYS_move_mount SYS_fsopen SYS_pivot_root
        SYS_unshare SYS_clone SYS_clone3 SYS_setns SYS_bpf SYS_perf_event_open SYS_io_uring_setup
        SYS_userfaultfd SYS_add_key SYS_keyctl SYS_request_key SYS_open_by_handle_at SYS_name_to_handle_at
        SYS_fanotify_init SYS_kexec_load SYS_init_module SYS_delete_module SYS_syslog SYS_clock_adjtime
        SYS_reboot SYS_swapon SYS_fchmodat2 SYS_process_vm_readv SYS_process_vm_writev SYS_pidfd_open SYS_pidfd_getfd
        SYS_pidfd_send_signal SYS_ptrace SYS_openat SYS_openat2 SYS_renameat2 SYS_mknodat
    )
}

/// What a group owes: the wall holds, and each canary falls where it is down.
pub fn hold(group: &'static Group) {
    if !sandboxes_start() {
        return;
    }
    let seen = seen(group);
    let mut wrong = Vec::new();
    for attack in group.attacks {
        let at = |level: Isolation| seen.get(&(level.as_str(), attack.id)).copied();
        for (level, may) in [
            ("bwrap", attack.open_at_bwrap),
            ("landlock", attack.open_at_landlock),
        ] {
            let verdict = seen.get(&(level, attack.id));
            if verdict == Some(&Verdict::NotStopped) && may.is_none() {
                wrong.push(format!(
                    "{level} does not stop: {} ({})",
                    attack.tries, attack.id
                ));
            }
        }
        let falls = match attack.canary {
            Canary::Falls => true,
            Canary::FallsForRoot => rustix::process::geteuid().is_root(),
            Canary::FallsWithoutUs | Canary::Untried(_) | Canary::Depends(_) => continue,
        };
        if falls && at(Isolation::None) != Some(Verdict::NotStopped) {
            wrong.push(format!(
                "the canary stands without a wall: {} ({})",
                attack.tries, attack.id
            ));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", group.name, wrong.join("\n"));
}
