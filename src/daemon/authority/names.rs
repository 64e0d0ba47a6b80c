//! By which names this daemon may be called. A page that got its own name to lead here (DNS rebinding) still says that name
//! in `Host`, and every page of another origin says so in `Origin`.

use std::net::IpAddr;

use http::header::{HOST, HeaderMap, ORIGIN};
use http::uri::{Authority, Uri};

/// The names and origins that are taken.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// In lower case, without port and brackets.
    hosts: Vec<String>,
    any_host: bool,
    /// Where we listen on every address, any of them may be named.
    any_address: bool,
    origins: Vec<String>,
}

impl Names {
    /// Loopback, what is listened on, and these. On every address, with none of these, any name is ours where tokens are
    /// needed: no page has one, and nobody can say all names that lead to this machine.
    #[must_use]
    pub fn new(
        listened_on: &str,
        more_hosts: &[String],
        origins: &[String],
        needs_token: bool,
    ) -> Self {
        let plain = |name: &str| {
            let name = name.trim_start_matches('[').trim_end_matches(']');
            name.to_ascii_lowercase()
        };
        let mut hosts: Vec<String> = ["localhost", "127.0.0.1", "::1"]
            .into_iter()
            .chain([listened_on])
            .chain(more_hosts.iter().map(String::as_str))
            .map(plain)
            .collect();
        let said_any = hosts.iter().any(|host| host == "*");
        hosts.retain(|host| host != "*");
        let address: Option<IpAddr> = plain(listened_on).parse().ok();
        let any_address = address.is_some_and(|address| address.is_unspecified());
        Self {
            hosts,
            any_host: said_any || (any_address && needs_token && more_hosts.is_empty()),
            any_address,
            origins: origins.to_vec(),
        }
    }

    /// Whether a request is addressed to us, by who may address us; else why not.
    ///
    /// # Errors
    /// A malformed request, with `true`; one that is refused, with `false`.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), (bool, &'static str)> {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err((true, "exactly one Host header is needed"));
        };
        let host = host
            .to_str()
            .ok()
            .and_then(|host| host.parse::<Authority>().ok())
            .filter(|host| !host.as_str().contains('@'))
            .ok_or((true, "the Host header is malformed"))?;
        let authorities = uri.authority().into_iter().chain([&host]);
        if !authorities
            .into_iter()
            .all(|name| self.is_ours(name.host()))
        {
            return Err((
                false,
                "this daemon does not go by that Host; name it with --allowed-host",
            ));
        }
        let mut origins = headers.get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Ok(()),
            (Some(origin), None)
                if self.is_allowed(origin.as_bytes())
                    || self.is_same(origin.as_bytes(), host.as_str()) =>
            {
                Ok(())
            }
            _ => Err((
                false,
                "pages of that Origin may not call; name it with --allowed-origin",
            )),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        self.any_host
            || self
                .hosts
                .iter()
                .any(|name| name.eq_ignore_ascii_case(host))
            || (self.any_address && host.parse::<IpAddr>().is_ok())
    }

    /// Whether a page has the origin of the very name and port that it calls, and that name is known to be ours: then
    /// it came from here, or from whoever put us behind that name.
    fn is_same(&self, origin: &[u8], host: &str) -> bool {
        let of = |scheme: &[u8]| {
            let rest = origin.strip_prefix(scheme);
            rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host.as_bytes()))
        };
        !self.any_host && (of(b"http://") || of(b"https://"))
    }

    fn is_allowed(&self, origin: &[u8]) -> bool {
        let mut origins = self.origins.iter();
        origins.any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &Names, host: &str, origin: Option<&str>) -> Option<bool> {
        let mut headers = HeaderMap::new();
        headers.append(HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.append(ORIGIN, origin.parse().unwrap());
        }
        let checked = names.check(&Uri::from_static("/mcp"), &headers);
        checked.err().map(|(is_malformed, _)| is_malformed)
    }

    #[test]
    fn loopback_and_what_was_named_are_our_names_with_any_port() {
        let names = Names::new("box.example", &["alias".to_owned()], &[], true);
        for host in [
            "localhost",
            "LOCALHOST:3001",
            "127.0.0.1:1",
            "[::1]:3001",
            "box.example",
            "Alias:80",
        ] {
            assert_eq!(check(&names, host, None), None, "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "10.0.0.1",
            "[::2]",
        ] {
            assert_eq!(check(&names, host, None), Some(false), "{host}");
        }
        for host in ["", "a b", "user@localhost"] {
            assert_eq!(check(&names, host, None), Some(true), "{host}");
        }
    }

    #[test]
    fn on_every_address_any_address_is_ours_and_with_a_token_any_name_unless_some_are_said() {
        let alias = ["alias".to_owned()];
        let any = ["*".to_owned()];
        for (hosts, needs_token, expected) in [
            (&[][..], false, Some(false)),
            (&[], true, None),
            (&alias, true, Some(false)),
            (&any, true, None),
        ] {
            let names = Names::new("0.0.0.0", hosts, &[], needs_token);
            assert_eq!(check(&names, "10.0.0.1:3001", None), None);
            assert_eq!(check(&names, "box.example", None), expected, "{hosts:?}");
            assert_eq!(check(&names, "a b", None), Some(true));
        }
    }

    #[test]
    fn an_origin_is_refused_unless_it_was_named() {
        let names = Names::new("127.0.0.1", &[], &["https://app.example".to_owned()], true);
        assert_eq!(
            check(&names, "localhost", Some("https://app.example")),
            None
        );
        // Its own, by the name and port that are called.
        assert_eq!(
            check(&names, "localhost:1", Some("http://localhost:1")),
            None
        );
        for origin in [
            "null",
            "http://localhost:2",
            "https://app.example:444",
            "http://app.example",
        ] {
            assert_eq!(
                check(&names, "localhost", Some(origin)),
                Some(false),
                "{origin}"
            );
        }
    }

    #[test]
    fn two_hosts_or_an_absolute_target_of_another_name_are_refused() {
        let names = Names::new("127.0.0.1", &[], &[], true);
        let mut headers = HeaderMap::new();
        let uri = Uri::from_static("/");
        assert!(
            names
                .check(&uri, &headers)
                .is_err_and(|(malformed, _)| malformed)
        );
        headers.append(HOST, "localhost".parse().unwrap());
        let elsewhere = Uri::from_static("http://evil.example/mcp");
        assert!(names.check(&elsewhere, &headers).is_err());
        headers.append(HOST, "localhost".parse().unwrap());
        assert!(
            names
                .check(&uri, &headers)
                .is_err_and(|(malformed, _)| malformed)
        );
    }
}
