//! `agent-backend health`: asks a daemon on this machine whether it is well, for health checks in images that have no
//! HTTP client.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use crate::error::{Error, ErrorCode, Printable, Result};

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// As much of an answer as is read.
const MAX_ANSWER: u64 = 1_024;

/// Asks for `GET /health` of a daemon without TLS.
///
/// # Errors
/// `CONNECTION_FAILED` where it cannot be reached or answers anything but 200.
pub fn ask(host: &str, port: u16) -> Result<()> {
    let answer = exchange(host, port).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::ConnectionRefused => "nothing listens there".to_owned(),
            ErrorKind::WouldBlock | ErrorKind::TimedOut => "it does not answer in time".to_owned(),
            _ => error.to_string(),
        };
        failed(host, port, &why)
    })?;
    if answer.starts_with(b"HTTP/1.1 200") {
        return Ok(());
    }
    if !answer.starts_with(b"HTTP/") {
        let why = "it does not answer in HTTP; is it another server, or one with TLS?";
        return Err(failed(host, port, why));
    }
    let line = answer
        .split(|&byte| byte == b'\r')
        .next()
        .unwrap_or_default();
    let why = format!("it answers {:?}", String::from_utf8_lossy(line));
    Err(failed(host, port, &why))
}

fn exchange(host: &str, port: u16) -> std::io::Result<Vec<u8>> {
    let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return speak(stream, host),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn speak(mut stream: TcpStream, host: &str) -> std::io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer)?;
    Ok(answer)
}

fn failed(host: &str, port: u16, why: &str) -> Error {
    let host = Printable(host);
    Error::new(
        ErrorCode::ConnectionFailed,
        format!("the daemon at {host} port {port} is not healthy: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Answers one connection and gives its port.
    fn answering(answer: &'static str) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let _ = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        port
    }

    #[test]
    fn only_200_is_well() {
        let well = answering("HTTP/1.1 200 OK\r\n\r\n{}");
        ask("127.0.0.1", well).unwrap();
        let draining = answering("HTTP/1.1 503 Service Unavailable\r\n\r\n");
        let error = ask("127.0.0.1", draining).unwrap_err();
        assert!(error.message().contains("503"), "{error}");
        // The alert of a server that speaks TLS.
        let tls = answering("\u{15}\u{3}\u{3}\0\u{2}\u{2}F");
        let error = ask("127.0.0.1", tls).unwrap_err();
        assert!(error.message().contains("TLS"), "{error}");
    }

    #[test]
    fn nobody_there_is_not_well() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = ask("127.0.0.1", port).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConnectionFailed);
        let shown = format!("127.0.0.1 port {port} is not healthy: nothing listens there");
        assert!(error.message().contains(&shown), "{error}");
    }
}
