//! The client's side of SSH: whom to take for the server, who we are, channels, and noticing that the other side is gone.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::{self, Handle};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Disconnect, Preferred, SshId, cipher, compression, kex, mac};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::authentication::{self, Identity};
use super::channel::ChannelBytes;
use super::dial::Stream;
use super::host_keys::{Accepted, HostKeys, fingerprint};
use super::options::{OnWarning, RemoteOptions, Transport, Warning};
use super::transport::{Pulse, Watched};
use crate::error::{Error, ErrorCode, Result};
use crate::pool;

/// What a channel may send before we take any of it, where little else shares the connection.
pub(super) const WIDE_WINDOW: u32 = 8 << 20;
/// The same where a reader that stops must not cost much memory.
pub(super) const NARROW_WINDOW: u32 = 1 << 20;
/// The largest packet that russh takes.
const PACKET_BYTES: u32 = 65_535;
/// Messages that a channel holds for its reader before the whole connection waits for it.
const CHANNEL_MESSAGES: usize = 256;
/// How our daemon names itself in its first line, with a version after it.
const OUR_SERVER: &[u8] = b"SSH-2.0-agent-backend";
/// How long the other side has to take our farewell.
const FAREWELL: Duration = Duration::from_millis(300);

/// As those of our server, for host keys also what other servers have.
fn preferred(expected: &[Algorithm]) -> Preferred {
    const KEX: &[kex::Name] = &[
        kex::MLKEM768X25519_SHA256,
        kex::CURVE25519,
        kex::CURVE25519_PRE_RFC_8731,
        kex::EXTENSION_SUPPORT_AS_CLIENT,
        kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    ];
    const CIPHERS: &[cipher::Name] = &[cipher::AES_256_GCM, cipher::CHACHA20_POLY1305];
    const MACS: &[mac::Name] = &[mac::HMAC_SHA256_ETM, mac::HMAC_SHA512_ETM];
    let mut keys = vec![
        Algorithm::Ed25519,
        Algorithm::Ecdsa {
            curve: EcdsaCurve::NistP256,
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha512),
        },
        Algorithm::Rsa {
            hash: Some(HashAlg::Sha256),
        },
    ];
    // A server with several keys is asked for the one that we know.
    keys.sort_by_key(|key| {
        let known = expected
            .iter()
            .any(|known| known == key || (known.clone().is_rsa() && key.clone().is_rsa()));
        !known
    });
    Preferred {
        kex: Cow::Borrowed(KEX),
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(CIPHERS),
        mac: Cow::Borrowed(MACS),
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}

/// Why a session could not be made.
#[derive(Debug)]
pub(super) enum Failure {
    Protocol(russh::Error),
    Ours(Error),
}

impl From<russh::Error> for Failure {
    fn from(error: russh::Error) -> Self {
        Failure::Protocol(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Ours(error) => error,
            Failure::Protocol(error) => protocol_error(error),
        }
    }
}

/// What went wrong between the two sides of SSH.
pub(super) fn protocol_error(error: russh::Error) -> Error {
    let why = match &error {
        russh::Error::NoCommonAlgo { kind, theirs, .. } => format!(
            "the server offers no {kind:?} that we accept, only {}",
            theirs.join(", ")
        ),
        russh::Error::Disconnect | russh::Error::HUP | russh::Error::SendError => {
            "the other side ended the connection".to_owned()
        }
        russh::Error::Version => "what answers there is no SSH server".to_owned(),
        russh::Error::IO(io) => format!("the connection broke: {io}"),
        other => format!("SSH: {other}"),
    };
    Error::new(ErrorCode::ConnectionFailed, why).with_source(error)
}

/// What went wrong before SSH was spoken. On TCP it may be something else that listens there.
fn unbegun(failure: Failure, transport: Transport) -> Error {
    match failure {
        Failure::Protocol(
            error @ (russh::Error::Disconnect | russh::Error::HUP | russh::Error::SendError),
        ) if transport == Transport::Ssh => Error::new(
            ErrorCode::ConnectionFailed,
            "the other side ended the connection before it spoke SSH; is that the port of an SSH server?",
        )
        .with_source(error),
        failure => failure.into(),
    }
}

/// Answers what the session asks. Its end is the end of the session, whatever the cause.
pub(super) struct Client {
    keys: HostKeys,
    on_warning: Option<OnWarning>,
    /// The key that was accepted; with later exchanges of keys it must be the same.
    accepted: Option<PublicKey>,
    /// What the server says of itself, once the keys are exchanged.
    server_id: Arc<Mutex<Vec<u8>>>,
    _closes: DropGuard,
}

impl client::Handler for Client {
    type Error = Failure;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> std::result::Result<bool, Failure> {
        let key = shown.public_key();
        if let Some(accepted) = &self.accepted {
            if accepted.key_data() == key.key_data() {
                return Ok(true);
            }
            return Err(Failure::Ours(Error::new(
                ErrorCode::HostKeyChanged,
                format!(
                    "the server showed {} and in the same connection {}",
                    fingerprint(accepted),
                    fingerprint(&key)
                ),
            )));
        }
        let (keys, judged) = (self.keys.clone(), key.clone());
        let accepted = pool::run(move || keys.judge(&judged))
            .await
            .map_err(Failure::Ours)?;
        if let (Accepted::Changed(message), Some(on_warning)) = (accepted, &self.on_warning) {
            on_warning(Warning {
                name: "host-key-changed",
                message,
            });
        }
        self.accepted = Some(key);
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _: Option<&[u8]>,
        _: &russh::Names,
        session: &mut client::Session,
    ) -> std::result::Result<(), Failure> {
        let mut id = self
            .server_id
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *id = session.remote_sshid().to_vec();
        Ok(())
    }
}

