//! Version 2, as far as this machine has it: without controllers, where version 1 holds them.

use super::*;

/// The groups of version 2 alone, as a machine without version 1 has them.
pub(super) fn found() -> Option<&'static Cgroups> {
    let groups = mounts::own_groups().unwrap();
    let own = groups.iter().find(|group| group.version == Version::V2)?;
    let opened = hierarchy::open(own).ok()?;
    Some(Box::leak(Box::new(Cgroups::of(vec![opened], &[]))))
}

#[test]
fn version_two_counts_and_kills_without_any_controller() {
    let Some(found) = found().filter(|found| found.has(Feature::Kill)) else {
        eprintln!("skipped: no writable groups of version 2");
        return;
    };
    let scope = Group::create(found, None, limits(), &[Feature::Kill]).unwrap();
    scope.allow_children().unwrap();
    let features = [Feature::Kill, Feature::CpuTime];
    let group = Group::create(found, Some(&Arc::new(scope)), limits(), &features).unwrap();
    let text = "for ((i = 0; i < 100000; i++)); do :; done; setsid sleep 60 & sleep 60";
    let mut child = start(&group, text);
    let paths = directories(&group);
    eventually("it computed", || group.events().cpu_usec > 10_000);
    eventually("its children", || files::processes(&paths[0]).len() >= 3);
    group.kill().unwrap();
    assert!(files::processes(&paths[0]).is_empty());
    child.wait().unwrap();
    drop(group);
    eventually("the directory is gone", || !paths[0].exists());
    if !found.has(Feature::Memory) {
        let bounds = GroupLimits {
            memory_bytes: Some(1 << 20),
            ..limits()
        };
        let refused = Group::create(found, None, bounds, &[]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
    }
    std::fs::remove_dir(&found.hierarchies[0].base).unwrap();
}

/// Where [`only_a_group_that_was_given_to_us_is_divided`] says which group its other half is in.
const DELEGATED: &str = "AGENT_BACKEND_TEST_DELEGATED";

#[test]
fn only_a_group_that_was_given_to_us_is_divided() {
    if let Some(group) = std::env::var_os(DELEGATED) {
        return in_a_delegated_group(std::path::Path::new(&group));
    }
    let groups = mounts::own_groups().unwrap();
    let own = groups.iter().find(|group| group.version == Version::V2);
    let unused = format!("test-{}", std::process::id());
    let Some(group) = own.map(|own| own.directory.join(unused)) else {
        return;
    };
    if std::fs::create_dir(&group).is_err() {
        eprintln!("skipped: no writable groups of version 2");
        return;
    }
    assert!(!base::is_given_to_us(&group), "nobody gave it to root");
    base::mark(&group).unwrap();
    assert!(base::is_given_to_us(&group));
    let entry = group.join("cgroup.procs");
    let run = |before: &str| {
        let test = "sys::linux::cgroup::tests::second_version::only_a_group_that_was_given_to_us_is_divided";
        let program = std::env::current_exe().unwrap();
        let text = format!(
            "{before} echo $$ > {}; exec {} --exact {test} --test-threads 1",
            entry.display(),
            program.display()
        );
        let mut command = Command::new("/bin/bash");
        let ran = command.args(["-c", &text]).env(DELEGATED, &group).output();
        let ran = ran.unwrap();
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
    };
    run("");
    let leaf = group.join("own");
    assert!(leaf.is_dir(), "it stepped aside");
    std::fs::remove_dir(&leaf).unwrap();
    // With a stranger in the group nobody is moved.
    let sleeping = format!(
        "sleep 60 & echo $! > {}; trap 'kill $! 2>/dev/null' EXIT;",
        entry.display()
    );
    let stranger = Command::new("/bin/bash")
        .args(["-c", &format!("{sleeping} wait")])
        .spawn();
    let mut stranger = stranger.unwrap();
    eventually("a stranger", || !files::processes(&group).is_empty());
    run("");
    assert!(!leaf.exists());
    let members = files::processes(&group);
    for pid in members
        .into_iter()
        .filter_map(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    stranger.wait().unwrap();
    eventually("the group can go", || std::fs::remove_dir(&group).is_ok());
}

/// The other half, as a process in that group.
fn in_a_delegated_group(group: &std::path::Path) {
    let alone = files::processes(group).len() == 1;
    assert_eq!(base::step_aside(group).unwrap(), alone);
}
