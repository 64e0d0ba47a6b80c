//! A directory of another machine, reached over SSH: of a daemon of ours with one round trip for each operation, of any
//! other server with plain SFTP and exec.

mod authentication;
mod backend;
mod backoff;
mod calls;
mod channel;
mod checks;
pub mod connection;
mod dial;
mod dialer;
mod guarding;
mod host_keys;
mod known_hosts;
pub mod link;
pub mod options;
mod ours;
pub mod plain;
pub mod progress;
mod shared;
mod ssh_client;
pub mod status;
mod tls;
mod transport;
mod upgrade;

use std::fmt;
use std::sync::Arc;

pub use backend::RemoteBackend;
use link::Link;
pub use ours::Ours;
pub use shared::RootOptions;

use crate::call::BoxFuture;
use crate::error::Result;
use crate::status::Status;

/// Gives the live connection, and makes it where there is none.
pub trait Connector: fmt::Debug + Send + Sync + 'static {
    /// The live connection, where there is one: the way of nearly every call, which must cost nothing.
    fn live(&self) -> Option<Arc<dyn Link>> {
        None
    }

    /// The live connection; where there is none it is made, by one attempt for all who wait. The future may be polled
    /// on any thread, outside of a runtime too, and dropping it does not end the attempt for others.
    ///
    /// Errors: `CONNECTION_FAILED`, `UNAUTHORIZED`, `HOST_KEY_CHANGED`, `DESTROYED` after [`Connector::close`].
    fn link(&self) -> BoxFuture<Result<Arc<dyn Link>>>;

    /// Where it stands.
    fn status(&self) -> Status;

    /// Ends the connection for good, with a word to the other side; from then on it is [`Status::Destroyed`].
    fn close(&self) -> BoxFuture<()>;
}
