//! What the filter of system calls takes away, each shown to be possible outside first, where this kernel allows it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use agent_backend::backend::local::command::Isolation;

use super::support::Fixture;
use super::walled;

/// Makes each call by its number and prints how it went. Harmless: what a call makes goes with its process.
fn script() -> String {
    let mut script = String::from(
        r#"
import ctypes, errno, fcntl, os, pty, termios
libc = ctypes.CDLL(None, use_errno=True)
text, room = ctypes.c_char_p, ctypes.create_string_buffer(256)
array_map = (ctypes.c_uint32 * 32)(2, 4, 4, 1)
def call(name, number, *arguments):
    ctypes.set_errno(0)
    done = libc.syscall(number, *arguments)
    print(name, "done" if done >= 0 else errno.errorcode[ctypes.get_errno()], flush=True)
def terminal():
    outer, inner = pty.openpty()
    if os.fork() == 0:
        os.setsid()
        try:
            fcntl.ioctl(inner, termios.TIOCSCTTY, 0)
            fcntl.ioctl(inner, termios.TIOCSTI, b"x")
            print("TIOCSTI done", flush=True)
        except OSError as error:
            print("TIOCSTI", errno.errorcode[error.errno], flush=True)
        os._exit(0)
    os.wait()
terminal()
"#,
    );
    let key = "text(b'user'), text(b'agent-backend-test')";
    let calls = [
        (
            "add_key",
            libc::SYS_add_key,
            format!("{key}, text(b'x'), 1, -2"),
        ),
        ("keyctl", libc::SYS_keyctl, "0, -2, 0".to_owned()),
        (
            "request_key",
            libc::SYS_request_key,
            format!("{key}, None, 0"),
        ),
        (
            "io_uring_setup",
            libc::SYS_io_uring_setup,
            "1, room".to_owned(),
        ),
        ("userfaultfd", libc::SYS_userfaultfd, "1".to_owned()),
        ("bpf", libc::SYS_bpf, "0, array_map, 72".to_owned()),
    ];
    for (name, number, arguments) in calls {
        let _ = writeln!(script, "call('{name}', {number}, {arguments})");
    }
    script
}

fn outcomes(fixture: &Fixture) -> BTreeMap<String, String> {
    let done = fixture.run(&format!("python3 - <<'END'\n{}\nEND", script()));
    let complaint = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code, Some(0), "{complaint}");
    let pair = |line: &str| {
        let (name, outcome) = line.split_once(' ').unwrap();
        (name.to_owned(), outcome.to_owned())
    };
    done.text().lines().map(pair).collect()
}

#[test]
fn keyrings_rings_fault_handlers_programs_of_the_kernel_and_typing_into_terminals_are_refused() {
    let Some(inside) = walled::fixture() else {
        return;
    };
    if !std::path::Path::new("/usr/bin/python3").exists() {
        return crate::skip::skip("python3 is not installed");
    }
    let outside = outcomes(&Fixture::new(Isolation::None));
    let inside = outcomes(&inside);
    assert_eq!(inside.len(), 7);
    for (name, outcome) in &inside {
        assert_eq!(outcome, "EPERM", "{name}");
        if outside[name] != "done" {
            println!("{name} is not possible outside either: {}", outside[name]);
        }
    }
    let possible = outside.values().filter(|outcome| *outcome == "done");
    assert!(possible.count() > 0, "{outside:?}");
}
