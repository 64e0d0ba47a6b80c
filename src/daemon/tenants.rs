//! Whether what is served is more than one tenant's, and whether the wall keeps their commands apart: asked at the start,
//! and again whenever others are let in.

use std::sync::Arc;

use crate::backend::local::LocalBackend;
use crate::error::{Error, ErrorCode, Result};
use crate::path::RelPath;
use crate::workspace::Workspace;

/// What is known of the tenants of a daemon, besides those whom tokens let in.
#[derive(Debug)]
pub(super) struct Tenants {
    pub(super) served: Workspace,
    /// Who runs commands; `None` where nobody does.
    pub(super) local: Option<Arc<LocalBackend>>,
    /// What users over SSH are bound to, below what is served.
    pub(super) ssh_scopes: Vec<Vec<u8>>,
    /// Whether less than `bwrap` is accepted.
    pub(super) allow_weak: bool,
    /// Whether commands reach the host's network because no token was bound to a scope when that was decided.
    pub(super) host_network_by_default: bool,
}

impl Tenants {
    /// Refuses to serve several tenants whose commands would reach each other, unless that is accepted; from then on no
    /// command runs as root either. One bound to a scope is taken for the first of several: more can be let in later.
    /// `scopes` are those of the tokens, empty where one is not bound. Blocks: what works is found out by trying.
    ///
    /// # Errors
    /// `INVALID_CONFIGURATION`, in one line with what to do.
    pub(super) fn check(&self, scopes: impl Iterator<Item = Vec<u8>>) -> Result<()> {
        let mut scopes = scopes
            .chain(self.ssh_scopes.iter().cloned())
            .map(|scope| {
                Ok(self
                    .served
                    .scope_path()
                    .join(&RelPath::parse(&scope, b"/")?))
            })
            .collect::<Result<Vec<_>>>()?;
        scopes.sort();
        scopes.dedup();
        let is_one = scopes.iter().all(|scope| scope == self.served.scope_path());
        let Some(local) = self.local.as_ref().filter(|_| !is_one) else {
            return Ok(());
        };
        if self.host_network_by_default {
            return Err(Error::new(
                ErrorCode::InvalidConfiguration,
                "somebody is bound to a scope, and no token was when the network of commands was chosen: start with \
                 --network none, or name another",
            ));
        }
        local.serves_several(&scopes, self.allow_weak)
    }
}
