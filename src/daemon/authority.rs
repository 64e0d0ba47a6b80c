//! Who may come in, and where they may act: tokens, scopes and rights of every endpoint. The doors behind it are given a
//! [`Session`] and ask no more.
//!
//! The effective scope is that of `--scopePath`, then the token's, then the request's, each resolved beneath the one before
//! by [`Workspace::scope`].

mod credentials;
mod headers;
mod names;
mod tokens;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::HeaderMap;
use tokio_util::sync::CancellationToken;

use super::session::Session;
use super::slowing::Slowing;
use super::tenants::Tenants;
use crate::error::{Printable, Result};
use crate::path::strip_root;
use crate::workspace::{ScopeOptions, Workspace};
pub use credentials::Credentials;
pub use names::Names;
pub use tokens::Use;
use tokens::{Grant, Token, Tokens};

/// Why a request is not let in.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// 400, 401, 403 or 429.
    pub status: StatusCode,
    /// For the client; says nothing about tokens.
    pub message: String,
    /// How long the answer is to take.
    pub wait: Duration,
}

/// A client that is let in.
#[derive(Debug)]
pub struct Admitted {
    /// Where it acts.
    pub session: Session,
    /// Who it is; empty where there are no tokens.
    pub principal: Arc<str>,
    /// Counts against the bound of its token until it is dropped.
    pub used: Use,
}

/// Decides about every request.
#[derive(Debug)]
pub struct Authority {
    credentials: Credentials,
    tenants: Tenants,
    tokens: Tokens,
    /// What everybody is who comes without a token, where none is needed.
    open: Option<Arc<Token>>,
    /// With the scope of `--scopePath`.
    served: Workspace,
    /// Without it.
    served_root: Vec<u8>,
    allow_query_token: bool,
    slowing: Arc<Slowing>,
    stopped: CancellationToken,
}

impl Authority {
    /// An authority over what is served. Sessions end when `stopped` is cancelled. Blocks.
    ///
    /// # Errors
    /// Those of [`Workspace::scope`], and of tenants whom nothing keeps apart.
    pub(super) fn new(
        mut credentials: Credentials,
        tenants: Tenants,
        allow_query_token: bool,
        slowing: Arc<Slowing>,
        stopped: CancellationToken,
    ) -> Result<Self> {
        tenants.check(credentials.grants().iter().map(Grant::scope))?;
        let served = tenants.served.clone();
        let mut root = &served;
        while let Some(parent) = root.parent() {
            root = parent;
        }
        let served_root = root.root_dir().to_vec();
        let open = if credentials.is_open() {
            Some(Token::new(Grant::nobody(), &served, &stopped)?)
        } else {
            None
        };
        let tokens = Tokens::default();
        tokens.replace(credentials.take_grants(), &served, &stopped)?;
        Ok(Self {
            credentials,
            tenants,
            tokens,
            open,
            served,
            served_root,
            allow_query_token,
            slowing,
            stopped,
        })
    }

    /// Whether nobody needs a token.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The tokens as they were configured, which know whether their file has changed.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Reads the tokens again; gives how many were revoked. A file that cannot be read, or is wrong, changes nothing.
    /// Blocks.
    ///
    /// # Errors
    /// Those of [`Credentials::read`], and of tenants whom nothing keeps apart.
    pub fn reload(&self) -> Result<usize> {
        self.credentials.read_again(|grants| {
            self.tenants.check(grants.iter().map(Grant::scope))?;
            self.tokens.replace(grants, &self.served, &self.stopped)
        })
    }

    /// Whether this request carries a good token that is bound to no scope, for an endpoint that everybody may ask and
    /// that says more to whoever the whole daemon is for.
    ///
    /// # Errors
    /// How long the answer to a wrong token is to take.
    pub fn knows(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        peer: IpAddr,
    ) -> Result<bool, Duration> {
        if self.open.is_some() {
            return Ok(false);
        }
        match self.presented(headers, query) {
            Ok(Some(token)) => {
                self.slowing.right(peer);
                Ok(self.is_whole(&token.workspace))
            }
            Ok(None) => match self.unauthorized(headers, query, peer).wait {
                Duration::ZERO => Ok(false),
                wait => Err(wait),
            },
            Err(_) => Ok(false),
        }
    }

