//! One channel: what was asked of it before it got its purpose, and the task that serves it then.

use std::sync::Arc;

use russh::server::{Handle, Msg};
use russh::{Channel, ChannelId, ChannelWriteHalf};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::activity::Active;
use super::command::{self, Order};
use super::inbox::{ChannelStream, Inbox};
use crate::backend::process::{Terminal, TerminalSize, Variables};
use crate::daemon::command_channel;
use crate::daemon::session::Session;
use crate::daemon::sftp::{self, SymlinkOrder};

/// Signals and changes of the window that wait.
const MAX_ACTS: usize = 16;

/// The most variables that a client may set.
const MAX_VARIABLES: usize = 32;

/// The longest value of a variable, in bytes.
const MAX_VALUE_BYTES: usize = 256;

/// The one thing that a channel is for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A command.
    Command(String),
    /// A shell.
    Shell,
    /// Files, with the order in which this client names the paths of a link.
    Sftp(SymlinkOrder),
    /// All commands of our own client.
    Commands,
}

impl Purpose {
    /// That of a subsystem that a client asks for which gave itself this name in its first line.
    pub(super) fn of_subsystem(name: &str, client: &[u8]) -> Option<Self> {
        match name {
            "sftp" => Some(Self::Sftp(SymlinkOrder::of_client(client))),
            "commands@agent-backend" => Some(Self::Commands),
            _ => None,
        }
    }
}

/// What is done to a running command.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    Signal(i32),
    Resize(TerminalSize),
}

/// What a task needs to serve a channel.
pub(super) struct Wires {
    pub(super) id: ChannelId,
    pub(super) inbox: Arc<Inbox>,
    pub(super) writer: ChannelWriteHalf<Msg>,
    pub(super) handle: Handle,
}

/// What is held until the channel has a purpose.
struct Unused {
    writer: ChannelWriteHalf<Msg>,
    active: Active,
    acts: mpsc::Receiver<Act>,
    terminal: Option<Terminal>,
    env: Variables,
}

/// An open channel.
pub(super) struct Open {
    pub(super) inbox: Arc<Inbox>,
    id: ChannelId,
    unused: Option<Unused>,
    acts: mpsc::Sender<Act>,
    over: CancellationToken,
}

impl Open {
    /// A channel that was just opened, until `connection_over` is cancelled.
    pub(super) fn new(
        channel: Channel<Msg>,
        connection_over: &CancellationToken,
        active: Active,
    ) -> Self {
        let id = channel.id();
        // The library would wait for the reader of the other half with all channels; ours is the inbox.
        let (_, writer) = channel.split();
        let (acts, received) = mpsc::channel(MAX_ACTS);
        Self {
            inbox: Arc::default(),
            id,
            unused: Some(Unused {
                writer,
                active,
                acts: received,
                terminal: None,
                env: Vec::new(),
            }),
            acts,
            over: connection_over.child_token(),
        }
    }

    pub(super) fn id(&self) -> ChannelId {
        self.id
    }

    /// Ends whatever runs on it.
    pub(super) fn end(&self) {
        self.over.cancel();
    }

