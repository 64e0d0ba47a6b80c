//! What a remote backend is made of, and what all scopes of one have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::Connector;
use super::link::Link;
use crate::backend::Capabilities;

/// How to make a remote backend.
#[derive(Clone, Debug)]
pub struct RootOptions {
    /// The absolute path of the root on the other side: what the daemon serves to this client, or a directory below.
    pub root_dir: Vec<u8>,
    /// Time limit of each call but commands, the making of a connection included. Of content that travels in pieces each
    /// that arrives begins it anew; what is written in one message may take a second more for each 64,000 bytes. What
    /// takes longer is `TIMEOUT`, and whether it was done is unknown. Default: none.
    pub operation_timeout: Option<Duration>,
}

/// What all scopes of a root share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) connector: Arc<dyn Connector>,
    pub(super) root_dir: Vec<u8>,
    pub(super) timeout: Option<Duration>,
    /// As the last connection said; until then, what nearly every daemon has.
    exec: AtomicBool,
    posix: AtomicBool,
}

impl Shared {
    pub(super) fn new(
        connector: Arc<dyn Connector>,
        root_dir: Vec<u8>,
        timeout: Option<Duration>,
    ) -> Self {
        Self {
            connector,
            root_dir,
            timeout,
            exec: AtomicBool::new(true),
            posix: AtomicBool::new(true),
        }
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        Capabilities {
            exec: self.exec.load(Ordering::Relaxed),
            posix: self.posix.load(Ordering::Relaxed),
        }
    }

    pub(super) fn learn(&self, link: &dyn Link) {
        let capabilities = link.hello().capabilities;
        self.exec.store(capabilities.exec, Ordering::Relaxed);
        self.posix.store(capabilities.posix, Ordering::Relaxed);
    }
}
