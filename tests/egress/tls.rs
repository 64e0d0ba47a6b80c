//! TLS in tunnels: the server name must be the host of the tunnel. The clients are real ones.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agent_backend::egress::{Protocol, Reason, Verdict};

use crate::skip::skip;
use crate::support::{World, echo};

/// A TLS server of OpenSSL's, with a certificate of its own for whatever name.
pub struct TlsServer {
    child: Child,
    pub address: std::net::SocketAddr,
    pub certificate: PathBuf,
    _directory: tempfile::TempDir,
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl TlsServer {
    /// `None`, and the test is skipped, where there is no `openssl`.
    pub fn start() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let made = openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=a.example",
        ])
        .args(["-addext", "subjectAltName=DNS:a.example,DNS:evil.example"])
        .args([
            Path::new("-keyout"),
            &file("key"),
            Path::new("-out"),
            &file("certificate"),
        ])
        .output();
        if !made.is_ok_and(|made| made.status.success()) {
            skip("there is no openssl");
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let child = openssl(&[
            "s_server",
            "-www",
            "-quiet",
            "-accept",
            &format!("127.0.0.1:{port}"),
        ])
        .args([
            Path::new("-key"),
            &file("key"),
            Path::new("-cert"),
            &file("certificate"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
        let server = Self {
            child,
            address: ([127, 0, 0, 1], port).into(),
            certificate: file("certificate"),
            _directory: directory,
        };
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(server.address).is_err() {
            assert!(Instant::now() < until, "openssl serves");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(server)
    }
}

fn openssl(arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(arguments);
    command
}

/// Runs OpenSSL's client in a tunnel and gives back what came and how it ended.
fn handshake(world: &World, certificate: &Path, arguments: &[&str]) -> (bool, String) {
    let output = openssl(&["s_client", "-proxy", &format!("127.0.0.1:{}", world.port)])
        .args(["-connect", "a.example:443", "-CAfile"])
        .arg(certificate)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text)
}

#[test]
fn tls_for_the_host_of_the_tunnel_passes_and_for_another_does_not() {
    let Some(server) = TlsServer::start() else {
        return;
    };
    let world = World::new(&["a.example"]).leads_to(server.address);
    // The canary: the server itself takes any of these.
    for arguments in [&["-servername", "evil.example"][..], &["-noservername"]] {
        let direct = openssl(&["s_client", "-connect", &server.address.to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(direct.status.success(), "{arguments:?}");
    }
    let mut number = 0;
    for (arguments, denied) in [
        (&["-servername", "a.example"][..], None),
        (&["-servername", "A.Example"], None),
        (&["-servername", "a.example", "-tls1_2"], None),
        (&["-servername", "a.example", "-max_send_frag", "512"], None),
        (
            &["-servername", "evil.example"],
            Some(Reason::ServerNameDiffers),
        ),
        (
            &["-servername", "a.example.evil.net"],
            Some(Reason::ServerNameDiffers),
        ),
        (
            &["-servername", "evil.example", "-tls1_2"],
            Some(Reason::ServerNameDiffers),
        ),
        (&["-noservername"], Some(Reason::ServerNameMissing)),
    ] {
        let (succeeded, text) = handshake(&world, &server.certificate, arguments);
        assert_eq!(succeeded, denied.is_none(), "{arguments:?}: {text}");
        number += 1;
        if let Some(reason) = denied {
            number += 1;
            assert_eq!(world.verdict(number), Verdict::Denied(reason));
            assert!(text.contains("access denied"), "{arguments:?}: {text}");
            let decisions = world.decisions();
            assert_eq!(decisions[number - 2].verdict, Verdict::Allowed);
            assert_eq!(decisions[number - 1].host, "a.example");
        } else {
            assert_eq!(world.verdict(number), Verdict::Allowed);
        }
    }
}

#[test]
fn tls_through_socks_is_held_to_the_same() {
    let world = World::new(&["a.example:22"]).leads_to(echo());
    let mut stream = world.connect();
    stream
        .write_all(b"\x05\x01\x00\x05\x01\x00\x03\x09a.example\x00\x16")
        .unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    // A record that is no ClientHello, on a port that is not TLS's.
    stream.write_all(&[22, 3, 1, 0, 4, 2, 0, 0, 0]).unwrap();
    let mut back = Vec::new();
    let _ = stream.read_to_end(&mut back);
    assert_eq!(back, [21, 3, 1, 0, 2, 2, 49]);
    let verdict = world.verdict(2);
    assert!(
        matches!(verdict, Verdict::Denied(Reason::InvalidHello(_))),
        "{verdict:?}"
    );
    assert_eq!(world.decisions()[1].protocol, Protocol::Socks5);
}

#[test]
fn another_protocol_passes_on_any_port_that_is_listed() {
    let world = World::new(&["a.example:22", "a.example"]).leads_to(echo());
    for authority in ["a.example:22", "a.example:443"] {
        let mut stream = world.tunnel(authority);
        stream.write_all(b"SSH-2.0-client\r\n").unwrap();
        let mut back = [0; 16];
        stream.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"SSH-2.0-client\r\n");
    }
}
