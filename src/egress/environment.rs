//! The variables by which programs find a proxy.

/// Variables for a command whose proxy listens on `port` of its own loopback. What each program reads is in
/// `docs/network.md`.
///
/// `ALL_PROXY` is an `http` URL although the port speaks SOCKS too: Python's `httpx`, and with it most clients of model
/// providers, fails at once where that variable says `socks5h` and a package for it is not installed.
#[must_use]
pub fn environment(port: u16) -> Vec<(&'static str, String)> {
    /// Reached directly: the sandbox's own loopback, where the servers that a command starts listen.
    const DIRECT: &str = "localhost,127.0.0.1,::1";
    let proxy = format!("http://127.0.0.1:{port}");
    let mut variables: Vec<(&'static str, String)> = [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "npm_config_proxy",
        "npm_config_https_proxy",
        "YARN_HTTP_PROXY",
        "YARN_HTTPS_PROXY",
    ]
    .into_iter()
    .map(|name| (name, proxy.clone()))
    .collect();
    variables.push(("no_proxy", DIRECT.to_owned()));
    variables.push(("NO_PROXY", DIRECT.to_owned()));
    variables.push(("NODE_USE_ENV_PROXY", "1".to_owned()));
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_name_the_proxy_and_the_loopback_stays_direct() {
        let variables = environment(3128);
        let value = |wanted: &str| {
            let mut found = variables.iter().filter(|(name, _)| *name == wanted);
            let value = found.next().map(|(_, value)| value.as_str());
            assert!(found.next().is_none(), "{wanted} stands there once");
            value
        };
        for name in ["http_proxy", "https_proxy", "all_proxy"] {
            assert_eq!(value(name), Some("http://127.0.0.1:3128"));
            assert_eq!(value(&name.to_ascii_uppercase()), value(name));
        }
        assert_eq!(value("NO_PROXY"), Some("localhost,127.0.0.1,::1"));
        assert_eq!(value("NODE_USE_ENV_PROXY"), Some("1"));
    }
}
