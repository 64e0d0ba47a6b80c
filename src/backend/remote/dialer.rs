//! One attempt at a connection, from the name of a host to a link that can be used.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::OnceCell;

use super::authentication::Identity;
use super::checks::invalid;
use super::dial;
use super::host_keys::HostKeys;
use super::link::Link;
use super::options::{HostKeyPolicy, RemoteOptions, Transport};
use super::ours::Ours;
use super::plain::Plain;
use super::ssh_client::{SshSession, WIDE_WINDOW};
use super::tls::Tls;
use super::upgrade::is_ours;
use crate::backend::local::command::{chosen_state_dir, default_state_dir};
use crate::error::{Error, ErrorCode, Result};
use crate::pool;
use crate::wire::commands::SUBSYSTEM;

/// The file beneath the state directory in which keys of hosts are kept.
const KNOWN_HOSTS: &str = "known_hosts";
/// The subsystem of plain SFTP, in which our operations travel too.
const SFTP: &str = "sftp";

/// What every attempt needs, made once.
#[derive(Clone)]
struct Prepared {
    tls: Option<Tls>,
    identity: Identity,
    keys: HostKeys,
}

/// Makes connections as the options say.
pub(super) struct Dialer {
    pub(super) options: RemoteOptions,
    prepared: OnceCell<Prepared>,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Dialer").field(&self.options).finish()
    }
}

/// A connection that can be used.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) link: Arc<dyn Link>,
    pub(super) session: Arc<SshSession>,
}

impl Live {
    /// Ends it, with a word to the other side.
    pub(super) fn close(&self, reason: &'static str) {
        self.link.close(reason.as_bytes().into());
        self.session.close(reason.to_owned());
    }
}

impl Dialer {
    pub(super) fn new(options: RemoteOptions) -> Self {
        Self {
            options,
            prepared: OnceCell::new(),
        }
    }

    /// Connects, and finds out what is on the other side.
    ///
    /// # Errors
    /// `CONNECTION_FAILED`, `UNAUTHORIZED`, `HOST_KEY_CHANGED`, `INVALID_CONFIGURATION`.
    pub(super) async fn open(self: Arc<Self>) -> Result<Live> {
        let options = self.options.clone();
        self.linked()
            .await
            .map_err(|error| of_connecting(&options, error))
    }

    async fn linked(self: Arc<Self>) -> Result<Live> {
        let session = Arc::new(self.session(WIDE_WINDOW).await?);
        if session.is_ours()
            && let Some(link) = ours(&session).await?
        {
            return Ok(Live { link, session });
        }
        let sftp = session.subsystem(SFTP).await?;
        let link = Plain::open(sftp, Arc::clone(&session), self).await?;
        Ok(Live { link, session })
    }

    /// Connects as far as SSH goes. Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// As [`Dialer::open`].
    pub(super) async fn session(&self, window: u32) -> Result<SshSession> {
        self.authenticated(window)
            .await
            .map_err(|error| of_connecting(&self.options, error))
    }

    async fn authenticated(&self, window: u32) -> Result<SshSession> {
        let prepared = self
            .prepared
            .get_or_try_init(|| {
                let options = self.options.clone();
                pool::run(move || Prepared::new(&options))
            })
            .await?;
        let stream = dial::dial(&self.options, prepared.tls.as_ref()).await?;
        SshSession::open(
            &self.options,
            prepared.keys.clone(),
            &prepared.identity,
            stream,
            window,
        )
        .await
    }
}

/// The link to a daemon of ours, unless it speaks another version of what we say to it.
async fn ours(session: &SshSession) -> Result<Option<Arc<dyn Link>>> {
    // Neither channel waits for the other, nor what is said on it for the answer to the request of its subsystem.
    let (sftp, commands) = tokio::try_join!(session.subsystem(SFTP), session.subsystem(SUBSYSTEM))?;
    match Ours::open(sftp, commands, session.closed().child_token()).await {
        Ok(link) => Ok(Some(link)),
        Err(error) if error.code() == ErrorCode::NotImplemented => Ok(None),
        Err(error) => Err(error),
    }
}

impl Prepared {
    fn new(options: &RemoteOptions) -> Result<Self> {
        warn(options);
        let policy = match &options.host_key {
            Some(policy) => policy.clone(),
            None => default_policy(options)?,
        };
        Ok(Self {
            tls: if options.is_secure() {
                Some(Tls::new(options)?)
            } else {
                None
            },
            identity: Identity::new(options)?,
            keys: HostKeys::new(options, policy),
        })
    }
}

