//! The levels without a kernel wall: `none` and `software`.

use std::os::fd::AsRawFd as _;
use std::time::Duration;

use agent_backend::backend::local::command::{CommandOptions, Isolation, Shell};
use agent_backend::backend::process::Stdin;
use agent_backend::error::ErrorCode;
use agent_backend::path::RelPath;
use agent_backend::pool;
use bytes::Bytes;

use super::support::{Fixture, eventually, finish, is_alive, leak, read_number};

fn fixture() -> Fixture {
    Fixture::new(Isolation::None)
}

#[test]
fn a_command_runs_in_the_directory_of_the_handle_and_its_exit_code_is_told() {
    let fixture = fixture();
    std::fs::create_dir(fixture.root().join("sub")).unwrap();
    let mut spec = Fixture::spec("pwd; echo wrong >&2; exit 3");
    spec.cwd = RelPath::parse(b"sub", b"/").unwrap();
    let done = finish(fixture.start(spec).unwrap());
    assert_eq!(done.text(), fixture.root().join("sub").to_str().unwrap());
    assert_eq!(done.stderr, b"wrong\n");
    assert_eq!((done.status.code, done.status.signal), (Some(3), None));
}

#[test]
fn a_signal_that_ends_a_command_is_told() {
    let done = fixture().run("kill -TERM $$");
    assert_eq!((done.status.code, done.status.signal), (None, Some(15)));
}

#[test]
fn the_environment_is_minimal_and_what_the_caller_names() {
    // SAFETY: no other thread of this test reads or writes this variable.
    unsafe { std::env::set_var("HOST_SECRET_OF_THIS_TEST", "leak") };
    let fixture = fixture();
    let done = fixture.run_with("env", Stdin::Null, &[("MINE", Some("1")), ("TMPDIR", None)]);
    let text = done.text();
    assert!(!text.contains("HOST_SECRET_OF_THIS_TEST"), "{text}");
    assert!(text.contains("\nMINE=1\n") || text.starts_with("MINE=1\n"));
    assert!(!text.contains("TMPDIR="));
    assert!(text.contains(&format!("HOME={}", fixture.root().display())));
    let known = [
        "PATH",
        "HOME",
        "PWD",
        "USER",
        "LOGNAME",
        "SHELL",
        "SHLVL",
        "_",
        "TERM",
        "COLORTERM",
        "LANG",
        "LANGUAGE",
        "TZ",
        "XDG_CACHE_HOME",
        "npm_config_cache",
        "PIP_CACHE_DIR",
        "CARGO_HOME",
        "RUSTUP_HOME",
        "MINE",
        "OLDPWD",
    ];
    for line in text.lines() {
        let name = line.split('=').next().unwrap();
        assert!(
            known.contains(&name) || name.starts_with("LC_"),
            "unexpected: {line}"
        );
    }
}

#[test]
fn with_inherit_env_the_hosts_variables_are_there() {
    // SAFETY: no other thread of this test reads or writes this variable.
    unsafe { std::env::set_var("HOST_VARIABLE_OF_THIS_TEST", "here") };
    let fixture = Fixture::with(CommandOptions {
        isolation: Isolation::None,
        inherit_env: true,
        ..CommandOptions::default()
    });
    assert_eq!(
        fixture.run("echo $HOST_VARIABLE_OF_THIS_TEST").text(),
        "here"
    );
}

#[test]
fn no_descriptor_but_the_three_reaches_a_command() {
    let leak = leak();
    let number = leak.as_raw_fd();
    let plain = std::process::Command::new("/bin/sh")
        .args(["-c", &format!("test -e /proc/self/fd/{number}")])
        .status();
    assert!(
        plain.unwrap().success(),
        "the canary falls where the wall is down"
    );
    for level in [Isolation::None, Isolation::Software] {
        let done = Fixture::new(level)
            .run("for fd in /proc/$$/fd/*; do if [ -L $fd ]; then echo ${fd##*/}; fi; done");
        let mut numbers: Vec<&str> = done.text().lines().collect();
        // bash itself moves a descriptor of its own to 255.
        numbers.retain(|number| *number != "255");
        assert_eq!(numbers, ["0", "1", "2"], "{}", level.as_str());
    }
}

