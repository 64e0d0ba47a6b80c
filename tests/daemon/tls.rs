//! TLS of the daemon's own, and the certificate read again.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::served::Daemon;

/// A certificate for `localhost` with its key, in these files; `false` where nothing here can make one.
fn make(certificate: &Path, key: &Path) -> bool {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
        ])
        .args([
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .arg("-out")
        .arg(certificate)
        .arg("-keyout")
        .arg(key)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    made.is_ok_and(|status| status.success())
}

/// What a client that trusts only this certificate is answered.
fn health(port: u16, certificate: &Path) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_file(certificate).unwrap();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(client, TcpStream::connect(("127.0.0.1", port))?);
    stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    Ok(answer)
}

/// What `agent-backend health` says with these variables, as in the image, and whether it is content.
fn checked(port: u16, certificate: Option<&Path>) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agent-backend"));
    command
        .arg("health")
        .env("PORT", port.to_string())
        .env("HOST", "0.0.0.0")
        .env_remove("TLS_CERT");
    if let Some(certificate) = certificate {
        command.env("TLS_CERT", certificate);
    }
    let ran = command.output().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(said.lines().count() <= 1 && ran.stdout.is_empty(), "{said}");
    (ran.status.success(), said)
}

#[test]
fn the_health_check_knows_the_certificate_of_the_daemon() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    if !make(&file("c.pem"), &file("k.pem")) || !make(&file("other.pem"), &file("o.pem")) {
        crate::skip::skip("openssl is not there");
        return;
    }
    let (certificate, key) = (file("c.pem"), file("k.pem"));
    let flags = ["--tls-cert", certificate.to_str().unwrap()];
    let flags = [&flags[..], &["--tls-key", key.to_str().unwrap()]].concat();
    let daemon = Daemon::with_token(&flags);
    let (is_well, said) = checked(daemon.port, Some(&certificate));
    assert!(is_well, "{said}");
    let (is_well, said) = checked(daemon.port, Some(&file("other.pem")));
    assert!(!is_well && said.contains("certificate"), "{said}");
    let (is_well, said) = checked(daemon.port, None);
    assert!(!is_well && said.contains("TLS_CERT"), "{said}");
    let (is_well, said) = checked(daemon.port, Some(&file("none.pem")));
    assert!(!is_well && said.contains("none.pem"), "{said}");
    let plain = Daemon::with_token(&[]);
    let (is_well, said) = checked(plain.port, Some(&certificate));
    assert!(!is_well && said.contains("TLS"), "{said}");
    let (is_well, said) = checked(plain.port, None);
    assert!(is_well, "{said}");
}

#[test]
fn tls_is_served_and_a_new_certificate_holds_after_a_hangup() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, key) = (
        directory.path().join("c.pem"),
        directory.path().join("k.pem"),
    );
    if !make(&certificate, &key) {
        crate::skip::skip("openssl is not there");
        return;
    }
    let old = directory.path().join("old.pem");
    std::fs::copy(&certificate, &old).unwrap();
    let flags = [
        "--tls-cert",
        certificate.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ];
    let mut daemon = Daemon::with_token(&flags);
    assert!(
        health(daemon.port, &old)
            .unwrap()
            .starts_with("HTTP/1.1 200")
    );
    // Without TLS there is no HTTP.
    assert_eq!(daemon.get("/health", &[]).status, 0);
    assert!(make(&certificate, &key));
    daemon.signal(1);
    daemon.wait_for("the certificate was read again");
    assert!(
        health(daemon.port, &certificate)
            .unwrap()
            .starts_with("HTTP/1.1 200")
    );
    assert!(health(daemon.port, &old).is_err());
    std::fs::write(&key, "garbage").unwrap();
    daemon.signal(1);
    daemon.wait_for("the certificate stays as it is");
    assert!(health(daemon.port, &certificate).is_ok());
}