/// A verified certificate says who is there, and then has been shown our token: refusing a new host key behind it would
/// only break deployments in which daemons come and go behind one name. Without TLS the host key is all there is.
fn default_policy(options: &RemoteOptions) -> Result<HostKeyPolicy> {
    let directory = match &options.state_dir {
        Some(chosen) => chosen_state_dir(chosen)?,
        None => default_state_dir()?,
    };
    let file = directory.join(KNOWN_HOSTS);
    Ok(if options.is_secure() {
        HostKeyPolicy::Certificate(file)
    } else {
        HostKeyPolicy::TrustOnFirstUse(file)
    })
}

fn warn(options: &RemoteOptions) {
    for (name, _) in &options.headers {
        if is_ours(name) {
            options.warn(
                "header-ignored",
                format!("the header '{name}' of `headers` is not sent: we set it ourselves"),
            );
        }
    }
    let host = options.effective_host();
    if options.transport == Transport::SshWs
        && options.auth_token.is_some()
        && !options.is_secure()
        && !is_loopback(host)
    {
        options.warn(
            "token-without-tls",
            format!(
                "the token travels to '{host}' in the clear before anybody knows who is there; \
                 use TLS (`secure: true`) outside of networks that you trust"
            ),
        );
    }
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Whether trying again would only do the same again: somebody has to change something first.
pub(super) fn is_final(error: &Error) -> bool {
    matches!(
        error.code(),
        ErrorCode::Unauthorized
            | ErrorCode::HostKeyChanged
            | ErrorCode::InvalidConfiguration
            | ErrorCode::Destroyed
    )
}

/// What a caller sees of an error of connecting: with the address, unless it says that already. It never looks like an
/// answer about a file of the workspace, since a call takes `NOT_FOUND` for one: a file of this side, such as that of the
/// host keys, is named in the message alone.
fn of_connecting(options: &RemoteOptions, error: Error) -> Error {
    let code = match error.code() {
        code @ (ErrorCode::ConnectionClosed
        | ErrorCode::Unauthorized
        | ErrorCode::HostKeyChanged
        | ErrorCode::InvalidConfiguration
        | ErrorCode::LimitExceeded
        | ErrorCode::Timeout
        | ErrorCode::Destroyed) => code,
        _ => ErrorCode::ConnectionFailed,
    };
    let host = options.effective_host();
    let is_of_the_way = matches!(
        code,
        ErrorCode::ConnectionFailed | ErrorCode::ConnectionClosed | ErrorCode::Unauthorized
    );
    let message = if is_of_the_way && !error.message().contains(host) {
        format!("{host}:{}: {error}", options.effective_port())
    } else if code != error.code() || error.path().is_some() {
        error.to_string()
    } else {
        return error;
    };
    Error::new(code, message).with_source(error)
}

/// A mistake in the options that shows only later.
pub(super) fn unusable_root(root: &str, why: &str) -> Error {
    invalid("rootDir", &format!("'{root}' cannot be used: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_connecting_tells_the_address_and_is_none_of_the_workspace() {
        let options = RemoteOptions::new("/w", "build.example.com");
        let told = |code, message: &str, path: Option<&str>| {
            let error = Error::new(code, message);
            let error = match path {
                Some(path) => error.at(path),
                None => error,
            };
            let told = of_connecting(&options, error);
            assert_eq!(told.path(), None);
            (told.code(), told.message().to_owned())
        };
        for code in [
            ErrorCode::NotFound,
            ErrorCode::NotADirectory,
            ErrorCode::PermissionDenied,
            ErrorCode::NoSpace,
            ErrorCode::IoError,
        ] {
            let expected = "build.example.com:3001: '/state/known_hosts': no";
            assert_eq!(
                told(code, "no", Some("/state/known_hosts")),
                (ErrorCode::ConnectionFailed, expected.to_owned())
            );
        }
        let refused = told(ErrorCode::Unauthorized, "no", None);
        let expected = (ErrorCode::Unauthorized, "build.example.com:3001: no".into());
        assert_eq!(refused, expected);
        for (code, message) in [
            (
                ErrorCode::ConnectionFailed,
                "the host 'build.example.com' cannot be found",
            ),
            (ErrorCode::InvalidConfiguration, "tls.ca has none"),
        ] {
            assert_eq!(told(code, message, None), (code, message.to_owned()));
        }
    }
}
