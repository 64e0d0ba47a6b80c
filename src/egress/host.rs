//! The one place where text of a client, or of a list, becomes a host.
//!
//! Whatever two programs could read differently is refused rather than repaired: the resolver, the list and the
//! server must all mean the same host.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::decision::Reason;

/// The longest name in the DNS, without the dot at its end.
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

/// A host in its one canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name: lower case, ASCII, without the dot at its end.
    Name(String),
    /// An address that was written as one.
    Address(IpAddr),
}

impl Host {
    /// Reads a name, an IPv4 address or an IPv6 address in brackets.
    ///
    /// # Errors
    /// [`Reason::InvalidHost`] for what is no host; [`Reason::NumericSpelling`] for an address in any but its canonical
    /// form (`127.1`, `0x7f000001`, `2130706433`, `[::0:1]`), which other programs read as an address.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Reason> {
        let text = std::str::from_utf8(text).map_err(|_| NOT_ASCII)?;
        if !text.is_ascii() {
            return Err(NOT_ASCII);
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner
                .strip_suffix(']')
                .ok_or(Reason::InvalidHost("a bracket is not closed"))?;
            return parse_v6(inner);
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        check_name(name)?;
        if ends_in_number(name) {
            return match text.parse::<Ipv4Addr>() {
                Ok(address) if address.to_string() == text => Ok(Host::Address(address.into())),
                _ => Err(Reason::NumericSpelling),
            };
        }
        Ok(Host::Name(name.to_ascii_lowercase()))
    }

    /// Reads `host:port`; without a port, `default_port` holds if there is one.
    pub(super) fn parse_authority(
        text: &[u8],
        default_port: Option<u16>,
    ) -> Result<(Self, u16), Reason> {
        let (host, port) = split_port(text)?;
        let host = Host::parse(host)?;
        let port = match port {
            Some(port) => parse_port(port).ok_or(Reason::InvalidHost("the port is no port"))?,
            None => default_port.ok_or(Reason::InvalidHost("the port is missing"))?,
        };
        Ok((host, port))
    }

