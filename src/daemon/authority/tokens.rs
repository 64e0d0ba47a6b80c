//! Tokens: who they are for, and which of them is presented. Only digests are kept; they are compared in constant time,
//! all of them whatever matches.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use ring::digest::{SHA256, digest};
use serde::Deserialize;
use subtle::ConstantTimeEq as _;
use tokio_util::sync::CancellationToken;

use crate::daemon::http::{MAX_HELD_BYTES_EACH, Room};
use crate::error::{Error, ErrorCode, Result};
use crate::sys::linux::trusted_file;
use crate::workspace::{Rights, ScopeOptions, Workspace};

/// A longer file is refused.
const MAX_FILE_BYTES: u64 = 4 << 20;
/// A shorter token could be guessed, which the daemon says when it starts.
const SHORT: usize = 16;
/// Requests and connections of one token at a time.
pub(super) const MAX_IN_FLIGHT: usize = 256;

type Digest = [u8; 32];

/// What a token stands for, as its file says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    digest: Digest,
    /// Whether it is so short that it could be guessed.
    pub(super) is_short: bool,
    pub(super) name: Arc<str>,
    scope: Option<Vec<u8>>,
    rights: Rights,
}

impl Grant {
    /// Everything, in the whole of what is served.
    pub(super) fn everything(token: &str) -> Self {
        Self {
            digest: hash(token.as_bytes()),
            is_short: token.len() < SHORT,
            name: "token".into(),
            scope: None,
            rights: Rights::ALL,
        }
    }

    /// What everybody may who reaches a daemon without tokens; no token has this digest.
    pub(super) fn nobody() -> Self {
        Self {
            digest: Digest::default(),
            is_short: false,
            name: "".into(),
            scope: None,
            rights: Rights::ALL,
        }
    }

    pub(super) fn scope(&self) -> Vec<u8> {
        self.scope.clone().unwrap_or_default()
    }

    pub(super) fn is_scoped(&self) -> bool {
        self.scope.is_some()
    }
}

/// A token that is good.
#[derive(Debug)]
pub(super) struct Token {
    grant: Grant,
    /// Where its bearer may act.
    pub(super) workspace: Workspace,
    /// Cancelled when it is revoked, or the daemon ends.
    pub(super) closed: CancellationToken,
    in_flight: AtomicUsize,
    /// For the bodies of its requests and answers.
    room: Room,
}

impl Token {
    pub(super) fn new(
        grant: Grant,
        served: &Workspace,
        stopped: &CancellationToken,
    ) -> Result<Arc<Self>> {
        let options = ScopeOptions {
            principal: Some(Arc::clone(&grant.name)),
            rights: grant.rights,
            ..ScopeOptions::default()
        };
        let scope = grant.scope.as_deref().unwrap_or(b".");
        Ok(Arc::new(Self {
            workspace: served.scope(scope, options)?,
            grant,
            closed: stopped.child_token(),
            in_flight: AtomicUsize::new(0),
            room: Room::new(MAX_HELD_BYTES_EACH),
        }))
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.grant.name
    }

    /// Counts a request or connection, or refuses it.
    pub(super) fn use_once(self: &Arc<Self>) -> Option<Use> {
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let used = Use(Arc::clone(self));
        (before < MAX_IN_FLIGHT).then_some(used)
    }

    fn revoke(&self) {
        self.closed.cancel();
        // What was started through it ends, also in the background.
        let ending = self.workspace.destroy();
        crate::pool::runtime().spawn(async move {
            let _ = ending.await;
        });
    }
}

/// A request or connection of a token, until it is dropped.
#[derive(Debug)]
pub struct Use(Arc<Token>);

impl Use {
    /// What bodies of its token may take together.
    pub(in crate::daemon) fn room(&self) -> &Room {
        &self.0.room
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Those that are good now.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    good: RwLock<Arc<[Arc<Token>]>>,
}

impl Tokens {
    /// The token that is presented.
    pub(super) fn find(&self, presented: &[u8]) -> Option<Arc<Token>> {
        let digest = hash(presented);
        let good = Arc::clone(&self.good.read().unwrap_or_else(PoisonError::into_inner));
        let mut found = None;
        for token in good.iter() {
            if bool::from(token.grant.digest.ct_eq(&digest)) {
                found = Some(token);
            }
        }
        found.map(Arc::clone)
    }

