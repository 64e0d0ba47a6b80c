//! That a connection costs the same after ten thousand calls as before, and nothing once it is destroyed.

use agent_backend::pool;

use crate::alone::ran_alone;
use crate::served::Daemon;
use crate::skip::skip;
use crate::sshd::{self, Sshd};
use crate::world::{Client, client, eventually, options};

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn sockets() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count()
}

fn tasks() -> usize {
    pool::runtime().metrics().num_alive_tasks()
}

fn calls(client: &Client, count: usize) {
    for number in 0..count {
        client.put("a", &number.to_string()).unwrap();
        assert_eq!(client.get("a").unwrap(), number.to_string());
    }
}

fn ten_thousand_calls(client: &Client) {
    calls(client, 500);
    let before = resident_kib();
    calls(client, 5_000);
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 6 << 10, "{grown} KiB more after 10,000 calls");
}

#[test]
fn ten_thousand_calls_leave_memory_as_it_was_and_the_end_leaves_nothing() {
    if ran_alone("load::ten_thousand_calls_leave_memory_as_it_was_and_the_end_leaves_nothing") {
        return;
    }
    let daemon = Daemon::with_token(&[]);
    let (tasks_before, sockets_before) = (tasks(), sockets());
    for _ in 0..3 {
        let client = client(options(&daemon, daemon.port));
        client.connect().unwrap();
        assert!(tasks() > tasks_before && sockets() > sockets_before);
        client.destroy();
    }
    eventually("no task is left", || tasks() <= tasks_before);
    eventually("no socket is left", || sockets() <= sockets_before);
    let client = client(options(&daemon, daemon.port));
    ten_thousand_calls(&client);
    client.destroy();
    eventually("no task is left", || tasks() <= tasks_before);
}

#[test]
fn the_same_over_a_foreign_server() {
    if ran_alone("load::the_same_over_a_foreign_server") {
        return;
    }
    if let Err(why) = sshd::program() {
        return skip(&why);
    }
    let server = Sshd::start();
    let (tasks_before, sockets_before) = (tasks(), sockets());
    let client = client(server.options());
    ten_thousand_calls(&client);
    client.destroy();
    drop(client);
    eventually("no task is left", || tasks() <= tasks_before);
    eventually("no socket is left", || sockets() <= sockets_before);
}
