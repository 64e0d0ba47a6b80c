//! TLS to a daemon, with an authority made for the test.

use std::path::Path;
use std::process::{Command, Stdio};

use agent_backend::backend::remote::options::RemoteOptions;
use agent_backend::error::ErrorCode;

use crate::proxy::Proxy;
use crate::served::Daemon;
use crate::skip::skip;
use crate::world::{client, options};

fn openssl(directory: &Path, arguments: &[&str]) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
}

/// An authority, and a certificate of it for a name, valid for so many days.
fn certificate(directory: &Path, names: &str, days: &str) {
    let extensions = format!("subjectAltName={names}\nbasicConstraints=CA:FALSE\n");
    std::fs::write(directory.join("extensions"), extensions).unwrap();
    openssl(
        directory,
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-days",
            "30",
            "-subj",
            "/CN=Test authority",
        ],
    );
    openssl(
        directory,
        &[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-keyout",
            "server.key",
            "-out",
            "server.csr",
            "-subj",
            "/CN=Test server",
        ],
    );
    openssl(
        directory,
        &[
            "x509",
            "-req",
            "-in",
            "server.csr",
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-out",
            "server.pem",
            "-days",
            days,
            "-extfile",
            "extensions",
        ],
    );
}

pub struct World {
    directory: tempfile::TempDir,
    pub daemon: Daemon,
}

