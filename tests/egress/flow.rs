//! What a tunnel carries: all of it, both ways, with flat memory; and how it ends.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use agent_backend::egress::Limits;

use crate::support::{World, echo, read_all, server};

const MEBIBYTE: usize = 1 << 20;

#[test]
fn one_side_may_end_while_the_other_goes_on() {
    let (told, hears) = std::sync::mpsc::channel();
    let told = std::sync::Mutex::new(told);
    // Hears the client out and only then answers; or ends first and still listens.
    let address = server(move |mut stream| {
        let mut kind = [0];
        stream.read_exact(&mut kind).unwrap();
        if kind == *b"1" {
            let heard = read_all(&mut stream);
            stream
                .write_all(format!("heard {heard}").as_bytes())
                .unwrap();
        } else {
            stream.write_all(b"bye").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            told.lock().unwrap().send(read_all(&mut stream)).unwrap();
        }
    });
    let world = World::new(&["a.example:7"]).leads_to(address);
    let mut stream = world.tunnel("a.example:7");
    stream.write_all(b"1all of it").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut stream), "heard all of it");

    let mut stream = world.tunnel("a.example:7");
    stream.write_all(b"2").unwrap();
    assert_eq!(read_all(&mut stream), "bye");
    stream.write_all(b"still here").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let heard = hears.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(heard, "still here");
}

#[test]
fn a_server_may_speak_first() {
    let address = server(|mut stream| {
        stream.write_all(b"SSH-2.0-test\r\n").unwrap();
        read_all(&mut stream);
    });
    let world = World::new(&["a.example:22"]).leads_to(address);
    let mut stream = world.tunnel("a.example:22");
    let mut banner = [0; 14];
    stream.read_exact(&mut banner).unwrap();
    assert_eq!(&banner, b"SSH-2.0-test\r\n");
}

#[test]
fn a_client_that_stops_reading_costs_no_memory() {
    // In a process of its own: here the other tests take memory meanwhile.
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "flow::in_a_process_of_its_own"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[test]
#[ignore = "the other process of a test"]
fn in_a_process_of_its_own() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let address = server(move |mut stream| {
        let block: Vec<u8> = (0..=255).cycle().take(64 * 1024).collect();
        for _ in 0..100 * MEBIBYTE / block.len() {
            if stream.write_all(&block).is_err() {
                return;
            }
            counted.fetch_add(block.len(), Ordering::Relaxed);
        }
    });
    let world = World::new(&["a.example:7"]).leads_to(address);
    let before = resident();
    let mut stream = world.tunnel("a.example:7");
    let mut last = usize::MAX;
    while last != sent.load(Ordering::Relaxed) || last == 0 {
        last = sent.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(300));
    }
    // What is under way is in the kernel's buffers for sockets; the rest waits at the server.
    assert!(
        last < 50 * MEBIBYTE,
        "{last} bytes were taken from the server"
    );
    let grown = resident().saturating_sub(before);
    assert!(grown < 4 * MEBIBYTE, "grown by {grown} bytes");
    let mut block = vec![0; 256 * 1024];
    let mut received = 0;
    loop {
        let length = stream.read(&mut block).unwrap();
        if length == 0 {
            break;
        }
        for (at, byte) in block[..length].iter().enumerate() {
            assert!(
                usize::from(*byte) == (received + at) % 256,
                "at {}",
                received + at
            );
        }
        received += length;
    }
    assert_eq!(received, 100 * MEBIBYTE);
    let grown = resident().saturating_sub(before);
    assert!(grown < 4 * MEBIBYTE, "grown by {grown} bytes");
    println!("{last} bytes under way, grown by {grown}");
}

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace()
        .nth(1)
        .unwrap()
        .parse::<usize>()
        .unwrap()
        * 1024
}

#[test]
fn a_hundred_tunnels_at_once_carry_what_is_theirs() {
    let world = World::new(&["a.example:7"]).leads_to(echo());
    thread::scope(|scope| {
        for number in 0..100_u8 {
            let world = &world;
            scope.spawn(move || {
                let mut stream = world.tunnel("a.example:7");
                let mut back = stream.try_clone().unwrap();
                let reader = thread::spawn(move || {
                    let mut bytes = Vec::new();
                    back.read_to_end(&mut bytes).map(|_| bytes)
                });
                for _ in 0..16 {
                    stream.write_all(&vec![number; 16 * 1024]).unwrap();
                }
                stream.shutdown(Shutdown::Write).unwrap();
                let bytes = reader.join().unwrap().unwrap();
                assert_eq!(bytes.len(), 256 * 1024);
                assert!(bytes.iter().all(|byte| *byte == number));
            });
        }
    });
    assert_eq!(world.decisions().len(), 100);
}

#[test]
fn dropping_the_proxy_closes_everything_at_once() {
    let open = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&open);
    let address = server(move |mut stream| {
        counted.fetch_add(1, Ordering::Relaxed);
        let _ = stream.write_all(b"x");
        read_all(&mut stream);
        counted.fetch_sub(1, Ordering::Relaxed);
    });
    let mut world = World::new(&["a.example:7"]).leads_to(address);
    let mut tunnels: Vec<_> = (0..20).map(|_| world.tunnel("a.example:7")).collect();
    for tunnel in &mut tunnels {
        tunnel.read_exact(&mut [0]).unwrap();
    }
    let mut waiting = world.connect();
    assert_eq!(open.load(Ordering::Relaxed), 20);
    let began = Instant::now();
    world.proxy = None;
    for tunnel in &mut tunnels {
        assert_eq!(read_all(tunnel), "");
    }
    assert_eq!(read_all(&mut waiting), "");
    while open.load(Ordering::Relaxed) > 0 {
        assert!(
            began.elapsed() < Duration::from_secs(2),
            "servers still have clients"
        );
        thread::sleep(Duration::from_millis(1));
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert!(std::net::TcpStream::connect(("127.0.0.1", world.port)).is_err());
}

#[test]
fn a_tunnel_on_which_nothing_moves_ends() {
    let limits = Limits {
        idle_time: Duration::from_millis(400),
        ..Limits::default()
    };
    let world = World::with_limits(&["a.example:7"], limits).leads_to(echo());
    let mut stream = world.tunnel("a.example:7");
    for _ in 0..5 {
        // Moving in time keeps it.
        thread::sleep(Duration::from_millis(150));
        stream.write_all(b"x").unwrap();
        stream.read_exact(&mut [0]).unwrap();
    }
    let began = Instant::now();
    assert_eq!(read_all(&mut stream), "");
    assert!(began.elapsed() > Duration::from_millis(200));
    assert!(began.elapsed() < Duration::from_secs(5));
}
