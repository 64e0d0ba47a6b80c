//! A TCP proxy that counts, cuts, stalls and is slow.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is passed on at once at most.
const BUFFER: usize = 16 << 10;

#[derive(Default)]
struct State {
    target: AtomicU16,
    connections: AtomicUsize,
    /// Bytes that still pass, of both directions together; `u64::MAX` for no bound.
    allowance: AtomicU64,
    stalled: AtomicBool,
    /// Microseconds that a buffer of bytes takes.
    slowness: AtomicU64,
    ended: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

/// Listens until it is dropped.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

impl Proxy {
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        state.target.store(target, Ordering::SeqCst);
        state.allowance.store(u64::MAX, Ordering::SeqCst);
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(client) = client {
                    shared.connections.fetch_add(1, Ordering::SeqCst);
                    serve(&shared, client);
                }
            }
        });
        Self { port, state }
    }

    /// Connections from the next one on go elsewhere.
    pub fn retarget(&self, target: u16) {
        self.state.target.store(target, Ordering::SeqCst);
    }

    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// Lets so many more bytes pass, then cuts the connection that carries the next one; those after it pass.
    pub fn cut_after(&self, bytes: u64) {
        self.state.allowance.store(bytes, Ordering::SeqCst);
    }

    pub fn pass_all(&self) {
        self.state.allowance.store(u64::MAX, Ordering::SeqCst);
        self.state.stalled.store(false, Ordering::SeqCst);
    }

    /// In each direction so many bytes pass in a second, more or less.
    pub fn slow(&self, bytes: u64) {
        let microseconds = BUFFER as u64 * 1_000_000 / bytes;
        self.state.slowness.store(microseconds, Ordering::SeqCst);
    }

    /// Nothing passes, and nobody is told.
    pub fn stall(&self) {
        self.state.stalled.store(true, Ordering::SeqCst);
    }

    /// Cuts what is open.
    pub fn cut(&self) {
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::SeqCst);
        self.cut();
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn serve(state: &Arc<State>, client: TcpStream) {
    let target = state.target.load(Ordering::SeqCst);
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)) else {
        return;
    };
    let both = [(&client, &server), (&server, &client)];
    for stream in [&client, &server] {
        let _ = stream.set_nodelay(true);
        state.open.lock().unwrap().push(stream.try_clone().unwrap());
    }
    for (from, to) in both {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let state = Arc::clone(state);
        std::thread::spawn(move || pump(&state, from, to));
    }
}

fn pump(state: &State, mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        while state.stalled.load(Ordering::SeqCst) && !state.ended.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let slowness = state.slowness.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_micros(
            slowness * read as u64 / BUFFER as u64,
        ));
        let mut allowed = read;
        let _ = state
            .allowance
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                if left == u64::MAX {
                    allowed = read;
                    return None;
                }
                allowed = read.min(usize::try_from(left).unwrap_or(usize::MAX));
                Some(left - allowed as u64)
            });
        if to.write_all(&buffer[..allowed]).is_err() {
            break;
        }
        if allowed < read {
            // The next connection passes.
            state.allowance.store(u64::MAX, Ordering::SeqCst);
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
