//! Every flag of the daemon, and every way to write one wrong.

use super::*;

fn read(line: &str) -> Result<Request> {
    parse(line.split_whitespace().map(OsString::from))
}

fn options(line: &str) -> DaemonOptions {
    match read(line) {
        Ok(Request::Serve(options)) => options,
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
        scope_path: None,
        policy_file: None,
        isolation: Isolation::Auto,
        shell: Shell::Auto,
        backend_kind: ServedBackend::Local,
        local_only: true,
    };
    assert_eq!(options("--rootDir d --local-only"), expected);
    assert!(!options("--rootDir d").local_only);
}

#[test]
fn every_flag_is_read_in_any_order_and_both_spellings() {
    let expected = DaemonOptions {
        root_dir: "/w".into(),
        scope_path: Some(b"users/1".to_vec()),
        policy_file: Some("/etc/p.json".into()),
        isolation: Isolation::Software,
        shell: Shell::Sh,
        backend_kind: ServedBackend::Memory,
        local_only: true,
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
        (
            &["--port", "3001"],
            "--port is for serving over the network",
        ),
        (&["somewhere"], "unexpected argument \"somewhere\""),
        (
            &["-r", "d"],
            "unknown flag -r; see agent-backend daemon --help",
        ),
        (
            &["--verbose"],
            "unknown flag --verbose; see agent-backend daemon --help",
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
        ("--scope", "--scopePath"),
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
