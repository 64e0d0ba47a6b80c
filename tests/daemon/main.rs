//! The native command as a process: exit status, and one line for whatever is wrong.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may say what it takes for granted"
)]

mod http;
mod mcp_http;
mod operator;
mod policy;
mod scopes;
mod served;
mod shutdown;
#[path = "../support/skip.rs"]
mod skip;
mod stdio;
mod tenants;
mod tls;
mod tokens;
mod websocket;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Output, Stdio};

fn start<A: AsRef<OsStr>>(arguments: &[A]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_agent-backend"))
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What it says on standard error, which is one line and all that it says; its exit status is 1.
fn complaint<A: AsRef<OsStr>>(arguments: &[A]) -> String {
    let output = start(arguments);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(output.stdout.is_empty());
    let line = text.strip_suffix('\n').expect("a line ends");
    assert!(!line.chars().any(char::is_control), "{line:?}");
    let said = line.strip_prefix("agent-backend: ");
    said.expect("it says who complains").to_owned()
}

#[test]
fn help_and_version_are_printed_and_succeed() {
    for (arguments, expected) in [
        (&[][..], "Usage: agent-backend"),
        (&["--help"], "Usage: agent-backend"),
        (&["daemon", "--help"], "Usage: agent-backend daemon"),
        (
            &["--version"],
            concat!("agent-backend ", env!("CARGO_PKG_VERSION")),
        ),
    ] {
        let output = start(arguments);
        assert!(output.status.success() && output.stderr.is_empty());
        assert!(String::from_utf8(output.stdout).unwrap().contains(expected));
    }
}

#[test]
fn help_that_nobody_reads_is_no_failure() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_agent-backend"))
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .and_then(std::process::Child::wait_with_output)
        .unwrap();
    assert!(output.status.success());
    assert!(output.stderr.is_empty());
}

#[test]
fn wrong_arguments_are_one_line_that_names_the_flag() {
    for (arguments, expected) in [
        (&["daemon"][..], "--rootDir is missing"),
        (&["daemon", "--rootDir"], "--rootDir needs a value"),
        (&["daemon", "--rootdir", "x"], "did you mean --rootDir?"),
        (
            &["daemon", "--rootDir", "x", "--isolation", "high"],
            "--isolation must be auto, bwrap",
        ),
        (
            &["daemon", "--rootDir", "x", "--scopePath", "../y"],
            "--scopePath must not contain",
        ),
        (
            &["daemon", "--rootDir", "x", "--scopePath", "a\nb/../.."],
            "--scopePath must not contain",
        ),
        (&["daemon", "\u{1b}[2J\n"], "unexpected argument"),
        (&["--rootDir", "x"], "agent-backend daemon"),
        (&["deamon"], "unknown command"),
    ] {
        let said = complaint(arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }
}

#[test]
fn a_root_that_cannot_be_opened_is_one_line_that_names_it() {
    let base = tempfile::tempdir().unwrap();
    let file = base.path().join(OsStr::from_bytes(b"a\nfile\x1b[2J\xff"));
    std::fs::write(&file, "").unwrap();
    let flags = ["daemon", "--local-only", "--rootDir"].map(OsStr::new);
    let said = complaint(&[&flags[..], &[file.as_os_str()]].concat());
    assert!(
        said.contains("directory") && said.contains("file"),
        "{said}"
    );

    let memory = ["--backend", "memory", "--rootDir", "relative"];
    assert!(complaint(&memory).contains("absolute path"));
}

#[test]
fn a_scope_path_that_is_no_path_is_one_line() {
    let long = "n".repeat(256);
    let said = complaint(&[
        "--backend",
        "memory",
        "--rootDir",
        "/m",
        "--scopePath",
        &long,
    ]);
    assert!(said.contains("255 bytes"), "{said}");
}
