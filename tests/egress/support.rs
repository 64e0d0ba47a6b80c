//! A small Internet on the loopback, and a proxy in front of it.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use agent_backend::call::BoxFuture;
use agent_backend::egress::{
    Allowlist, Decision, DialError, Dialer, EgressLog, Limits, Proxy, ProxyOptions, Resolver,
    Verdict,
};

/// The public address that `a.example` and all that is not told otherwise resolves to.
pub const PUBLIC: &str = "93.184.215.14";

/// Keeps every decision.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Vec<Decision>>);

impl EgressLog for Recorder {
    fn decision(&self, decision: &Decision) {
        self.0.lock().unwrap().push(decision.clone());
    }
}

/// The DNS of the tests: each look-up of a name takes the next of its answers, the last one again and again.
#[derive(Debug, Default)]
pub struct Names {
    answers: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    pub lookups: AtomicUsize,
    pub delay: Mutex<Duration>,
}

impl Names {
    pub fn set(&self, name: &str, answers: &[&[&str]]) {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().expect(text)).collect();
        let answers = answers.iter().map(parse).collect();
        self.answers.lock().unwrap().insert(name.into(), answers);
    }
}

impl Resolver for Names {
    fn resolve(&self, name: &str) -> BoxFuture<io::Result<Vec<IpAddr>>> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        let mut answers = self.answers.lock().unwrap();
        let answer = match answers.get_mut(name) {
            Some(list) if list.len() > 1 => list.remove(0),
            Some(list) => list[0].clone(),
            None => vec![PUBLIC.parse().unwrap()],
        };
        let delay = *self.delay.lock().unwrap();
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            Ok(answer)
        })
    }
}

/// Leads every public address to one server on the loopback, and remembers what it was asked for.
#[derive(Debug, Default)]
pub struct Wires {
    pub server: Mutex<Option<SocketAddr>>,
    /// Addresses that never answer.
    pub silent: Mutex<Vec<IpAddr>>,
    pub dialled: Mutex<Vec<SocketAddr>>,
}

impl Dialer for Wires {
    fn dial(&self, address: SocketAddr) -> BoxFuture<Result<tokio::net::TcpStream, DialError>> {
        self.dialled.lock().unwrap().push(address);
        let server = *self.server.lock().unwrap();
        let is_silent = self.silent.lock().unwrap().contains(&address.ip());
        Box::pin(async move {
            if is_silent {
                std::future::pending::<()>().await;
            }
            let server = server.ok_or_else(|| io::Error::from(io::ErrorKind::HostUnreachable));
            let server = server.map_err(DialError::Failed)?;
            tokio::net::TcpStream::connect(server)
                .await
                .map_err(DialError::Failed)
        })
    }
}

/// A proxy with its world.
pub struct World {
    pub proxy: Option<Proxy>,
    pub port: u16,
    pub log: Arc<Recorder>,
    pub names: Arc<Names>,
    pub wires: Arc<Wires>,
}

impl World {
    pub fn new(allow: &[&str]) -> Self {
        Self::with_limits(allow, Limits::default())
    }

    pub fn with_limits(allow: &[&str], limits: Limits) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        Self::on(listener, port, allow, limits)
    }

    pub fn on(listener: TcpListener, port: u16, allow: &[&str], limits: Limits) -> Self {
        let (log, names, wires) = <(Arc<Recorder>, Arc<Names>, Arc<Wires>)>::default();
        let options = ProxyOptions {
            tag: "the test".into(),
            limits,
            resolver: Arc::<Names>::clone(&names),
            dialer: Arc::<Wires>::clone(&wires),
        };
        let allow = Arc::new(Allowlist::parse(allow).unwrap());
        let proxy = Proxy::serve(listener, allow, Arc::<Recorder>::clone(&log), options).unwrap();
        Self {
            proxy: Some(proxy),
            port,
            log,
            names,
            wires,
        }
    }

    pub fn leads_to(self, server: SocketAddr) -> Self {
        *self.wires.server.lock().unwrap() = Some(server);
        self
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
            .set_write_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// Sends bytes and gives back everything that comes until the proxy closes.
    pub fn ask(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        // The proxy may refuse, and close, before it has taken everything.
        let _ = stream.write_all(bytes.as_ref());
        read_all(&mut stream)
    }

    /// A tunnel by `CONNECT`, once it stands.
    pub fn tunnel(&self, authority: &str) -> TcpStream {
        let mut stream = self.connect();
        write!(
            stream,
            "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"
        )
        .unwrap();
        let head = read_head(&mut stream);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        stream
    }

    pub fn decisions(&self) -> Vec<Decision> {
        self.log.0.lock().unwrap().clone()
    }

    /// The only decision, or the last of as many as are said to come.
    pub fn verdict(&self, number: usize) -> Verdict {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let decisions = self.decisions();
            if decisions.len() >= number {
                assert_eq!(decisions.len(), number, "{decisions:?}");
                return decisions[number - 1].verdict;
            }
            assert!(Instant::now() < until, "only {decisions:?}");
            thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn dialled(&self) -> Vec<SocketAddr> {
        self.wires.dialled.lock().unwrap().clone()
    }

    pub fn lookups(&self) -> usize {
        self.names.lookups.load(Ordering::Relaxed)
    }
}

pub fn read_all(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset counts as an end: what came before it is what the client has.
    if let Err(error) = stream.read_to_end(&mut bytes) {
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{bytes:?}");
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads to the end of a head and not a byte further.
pub fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&head)),
        }
    }
    String::from_utf8(head).unwrap()
}

/// A server whose every connection gets a thread with this function.
pub fn server(each: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let each = Arc::new(each);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let each = Arc::clone(&each);
            thread::spawn(move || each(stream));
        }
    });
    address
}

/// Gives back what it gets, until its client has said all.
pub fn echo() -> SocketAddr {
    server(|stream| {
        let mut from = stream.try_clone().unwrap();
        let mut to = stream;
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
    })
}

/// Heads and bodies of what came to a web server.
pub type Requests = Arc<Mutex<Vec<String>>>;

/// A web server that answers the same to every request, once it has read `Content-Length` bytes of body or all chunks.
pub fn web(answer: &'static str) -> (SocketAddr, Requests) {
    let requests = Requests::default();
    let kept = Arc::clone(&requests);
    let address = server(move |mut stream| {
        let mut from = BufReader::new(stream.try_clone().unwrap());
        let request = read_request(&mut from);
        kept.lock().unwrap().push(request);
        let _ = stream.write_all(answer.as_bytes());
    });
    (address, requests)
}

fn read_request(from: &mut impl BufRead) -> String {
    let mut request = String::new();
    let mut length = 0;
    while !request.ends_with("\r\n\r\n") {
        let at = request.len();
        if from.read_line(&mut request).unwrap_or(0) == 0 {
            return request;
        }
        let line = request[at..].to_ascii_lowercase();
        if let Some(number) = line.strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
    }
    if request
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        while !request.ends_with("\r\n0\r\n\r\n") {
            if from.read_line(&mut request).unwrap_or(0) == 0 {
                break;
            }
        }
    }
    let mut body = vec![0; length];
    if from.read_exact(&mut body).is_ok() {
        request.push_str(&String::from_utf8_lossy(&body));
    }
    request
}

/// A deterministic generator of numbers below a bound.
pub fn random(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed | 1;
    move |below| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    }
}
