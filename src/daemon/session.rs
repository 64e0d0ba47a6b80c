//! Who is there, and what they may reach: made when a connection or a request is authenticated, and all that the doors
//! behind the authentication know of it.

use tokio_util::sync::CancellationToken;

use crate::workspace::Workspace;

/// An authenticated client.
#[derive(Clone, Debug)]
pub struct Session {
    /// What it is confined to, with its principal and rights.
    pub workspace: Workspace,
    /// Absolute path of what the daemon serves, of which the workspace may be a part.
    pub served_root: Vec<u8>,
    /// Cancelled when it must end: the token was revoked, the daemon ends. What runs in it is ended.
    pub closed: CancellationToken,
}