/// An authenticated session. Dropping it ends the connection without a farewell.
pub(super) struct SshSession {
    handle: Arc<Handle<Client>>,
    is_ours: bool,
    closed: CancellationToken,
    cut: CancellationToken,
    /// Ends the stream when this is dropped, unless a farewell is on its way.
    cuts: Mutex<Option<DropGuard>>,
}

impl fmt::Debug for SshSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshSession")
            .field("is_ours", &self.is_ours)
            .field("closed", &self.closed.is_cancelled())
            .finish_non_exhaustive()
    }
}

impl SshSession {
    /// Speaks SSH on a stream until the server knows who we are. Dropping the future ends the stream.
    ///
    /// # Errors
    /// `CONNECTION_FAILED`, `HOST_KEY_CHANGED`, `UNAUTHORIZED`.
    pub(super) async fn open(
        options: &RemoteOptions,
        keys: HostKeys,
        identity: &Identity,
        stream: Box<dyn Stream>,
        window: u32,
    ) -> Result<Self> {
        let expected = {
            let keys = keys.clone();
            pool::run(move || Ok(keys.expected_algorithms())).await?
        };
        let (closed, cut) = (CancellationToken::new(), CancellationToken::new());
        let cuts = cut.clone().drop_guard();
        let (stream, pulse) = Watched::new(stream, &cut);
        let server_id = Arc::default();
        let client = Client {
            keys,
            on_warning: options.on_warning.clone(),
            accepted: None,
            server_id: Arc::clone(&server_id),
            _closes: closed.clone().drop_guard(),
        };
        let config = Arc::new(config(preferred(&expected), window));
        let mut handle = client::connect_stream(config, stream, client)
            .await
            .map_err(|failure| unbegun(failure, options.transport))?;
        authentication::authenticate(&mut handle, identity, &closed).await?;
        let is_ours = server_id
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .starts_with(OUR_SERVER);
        let handle = Arc::new(handle);
        tokio::spawn(keep_alive(
            Arc::clone(&handle),
            pulse,
            cut.clone(),
            closed.clone(),
            Duration::from_millis(options.keepalive_interval_ms),
            options.keepalive_count_max,
        ));
        Ok(Self {
            handle,
            is_ours,
            closed,
            cut,
            cuts: Mutex::new(Some(cuts)),
        })
    }

    /// Whether the other side is a daemon of ours.
    pub(super) fn is_ours(&self) -> bool {
        self.is_ours
    }

    /// Cancelled when the session is gone, for whatever reason.
    pub(super) fn closed(&self) -> &CancellationToken {
        &self.closed
    }

    /// A new channel.
    ///
    /// # Errors
    /// `CONNECTION_CLOSED`; `LIMIT_EXCEEDED` where the server opens no more.
    pub(super) async fn channel(&self) -> Result<russh::Channel<client::Msg>> {
        self.handle
            .channel_open_session()
            .await
            .map_err(|error| match error {
                russh::Error::ChannelOpenFailure(reason) => Error::new(
                    ErrorCode::LimitExceeded,
                    format!("the server opens no further channel: {reason:?}"),
                ),
                other => Error::new(ErrorCode::ConnectionClosed, "the connection is gone")
                    .with_source(other),
            })
    }

    /// The stream of a subsystem. What is written goes out behind the request, without waiting for its answer; that it
    /// was refused comes out of the first read.
    ///
    /// # Errors
    /// As [`SshSession::channel`].
    pub(super) async fn subsystem(&self, name: &str) -> Result<ChannelBytes> {
        let channel = self.channel().await?;
        channel
            .request_subsystem(true, name)
            .await
            .map_err(protocol_error)?;
        Ok(ChannelBytes::new(channel))
    }

    /// Says farewell, and ends the connection soon whether that was heard or not.
    pub(super) fn close(&self, reason: String) {
        let cuts = self
            .cuts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let (handle, closed, cut) = (
            Arc::clone(&self.handle),
            self.closed.clone(),
            self.cut.clone(),
        );
        pool::runtime().spawn(async move {
            let farewell = async {
                let said = handle.disconnect(Disconnect::ByApplication, &reason, "");
                if said.await.is_ok() {
                    closed.cancelled().await;
                }
            };
            let _ = timeout(FAREWELL, farewell).await;
            cut.cancel();
            drop(cuts);
        });
    }
}

fn config(preferred: Preferred, window: u32) -> client::Config {
    client::Config {
        client_id: SshId::Standard(Cow::Borrowed(concat!(
            "SSH-2.0-agent-backend_",
            env!("CARGO_PKG_VERSION")
        ))),
        window_size: window,
        maximum_packet_size: PACKET_BYTES,
        channel_buffer_size: CHANNEL_MESSAGES,
        preferred,
        nodelay: true,
        ..client::Config::default()
    }
}

/// Asks the other side whether it is there whenever nothing has come for a while, and ends the connection when it has
/// not answered several times. While it is we who do not take what has come, nothing is counted.
async fn keep_alive(
    handle: Arc<Handle<Client>>,
    pulse: Arc<Pulse>,
    cut: CancellationToken,
    closed: CancellationToken,
    interval: Duration,
    count_max: u32,
) {
    let mut missed = 0;
    loop {
        tokio::select! {
            () = closed.cancelled() => return,
            () = cut.cancelled() => return,
            () = sleep(interval) => {}
        }
        if pulse.take_received() || !pulse.waits() {
            missed = 0;
            continue;
        }
        if missed >= count_max {
            cut.cancel();
            return;
        }
        missed += 1;
        // A session that is stuck in a write takes no message: then the question is not asked, and counted all the same.
        let _ = timeout(interval / 2, handle.send_keepalive(true)).await;
    }
}
