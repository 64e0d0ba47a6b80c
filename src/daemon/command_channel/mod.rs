//! The subsystem `commands@agent-backend`: all commands of a connection of our own client, over one channel.
//!
//! Each command has a task of its own, which waits where its client has no room for more output; nothing else does.
//! When the connection or the session ends, the tasks are dropped, and with each the command that it holds.

mod running;
mod starting;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use running::Entry;

use super::operations::Scopes;
use super::session::Session;
use crate::error::{Error, ErrorCode};
use crate::outbox::Outbox;
use crate::path::RelPath;
use crate::wire::commands::{Frames, FromClient, FromServer, MAX_STDIN};

/// Commands of one connection at a time, those that are still starting included.
const MAX_COMMANDS: usize = 256;
/// Bytes of output of all commands together that wait to be sent.
const MAX_QUEUED: usize = 1 << 20;
/// Bytes that wait to be sent, output or not, from which on the client is not read any more: whoever asks and never reads
/// the answers gets no more of them. Far above what output alone comes to, so that it keeps no message out.
const MAX_UNREAD: usize = 16 << 20;
/// Tasks that wait for the end of a scope's commands.
const MAX_ENDINGS: usize = 64;
/// KiB of standard input of commands that have not started, together.
const MAX_COLLECTED: usize = 2 * MAX_STDIN / UNIT;
/// What of it is counted.
const UNIT: usize = 1 << 10;
/// How long the end of a scope's commands is waited for.
const END_WITHIN: Duration = Duration::from_secs(8);

/// What the tasks of a connection share.
#[derive(Debug)]
struct Channel {
    scopes: Scopes,
    outbox: Outbox,
    commands: Mutex<HashMap<u32, Arc<Entry>>>,
    /// Places of scopes that are being ended.
    endings: Arc<Semaphore>,
    /// Room for standard input that is collected.
    collected: Arc<Semaphore>,
}

/// Serves one connection until its stream or its session ends.
///
/// # Errors
/// Those of the stream, and `InvalidData` for what is no frame.
pub async fn serve(
    session: Session,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> io::Result<()> {
    let (mut reader, writer) = tokio::io::split(stream);
    let Session {
        workspace, closed, ..
    } = session;
    let channel = Arc::new(Channel {
        scopes: Scopes::new(workspace),
        outbox: Outbox::default(),
        commands: Mutex::default(),
        endings: Arc::new(Semaphore::new(MAX_ENDINGS)),
        collected: Arc::new(Semaphore::new(MAX_COLLECTED)),
    });
    // Dropped at the end, which ends them all.
    let mut tasks = JoinSet::new();
    let sending = channel.outbox.send(writer);
    let receiving = async {
        let mut frames = Frames::default();
        loop {
            while let Some(frame) = frames.next_frame().map_err(invalid)? {
                channel.outbox.room(MAX_UNREAD).await;
                let (id, message) = FromClient::decode(frame).map_err(invalid)?;
                channel
                    .take(id, message, &mut tasks)
                    .await
                    .map_err(invalid)?;
            }
            // What has ended is let go of.
            while tasks.try_join_next().is_some() {}
            if reader.read_buf(frames.buffer()).await? == 0 {
                return Ok(());
            }
        }
    };
    tokio::select! {
        ended = receiving => ended,
        ended = sending => ended,
        () = closed.cancelled() => Ok(()),
    }
}

fn invalid(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn broken(what: &str) -> Error {
    crate::wire::malformed(what)
}

impl Channel {
    /// Does what a message says; an error ends the connection.
    async fn take(
        self: &Arc<Self>,
        id: u32,
        message: FromClient,
        tasks: &mut JoinSet<()>,
    ) -> Result<(), Error> {
        let start = match message {
            FromClient::Start(start) => start,
            FromClient::EndScope(scope) => {
                self.end_scope(id, &scope, tasks).await;
                return Ok(());
            }
            other => return self.of_command(id, other),
        };
        let entry = Arc::new(Entry::new(start.scope.clone()));
        let mut commands = self.lock();
        if commands.contains_key(&id) {
            return Err(broken("a second command with one number"));
        }
        if commands.len() >= MAX_COMMANDS {
            drop(commands);
            self.send(id, FromServer::Failed(too_many()));
            return Ok(());
        }
        commands.insert(id, Arc::clone(&entry));
        drop(commands);
        let channel = Arc::clone(self);
        tasks.spawn(async move {
            let ended = starting::run(&channel, id, &entry, *start).await;
            // The number is free before the client can know that it is.
            channel.lock().remove(&id);
            channel.send(id, ended);
            entry.done.cancel();
        });
        Ok(())
    }

    /// What concerns a command that may have ended meanwhile.
    fn of_command(&self, id: u32, message: FromClient) -> Result<(), Error> {
        let Some(entry) = self.lock().get(&id).map(Arc::clone) else {
            return Ok(());
        };
        match message {
            FromClient::Stdin(bytes) => entry.feed(Some(bytes)),
            FromClient::StdinEnd => entry.feed(None),
            FromClient::Signal(signal) => {
                entry.signal(signal);
                Ok(())
            }
            FromClient::Resize(size) => {
                entry.resize(size);
                Ok(())
            }
            FromClient::Credit(credit) => entry.allow(credit),
            FromClient::Start(_) | FromClient::EndScope(_) => Ok(()),
        }
    }

    async fn end_scope(self: &Arc<Self>, id: u32, scope: &RelPath, tasks: &mut JoinSet<()>) {
        let Ok(place) = Arc::clone(&self.endings).acquire_owned().await else {
            return;
        };
        let ending: Vec<Arc<Entry>> = (self.lock().values())
            .filter(|entry| entry.scope.starts_with(scope))
            .map(Arc::clone)
            .collect();
        ending.iter().for_each(|entry| entry.end());
        let channel = Arc::clone(self);
        tasks.spawn(async move {
            let _place = place;
            let all = async {
                for entry in &ending {
                    entry.done.cancelled().await;
                }
            };
            // What hangs in the kernel cannot be ended; the client is told all the same.
            let _ = tokio::time::timeout(END_WITHIN, all).await;
            channel.send(id, FromServer::ScopeEnded);
        });
    }

    /// Sends what is short. Once the stream is gone, so are all who would send.
    fn send(&self, id: u32, message: FromServer) {
        let _ = self
            .outbox
            .push::<Error>(|out| message.encode(id, out), &[]);
    }

    /// Waits until there is room for more output.
    async fn room(&self) {
        self.outbox.room(MAX_QUEUED).await;
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u32, Arc<Entry>>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many() -> Error {
    Error::new(
        ErrorCode::LimitExceeded,
        format!("{MAX_COMMANDS} commands of this connection run; wait for one to end"),
    )
}
