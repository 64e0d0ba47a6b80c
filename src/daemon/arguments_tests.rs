//! Every flag of the daemon, and every way to write one wrong.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::backend::limits::{Limits, ScopeLimits};
use crate::backend::local::command::{Isolation, Shell};
use crate::error::ErrorCode;

fn read(line: &str) -> Result<Request> {
    parse_with(line.split_whitespace().map(OsString::from), &|_| None)
}

fn options(line: &str) -> DaemonOptions {
    match read(line) {
        Ok(Request::Serve(options)) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

fn complaint(arguments: &[&str]) -> String {
    let error = parse(arguments.iter().map(OsString::from)).expect_err("it is wrong");
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
    let text = error.to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
    text
}

#[test]
fn only_the_root_and_the_transport_must_be_named() {
    let expected = DaemonOptions {
        root_dir: "d".into(),
        ..DaemonOptions::default()
    };
    assert_eq!(options("--rootDir d"), expected);
    assert!(options("--rootDir d --local-only").local_only);
}

#[test]
fn every_flag_is_read_in_any_order_and_both_spellings() {
    let expected = DaemonOptions {
        root_dir: "/w".into(),
        scope_path: Some(b"users/1".to_vec()),
        policy_file: Some("/etc/p.json".into()),
        commands: CommandFlags {
            isolation: Isolation::Software,
            shell: Shell::Sh,
            ..CommandFlags::default()
        },
        backend_kind: ServedBackend::Memory,
        local_only: true,
        ..DaemonOptions::default()
    };
    for line in [
        "--rootDir /w --scopePath users/1 --isolation software --shell sh --backend memory --policy-file /etc/p.json --local-only",
        "--local-only --policyFile=/etc/p.json --backend=memory --shell=sh --isolation=software --scopePath=users/1 --rootDir=/w",
        "--root-dir /w --scope-path users/1 --policy-file=/etc/p.json --isolation software --shell sh --backend memory --local-only",
    ] {
        assert_eq!(options(line), expected, "{line}");
    }
}

#[test]
fn a_path_is_bytes_not_text() {
    let path = OsString::from_vec(b"--rootDir=/\xff=x".to_vec());
    let Ok(Request::Serve(options)) = parse([path]) else {
        panic!("it is a path");
    };
    assert_eq!(options.root_dir.as_os_str().as_bytes(), b"/\xff=x");
}

#[test]
fn a_path_that_begins_with_a_dash_is_given_after_an_equals_sign() {
    assert_eq!(
        options("--rootDir=--local-only").root_dir,
        PathBuf::from("--local-only")
    );
    assert!(complaint(&["--rootDir", "--local-only"]).starts_with("--rootDir needs a value"));
}

#[test]
fn help_is_given_before_anything_is_missing() {
    for line in ["--help", "-h", "--local-only --help"] {
        assert_eq!(read(line).unwrap(), Request::Help, "{line}");
    }
}

#[test]
fn what_is_wrong_is_said_with_the_flag_and_what_is_allowed() {
    for (arguments, expected) in [
        (&["--local-only"][..], "--rootDir is missing"),
        (&["--rootDir"], "--rootDir needs a value, a directory"),
        (&["--rootDir="], "--rootDir needs a value"),
        (&["--rootDir", ""], "--rootDir needs a value"),
        (
            &["--isolation", "chroot"],
            "--isolation must be auto, bwrap, landlock, software or none, not \"chroot\"",
        ),
        (
            &["--isolation"],
            "--isolation needs a value, auto, bwrap, landlock, software or none",
        ),
        (
            &["--shell", "zsh"],
            "--shell must be auto, bash or sh, not \"zsh\"",
        ),
        (
            &["--backend", "s3"],
            "--backend must be local or memory, not \"s3\"",
        ),
        (
            &["--policy-file"],
            "--policy-file needs a value, a file of rules",
        ),
        (
            &["--policy-file", "a", "--policyFile", "b"],
            "--policyFile is given twice",
        ),
        (&["--local-only=yes"], "--local-only takes no value"),
        (
            &["--rootDir", "a", "--root-dir", "b"],
            "--root-dir is given twice",
        ),
        (
            &["--local-only", "--local-only"],
            "--local-only is given twice",
        ),
        (
            &["--scopePath", "/a"],
            "--scopePath must be relative to --rootDir",
        ),
        (
            &["--scopePath", "a/../b"],
            "--scopePath must not contain `..`",
        ),
        (
            &["--scope-path", ".."],
            "--scope-path must not contain `..`",
        ),
        (&["--port", "65536"], "--port must be a port, 0 to 65535"),
        (&["--port", "-1"], "--port needs a value"),
        (&["--limit", "memory"], "--limit takes NAME=VALUE"),
        (&["--limit", "memori=1G"], "--limit takes memory=SIZE"),
        (
            &["--limit", "memory=1"],
            "--limit: limits.memoryBytes must be at least",
        ),
        (
            &["--scope-limit", "cpu=1"],
            "--scope-limit takes memory=SIZE",
        ),
        (&["--max-bytes", "lots"], "--max-bytes must be a size"),
        (&["--grace", "soon"], "--grace must be a time"),
        (
            &["--max-commands", "0"],
            "--max-commands must be a number above 0",
        ),
        (
            &["--log-format", "xml"],
            "--log-format must be text or json",
        ),
        (&["--log-level", "loud"], "--log-level must be error"),
        (
            &["--rootDir", "d", "--tls-cert", "c"],
            "--tls-cert and --tls-key belong together",
        ),
        (
            &["--rootDir", "d", "--auth-token", "a", "--tokens-file", "f"],
            "give one of --auth-token",
        ),
        (
            &["--rootDir", "d", "--ssh-users", "a:b"],
            "--ssh-port, --ssh-users",
        ),
        (
            &["--allowed-host", "http://a"],
            "--allowed-host must be a name or an address",
        ),
        (&["--allowed-host", "a:80"], "--allowed-host must be"),
        (
            &["--allowed-origin", "app.example"],
            "--allowed-origin must be an origin such as https://app.example",
        ),
        (
            &["--allowed-origin", "https://app.example/"],
            "--allowed-origin must be",
        ),
        (&["--allowed-origin", "*"], "--allowed-origin must be"),
        (&["somewhere"], "unexpected argument \"somewhere\""),
        (
            &["-r", "d"],
            "unknown flag -r; see agent-backend daemon --help",
        ),
        (
            &["--verbosity"],
            "unknown flag --verbosity; see agent-backend daemon --help",
        ),
    ] {
        let text = complaint(arguments);
        assert!(text.starts_with(expected), "{arguments:?}: {text}");
    }
}

#[test]
fn an_unknown_flag_is_answered_with_the_nearest_that_exists() {
    for (written, near) in [
        ("--rootdir", "--rootDir"),
        ("--root_dir", "--rootDir"),
        ("--root", "--rootDir"),
        ("--scopes-path", "--scopePath"),
        ("--isolate", "--isolation"),
        ("--localonly", "--local-only"),
        ("--local", "--local-only"),
        ("--policy", "--policy-file"),
    ] {
        let expected = format!("unknown flag {written}; did you mean {near}?");
        assert_eq!(complaint(&[written, "x"]), expected);
    }
}

#[test]
fn hosts_and_origins_are_taken_as_requests_have_them() {
    let line = "--rootDir d --allowed-host * --allowed-host [::1] --allowed-host a_b.example \
                --allowed-origin http://localhost:5173 --allowed-origin vscode-webview://panel";
    let listen = options(line).listen;
    assert_eq!(listen.allowed_hosts, ["*", "[::1]", "a_b.example"]);
    assert_eq!(
        listen.allowed_origins,
        ["http://localhost:5173", "vscode-webview://panel"]
    );
}

#[test]
fn a_name_with_two_dots_in_it_is_no_way_up() {
    assert_eq!(
        options("--rootDir d --scopePath a..b/..c").scope_path,
        Some(b"a..b/..c".to_vec())
    );
}

#[test]
fn a_complaint_has_no_control_characters_and_no_secret() {
    complaint(&["--\u{1b}[2J\n"]);
    complaint(&["a\u{1b}\nb"]);
    complaint(&["--isolation", "x\u{7}\r\ny"]);
    for secret in [
        &["--auth-token", "s3cret"][..],
        &["--auth-token=s3cret"],
        &["--auth-tokn=s3cret"],
        &[
            "--rootDir",
            "d",
            "--auth-token=s3cret",
            "--auth-token=s3cret",
        ],
        &["--rootDir", "d", "--ssh-users=a:s3cret"],
    ] {
        assert!(!complaint(secret).contains("s3cret"));
    }
}

#[test]
fn a_memory_backend_needs_neither_the_word_nor_the_transport() {
    let line = ["--backend", "memory", "--rootDir", "/m", "--scopePath", "a"];
    let Ok(Request::Serve(options)) = parse_without_word(line.map(OsString::from)) else {
        panic!("it is served");
    };
    assert!(options.local_only && options.backend_kind == ServedBackend::Memory);
    assert_eq!(options.scope_path, Some(b"a".to_vec()));

    let refused = parse_without_word(["--rootDir", "d", "--local-only"].map(OsString::from));
    assert!(refused.is_err_and(|error| error.message().contains("agent-backend daemon")));
}

#[test]
fn the_flags_of_a_daemon_on_the_network_are_read() {
    let read = options(
        "--rootDir /w --host ::1 --port 0 --auth-token abc --allow-query-token --allowed-host a --allowed-host b \
         --allowed-origin https://x --tls-cert c --tls-key k --disable-ssh-ws --conventional-ssh --ssh-port 2222 \
         --ssh-host-key h --ssh-users u:p --ssh-public-key key --ssh-authorized-keys f --network none \
         --limit memory=512M,cpus=0.5 --limit processes=9 --scope-limit memory=2G --max-bytes 1G --tmp-bytes 0 \
         --command-timeout 5m --max-commands 3 --host-tools --allow-weak-isolation --scope-uid 7 --max-connections 9 \
         --idle-timeout 500ms --grace 1s --log-format json --log-level debug --state-dir /s",
    );
    assert_eq!(read.listen.host.as_deref(), Some("::1"));
    assert_eq!(read.listen.port, 0);
    assert_eq!(read.listen.auth_token, Some(Secret::new("abc".to_owned())));
    assert!(read.listen.allow_query_token && read.listen.disable_ssh_ws);
    assert_eq!(read.listen.allowed_hosts, ["a", "b"]);
    assert_eq!(read.listen.allowed_origins, ["https://x"]);
    assert_eq!(read.listen.idle_timeout, Duration::from_millis(500));
    assert_eq!(read.listen.grace, Duration::from_secs(1));
    assert_eq!(read.listen.max_connections, 9);
    assert!(read.ssh.conventional);
    assert_eq!(read.ssh.port, 2222);
    assert_eq!(read.ssh.users, Some(Secret::new("u:p".to_owned())));
    assert_eq!(read.commands.network, Some(NetworkFlag::None));
    assert_eq!(
        read.commands.limits,
        Limits {
            memory_bytes: Some(512 << 20),
            processes: Some(9),
            cpus: Some(0.5),
            ..Limits::default()
        }
    );
    assert_eq!(
        read.commands.scope_limits,
        ScopeLimits {
            memory_bytes: Some(2 << 30),
            ..ScopeLimits::default()
        }
    );
    assert_eq!(read.commands.max_bytes, Some(1 << 30));
    assert_eq!(read.commands.tmp_bytes, Some(0));
    assert_eq!(read.commands.timeout, Some(Duration::from_secs(300)));
    assert!(read.commands.host_tools && read.commands.allow_weak_isolation);
    assert_eq!(read.commands.scope_uid, Some(7));
    assert_eq!(read.log.format, LogFormat::Json);
    assert_eq!(read.log.level, tracing::Level::DEBUG);
    assert!(!format!("{read:?}").contains("abc"), "no secret is printed");
}

#[test]
fn a_network_that_is_neither_word_is_a_list_of_hosts() {
    let hosts = |line: &str| options(line).commands.network;
    assert_eq!(hosts("--rootDir d --network host"), Some(NetworkFlag::Host));
    assert_eq!(
        hosts("--rootDir d --network pypi.org,.npmjs.org"),
        Some(NetworkFlag::Allow(vec![
            "pypi.org".to_owned(),
            ".npmjs.org".to_owned()
        ]))
    );
}

#[test]
fn secrets_come_from_the_environment_where_no_flag_says_them() {
    let with = |line: &str, variables: &[(&str, &str)]| {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let arguments = line.split_whitespace().map(OsString::from);
        let Ok(Request::Serve(options)) = parse_with(arguments, &variable) else {
            panic!("{line}");
        };
        let shown = |secret: Option<Secret>| secret.map(|secret| secret.expose().to_owned());
        (shown(options.listen.auth_token), shown(options.ssh.users))
    };
    let both = [
        ("AUTH_TOKEN", "one"),
        ("AGENT_BACKEND_AUTH_TOKEN", "two"),
        ("SSH_USERS", "a:b"),
    ];
    assert_eq!(with("--rootDir d", &both), (Some("two".to_owned()), None));
    assert_eq!(
        with("--rootDir d", &both[..1]),
        (Some("one".to_owned()), None)
    );
    assert_eq!(
        with("--rootDir d --auth-token x", &both).0,
        Some("x".to_owned())
    );
    assert_eq!(with("--rootDir d --tokens-file f", &both).0, None);
    assert_eq!(with("--rootDir d --local-only", &both).0, None);
    assert_eq!(with("--rootDir d", &[("AUTH_TOKEN", "")]).0, None);
    let users = with("--rootDir d --conventional-ssh", &both).1;
    assert_eq!(users, Some("a:b".to_owned()));
}
