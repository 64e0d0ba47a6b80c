//! The list of hosts that a sandbox may reach.

use std::fmt;

use super::address::special_kind;
use super::decision::{Reason, shown};
use super::host::{Host, parse_port, split_port};
use crate::error::{Error, ErrorCode, Result};

/// The ports of an entry that names none.
const WEB_PORTS: [u16; 2] = [80, 443];

/// Hosts and ports that may be reached; everything else may not. An empty list allows nothing.
///
/// | entry | allows |
/// |---|---|
/// | `registry.example.com` | this name, ports 80 and 443 |
/// | `registry.example.com:8080` | this name, port 8080 alone |
/// | `*.example.com` | every name below `example.com`, at any depth, and not `example.com` itself |
/// | `93.184.215.14:443`, `[2606:2800::1]` | this address, where a client asks for the address itself |
///
/// Case and a dot at the end make no difference. Two entries for one host add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowlist {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    hosts: Pattern,
    /// `None`: the ports of the web.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    Exactly(Host),
    /// With the dot that it begins with: `.example.com`.
    Below(String),
}

impl Allowlist {
    /// Reads the entries of a list.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION`, which names the entry and says what to write instead: for `*`, `*.com`, a URL, a port that is no
    /// number, a name that is not ASCII, an address in another than its canonical form, and for `localhost` and addresses that
    /// are never reached (loopback, private, link-local, …).
    pub fn parse(entries: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self> {
        let rules = entries
            .into_iter()
            .map(|entry| {
                let entry = entry.as_ref();
                Rule::parse(entry).map_err(|why| refused(entry, &why))
            })
            .collect::<Result<_>>()?;
        Ok(Self { rules })
    }

    /// Whether the list has this host, as a client may spell it, with this port. Says nothing about what it resolves to.
    #[must_use]
    pub fn permits(&self, host: &str, port: u16) -> bool {
        Host::parse(host.as_bytes()).is_ok_and(|host| self.judge(&host, port).is_ok())
    }

    /// Why the list refuses a host and port.
    pub(super) fn judge(&self, host: &Host, port: u16) -> std::result::Result<(), Reason> {
        let mut is_host_listed = false;
        for rule in self.rules.iter().filter(|rule| rule.hosts.matches(host)) {
            if rule.allows_port(port) {
                return Ok(());
            }
            is_host_listed = true;
        }
        Err(if is_host_listed {
            Reason::PortNotListed
        } else {
            Reason::NotListed
        })
    }
}

impl fmt::Display for Allowlist {
    /// The entries in canonical form, separated by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, rule) in self.rules.iter().enumerate() {
            if number > 0 {
                f.write_str(", ")?;
            }
            match &rule.hosts {
                Pattern::Exactly(host) => write!(f, "{host}")?,
                Pattern::Below(suffix) => write!(f, "*{suffix}")?,
            }
            if let Some(port) = rule.port {
                write!(f, ":{port}")?;
            }
        }
        Ok(())
    }
}

impl Rule {
    fn parse(entry: &str) -> std::result::Result<Self, String> {
        if entry.contains("://") || entry.contains('/') {
            return Err("write the host alone, without scheme and path".to_owned());
        }
        let (host, port) = split_port(entry.as_bytes()).map_err(|reason| reason.to_string())?;
        let port = port
            .map(|port| {
                parse_port(port).ok_or_else(|| {
                    "a port is a number from 1 to 65535; name several by several entries".to_owned()
                })
            })
            .transpose()?;
        Ok(Self {
            hosts: Pattern::parse(host)?,
            port,
        })
    }

    fn allows_port(&self, port: u16) -> bool {
        self.port
            .map_or_else(|| WEB_PORTS.contains(&port), |listed| listed == port)
    }
}

impl Pattern {
    fn parse(text: &[u8]) -> std::result::Result<Self, String> {
        if text == b"*" {
            return Err(
                "every host is no allow list; name hosts, or take the network 'host'".to_owned(),
            );
        }
        if let Some(parent) = text.strip_prefix(b"*.") {
            return Self::parse_below(parent);
        }
        let host = Host::parse(text).map_err(|reason| reason.to_string())?;
        match &host {
            Host::Address(address) => {
                if let Some(kind) = special_kind(*address) {
                    return Err(format!("an address of this kind ({kind}) is never reached"));
                }
            }
            Host::Name(name) => refuse_localhost(name)?,
        }
        Ok(Pattern::Exactly(host))
    }

    fn parse_below(parent: &[u8]) -> std::result::Result<Self, String> {
        match Host::parse(parent).map_err(|reason| reason.to_string())? {
            Host::Address(_) => Err("'*' stands before a name, not before an address".to_owned()),
            Host::Name(name) => {
                refuse_localhost(&name)?;
                if !name.contains('.') {
                    return Err(
                        "a whole top-level domain is too wide; name a domain in it".to_owned()
                    );
                }
                Ok(Pattern::Below(format!(".{name}")))
            }
        }
    }

    fn matches(&self, host: &Host) -> bool {
        match (self, host) {
            (Pattern::Exactly(listed), host) => listed == host,
            // A name has no empty label: something stands before the dot.
            (Pattern::Below(suffix), Host::Name(name)) => name.ends_with(suffix.as_str()),
            (Pattern::Below(_), Host::Address(_)) => false,
        }
    }
}

fn refuse_localhost(name: &str) -> std::result::Result<(), String> {
    if name == "localhost" || name.ends_with(".localhost") {
        return Err(
            "the host's loopback is never reached; the sandbox's own needs no entry".to_owned(),
        );
    }
    Ok(())
}

