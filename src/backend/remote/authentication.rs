//! Who we are, to an SSH server.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::checks::invalid;
use super::options::{RemoteOptions, Secret, SshAuth, Transport};
use super::ssh_client::{Client, protocol_error};
use crate::error::{Error, ErrorCode, Result};

/// The user of a session inside a WebSocket: the token has already said who asks, and any name will do.
const ANY_USER: &str = "agent-backend";
/// More questions than this are not a matter of one password.
const MAX_PROMPTS: usize = 3;
/// How long the end of a connection may take to be known after it has been told as a refusal.
const ENDS_WITHIN: Duration = Duration::from_millis(500);

/// What we show, ready for use: a key is decrypted once.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    None,
    Password { user: String, password: Secret },
    Key { user: String, key: Arc<PrivateKey> },
}

impl Identity {
    /// Reads the key, which may take a while where it has a passphrase.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION`, without any of the key in it.
    pub(super) fn new(options: &RemoteOptions) -> Result<Self> {
        match (&options.ssh_auth, options.transport) {
            (_, Transport::SshWs) | (None, _) => Ok(Identity::None),
            (Some(SshAuth::Password { user, password }), _) => Ok(Identity::Password {
                user: user.clone(),
                password: password.clone(),
            }),
            (
                Some(SshAuth::Key {
                    user,
                    private_key,
                    passphrase,
                }),
                _,
            ) => {
                let passphrase = passphrase.as_ref().map(Secret::expose);
                let key = russh::keys::decode_secret_key(private_key.expose(), passphrase)
                    .map_err(|_| match passphrase {
                        Some(_) => invalid(
                            "sshAuth",
                            "has a private key that cannot be read with its passphrase",
                        ),
                        None => invalid(
                            "sshAuth",
                            "has a private key that cannot be read; is it whole, and does it need a passphrase?",
                        ),
                    })?;
                Ok(Identity::Key {
                    user: user.clone(),
                    key: Arc::new(key),
                })
            }
        }
    }
}

/// Tells the server who we are. `closed` is cancelled when the connection has ended.
///
/// # Errors
/// `UNAUTHORIZED`; `CONNECTION_CLOSED` where the connection ended before the server had said anything; `CONNECTION_FAILED`.
pub(super) async fn authenticate(
    handle: &mut Handle<Client>,
    identity: &Identity,
    closed: &CancellationToken,
) -> Result<()> {
    match attempt(handle, identity).await? {
        Told::Accepted => Ok(()),
        // What ends in the middle is told as a refusal that leaves no method; a server would name some. It says nothing of
        // who we are, and the next attempt may do better.
        Told::Refused { methods, .. } if methods.is_empty() && is_over(closed).await => {
            Err(Error::new(
                ErrorCode::ConnectionClosed,
                "the connection ended before the server had said whether it lets us in",
            ))
        }
        Told::Refused { user, methods } => Err(refused(user, &methods)),
    }
}

/// What the server says.
enum Told<'a> {
    Accepted,
    Refused { user: &'a str, methods: MethodSet },
}

async fn is_over(closed: &CancellationToken) -> bool {
    timeout(ENDS_WITHIN, closed.cancelled()).await.is_ok()
}

async fn attempt<'a>(handle: &mut Handle<Client>, identity: &'a Identity) -> Result<Told<'a>> {
    let (user, result) = match identity {
        Identity::None => (ANY_USER, handle.authenticate_none(ANY_USER).await),
        Identity::Password { user, password } => {
            let first = handle.authenticate_password(user, password.expose()).await;
            match first {
                Ok(AuthResult::Failure {
                    remaining_methods, ..
                }) if asks_instead(&remaining_methods) => {
                    return answer_prompts(handle, user, password).await;
                }
                other => (user.as_str(), other),
            }
        }
        Identity::Key { user, key } => {
            let hash = if key.algorithm().is_rsa() {
                handle
                    .best_supported_rsa_hash()
                    .await
                    .map_err(protocol_error)?
                    .flatten()
            } else {
                None
            };
            let key = PrivateKeyWithHashAlg::new(Arc::clone(key), hash);
            (
                user.as_str(),
                handle.authenticate_publickey(user, key).await,
            )
        }
    };
    Ok(match result.map_err(protocol_error)? {
        AuthResult::Success => Told::Accepted,
        AuthResult::Failure {
            remaining_methods: methods,
            ..
        } => Told::Refused { user, methods },
    })
}

/// Whether the server takes a password only as the answer to a question, as some do.
fn asks_instead(methods: &MethodSet) -> bool {
    methods.contains(&MethodKind::KeyboardInteractive) && !methods.contains(&MethodKind::Password)
}

async fn answer_prompts<'a>(
    handle: &mut Handle<Client>,
    user: &'a str,
    password: &Secret,
) -> Result<Told<'a>> {
    let mut response = handle
        .authenticate_keyboard_interactive_start(user, None)
        .await
        .map_err(protocol_error)?;
    for _ in 0..MAX_PROMPTS {
        let prompts = match response {
            KeyboardInteractiveAuthResponse::Success => return Ok(Told::Accepted),
            KeyboardInteractiveAuthResponse::Failure {
                remaining_methods: methods,
                ..
            } => return Ok(Told::Refused { user, methods }),
            KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. } => prompts,
        };
        // What is echoed is no question for a password.
        let answers = prompts
            .iter()
            .map(|prompt| match prompt.echo {
                true => String::new(),
                false => password.expose().to_owned(),
            })
            .collect();
        response = handle
            .authenticate_keyboard_interactive_respond(answers)
            .await
            .map_err(protocol_error)?;
    }
    Err(refused(user, &MethodSet::empty()))
}

fn refused(user: &str, methods: &MethodSet) -> Error {
    let names: Vec<&str> = methods.iter().map(Into::into).collect();
    let offers = if names.is_empty() {
        String::new()
    } else {
        format!("; it would take: {}", names.join(", "))
    };
    Error::new(
        ErrorCode::Unauthorized,
        format!("the server does not accept the user '{user}' with these credentials{offers}"),
    )
}
