//! The file in which OpenSSH, and we, keep the keys of hosts.
//!
//! Read are names, `[host]:port`, `*` and `?`, `!`, hashed names, and `@revoked`; lines of `@cert-authority` are passed
//! over, because we ask for no certificates. What cannot be read is passed over too, as OpenSSH does.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use russh::keys::PublicKey;

use crate::error::{Error, ErrorCode, Result};

/// A larger file is not of this kind.
const MAX_BYTES: u64 = 16 << 20;

/// A key of a host.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: PublicKey,
    /// Counted from 1.
    pub(super) line: usize,
}

/// What a file says of one host.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) keys: Vec<Entry>,
    revoked: Vec<Entry>,
}

impl Known {
    /// The line that revokes a key.
    pub(super) fn revoked(&self, key: &PublicKey) -> Option<usize> {
        self.revoked
            .iter()
            .find(|entry| entry.key.key_data() == key.key_data())
            .map(|entry| entry.line)
    }
}

/// The name of a host in the file: on port 22 its own.
pub(super) fn host_name(host: &str, port: u16) -> String {
    if port == 22 {
        host.to_owned()
    } else {
        format!("[{host}]:{port}")
    }
}

/// What the file says of a host; a file that is not there says nothing.
///
/// # Errors
/// What reading it fails with, `TOO_LARGE`.
pub(super) fn read(file: &Path, host: &str, port: u16) -> Result<Known> {
    Ok(parse(&text(file)?, &host_name(host, port)))
}

fn text(file: &Path) -> Result<String> {
    let failed = |error: std::io::Error| Error::from(error).at(file.display().to_string());
    match fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if metadata.len() > MAX_BYTES => {
            return Err(
                Error::new(ErrorCode::TooLarge, "it is no file of known hosts")
                    .at(file.display().to_string()),
            );
        }
        Ok(_) => {}
    }
    let bytes = fs::read(file).map_err(failed)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn parse(text: &str, name: &str) -> Known {
    let mut known = Known::default();
    for (at, line) in text.lines().enumerate() {
        let mut words = line.split_ascii_whitespace();
        let Some(mut first) = words.next() else {
            continue;
        };
        let mut revoked = false;
        if first.starts_with('#') {
            continue;
        }
        if first.starts_with('@') {
            if first != "@revoked" {
                continue;
            }
            revoked = true;
            let Some(hosts) = words.next() else { continue };
            first = hosts;
        }
        let (Some(kind), Some(encoded)) = (words.next(), words.next()) else {
            continue;
        };
        if !names(first, name) {
            continue;
        }
        let Ok(key) = PublicKey::from_openssh(&format!("{kind} {encoded}")) else {
            continue;
        };
        let entry = Entry { key, line: at + 1 };
        if revoked {
            known.revoked.push(entry);
        } else {
            known.keys.push(entry);
        }
    }
    known
}

/// Whether a list of names names a host. One that excludes it wins.
fn names(list: &str, name: &str) -> bool {
    if list.starts_with("|1|") {
        return is_hash_of(list, name);
    }
    let mut found = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(excluded) if matches(excluded.as_bytes(), name.as_bytes()) => return false,
            Some(_) => {}
            None => found = found || matches(pattern.as_bytes(), name.as_bytes()),
        }
    }
    found
}

/// `|1|`, the salt and the HMAC-SHA1 of the name, both in base64.
fn is_hash_of(hashed: &str, name: &str) -> bool {
    let mut parts = hashed.split('|').skip(2);
    let (Some(salt), Some(hash)) = (parts.next(), parts.next()) else {
        return false;
    };
    let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    hmac::verify(&key, name.as_bytes(), &hash).is_ok()
}

/// `*` stands for any text, `?` for one character; letters are compared without regard to case.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut pattern_at) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match pattern.get(pattern_at) {
            Some(b'*') => {
                star = Some((pattern_at + 1, at));
                pattern_at += 1;
            }
            Some(&c) if c == b'?' || c.eq_ignore_ascii_case(&name[at]) => {
                at += 1;
                pattern_at += 1;
            }
            _ => match star {
                Some((after, from)) => {
                    star = Some((after, from + 1));
                    pattern_at = after;
                    at = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[pattern_at..].iter().all(|&c| c == b'*')
}

/// Adds a key, unless the file has one for the host by now: then that comes back and nothing is changed.
///
/// # Errors
/// What writing fails with.
pub(super) fn learn(file: &Path, host: &str, port: u16, key: &PublicKey) -> Result<Option<Known>> {
    let _lock = lock(file)?;
    let existing = text(file)?;
    let known = parse(&existing, &host_name(host, port));
    if !known.keys.is_empty() {
        return Ok(Some(known));
    }
    let mut line = line_of(host, port, key)?;
    if !existing.is_empty() && !existing.ends_with('\n') {
        line.insert(0, '\n');
    }
    let failed = |error: std::io::Error| Error::from(error).at(file.display().to_string());
    let mut open = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(file)
        .map_err(failed)?;
    // One write: readers without our lock see the line whole or not at all.
    open.write_all(line.as_bytes()).map_err(failed)?;
    Ok(None)
}

/// Puts a key in the place of those that the file has for the host.
///
/// # Errors
/// What writing fails with.
pub(super) fn replace(file: &Path, host: &str, port: u16, key: &PublicKey) -> Result<()> {
    let _lock = lock(file)?;
    let existing = text(file)?;
    let old: Vec<usize> = parse(&existing, &host_name(host, port))
        .keys
        .iter()
        .map(|entry| entry.line)
        .collect();
    let mut kept = String::with_capacity(existing.len() + 128);
    for (at, line) in existing.lines().enumerate() {
        if !old.contains(&(at + 1)) {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept.push_str(&line_of(host, port, key)?);
    let failed = |error: std::io::Error| Error::from(error).at(file.display().to_string());
    // Alone under the lock, so the name is free unless a process died here.
    let beside = with_suffix(file, ".new");
    let mut open = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(failed)?;
    open.write_all(kept.as_bytes()).map_err(failed)?;
    fs::rename(&beside, file).map_err(failed)
}

fn line_of(host: &str, port: u16, key: &PublicKey) -> Result<String> {
    let bare = PublicKey::from(key.key_data().clone());
    let text = bare.to_openssh().map_err(|error| {
        Error::new(
            ErrorCode::IoError,
            format!("the host key cannot be written: {error}"),
        )
    })?;
    Ok(format!("{} {}\n", host_name(host, port), text.trim()))
}

/// Held while the file is changed. Beside the file, because the file itself may be replaced.
fn lock(file: &Path) -> Result<File> {
    if let Some(directory) = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
    {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| Error::from(error).at(directory.display().to_string()))?;
    }
    let path = with_suffix(file, ".lock");
    let failed = |error: std::io::Error| Error::from(error).at(path.display().to_string());
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(failed)?;
    lock.lock().map_err(failed)?;
    Ok(lock)
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
