//! Whether the key that a server shows is the one that is expected of it.
//!
//! The signature over the key exchange has been verified when this is asked: here is only decided whose key it may be.

use std::path::Path;

use russh::keys::{Algorithm, HashAlg, PublicKey};

use super::checks::invalid;
use super::known_hosts::{self, Known};
use super::options::{HostKeyPolicy, RemoteOptions};
use crate::error::{Error, ErrorCode, Result};

/// One key that is accepted by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pin {
    /// `SHA256:` and the hash in base64 without padding, as `ssh-keygen -l` shows it.
    Fingerprint(String),
    /// The key itself.
    Key(Box<PublicKey>),
}

impl Pin {
    /// Reads a fingerprint or the line of a public key.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION`.
    pub(super) fn parse(text: &str) -> Result<Self> {
        use base64::Engine as _;
        let text = text.trim();
        if let Some(hash) = text.strip_prefix("SHA256:") {
            let hash = hash.trim_end_matches('=');
            let decoded = base64::engine::general_purpose::STANDARD_NO_PAD.decode(hash);
            return match decoded {
                Ok(bytes) if bytes.len() == 32 => Ok(Pin::Fingerprint(format!("SHA256:{hash}"))),
                _ => Err(invalid(
                    "hostKey",
                    "has a fingerprint that is not a SHA256 hash in base64",
                )),
            };
        }
        PublicKey::from_openssh(text)
            .map(|key| Pin::Key(Box::new(key)))
            .map_err(|_| {
                invalid(
                    "hostKey",
                    "must be a fingerprint (`SHA256:…`) or a public key (`ssh-ed25519 AAAA…`)",
                )
            })
    }

    fn accepts(&self, key: &PublicKey) -> bool {
        match self {
            Pin::Fingerprint(expected) => *expected == fingerprint(key),
            Pin::Key(expected) => expected.key_data() == key.key_data(),
        }
    }

    fn shown(&self) -> String {
        match self {
            Pin::Fingerprint(text) => text.clone(),
            Pin::Key(key) => fingerprint(key),
        }
    }
}

/// As `ssh-keygen -l` shows it.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// The judge of one server's keys.
#[derive(Clone, Debug)]
pub(super) struct HostKeys {
    host: String,
    port: u16,
    policy: HostKeyPolicy,
}

/// What became of a key that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Accepted {
    /// It is the expected one, or the first.
    Fine,
    /// It is another than last time, and the policy lets that be; the sentence says so.
    Changed(String),
}

impl HostKeys {
    pub(super) fn new(options: &RemoteOptions, policy: HostKeyPolicy) -> Self {
        Self {
            host: options.effective_host().to_ascii_lowercase(),
            port: options.effective_port(),
            policy,
        }
    }

    /// The algorithms of the keys that are expected, so that the server is asked for one of these first. Reads a file.
    pub(super) fn expected_algorithms(&self) -> Vec<Algorithm> {
        match &self.policy {
            HostKeyPolicy::Pin(pins) => pins
                .iter()
                .filter_map(|pin| match Pin::parse(pin) {
                    Ok(Pin::Key(key)) => Some(key.algorithm()),
                    _ => None,
                })
                .collect(),
            HostKeyPolicy::KnownHosts(file)
            | HostKeyPolicy::TrustOnFirstUse(file)
            | HostKeyPolicy::Certificate(file) => known_hosts::read(file, &self.host, self.port)
                .map(|known| {
                    known
                        .keys
                        .iter()
                        .map(|entry| entry.key.algorithm())
                        .collect()
                })
                .unwrap_or_default(),
        }
    }

    /// Judges a key; with a policy that remembers, remembers it. Reads and writes files.
    ///
    /// # Errors
    /// `HOST_KEY_CHANGED` with both fingerprints and where the old one is kept, `INVALID_CONFIGURATION`,
    /// `CONNECTION_FAILED` where the file cannot be used.
    pub(super) fn judge(&self, key: &PublicKey) -> Result<Accepted> {
        self.judged(key).map_err(|error| match error.code() {
            ErrorCode::HostKeyChanged | ErrorCode::InvalidConfiguration => error,
            _ => Error::new(
                ErrorCode::ConnectionFailed,
                format!(
                    "the file of known host keys cannot be used ({error}); name another with `hostKey` or `stateDir`"
                ),
            )
            .with_source(error),
        })
    }

