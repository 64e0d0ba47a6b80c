//! Whom a backend takes for its server.

use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use agent_backend::backend::remote::options::{HostKeyPolicy, Secret, SshAuth};
use agent_backend::error::ErrorCode;
use agent_backend::status::Status;

use crate::proxy::Proxy;
use crate::served::Daemon;
use crate::skip::skip;
use crate::sshd::{self, Sshd};
use crate::world::{client, options};

#[test]
fn another_server_in_the_place_of_the_first_is_refused_and_not_tried_again() {
    let (first, second) = (Daemon::with_token(&[]), Daemon::with_token(&[]));
    let proxy = Proxy::to(first.port);
    let options = options(&first, proxy.port);
    let file = first.base.path().join("client/known_hosts");
    let client_of_first = client(options.clone());
    client_of_first.put("a", "1").unwrap();
    let kept = std::fs::read_to_string(&file).unwrap();
    assert!(
        kept.starts_with(&format!("[127.0.0.1]:{} ssh-ed25519 ", proxy.port)),
        "{kept}"
    );
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    proxy.retarget(second.port);
    proxy.cut();
    client_of_first.reaches(Status::Disconnected);
    let tried = proxy.connections();
    for _ in 0..3 {
        let error = client_of_first.get("a").unwrap_err();
        assert_eq!(error.code(), ErrorCode::HostKeyChanged, "{error}");
        assert!(
            error.message().contains(&file.display().to_string()),
            "{error}"
        );
        assert_eq!(error.message().matches("SHA256:").count(), 2, "{error}");
    }
    assert_eq!(proxy.connections(), tried);
    // A new client with the same file refuses it as well, and the file is as it was.
    let error = client(options).get("a").unwrap_err();
    assert_eq!(error.code(), ErrorCode::HostKeyChanged);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), kept);
    // Once the first is back, a call by name goes on.
    proxy.retarget(first.port);
    client_of_first.connect().unwrap();
    assert_eq!(client_of_first.get("a").unwrap(), "1");
    client_of_first.destroy();
}

#[test]
fn a_file_of_host_keys_that_cannot_be_used_is_no_answer_about_a_file_of_the_workspace() {
    let daemon = Daemon::with_token(&[]);
    let base = daemon.base.path();
    let (file, open) = (base.join("a-file"), base.join("open"));
    std::fs::write(&file, "").unwrap();
    std::fs::create_dir(&open).unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    let by_key = |host_key| {
        let mut options = options(&daemon, daemon.port);
        options.host_key = Some(host_key);
        options
    };
    let by_state = |state_dir| {
        let mut options = options(&daemon, daemon.port);
        options.host_key = None;
        options.state_dir = Some(state_dir);
        options
    };
    for (options, shown, code) in [
        (
            by_key(HostKeyPolicy::TrustOnFirstUse(file.join("known_hosts"))),
            &file,
            ErrorCode::ConnectionFailed,
        ),
        (
            by_key(HostKeyPolicy::TrustOnFirstUse(
                "/proc/none/known_hosts".into(),
            )),
            &"/proc/none".into(),
            ErrorCode::ConnectionFailed,
        ),
        (
            by_state("/proc/none".into()),
            &"/proc/none".into(),
            ErrorCode::ConnectionFailed,
        ),
        (
            by_state(open.clone()),
            &open,
            ErrorCode::InvalidConfiguration,
        ),
    ] {
        let client = client(options);
        let error = client.get("a").unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(error.path(), Some("a"), "{error}");
        assert!(
            error.message().contains(&shown.display().to_string()),
            "{error}"
        );
        client.destroy();
    }
}

