//! `agent-backend health`: asks a daemon on this machine whether it is well, for health checks in images that have no
//! HTTP client. Where it is, and whether it has TLS, is taken from the same variables as the image's entry point takes.

mod certificate;

use std::ffi::OsString;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser};

use crate::error::{Error, ErrorCode, Printable, Result};

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(4);
/// As much of an answer as is read.
const MAX_ANSWER: u64 = 1_024;
/// Where a daemon listens that was not told another port.
const DEFAULT_PORT: u16 = 3001;

/// What `agent-backend health --help` prints.
pub const HELP: &str = "\
Asks a daemon of this machine whether it is well: exit status 0, or 1 with one line that says why not.

Usage: agent-backend health [options]

Options:
      --host HOST      Where it listens (default: HOST, else 127.0.0.1)
      --port PORT      (default: PORT, else 3001)
      --tls-cert FILE  The certificate that it presents, where it has TLS (default: TLS_CERT, else no TLS)
  -h, --help           Print this help";

/// A daemon to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its address or name.
    pub host: String,
    /// Its port for HTTP.
    pub port: u16,
    /// The file with the certificate that it presents; without one it is asked without TLS.
    pub certificate: Option<PathBuf>,
}

/// Reads the arguments that follow `health`; `environment` gives `HOST`, `PORT` and `TLS_CERT`. `None` asks for [`HELP`].
///
/// # Errors
/// `INVALID_CONFIGURATION` with a message of one line.
pub fn parse(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<Option<Asked>> {
    let variable = |name: &str| environment(name).filter(|value| !value.is_empty());
    let mut host = variable("HOST");
    let mut port = variable("PORT").map(|value| ("PORT", value));
    let mut certificate = variable("TLS_CERT");
    let mut parser = Parser::from_args(arguments);
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("host") => host = Some(parser.value().map_err(wrong)?),
            Arg::Long("port") => port = Some(("--port", parser.value().map_err(wrong)?)),
            Arg::Long("tls-cert") => certificate = Some(parser.value().map_err(wrong)?),
            other => return Err(wrong(other.unexpected())),
        }
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some((name, value)) => match value.to_string_lossy().parse() {
            Ok(number) if number > 0 => number,
            _ => {
                return Err(invalid(format!(
                    "{name} must be a port from 1 to 65535, not {value:?}"
                )));
            }
        },
    };
    Ok(Some(Asked {
        host: host.map_or_else(
            || Ipv4Addr::LOCALHOST.to_string(),
            |host| host.to_string_lossy().into_owned(),
        ),
        port,
        certificate: certificate.map(PathBuf::from),
    }))
}

#[allow(clippy::needless_pass_by_value, reason = "it is a map_err argument")]
fn wrong(error: lexopt::Error) -> Error {
    invalid(error.to_string())
}

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidConfiguration, message)
}

/// Asks for `GET /health`.
///
/// # Errors
/// `CONNECTION_FAILED` where it cannot be reached, presents another certificate or answers anything but 200;
/// `INVALID_CONFIGURATION` where it is asked without TLS and answers in something else than HTTP; those of reading the
/// certificate.
pub fn ask(asked: &Asked) -> Result<()> {
    let pin = match &asked.certificate {
        Some(file) => Some(certificate::Pin::read(file)?),
        None => None,
    };
    let answer = match exchange(asked, pin) {
        // Its alert, if there was one, is lost with a connection that it closed before it had read all.
        Err(error) if asked.certificate.is_none() && is_cut_off(&error) => Vec::new(),
        answer => answer.map_err(|error| failed(asked, &certificate::explained(&error)))?,
    };
    if answer.starts_with(b"HTTP/1.1 200") {
        return Ok(());
    }
    // What a server with TLS says to somebody without: an alert, or nothing.
    if !answer.starts_with(b"HTTP/") && asked.certificate.is_none() {
        return Err(invalid(
            "the daemon does not answer in HTTP; if it has TLS, name its certificate by --tls-cert or TLS_CERT"
                .to_owned(),
        ));
    }
    let line = answer
        .split(|&byte| byte == b'\r')
        .next()
        .unwrap_or_default();
    let why = format!("it answers {:?}", String::from_utf8_lossy(line));
    Err(failed(asked, &why))
}

fn is_cut_off(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
    )
}

