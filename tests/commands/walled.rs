//! The level `bwrap`: what a command sees and can do, each attack beside a canary that falls without the wall.

use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent_backend::backend::local::command::{
    CommandOptions, DEFAULT_SCOPE_UID, Isolation, Network, Place, ScopeKey,
};
use agent_backend::backend::process::Stdin;
use agent_backend::error::ErrorCode;
use agent_backend::pool;

use super::support::{Done, Fixture, eventually, finish, handle, leak, try_finish};

/// A fixture whose root belongs to the user that commands run as; `None`, and a word on why, where no sandbox starts.
pub fn fixture() -> Option<Fixture> {
    with(CommandOptions::default())
}

pub fn with(options: CommandOptions) -> Option<Fixture> {
    let fixture = Fixture::with(CommandOptions {
        isolation: Isolation::Bwrap,
        ..options
    });
    if let Err(error) = fixture.launcher.isolation() {
        crate::skip::skip(&error.to_string());
        return None;
    }
    give_away(&fixture.root());
    Some(fixture)
}

fn give_away(path: &Path) {
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(path, Some(DEFAULT_SCOPE_UID), Some(DEFAULT_SCOPE_UID)).unwrap();
    }
}

fn scope(fixture: &Fixture, name: &str) -> PathBuf {
    let path = fixture.root().join(name);
    std::fs::create_dir_all(&path).unwrap();
    give_away(&path);
    path
}