    /// Makes these the good ones. One that was good before stays as it is; one that is gone, or means something else
    /// now, is revoked. Gives how many were. One change at a time is the caller's to see to.
    pub(super) fn replace(
        &self,
        grants: Vec<Grant>,
        served: &Workspace,
        stopped: &CancellationToken,
    ) -> Result<usize> {
        let before = Arc::clone(&self.good.read().unwrap_or_else(PoisonError::into_inner));
        let mut after = Vec::with_capacity(grants.len());
        for grant in grants {
            let kept = before.iter().find(|token| token.grant == grant);
            after.push(match kept {
                Some(token) => Arc::clone(token),
                None => Token::new(grant, served, stopped)?,
            });
        }
        *self.good.write().unwrap_or_else(PoisonError::into_inner) = after.as_slice().into();
        let mut revoked = 0;
        for token in before.iter() {
            if !after.iter().any(|good| Arc::ptr_eq(good, token)) {
                token.revoke();
                revoked += 1;
            }
        }
        Ok(revoked)
    }
}

/// Reads the file of `--auth-token-file`: one line.
///
/// # Errors
/// `INVALID_CONFIGURATION`; those of reading it. All name the file.
pub(super) fn read_single(path: &Path, root_dir: Option<&Path>) -> Result<Grant> {
    let content = trusted_file::read_secret(path, root_dir, MAX_FILE_BYTES)?;
    let token = std::str::from_utf8(content.trim_ascii())
        .map_err(|_| wrong("the token is not UTF-8").at(path.to_string_lossy()))?;
    single(token).map_err(|error| error.at(path.to_string_lossy()))
}

/// The one token of a daemon.
///
/// # Errors
/// `INVALID_CONFIGURATION` for one that no header can carry, or that is short.
pub(super) fn single(token: &str) -> Result<Grant> {
    check(token)?;
    Ok(Grant::everything(token))
}

/// Reads the file of `--tokens-file`.
///
/// # Errors
/// `INVALID_CONFIGURATION`; those of reading it. All name the file, and none a token.
pub(super) fn read_file(path: &Path, root_dir: Option<&Path>) -> Result<Vec<Grant>> {
    let content = trusted_file::read_secret(path, root_dir, MAX_FILE_BYTES)?;
    parse(&content).map_err(|error| error.at(path.to_string_lossy()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    token: Option<String>,
    token_sha256: Option<String>,
    name: String,
    scope: Option<String>,
    rights: Option<Vec<Right>>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Right {
    Read,
    Write,
    Exec,
}

fn parse(content: &[u8]) -> Result<Vec<Grant>> {
    // Which part of the text is wrong is said by line and field; the text itself may hold a token.
    let entries: Vec<serde_json::Value> = serde_json::from_slice(content).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let why = "it is not a JSON list of tokens, as [{ \"token\": …, \"name\": … }]";
        match error.is_data() {
            true => wrong(why),
            false => wrong(&format!("{why} (line {line}, column {column})")),
        }
    })?;
    let mut grants: Vec<Grant> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.into_iter().enumerate() {
        let grant = grant(entry).map_err(|why| wrong(&format!("tokens[{index}]: {why}")))?;
        for other in &grants {
            if other.name == grant.name {
                return Err(wrong(&format!("tokens[{index}]: its name is taken")));
            }
            if other.digest == grant.digest {
                return Err(wrong(&format!("tokens[{index}]: its token is taken")));
            }
        }
        grants.push(grant);
    }
    if grants.is_empty() {
        return Err(wrong("there is no token in it"));
    }
    Ok(grants)
}

fn grant(entry: serde_json::Value) -> std::result::Result<Grant, String> {
    let told = |error: serde_json::Error| {
        let text = error.to_string();
        // A value that is quoted might be a token.
        match text.split_once("invalid type") {
            Some(_) => "a field has the wrong type".to_owned(),
            // The one list of words that there is.
            None => text.replacen("unknown variant", "unknown right", 1),
        }
    };
    let entry: Entry = serde_json::from_value(entry).map_err(told)?;
    let (digest, is_short) = match (entry.token, entry.token_sha256) {
        (Some(token), None) => {
            check(&token).map_err(|error| error.message().to_owned())?;
            (hash(token.as_bytes()), token.len() < SHORT)
        }
        (None, Some(hex)) => {
            let digest = from_hex(&hex).ok_or("tokenSha256 must be 64 hexadecimal digits")?;
            (digest, false)
        }
        (None, None) => return Err("it needs token or tokenSha256".to_owned()),
        _ => return Err("token and tokenSha256 exclude each other".to_owned()),
    };
    if entry.name.is_empty() || entry.name.len() > 128 || entry.name.chars().any(char::is_control) {
        return Err("name must be 1 to 128 characters, without control characters".to_owned());
    }
    if let Some(scope) = &entry.scope {
        super::headers::check_scope(scope.as_bytes()).map_err(|why| format!("scope {why}"))?;
    }
    let rights = match entry.rights {
        None => Rights::ALL,
        Some(rights) => Rights {
            read: rights.contains(&Right::Read),
            write: rights.contains(&Right::Write),
            exec: rights.contains(&Right::Exec),
        },
    };
    Ok(Grant {
        digest,
        is_short,
        name: entry.name.into(),
        scope: entry.scope.map(String::into_bytes),
        rights,
    })
}

fn check(token: &str) -> Result<()> {
    if token.is_empty() {
        return Err(wrong("the token is empty"));
    }
    if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(wrong(
            "a token is printable ASCII without spaces, as a header carries it",
        ));
    }
    Ok(())
}

fn from_hex(text: &str) -> Option<Digest> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if text.len() != 64 {
        return None;
    }
    let mut digest = Digest::default();
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(digest)
}

fn hash(text: &[u8]) -> Digest {
    let mut bytes = Digest::default();
    bytes.copy_from_slice(digest(&SHA256, text).as_ref());
    bytes
}

fn wrong(message: &str) -> Error {
    Error::new(ErrorCode::InvalidConfiguration, message)
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
