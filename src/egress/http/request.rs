//! The head of a client's request.

use super::fields::{Fields, Framing, Wrong, is_token, minor_version, split_head};
use crate::egress::decision::{Protocol, Reason};
use crate::egress::gate::Wish;
use crate::egress::host::Host;

/// Longer than any method that is registered.
const MAX_METHOD: usize = 32;
const HTTP_PORT: u16 = 80;

/// A request that can be judged.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) wish: Wish,
    pub(super) method: String,
    /// What the server is asked for; empty for a tunnel.
    pub(super) path: String,
    pub(super) minor_version: u8,
    pub(super) fields: Fields,
    pub(super) framing: Framing,
}

/// A request that is refused as it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) protocol: Protocol,
    /// The authority as far as one can be made out.
    pub(super) asked: Vec<u8>,
    pub(super) reason: Reason,
}

impl Request {
    /// Reads a head, which ends with an empty line.
    pub(super) fn parse(head: &[u8]) -> Result<Self, Malformed> {
        let (protocol, asked) = glance(head);
        let wrong = |why| malformed(protocol, asked, Reason::InvalidRequest(why));
        let (line, fields) = split_head(head).map_err(wrong)?;
        let mut words = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(wrong("its first line does not have three words"));
        };
        if !is_token(method) || method.len() > MAX_METHOD {
            return Err(wrong("the method is no token"));
        }
        let Some(minor_version) = minor_version(version) else {
            let reason = Reason::Unsupported("a version of HTTP other than 1.0 and 1.1");
            return Err(malformed(protocol, asked, reason));
        };
        if method == b"CONNECT" {
            return tunnel(target, minor_version, fields);
        }
        let method = String::from_utf8_lossy(method).into_owned();
        plain(method, target, minor_version, fields)
    }

    /// Whether the client means to send another request on this connection.
    pub(super) fn wants_to_stay(&self) -> bool {
        self.minor_version == 1 && !self.fields.connection_has("close")
    }
}

/// How and for which authority a head asks, for the log alone: it may be malformed in any way.
pub(super) fn glance(head: &[u8]) -> (Protocol, &[u8]) {
    let protocol = if head.starts_with(b"CONNECT ") {
        Protocol::Connect
    } else {
        Protocol::Http
    };
    let mut words = head.split(|byte| matches!(byte, b' ' | b'\r' | b'\n'));
    (protocol, words.nth(1).unwrap_or_default())
}

/// Of a target, only what is before its path is told: the rest, and a user's name and password, are not for a log.
fn malformed(protocol: Protocol, target: &[u8], reason: Reason) -> Malformed {
    let rest = without_scheme(target).unwrap_or(target);
    let ends = |byte: &u8| matches!(byte, b'/' | b'?' | b'#');
    let authority = rest.split(ends).next().unwrap_or_default();
    let host = authority.rsplit(|byte| *byte == b'@').next();
    Malformed {
        protocol,
        asked: host.unwrap_or_default().to_vec(),
        reason,
    }
}

fn tunnel(target: &[u8], minor_version: u8, fields: Fields) -> Result<Request, Malformed> {
    let refuse = |reason| malformed(Protocol::Connect, target, reason);
    let (host, port) = Host::parse_authority(target, None).map_err(refuse)?;
    let wrong = |why| refuse(Reason::InvalidRequest(why));
    if let Some(named) = host_field(&fields).map_err(wrong)? {
        // Some clients leave the port out here, whatever it is.
        check_host(named, &host, port, port).map_err(wrong)?;
    }
    match fields.framing(minor_version).map_err(wrong)? {
        None | Some(Framing::Empty) => {}
        Some(_) => return Err(wrong("CONNECT has no body")),
    }
    Ok(Request {
        wish: Wish {
            protocol: Protocol::Connect,
            host,
            port,
        },
        method: "CONNECT".to_owned(),
        path: String::new(),
        minor_version,
        fields,
        framing: Framing::Empty,
    })
}

fn plain(
    method: String,
    target: &[u8],
    minor_version: u8,
    fields: Fields,
) -> Result<Request, Malformed> {
    let refuse_all = |reason| malformed(Protocol::Http, target, reason);
    let rest = without_scheme(target).map_err(refuse_all)?;
    let authority_end = rest
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
        .unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let refuse = |reason| malformed(Protocol::Http, authority, reason);
    let wrong = |why| refuse(Reason::InvalidRequest(why));
    let (host, port) = Host::parse_authority(authority, Some(HTTP_PORT)).map_err(refuse)?;
    if !path.iter().all(|byte| matches!(byte, 0x21..=0x7e)) || path.contains(&b'#') {
        return Err(wrong("the target has a character that no target has"));
    }
    match host_field(&fields).map_err(wrong)? {
        Some(named) => check_host(named, &host, port, HTTP_PORT).map_err(wrong)?,
        None if minor_version == 0 => {}
        None => return Err(wrong("it has no Host")),
    }
    let framing = fields
        .framing(minor_version)
        .map_err(wrong)?
        .unwrap_or(Framing::Empty);
    let path = String::from_utf8_lossy(path);
    Ok(Request {
        wish: Wish {
            protocol: Protocol::Http,
            host,
            port,
        },
        method,
        path: match path.as_bytes().first() {
            Some(b'/') => path.into_owned(),
            _ => format!("/{path}"),
        },
        minor_version,
        fields,
        framing,
    })
}

/// What follows `http://`.
fn without_scheme(target: &[u8]) -> Result<&[u8], Reason> {
    const SCHEME: &[u8] = b"http://";
    if let Some((scheme, rest)) = target.split_at_checked(SCHEME.len())
        && scheme.eq_ignore_ascii_case(SCHEME)
    {
        return Ok(rest);
    }
    let has_scheme = target.windows(3).any(|part| part == b"://");
    Err(if has_scheme && !target.starts_with(b"/") {
        Reason::Unsupported("a scheme other than http; https goes through CONNECT")
    } else {
        Reason::InvalidRequest("a proxy needs the whole URL (http://host/path) or CONNECT")
    })
}

fn host_field(fields: &Fields) -> Result<Option<&[u8]>, Wrong> {
    fields.once("host", "Host stands there twice")
}

/// Servers go by `Host`, we go by the target: they must be the same.
fn check_host(named: &[u8], host: &Host, port: u16, default_port: u16) -> Result<(), Wrong> {
    match Host::parse_authority(named, Some(default_port)) {
        Ok((named_host, named_port)) if named_host == *host && named_port == port => Ok(()),
        _ => Err("Host is not the host of the target"),
    }
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
