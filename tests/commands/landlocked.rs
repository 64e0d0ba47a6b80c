//! The level `landlock`: what it keeps inside, each attack beside a canary that falls without the wall, and that
//! nothing outlives its command.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use agent_backend::backend::local::command::{
    CommandOptions, DEFAULT_SCOPE_UID, Isolation, Network,
};
use agent_backend::backend::process::Stdin;
use agent_backend::error::ErrorCode;
use agent_backend::pool;

use super::support::{Done, Fixture, eventually, finish, is_alive, read_number};

/// A fixture whose root belongs to the user that commands run as; `None`, and a word on why, without Landlock.
pub fn fixture() -> Option<Fixture> {
    with(CommandOptions::default())
}

fn with(options: CommandOptions) -> Option<Fixture> {
    let fixture = Fixture::with(CommandOptions {
        isolation: Isolation::Landlock,
        ..options
    });
    // Commands walk to their directory: as another user, where we are root.
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(fixture.root().parent().unwrap(), mode).unwrap();
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

fn ok(done: &Done) -> &str {
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code, Some(0), "{stderr}");
    done.text()
}

#[test]
fn the_directory_can_be_used_and_output_input_and_exit_codes_pass() {
    let Some(fixture) = fixture() else { return };
    let done =
        fixture.run("pwd -P; echo $HOME; echo content > file; mkdir d; mv file d/; cat d/file");
    let root = fixture.root();
    let root = root.to_str().unwrap();
    assert_eq!(ok(&done), format!("{root}\n{root}\ncontent"));
    let data: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
    let input = Stdin::Bytes(data.clone().into());
    let done = fixture.run_with("cat; echo wrong >&2; exit 9", input, &[]);
    assert!(done.stdout == data);
    assert_eq!(done.stderr, b"wrong\n");
    assert_eq!(done.status.code, Some(9));
    assert_eq!(fixture.run("kill -9 $$").status.signal, Some(9));
}

#[test]
fn nothing_outside_can_be_read_written_or_named() {
    let Some(fixture) = fixture() else { return };
    let scope = |name: &str| {
        let path = fixture.root().join(name);
        std::fs::create_dir(&path).unwrap();
        give_away(&path);
        path
    };
    let (one, two) = (scope("one"), scope("two"));
    std::fs::write(two.join("secret"), "of the other\n").unwrap();
    give_away(&two.join("secret"));
    let there = two.display();
    let tries = [
        format!("cat {there}/secret"),
        "cat ../two/secret".to_owned(),
        format!("ls {there}"),
        format!("echo x >> {there}/secret"),
        format!("echo x > {there}/new"),
        format!("mkdir {there}/new"),
        format!("rm {there}/secret"),
        format!("mv {there}/secret ."),
        format!("ln {there}/secret linked"),
        format!("ln -s {there} link && cat link/secret"),
        format!("truncate -s 0 {there}/secret"),
        format!("echo x > made && mv made {there}/new"),
    ];
    for attempt in &tries {
        let done = fixture.run_in(&one, attempt);
        assert_ne!(done.status.code, Some(0), "{attempt}");
        assert!(!done.text().contains("of the other"), "{attempt}");
    }
    assert_eq!(
        std::fs::read(two.join("secret")).unwrap(),
        b"of the other\n"
    );
    assert_eq!(std::fs::read_dir(&two).unwrap().count(), 1);
    // The canary: each works where the other directory is the command's own.
    let open = Fixture::new(Isolation::None);
    assert_eq!(open.run_in(&one, &tries[0]).text(), "of the other");
    assert_eq!(ok(&open.run_in(&one, &tries[4])), "");
    for secret in [
        "cat /etc/shadow",
        "cat /root/.bashrc",
        "ls /sys/kernel",
        "ls /var/log",
        "ls /home",
    ] {
        assert_ne!(fixture.run(secret).status.code, Some(0), "{secret}");
    }
}

#[test]
fn capabilities_privileges_and_foreign_sockets_are_gone() {
    let Some(fixture) = fixture() else { return };
    let status = fixture.run("grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status");
    for line in ok(&status).lines() {
        let (name, value) = line.split_once(":\t").unwrap();
        match name {
            "NoNewPrivs" => assert_eq!(value, "1"),
            "Seccomp" => assert_eq!(value, "2"),
            // An ordinary user has no right to change the bounding set, and gains nothing from it.
            "CapBnd" if !rustix::process::geteuid().is_root() => {}
            _ => assert_eq!(u64::from_str_radix(value, 16).unwrap(), 0, "{line}"),
        }
    }
    let make = |family: &str| {
        let text = format!(
            "python3 -c 'import socket; socket.socket(socket.{family})' 2>/dev/null && echo made"
        );
        fixture.run(&text).text().to_owned()
    };
    assert_eq!(make("AF_INET"), "made");
    for family in ["AF_UNIX", "AF_VSOCK", "AF_ALG"] {
        assert_eq!(make(family), "", "{family}");
    }
    let pair = "python3 -c 'import socket; socket.socketpair(); print(1)'";
    assert_eq!(fixture.run(pair).text(), "1");
}

