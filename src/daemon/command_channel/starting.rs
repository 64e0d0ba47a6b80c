//! From what a client asks for to a command, and from the command's output to the client.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use serde_bytes::ByteBuf;
use tokio::sync::mpsc;

use super::running::Entry;
use super::{Channel, MAX_COLLECTED, UNIT};
use crate::backend::process::{Process, ProcessControl, ProcessEvent, Stdin};
use crate::error::{Error, ErrorCode, Result};
use crate::wire::commands::{FromServer, MAX_STDIN, PIECE, Start, StdinKind, WINDOW, cost};
use crate::workspace::{StartOptions, Workspace};

/// Credit is given back in portions of at least this.
const PORTION: u32 = WINDOW / 4;

/// Runs a command to its end, and gives what to say of it.
pub(super) async fn run(
    channel: &Arc<Channel>,
    id: u32,
    entry: &Arc<Entry>,
    start: Start,
) -> FromServer {
    let process = match begin(channel, id, entry, start).await {
        Ok(process) => process,
        Err(error) => return FromServer::Failed(error),
    };
    let Process {
        mut events,
        control,
    } = process;
    entry.started(&control);
    // What came while it was not there to get it.
    if entry.cancel.is_cancelled() {
        entry.end();
    }
    channel.send(id, FromServer::Started { pid: control.pid() });
    let stdin = entry.take_stdin();
    let feeding = feed(channel, id, entry, &*control, stdin);
    let telling = async {
        loop {
            match events.recv().await {
                Some(ProcessEvent::Stdout(bytes)) => {
                    tell(channel, id, entry, bytes, FromServer::Stdout).await;
                }
                Some(ProcessEvent::Stderr(bytes)) => {
                    tell(channel, id, entry, bytes, FromServer::Stderr).await;
                }
                Some(ProcessEvent::Exit(status)) => return FromServer::Exit(status),
                Some(ProcessEvent::Failed(error)) => return FromServer::Failed(error),
                None => return FromServer::Failed(lost()),
            }
        }
    };
    tokio::pin!(telling);
    tokio::select! {
        ended = &mut telling => ended,
        () = feeding => telling.await,
    }
}

async fn begin(
    channel: &Arc<Channel>,
    id: u32,
    entry: &Arc<Entry>,
    start: Start,
) -> Result<Process> {
    let workspace = channel.scopes.get(&start.scope)?;
    // Whoever may not start it is told so before all that it would read has come.
    workspace.check_command(start.cwd.as_bytes())?;
    let stdin = match start.stdin {
        StdinKind::Null => Stdin::Null,
        StdinKind::Pipe => Stdin::Pipe,
        StdinKind::Bytes => Stdin::Bytes(whole(channel, &workspace, id, entry).await?),
    };
    let env = start.env.into_iter();
    let env = env.map(|(name, value)| (name.into_vec(), value.map(ByteBuf::into_vec)));
    let options = StartOptions {
        cwd: Some(start.cwd.as_bytes().to_vec()),
        env: env.collect(),
        stdin,
        timeout_ms: None,
        cancel: entry.cancel.clone(),
        limits: start.limits,
        terminal: start.terminal,
        login_shell: start.login_shell,
    };
    workspace.start(&start.command, options).await
}

/// All of the standard input that comes before the command starts.
async fn whole(
    channel: &Arc<Channel>,
    workspace: &Workspace,
    id: u32,
    entry: &Arc<Entry>,
) -> Result<Bytes> {
    let mut whole = BytesMut::new();
    let mut due = 0;
    // Until all of it is there; from then on the command's own bounds hold.
    let mut room = Vec::new();
    let mut reserved = workspace.reserve(0)?;
    let Some(mut stdin) = entry.take_stdin() else {
        return Ok(Bytes::new());
    };
    loop {
        let piece = tokio::select! {
            piece = stdin.recv() => piece.flatten(),
            () = entry.cancel.cancelled() => return Err(aborted()),
        };
        let Some(piece) = piece else {
            return Ok(whole.freeze());
        };
        if whole.len() + piece.len() > MAX_STDIN {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!("standard input of more than {MAX_STDIN} bytes"),
            ));
        }
        let units = u32::try_from(piece.len().div_ceil(UNIT)).unwrap_or(u32::MAX);
        let taken = channel.collected.try_acquire_many(units);
        room.push(taken.map_err(|_| too_much())?);
        reserved.grow(piece.len())?;
        whole.extend_from_slice(&piece);
        due += cost(piece.len());
        allow(channel, id, entry, &mut due);
    }
}

/// Feeds a command as it reads, until the end of its input.
async fn feed(
    channel: &Arc<Channel>,
    id: u32,
    entry: &Arc<Entry>,
    control: &dyn ProcessControl,
    stdin: Option<mpsc::UnboundedReceiver<Option<Bytes>>>,
) {
    let Some(mut stdin) = stdin else { return };
    let mut due = 0;
    while let Some(Some(piece)) = stdin.recv().await {
        let price = cost(piece.len());
        // A command that reads no more lets the rest go by.
        let _ = control.write_stdin(piece).await;
        due += price;
        allow(channel, id, entry, &mut due);
    }
    control.close_stdin();
}

/// Tells the client of room for more of its input, once there is enough to speak of.
fn allow(channel: &Channel, id: u32, entry: &Entry, due: &mut u32) {
    if *due >= PORTION {
        entry.has_read(*due);
        channel.send(id, FromServer::Credit(*due));
        *due = 0;
    }
}

/// Sends output in pieces, each when its client has room for it.
async fn tell(
    channel: &Channel,
    id: u32,
    entry: &Entry,
    mut bytes: Bytes,
    message: fn(Bytes) -> FromServer,
) {
    while !bytes.is_empty() {
        let piece = bytes.split_to(bytes.len().min(PIECE));
        tokio::select! {
            biased;
            () = entry.ending.cancelled() => return,
            credit = entry.credit.acquire_many(cost(piece.len())) => match credit {
                Ok(credit) => credit.forget(),
                Err(_) => return,
            },
        }
        channel.room().await;
        channel.send(id, message(piece));
    }
}

fn too_much() -> Error {
    Error::new(
        ErrorCode::LimitExceeded,
        format!(
            "commands of this connection that have not started wait for more than {MAX_COLLECTED} KiB of standard input"
        ),
    )
}

fn aborted() -> Error {
    Error::new(ErrorCode::Aborted, "the caller cancelled the command")
}

fn lost() -> Error {
    Error::new(
        ErrorCode::ExecError,
        "how the command ended is unknown: its backend stopped reporting",
    )
}