#[test]
fn standard_input_is_empty_unless_given_and_never_a_socket() {
    let fixture = fixture();
    assert_eq!(
        fixture.run("cat; readlink /proc/self/fd/0").text(),
        "/dev/null"
    );
    let given = Stdin::Bytes(Bytes::from_static(b"one\0two"));
    assert_eq!(
        fixture.run_with("cat", given.clone(), &[]).stdout,
        b"one\0two"
    );
    let kind = fixture.run_with("readlink /proc/self/fd/0", given, &[]);
    assert!(kind.text().starts_with("pipe:"), "{}", kind.text());
}

#[test]
fn the_workspaces_bashrc_is_not_run() {
    let fixture = fixture();
    for name in [".bashrc", ".bash_profile", ".profile"] {
        std::fs::write(fixture.root().join(name), "echo planted").unwrap();
    }
    let variables = [("SSH_CLIENT", Some("1 2 3")), ("SHLVL", Some("0"))];
    let done = fixture.run_with(
        "echo ran",
        Stdin::Bytes(Bytes::from_static(b"x")),
        &variables,
    );
    assert_eq!(done.text(), "ran");
}

#[test]
fn large_input_and_large_output_at_once_do_not_block_each_other() {
    let data: Vec<u8> = (0..20_000_000u32).map(|n| (n % 251) as u8).collect();
    let done = fixture().run_with("cat", Stdin::Bytes(data.clone().into()), &[]);
    assert!(
        done.stdout == data,
        "binary content comes back as it was sent"
    );
}

#[test]
fn a_command_that_does_not_read_its_input_is_no_error() {
    let data = Bytes::from(vec![b'x'; 5_000_000]);
    let done = fixture().run_with("exit 0", Stdin::Bytes(data), &[]);
    assert_eq!(done.status.code, Some(0));
}

#[test]
fn a_pipe_for_input_is_fed_in_order_and_ended() {
    let fixture = fixture();
    let mut spec = Fixture::spec("cat");
    spec.stdin = Stdin::Pipe;
    let process = fixture.start(spec).unwrap();
    pool::runtime().block_on(async {
        process
            .control
            .write_stdin(Bytes::from_static(b"a"))
            .await
            .unwrap();
        process
            .control
            .write_stdin(Bytes::from_static(b"b"))
            .await
            .unwrap();
        process.control.close_stdin();
        let late = process.control.write_stdin(Bytes::from_static(b"c")).await;
        assert_eq!(late.unwrap_err().code(), ErrorCode::ConnectionClosed);
    });
    assert_eq!(finish(process).stdout, b"ab");
}

#[test]
fn a_text_that_begins_with_a_dash_is_a_command() {
    for shell in [Shell::Bash, Shell::Sh] {
        let fixture = Fixture::with(CommandOptions {
            isolation: Isolation::None,
            shell,
            ..CommandOptions::default()
        });
        let done = fixture.run("-c 'echo no'");
        assert_eq!(done.status.code, Some(127));
        assert_eq!(fixture.run("echo yes").text(), "yes");
    }
}

#[test]
fn a_grandchild_that_keeps_the_pipe_does_not_hold_the_call() {
    let fixture = fixture();
    let done = fixture.run("setsid sleep 30 & echo $! > pid; echo started");
    assert_eq!(done.text(), "started");
    assert!(done.took < Duration::from_secs(5), "{:?}", done.took);
    let chatty =
        fixture.run("setsid sh -c 'while :; do echo noise; done' & echo $! > chatty; exit 4");
    assert_eq!(chatty.status.code, Some(4));
    assert!(chatty.took < Duration::from_secs(5), "{:?}", chatty.took);
    for name in ["pid", "chatty"] {
        let pid = read_number(&fixture.root().join(name)).unwrap();
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(pid).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
    }
}

