use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use russh::keys::PublicKey;
use tempfile::TempDir;

use super::{Accepted, HostKeys, Pin, fingerprint};
use crate::backend::remote::options::{HostKeyPolicy, RemoteOptions};
use crate::error::{ErrorCode, Result};

/// Public keys that nobody uses; the third is of another kind.
const KEYS: [&str; 3] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB8eHRwbGhkYFxYVFBMSERAPDg0MCwoJCAcGBQQDAgEA",
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT+NC4v4af5uO5+tKfA+eFivOM1drMV7Oy7ZAaDe/UfU=",
];

fn key(number: usize) -> PublicKey {
    PublicKey::from_openssh(KEYS[number]).unwrap()
}

struct World {
    _directory: TempDir,
    file: PathBuf,
}

fn world(text: &str) -> World {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("state/known_hosts");
    if !text.is_empty() {
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
    }
    World {
        _directory: directory,
        file,
    }
}

fn keys(host: &str, port: u16, policy: HostKeyPolicy) -> HostKeys {
    let mut options = RemoteOptions::new("/w", host);
    options.port = Some(port);
    HostKeys::new(&options, policy)
}

fn judge(policy: HostKeyPolicy, shown: usize) -> Result<Accepted> {
    keys("Example.com", 2222, policy).judge(&key(shown))
}

fn known(file: &Path, host: &str, port: u16, shown: usize) -> Result<Accepted> {
    keys(host, port, HostKeyPolicy::KnownHosts(file.to_owned())).judge(&key(shown))
}

fn tofu(file: &Path, shown: usize) -> Result<Accepted> {
    judge(HostKeyPolicy::TrustOnFirstUse(file.to_owned()), shown)
}

#[test]
fn a_pin_accepts_its_key_and_no_other_and_falls_back_to_nothing() {
    let by_hash = fingerprint(&key(0));
    for pin in [
        by_hash.clone(),
        format!("{by_hash}="),
        format!("{} me@here\n", KEYS[0]),
    ] {
        let policy = HostKeyPolicy::Pin(vec![pin]);
        assert_eq!(judge(policy.clone(), 0).unwrap(), Accepted::Fine);
        for other in [1, 2] {
            let error = judge(policy.clone(), other).unwrap_err();
            assert_eq!(error.code(), ErrorCode::HostKeyChanged);
            for told in [&by_hash, &fingerprint(&key(other)), "[example.com]:2222"] {
                assert!(error.message().contains(told), "{error}");
            }
        }
    }
    let several = HostKeyPolicy::Pin(vec![by_hash, KEYS[2].to_owned()]);
    assert!(judge(several.clone(), 0).is_ok() && judge(several.clone(), 2).is_ok());
    assert!(judge(several, 1).is_err());
    assert!(Pin::parse("SHA256:AAAA").is_err() && Pin::parse("ssh-ed25519").is_err());
}

