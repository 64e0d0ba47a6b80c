//! One connection: who it is, and what it asks of its channels. Nothing here waits for a channel's reader or writer: the
//! loop that calls it is that of all channels.

use std::collections::HashMap;
use std::net::SocketAddr;

use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, ChannelOpenFailure, Disconnect, Pty, Sig};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::activity::Activity;
use super::channel::{Act, Open, Purpose};
use super::login::Login;
use super::options::WINDOW;
use super::transport::Grip;
use super::{Entry, ServerOptions};
use crate::backend::process::{Terminal, TerminalSize};
use crate::daemon::newcomers::Newcomer;
use crate::daemon::session::Session;
use crate::workspace::signal_name;

/// Unread bytes of a channel from which its window is not opened again.
const MAX_UNREAD: usize = 1 << 20;

/// Unread bytes of all channels from which no window is opened again.
const MAX_UNREAD_TOGETHER: usize = 32 << 20;

/// To this many bytes a window is opened that is not to be opened: none would never be asked about again.
const CREEP: u32 = 2;

/// What a connection begins with.
pub(super) struct Setup {
    pub(super) entry: Entry,
    pub(super) peer: Option<SocketAddr>,
    pub(super) authenticated: oneshot::Sender<Session>,
    pub(super) newcomer: Option<Newcomer>,
    pub(super) grip: Grip,
    pub(super) activity: Activity,
    pub(super) options: ServerOptions,
}

/// The state of one connection.
pub(super) struct Connection {
    login: Login,
    authenticated: Option<oneshot::Sender<Session>>,
    newcomer: Option<Newcomer>,
    channels: HashMap<ChannelId, Open>,
    opened: usize,
    grip: Grip,
    activity: Activity,
    options: ServerOptions,
    /// Ends every channel when the connection ends.
    over: CancellationToken,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.over.cancel();
        self.login.log_unknown();
    }
}

impl Connection {
    pub(super) fn new(setup: Setup) -> Self {
        Self {
            login: Login::new(setup.entry, setup.peer, &setup.options),
            authenticated: Some(setup.authenticated),
            newcomer: setup.newcomer,
            channels: HashMap::new(),
            opened: 0,
            grip: setup.grip,
            activity: setup.activity,
            options: setup.options,
            over: CancellationToken::new(),
        }
    }

    /// The channel, where it has no purpose yet; it has one from now on.
    fn begin(
        &mut self,
        channel: ChannelId,
        purpose: Purpose,
        handle: russh::server::Handle,
    ) -> bool {
        let Some(session) = self.login.session() else {
            return false;
        };
        (self.channels.get_mut(&channel))
            .is_some_and(|open| open.begin(purpose, session.clone(), handle))
    }

    fn act(&self, channel: ChannelId, act: Act) {
        if let Some(open) = self.channels.get(&channel) {
            open.act(act);
        }
    }

    /// Whether the channels together leave too much unread. The one that has the most of it is ended where it has read
    /// nothing for long, so that it does not hold up the others for ever.
    fn is_full(&self) -> bool {
        let together: usize = (self.channels.values())
            .map(|open| open.inbox.waiting())
            .sum();
        if together <= MAX_UNREAD_TOGETHER {
            return false;
        }
        let most = (self.channels.values()).max_by_key(|open| open.inbox.waiting());
        if let Some(most) = most
            && most.inbox.unread_for() >= self.options.stuck_after
        {
            self.login.log_stuck();
            most.inbox.close();
            most.end();
        }
        true
    }
}

fn size(columns: u32, rows: u32, pixel_width: u32, pixel_height: u32) -> TerminalSize {
    let short = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    TerminalSize {
        columns: short(columns),
        rows: short(rows),
        pixel_width: short(pixel_width),
        pixel_height: short(pixel_height),
    }
}

/// The number of a signal, which the client names without `SIG`.
fn number(signal: &Sig) -> Option<i32> {
    let name = match signal {
        Sig::ABRT => "ABRT",
        Sig::ALRM => "ALRM",
        Sig::FPE => "FPE",
        Sig::HUP => "HUP",
        Sig::ILL => "ILL",
        Sig::INT => "INT",
        Sig::KILL => "KILL",
        Sig::PIPE => "PIPE",
        Sig::QUIT => "QUIT",
        Sig::SEGV => "SEGV",
        Sig::TERM => "TERM",
        Sig::USR1 => "USR1",
        Sig::Custom(name) => name,
    };
    (1..32).find(|&number| signal_name(number).strip_prefix("SIG") == Some(name))
}

