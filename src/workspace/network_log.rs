//! What the proxy of a command decides is an operation of the workspace, `connect`, in the same log as all others.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::Workspace;
use super::held::Owner;
use super::observer::{Observer, OperationRecord};
use crate::egress::{Decision, EgressLog, Verdict};
use crate::error::{Error, ErrorCode};

/// Decisions of one command that are told. A command decides how many there are, and what is told waits in memory.
const MOST: usize = 10_000;

impl Workspace {
    /// Who is told of the hosts that a command asks for; `None` where nobody listens.
    pub(super) fn network_log(&self) -> Option<Arc<dyn EgressLog>> {
        let observer = self.inner.observer.clone()?;
        Some(Arc::new(NetworkLog {
            observer,
            owner: Arc::clone(&self.inner.owner),
            root_dir: self.root_dir().to_vec(),
            told: AtomicUsize::new(0),
        }))
    }
}

struct NetworkLog {
    observer: Arc<dyn Observer>,
    owner: Arc<Owner>,
    root_dir: Vec<u8>,
    told: AtomicUsize,
}

impl EgressLog for NetworkLog {
    fn decision(&self, decision: &Decision) {
        if self.told.fetch_add(1, Ordering::Relaxed) >= MOST {
            return;
        }
        let target = format!("{}:{}", decision.host, decision.port);
        let error = match decision.verdict {
            Verdict::Allowed => None,
            Verdict::Denied(reason) => {
                Some(Error::new(ErrorCode::PolicyDenied, reason.to_string()))
            }
            Verdict::Failed(failure) => {
                Some(Error::new(ErrorCode::ConnectionFailed, failure.to_string()))
            }
        };
        let error = error.map(|error| error.at(target.as_str()).during("connect"));
        self.observer.operation(&OperationRecord {
            operation: "connect",
            target: &target,
            principal: &self.owner.principal,
            scope: &self.owner.scope,
            root_dir: &self.root_dir,
            error: error.as_ref(),
            output: None,
            duration: Duration::ZERO,
        });
    }
}

impl fmt::Debug for NetworkLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkLog")
            .field("scope", &self.owner.scope)
            .finish_non_exhaustive()
    }
}
