//! A command whose network is a list of hosts: what it reaches, what it is told, and what is logged.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use agent_backend::backend::local::command::{CommandOptions, Isolation, Network};
use agent_backend::backend::process::CommandSpec;
use agent_backend::egress::{Allowlist, Decision, EgressLog, Verdict};
use agent_backend::error::ErrorCode;

use super::support::{Fixture, finish};
use super::walled;

#[derive(Debug, Default)]
struct Log(Mutex<Vec<Decision>>);

impl EgressLog for Log {
    fn decision(&self, decision: &Decision) {
        self.0.lock().unwrap().push(decision.clone());
    }
}

fn listed(hosts: &[&str]) -> CommandOptions {
    CommandOptions {
        network: Network::Allow(Arc::new(Allowlist::parse(hosts).unwrap())),
        ..CommandOptions::default()
    }
}

/// Asks the proxy for a page, and tells the status and the text of its answer.
fn ask(url: &str) -> String {
    format!(
        "python3 - <<'END'
import urllib.request, urllib.error
try:
    answer = urllib.request.urlopen('{url}', timeout=20)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.read().decode())
END"
    )
}

#[test]
fn a_host_that_is_not_listed_is_refused_with_a_reason_and_logged() {
    let Some(fixture) = walled::with(listed(&["registry.example.com"])) else {
        return;
    };
    let log = Arc::new(Log::default());
    let spec = CommandSpec {
        egress_log: Some(log.clone()),
        ..Fixture::spec(&ask("http://evil.example/x"))
    };
    let done = finish(fixture.start(spec).unwrap());
    assert!(done.text().starts_with("403 "), "{done:?}");
    assert!(done.text().contains("evil.example"), "{done:?}");
    let decisions = log.0.lock().unwrap();
    assert_eq!(decisions.len(), 1, "{decisions:?}");
    assert_eq!(
        (decisions[0].host.as_str(), decisions[0].port),
        ("evil.example", 80)
    );
    assert!(matches!(decisions[0].verdict, Verdict::Denied(_)));
    assert_eq!(*decisions[0].tag, *fixture.root().to_str().unwrap());
}

#[test]
fn the_hosts_loopback_is_out_of_reach_and_its_own_is_not() {
    let Some(fixture) = walled::with(listed(&["registry.example.com"])) else {
        return;
    };
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port();
    let connect = format!("exec 3<>/dev/tcp/127.0.0.1/{port} && echo reached");
    // The canary: without a network of its own it is reached.
    let open = Fixture::new(Isolation::None);
    assert_eq!(open.run(&connect).text(), "reached");
    assert_eq!(fixture.run(&connect).text(), "");
    let refused = fixture.run(&ask(&format!("http://127.0.0.1:{port}/")));
    // The loopback is reached directly, as NO_PROXY says, and nobody listens there.
    assert!(!refused.text().contains("200"), "{refused:?}");
    let through = format!(
        "exec 3<>/dev/tcp/127.0.0.1/3128 && printf 'CONNECT 127.0.0.1:{port} HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n\\r\\n' >&3 && head -1 <&3"
    );
    assert!(fixture.run(&through).text().contains(" 403 "));
    let own = "python3 - <<'END'
import socket, threading
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname())
print('own loopback works')
END";
    assert_eq!(fixture.run(own).text(), "own loopback works");
}

#[test]
fn the_proxy_of_one_command_ends_with_it_and_the_next_has_its_own() {
    let Some(fixture) = walled::with(listed(&[])) else {
        return;
    };
    for _ in 0..3 {
        let done = fixture.run(&ask("http://a.example/"));
        assert!(done.text().starts_with("403 "), "{done:?}");
    }
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    for _ in 0..20 {
        assert_eq!(fixture.run("true").status.code, Some(0));
    }
    // Other tests run beside this one.
    assert!(descriptors() < before + 60, "{before} {}", descriptors());
}

#[test]
fn a_list_of_hosts_needs_namespaces() {
    for isolation in [Isolation::Landlock, Isolation::Software, Isolation::None] {
        let options = CommandOptions {
            isolation,
            ..listed(&["a.example.com"])
        };
        let error = agent_backend::backend::local::command::Launcher::new(options).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidConfiguration);
    }
}
