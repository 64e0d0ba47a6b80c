//! Commands on the other side, over the channel that they share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_bytes::ByteBuf;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadHalf};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::control::{Control, send_stdin};
use super::{carry, connection_closed};
use crate::backend::process::{CommandSpec, Process, ProcessEvent, Stdin};
use crate::call::BoxFuture;
use crate::error::{Error, ErrorCode, Result};
use crate::outbox::Outbox;
use crate::path::RelPath;
use crate::pool;
use crate::wire::commands::{
    Frames, FromClient, FromServer, MAX_STDIN, Start, StdinKind, WINDOW, cost,
};

/// Events that wait for their reader beside the credit.
const EVENT_QUEUE: usize = 4;
/// Credit is given back in portions of at least this.
const PORTION: u32 = WINDOW / 4;

#[derive(Debug)]
pub(super) struct Commands {
    closed: CancellationToken,
    outbox: Outbox,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: u32,
    running: HashMap<u32, Running>,
    ending: HashMap<u32, oneshot::Sender<()>>,
    ended: bool,
}

/// A command, as the receiving task knows it.
#[derive(Debug)]
struct Running {
    /// `None` once it has started.
    starting: Option<oneshot::Sender<Result<u32>>>,
    /// What the other side may still send.
    window: Arc<AtomicU32>,
    events: mpsc::UnboundedSender<ProcessEvent>,
    /// What may be sent of its standard input; closed at its end.
    stdin: Arc<Semaphore>,
}

impl Commands {
    pub(super) fn open(
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        closed: CancellationToken,
    ) -> Arc<Self> {
        let (reader, writer) = tokio::io::split(stream);
        let commands = Arc::new(Self {
            closed: closed.clone(),
            outbox: Outbox::default(),
            state: Mutex::default(),
        });
        let (sending, receiving, ending) = (
            Arc::clone(&commands),
            Arc::clone(&commands),
            Arc::clone(&commands),
        );
        carry(
            closed,
            async move { drop(sending.outbox.send(writer).await) },
            async move { receiving.receive(reader).await },
            move || ending.end(),
        );
        commands
    }

    /// Starts a command; the frames are queued before this returns.
    pub(super) fn start(
        self: &Arc<Self>,
        scope: &RelPath,
        spec: CommandSpec,
    ) -> BoxFuture<Result<Process>> {
        let begun = self.begin(scope, spec);
        Box::pin(async move {
            let begun = begun?;
            // Dropped while this waits, the control ends the command, started or not.
            let pid = begun.started.await.map_err(|_| connection_closed())??;
            begun.control.started(pid);
            Ok(Process {
                events: begun.events,
                control: begun.control,
            })
        })
    }

    fn begin(self: &Arc<Self>, scope: &RelPath, spec: CommandSpec) -> Result<Begun> {
        let (kind, stdin_bytes) = match spec.stdin {
            // What is typed.
            _ if spec.terminal.is_some() => (StdinKind::Pipe, None),
            Stdin::Null => (StdinKind::Null, None),
            Stdin::Bytes(bytes) => (StdinKind::Bytes, Some(bytes)),
            Stdin::Pipe => (StdinKind::Pipe, None),
        };
        if stdin_bytes.as_ref().map_or(0, Bytes::len) > MAX_STDIN {
            return Err(Error::new(
                ErrorCode::TooLarge,
                format!("standard input of more than {MAX_STDIN} bytes; write it to a file"),
            ));
        }
        let start = FromClient::Start(Box::new(Start {
            scope: scope.clone(),
            command: spec.command,
            cwd: spec.cwd,
            env: (spec.env.into_iter())
                .map(|(name, value)| (name.into(), value.map(ByteBuf::from)))
                .collect(),
            stdin: kind,
            terminal: spec.terminal,
            login_shell: spec.login_shell,
            limits: spec.limits,
        }));
        let (starting, started) = oneshot::channel();
        let (events, incoming) = mpsc::unbounded_channel();
        let window = Arc::new(AtomicU32::new(WINDOW));
        let stdin = Arc::new(Semaphore::new(WINDOW as usize));
        if self.closed.is_cancelled() {
            return Err(connection_closed());
        }
        let id = self.lock().enter(Running {
            starting: Some(starting),
            window: Arc::clone(&window),
            events,
            stdin: Arc::clone(&stdin),
        })?;
        let control = Control::new(self, id, Arc::clone(&stdin));
        if let Err(error) = self.send(id, start) {
            self.lock().running.remove(&id);
            return Err(error);
        }
        if let Some(bytes) = stdin_bytes {
            let commands = Arc::clone(self);
            send_stdin(commands, id, stdin, bytes);
        }
        let relay = Relay {
            commands: Arc::clone(self),
            id,
            incoming,
            window,
        };
        let (reader, events) = mpsc::channel(EVENT_QUEUE);
        // From now on, and whether or not anybody waits for the start: a command that was given up must not stand still
        // on the other side for want of credit.
        pool::runtime().spawn(relay.run(reader));
        Ok(Begun {
            started,
            control: Arc::new(control),
            events,
        })
    }

    /// Ends the commands of a scope and below, and waits until they have ended.
    pub(super) fn end_scope(self: &Arc<Self>, scope: &RelPath) -> BoxFuture<Result<()>> {
        let (sender, receiver) = oneshot::channel();
        let mut state = self.lock();
        let id = state.take_number();
        if !state.ended {
            state.ending.insert(id, sender);
        }
        drop(state);
        let sent = self.send(id, FromClient::EndScope(scope.clone()));
        Box::pin(async move {
            sent?;
            receiver.await.map_err(|_| connection_closed())
        })
    }