fn ok(done: &Done) -> &str {
    assert_eq!(
        done.status.code,
        Some(0),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    done.text()
}

#[test]
fn the_directory_has_the_path_that_the_api_uses_and_can_be_written() {
    let Some(fixture) = fixture() else { return };
    let done = fixture.run("pwd; pwd -P; echo $HOME; echo content > file; cat file");
    let root = fixture.root();
    let root = root.to_str().unwrap();
    assert_eq!(ok(&done), format!("{root}\n{root}\n{root}\ncontent"));
    assert_eq!(
        std::fs::read(fixture.root().join("file")).unwrap(),
        b"content\n"
    );
}

#[test]
fn exit_codes_output_and_input_pass_the_wall() {
    let Some(fixture) = fixture() else { return };
    let data: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let done = fixture.run_with(
        "cat; echo wrong >&2; exit 9",
        Stdin::Bytes(data.clone().into()),
        &[],
    );
    assert!(done.stdout == data);
    assert_eq!(
        (done.stderr.as_slice(), done.status.code),
        (&b"wrong\n"[..], Some(9))
    );
    assert_eq!(fixture.run("exit 1").status.code, Some(1));
}

#[test]
fn a_command_runs_as_the_owner_of_the_scope() {
    let Some(fixture) = fixture() else { return };
    let done = fixture.run("id -u; id -un; touch made");
    let expected = std::fs::metadata(fixture.root()).unwrap().uid();
    assert_eq!(ok(&done).lines().next().unwrap(), expected.to_string());
    if rustix::process::geteuid().is_root() {
        assert_eq!(done.text().lines().nth(1), Some("agent"));
    }
    assert_eq!(
        std::fs::metadata(fixture.root().join("made"))
            .unwrap()
            .uid(),
        expected
    );
    let runs_as = fixture.launcher.runs_as(handle(&fixture.root())).unwrap();
    assert_eq!(runs_as.uid, expected);
}

#[test]
fn another_tenant_and_the_host_are_invisible() {
    let Some(fixture) = fixture() else { return };
    let (one, two) = (scope(&fixture, "users/1"), scope(&fixture, "users/2"));
    std::fs::write(two.join("secret"), "theirs").unwrap();
    std::fs::set_permissions(two.join("secret"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let read = format!("cat {}/secret 2>/dev/null || echo unseen", two.display());
    let open = Fixture::new(Isolation::None).run(&read);
    assert_eq!(
        open.text(),
        "theirs",
        "the canary falls where the wall is down"
    );
    assert_eq!(ok(&fixture.run_in(&one, &read)), "unseen");
    let listing = fixture.run_in(
        &one,
        "ls -A ..; ls -A / | tr '\\n' ' '; ls /root /home /work 2>&1 | grep -c 'No such'",
    );
    let mut lines = listing.text().lines();
    assert_eq!(
        lines.next(),
        Some("1"),
        "of the parent only the way down is there"
    );
}

#[test]
fn the_system_cannot_be_written() {
    let Some(fixture) = fixture() else { return };
    for path in [
        "/usr/x",
        "/etc/x",
        "/bin/x",
        "/x",
        "/dev/x",
        "/var/x",
        "/run/x",
        "/proc/sys/kernel/core_pattern",
    ] {
        let done = fixture.run(&format!("echo x > {path}"));
        assert_ne!(done.status.code, Some(0), "{path} was written");
    }
    let mounted = fixture.run("mount -o remount,rw,bind /usr; unshare -Ur true; echo $?");
    assert_ne!(mounted.text(), "0");
}

#[test]
fn host_processes_are_invisible_and_nothing_leaks_through_the_first_process() {
    let Some(fixture) = fixture() else { return };
    let done = fixture.run_with(
        "ls -d /proc/[0-9]* | wc -l; cat /proc/1/environ | tr '\\0' '\\n' | wc -c; tr '\\0' ' ' < /proc/1/cmdline",
        Stdin::Null,
        &[("TOKEN", Some("hunter2"))],
    );
    let mut lines = done.text().lines();
    let processes: usize = lines.next().unwrap().parse().unwrap();
    assert!(processes < 10, "{processes} processes are visible");
    assert_eq!(lines.next(), Some("0"));
    let line = lines.next().unwrap();
    assert!(
        !line.contains("hunter2") && !line.contains("--bind"),
        "{line}"
    );
    // The child itself has it.
    let done = fixture.run_with("echo $TOKEN", Stdin::Null, &[("TOKEN", Some("hunter2"))]);
    assert_eq!(ok(&done), "hunter2");
}

#[test]
fn the_command_line_that_the_host_sees_holds_no_variable() {
    let Some(fixture) = fixture() else { return };
    let mut spec = Fixture::spec("sleep 5");
    spec.env = vec![("TOKEN".into(), Some("hunter2".into()))];
    let process = fixture.start(spec).unwrap();
    let pid = process.control.pid();
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    for text in [line, environment] {
        assert!(!String::from_utf8_lossy(&text).contains("hunter2"));
    }
}

#[test]
fn no_descriptor_of_ours_reaches_the_command() {
    let Some(fixture) = fixture() else { return };
    let leak = leak();
    assert!(leak.as_raw_fd() > 2);
    let done = fixture.run(
        "for fd in /proc/$$/fd/*; do if [ -L $fd ]; then echo ${fd##*/} $(readlink $fd); fi; done",
    );
    for line in ok(&done).lines() {
        let number = line.split(' ').next().unwrap();
        assert!(["0", "1", "2", "255"].contains(&number), "{line}");
    }
}

#[test]
fn capabilities_are_gone_and_privileges_cannot_be_gained() {
    let Some(fixture) = fixture() else { return };
    let done =
        fixture.run("grep -E '^(CapEff|CapPrm|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status");
    let text = ok(&done);
    for line in text.lines().filter(|line| line.starts_with("Cap")) {
        assert!(line.ends_with("0000000000000000"), "{line}");
    }
    assert!(
        text.contains("NoNewPrivs:\t1") && text.contains("Seccomp:\t2"),
        "{text}"
    );
}

#[test]
fn a_tree_that_root_owns_runs_as_root_without_capabilities() {
    if !rustix::process::geteuid().is_root() {
        return; // There is no such case for an ordinary user.
    }
    let Some(fixture) = fixture() else { return };
    std::os::unix::fs::chown(fixture.root(), Some(0), Some(0)).unwrap();
    let done = fixture.run("id -u; grep ^CapEff /proc/self/status; echo x > /proc/sys/kernel/core_pattern || echo refused; cat /proc/kcore | head -c1 | wc -c; echo h > /proc/sysrq-trigger || echo refused");
    assert_eq!(
        done.text(),
        "0\nCapEff:\t0000000000000000\nrefused\n0\nrefused"
    );
}

#[test]
fn a_crash_leaves_no_core_dump() {
    let Some(fixture) = fixture() else { return };
    let limits = fixture.run("grep core /proc/self/limits");
    // 1 keeps the kernel from starting the program of a core pattern; 0 does not.
    let words: Vec<&str> = ok(&limits).split_whitespace().skip(4).take(2).collect();
    assert!(words == ["1", "1"] || words == ["0", "0"], "{words:?}");
}

#[test]
fn set_user_id_bits_cannot_be_made() {
    let Some(fixture) = fixture() else { return };
    let script = "cp /bin/true t; chmod 4755 t && echo chmod; chmod g+s t && echo setgid; \
                  python3 -c 'import os; os.open(\"u\", os.O_CREAT|os.O_WRONLY, 0o4755)' 2>/dev/null && echo open; \
                  mkdir -m 2775 d 2>/dev/null; stat -c %a t; chmod 755 t && stat -c %a t";
    let done = fixture.run(script);
    let text = done.text();
    assert!(
        !text.contains("chmod") && !text.contains("setgid") && !text.contains("open"),
        "{text}"
    );
    assert!(text.ends_with("755"), "{text}");
    let open =
        Fixture::new(Isolation::None).run("cp /bin/true t; chmod 4755 t && echo chmod; rm -f t");
    assert_eq!(
        open.text(),
        "chmod",
        "the canary falls where the wall is down"
    );
}

#[test]
fn tmp_is_private_lasts_between_commands_and_is_not_shared_between_scopes() {
    let Some(fixture) = fixture() else { return };
    let (one, two) = (scope(&fixture, "one"), scope(&fixture, "two"));
    ok(&fixture.run_in(&one, "echo mine > /tmp/file; echo c > $XDG_CACHE_HOME/c"));
    assert!(!Path::new("/tmp/file").exists());
    assert_eq!(
        ok(&fixture.run_in(&one, "cat /tmp/file /var/tmp/file $XDG_CACHE_HOME/c")),
        "mine\nmine\nc"
    );
    assert_eq!(
        ok(&fixture.run_in(&two, "ls -A /tmp | grep -v '^\\.tmp' | wc -l")),
        "0"
    );
    // Forgotten with its scope: whoever takes the name starts anew.
    let key = ScopeKey::of(handle(&one)).unwrap();
    fixture.launcher.forget(&key).unwrap();
    assert_ne!(fixture.run_in(&one, "cat /tmp/file").status.code, Some(0));
}

#[test]
fn a_scope_exchanged_for_a_link_after_it_was_opened_stays_what_it_was() {
    let Some(fixture) = fixture() else { return };
    let (one, two) = (scope(&fixture, "one"), scope(&fixture, "two"));
    std::fs::write(two.join("secret"), "theirs").unwrap();
    let place = Place {
        root: handle(&one),
        cwd: handle(&one),
        root_path: one.as_os_str().as_bytes().to_vec(),
        cwd_path: one.as_os_str().as_bytes().to_vec(),
    };
    std::fs::write(one.join("mine"), "mine").unwrap();
    std::fs::rename(&one, fixture.root().join("moved")).unwrap();
    symlink(&two, &one).unwrap();
    let process = pool::runtime()
        .block_on(fixture.launcher.spawn(place, Fixture::spec("ls")))
        .unwrap();
    // As root the handle itself is mounted; else bubblewrap notices the exchange and runs nothing.
    match try_finish(process) {
        Ok(done) => assert_eq!(done.text(), "mine"),
        Err(error) => assert_eq!(error.code(), ErrorCode::ExecError),
    }
}

#[test]
fn a_scope_below_a_directory_that_the_commands_user_may_not_enter_is_mounted_all_the_same() {
    let Some(fixture) = fixture() else { return };
    std::fs::create_dir(fixture.root().join("closed")).unwrap();
    let inner = scope(&fixture, "closed/inner");
    std::fs::set_permissions(
        fixture.root().join("closed"),
        std::fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    assert_eq!(ok(&fixture.run_in(&inner, "pwd")), inner.to_str().unwrap());
}

#[test]
fn a_kill_ends_what_made_a_session_and_forked_twice() {
    let Some(fixture) = fixture() else { return };
    let marker = format!("86{}", std::process::id());
    let script = format!(
        "(setsid sh -c 'sleep {marker} & sleep {marker} & wait' &); echo up > up; sleep {marker}"
    );
    let process = fixture.start(Fixture::spec(&script)).unwrap();
    let count = || {
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        entries
            .filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok())
            .filter(|line| {
                line.starts_with(b"sleep\0") && line.ends_with(format!("{marker}\0").as_bytes())
            })
            .count()
    };
    eventually("all three sleep", || count() == 3);
    process.control.signal(9);
    finish(process);
    assert_eq!(count(), 0);
}

#[test]
fn what_a_command_leaves_behind_ends_with_it() {
    let Some(fixture) = fixture() else { return };
    let marker = format!("87{}", std::process::id());
    let done = fixture.run(&format!("setsid sleep {marker} & echo started"));
    assert_eq!(ok(&done), "started");
    assert!(done.took < Duration::from_secs(5), "{:?}", done.took);
    let left = std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
        std::fs::read(entry.path().join("cmdline"))
            .is_ok_and(|line| line.ends_with(format!("{marker}\0").as_bytes()))
    });
    assert!(!left);
}

#[test]
fn a_signal_reaches_the_command_inside() {
    let Some(fixture) = fixture() else { return };
    let script =
        "trap 'echo caught; exit 5' TERM; echo ready > ready; while :; do sleep 0.05; done";
    let process = fixture.start(Fixture::spec(script)).unwrap();
    eventually("it runs", || fixture.root().join("ready").exists());
    process.control.signal(15);
    let done = finish(process);
    assert_eq!((done.text(), done.status.code), ("caught", Some(5)));
}

#[test]
fn without_network_there_is_only_a_loopback_of_its_own() {
    let Some(fixture) = with(CommandOptions {
        network: Network::None,
        ..CommandOptions::default()
    }) else {
        return;
    };
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connect = format!(
        "(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo reached || echo unreachable"
    );
    assert_eq!(fixture.run(&connect).text(), "unreachable");
    assert_eq!(
        Fixture::new(Isolation::None).run(&connect).text(),
        "reached",
        "the canary falls without the wall"
    );
}
