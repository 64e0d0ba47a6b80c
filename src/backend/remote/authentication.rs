//! Who we are, to an SSH server.

use std::sync::Arc;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg};
use russh::{MethodKind, MethodSet};

use super::checks::invalid;
use super::options::{RemoteOptions, Secret, SshAuth, Transport};
use super::ssh_client::{Client, protocol_error};
use crate::error::{Error, ErrorCode, Result};

/// The user of a session inside a WebSocket: the token has already said who asks, and any name will do.
const ANY_USER: &str = "agent-backend";
/// More questions than this are not a matter of one password.
const MAX_PROMPTS: usize = 3;

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

/// Tells the server who we are.
///
/// # Errors
/// `UNAUTHORIZED`, `CONNECTION_FAILED`.
pub(super) async fn authenticate(handle: &mut Handle<Client>, identity: &Identity) -> Result<()> {
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
    match result.map_err(protocol_error)? {
        AuthResult::Success => Ok(()),
        AuthResult::Failure {
            remaining_methods, ..
        } => Err(refused(user, &remaining_methods)),
    }
}

/// Whether the server takes a password only as the answer to a question, as some do.
fn asks_instead(methods: &MethodSet) -> bool {
    methods.contains(&MethodKind::KeyboardInteractive) && !methods.contains(&MethodKind::Password)
}

async fn answer_prompts(handle: &mut Handle<Client>, user: &str, password: &Secret) -> Result<()> {
    let mut response = handle
        .authenticate_keyboard_interactive_start(user, None)
        .await
        .map_err(protocol_error)?;
    for _ in 0..MAX_PROMPTS {
        let prompts = match response {
            KeyboardInteractiveAuthResponse::Success => return Ok(()),
            KeyboardInteractiveAuthResponse::Failure {
                remaining_methods, ..
            } => return Err(refused(user, &remaining_methods)),
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
