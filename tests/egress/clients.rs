//! Real programs, told of the proxy by nothing but the variables that a command gets.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};

use agent_backend::egress::{Protocol, Verdict, environment};

use crate::skip::skip;
use crate::support::{World, server, web};
use crate::tls::TlsServer;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/// Runs a program with the variables of the proxy and few others; `None`, and a skip, where it does not exist.
fn run(world: &World, program: &str, arguments: &[&str]) -> Option<Output> {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", home.path())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .envs(environment(world.port))
        .output();
    match output {
        Ok(output) => Some(output),
        Err(_) => {
            skip(&format!("there is no {program}"));
            None
        }
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn protocols(world: &World) -> Vec<(Protocol, bool)> {
    let is_allowed = |verdict| verdict == Verdict::Allowed;
    world
        .decisions()
        .iter()
        .map(|decision| (decision.protocol, is_allowed(decision.verdict)))
        .collect()
}

fn to(address: SocketAddr) -> World {
    World::new(&["a.example"]).leads_to(address)
}

#[test]
fn curl_reaches_what_is_listed_and_says_why_the_rest_is_not() {
    let (address, _) = web(OK);
    let world = to(address);
    let Some(output) = run(&world, "curl", &["-sS", "http://a.example/x"]) else {
        return;
    };
    assert_eq!(text(&output), "ok");
    let refused = run(&world, "curl", &["-sS", "http://evil.example/"]).unwrap();
    assert!(
        text(&refused).contains("evil.example:80 is refused"),
        "{}",
        text(&refused)
    );
    let refused = run(&world, "curl", &["-sS", "https://evil.example/"]).unwrap();
    assert!(
        !refused.status.success() && text(&refused).contains("403"),
        "{}",
        text(&refused)
    );
    let socks = format!("socks5h://127.0.0.1:{}", world.port);
    let output = run(&world, "curl", &["-sS", "-x", &socks, "http://a.example/"]).unwrap();
    assert_eq!(text(&output), "ok");
    for host in ["evil.example", "127.0.0.1", "2130706433"] {
        let url = format!("http://{host}/");
        let refused = run(
            &world,
            "curl",
            &["-sS", "--noproxy", "", "-x", &socks, &url],
        )
        .unwrap();
        assert!(!refused.status.success(), "{host}");
    }
    // It finds that number too, and asks for the address.
    let wanted = [
        (Protocol::Http, true),
        (Protocol::Http, false),
        (Protocol::Connect, false),
        (Protocol::Socks5, true),
        (Protocol::Socks5, false),
        (Protocol::Socks5, false),
        (Protocol::Socks5, false),
    ];
    assert_eq!(protocols(&world), wanted);
}

#[test]
fn curl_speaks_tls_through_a_tunnel_and_through_socks() {
    let Some(tls) = TlsServer::start() else {
        return;
    };
    let world = to(tls.address);
    let certificate = tls.certificate.to_str().unwrap();
    let socks = format!("socks5h://127.0.0.1:{}", world.port);
    for arguments in [&[][..], &["-x", &socks], &["--http1.1"]] {
        let mut all = vec!["-sS", "--cacert", certificate, "https://a.example/"];
        all.extend_from_slice(arguments);
        let Some(output) = run(&world, "curl", &all) else {
            return;
        };
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains("s_server"), "{}", text(&output));
    }
}

#[test]
fn a_server_on_the_commands_own_loopback_is_reached_without_the_proxy() {
    let (address, _) = web(OK);
    let world = World::new(&[]);
    let url = format!("http://127.0.0.1:{}/", address.port());
    let Some(output) = run(&world, "curl", &["-sS", &url]) else {
        return;
    };
    assert_eq!(text(&output), "ok");
    assert!(world.decisions().is_empty());
}

#[test]
fn python_reaches_what_is_listed() {
    let (address, _) = web(OK);
    let world = to(address);
    let program =
        "import urllib.request as r; print(r.urlopen('http://a.example/x').read().decode())";
    let Some(output) = run(&world, "python3", &["-c", program]) else {
        return;
    };
    assert_eq!(text(&output).trim(), "ok");
    let program = "import urllib.request as r; r.urlopen('https://evil.example/')";
    let refused = run(&world, "python3", &["-c", program]).unwrap();
    assert!(
        text(&refused).contains("403 Host not in the allow list"),
        "{}",
        text(&refused)
    );
    // Two requests and a tunnel by hand, on connections that are kept.
    let program = format!(
        "import http.client as h
c = h.HTTPConnection('127.0.0.1', {})
for _ in range(2):
    c.request('POST', 'http://a.example/', body=iter([b'ab', b'c']), encode_chunked=True, headers={{'Transfer-Encoding': 'chunked'}})
    print(c.getresponse().read())
c = h.HTTPConnection('127.0.0.1', {})
c.set_tunnel('a.example', 80)
c.request('GET', '/')
print(c.getresponse().read())",
        world.port, world.port
    );
    let output = run(&world, "python3", &["-c", &program]).unwrap();
    assert_eq!(text(&output).trim(), "b'ok'\nb'ok'\nb'ok'");
}

#[test]
fn npm_and_pip_ask_a_registry_through_the_proxy() {
    let (address, requests) = web("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let world = to(address);
    let npm = [
        "view",
        "x-package",
        "--registry=http://a.example/",
        "--fetch-retries=0",
        "--no-update-notifier",
    ];
    if run(&world, "npm", &npm).is_some() {
        let requests = std::mem::take(&mut *requests.lock().unwrap());
        assert!(
            requests
                .iter()
                .any(|head| head.starts_with("GET /x-package HTTP/1.1\r\n")),
            "{requests:?}"
        );
        let refused = [
            "view",
            "x-package",
            "--registry=https://evil.example/",
            "--fetch-retries=0",
            "--no-update-notifier",
        ];
        let output = run(&world, "npm", &refused).unwrap();
        assert!(!output.status.success(), "{}", text(&output));
        assert_eq!(protocols(&world).last(), Some(&(Protocol::Connect, false)));
    }
    let pip = [
        "-m",
        "pip",
        "download",
        "x-package",
        "--retries=0",
        "--no-cache-dir",
        "--disable-pip-version-check",
    ];
    let listed = [
        &pip[..],
        &[
            "--trusted-host=a.example",
            "--index-url=http://a.example/simple",
        ],
    ]
    .concat();
    if run(&world, "python3", &listed).is_some() {
        let requests = requests.lock().unwrap();
        assert!(
            requests
                .iter()
                .any(|head| head.starts_with("GET /simple/x-package/ HTTP/1.1\r\n")),
            "{requests:?}"
        );
        let refused = [&pip[..], &["--index-url=https://evil.example/simple"]].concat();
        let output = run(&world, "python3", &refused).unwrap();
        assert!(!output.status.success(), "{}", text(&output));
        assert_eq!(protocols(&world).last(), Some(&(Protocol::Connect, false)));
    }
}

#[test]
fn git_clones_over_http_through_the_proxy() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("source");
    let git = |at: &Path, arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=x", "-c", "user.email=x@a.example"])
            .args(arguments)
            .current_dir(at)
            .output();
        output.is_ok_and(|output| output.status.success())
    };
    let at = directory.path();
    if !git(at, &["init", "-q", "source"]) {
        return skip("there is no git");
    }
    std::fs::write(source.join("file"), "content").unwrap();
    assert!(git(&source, &["add", "file"]));
    assert!(git(&source, &["commit", "-q", "-m", "x"]));
    assert!(git(&source, &["repack", "-a", "-d", "-q"]));
    assert!(git(&source, &["update-server-info"]));
    let address = files(source.join(".git"));
    let world = to(address);
    let target = at.join("target");
    let arguments = [
        "clone",
        "-q",
        "http://a.example/source.git",
        target.to_str().unwrap(),
    ];
    let output = run(&world, "git", &arguments).unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(
        std::fs::read_to_string(target.join("file")).unwrap(),
        "content"
    );
    assert!(world.decisions().len() > 3);
    let refused = run(&world, "git", &["ls-remote", "https://evil.example/x.git"]).unwrap();
    assert!(text(&refused).contains("403"), "{}", text(&refused));
}

/// The "dumb" protocol of git: plain files below `/source.git/`.
fn files(root: std::path::PathBuf) -> SocketAddr {
    server(move |mut stream| {
        let head = crate::support::read_head(&mut stream);
        let path = head.split(' ').nth(1).unwrap().split('?').next().unwrap();
        let path = path.strip_prefix("/source.git/").unwrap();
        let answer = match std::fs::read(root.join(path)) {
            Ok(content) => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                    content.len()
                );
                [head.as_bytes(), &content].concat()
            }
            Err(_) => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_vec(),
        };
        let _ = std::io::Write::write_all(&mut stream, &answer);
    })
}
