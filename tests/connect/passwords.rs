//! Who we are to a server of another implementation: by password, as the answer to questions, by key.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use agent_backend::backend::remote::Connector as _;
use agent_backend::backend::remote::options::{
    HostKeyPolicy, RemoteOptions, Secret, SshAuth, Transport,
};
use agent_backend::error::ErrorCode;
use agent_backend::status::Status;
use agent_backend::workspace::RunOptions;
use tempfile::TempDir;

use crate::skip::skip;
use crate::sshd::key;
use crate::world::{client, wait};

const PYTHON: &str = "/usr/bin/python3";
const USER: &str = "ada";
const PASSWORD: &str = "right ä 'password'";

/// AsyncSSH's server. Dropping it ends it.
struct Foreign {
    child: Child,
    port: u16,
    directory: TempDir,
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One that lets in whoever comes by one of these ways; `None` where there is none here.
fn foreign(ways: &str) -> Option<Foreign> {
    let imported = Command::new(PYTHON)
        .args(["-W", "ignore", "-c", "import asyncssh"])
        .stderr(Stdio::null())
        .status();
    if !imported.is_ok_and(|status| status.success()) {
        skip("asyncssh is not installed");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    key(directory.path(), "host_key", "ed25519");
    let user_key = key(directory.path(), "user_key", "ed25519");
    let public = user_key.with_extension("pub");
    std::fs::copy(public, directory.path().join("authorized_keys")).unwrap();
    std::fs::create_dir(directory.path().join("root")).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/asyncssh_server.py");
    let mut child = Command::new(PYTHON)
        .args(["-W", "ignore"])
        .arg(script)
        .arg(directory.path())
        .arg(ways)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    Some(Foreign {
        child,
        port: line.trim().parse().unwrap(),
        directory,
    })
}

impl Foreign {
    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn options(&self, auth: SshAuth) -> RemoteOptions {
        let root = self.file("root").canonicalize().unwrap();
        let mut options =
            RemoteOptions::new(root.into_os_string().into_encoded_bytes(), "127.0.0.1");
        options.port = Some(self.port);
        options.transport = Transport::Ssh;
        options.ssh_auth = Some(auth);
        let host_key = std::fs::read_to_string(self.file("host_key.pub")).unwrap();
        options.host_key = Some(HostKeyPolicy::Pin(vec![host_key]));
        options.state_dir = Some(self.file("state"));
        options
    }

    fn key(&self, name: &str, passphrase: Option<&str>) -> SshAuth {
        SshAuth::Key {
            user: USER.to_owned(),
            private_key: Secret::new(std::fs::read_to_string(self.file(name)).unwrap()),
            passphrase: passphrase.map(Secret::new),
        }
    }

    /// Encrypts a copy of the user's key.
    fn encrypted(&self, passphrase: &str) {
        std::fs::copy(self.file("user_key"), self.file("encrypted")).unwrap();
        let done = Command::new("ssh-keygen")
            .args(["-q", "-p", "-P", "", "-N", passphrase, "-f"])
            .arg(self.file("encrypted"))
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(done.success());
    }

    #[track_caller]
    fn lets_in(&self, auth: SshAuth) {
        let client = client(self.options(auth));
        client.put("a", "1").unwrap();
        assert_eq!(client.get("a").unwrap(), "1");
        let command = "cat a; echo err >&2; exit 3";
        let ran = wait(client.workspace.run(command, RunOptions::default())).unwrap();
        assert_eq!(
            (&ran.stdout[..], &ran.stderr[..], ran.exit_code),
            (&b"1"[..], &b"err\n"[..], Some(3))
        );
        client.destroy();
    }

    /// Refused for good: it is not tried again by itself, and nothing secret is told.
    #[track_caller]
    fn refuses(&self, auth: SshAuth, code: ErrorCode, why: &str) {
        let client = client(self.options(auth));
        for _ in 0..2 {
            let error = client.get("a").unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.message().contains(why), "{error}");
            let told = format!("{error} {error:?}");
            for secret in [PASSWORD, "wrong words", "PRIVATE KEY"] {
                assert!(!told.contains(secret), "{told}");
            }
            assert_eq!(client.connection.status(), Status::Disconnected);
        }
        client.destroy();
    }
}

fn password(user: &str, password: &str) -> SshAuth {
    SshAuth::Password {
        user: user.to_owned(),
        password: Secret::new(password),
    }
}

#[test]
fn the_end_of_a_command_may_be_told_before_its_output() {
    let Some(server) = foreign("password,end-first") else {
        return;
    };
    let client = client(server.options(password(USER, PASSWORD)));
    let run = |command: &str| wait(client.workspace.run(command, RunOptions::default())).unwrap();
    let ran = run("echo out; echo err >&2; exit 3");
    let (stdout, stderr) = (&ran.stdout[..], &ran.stderr[..]);
    assert_eq!((stdout, stderr), (&b"out\n"[..], &b"err\n"[..]));
    assert_eq!(ran.exit_code, Some(3));
    let ran = run("echo out; kill -9 $$");
    assert_eq!((&ran.stdout[..], ran.exit_code), (&b"out\n"[..], None));
    assert_eq!(ran.signal, Some("SIGKILL"));
    client.destroy();
}

#[test]
fn a_password_opens_the_door_and_a_wrong_one_does_not() {
    let Some(server) = foreign("password,key") else {
        return;
    };
    server.lets_in(password(USER, PASSWORD));
    let refused = ErrorCode::Unauthorized;
    server.refuses(password(USER, "wrong words"), refused, "'ada'");
    server.refuses(password(USER, ""), refused, "'ada'");
    server.refuses(password("eve", PASSWORD), refused, "'eve'");
}

#[test]
fn where_passwords_are_the_answers_to_questions_they_are_answered() {
    let Some(server) = foreign("questions") else {
        return;
    };
    server.lets_in(password(USER, PASSWORD));
    let refused = ErrorCode::Unauthorized;
    server.refuses(password(USER, "wrong words"), refused, "'ada'");
    server.refuses(
        server.key("user_key", None),
        refused,
        "keyboard-interactive",
    );
}

#[test]
fn a_server_that_asks_for_ever_is_given_up() {
    let Some(server) = foreign("endless") else {
        return;
    };
    let refused = ErrorCode::Unauthorized;
    server.refuses(password(USER, PASSWORD), refused, "'ada'");
}

#[test]
fn a_key_opens_the_door_also_one_with_a_passphrase() {
    let Some(server) = foreign("key") else { return };
    server.lets_in(server.key("user_key", None));
    server.encrypted("pass phrase");
    server.lets_in(server.key("encrypted", Some("pass phrase")));
    let unusable = ErrorCode::InvalidConfiguration;
    server.refuses(
        server.key("encrypted", Some("wrong words")),
        unusable,
        "cannot be read with its passphrase",
    );
    server.refuses(server.key("encrypted", None), unusable, "passphrase");
    key(server.directory.path(), "other_key", "ed25519");
    let refused = ErrorCode::Unauthorized;
    server.refuses(server.key("other_key", None), refused, "'ada'");
    server.refuses(password(USER, PASSWORD), refused, "publickey");
}

#[test]
fn keys_of_every_kind_that_is_usual_open_the_door() {
    let Some(server) = foreign("key") else { return };
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let name = format!("key_{kind}");
        let made = key(server.directory.path(), &name, kind);
        let public = made.with_extension("pub");
        std::fs::copy(public, server.file("authorized_keys")).unwrap();
        server.lets_in(server.key(&name, None));
    }
}

#[test]
fn a_server_without_files_is_told_apart_from_one_that_refuses() {
    let Some(server) = foreign("password,no-files") else {
        return;
    };
    let client = client(server.options(password(USER, PASSWORD)));
    let error = client.connect().unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConnectionFailed, "{error}");
    assert!(error.message().contains("SFTP"), "{error}");
    client.destroy();
}
