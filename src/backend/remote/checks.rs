//! What is refused of [`RemoteOptions`] before anything is tried.

use http::{HeaderName, HeaderValue};

use super::host_keys::Pin;
use super::options::{HostKeyPolicy, RemoteOptions, SshAuth, Transport};
use crate::error::{Error, ErrorCode, Result};

/// The longest time that a timer of ours is set to: a day.
const LONGEST_MS: u64 = 86_400_000;

pub(super) fn check(options: &RemoteOptions) -> Result<()> {
    if options.root_dir.first() != Some(&b'/') || options.root_dir.contains(&0) {
        return Err(invalid("rootDir", "must be an absolute path without NUL"));
    }
    host("host", &options.host)?;
    if let Some(ssh_host) = &options.ssh_host {
        host("sshHostOverride", ssh_host)?;
    }
    if options.port == Some(0) {
        return Err(invalid("port", "must be between 1 and 65535"));
    }
    headers(options)?;
    authentication(options)?;
    if let Some(HostKeyPolicy::Pin(pins)) = &options.host_key {
        if pins.is_empty() {
            return Err(invalid("hostKey", "names no key"));
        }
        for pin in pins {
            Pin::parse(pin)?;
        }
    }
    if matches!(options.host_key, Some(HostKeyPolicy::Certificate(_))) && !options.is_secure() {
        return Err(invalid(
            "hostKey",
            "can be left to the certificate only where TLS is spoken",
        ));
    }
    times(options)
}

fn host(name: &str, host: &str) -> Result<()> {
    let inner = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let fine = !inner.is_empty()
        && inner.len() <= 253
        && inner
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%'));
    if fine {
        return Ok(());
    }
    Err(invalid(
        name,
        "must be a host name or an address, without a scheme, port or path",
    ))
}

fn headers(options: &RemoteOptions) -> Result<()> {
    for (name, value) in &options.headers {
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return Err(invalid("headers", "has a name that is no header name"));
        }
        if HeaderValue::from_str(value).is_err() {
            return Err(invalid(
                &format!("headers['{name}']"),
                "has a value that no header can have",
            ));
        }
    }
    if let Some(token) = &options.auth_token {
        let token = token.expose();
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(invalid(
                "authToken",
                "must be of printable ASCII characters without spaces",
            ));
        }
    }
    if let Some(scope) = &options.scope
        && HeaderValue::from_str(scope).is_err()
    {
        return Err(invalid("scope", "has a character that no header can have"));
    }
    if HeaderValue::from_bytes(&options.root_dir).is_err() {
        return Err(invalid(
            "rootDir",
            "has a character that no header can have",
        ));
    }
    Ok(())
}

fn authentication(options: &RemoteOptions) -> Result<()> {
    let user = match &options.ssh_auth {
        None if options.transport == Transport::Ssh => {
            return Err(invalid("sshAuth", "is needed for the transport 'ssh'"));
        }
        None => return Ok(()),
        Some(SshAuth::Password { user, .. }) => user,
        Some(SshAuth::Key {
            user, private_key, ..
        }) => {
            if private_key.expose().trim().is_empty() {
                return Err(invalid("sshAuth", "has an empty private key"));
            }
            user
        }
    };
    if user.is_empty() || user.contains(['\0', '\n', '\r']) {
        return Err(invalid("sshAuth", "has no usable user name"));
    }
    Ok(())
}

fn times(options: &RemoteOptions) -> Result<()> {
    let again = &options.reconnection;
    for (name, value) in [
        ("connectTimeoutMs", options.connect_timeout_ms),
        ("operationTimeoutMs", options.operation_timeout_ms),
        ("keepaliveIntervalMs", options.keepalive_interval_ms),
        ("reconnection.initialDelayMs", again.initial_delay_ms),
        ("reconnection.maxDelayMs", again.max_delay_ms),
    ] {
        if !(1..=LONGEST_MS).contains(&value) {
            return Err(invalid(
                name,
                &format!("must be between 1 and {LONGEST_MS} milliseconds"),
            ));
        }
    }
    if options.keepalive_count_max == 0 {
        return Err(invalid("keepaliveCountMax", "must be at least 1"));
    }
    if !(again.backoff_multiplier.is_finite() && again.backoff_multiplier >= 1.0) {
        return Err(invalid(
            "reconnection.backoffMultiplier",
            "must be a number of at least 1",
        ));
    }
    Ok(())
}

pub(super) fn invalid(name: &str, problem: &str) -> Error {
    Error::new(ErrorCode::InvalidConfiguration, format!("{name} {problem}"))
}

#[cfg(test)]
#[path = "checks_tests.rs"]
mod tests;