#[test]
fn without_network_there_are_no_sockets() {
    let Some(fixture) = with(CommandOptions {
        network: Network::None,
        ..CommandOptions::default()
    }) else {
        return;
    };
    let make = "python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)'";
    assert_ne!(fixture.run(make).status.code, Some(0));
    assert_eq!(ok(&fixture.run("echo works")), "works");
}

#[test]
fn what_a_command_leaves_behind_ends_with_it_also_in_sessions_of_its_own() {
    let Some(fixture) = fixture() else { return };
    let leave = "setsid sh -c 'echo $$ > one; exec sleep 60' > /dev/null 2>&1 &
        sh -c 'setsid sh -c \"echo \\$\\$ > two; trap \\\"\\\" TERM; sleep 60\" > /dev/null 2>&1 &'
        while [ ! -s one ] || [ ! -s two ]; do sleep 0.01; done; echo left";
    assert_eq!(ok(&fixture.run(leave)), "left");
    for name in ["one", "two"] {
        let pid = read_number(&fixture.root().join(name)).unwrap();
        assert!(!is_alive(pid), "{name}");
    }
    // The canary: without a wall both live on.
    let open = Fixture::new(Isolation::None);
    assert_eq!(ok(&open.run(leave)), "left");
    let pids = ["one", "two"].map(|name| read_number(&open.root().join(name)).unwrap());
    assert!(pids.iter().all(|pid| is_alive(*pid)));
    for pid in pids {
        let _ = rustix::process::kill_process(
            rustix::process::Pid::from_raw(pid).unwrap(),
            rustix::process::Signal::KILL,
        );
    }
}

#[test]
fn a_kill_ends_what_made_a_session_and_a_signal_reaches_the_command() {
    let Some(fixture) = fixture() else { return };
    let spec = Fixture::spec("setsid sh -c 'echo $$ > pid; sleep 60' & sleep 60");
    let process = fixture.start(spec).unwrap();
    let pid = || read_number(&fixture.root().join("pid"));
    eventually("it started", || pid().is_some());
    process.control.signal(9);
    assert_eq!(finish(process).status.signal, Some(9));
    let pid = pid().unwrap();
    eventually("it is gone", || !is_alive(pid));
    let polite = Fixture::spec(
        "trap 'echo heard; exit 3' USR1; echo ready > ready; while :; do sleep 0.01; done",
    );
    let process = fixture.start(polite).unwrap();
    eventually("it is ready", || fixture.root().join("ready").exists());
    process.control.signal(10);
    let done = finish(process);
    assert_eq!((done.text(), done.status.code), ("heard", Some(3)));
}

#[test]
fn the_end_of_a_scope_ends_its_commands() {
    let Some(fixture) = fixture() else { return };
    let process = fixture.start(Fixture::spec("sleep 60")).unwrap();
    let root = fixture.root();
    let all = fixture.launcher.end_all(root.to_str().unwrap().as_bytes());
    pool::runtime().block_on(all.into_future()).unwrap();
    assert!(finish(process).took < Duration::from_secs(30));
    assert_eq!(fixture.launcher.running_count(), 0);
}

#[test]
fn tmp_is_private_and_the_hosts_is_closed() {
    let Some(fixture) = fixture() else { return };
    assert_eq!(
        ok(&fixture.run("echo kept > $TMPDIR/file && cat $TMPDIR/file")),
        "kept"
    );
    assert_eq!(ok(&fixture.run("cat $TMPDIR/file")), "kept");
    assert_ne!(
        fixture
            .run("echo x > /tmp/agent-backend-landlock")
            .status
            .code,
        Some(0)
    );
    assert!(!Path::new("/tmp/agent-backend-landlock").exists());
}

#[test]
fn what_the_options_name_can_be_used_and_nothing_beside_it() {
    let extra = tempfile::tempdir().unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(extra.path(), mode).unwrap();
    let make = |name: &str| {
        let path = extra.path().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("file"), name).unwrap();
        give_away(&path);
        path
    };
    let (read, write, other) = (make("read"), make("write"), make("other"));
    let Some(fixture) = with(CommandOptions {
        read_only_paths: vec![read.clone()],
        read_write_paths: vec![write.clone()],
        ..CommandOptions::default()
    }) else {
        return;
    };
    assert_eq!(
        fixture.run(&format!("cat {}/file", read.display())).text(),
        "read"
    );
    assert_ne!(
        fixture
            .run(&format!("echo x > {}/new", read.display()))
            .status
            .code,
        Some(0)
    );
    assert_eq!(
        ok(&fixture.run(&format!("echo x > {}/new", write.display()))),
        ""
    );
    assert_eq!(
        fixture.run(&format!("cat {}/file", other.display())).text(),
        ""
    );
}

#[test]
fn where_the_program_cannot_be_started_the_error_says_why() {
    let Some(fixture) = fixture() else { return };
    std::fs::remove_dir(fixture.root()).unwrap();
    let gone = fixture.start_in(Path::new("/usr"), Fixture::spec("true"));
    assert_eq!(gone.unwrap_err().code(), ErrorCode::InvalidConfiguration);
}
