//! Slow lines: a call fails when nothing moves any more, and not because it carries much.

use std::time::{Duration, Instant};

use agent_backend::backend::remote::options::RemoteOptions;
use agent_backend::error::ErrorCode;

use crate::proxy::Proxy;
use crate::served::Daemon;
use crate::skip::skip;
use crate::sshd::{self, Sshd};
use crate::world::{Client, client, options};

/// Far less than the content takes on the slow line, and more than any piece of it does.
const LIMIT: Duration = Duration::from_millis(1_000);
const CONTENT: usize = 24 << 20;
const BYTES_A_SECOND: u64 = 8 << 20;

/// With a limit for each call, and no keepalive that would notice a stall before it.
fn limited(mut options: RemoteOptions) -> Client {
    options.operation_timeout_ms = u64::try_from(LIMIT.as_millis()).unwrap();
    options.keepalive_interval_ms = 600_000;
    client(options)
}

fn moves_slowly(proxy: &Proxy, client: &Client) {
    let content = "0123456789abcdef".repeat(CONTENT / 16);
    client.put("small", "1").unwrap();
    proxy.slow(BYTES_A_SECOND);
    let begin = Instant::now();
    client.put("large", &content).unwrap();
    assert!(begin.elapsed() > LIMIT * 2, "the line was not slow");
    let begin = Instant::now();
    assert!(client.get("large").unwrap() == content);
    assert!(begin.elapsed() > LIMIT * 2, "the line was not slow");
    assert_eq!(proxy.connections(), 1);
}

/// Both directions: what is half read or half written when the line stalls.
fn stands_still(proxy: &Proxy, client: &Client) {
    let content = "0123456789abcdef".repeat(CONTENT / 16);
    client.put("large", &content).unwrap();
    proxy.slow(BYTES_A_SECOND);
    for writes in [false, true] {
        let begin = Instant::now();
        let error = std::thread::scope(|threads| {
            let call = threads.spawn(|| match writes {
                true => client.put("large", &content.replace('0', "-")),
                false => client.get("large").map(|_| ()),
            });
            std::thread::sleep(LIMIT + LIMIT / 2);
            assert!(!call.is_finished(), "it is given up while it moves");
            proxy.stall();
            call.join().unwrap().unwrap_err()
        });
        assert_eq!(error.code(), ErrorCode::Timeout, "{error}");
        // The limit, and what a first piece may take on the slowest line.
        assert!(begin.elapsed() < Duration::from_secs(20), "{begin:?}");
        proxy.cut();
        proxy.pass_all();
    }
    assert!(client.get("large").unwrap() == content, "it is torn");
}

#[test]
fn what_moves_is_waited_for_however_long_it_takes() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let client = limited(options(&daemon, proxy.port));
    moves_slowly(&proxy, &client);
    client.destroy();
}

#[test]
fn what_has_moved_and_stands_still_is_given_up() {
    let daemon = Daemon::with_token(&[]);
    let proxy = Proxy::to(daemon.port);
    let client = limited(options(&daemon, proxy.port));
    stands_still(&proxy, &client);
    client.destroy();
}

#[test]
fn both_hold_over_a_foreign_server() {
    if let Err(why) = sshd::program() {
        return skip(&why);
    }
    let server = Sshd::start();
    let proxy = Proxy::to(server.port);
    let mut options = server.options();
    options.port = Some(proxy.port);
    options.reconnection.initial_delay_ms = 10;
    let client = limited(options);
    moves_slowly(&proxy, &client);
    stands_still(&proxy, &client);
    client.destroy();
}
