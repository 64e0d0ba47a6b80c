//! How much of the server one client gets.

use std::io::Read as _;
use std::process::Stdio;
use std::time::Duration;

use agent_backend::backend::local::command::Isolation;
use agent_backend::daemon::ssh::ServerOptions;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::alone::ran_alone;
use crate::peer::{PATIENCE, Peer};
use crate::server::{Fixture, has_openssh, text};

fn few() -> ServerOptions {
    ServerOptions {
        max_channels: 3,
        max_connections: 2,
        idle_timeout: Duration::from_millis(800),
        ..ServerOptions::default()
    }
}

#[test]
fn a_connection_has_so_many_channels_at_once_and_any_number_after_each_other() {
    let fixture = Fixture::with(few(), Isolation::None);
    fixture.runtime().block_on(async {
        let peer = Peer::connect(&fixture).await;
        let held = [peer.session().await, peer.session().await];
        for number in 0..20 {
            let done = peer.run("echo x").await;
            assert_eq!(done.stdout, b"x\n", "{number}");
        }
        let _third = peer.session().await;
        assert!(peer.handle.channel_open_session().await.is_err());
        drop(held);
    });
}

#[test]
fn a_connection_that_has_had_very_many_channels_is_ended_when_it_has_none() {
    let options = ServerOptions {
        max_channels_ever: 10,
        ..ServerOptions::default()
    };
    let fixture = Fixture::with(options, Isolation::None);
    fixture.runtime().block_on(async {
        let peer = Peer::connect(&fixture).await;
        let held = peer.session().await;
        for _ in 0..9 {
            assert_eq!(peer.run("echo x").await.stdout, b"x\n");
        }
        assert!(peer.handle.channel_open_session().await.is_err());
        assert!(!peer.handle.is_closed());
        held.close().await.unwrap();
        let ended = async {
            while !peer.handle.is_closed() {
                let _ = peer.handle.channel_open_session().await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap();
    });
}

#[test]
fn there_are_so_many_connections_at_once() {
    let fixture = Fixture::with(few(), Isolation::None);
    fixture.runtime().block_on(async {
        let first = Peer::connect(&fixture).await;
        let held = first.session().await;
        let second = Peer::connect(&fixture).await;
        let _held = second.session().await;
        let mut third = TcpStream::connect(fixture.address).await.unwrap();
        let mut said = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, third.read_to_end(&mut said));
        ended.await.unwrap().ok();
        assert_eq!(said, b"");
        drop((held, first));
        let again = async {
            loop {
                let mut stream = TcpStream::connect(fixture.address).await.unwrap();
                if stream.read(&mut [0; 4]).await.is_ok_and(|count| count > 0) {
                    break;
                }
            }
        };
        tokio::time::timeout(PATIENCE, again).await.unwrap();
    });
}

#[test]
fn a_connection_without_channels_ends_after_a_while_and_one_with_a_channel_does_not() {
    let fixture = Fixture::with(few(), Isolation::None);
    fixture.runtime().block_on(async {
        let busy = Peer::connect(&fixture).await;
        let _held = busy.session().await;
        let idle = Peer::connect(&fixture).await;
        let ended = async {
            while !idle.handle.is_closed() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap();
        assert!(!busy.handle.is_closed());
        assert_eq!(busy.run("echo x").await.stdout, b"x\n");
    });
}

#[test]
fn a_channel_is_for_one_thing() {
    let fixture = Fixture::new();
    fixture.runtime().block_on(async {
        let peer = Peer::connect(&fixture).await;
        let mut channel = peer.session().await;
        channel.exec(true, "echo once; cat").await.unwrap();
        crate::peer::until(&mut channel, "once").await;
        channel.exec(true, "touch made").await.unwrap();
        assert!(crate::peer::rest(&mut channel).await.refused);
        channel.request_shell(true).await.unwrap();
        assert!(crate::peer::rest(&mut channel).await.refused);
        assert!(!fixture.root().join("made").exists());
        for name in ["netconf", "", "SFTP"] {
            let mut channel = peer.session().await;
            channel.request_subsystem(true, name).await.unwrap();
            assert!(crate::peer::rest(&mut channel).await.refused, "{name}");
        }
        let mut channel = peer.session().await;
        channel.exec(true, b"\xff\xfe".to_vec()).await.unwrap();
        assert!(crate::peer::rest(&mut channel).await.refused);
    });
}

#[test]
fn input_that_nobody_reads_stops_its_own_channel_and_no_other() {
    let options = ServerOptions {
        stuck_after: Duration::from_secs(3),
        ..ServerOptions::default()
    };
    let fixture = Fixture::with(options, Isolation::None);
    fixture.runtime().block_on(async {
        let peer = Peer::connect(&fixture).await;
        let stuck = peer.session().await;
        stuck.exec(true, "sleep 1000").await.unwrap();
        let (mut reads, writes) = stuck.split();
        tokio::spawn(async move { while reads.wait().await.is_some() {} });
        let sent = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = std::sync::Arc::clone(&sent);
        let sending = tokio::spawn(async move {
            loop {
                if writes.data_bytes(vec![b'x'; 32 << 10]).await.is_err() {
                    break;
                }
                count.fetch_add(32 << 10, std::sync::atomic::Ordering::Relaxed);
            }
        });
        // It comes to a stop by itself,
        let mut before = usize::MAX;
        let stopped = async {
            loop {
                tokio::time::sleep(Duration::from_millis(300)).await;
                let now = sent.load(std::sync::atomic::Ordering::Relaxed);
                if now == before {
                    break;
                }
                before = now;
            }
        };
        tokio::time::timeout(PATIENCE, stopped).await.unwrap();
        assert!(before < 16 << 20, "{before} bytes were taken");
        // and others go on meanwhile.
        for _ in 0..5 {
            assert_eq!(peer.run("echo x").await.stdout, b"x\n");
        }
        let mut upload = peer.session().await;
        upload.exec(true, "wc -c").await.unwrap();
        // Much at once may be held up, but not for ever.
        let sent = tokio::time::timeout(PATIENCE, upload.data_bytes(vec![b'y'; 60 << 20]));
        sent.await.unwrap().unwrap();
        upload.eof().await.unwrap();
        let done = crate::peer::rest(&mut upload).await;
        assert_eq!(text(&done.stdout).trim(), (60 << 20).to_string());
        sending.abort();
    });
}

#[test]
fn a_client_that_never_reads_its_output_costs_no_memory_and_stops_no_other() {
    if ran_alone("bounds::a_client_that_never_reads_its_output_costs_no_memory_and_stops_no_other")
    {
        return;
    }
    if !has_openssh() {
        return;
    }
    let fixture = Fixture::new();
    let socket = fixture.base.path().join("mux").display().to_string();
    let mut master = fixture
        .ssh("agent", &["-M", "-S", &socket])
        .arg("head -c 1073741824 /dev/zero; echo done > done")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = master.stdout.take().unwrap();
    output.read_exact(&mut [0; 1024]).unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let before = resident();
    for _ in 0..20 {
        let other = fixture
            .ssh("agent", &["-S", &socket])
            .arg("echo x")
            .output();
        assert_eq!(text(&other.unwrap().stdout), "x\n");
    }
    std::thread::sleep(Duration::from_secs(1));
    let after = resident();
    assert!(after < before + (24 << 20), "{before} → {after} bytes");
    assert!(
        !fixture.root().join("done").exists(),
        "it waits for its reader"
    );
    // And it goes on where it stopped.
    let rest = std::io::copy(&mut output, &mut std::io::sink()).unwrap();
    assert_eq!(rest, (1 << 30) - 1024);
    assert!(master.wait().unwrap().success());
}

/// Bytes of memory that this process has.
pub fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}
