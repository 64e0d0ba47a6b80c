//! A command as the connection knows it, from before it starts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::broken;
use crate::backend::process::{ProcessControl, TerminalSize};
use crate::error::Error;
use crate::path::RelPath;
use crate::wire::commands::{WINDOW, cost};

/// `SIGKILL`, which is 9 everywhere.
const KILL: i32 = 9;

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) scope: RelPath,
    /// Ends it, also before it has started.
    pub(super) cancel: CancellationToken,
    /// Its output does not matter any more.
    pub(super) ending: CancellationToken,
    /// It has ended, and its client was told.
    pub(super) done: CancellationToken,
    /// Output that its client has room for.
    pub(super) credit: Semaphore,
    stdin: mpsc::UnboundedSender<Option<Bytes>>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Held by its task alone, with which it goes.
    control: Option<Weak<dyn ProcessControl>>,
    /// Standard input that the client may still send.
    window: u32,
    /// What is to be read, until the task takes it.
    stdin: Option<mpsc::UnboundedReceiver<Option<Bytes>>>,
    /// The client said that nothing more comes.
    is_fed: bool,
}

impl Entry {
    pub(super) fn new(scope: RelPath) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            scope,
            cancel: CancellationToken::new(),
            ending: CancellationToken::new(),
            done: CancellationToken::new(),
            credit: Semaphore::new(WINDOW as usize),
            stdin: sender,
            state: Mutex::new(State {
                control: None,
                window: WINDOW,
                stdin: Some(receiver),
                is_fed: false,
            }),
        }
    }

    /// Its standard input, to the first who asks.
    pub(super) fn take_stdin(&self) -> Option<mpsc::UnboundedReceiver<Option<Bytes>>> {
        self.lock().stdin.take()
    }

    pub(super) fn started(&self, control: &Arc<dyn ProcessControl>) {
        self.lock().control = Some(Arc::downgrade(control));
    }

    /// Standard input, or its end. Bounded by the credit, which whoever sends more has not got; the end costs none, and
    /// there is one.
    pub(super) fn feed(&self, bytes: Option<Bytes>) -> Result<(), Error> {
        let mut state = self.lock();
        if state.is_fed {
            return Ok(());
        }
        match &bytes {
            Some(bytes) => {
                state.window = (state.window)
                    .checked_sub(cost(bytes.len()))
                    .ok_or_else(|| broken("more standard input than there was room for"))?;
            }
            None => state.is_fed = true,
        }
        drop(state);
        // A command that does not read, or has ended, lets it go by.
        let _ = self.stdin.send(bytes);
        Ok(())
    }

    /// What was read makes room for more.
    pub(super) fn has_read(&self, price: u32) {
        let mut state = self.lock();
        state.window = state.window.saturating_add(price).min(WINDOW);
    }

    /// Room for more output.
    pub(super) fn allow(&self, credit: u32) -> Result<(), Error> {
        let window = WINDOW as usize;
        if credit as usize > window.saturating_sub(self.credit.available_permits()) {
            return Err(broken("more credit than was used"));
        }
        self.credit.add_permits(credit as usize);
        Ok(())
    }

    pub(super) fn signal(&self, signal: i32) {
        let control = self.control();
        match control {
            Some(control) => control.signal(signal),
            None if signal == KILL => self.cancel.cancel(),
            None => {}
        }
    }

    pub(super) fn resize(&self, size: TerminalSize) {
        if let Some(control) = self.control() {
            control.resize(size);
        }
    }

    /// Ends it, whether or not anybody reads what it printed.
    pub(super) fn end(&self) {
        self.ending.cancel();
        self.cancel.cancel();
        self.signal(KILL);
    }

    fn control(&self) -> Option<Arc<dyn ProcessControl>> {
        self.lock().control.as_ref().and_then(Weak::upgrade)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
