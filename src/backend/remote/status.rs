//! Who is told how a connection is doing.

use std::time::SystemTime;

use tokio::sync::mpsc;

use crate::error::Error;
use crate::status::Status;

/// A step of a connection.
#[derive(Clone, Debug)]
pub struct StatusChange {
    /// What it was.
    pub from: Status,
    /// What it is from now on.
    pub to: Status,
    /// When, by the clock on the wall.
    pub at: SystemTime,
    /// Why, where something went wrong.
    pub error: Option<Error>,
}

/// Those who are told. Each has a queue of its own, in which steps are in order: nobody is called while a lock is held.
#[derive(Debug, Default)]
pub(super) struct Subscribers(Vec<mpsc::UnboundedSender<StatusChange>>);

impl Subscribers {
    /// One more; dropping the receiver ends it.
    pub(super) fn add(&mut self) -> mpsc::UnboundedReceiver<StatusChange> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.0.retain(|sender| !sender.is_closed());
        self.0.push(sender);
        receiver
    }

    pub(super) fn tell(&mut self, change: &StatusChange) {
        self.0.retain(|sender| sender.send(change.clone()).is_ok());
    }

    /// Ends all queues behind what is in them.
    pub(super) fn end(&mut self) {
        self.0.clear();
    }
}
