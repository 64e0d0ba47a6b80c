//! Groups with real processes in them, where this machine lets us make some. As root these run here; elsewhere each says
//! why it does not.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::sys::linux::spawn::{Ended, SpawnRequest, spawn};

mod second_version;

/// The groups of this machine, if they can do all that a test needs.
fn groups(features: &[Feature]) -> Option<&'static Cgroups> {
    let found = Cgroups::probe();
    let missing = features.iter().any(|feature| !found.has(*feature));
    if missing {
        eprintln!("skipped: {}", found.support().reason);
    }
    (!missing).then_some(found)
}

/// Starts a shell text that joins the group first, as the launcher does: it inherits the descriptors.
fn start(group: &Group, text: &str) -> Child {
    let entries = group.entries().unwrap();
    let mut joined = String::new();
    for entry in &entries {
        rustix::io::fcntl_setfd(entry, rustix::io::FdFlags::empty()).unwrap();
        joined += &format!("echo 0 >&{};", entry.as_raw_fd());
    }
    let child = Command::new("/bin/bash")
        .args(["-c", &format!("{joined} {text}")])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    drop(entries);
    child.unwrap()
}

#[test]
fn a_program_is_in_its_group_before_anything_of_it_runs() {
    let all = [Some(Cgroups::probe()), second_version::found()];
    for found in all.into_iter().flatten() {
        if !found.has(Feature::Kill) {
            continue;
        }
        let group = Group::create(found, None, limits(), &[Feature::Kill]).unwrap();
        let entries = group.entries().unwrap();
        let join: Vec<_> = entries.iter().map(AsFd::as_fd).collect();
        let null = File::open("/dev/null").unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        let child = spawn(&SpawnRequest {
            program: c"/bin/cat",
            arguments: &[c"cat".to_owned(), c"/proc/self/cgroup".to_owned()],
            environment: &[],
            directory: None,
            descriptors: &[null.as_fd(), writer.as_fd()],
            join: &join,
            limits: &[],
        });
        drop(writer);
        let said = std::io::read_to_string(reader).unwrap();
        assert_eq!(child.unwrap().reap().unwrap(), Ended::Code(0));
        for directory in directories(&group) {
            let name = directory.file_name().unwrap().to_str().unwrap();
            let base = directory.parent().unwrap().file_name().unwrap();
            let end = format!("/{}/{name}\n", base.to_str().unwrap());
            assert!(said.contains(&end), "{end} in {said}");
        }
        drop(group);
        if !std::ptr::eq(found, Cgroups::probe()) {
            std::fs::remove_dir(&found.hierarchies[0].base).unwrap();
        }
    }
}