#[test]
fn a_kill_ends_the_group_and_descendants_in_sessions_of_their_own() {
    let fixture = fixture();
    let script = "sleep 60 & echo $! > a; setsid sleep 60 & echo $! > b; \
                  (setsid sh -c 'sleep 60 & echo $! > c; wait' &) ; sleep 60";
    let process = fixture.start(Fixture::spec(script)).unwrap();
    let file = |name: &str| fixture.root().join(name);
    for name in ["a", "b"] {
        eventually("the children run", || read_number(&file(name)).is_some());
    }
    process.control.signal(9);
    let done = finish(process);
    assert_eq!(done.status.signal, Some(9));
    for name in ["a", "b"] {
        assert!(
            !is_alive(read_number(&file(name)).unwrap()),
            "{name} survived"
        );
    }
    // What forked twice into a session of its own is out of reach without a namespace; it is cleaned up here.
    if let Some(pid) = read_number(&file("c")).and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

#[test]
fn dropping_the_process_ends_it() {
    let fixture = fixture();
    let process = fixture
        .start(Fixture::spec("echo $$ > pid; sleep 60"))
        .unwrap();
    let pid = fixture.root().join("pid");
    eventually("it runs", || read_number(&pid).is_some());
    drop(process);
    let pid = read_number(&pid).unwrap();
    eventually("it is gone", || !is_alive(pid));
    eventually("it is forgotten", || fixture.launcher.running_count() == 0);
}

#[test]
fn ending_a_scope_ends_its_commands_and_those_below_but_no_others() {
    let fixture = fixture();
    let root = fixture.root();
    for scope in ["one/sub", "one-twin"] {
        std::fs::create_dir_all(root.join(scope)).unwrap();
    }
    let start = |scope: &str| {
        fixture
            .start_in(
                &root.join(scope),
                Fixture::spec("echo $$ > pid; exec sleep 60"),
            )
            .unwrap()
    };
    let (ended, kept) = ([start("one"), start("one/sub")], start("one-twin"));
    let pid = |scope: &str| read_number(&root.join(scope).join("pid"));
    for scope in ["one", "one/sub", "one-twin"] {
        eventually("it runs", || pid(scope).is_some());
    }
    let path = root.join("one").into_os_string().into_encoded_bytes();
    pool::runtime()
        .block_on(fixture.launcher.end_all(&path))
        .unwrap();
    assert!(!is_alive(pid("one").unwrap()) && !is_alive(pid("one/sub").unwrap()));
    assert!(is_alive(pid("one-twin").unwrap()));
    drop((ended, kept));
}

#[test]
fn what_a_command_left_in_the_background_lives_on_and_ends_with_its_scope() {
    let fixture = fixture();
    fixture.run("sleep 60 > /dev/null 2>&1 & echo $! > pid");
    let pid = read_number(&fixture.root().join("pid")).unwrap();
    assert!(is_alive(pid));
    let path = fixture.root().into_os_string().into_encoded_bytes();
    pool::runtime()
        .block_on(fixture.launcher.end_all(&path))
        .unwrap();
    assert!(!is_alive(pid));
}

#[test]
fn a_command_longer_than_the_system_takes_says_what_to_do() {
    let error = fixture()
        .start(Fixture::spec(&format!(": {}", "x".repeat(3 << 20))))
        .unwrap_err();
    assert_eq!(error.code(), ErrorCode::ExecError);
    assert!(error.message().contains("write it to a file"), "{error}");
}

#[test]
fn sixteen_commands_at_once_all_end_with_their_own_output() {
    let fixture = fixture();
    std::thread::scope(|scope| {
        let fixture = &fixture;
        let threads: Vec<_> = (0..16)
            .map(|n| scope.spawn(move || fixture.run(&format!("sleep 0.1; echo {n}; exit {n}"))))
            .collect();
        for (n, thread) in (0..).zip(threads) {
            let done = thread.join().unwrap();
            assert_eq!(
                (done.text(), done.status.code),
                (n.to_string().as_str(), Some(n))
            );
        }
    });
}

#[test]
fn caches_and_temporary_files_stay_out_of_the_workspace_and_last() {
    let fixture = fixture();
    fixture.run("echo kept > $TMPDIR/file; mkdir -p $npm_config_cache $XDG_CACHE_HOME/x");
    assert_eq!(fixture.run("cat $TMPDIR/file").text(), "kept");
    assert_eq!(std::fs::read_dir(fixture.root()).unwrap().count(), 0);
    assert!(
        fixture
            .run("echo $TMPDIR")
            .text()
            .starts_with(fixture.state().to_str().unwrap())
    );
}

#[test]
fn a_stopped_reader_holds_the_command_and_not_the_memory() {
    let fixture = fixture();
    let process = fixture
        .start(Fixture::spec(
            "head -c 50000000 /dev/zero; echo done > finished",
        ))
        .unwrap();
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        !fixture.root().join("finished").exists(),
        "it must wait for its reader"
    );
    assert_eq!(finish(process).stdout.len(), 50_000_000);
}

#[test]
fn a_level_without_a_wall_cannot_promise_a_network_without_the_host() {
    let options = CommandOptions {
        isolation: Isolation::None,
        network: agent_backend::backend::local::command::Network::None,
        ..CommandOptions::default()
    };
    let error = agent_backend::backend::local::command::Launcher::new(options).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
}