    fn judged(&self, key: &PublicKey) -> Result<Accepted> {
        match &self.policy {
            HostKeyPolicy::Pin(pins) => self.judge_pins(pins, key),
            HostKeyPolicy::KnownHosts(file) => match self.recorded(file, key)? {
                Recorded::Same => Ok(Accepted::Fine),
                Recorded::Nothing => Err(self.refusal(format!(
                    "{} {}; it shows {}. Add that key once you have verified it",
                    file.display(),
                    if file.exists() {
                        "has no key for it"
                    } else {
                        "does not exist"
                    },
                    fingerprint(key)
                ))),
                Recorded::Other(old) => Err(self.changed(&old, file, key)),
            },
            HostKeyPolicy::TrustOnFirstUse(file) => match self.recorded(file, key)? {
                Recorded::Same => Ok(Accepted::Fine),
                Recorded::Nothing => {
                    // Of two connections at once, the later one is judged by what the first has written.
                    match known_hosts::learn(file, &self.host, self.port, key)? {
                        None => Ok(Accepted::Fine),
                        Some(known) => match recorded(&known, key) {
                            Recorded::Same => Ok(Accepted::Fine),
                            Recorded::Other(old) => Err(self.changed(&old, file, key)),
                            Recorded::Nothing => Ok(Accepted::Fine),
                        },
                    }
                }
                Recorded::Other(old) => Err(self.changed(&old, file, key)),
            },
            HostKeyPolicy::Certificate(file) => match self.recorded(file, key)? {
                Recorded::Same => Ok(Accepted::Fine),
                Recorded::Nothing => {
                    known_hosts::learn(file, &self.host, self.port, key)?;
                    Ok(Accepted::Fine)
                }
                Recorded::Other(old) => {
                    known_hosts::replace(file, &self.host, self.port, key)?;
                    Ok(Accepted::Changed(format!(
                        "the host key of {} was {old} and is now {}; its certificate is valid",
                        self.name(),
                        fingerprint(key)
                    )))
                }
            },
        }
    }

    fn judge_pins(&self, pins: &[String], key: &PublicKey) -> Result<Accepted> {
        let mut shown = Vec::with_capacity(pins.len());
        for pin in pins {
            let pin = Pin::parse(pin)?;
            if pin.accepts(key) {
                return Ok(Accepted::Fine);
            }
            shown.push(pin.shown());
        }
        Err(self.refusal(format!(
            "it shows {}, and `hostKey` pins {}",
            fingerprint(key),
            shown.join(", ")
        )))
    }

    fn recorded(&self, file: &Path, key: &PublicKey) -> Result<Recorded> {
        let known = known_hosts::read(file, &self.host, self.port)?;
        if let Some(line) = known.revoked(key) {
            return Err(self.refusal(format!(
                "its key {} is revoked in {} line {line}",
                fingerprint(key),
                file.display()
            )));
        }
        Ok(recorded(&known, key))
    }

    fn changed(&self, old: &str, file: &Path, key: &PublicKey) -> Error {
        self.refusal(format!(
            "it shows {}, and {} has {old}. If the server was set up anew, remove that line",
            fingerprint(key),
            file.display()
        ))
    }

    fn refusal(&self, why: String) -> Error {
        Error::new(
            ErrorCode::HostKeyChanged,
            format!("{} is not the server that it should be: {why}", self.name()),
        )
    }

    fn name(&self) -> String {
        known_hosts::host_name(&self.host, self.port)
    }
}

enum Recorded {
    Same,
    Nothing,
    /// Fingerprints and lines of the others.
    Other(String),
}

/// A key of another algorithm than those recorded counts as another key: else whoever sits in between would only have
/// to show a key of a kind that we have not seen.
fn recorded(known: &Known, key: &PublicKey) -> Recorded {
    if known.keys.is_empty() {
        return Recorded::Nothing;
    }
    if known
        .keys
        .iter()
        .any(|entry| entry.key.key_data() == key.key_data())
    {
        return Recorded::Same;
    }
    let shown: Vec<String> = known
        .keys
        .iter()
        .map(|entry| format!("{} (line {})", fingerprint(&entry.key), entry.line))
        .collect();
    Recorded::Other(shown.join(", "))
}

#[cfg(test)]
#[path = "host_keys_tests.rs"]
mod tests;