fn exchange(asked: &Asked, mut pin: Option<certificate::Pin>) -> std::io::Result<Vec<u8>> {
    let bare = asked.host.trim_start_matches('[').trim_end_matches(']');
    let mut last = std::io::Error::from(ErrorKind::NotFound);
    for address in (bare, asked.port).to_socket_addrs()? {
        let address = reachable(address);
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                // The daemon answers to addresses as to names, but not to the one that stands for all.
                let host = match bare.parse::<IpAddr>() {
                    Ok(_) => address.to_string(),
                    Err(_) => format!("{bare}:{}", asked.port),
                };
                return match pin.take() {
                    Some(pin) => speak(pin.secure(stream, address.ip())?, &host),
                    None => speak(stream, &host),
                };
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Who listens on every address does so on loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn speak(mut stream: impl Read + Write, host: &str) -> std::io::Result<Vec<u8>> {
    let request = format!("GET /health HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    // In one piece: whoever hangs up on the first of several would look as if it had TLS.
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    match stream.take(MAX_ANSWER).read_to_end(&mut answer) {
        // Closed without a word of good-bye: what came before it is an answer all the same.
        Err(_) if answer.starts_with(b"HTTP/") => Ok(answer),
        Err(error) => Err(error),
        Ok(_) => Ok(answer),
    }
}

fn failed(asked: &Asked, why: &str) -> Error {
    let (host, port) = (Printable(&asked.host), asked.port);
    Error::new(
        ErrorCode::ConnectionFailed,
        format!("the daemon at {host} port {port} is not healthy: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn on(port: u16) -> Asked {
        Asked {
            host: "127.0.0.1".to_owned(),
            port,
            certificate: None,
        }
    }

    /// Answers one connection and gives its port.
    fn answering(answer: &'static [u8]) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // All of it: what is closed with something unread takes its answer along.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut got = [0; 512];
                let length = stream.read(&mut got).unwrap();
                assert!(length > 0, "the request has an end");
                request.extend_from_slice(&got[..length]);
            }
            stream.write_all(answer).unwrap();
        });
        port
    }

    fn parsed(line: &str, variables: &[(&str, &str)]) -> Result<Option<Asked>> {
        let words = line.split_whitespace().map(OsString::from);
        parse(words, |name| {
            let known = variables.iter().find(|(known, _)| *known == name)?;
            Some(known.1.into())
        })
    }

    #[test]
    fn only_200_is_well() {
        ask(&on(answering(b"HTTP/1.1 200 OK\r\n\r\n{}"))).unwrap();
        let draining = answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\n");
        let error = ask(&on(draining)).unwrap_err();
        assert!(error.message().contains("503"), "{error}");
    }

    #[test]
    fn nobody_there_is_not_well() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = ask(&on(port)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::ConnectionFailed);
        let shown = format!("127.0.0.1 port {port} is not healthy: nothing listens there");
        assert!(error.message().contains(&shown), "{error}");
    }

    #[test]
    fn whoever_hangs_up_on_a_request_may_have_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            // Closed with the request unread, which resets the connection.
            stream.peek(&mut [0]).unwrap();
        });
        let error = ask(&on(port)).unwrap_err();
        assert!(error.message().contains("--tls-cert"), "{error}");
    }

    #[test]
    fn whoever_answers_in_tls_is_said_to() {
        let error = ask(&on(answering(b"\x15\x03\x03\x00\x02\x02\x32"))).unwrap_err();
        assert!(error.message().contains("--tls-cert"), "{error}");
    }

    #[test]
    fn what_the_image_is_told_by_variables_is_asked_and_flags_come_first() {
        let nothing = Asked {
            port: DEFAULT_PORT,
            ..on(0)
        };
        assert_eq!(parsed("", &[("TLS_CERT", "")]).unwrap(), Some(nothing));
        let variables = [("HOST", "::"), ("PORT", "4000"), ("TLS_CERT", "/c.pem")];
        let by_variables = Asked {
            host: "::".to_owned(),
            port: 4000,
            certificate: Some("/c.pem".into()),
        };
        assert_eq!(parsed("", &variables).unwrap(), Some(by_variables));
        let flags = "--host h --port 1 --tls-cert d.pem";
        let by_flags = Asked {
            host: "h".to_owned(),
            port: 1,
            certificate: Some("d.pem".into()),
        };
        assert_eq!(parsed(flags, &variables).unwrap(), Some(by_flags));
        assert_eq!(parsed("--help", &variables).unwrap(), None);
    }

    #[test]
    fn each_mistake_is_one_line() {
        for (line, port) in [
            ("--port x", ""),
            ("--port 0", ""),
            ("--nope 1", ""),
            ("stray", ""),
            ("--host", ""),
            ("", "port"),
        ] {
            let problem = parsed(line, &[("PORT", port)]).unwrap_err();
            assert!(!problem.message().contains('\n'), "{problem}");
        }
    }

    #[test]
    fn every_address_is_asked_on_loopback() {
        for (bound, reached) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("192.0.2.1:1", "192.0.2.1:1"),
        ] {
            assert_eq!(
                reachable(bound.parse().unwrap()).to_string(),
                reached.to_owned()
            );
        }
    }
}
