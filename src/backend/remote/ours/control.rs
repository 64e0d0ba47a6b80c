//! The hand on a command of the other side.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use tokio::sync::{Mutex, Semaphore};

use super::commands::Commands;
use crate::backend::process::{ProcessControl, TerminalSize};
use crate::call::Call;
use crate::error::{Error, ErrorCode, Result};
use crate::pool;
use crate::wire::commands::{FromClient, PIECE, cost};

/// `SIGKILL`, which is 9 everywhere.
const KILL: i32 = 9;

pub(super) struct Control {
    input: Input,
    pid: AtomicU32,
}

/// Its standard input. Whoever writes holds the lock, so that writes do not mix.
#[derive(Clone)]
struct Input {
    commands: Arc<Commands>,
    id: u32,
    credit: Arc<Semaphore>,
    turn: Arc<Mutex<()>>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("id", &self.input.id)
            .field("pid", &self.pid)
            .finish_non_exhaustive()
    }
}

impl Control {
    pub(super) fn new(commands: &Arc<Commands>, id: u32, credit: Arc<Semaphore>) -> Self {
        Self {
            input: Input {
                commands: Arc::clone(commands),
                id,
                credit,
                turn: Arc::default(),
            },
            pid: AtomicU32::new(0),
        }
    }

    pub(super) fn started(&self, pid: u32) {
        self.pid.store(pid, Ordering::Release);
    }

    /// To a command that has ended nothing is said: its number may be another's by now.
    fn say(&self, message: FromClient) {
        if self.input.commands.is_running(self.input.id) {
            // A connection that is gone has ended the command.
            let _ = self.input.commands.send(self.input.id, message);
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.say(FromClient::Signal(KILL));
    }
}

impl ProcessControl for Control {
    /// As the daemon's host sees it.
    fn pid(&self) -> u32 {
        self.pid.load(Ordering::Acquire)
    }

    /// Resolves when the bytes are on their way and the other side has room for them.
    fn write_stdin(&self, bytes: Bytes) -> Call<()> {
        let input = self.input.clone();
        Call::pending(async move {
            let turn = Arc::clone(&input.turn);
            let _turn = turn.lock().await;
            input.write(bytes).await
        })
    }

    fn close_stdin(&self) {
        let input = self.input.clone();
        if let Ok(_turn) = self.input.turn.try_lock() {
            return input.end();
        }
        pool::runtime().spawn(async move {
            let turn = Arc::clone(&input.turn);
            let _turn = turn.lock().await;
            input.end();
        });
    }

    fn signal(&self, signal: i32) {
        self.say(FromClient::Signal(signal));
    }

    fn resize(&self, size: TerminalSize) {
        self.say(FromClient::Resize(size));
    }
}

impl Input {
    async fn write(&self, bytes: Bytes) -> Result<()> {
        let mut at = 0;
        while at < bytes.len() {
            let end = bytes.len().min(at + PIECE);
            let Ok(credit) = self.credit.acquire_many(cost(end - at)).await else {
                return Err(stdin_closed());
            };
            credit.forget();
            let piece = FromClient::Stdin(bytes.slice(at..end));
            self.commands.send(self.id, piece)?;
            at = end;
        }
        Ok(())
    }

    fn end(&self) {
        // Whoever writes from now on is refused.
        self.credit.close();
        if self.commands.is_running(self.id) {
            let _ = self.commands.send(self.id, FromClient::StdinEnd);
        }
    }
}

fn stdin_closed() -> Error {
    Error::new(
        ErrorCode::ConnectionClosed,
        "the standard input of the command is closed",
    )
}

/// Sends all of a command's standard input, as the other side has room for it.
pub(super) fn send_stdin(commands: Arc<Commands>, id: u32, credit: Arc<Semaphore>, bytes: Bytes) {
    let input = Input {
        commands,
        id,
        credit,
        turn: Arc::default(),
    };
    let pieces = bytes.len().div_ceil(PIECE);
    if bytes.len() + pieces * cost(0) as usize <= input.credit.available_permits() {
        // There is room for all of it, so that nothing is waited for: it goes out with the command itself.
        let sent = futures_util::FutureExt::now_or_never(async {
            input.write(bytes).await.map(|()| input.end())
        });
        debug_assert!(sent.is_some());
        return;
    }
    pool::runtime().spawn(async move {
        if input.write(bytes).await.is_ok() {
            input.end();
        }
    });
}
