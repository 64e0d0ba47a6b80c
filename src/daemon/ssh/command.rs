//! `exec` and `shell`: a command whose streams are those of a channel.

use std::sync::Arc;

use russh::Sig;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::channel::{Act, Wires};
use super::inbox::Inbox;
use crate::backend::process::{
    ExitStatus, ProcessControl, ProcessEvent, Stdin, Terminal, Variables,
};
use crate::daemon::session::Session;
use crate::error::{Error, ErrorCode, Printable};
use crate::workspace::{StartOptions, signal_name};

/// `SSH_EXTENDED_DATA_STDERR`.
const STDERR: u32 = 1;

/// The status of a command that was not run, as shells have it.
const NOT_RUN: u32 = 126;

/// The status of a command whose time was over, as `timeout` has it.
const TIMED_OUT: u32 = 124;

/// What to run.
pub(super) struct Order {
    /// `None`: a shell.
    pub(super) command: Option<String>,
    pub(super) terminal: Option<Terminal>,
    pub(super) env: Variables,
    /// What is done to it while it runs.
    pub(super) acts: mpsc::Receiver<Act>,
}

/// Runs it to its end and tells the client how that was. Dropping the future ends the command.
pub(super) async fn run(mut order: Order, session: Session, wires: Wires) {
    let has_terminal = order.terminal.is_some();
    let cancel = CancellationToken::new();
    // Also while it starts: nobody is left to have its output.
    let _cancelled = cancel.clone().drop_guard();
    let options = StartOptions {
        env: order.env,
        stdin: Stdin::Pipe,
        terminal: order.terminal,
        login_shell: order.command.is_none(),
        cancel,
        ..StartOptions::default()
    };
    let command = order.command.unwrap_or_default();
    let mut process = match session.workspace.start(&command, options).await {
        Ok(process) => process,
        Err(error) => return failed(&wires, &error, has_terminal, NOT_RUN).await,
    };
    let ended = tokio::select! {
        ended = output(&mut process.events, &wires) => ended,
        () = input(&wires.inbox, &mut order.acts, &process.control) => return,
    };
    match ended {
        Some(Ok(status)) => exited(&wires, status).await,
        Some(Err(error)) => {
            let status = match error.code() {
                ErrorCode::Timeout => TIMED_OUT,
                _ => NOT_RUN,
            };
            failed(&wires, &error, has_terminal, status).await;
        }
        // The client is gone.
        None => {}
    }
}

/// Sends what is printed, as fast as the client takes it.
async fn output(
    events: &mut mpsc::Receiver<ProcessEvent>,
    wires: &Wires,
) -> Option<Result<ExitStatus, Error>> {
    loop {
        match events.recv().await? {
            ProcessEvent::Stdout(bytes) => wires.writer.data_bytes(bytes).await.ok()?,
            ProcessEvent::Stderr(bytes) => {
                (wires.writer.extended_data_bytes(STDERR, bytes))
                    .await
                    .ok()?;
            }
            ProcessEvent::Exit(status) => return Some(Ok(status)),
            ProcessEvent::Failed(error) => return Some(Err(error)),
        }
    }
}

/// Hands on what is typed, as fast as the command reads it, and does what is done to the command: before what was typed
/// after it, and also while the command does not read. Never ends before the command.
async fn input(inbox: &Inbox, acts: &mut mpsc::Receiver<Act>, control: &Arc<dyn ProcessControl>) {
    loop {
        let piece = tokio::select! {
            biased;
            Some(act) = acts.recv() => {
                perform(act, control);
                continue;
            }
            piece = inbox.next() => piece,
        };
        // What came in between, on another thread.
        while let Ok(act) = acts.try_recv() {
            perform(act, control);
        }
        let Some(bytes) = piece else { break };
        let mut writing = std::pin::pin!(control.write_stdin(bytes));
        let written = loop {
            tokio::select! {
                biased;
                Some(act) = acts.recv() => perform(act, control),
                written = &mut writing => break written,
            }
        };
        if written.is_err() {
            // It has closed its input; the rest goes by.
            inbox.close();
            break;
        }
    }
    control.close_stdin();
    while let Some(act) = acts.recv().await {
        perform(act, control);
    }
    std::future::pending().await
}

fn perform(act: Act, control: &Arc<dyn ProcessControl>) {
    match act {
        Act::Signal(number) => control.signal(number),
        Act::Resize(size) => control.resize(size),
    }
}

/// Nobody is told where the connection is gone.
async fn exited(wires: &Wires, status: ExitStatus) {
    match (status.code, status.signal) {
        (Some(code), _) => {
            let _ = (wires.writer.exit_status(code.cast_unsigned())).await;
        }
        (None, signal) => {
            let name = signal.map_or("KILL", signal_name);
            let name = signal_of(name.strip_prefix("SIG").unwrap_or(name));
            let (id, none) = (wires.id, String::new);
            let _ = (wires
                .handle
                .exit_signal_request(id, name, false, none(), none()))
            .await;
        }
    }
    close(wires).await;
}

/// Says on standard error why there is nothing more, as a shell would: without our verb, and without the command, which
/// whoever typed it knows.
async fn failed(wires: &Wires, error: &Error, has_terminal: bool, status: u32) {
    let text = error.message();
    let end = if has_terminal { "\r\n" } else { "\n" };
    let line = format!(
        "agent-backend: {}{end}",
        Printable(&text.replace('\n', " "))
    );
    // A terminal has one stream.
    let _ = match has_terminal {
        true => wires.writer.data_bytes(line).await,
        false => wires.writer.extended_data_bytes(STDERR, line).await,
    };
    let _ = wires.writer.exit_status(status).await;
    close(wires).await;
}

async fn close(wires: &Wires) {
    let _ = wires.writer.eof().await;
    let _ = wires.writer.close().await;
}

fn signal_of(name: &str) -> Sig {
    match name {
        "ABRT" => Sig::ABRT,
        "ALRM" => Sig::ALRM,
        "FPE" => Sig::FPE,
        "HUP" => Sig::HUP,
        "ILL" => Sig::ILL,
        "INT" => Sig::INT,
        "KILL" => Sig::KILL,
        "PIPE" => Sig::PIPE,
        "QUIT" => Sig::QUIT,
        "SEGV" => Sig::SEGV,
        "TERM" => Sig::TERM,
        "USR1" => Sig::USR1,
        other => Sig::Custom(other.to_owned()),
    }
}