    /// `host:port`, with brackets around an IPv6 address.
    pub(super) fn with_port(&self, port: u16) -> String {
        format!("{self}:{port}")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

const NOT_ASCII: Reason = Reason::InvalidHost("it is not ASCII; write an IDN as punycode (xn--…)");

/// Splits at the colon of a port, which is not one of those inside brackets.
pub(super) fn split_port(text: &[u8]) -> Result<(&[u8], Option<&[u8]>), Reason> {
    let host_end = if text.first() == Some(&b'[') {
        text.iter()
            .position(|byte| *byte == b']')
            .ok_or(Reason::InvalidHost("a bracket is not closed"))?
            + 1
    } else {
        text.iter()
            .position(|byte| *byte == b':')
            .unwrap_or(text.len())
    };
    let (host, rest) = text.split_at(host_end);
    match rest {
        [] => Ok((host, None)),
        [b':', port @ ..] if !port.contains(&b':') => Ok((host, Some(port))),
        [b':', ..] => Err(Reason::InvalidHost(
            "it has several colons; an IPv6 address stands in brackets",
        )),
        _ => Err(Reason::InvalidHost(
            "something other than a port follows the address",
        )),
    }
}

/// A decimal number from 1 to 65535 without sign, space or leading zero.
pub(super) fn parse_port(text: &[u8]) -> Option<u16> {
    let is_plain = text.len() <= 5 && text.iter().all(u8::is_ascii_digit) && text.first()? != &b'0';
    if !is_plain {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn parse_v6(inner: &str) -> Result<Host, Reason> {
    let address: Ipv6Addr = inner
        .parse()
        .map_err(|_| Reason::InvalidHost("it is no IPv6 address"))?;
    if address.to_string() != inner.to_ascii_lowercase() {
        return Err(Reason::NumericSpelling);
    }
    Ok(Host::Address(address.into()))
}

fn check_name(name: &str) -> Result<(), Reason> {
    if name.is_empty() {
        return Err(Reason::InvalidHost("it is empty"));
    }
    if name.len() > MAX_NAME {
        return Err(Reason::InvalidHost("it is longer than 253 characters"));
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Err(Reason::InvalidHost("a label is empty"));
        }
        if label.len() > MAX_LABEL {
            return Err(Reason::InvalidHost("a label is longer than 63 characters"));
        }
        if !label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        {
            return Err(Reason::InvalidHost(
                "a name has only letters, digits, '-', '_' and '.'",
            ));
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(Reason::InvalidHost("a label begins or ends with '-'"));
        }
    }
    Ok(())
}

/// Whether some programs take the name for an IPv4 address: its last label is a number, in decimal, octal or hex.
fn ends_in_number(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return true;
    }
    last.strip_prefix("0x")
        .or_else(|| last.strip_prefix("0X"))
        .is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Result<String, Reason> {
        Host::parse(text.as_bytes()).map(|host| host.to_string())
    }

    #[test]
    fn case_and_the_dot_at_the_end_make_no_difference() {
        for text in ["GitHub.COM", "github.com.", "github.com"] {
            assert_eq!(host(text).unwrap(), "github.com");
        }
        assert_eq!(host("xn--mnchen-3ya.de").unwrap(), "xn--mnchen-3ya.de");
        assert_eq!(host("_dmarc.a-b.example").unwrap(), "_dmarc.a-b.example");
        assert_eq!(host("1.2.3.example").unwrap(), "1.2.3.example");
        assert_eq!(host("r3---sn.example").unwrap(), "r3---sn.example");
    }

    #[test]
    fn an_address_has_one_spelling() {
        assert_eq!(host("93.184.215.14").unwrap(), "93.184.215.14");
        assert_eq!(host("[2606:2800::1]").unwrap(), "[2606:2800::1]");
        assert_eq!(host("[2606:2800::A]").unwrap(), "[2606:2800::a]");
        for text in [
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0X7F000001",
            "0x7f.0.0.1",
            "127.0.0.0x1",
            "0x",
            "1.0x",
            "0177.0.0.1",
            "127.0.0.01",
            "127.0.0.1.",
            "1.2.3.4.5",
            "256.1.1.1",
            "foo.1",
            "017700000001",
            "[0:0:0:0:0:0:0:1]",
            "[::0:1]",
            "[0::1]",
            "[::ffff:7f00:1]",
            "[2606:2800:0::1]",
        ] {
            assert_eq!(host(text), Err(Reason::NumericSpelling), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_host() {
        let long_name = format!("{}.com", "abcdefgh.".repeat(30));
        let long_label = format!("{}.com", "a".repeat(64));
        for text in [
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            "a b",
            " a",
            "a ",
            "a\0.example",
            "a\r\nb",
            "a\tb",
            "a%2eexample",
            "user@host",
            "user:pw@host",
            "a/b",
            "a\\b",
            "a?b",
            "a#b",
            "-a.example",
            "a-.example",
            "*.example",
            "münchen.de",
            "a。b",
            "１２７.0.0.1",
            "[::1",
            "::1",
            "[]",
            "[::1%eth0]",
            "[fe80::1%25lo]",
            "[1.2.3.4]",
            "[example.com]",
            "]",
            "a[b]",
            &long_name,
            &long_label,
        ] {
            assert!(
                matches!(host(text), Err(Reason::InvalidHost(_))),
                "{text:?}: {:?}",
                host(text)
            );
        }
        assert!(Host::parse(b"a\xff.example").is_err());
        assert!(Host::parse("a".repeat(63).as_bytes()).is_ok());
    }

    #[test]
    fn a_port_is_a_plain_number() {
        let port = |text: &str| Host::parse_authority(text.as_bytes(), None).map(|it| it.1);
        assert_eq!(port("a.example:443"), Ok(443));
        assert_eq!(port("a.example:65535"), Ok(65535));
        assert_eq!(port("[2606:2800::1]:8443"), Ok(8443));
        assert_eq!(
            Host::parse_authority(b"a.example", Some(80)).map(|it| it.1),
            Ok(80)
        );
        for text in [
            "a.example",
            "a.example:",
            "a.example:0",
            "a.example:00443",
            "a.example:0443",
            "a.example:+443",
            "a.example:-1",
            "a.example: 443",
            "a.example:443 ",
            "a.example:65536",
            "a.example:99999999999",
            "a.example:4x",
            "a.example:80:443",
            "[2606:2800::1]443",
            "2606:2800::1:443",
            ":443",
        ] {
            assert!(port(text).is_err(), "{text:?}");
        }
    }
}