fn limits() -> GroupLimits {
    GroupLimits::default()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn directories(group: &Group) -> Vec<std::path::PathBuf> {
    group.paths()
}

#[test]
fn what_does_not_work_has_a_reason() {
    let support = Cgroups::probe().support();
    let all = [
        support.memory,
        support.processes,
        support.cpu,
        support.cpu_time,
        support.kill,
    ];
    assert_eq!(all.contains(&None), !support.reason.is_empty());
    let nothing = Cgroups::of(Vec::new(), &[]);
    assert!(!nothing.has(Feature::Kill));
    assert!(nothing.support().reason.contains("no control groups"));
}

#[test]
fn more_processes_than_the_bound_are_refused_and_counted() {
    let Some(found) = groups(&[Feature::Processes, Feature::Kill]) else {
        return;
    };
    let bounds = GroupLimits {
        processes: Some(4),
        ..limits()
    };
    let group = Group::create(found, None, bounds, &[Feature::Kill]).unwrap();
    assert_eq!(group.events(), Exceeded::default());
    // Eight sleepers at most; the shell itself gives up at the first refusal.
    let text = "for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait";
    let mut child = start(&group, text);
    eventually("a refusal", || group.events().processes > 0);
    assert!(group.count().unwrap() <= 4);
    group.kill().unwrap();
    let _ = child.kill();
    child.wait().unwrap();
}

#[test]
fn too_much_memory_kills_and_is_counted() {
    let Some(found) = groups(&[Feature::Memory]) else {
        return;
    };
    let bounds = GroupLimits {
        memory_bytes: Some(32 << 20),
        ..limits()
    };
    let group = Group::create(found, None, bounds, &[]).unwrap();
    // Asks for 128 MiB, no more.
    let hog = "exec head -c 134217728 /dev/zero | tail -c 134217728 > /dev/null";
    let mut child = start(&group, hog);
    child.wait().unwrap();
    assert!(group.events().memory > 0, "{:?}", group.events());
    // The same within the bound.
    let bounds = GroupLimits {
        memory_bytes: Some(256 << 20),
        ..limits()
    };
    let roomy = Group::create(found, None, bounds, &[]).unwrap();
    assert!(start(&roomy, hog).wait().unwrap().success());
    assert_eq!(roomy.events().memory, 0);
}

#[test]
fn computing_is_counted_also_of_processes_that_have_ended() {
    let Some(found) = groups(&[Feature::CpuTime]) else {
        return;
    };
    let group = Group::create(found, None, limits(), &[Feature::CpuTime]).unwrap();
    let text = "bash -c 'for ((i = 0; i < 100000; i++)); do :; done'";
    assert!(start(&group, text).wait().unwrap().success());
    let used = group.events().cpu_usec;
    assert!((10_000..30_000_000).contains(&used), "{used}");
}

#[test]
fn a_share_of_the_processors_is_no_more_than_that() {
    let Some(found) = groups(&[Feature::Cpu, Feature::CpuTime]) else {
        return;
    };
    let bounds = GroupLimits {
        cpus: Some(0.1),
        ..limits()
    };
    let group = Group::create(found, None, bounds, &[Feature::CpuTime]).unwrap();
    let begun = Instant::now();
    let mut child = start(&group, "timeout 1 bash -c 'while :; do :; done'");
    child.wait().unwrap();
    let share = Duration::from_micros(group.events().cpu_usec).as_secs_f64()
        / begun.elapsed().as_secs_f64();
    assert!(share < 0.3, "{share}");
}

#[test]
fn a_kill_reaches_what_called_setsid_and_the_directories_go_with_the_group() {
    let Some(found) = groups(&[Feature::Kill]) else {
        return;
    };
    let group = Group::create(found, None, limits(), &[Feature::Kill]).unwrap();
    let paths = directories(&group);
    assert!(paths.iter().all(|path| path.is_dir()));
    let mut child = start(
        &group,
        "setsid bash -c '(setsid sleep 60 &) ; sleep 60' & exit 0",
    );
    child.wait().unwrap();
    let members = || -> Vec<i32> {
        (paths.iter())
            .flat_map(|path| files::processes(path))
            .collect()
    };
    eventually("the survivors", || members().len() >= 2);
    let survivors = members();
    group.kill().unwrap();
    for pid in survivors {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z"), "{state}");
    }
    drop(group);
    eventually("the directories are gone", || {
        paths.iter().all(|path| !path.exists())
    });
}

#[test]
fn the_directories_of_a_group_with_processes_go_when_these_are_gone() {
    let Some(found) = groups(&[Feature::Kill]) else {
        return;
    };
    let group = Group::create(found, None, limits(), &[Feature::Kill]).unwrap();
    let paths = directories(&group);
    let mut child = start(&group, "exec sleep 60");
    eventually("it joined", || {
        paths.iter().all(|path| !files::processes(path).is_empty())
    });
    drop(group);
    assert!(paths.iter().all(|path| path.is_dir()));
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("the directories are gone", || {
        paths.iter().all(|path| !path.exists())
    });
}

#[test]
fn what_a_scope_bounds_holds_for_all_its_commands_together() {
    let Some(found) = groups(&[Feature::Processes, Feature::Kill]) else {
        return;
    };
    let bounds = GroupLimits {
        processes: Some(6),
        ..limits()
    };
    let scope = Arc::new(Group::create(found, None, bounds, &[]).unwrap());
    scope.allow_children().unwrap();
    let own = GroupLimits {
        processes: Some(100),
        ..limits()
    };
    let command = || Group::create(found, Some(&scope), own, &[Feature::Kill]).unwrap();
    let (one, two) = (command(), command());
    let mut first = start(&one, "sleep 60 & sleep 60 & sleep 60 & wait");
    eventually("the first has its processes", || one.count() == Some(4));
    let mut second = start(&two, "for i in 1 2 3 4 5 6; do sleep 60 & done; wait");
    eventually("the second is refused one", || {
        two.events().processes + two.refused_above() > 0
    });
    assert!(scope.count().unwrap() <= 6);
    assert!(one.is_largest());
    for (group, child) in [(&one, &mut first), (&two, &mut second)] {
        group.kill().unwrap();
        let _ = child.kill();
        child.wait().unwrap();
    }
    let paths = directories(&scope);
    drop((one, two, scope));
    eventually("all directories are gone", || {
        paths.iter().all(|path| !path.exists())
    });
}

#[test]
fn a_processor_share_above_that_of_the_scope_is_taken_down_to_it() {
    let Some(found) = groups(&[Feature::Cpu]) else {
        return;
    };
    let cpus = |cpus| GroupLimits {
        cpus: Some(cpus),
        ..limits()
    };
    let scope = Arc::new(Group::create(found, None, cpus(0.5), &[]).unwrap());
    scope.allow_children().unwrap();
    Group::create(found, Some(&scope), cpus(4.0), &[]).unwrap();
}

#[test]
fn what_a_killed_process_left_is_swept_and_what_a_living_one_has_is_not() {
    let Some(found) = groups(&[Feature::Kill]) else {
        return;
    };
    let above = found.hierarchies[0].base.parent().unwrap();
    let pid_max = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
    let nobody: u64 = pid_max.trim().parse::<u64>().unwrap() + 1;
    let stale = above.join(format!("agent-backend-{nobody}-00"));
    std::fs::create_dir_all(stale.join("3/17")).unwrap();
    // Of one whose number means nothing here, the lock tells that it lives.
    let held = above.join(format!("agent-backend-{nobody}-01"));
    std::fs::create_dir(&held).unwrap();
    let lock = std::fs::File::open(&held).unwrap();
    let exclusive = rustix::fs::FlockOperation::NonBlockingLockExclusive;
    rustix::fs::flock(&lock, exclusive).unwrap();
    base::sweep(above);
    assert!(!stale.exists());
    assert!(held.exists());
    assert!(found.hierarchies[0].base.exists());
    drop(lock);
    base::sweep(above);
    assert!(!held.exists());
}

#[test]
fn what_a_group_costs() {
    let Some(found) = groups(&[Feature::Memory, Feature::Processes, Feature::Cpu]) else {
        return;
    };
    let bounds = GroupLimits {
        memory_bytes: Some(1 << 30),
        processes: Some(100),
        cpus: Some(1.0),
    };
    let mut samples: Vec<Duration> = (0..200)
        .map(|_| {
            let begun = Instant::now();
            let group = Group::create(found, None, bounds, &[Feature::CpuTime]).unwrap();
            let entries: Vec<OwnedFd> = group.entries().unwrap();
            assert!(entries.iter().all(|entry| entry.as_fd().as_raw_fd() > 2));
            drop(entries);
            drop(group);
            begun.elapsed()
        })
        .collect();
    samples.sort_unstable();
    eprintln!(
        "a group with memory, processes, cpu and cpu time: median {:?}, 95 % {:?}",
        samples[100], samples[190]
    );
    assert!(
        samples[100] < Duration::from_millis(20),
        "{:?}",
        samples[100]
    );
}