fn refused(entry: &str, why: &str) -> Error {
    Error::new(
        ErrorCode::InvalidConfiguration,
        format!(
            "the entry '{}' of the allowed hosts is not valid: {why}",
            shown(entry.as_bytes())
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> Allowlist {
        Allowlist::parse(entries).unwrap()
    }

    #[test]
    fn a_name_without_a_port_means_the_ports_of_the_web() {
        let list = list(&["registry.example.com"]);
        assert!(list.permits("registry.example.com", 443));
        assert!(list.permits("registry.example.com", 80));
        assert!(list.permits("REGISTRY.example.com.", 443));
        for port in [0, 1, 22, 25, 8080, 8443, 65535] {
            assert!(!list.permits("registry.example.com", port), "{port}");
        }
        for other in [
            "example.com",
            "a.registry.example.com",
            "xregistry.example.com",
            "registry.example.com.evil.net",
            "registry.example.comx",
            "registry.example.com\0.evil.net",
            "registry.example.com..",
        ] {
            assert!(!list.permits(other, 443), "{other:?}");
        }
    }

    #[test]
    fn a_port_that_is_named_is_the_only_one_and_entries_add_up() {
        let one = list(&["github.com:22"]);
        assert!(one.permits("github.com", 22));
        assert!(!one.permits("github.com", 443));
        let both = list(&["github.com:22", "github.com"]);
        assert!(both.permits("github.com", 22) && both.permits("github.com", 443));
        let host = Host::Name("github.com".to_owned());
        assert_eq!(one.judge(&host, 80), Err(Reason::PortNotListed));
        let other = Host::Name("gitlab.com".to_owned());
        assert_eq!(one.judge(&other, 22), Err(Reason::NotListed));
    }

    #[test]
    fn a_star_stands_for_any_depth_below_and_not_for_the_domain_itself() {
        let list = list(&["*.github.com:443"]);
        assert!(list.permits("api.github.com", 443));
        assert!(list.permits("a.b.c.GitHub.com", 443));
        assert!(!list.permits("github.com", 443));
        assert!(!list.permits("api.github.com", 80));
        assert!(!list.permits("evilgithub.com", 443));
        assert!(!list.permits("api.github.com.evil.net", 443));
        assert!(!list.permits(".github.com", 443));
    }

    #[test]
    fn an_address_is_reached_only_as_the_address_that_is_listed() {
        let list = list(&["93.184.215.14:443", "[2606:2800:21f::1]", "example.com"]);
        assert!(list.permits("93.184.215.14", 443));
        assert!(list.permits("[2606:2800:21F::1]", 80));
        for other in [
            "93.184.215.15",
            "0x5db8d70e",
            "1572394766",
            "93.184.55054",
            "[::ffff:93.184.215.14]",
            "93.184.215.014",
        ] {
            assert!(!list.permits(other, 443), "{other}");
        }
    }

    #[test]
    fn a_list_is_printed_in_canonical_form_and_an_empty_one_allows_nothing() {
        let list = list(&[
            "Registry.Example.com.",
            "*.GitHub.com:443",
            "[2606:2800::A]:8080",
        ]);
        assert_eq!(
            list.to_string(),
            "registry.example.com, *.github.com:443, [2606:2800::a]:8080"
        );
        assert!(!Allowlist::default().permits("example.com", 443));
    }

    #[test]
    fn a_malformed_entry_is_refused_by_name_and_with_advice() {
        for (entry, advice) in [
            ("*", "every host"),
            ("*:443", "every host"),
            ("*.com", "top-level"),
            ("*.", "empty"),
            ("**.a.example", "letters"),
            ("a.*.example", "letters"),
            ("*a.example", "letters"),
            ("https://a.example", "scheme"),
            ("a.example/path", "path"),
            ("", "empty"),
            (" a.example", "letters"),
            ("a.example:", "port"),
            ("a.example:*", "several"),
            ("a.example:0", "port"),
            ("a.example:1-1024", "several"),
            ("a.example:70000", "port"),
            ("münchen.de", "punycode"),
            ("user@a.example", "letters"),
            ("localhost", "loopback"),
            ("app.localhost:3000", "loopback"),
            ("*.sub.localhost", "loopback"),
            ("127.0.0.1", "loopback"),
            ("127.1", "canonical"),
            ("10.0.0.7:443", "private"),
            ("169.254.169.254", "link-local"),
            ("0.0.0.0", "unspecified"),
            ("100.100.100.200", "carrier-grade"),
            ("203.0.113.7", "documentation"),
            ("*.1.2.3.4", "address"),
            ("[::1]:443", "loopback"),
            ("[::ffff:93.184.215.14]", "IPv4-mapped"),
            ("[fd00::1]", "unique local"),
            ("[fe80::1]", "link-local"),
            ("[64:ff9b::a00:1]", "NAT64"),
            ("2606:2800::1", "brackets"),
            ("[2606:2800::1", "bracket"),
            ("[2606:2800:0::1]", "canonical"),
            ("evil\u{1b}[31m.example", "letters"),
        ] {
            let error = Allowlist::parse(["fine.example", entry]).expect_err(entry);
            assert_eq!(error.code(), ErrorCode::InvalidConfiguration, "{entry}");
            let message = error.message();
            assert!(message.contains(advice), "{entry}: {message}");
            assert!(message.contains(&format!("'{}'", shown(entry.as_bytes()))));
            assert!(!message.contains('\u{1b}'));
        }
    }
}