#[test]
fn a_token_in_the_clear_is_warned_of_by_name_but_not_on_the_loopback() {
    let daemon = Daemon::with_token(&[]);
    for (host, expected) in [
        ("127.0.0.1", vec![]),
        ("localhost", vec![]),
        ("0.0.0.0", vec!["token-without-tls"]),
    ] {
        let warned = Arc::new(Mutex::new(Vec::new()));
        let mut options = options(&daemon, daemon.port);
        options.host = host.to_owned();
        let list = Arc::clone(&warned);
        options.on_warning = Some(Arc::new(move |warning| {
            assert!(!warning.message.contains(crate::served::TOKEN));
            list.lock().unwrap().push(warning.name);
        }));
        let client = client(options);
        // What the daemon says to the name of the host does not matter here.
        let _ = client.connect();
        let _ = client.connect();
        assert_eq!(*warned.lock().unwrap(), expected, "{host}");
        client.destroy();
    }
}

#[test]
fn a_header_that_is_ours_is_not_sent_and_warned_of() {
    let daemon = Daemon::with_token(&[]);
    let warned = Arc::new(Mutex::new(Vec::new()));
    let mut options = options(&daemon, daemon.port);
    options
        .headers
        .push(("authorization".into(), "Bearer wrong".into()));
    let list = Arc::clone(&warned);
    options.on_warning = Some(Arc::new(move |warning| {
        list.lock().unwrap().push(warning.name)
    }));
    let client = client(options);
    client.connect().unwrap();
    assert_eq!(*warned.lock().unwrap(), ["header-ignored"]);
    client.destroy();
}

#[test]
fn a_foreign_server_is_held_to_its_pin() {
    if let Err(why) = sshd::program() {
        return skip(&why);
    }
    let server = Sshd::start();
    let mut options = server.options();
    client(options.clone()).connect().unwrap();
    options.host_key = Some(HostKeyPolicy::Pin(vec![server.read("user_key.pub")]));
    let error = client(options.clone()).connect().unwrap_err();
    assert_eq!(error.code(), ErrorCode::HostKeyChanged, "{error}");
    options.host_key = Some(HostKeyPolicy::KnownHosts("/nonexistent".into()));
    let error = client(options).connect().unwrap_err();
    assert_eq!(error.code(), ErrorCode::HostKeyChanged, "{error}");
}

#[test]
fn a_key_that_the_server_does_not_know_is_unauthorized() {
    if let Err(why) = sshd::program() {
        return skip(&why);
    }
    let server = Sshd::start();
    let mut options = server.options();
    let other = sshd::key(server.directory.path(), "other", "ed25519");
    options.ssh_auth = Some(SshAuth::Key {
        user: sshd::user(),
        private_key: Secret::new(std::fs::read_to_string(other).unwrap()),
        passphrase: None,
    });
    let error = client(options.clone()).connect().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unauthorized, "{error}");
    options.ssh_auth = Some(SshAuth::Key {
        user: sshd::user(),
        private_key: Secret::new("no key"),
        passphrase: None,
    });
    let error = client(options.clone()).connect().unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{error}");
    options.ssh_auth = Some(SshAuth::Password {
        user: sshd::user(),
        password: Secret::new("hunter2"),
    });
    let error = client(options).connect().unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unauthorized, "{error}");
    assert!(error.message().contains("publickey") && !error.message().contains("hunter2"));
}

#[test]
fn keys_of_other_kinds_and_with_a_passphrase_work() {
    if let Err(why) = sshd::program() {
        return skip(&why);
    }
    let server = Sshd::start();
    let directory = server.directory.path();
    let mut authorized = server.read("authorized_keys");
    for kind in ["rsa", "ecdsa"] {
        sshd::key(directory, kind, kind);
        authorized.push_str(&server.read(&format!("{kind}.pub")));
    }
    std::fs::write(directory.join("authorized_keys"), authorized).unwrap();
    let locked = std::process::Command::new("ssh-keygen")
        .args(["-q", "-p", "-P", "", "-N", "open sesame", "-f"])
        .arg(directory.join("ecdsa"))
        .status()
        .unwrap();
    assert!(locked.success());
    for (name, passphrase) in [("rsa", None), ("ecdsa", Some("open sesame"))] {
        let mut options = server.options();
        options.ssh_auth = Some(SshAuth::Key {
            user: sshd::user(),
            private_key: Secret::new(server.read(name)),
            passphrase: passphrase.map(Secret::new),
        });
        client(options)
            .connect()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}