    /// Whether what it was for has ended.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    pub(super) fn act(&self, act: Act) {
        // Whoever sends more than fit is not waited for.
        let _ = self.acts.try_send(act);
    }

    /// Whether there is to be a terminal, and can be.
    pub(super) fn set_terminal(&mut self, terminal: Terminal) -> bool {
        let unused = self.unused.as_mut();
        unused.is_some_and(|unused| unused.terminal.replace(terminal).is_none())
    }

    /// Whether the variable is one that clients may set.
    pub(super) fn set_variable(&mut self, name: &str, value: &str) -> bool {
        let Some(unused) = &mut self.unused else {
            return false;
        };
        let may = unused.env.len() < MAX_VARIABLES && is_allowed(name, value);
        if may {
            unused.env.push((name.into(), Some(value.into())));
        }
        may
    }

    /// Gives it a purpose and serves it; false where it has one.
    pub(super) fn begin(&mut self, purpose: Purpose, session: Session, handle: Handle) -> bool {
        let Some(unused) = self.unused.take() else {
            return false;
        };
        let order = Order {
            command: None,
            terminal: unused.terminal,
            env: unused.env,
            acts: unused.acts,
        };
        let wires = Wires {
            id: self.id,
            inbox: Arc::clone(&self.inbox),
            writer: unused.writer,
            handle,
        };
        let (over, active) = (self.over.clone(), unused.active);
        tokio::spawn(async move {
            // However it ends, the place is free and nothing more is kept of it.
            let _over = over.clone().drop_guard();
            let _active = active;
            let inbox = Arc::clone(&wires.inbox);
            let (id, handle) = (wires.id, wires.handle.clone());
            tokio::select! {
                () = over.cancelled() => {
                    // Where the client did not close it, it is told.
                    let _ = handle.close(id).await;
                }
                () = serve(purpose, order, session, wires) => {}
            }
            inbox.close();
        });
        true
    }
}

async fn serve(purpose: Purpose, mut order: Order, session: Session, wires: Wires) {
    match purpose {
        Purpose::Command(text) => {
            order.command = Some(text);
            command::run(order, session, wires).await;
        }
        Purpose::Shell => command::run(order, session, wires).await,
        Purpose::Sftp(symlinks) => {
            subsystem(wires, |stream| sftp::serve(session, symlinks, stream)).await;
        }
        Purpose::Commands => {
            subsystem(wires, |stream| command_channel::serve(session, stream)).await;
        }
    }
}

/// Serves a stream of bytes and then closes the channel as a program does that has ended.
async fn subsystem<F>(wires: Wires, serve: impl FnOnce(ChannelStream) -> F)
where
    F: Future<Output = std::io::Result<()>>,
{
    let stream = ChannelStream::new(wires.inbox, wires.writer.make_writer());
    let status = match serve(stream).await {
        Ok(()) => 0,
        Err(error) => {
            tracing::debug!("an SSH subsystem ended: {error}");
            1
        }
    };
    // There is nobody to tell where the connection is gone.
    let _ = wires.writer.exit_status(status).await;
    let _ = wires.writer.eof().await;
    let _ = wires.writer.close().await;
}

/// Variables that say how a program speaks, and nothing of what it does.
fn is_allowed(name: &str, value: &str) -> bool {
    let locale = |name: &str| {
        name.strip_prefix("LC_").is_some_and(|rest| {
            !rest.is_empty()
                && rest.len() <= 32
                && rest.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        })
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@:,/=".contains(&byte);
    let known = matches!(name, "LANG" | "LANGUAGE" | "TERM" | "TZ" | "COLORTERM") || locale(name);
    // A path in TZ or a locale names a file that programs read.
    let is_path = value.starts_with(['/', ':', '.']) || value.contains("..");
    known && value.len() <= MAX_VALUE_BYTES && value.bytes().all(plain) && !is_path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_variables_of_speech_may_be_set() {
        for (name, value) in [
            ("LANG", "de_DE.UTF-8"),
            ("LC_ALL", "C"),
            ("LC_TIME", "en_GB@euro"),
            ("TERM", "xterm-256color"),
            ("TZ", "Europe/Berlin"),
            ("COLORTERM", "truecolor"),
            ("LANG", ""),
        ] {
            assert!(is_allowed(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("PATH", "/x"),
            ("LD_PRELOAD", "x.so"),
            ("BASH_ENV", "x"),
            ("ENV", "x"),
            ("HOME", "x"),
            ("LC_", "C"),
            ("LC_a", "C"),
            ("lang", "C"),
            ("LANG", "() { :;}; x"),
            ("LANG", "a\nb"),
            ("TZ", "/etc/passwd"),
            ("TZ", ":etc/passwd"),
            ("TZ", "Europe/../../etc/passwd"),
            ("LANG", &"x".repeat(257)),
        ] {
            assert!(!is_allowed(name, value), "{name}={value}");
        }
    }
}
