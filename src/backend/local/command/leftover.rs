//! What a command leaves running.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::process::Pid;

use super::limits::Watch;
use super::lineage::Lineage;
use crate::sys::linux::spawn_tree;

/// Processes that outlived the command that started them, such as a server put into the background.
#[derive(Debug)]
pub(super) struct Leftover {
    pub(super) scope: Vec<u8>,
    pub(super) lineage: Arc<Lineage>,
    pub(super) leader: Pid,
    /// While one of these lives, the number of the session cannot have passed to another one.
    pub(super) witnesses: Vec<OwnedFd>,
    /// Holds the control group that it is in.
    pub(super) watch: Option<Arc<Watch>>,
}

impl Leftover {
    /// Whether there is still something to end.
    pub(super) fn is_alive(&self) -> bool {
        spawn_tree::any_alive(&self.witnesses)
            || self.watch.as_ref().is_some_and(|watch| watch.has_members())
    }

    /// Ends it. Blocks.
    pub(super) fn end(&self) {
        if let Some(watch) = &self.watch {
            watch.kill();
        }
        if spawn_tree::any_alive(&self.witnesses) {
            spawn_tree::wait_until_gone(&spawn_tree::end_everything(self.leader));
        }
    }
}