#[test]
fn the_first_key_is_remembered_and_another_one_is_refused_by_name() {
    let world = world("");
    assert_eq!(tofu(&world.file, 0).unwrap(), Accepted::Fine);
    let text = std::fs::read_to_string(&world.file).unwrap();
    assert_eq!(text, format!("[example.com]:2222 {}\n", KEYS[0]));
    let mode = std::fs::metadata(&world.file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(tofu(&world.file, 0).unwrap(), Accepted::Fine);
    for other in [1, 2] {
        let error = tofu(&world.file, other).unwrap_err();
        assert_eq!(error.code(), ErrorCode::HostKeyChanged);
        for told in [
            fingerprint(&key(0)),
            fingerprint(&key(other)),
            world.file.display().to_string(),
            "line 1".to_owned(),
        ] {
            assert!(error.message().contains(&told), "{error}");
        }
    }
    assert_eq!(std::fs::read_to_string(&world.file).unwrap(), text);
}

#[test]
fn a_line_that_was_cut_off_stays_apart_from_the_one_that_is_added() {
    let world = world("other.example ssh-ed25519 AAAA");
    tofu(&world.file, 0).unwrap();
    let text = std::fs::read_to_string(&world.file).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(tofu(&world.file, 1).is_err());
}

#[test]
fn of_many_first_uses_at_once_one_is_remembered() {
    let world = world("");
    let accepted: Vec<usize> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..16)
            .map(|number| {
                let (file, shown) = (&world.file, number % 2);
                scope.spawn(move || tofu(file, shown).ok().map(|_| shown))
            })
            .collect();
        tries
            .into_iter()
            .filter_map(|thread| thread.join().unwrap())
            .collect()
    });
    let text = std::fs::read_to_string(&world.file).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(accepted.len(), 8);
    assert!(accepted.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn the_files_of_openssh_are_read_as_openssh_reads_them() {
    let text = format!(
        "# a comment\n\n\
         plain.example {0}\n\
         [ported.example]:2222,10.0.0.1 {0} comment\n\
         *.wild.example,!not.wild.example {0}\n\
         @cert-authority authority.example {0}\n\
         @revoked revoked.example {0}\n\
         revoked.example {0}\n\
         broken.example ssh-ed25519 !!!!\n",
        KEYS[0]
    );
    let world = world(&text);
    let accepts = |host: &str, port| known(&world.file, host, port, 0).is_ok();
    assert!(accepts("plain.example", 22) && accepts("PLAIN.example", 22));
    assert!(!accepts("plain.example", 2222));
    assert!(accepts("ported.example", 2222) && !accepts("ported.example", 22));
    assert!(accepts("10.0.0.1", 22));
    assert!(accepts("a.wild.example", 22) && !accepts("not.wild.example", 22));
    assert!(!accepts("authority.example", 22) && !accepts("broken.example", 22));
    let error = known(&world.file, "revoked.example", 22, 0).unwrap_err();
    assert!(error.message().contains("revoked"), "{error}");
    let error = known(&world.file, "unknown.example", 22, 0).unwrap_err();
    assert_eq!(error.code(), ErrorCode::HostKeyChanged);
    assert!(error.message().contains("has no key for it"), "{error}");
    let missing = known(Path::new("/nonexistent/known_hosts"), "a", 22, 0);
    assert_eq!(missing.unwrap_err().code(), ErrorCode::HostKeyChanged);
}

#[test]
fn hashed_names_are_recognised() {
    use base64::Engine as _;
    let encode = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let salt = [7_u8; 20];
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    let hash = ring::hmac::sign(&key, b"[example.com]:2222");
    let world = world(&format!(
        "|1|{}|{} {}\n",
        encode(&salt),
        encode(hash.as_ref()),
        KEYS[0]
    ));
    assert!(known(&world.file, "example.com", 2222, 0).is_ok());
    assert!(known(&world.file, "example.com", 2222, 1).is_err());
    assert!(known(&world.file, "example.org", 2222, 0).is_err());
}

#[test]
fn behind_a_certificate_a_new_key_takes_the_place_of_the_old_one_and_is_told() {
    let world = world("");
    let policy = HostKeyPolicy::Certificate(world.file.clone());
    std::fs::create_dir(world.file.parent().unwrap()).unwrap();
    std::fs::write(&world.file, format!("other {}\n", KEYS[1])).unwrap();
    assert_eq!(judge(policy.clone(), 0).unwrap(), Accepted::Fine);
    assert_eq!(judge(policy.clone(), 0).unwrap(), Accepted::Fine);
    let Accepted::Changed(message) = judge(policy.clone(), 1).unwrap() else {
        panic!("a change is told");
    };
    assert!(message.contains(&fingerprint(&key(0))) && message.contains(&fingerprint(&key(1))));
    assert_eq!(judge(policy, 1).unwrap(), Accepted::Fine);
    let text = std::fs::read_to_string(&world.file).unwrap();
    let expected = format!("other {0}\n[example.com]:2222 {0}\n", KEYS[1]);
    assert_eq!(text, expected);
}

#[test]
fn a_server_with_several_keys_is_asked_for_the_one_that_is_known() {
    let world = world(&format!("[example.com]:2222 {}\n", KEYS[2]));
    let policy = HostKeyPolicy::KnownHosts(world.file.clone());
    let algorithms = keys("example.com", 2222, policy).expected_algorithms();
    assert_eq!(algorithms, [key(2).algorithm()]);
}
