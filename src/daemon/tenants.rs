//! Whether what is served is more than one tenant's, and whether the wall keeps their commands apart.

use std::sync::Arc;

use super::authority::Credentials;
use super::ssh_door::SshDoor;
use crate::backend::local::LocalBackend;
use crate::error::Result;
use crate::path::RelPath;
use crate::pool;
use crate::workspace::Workspace;

/// The scopes of those who are let in, below the root that is served.
///
/// # Errors
/// Those of a scope that is none.
pub(super) fn scopes(
    served: &Workspace,
    credentials: &Credentials,
    ssh: Option<&SshDoor>,
) -> Result<Vec<RelPath>> {
    let mut named: Vec<Vec<u8>> = credentials.scopes().collect();
    named.extend(ssh.map(SshDoor::scopes).unwrap_or_default());
    let mut scopes = named
        .iter()
        .map(|scope| Ok(served.scope_path().join(&RelPath::parse(scope, b"/")?)))
        .collect::<Result<Vec<_>>>()?;
    scopes.sort();
    scopes.dedup();
    Ok(scopes)
}

/// Refuses to serve several tenants whose commands would reach each other, unless that is accepted; from then on no
/// command runs as root either. One bound to a scope is taken for the first of several: more can be let in later.
///
/// # Errors
/// `INVALID_CONFIGURATION`, in one line with what to do.
pub(super) async fn check(
    local: Option<&Arc<LocalBackend>>,
    served: &Workspace,
    scopes: Vec<RelPath>,
    allow_weak: bool,
) -> Result<()> {
    let is_one = scopes.iter().all(|scope| scope == served.scope_path());
    let Some(local) = local.filter(|_| !is_one) else {
        return Ok(());
    };
    let local = Arc::clone(local);
    // What works is found out by trying.
    pool::run(move || local.serves_several(&scopes, allow_weak)).await
}