type Done = Result<(), russh::Error>;

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, russh::Error> {
        Ok(self.login.by_nothing(user))
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, russh::Error> {
        self.login.by_password(user, password).await
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        self.login.offered(user, offer)
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        self.login.by_key(user, key).await
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        _response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        Ok(self.login.by_nothing(user))
    }

    async fn auth_succeeded(&mut self, _session: &mut russh::server::Session) -> Done {
        let Some(session) = self.login.session() else {
            return Err(russh::Error::Inconsistent);
        };
        self.newcomer = None;
        if let Some(authenticated) = self.authenticated.take() {
            let _ = authenticated.send(session.clone());
        }
        self.login.log_accepted();
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut russh::server::Session,
    ) -> Done {
        // What ended here and was not yet closed there counts no more.
        self.channels.retain(|_, open| !open.is_over());
        if self.opened >= self.options.max_channels_ever {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return match self.activity.open() {
                0 => session.disconnect(Disconnect::ByApplication, "too many channels", ""),
                _ => Ok(()),
            };
        }
        if self.activity.open() >= self.options.max_channels {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        self.opened += 1;
        let open = Open::new(channel, &self.over, self.activity.begin());
        self.channels.insert(open.id(), open);
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(
        &mut self,
        channel: ChannelId,
        _session: &mut russh::server::Session,
    ) -> Done {
        if let Some(open) = self.channels.remove(&channel) {
            open.end();
        }
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        _session: &mut russh::server::Session,
    ) -> Done {
        if let Some(open) = self.channels.get(&channel) {
            open.inbox.end();
        }
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        _session: &mut russh::server::Session,
    ) -> Done {
        if let Some(open) = self.channels.get(&channel) {
            open.inbox.push(data);
        }
        Ok(())
    }

    /// A window is opened again when its bytes have come, not when they are read, and all windows to the same size. So a
    /// channel whose reader is behind gets next to nothing more, and the client is asked to take its time about it.
    fn adjust_window(&mut self, channel: ChannelId, current: u32) -> u32 {
        let unread = (self.channels.get(&channel)).map_or(0, |open| open.inbox.waiting());
        if unread <= MAX_UNREAD && !self.is_full() {
            return WINDOW;
        }
        if current == CREEP {
            self.grip.pause();
        }
        CREEP
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        col_width: u32,
        row_height: u32,
        pix_width: u32,
        pix_height: u32,
        modes: &[(Pty, u32)],
        session: &mut russh::server::Session,
    ) -> Done {
        let terminal = Terminal {
            name: term.to_owned(),
            size: size(col_width, row_height, pix_width, pix_height),
            modes: (modes.iter())
                .map(|&(mode, value)| (mode as u8, value))
                .collect(),
        };
        let open = self.channels.get_mut(&channel);
        match open.is_some_and(|open| open.set_terminal(terminal)) {
            true => session.channel_success(channel),
            false => session.channel_failure(channel),
        }
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        variable_name: &str,
        variable_value: &str,
        session: &mut russh::server::Session,
    ) -> Done {
        let open = self.channels.get_mut(&channel);
        match open.is_some_and(|open| open.set_variable(variable_name, variable_value)) {
            true => session.channel_success(channel),
            false => session.channel_failure(channel),
        }
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _single_connection: bool,
        _x11_auth_protocol: &str,
        _x11_auth_cookie: &str,
        _x11_screen_number: u32,
        session: &mut russh::server::Session,
    ) -> Done {
        session.channel_failure(channel)
    }

    async fn shell_request(
        &mut self,
        channel: ChannelId,
        session: &mut russh::server::Session,
    ) -> Done {
        match self.begin(channel, Purpose::Shell, session.handle()) {
            true => session.channel_success(channel),
            false => session.channel_failure(channel),
        }
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut russh::server::Session,
    ) -> Done {
        let purpose = String::from_utf8(data.to_vec()).ok().map(Purpose::Command);
        match purpose.is_some_and(|purpose| self.begin(channel, purpose, session.handle())) {
            true => session.channel_success(channel),
            false => session.channel_failure(channel),
        }
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut russh::server::Session,
    ) -> Done {
        let purpose = Purpose::of_subsystem(name, session.remote_sshid());
        match purpose.is_some_and(|purpose| self.begin(channel, purpose, session.handle())) {
            true => session.channel_success(channel),
            false => session.channel_failure(channel),
        }
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        col_width: u32,
        row_height: u32,
        pix_width: u32,
        pix_height: u32,
        session: &mut russh::server::Session,
    ) -> Done {
        let size = size(col_width, row_height, pix_width, pix_height);
        self.act(channel, Act::Resize(size));
        session.channel_success(channel)
    }

    async fn signal(
        &mut self,
        channel: ChannelId,
        signal: Sig,
        session: &mut russh::server::Session,
    ) -> Done {
        if let Some(number) = number(&signal) {
            self.act(channel, Act::Signal(number));
        }
        session.channel_success(channel)
    }
}
