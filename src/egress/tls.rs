//! What a TLS client says in the clear: for which host it wants to speak.
//!
//! The name on the list is worth little if the tunnel then asks the same machine for another site that it also serves. So
//! the first message of a tunnel that begins as TLS is read, bounded, before a byte of it travels on.

use super::decision::Reason;
use super::host::Host;

/// The longest `ClientHello` that is read, with the headers of its records. Ordinary ones have 200 bytes to 2 KiB.
pub(super) const MAX_HELLO: usize = 32 * 1024;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;
const ENCRYPTED_SERVER_NAME: u16 = 0xffce;

/// What the first bytes of a tunnel are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opening {
    /// It cannot be told before there are so many bytes in all.
    Incomplete(usize),
    /// Some other protocol.
    NotTls,
    /// A whole `ClientHello`.
    Hello(Hello),
    /// It begins as TLS does, but not with a valid `ClientHello`.
    Invalid(&'static str),
}

/// What counts of a `ClientHello`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) server_name: Option<Vec<u8>>,
    pub(super) hides_name: bool,
}

impl Hello {
    /// Whether it is for the host of the tunnel.
    ///
    /// A name must be said, and said openly: every client that matters says it, and without it the log would not show
    /// what the tunnel is for. For an address there is no name to say.
    pub(super) fn judge(&self, host: &Host) -> Result<(), Reason> {
        if self.hides_name {
            return Err(Reason::EncryptedHello);
        }
        let wanted = match host {
            Host::Name(name) => name.clone(),
            Host::Address(address) => address.to_string(),
        };
        match (&self.server_name, host) {
            (Some(name), _) if name.eq_ignore_ascii_case(wanted.as_bytes()) => Ok(()),
            (Some(_), _) => Err(Reason::ServerNameDiffers),
            (None, Host::Address(_)) => Ok(()),
            (None, Host::Name(_)) => Err(Reason::ServerNameMissing),
        }
    }
}

/// Reads the beginning of a tunnel.
pub(super) fn opening(bytes: &[u8]) -> Opening {
    match bytes {
        [] => Opening::Incomplete(1),
        // Any record type of TLS: one that comes before the handshake would hide it from us, and servers may skip it.
        [20..=24] => Opening::Incomplete(2),
        [20..=24, 3, ..] => match gather(bytes) {
            Ok(Gathered::Missing(total)) if total > MAX_HELLO => Opening::Invalid("it is too long"),
            Ok(Gathered::Missing(total)) => Opening::Incomplete(total),
            Ok(Gathered::Message(body)) => match parse(&body) {
                Some(hello) => Opening::Hello(hello),
                None => Opening::Invalid("a length in it is wrong"),
            },
            Err(why) => Opening::Invalid(why),
        },
        // The form of SSL 2, which some servers still take: it has no place for a name.
        [0x80..=0xff, _, 1, 3, ..] => Opening::Invalid("it has the form of SSL 2"),
        [0x80..=0xff] | [0x80..=0xff, _] | [0x80..=0xff, _, 1] => Opening::Incomplete(4),
        _ => Opening::NotTls,
    }
}

enum Gathered {
    /// So many bytes are needed in all before it is worth looking again.
    Missing(usize),
    /// The body of the `ClientHello`.
    Message(Vec<u8>),
}

/// Puts the message together from the records that it spans.
fn gather(bytes: &[u8]) -> Result<Gathered, &'static str> {
    let mut message = Vec::new();
    let mut at = 0;
    loop {
        let Some(header) = bytes.get(at..at + 5) else {
            return Ok(Gathered::Missing(at + 5));
        };
        if header[0] != HANDSHAKE || header[1] != 3 {
            return Err("it does not begin with a handshake");
        }
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if length == 0 || length > 1 << 14 {
            return Err("a record has an impossible length");
        }
        let end = at + 5 + length;
        message.extend_from_slice(&bytes[at + 5..end.min(bytes.len())]);
        if let [kind, high, middle, low, body @ ..] = message.as_slice() {
            if *kind != CLIENT_HELLO {
                return Err("it does not begin with a ClientHello");
            }
            let wanted = usize::from(*high) << 16 | usize::from(*middle) << 8 | usize::from(*low);
            if wanted > MAX_HELLO {
                return Err("it is too long");
            }
            if body.len() > wanted {
                return Err("another message is glued to it");
            }
            if body.len() == wanted && end <= bytes.len() {
                return Ok(Gathered::Message(body.to_vec()));
            }
        }
        if end > bytes.len() {
            return Ok(Gathered::Missing(end));
        }
        at = end;
    }
}

/// A cursor that never goes past the end.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// What a length of two bytes stands before.
    fn vector(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }
}

fn parse(body: &[u8]) -> Option<Hello> {
    let mut body = Cursor(body);
    body.take(2 + 32)?;
    let session = body.u8()?;
    body.take(session.into())?;
    let ciphers = body.vector()?;
    let compressions = body.u8()?;
    body.take(compressions.into())?;
    if session > 32 || ciphers.is_empty() || ciphers.len() % 2 == 1 || compressions == 0 {
        return None;
    }
    let mut hello = Hello::default();
    if body.0.is_empty() {
        return Some(hello);
    }
    let mut extensions = Cursor(body.vector()?);
    if !body.0.is_empty() {
        return None;
    }
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let content = extensions.vector()?;
        match kind {
            SERVER_NAME if hello.server_name.is_some() => return None,
            SERVER_NAME => hello.server_name = Some(server_name(content)?),
            ENCRYPTED_CLIENT_HELLO | ENCRYPTED_SERVER_NAME => hello.hides_name = true,
            _ => {}
        }
    }
    Some(hello)
}

/// The one name of the list: of several, servers would take now this one and now that.
fn server_name(content: &[u8]) -> Option<Vec<u8>> {
    let mut content = Cursor(content);
    let mut names = Cursor(content.vector()?);
    let kind = names.u8()?;
    let name = names.vector()?;
    let is_whole = content.0.is_empty() && names.0.is_empty();
    (is_whole && kind == 0 && !name.is_empty()).then(|| name.to_vec())
}

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