    pub(super) fn send(&self, id: u32, message: FromClient) -> Result<()> {
        self.outbox.push(|out| message.encode(id, out), &[])
    }

    /// Whether a command has not ended.
    pub(super) fn is_running(&self, id: u32) -> bool {
        self.lock().running.contains_key(&id)
    }

    async fn receive(&self, mut reader: ReadHalf<impl AsyncRead>) {
        let mut frames = Frames::default();
        loop {
            loop {
                let Ok(frame) = frames.next_frame() else {
                    return;
                };
                let Some(frame) = frame else { break };
                let Ok((id, message)) = FromServer::decode(frame) else {
                    return;
                };
                if !self.deliver(id, message) {
                    return;
                }
            }
            match reader.read_buf(frames.buffer()).await {
                Ok(read) if read > 0 => {}
                _ => return,
            }
        }
    }

    /// Hands a message on; false where the other side breaks the rules. A message for a number that is not known is
    /// for what was forgotten.
    fn deliver(&self, id: u32, message: FromServer) -> bool {
        let mut state = self.lock();
        if let FromServer::ScopeEnded = message {
            if let Some(waiting) = state.ending.remove(&id) {
                let _ = waiting.send(());
            }
            return true;
        }
        let Some(running) = state.running.get_mut(&id) else {
            return true;
        };
        match message {
            FromServer::Started { pid } => {
                if let Some(starting) = running.starting.take() {
                    let _ = starting.send(Ok(pid));
                }
            }
            FromServer::Stdout(bytes) => {
                return running.take(bytes.len()) && running.tell(ProcessEvent::Stdout(bytes));
            }
            FromServer::Stderr(bytes) => {
                return running.take(bytes.len()) && running.tell(ProcessEvent::Stderr(bytes));
            }
            FromServer::Credit(credit) => {
                // More than a window can never be due.
                if credit > WINDOW || running.stdin.available_permits() > WINDOW as usize {
                    return false;
                }
                running.stdin.add_permits(credit as usize);
            }
            FromServer::Exit(status) => {
                if let Some(running) = state.running.remove(&id) {
                    running.end(ProcessEvent::Exit(status));
                }
            }
            FromServer::Failed(error) => {
                if let Some(running) = state.running.remove(&id) {
                    running.fail(error);
                }
            }
            FromServer::ScopeEnded => {}
        }
        true
    }

    /// Fails all that runs, and all that comes.
    fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let running = std::mem::take(&mut state.running);
        let ending = std::mem::take(&mut state.ending);
        drop(state);
        drop(ending);
        for running in running.into_values() {
            running.fail(connection_closed());
        }
        self.outbox.close();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, running: Running) -> Result<u32> {
        if self.ended {
            return Err(connection_closed());
        }
        let id = self.take_number();
        self.running.insert(id, running);
        Ok(id)
    }

    fn take_number(&mut self) -> u32 {
        loop {
            self.last = self.last.wrapping_add(1);
            if !self.running.contains_key(&self.last) && !self.ending.contains_key(&self.last) {
                return self.last;
            }
        }
    }
}

impl Running {
    /// Takes what a frame costs off the credit.
    fn take(&self, length: usize) -> bool {
        let price = cost(length);
        (self.window)
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |window| {
                window.checked_sub(price)
            })
            .is_ok()
    }

    /// Bounded by the credit. Where nobody listens the command has been given up.
    fn tell(&self, event: ProcessEvent) -> bool {
        let _ = self.events.send(event);
        true
    }

    fn end(self, event: ProcessEvent) {
        self.stdin.close();
        let _ = self.events.send(event);
    }

    fn fail(mut self, error: Error) {
        match self.starting.take() {
            Some(starting) => {
                self.stdin.close();
                let _ = starting.send(Err(error));
            }
            None => self.end(ProcessEvent::Failed(error)),
        }
    }
}

/// A command that was asked for.
struct Begun {
    started: oneshot::Receiver<Result<u32>>,
    control: Arc<Control>,
    events: mpsc::Receiver<ProcessEvent>,
}

/// Between what arrives and its reader: gives credit for what the reader has taken.
struct Relay {
    commands: Arc<Commands>,
    id: u32,
    incoming: mpsc::UnboundedReceiver<ProcessEvent>,
    window: Arc<AtomicU32>,
}

impl Relay {
    async fn run(mut self, reader: mpsc::Sender<ProcessEvent>) {
        let mut due = 0;
        while let Some(event) = self.incoming.recv().await {
            let price = match &event {
                ProcessEvent::Stdout(bytes) | ProcessEvent::Stderr(bytes) => cost(bytes.len()),
                ProcessEvent::Exit(_) | ProcessEvent::Failed(_) => {
                    let _ = reader.send(event).await;
                    return;
                }
            };
            // Where nobody reads any more, it goes by.
            let _ = reader.send(event).await;
            due += price;
            if due >= PORTION {
                self.window.fetch_add(due, Ordering::AcqRel);
                if self
                    .commands
                    .send(self.id, FromClient::Credit(due))
                    .is_err()
                {
                    // What ended it comes as an event.
                    continue;
                }
                due = 0;
            }
        }
    }
}
