//! One MCP session over standard input and output: a message a line, and nothing but messages.

use std::io::{self, BufRead, Read as _, Write as _};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::watching;
use crate::call::BoxFuture;
use crate::error::Result;
use crate::mcp::ToolServer;
use crate::mcp::protocol::{MAX_MESSAGE_BYTES, Outbox, Session};
use crate::pool;
use crate::sys::linux::code_pages;
use crate::workspace::Workspace;

/// Messages that wait for a client which does not read.
const MAX_UNSENT: usize = 64;
/// So long no answer was made after the input has ended: whoever closes it may be gone, and what runs for it must end.
const STILL: Duration = Duration::from_secs(2);

/// Serves until standard input ends and what came in is answered, or a signal (`SIGTERM`, `SIGINT`, `SIGHUP`) says so.
/// Then everything that runs in the workspace is ended.
///
/// # Errors
/// What kept the session from beginning.
pub(super) fn serve(workspace: Workspace) -> Result<()> {
    let (outbox, writer) = StandardOutput::start();
    let session = Session::start(ToolServer::new(workspace.clone()), Arc::new(outbox))?;
    let session = Arc::new(session);
    let reader = Arc::clone(&session);
    // The last of the start: most of what it took is not used again.
    code_pages::let_go();
    // Never joined: where a signal ends us, it waits for a line that may not come.
    thread::spawn(move || {
        read_messages(&mut io::stdin().lock(), &reader);
        pool::runtime().block_on(reader.end_of_input(STILL));
    });
    pool::runtime().block_on(async {
        tokio::select! {
            () = session.ended() => {}
            () = told_to_stop() => {
                session.close();
                session.ended().await;
            }
            () = watching::memory() => {}
        }
        workspace.destroy().await
    })?;
    drop(session);
    let _ = writer.join();
    Ok(())
}

async fn told_to_stop() {
    let kinds = [
        SignalKind::terminate(),
        SignalKind::interrupt(),
        SignalKind::hangup(),
    ];
    let (stop, mut stopped) = mpsc::channel::<()>(1);
    for kind in kinds {
        let stop = stop.clone();
        tokio::spawn(async move {
            if let Ok(mut signals) = signal(kind) {
                signals.recv().await;
                let _ = stop.send(()).await;
            }
        });
    }
    stopped.recv().await;
}

/// Hands each line to the session; one that is too long is not kept, but refused as a whole.
fn read_messages(input: &mut impl BufRead, session: &Session) {
    loop {
        let mut line = Vec::new();
        let limit = MAX_MESSAGE_BYTES as u64 + 1;
        match input.by_ref().take(limit).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let is_whole = line.last() == Some(&b'\n');
        if !is_whole && line.len() > MAX_MESSAGE_BYTES && skip_line(input).is_err() {
            return;
        }
        if session.receive_blocking(line).is_err() {
            return;
        }
    }
}

/// Reads to the end of the line and forgets it.
fn skip_line(input: &mut impl BufRead) -> io::Result<()> {
    loop {
        let available = input.fill_buf()?;
        if available.is_empty() {
            return Ok(());
        }
        let end = memchr::memchr(b'\n', available);
        let length = end.map_or(available.len(), |at| at + 1);
        input.consume(length);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// Writes messages on a thread of its own, since a client that does not read must not hold anything but itself.
struct StandardOutput(mpsc::Sender<Vec<u8>>);

impl StandardOutput {
    fn start() -> (Self, JoinHandle<()>) {
        let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(MAX_UNSENT);
        let writer = thread::spawn(move || {
            while let Some(mut message) = receiver.blocking_recv() {
                message.push(b'\n');
                let mut output = io::stdout().lock();
                if output
                    .write_all(&message)
                    .and_then(|()| output.flush())
                    .is_err()
                {
                    return;
                }
            }
        });
        (Self(sender), writer)
    }
}

impl Outbox for StandardOutput {
    fn send(&self, json: Vec<u8>) -> BoxFuture<io::Result<()>> {
        let sender = self.0.clone();
        Box::pin(async move {
            let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            sender.send(json).await.map_err(gone)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_a_line_is_skipped_and_no_more() {
        let mut input = io::BufReader::with_capacity(4, &b"rest of it\nnext\n"[..]);
        skip_line(&mut input).unwrap();
        let mut rest = String::new();
        input.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "next\n");
    }
}
