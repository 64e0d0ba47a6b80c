//! What the server speaks and how much a client may take of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::server::Config;
use russh::{MethodKind, MethodSet, Preferred, SshId, cipher, compression, kex, mac};

use super::HostKey;
use crate::daemon::slowing::Slowing;

/// Bytes that a client may send on a channel before it hears that they arrived.
pub(super) const WINDOW: u32 = 4 << 20;

/// The largest piece of data in a packet.
const MAX_PACKET: u32 = 65_535;

/// Messages that wait for the loop of a connection.
const EVENT_QUEUE: usize = 16;

/// Wrong passwords and signatures before a client is sent away.
pub(super) const MAX_TRIES: usize = 3;

/// Requests to authenticate of any kind: besides those that fail, clients probe and offer one key after the other.
const MAX_REQUESTS: usize = 24;

/// Ed25519 alone is offered as a host key; the rest of the list is what clients may sign with.
const KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

/// All of them authenticate what they encrypt, so that none of the codes below is ever used.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::CHACHA20_POLY1305,
];

const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM];

/// Bounds of a [`super::Server`].
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Connections at once. Default: 1,024.
    pub max_connections: usize,
    /// Connections at once that did not authenticate yet; a newer one takes the place of the oldest. Default: 128.
    pub max_unauthenticated: usize,
    /// Time to authenticate, from the first byte on. Default: 30 s.
    pub authenticate_within: Duration,
    /// Time until a wrong password or signature is answered, at least. Default: 1 s.
    pub refusal_delay: Duration,
    /// Who guessed wrong lately, and waits longer. Default: nobody yet.
    pub slowing: Arc<Slowing>,
    /// Time after which a channel that reads nothing of what it was sent is ended, where it holds up other channels of
    /// the connection: together they may leave 32 MiB unread. Default: 30 s.
    pub stuck_after: Duration,
    /// Channels at once on one connection. Default: 64.
    pub max_channels: usize,
    /// Channels of one connection one after the other, after which it is ended as soon as it has none: the library
    /// keeps about 3.5 KiB of each that the server has closed. Default: 20,000.
    pub max_channels_ever: usize,
    /// Time after which a connection without a channel is closed. Default: 10 min.
    pub idle_timeout: Duration,
    /// Time between questions whether a silent client is still there; after three without an answer it is not. It is
    /// also a third of the time that a client may let bytes lie that are sent to it. Default: 30 s.
    pub keepalive: Duration,
    /// Bytes in either direction after which new keys are agreed on, at most 1 GiB. Default: 1 GiB.
    pub rekey_bytes: usize,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            max_connections: 1_024,
            max_unauthenticated: 128,
            authenticate_within: Duration::from_secs(30),
            refusal_delay: Duration::from_secs(1),
            slowing: Arc::default(),
            stuck_after: Duration::from_secs(30),
            max_channels: 64,
            max_channels_ever: 20_000,
            idle_timeout: Duration::from_secs(600),
            keepalive: Duration::from_secs(30),
            rekey_bytes: 1 << 30,
        }
    }
}

impl ServerOptions {
    pub(super) fn config(&self, host_key: HostKey) -> Config {
        let rekey_bytes = self.rekey_bytes.min(1 << 30);
        Config {
            server_id: SshId::Standard(Cow::Borrowed(concat!(
                "SSH-2.0-agent-backend_",
                env!("CARGO_PKG_VERSION")
            ))),
            methods: MethodSet::from(
                &[
                    MethodKind::None,
                    MethodKind::PublicKey,
                    MethodKind::Password,
                    MethodKind::KeyboardInteractive,
                ][..],
            ),
            // Refusals are delayed where they are decided: a key that is offered and not known is none.
            auth_rejection_time: Duration::ZERO,
            auth_rejection_time_initial: Some(Duration::ZERO),
            keys: vec![host_key.into_private()],
            limits: russh::Limits::new(rekey_bytes, rekey_bytes, Duration::from_secs(3_600)),
            window_size: WINDOW,
            maximum_packet_size: MAX_PACKET,
            // What comes in goes to the inbox of its channel, not here.
            channel_buffer_size: 1,
            event_buffer_size: EVENT_QUEUE,
            preferred: Preferred {
                kex: Cow::Borrowed(KEX),
                key: Cow::Borrowed(KEYS),
                host_key_certificates: Cow::Borrowed(&[]),
                cipher: Cow::Borrowed(CIPHERS),
                mac: Cow::Borrowed(MACS),
                compression: Cow::Borrowed(&[compression::NONE]),
            },
            max_auth_attempts: MAX_REQUESTS,
            inactivity_timeout: Some(self.keepalive * 3),
            keepalive_interval: Some(self.keepalive),
            keepalive_max: 3,
            ..Config::default()
        }
    }
}