pub fn world(names: &str, days: &str) -> Option<World> {
    if Command::new("openssl").arg("version").output().is_err() {
        skip("openssl is not installed");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    certificate(directory.path(), names, days);
    let file = |name: &str| directory.path().join(name).display().to_string();
    let (cert, key) = (file("server.pem"), file("server.key"));
    let daemon = Daemon::with_token(&["--tls-cert", &cert, "--tls-key", &key]);
    Some(World { directory, daemon })
}

impl World {
    pub fn options(&self, port: u16) -> RemoteOptions {
        let mut options = options(&self.daemon, port);
        options.secure = Some(true);
        let ca = std::fs::read(self.directory.path().join("ca.pem")).unwrap();
        options.tls.ca = Some(ca);
        options
    }
}

#[track_caller]
fn refused(options: RemoteOptions, why: &str) {
    let error = client(options).connect().unwrap_err();
    assert_eq!(error.code(), ErrorCode::ConnectionFailed, "{error}");
    assert!(error.message().contains(why), "{error}");
}

#[test]
fn a_daemon_with_a_certificate_of_a_known_authority_is_reached() {
    let Some(world) = world("IP:127.0.0.1,DNS:localhost", "30") else {
        return;
    };
    let secure = client(world.options(world.daemon.port));
    secure.put("a", &"x".repeat(3 << 20)).unwrap();
    assert_eq!(secure.get("a").unwrap().len(), 3 << 20);
    secure.destroy();
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    let Some(world) = world("DNS:elsewhere.example", "30") else {
        return;
    };
    let port = world.daemon.port;
    refused(world.options(port), "not for '127.0.0.1'");
    let mut named = world.options(port);
    named.tls.server_name = Some("elsewhere.example".into());
    client(named.clone()).connect().unwrap();
    let mut unknown = named.clone();
    unknown.tls.ca = None;
    refused(unknown, "tls.ca");
    let mut plain = world.options(port);
    plain.secure = Some(false);
    refused(plain, "`secure: true`");
    let mut garbage = named;
    garbage.tls.ca = Some(b"no certificate".to_vec());
    let error = client(garbage).connect().unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{error}");
}

#[test]
fn a_certificate_that_has_expired_is_refused() {
    let Some(world) = world("IP:127.0.0.1", "0") else {
        return;
    };
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    refused(world.options(world.daemon.port), "expired");
}

/// A certificate that has signed itself and may sign others, as `openssl req -x509` makes it; its key beside it.
fn own(directory: &Path, name: &str, names: &str, days: &str) -> (String, String) {
    let file = |suffix: &str| {
        directory
            .join(format!("{name}.{suffix}"))
            .display()
            .to_string()
    };
    let extensions = format!("subjectAltName={names}\nbasicConstraints=critical,CA:TRUE\n");
    std::fs::write(file("extensions"), extensions).unwrap();
    let (key, request, made) = (file("key"), file("csr"), file("pem"));
    let curve = "ec_paramgen_curve:prime256v1";
    let asked = ["req", "-new", "-newkey", "ec", "-pkeyopt", curve, "-nodes"];
    let mut asked = asked.to_vec();
    asked.extend(["-keyout", &key, "-out", &request, "-subj", "/CN=Test"]);
    openssl(directory, &asked);
    let mut signed = vec!["x509", "-req", "-in", &request, "-signkey", &key];
    let extensions = file("extensions");
    signed.extend(["-out", &made, "-days", days, "-extfile", &extensions]);
    openssl(directory, &signed);
    (made, key)
}

#[test]
fn a_certificate_that_signed_itself_is_taken_where_it_was_given_and_no_other_of_its_name() {
    if Command::new("openssl").arg("version").output().is_err() {
        return skip("openssl is not installed");
    }
    let directory = tempfile::tempdir().unwrap();
    let of = |name: &str, names: &str, days: &str| own(directory.path(), name, names, days);
    let here = "IP:127.0.0.1,DNS:localhost";
    let (mine, key) = of("mine", here, "30");
    let (other, other_key) = of("other", here, "30");
    let (elsewhere, elsewhere_key) = of("elsewhere", "DNS:elsewhere.example", "30");
    let (old, old_key) = of("old", here, "0");
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    for (shown, key, given, wrong) in [
        (&mine, &key, Some(&mine), None),
        (&mine, &key, None, Some("not among those of `tls.ca`")),
        (
            &other,
            &other_key,
            Some(&mine),
            Some("not among those of `tls.ca`"),
        ),
        (
            &elsewhere,
            &elsewhere_key,
            Some(&elsewhere),
            Some("not for '127.0.0.1'"),
        ),
        (&old, &old_key, Some(&old), Some("expired")),
    ] {
        let daemon = Daemon::with_token(&["--tls-cert", shown, "--tls-key", key]);
        let mut options = options(&daemon, daemon.port);
        options.secure = Some(true);
        options.tls.ca = given.map(|given| std::fs::read(given).unwrap());
        match wrong {
            Some(wrong) => refused(options, wrong),
            None => client(options).connect().unwrap(),
        }
    }
}

#[test]
fn tls_to_a_port_that_speaks_none_says_so() {
    let daemon = Daemon::with_token(&[]);
    let mut options = options(&daemon, daemon.port);
    options.secure = Some(true);
    refused(options, "does not speak TLS");
}

#[test]
fn behind_a_valid_certificate_a_new_host_key_is_told_and_taken() {
    let Some(first) = world("IP:127.0.0.1", "30") else {
        return;
    };
    let file = |name: &str| first.directory.path().join(name).display().to_string();
    let second = Daemon::with_token(&[
        "--tls-cert",
        &file("server.pem"),
        "--tls-key",
        &file("server.key"),
    ]);
    let proxy = Proxy::to(first.daemon.port);
    let mut options = first.options(proxy.port);
    // The same root, so that it is the same workspace to the client.
    let (warned, told) = std::sync::mpsc::channel();
    let warned = std::sync::Mutex::new(warned);
    options.on_warning = Some(std::sync::Arc::new(move |warning| {
        let _ = warned.lock().unwrap().send(warning.name);
    }));
    client(options.clone()).connect().unwrap();
    proxy.retarget(second.port);
    // Its root is another, which is found out only behind the host key.
    let _ = client(options).get("a");
    assert_eq!(told.try_iter().collect::<Vec<_>>(), ["host-key-changed"]);
}