    /// Lets a request in, or says why not.
    ///
    /// # Errors
    /// The answer to give. A wrong token makes it take longer each time; see [`Refusal::wait`].
    pub fn admit(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        peer: IpAddr,
    ) -> Result<Admitted, Refusal> {
        let token = match &self.open {
            Some(token) => Arc::clone(token),
            None => match self.presented(headers, query).map_err(malformed)? {
                Some(token) => {
                    self.slowing.right(peer);
                    token
                }
                None => return Err(self.unauthorized(headers, query, peer)),
            },
        };
        let used = token.use_once().ok_or_else(|| Refusal {
            status: StatusCode::TOO_MANY_REQUESTS,
            message: "too many requests of this token at a time".to_owned(),
            wait: Duration::ZERO,
        })?;
        let workspace = self.locate(&token, headers)?;
        Ok(Admitted {
            session: Session {
                workspace,
                served_root: self.served_root.clone(),
                closed: token.closed.clone(),
            },
            principal: Arc::clone(token.name()),
            used,
        })
    }

    /// Whether this is all that is served, and not the scope of somebody who is to know nothing of others.
    #[must_use]
    pub fn is_whole(&self, workspace: &Workspace) -> bool {
        workspace.scope_path() == self.served.scope_path()
    }

    fn presented(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
    ) -> Result<Option<Arc<Token>>, String> {
        let in_header = headers::bearer(headers)?;
        let in_query = headers::query_token(query).filter(|_| self.allow_query_token);
        let presented = in_header.or(in_query);
        Ok(presented.and_then(|presented| self.tokens.find(presented)))
    }

    fn unauthorized(&self, headers: &HeaderMap, query: Option<&str>, peer: IpAddr) -> Refusal {
        // Coming without one is no guess.
        let guessed = matches!(headers::bearer(headers), Ok(Some(_)))
            || (self.allow_query_token && headers::query_token(query).is_some());
        Refusal {
            status: StatusCode::UNAUTHORIZED,
            message: "a valid bearer token is needed".to_owned(),
            wait: if guessed {
                self.slowing.wrong(peer, Instant::now())
            } else {
                Duration::ZERO
            },
        }
    }

    /// Where a request of this token acts.
    fn locate(&self, token: &Arc<Token>, headers: &HeaderMap) -> Result<Workspace, Refusal> {
        let scope = headers::scope(headers).map_err(malformed)?;
        if scope.is_some() && self.open.is_some() {
            return Err(forbidden(
                "a daemon without a token serves one scope; X-Scope-Path needs a token".to_owned(),
            ));
        }
        let root_dir = headers::root_dir(headers).map_err(malformed)?;
        let mut workspace = token.workspace.clone();
        if let Some(root_dir) = root_dir {
            workspace = self.rerooted(workspace, root_dir, scope)?;
        }
        match scope {
            Some(scope) => below(&workspace, scope),
            None => Ok(workspace),
        }
    }

    /// Checks the root that a client believes in, and goes there where it lies below that of its session.
    fn rerooted(
        &self,
        workspace: Workspace,
        root_dir: &[u8],
        scope: Option<&[u8]>,
    ) -> Result<Workspace, Refusal> {
        let own = workspace.root_dir();
        if root_dir == own || root_dir == self.served_root {
            return Ok(workspace);
        }
        let rest = strip_root(root_dir, own).and_then(|rest| rest.strip_prefix(b"/"));
        match rest {
            // It names where the scope leads.
            Some(rest) if scope == Some(rest) => Ok(workspace),
            Some(rest) if !rest.is_empty() => below(&workspace, rest),
            _ => {
                let shown = |path: &[u8]| Printable(&String::from_utf8_lossy(path)).to_string();
                Err(forbidden(format!(
                    "X-Root-Dir '{}' is neither the root of this session nor below it; that is '{}'",
                    shown(root_dir),
                    shown(own)
                )))
            }
        }
    }
}

fn below(workspace: &Workspace, scope: &[u8]) -> Result<Workspace, Refusal> {
    let scope = workspace.scope(scope, ScopeOptions::default());
    scope.map_err(|error| malformed(error.message().to_owned()))
}

fn malformed(message: String) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        message,
        wait: Duration::ZERO,
    }
}

fn forbidden(message: String) -> Refusal {
    Refusal {
        status: StatusCode::FORBIDDEN,
        ..malformed(message)
    }
}
